"""Which files of the project are opened for reading, apart from those that this process has made."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

# Bound here and now: a test may replace them while it runs, and must not find us using what it put there.
from os.path import isabs, isfile, lexists
from types import FrameType
from typing import Any

from pytest_phases.watching.audit import Handler
from pytest_phases.watching.callers import reads_source
from pytest_phases.watching.paths import Project, absolute

# Every `open()` of a test waits for this, and to make a Path takes longer than all the rest.
# ruff: noqa: PTH113, PTH117, PTH118, PTH120

_ANEW = os.O_TRUNC | os.O_EXCL
_FOLDER = getattr(os, "O_DIRECTORY", 0)


class Reading:
    """Handles the events of files; `opened` is told of a path relative to the root, and by whom it is read.

    What was written before it was read is a product and no dependency, unless it was there before
    and only added to, or was read before it was written.
    """

    def __init__(self, project: Project, opened: Callable[[str, FrameType], None]) -> None:
        self._project = project
        self._opened = opened
        self._made: set[str] = set()
        self._read: set[str] = set()

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What is to be handled, by the name of the audit event."""
        return {
            "open": self._open,
            "os.rename": self._same_content,
            "os.link": self._same_content,
            "os.symlink": self._link,
            "sqlite3.connect": self._database,
            "ctypes.dlopen": self._library,
        }

    def _open(self, args: tuple[Any, ...]) -> None:
        path, mode, flags = args
        # Byte code is none of the project, and a third of what Python opens.
        apart = flags & _FOLDER or (type(path) is str and path.endswith(".pyc"))
        found = None if apart else self._place(path)
        # `os.open` may mean another folder than the current one, and no event says which.
        if found is None or (mode is None and not isabs(path) and not lexists(found[0])):
            return
        name, relative = found
        if flags & (os.O_WRONLY | os.O_RDWR):
            there = lexists(name)
            if not there or (flags & _ANEW == os.O_TRUNC and relative not in self._read):
                self._made.add(relative)
            elif flags & os.O_RDWR and not flags & _ANEW:
                self._reads(relative, sys._getframe(2))
        elif relative not in self._made and not (relative.endswith(".py") and reads_source(sys._getframe(2))):
            self._reads(relative, sys._getframe(2))

    def _same_content(self, args: tuple[Any, ...]) -> None:
        """What is renamed or linked is read under another name."""
        source, target = args[:2]
        self._copied(source, target, sys._getframe(2))

    def _link(self, args: tuple[Any, ...]) -> None:
        """A symbolic link names its source as seen from where it lies."""
        source, target = map(os.fsdecode, args[:2])
        self._copied(os.path.join(os.path.dirname(target), source), target, sys._getframe(2))

    def _copied(self, source: Any, target: Any, frame: FrameType) -> None:
        read, made = self._place(source), self._place(target)
        if read is not None and isfile(read[0]):
            self._reads(read[1], frame)
        if made is not None:
            self._made.add(made[1])

    def _database(self, args: tuple[Any, ...]) -> None:
        """SQLite opens its files by itself; one that is not there yet is made."""
        path = args[0]
        if isinstance(path, str) and path.startswith("file:"):
            path = path.removeprefix("file:").removeprefix("//").partition("?")[0]
        found = self._place(path)
        if found is not None and not lexists(found[0]):
            self._made.add(found[1])
        elif found is not None:
            self._reads(found[1], sys._getframe(2))

    def _library(self, args: tuple[Any, ...]) -> None:
        """A shared library is code that no event tells of."""
        found = self._place(args[0])
        if found is not None and isfile(found[0]):
            self._reads(found[1], sys._getframe(2))

    def _place(self, path: Any) -> tuple[str, str] | None:
        """The absolute path of a file of the project, and the relative one."""
        name = absolute(path)
        relative = self._project.named(name) if name is not None else None
        return (name, relative) if name is not None and relative is not None else None

    def _reads(self, relative: str, frame: FrameType) -> None:
        if relative not in self._made:
            self._read.add(relative)
            self._opened(relative, frame)
