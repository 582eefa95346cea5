"""The files of a tree on the disk: which there are, what they are, what they hold."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import stat
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_phases.errors import PhasesError

TICK_NS = 20_000_000
"""Longer than the clocks that file systems take their times from stand still, in nanoseconds."""

_CHUNK = 1 << 20
_CACHE = re.compile(
    r"(?:^|/)(?:__pycache__|\.pytest_cache|\.mypy_cache|\.ruff_cache|\.hypothesis"
    r"|\.coverage(?:\.[^/]*)?|[^/]*\.(?:pyc|pyo|egg-info))(?:/|\Z)"
)
_ENVIRONMENT = "pyvenv.cfg"
_NEVER_WALKED = frozenset({".git", ".tox", ".nox", "node_modules"})


class TreeError(PhasesError):
    """It cannot be told which tree this is: what is in the way, and what to do."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """Files and folders that are no part of the tree, by paths relative to its top."""

    paths: frozenset[str] = frozenset()
    folders: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        # Computed once: it is asked for every file.
        object.__setattr__(self, "folders", tuple(f"{path}/" for path in self.paths))

    @classmethod
    def of(cls, paths: Iterable[str]) -> Excluded:
        """Take paths as a user writes them; one that leaves the tree excludes nothing."""
        return cls(frozenset(map(posixpath.normpath, paths)))

    def holds(self, path: str) -> bool:
        """Whether a file or folder is excluded, or lies in a folder that is."""
        return path in self.paths or path.startswith(self.folders)

    def below(self, folder: str) -> Excluded:
        """The same, seen from a folder of the tree."""
        inside = (path for path in self.paths if path.startswith(f"{folder}/"))
        return Excluded(frozenset(path[len(folder) + 1 :] for path in inside))


def is_cache(path: str) -> bool:
    """Whether a path is that of a cache or of byte code, or lies in one."""
    return _CACHE.search(path) is not None


def walk(root: Path, excluded: Excluded) -> Iterator[str]:
    """The files and links of a folder without git, `/` between the parts, in no order.

    Raises TreeError for a folder that cannot be read.
    """
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        entries = _entries(root / folder)
        if folder and any(entry.name == _ENVIRONMENT for entry in entries):
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name in _NEVER_WALKED or excluded.holds(path) or is_cache(path):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            else:
                yield path


def look(root: Path, paths: Iterable[str]) -> dict[str, os.stat_result]:
    """What the system says of those paths that are there; a link is not followed, nor one above a path.

    Raises TreeError for a path that may not be looked at.
    """
    top = os.fspath(root)
    folders = {"": True}
    found = {}
    for path in paths:
        if _is_folder(top, path.rpartition("/")[0], folders):
            seen = _lstat(f"{top}/{path}")
            if seen is not None:
                found[path] = seen
    return found


def settle(found: Collection[os.stat_result]) -> None:
    """Wait, for a tick at most, until whatever is written from now on gets another time than these have.

    To be called between looking at files and reading them.
    """
    newest = max((each.st_ctime_ns for each in found), default=0)
    pause = newest + TICK_NS - time.time_ns()
    if pause > 0:
        time.sleep(min(pause, TICK_NS) / 1e9)


def mode_of(found: os.stat_result) -> str | None:
    """`file`, `executable` or `link`; None for what is neither, like a folder, a socket or a pipe."""
    if stat.S_ISLNK(found.st_mode):
        return "link"
    if not stat.S_ISREG(found.st_mode):
        return None
    return "executable" if found.st_mode & stat.S_IXUSR else "file"


def stamp_of(found: os.stat_result) -> str:
    """What changes whenever a file is written or replaced.

    The last part is the time of the last change of any kind, which nobody can set: only it tells of
    somebody who has set the other time back. A new hard link or other permissions change it too.
    """
    return f"{found.st_size}-{found.st_ino}-{found.st_mtime_ns}-{found.st_ctime_ns}"


def only_touched(one: str, other: str) -> bool:
    """Whether two stamps differ in nothing but that last time."""
    return one.rpartition("-")[0] == other.rpartition("-")[0]


def content_digest(path: Path | str, mode: str) -> str | None:
    """The sha256 of what a file holds or where a link leads; None if it is gone by now.

    Raises TreeError if it cannot be read.
    """
    try:
        if mode == "link":
            return hashlib.sha256(os.fsencode(os.readlink(path))).hexdigest()  # noqa: PTH115 - see _lstat
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - see _lstat
            digest = hashlib.sha256()
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
            return digest.hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error) from error


def holds_something(path: Path) -> bool:
    """Whether a path is a folder with anything in it; TreeError if nobody may look."""
    found = _lstat(os.fspath(path))
    return found is not None and stat.S_ISDIR(found.st_mode) and bool(_entries(path))


def shown(path: Path | str) -> str:
    """A path for a message: on one line, and printable whatever its bytes."""
    text = os.fspath(path)
    return text if text.isprintable() else ascii(text)


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)  # thousands of files: a Path object each would double the cost
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error) from error


def _is_folder(top: str, folder: str, known: dict[str, bool]) -> bool:
    """Whether a folder is one itself, and all above it too: behind a link, git sees nothing of the tree."""
    if folder not in known:
        seen = _lstat(f"{top}/{folder}") if _is_folder(top, folder.rpartition("/")[0], known) else None
        known[folder] = seen is not None and stat.S_ISDIR(seen.st_mode)
    return known[folder]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(path: Path | str, error: OSError) -> TreeError:
    return TreeError(
        f"{shown(path)} cannot be read ({error.strerror}), so nobody can say which tree this is; "
        "make it readable, or remove it, or let git ignore it"
    )
