"""Which paths are files of the project: below the rootdir, and neither installed nor left by tools."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

# Bound here and now: a test may replace them while it runs, and must not find us using what it put there.
from os import getcwd
from os.path import isabs, islink, lexists, realpath
from pathlib import Path
from typing import Any

# Every `open()` of a test waits for this, and to make a Path takes longer than all the rest.
# ruff: noqa: PTH109, PTH114, PTH115, PTH117, PTH118

PHASES_DIR = ".phases"

_INSTALLED = "site-packages dist-packages .tox .nox"
_CACHES = "__pycache__ .pytest_cache .mypy_cache .ruff_cache .hypothesis"
_APART = frozenset(f"{_INSTALLED} {_CACHES}".split())
_BYTE_CODE = (".pyc", ".pyo")
_F_GETPATH = 50
"""What macOS calls the question for the path of an open file."""


class Project:
    """The files below `root`; what lies in the folders `apart` (relative to it) is none of the project."""

    def __init__(self, root: Path, apart: Iterable[str] = (PHASES_DIR,)) -> None:
        self.root = str(root)
        self._real = _below(realpath(root))
        self._prefixes = tuple(dict.fromkeys((_below(self.root), self._real)))
        installed = (self._cut(realpath(prefix)) for prefix in {sys.prefix, sys.base_prefix})
        folders = (*(Path(name).as_posix() for name in apart), *filter(None, installed))
        self._apart = tuple(f"{name}/" for name in folders if name != ".")
        self._sources: dict[str, str | None] = {}
        self._folders: dict[str, str] = {}

    def look_again(self) -> None:
        """Forget which folders are links: tests make some."""
        self._folders.clear()

    def named(self, path: str) -> str | None:
        """The path of a file of the project, relative to the root with `/`; None if it is none.

        `path` is absolute. A link below the root is what is named, not what it leads to.
        """
        relative = self._cut(path)
        if relative is None or ".." in path:
            relative = self._cut(self._resolved(path))
        return relative if relative is not None and self.counts(relative) else None

    def touched(self, path: str, itself: bool = False) -> str | None:
        """The file of the project that a change at an absolute `path` is made to, through all links.

        With `itself` a link at the very end is what is changed, as by removing it.
        """
        folder, name = os.path.split(path)
        real = os.path.join(realpath(folder), name) if itself else realpath(path)
        relative = self._cut(real)
        return relative if relative is not None and self.counts(relative) else None

    def source(self, filename: str) -> str | None:
        """The file of the project that a code object says it comes from."""
        try:
            return self._sources[filename]
        except KeyError:
            found = None if filename.startswith("<") else self.named(os.path.join(self.root, filename))
            if found is not None and not lexists(os.path.join(self.root, found)):
                # Generated code has names of all kinds.
                found = None
            self._sources[filename] = found
            return found

    def counts(self, relative: str) -> bool:
        """Whether a path below the root is of the project, and not byte code, a cache or installed."""
        parts = relative.split("/")
        return not (
            relative in {"", "."}
            or relative.endswith(_BYTE_CODE)
            or parts[-1].startswith(".coverage")
            or not _APART.isdisjoint(parts)
            or f"{relative}/".startswith(self._apart)
        )

    def _resolved(self, path: str) -> str:
        """Where a path leads; most files of a folder lie there themselves."""
        if ".." in path or islink(path):
            return realpath(path)
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = realpath(folder)
        return os.path.join(self._folders[folder], name)

    def _cut(self, path: str) -> str | None:
        """What stands behind the root, with `/`."""
        for prefix in self._prefixes:
            if path.startswith(prefix):
                return path[len(prefix) :].replace(os.sep, "/")
        return None


def absolute(path: Any, folder: int | None = -1) -> str | None:
    """The absolute path of what an audit event speaks of; `folder` is the descriptor it is relative to.

    None for what has no path: a descriptor, or a path relative to a folder that is gone.
    """
    if isinstance(path, int) or path is None:
        return None
    name = os.fsdecode(path)
    if "\0" in name:
        return None
    if not isabs(name):
        try:
            name = os.path.join(getcwd() if folder is None or folder == -1 else _path_of(folder), name)
        except OSError:
            return None
    # What `..` means behind a link is for whoever resolves the path to say.
    return name if ".." in name else os.path.normpath(name)


def _path_of(folder: int) -> str:
    if sys.platform == "darwin":
        import fcntl

        return os.fsdecode(fcntl.fcntl(folder, _F_GETPATH, b"\0" * 1024).rstrip(b"\0"))
    return os.readlink(f"/proc/self/fd/{folder}")


def _below(folder: str) -> str:
    return folder if folder.endswith(os.sep) else f"{folder}{os.sep}"
