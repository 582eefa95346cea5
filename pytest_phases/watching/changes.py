"""What audit events say is done to files: written, made, renamed, removed, changed in mode or time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

# Bound here and now: a test may replace them while it runs, and must not find us using what it put there.
from os.path import exists, isdir, lexists
from types import MappingProxyType
from typing import Any, TypeAlias

from pytest_phases.watching.paths import absolute

# Every `open()` of a test waits for this, and to make a Path takes longer than all the rest.
# ruff: noqa: PTH110, PTH112, PTH120

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
_UNNAMED = getattr(os, "O_TMPFILE", 0)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is done to an absolute path; `itself` means the link there, not what it leads to."""

    verb: str
    path: str
    itself: bool = False


Reader: TypeAlias = Callable[..., Iterator[Change]]


def changes(event: str, args: tuple[Any, ...]) -> Iterator[Change]:
    """What an event is about to do, without what cannot have an effect: removing what is not there."""
    return _READERS[event](*args)


def _open(path: Any, mode: Any, flags: int) -> Iterator[Change]:
    name = absolute(path)
    if name is None or not flags & _WRITES or (_UNNAMED and flags & _UNNAMED == _UNNAMED):
        return
    if exists(name):
        if not flags & os.O_EXCL and not isdir(name):
            yield Change("wrote", name)
    elif flags & os.O_CREAT and isdir(os.path.dirname(name)):
        yield Change("wrote", name)


def _rename(source: Any, target: Any, source_folder: int = -1, target_folder: int = -1) -> Iterator[Change]:
    old, new = absolute(source, source_folder), absolute(target, target_folder)
    if old is not None and lexists(old):
        yield Change("renamed", old, itself=True)
        if new is not None:
            yield Change("wrote", new, itself=True)


def _remove(path: Any, folder: int = -1) -> Iterator[Change]:
    name = absolute(path, folder)
    if name is not None and lexists(name):
        yield Change("removed", name, itself=True)


def _mkdir(path: Any, mode: int, folder: int = -1) -> Iterator[Change]:
    name = absolute(path, folder)
    # `exist_ok` only looks afterwards.
    if name is not None and not lexists(name):
        yield Change("made", name, itself=True)


def _link(source: Any, target: Any, source_folder: int = -1, target_folder: int = -1) -> Iterator[Change]:
    name = absolute(target, target_folder)
    if name is not None and not lexists(name):
        yield Change("made", name, itself=True)


def _symlink(source: Any, target: Any, folder: int = -1) -> Iterator[Change]:
    return _link(source, target, target_folder=folder)


def _truncate(path: Any, length: int) -> Iterator[Change]:
    name = absolute(path)
    if name is not None and exists(name):
        yield Change("wrote", name)


def _attributes(path: Any, *values: Any) -> Iterator[Change]:
    folder = values[-1]
    name = absolute(path, folder)
    if name is not None and lexists(name):
        yield Change("changed", name)


_READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "open": _open,
        "os.rename": _rename,
        "os.remove": _remove,
        "os.rmdir": _remove,
        "shutil.rmtree": _remove,
        "os.mkdir": _mkdir,
        "os.link": _link,
        "os.symlink": _symlink,
        "os.truncate": _truncate,
        "os.chmod": _attributes,
        "os.chown": _attributes,
        "os.utime": _attributes,
    }
)

EVENTS = tuple(_READERS)
"""The names of the audit events that are read."""
