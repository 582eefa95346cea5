"""The files that `inputs:` and `outputs:` of a stage name, and what they hold."""

# Thousands of files: paths are texts here, a Path for each would double the cost.
# ruff: noqa: PTH112, PTH113, PTH114, PTH115, PTH118, PTH123

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_phases.plan.selectors import is_glob, lies_at

_CHUNK = 1 << 20
_PASSED_OVER = re.compile(
    r"\.git|__pycache__|\.(?:pytest|mypy|ruff)_cache|\.hypothesis|\.coverage(?:\..*)?|.*\.(?:pyc|pyo|egg-info)"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was found.

    `sha256` is that of what it holds, changed where it is executable; of a link, that of where it leads
    and of the file there. It is empty if there is no file, and `unreadable` if nobody can tell. `stamp`
    differs once the file was replaced or written anew, even with the same bytes.
    """

    sha256: str = ""
    stamp: str = ""


MISSING = Seen()
UNREADABLE = Seen("unreadable")


@dataclass(frozen=True, slots=True)
class Site:
    """Where stages work: paths below are relative to `root`, `/` between the parts, the root itself empty.

    `phases_dir` may lie anywhere; what lies in it is never found.
    """

    root: Path
    phases_dir: Path

    @property
    def own(self) -> str:
        """The path of `phases_dir` as those below the root are written; empty if it lies elsewhere."""
        inside = self.phases_dir.is_relative_to(self.root)
        return self.phases_dir.relative_to(self.root).as_posix() if inside else ""

    def full(self, path: str) -> str:
        """A path as the system takes it."""
        return os.path.join(self.root, path)

    def matched(self, pattern: str) -> Iterator[str]:
        """The files, links and folders that a path or glob itself names; `**` follows no links."""
        path = normal(pattern)
        parts = [part for part in path.split("/") if part]
        return self._expand("/" if path.startswith("/") else "", parts)

    def files(self, patterns: Iterable[str]) -> set[str]:
        """The files and links that patterns name, or that lie in folders they name.

        A folder is taken whole without git, byte code and the caches of tools, unless a pattern names
        those. A link to a folder is followed only where the pattern is a plain path. A pattern that
        names no file stands for itself, and so does a folder that cannot be read.
        """
        found: set[str] = set()
        for pattern in patterns:
            found.update(set(self._files(pattern)) or {normal(pattern)})
        return found

    def folders(self, patterns: Iterable[str]) -> set[str]:
        """The folders that patterns name, and those in them, no links."""
        named = {path for pattern in patterns for path in self.matched(pattern) if self.is_folder(path)}
        return named.union(path for top in named for path, is_folder in self._below(top) if is_folder)

    def is_folder(self, path: str) -> bool:
        """Whether a path is a folder, and not a link to one."""
        full = self.full(path)
        return os.path.isdir(full) and not os.path.islink(full)

    def declared(self, inputs: Sequence[str], outputs: Sequence[str]) -> tuple[set[str], set[str]]:
        """The files that a stage reads, and those that it makes; none is both.

        Where both kinds of patterns name a file, it is an output, as `dist/x.whl` is with inputs `.` and
        outputs `dist`; but an input if its pattern lies within that of the outputs, as `src/api.in`
        lies within `src`.
        """
        within = (each for each in inputs if any(_within(each, output) for output in outputs))
        made = self.files(outputs) - self.files(within)
        return self.files(inputs) - made, made

    def look(self, paths: Iterable[str]) -> dict[str, Seen]:
        """What is at each path, sorted."""
        return {path: self.seen(path) for path in sorted(paths)}

    def seen(self, path: str) -> Seen:
        """What is at a path."""
        full = self.full(path)
        try:
            found = os.lstat(full)
            stamp = f"{found.st_ino}-{found.st_mtime_ns}"
            if stat.S_ISLNK(found.st_mode):
                led_to = _digest(full) if os.path.isfile(full) else ""
                target = os.fsencode(os.readlink(full))
                return Seen(_sha256(b"link\0" + target + b"\0" + led_to.encode()), stamp)
            if stat.S_ISREG(found.st_mode):
                return Seen(_digest(full), stamp)
            return MISSING if self._is_open(path) else UNREADABLE
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return MISSING  # ValueError: the system cannot even name it
        except OSError:
            return UNREADABLE

    def _expand(self, folder: str, parts: Sequence[str]) -> Iterator[str]:
        if not parts:
            yield folder
            return
        head, *rest = parts
        if head == "**":
            yield from self._expand(folder, rest)
            if rest[:1] == ["**"]:
                return
        elif not is_glob(head):
            path = posixpath.join(folder, head)
            if os.path.lexists(self.full(path)):
                yield from self._expand(path, rest)
            return
        for entry, path in self._entries(folder, head):
            if head != "**":
                yield from self._expand(path, rest)
            elif entry.is_dir(follow_symlinks=False):
                yield from self._expand(path, parts)

    def _entries(self, folder: str, pattern: str = "*") -> Iterator[tuple[os.DirEntry[str], str]]:
        """What lies in a folder and is not passed over; a pattern such as `*.pyc` says that it is meant."""
        wild = "*" if pattern == "**" else pattern
        own = self.own
        try:
            with os.scandir(self.full(folder)) as entries:
                for entry in entries:
                    path = posixpath.join(folder, entry.name)
                    meant = not is_passed_over(entry.name) or is_passed_over(pattern)
                    if meant and fnmatchcase(entry.name, wild) and path != own:
                        yield entry, path
        except OSError:  # gone, or no folder; of one that cannot be read `seen` says so
            return

    def _files(self, pattern: str) -> Iterator[str]:
        for path in self.matched(pattern):
            full = self.full(path)
            is_link = os.path.islink(full)
            is_folder = os.path.isdir(full)
            if is_link or not is_folder:
                yield path
            if is_folder and not (is_link and is_glob(pattern)):
                for below, is_folder_too in self._below(path):
                    if not (is_folder_too and self._is_open(below)):
                        yield below

    def _is_open(self, path: str) -> bool:
        """Whether it is not a folder that cannot be read."""
        return not self.is_folder(path) or os.access(self.full(path), os.R_OK | os.X_OK)

    def _below(self, top: str) -> Iterator[tuple[str, bool]]:
        """All that lies in a folder, and whether it is a folder itself."""
        waiting = [top]
        while waiting:
            for entry, path in self._entries(waiting.pop()):
                is_folder = entry.is_dir(follow_symlinks=False)
                if is_folder:
                    waiting.append(path)
                yield path, is_folder


def normal(pattern: str) -> str:
    """A path or glob in its one way of writing; empty for the rootdir."""
    path = posixpath.normpath(pattern)
    return "" if path == "." else path


def is_passed_over(name: str) -> bool:
    """Whether a file or folder of this name is left out: git's own, byte code, the caches of tools."""
    return _PASSED_OVER.fullmatch(name) is not None


def _within(pattern: str, other: str) -> bool:
    return lies_at(pattern, other) and not lies_at(other, pattern)


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        executable = os.fstat(file.fileno()).st_mode & stat.S_IXUSR
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    content = digest.hexdigest()
    return _sha256(b"executable\0" + content.encode()) if executable else content


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
