"""Files on the disk and patterns of a plan."""

from __future__ import annotations

import glob
import hashlib
import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from pytest_phases.plan.selectors import is_glob, lies_at

_CHUNK = 1 << 20
_PASSED_OVER = re.compile(
    r"(?:__pycache__|\.phases|\.git|\.(?:pytest|mypy|ruff)_cache|\.hypothesis|\.coverage(?:\..*)?"
    r"|.*\.(?:pyc|pyo|egg-info))\Z"
)


class Patterns:
    """Paths and globs of a plan, asked for many files: whether one of them names it or a folder above."""

    def __init__(self, patterns: Iterable[str]) -> None:
        normal = tuple(map(posixpath.normpath, patterns))
        self._globs = tuple(each for each in normal if is_glob(each) or each.startswith(("/", "..")))
        self._plain = frozenset(normal) - frozenset(self._globs)
        self._folders = tuple(f"{each}/" for each in self._plain)

    def hold(self, path: str) -> bool:
        """Whether a file, `/` between the parts and relative to the rootdir, is one of them."""
        if path in self._plain or path.startswith(self._folders) or "." in self._plain:
            return True
        return any(lies_at(path, each) for each in self._globs)


def files_at(root: Path, pattern: str) -> Iterator[str]:
    """The files that a path or glob names and those in folders that it names, relative to `root`, sorted.

    In a folder byte code, caches and metadata of packages are passed over: what a stage reads or makes
    is something else.
    """
    normal = posixpath.normpath(pattern)
    with suppress(ValueError):  # not every text can be the name of a file
        found = glob.glob(normal, root_dir=root, recursive=True) if is_glob(normal) else [normal]  # noqa: PTH207
        yield from sorted({file for path in found for file in _files(root, path)})


def _files(root: Path, path: str) -> Iterator[str]:
    top = root / path
    if top.is_file():
        yield path
        return
    for folder, below, names in os.walk(top):
        below[:] = [name for name in below if not _PASSED_OVER.match(name)]
        for name in names:
            if not _PASSED_OVER.match(name):
                yield Path(os.path.relpath(Path(folder, name), root)).as_posix()


def content_digest(path: Path) -> str:
    """The sha256 of what a file holds; raises OSError if it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def stamp_of(found: os.stat_result) -> str:
    """What a `TreeEntry` has for its stamp: a file that still has it need not be read again.

    Were the two made differently, files would be read in vain and nothing else.
    """
    return f"{found.st_size}-{found.st_ino}-{found.st_mtime_ns}-{found.st_ctime_ns}"
