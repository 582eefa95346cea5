"""What lies under some paths, so that a second look tells what was done meanwhile by other processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from pytest_phases.plan.selectors import is_glob
from pytest_phases.watching.paths import Project

# Whole trees are walked, and to make a Path of each name takes longer than all the rest.
# ruff: noqa: PTH112, PTH114, PTH118

Stamp: TypeAlias = tuple[int, int, int, int]
"""Mode, inode, size and time of the last write; not the time of the last change, which a hard link sets."""


def snapshot(project: Project, patterns: Iterable[str]) -> dict[str, Stamp]:
    """The stamps of all files that paths, folders or globs name, by their path relative to the root."""
    found = {}
    for pattern in patterns:
        for path in _named(Path(project.root), pattern):
            for file in _files(str(path)):
                relative = project.touched(file, itself=True)
                stamp = _stamp(file)
                if relative is not None and stamp is not None:
                    found[relative] = stamp
    return found


def differences(before: Mapping[str, Stamp], after: Mapping[str, Stamp]) -> Iterator[tuple[str, str]]:
    """What was done between two snapshots, as (verb, path), sorted by path."""
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            yield "removed", path
        elif before.get(path) != after[path]:
            yield "wrote", path


def _named(root: Path, pattern: str) -> Iterable[Path]:
    return root.glob(pattern) if is_glob(pattern) else (root / pattern,)


def _files(path: str) -> Iterator[str]:
    """The file, or all files below a folder."""
    if not os.path.isdir(path) or os.path.islink(path):
        yield path
        return
    for folder, folders, files in os.walk(path):
        # A link to a folder is an entry and is not followed.
        links = (name for name in folders if os.path.islink(os.path.join(folder, name)))
        yield from (os.path.join(folder, name) for name in (*files, *links))


def _stamp(path: str) -> Stamp | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns
