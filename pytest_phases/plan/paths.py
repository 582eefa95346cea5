"""Paths and globs of a plan: whether two of them can mean the same file, and what lies on the disk."""

from __future__ import annotations

import glob
import posixpath
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_phases.plan.selectors import is_glob
from pytest_phases.plan.words import nearest

_WILD = re.compile(r"[*?\[]")


def overlap(one: str, other: str) -> bool:
    """Whether two paths or globs may name the same file, or one a folder that holds the other.

    Of two globs it is assumed unless what stands before or after their wildcards differs.
    """
    return _overlap(_parts(one), _parts(other))


def exists(root: Path, path: str) -> bool:
    """Whether a file or folder is there; what the system cannot even name is not."""
    try:
        return (root / path).exists()
    except (OSError, ValueError):
        return False


def is_folder(root: Path, path: str) -> bool:
    """Whether a folder is there."""
    return exists(root, path) and (root / path).is_dir()


def names_a_file(root: Path, pattern: str) -> bool:
    """Whether a path or glob names a file, or a folder with a file in it."""
    if not is_glob(pattern):
        return exists(root, pattern) and _holds_file(root / pattern)
    # Path.glob raises for a pattern that begins with a slash, and a plan may say anything.
    found = glob.iglob(pattern, root_dir=root, recursive=True)  # noqa: PTH207
    return any(_holds_file(root / path) for path in found)


def similar(root: Path, path: str) -> str | None:
    """The path of a neighbour on the disk that is spelled nearly like a path that is not there."""
    folder, name = posixpath.split(path.rstrip("/"))
    if not is_folder(root, folder):
        return None
    near = nearest(name, sorted(other.name for other in (root / folder).iterdir()))
    return posixpath.join(folder, near) if near is not None else None


def _holds_file(path: Path) -> bool:
    return path.is_file() or any(below.is_file() for below in path.rglob("*"))


def _parts(path: str) -> list[str]:
    normal = posixpath.normpath(path)
    return [] if normal == "." else normal.split("/")


def _overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    for mine, theirs in zip(one, other, strict=False):
        if "**" in (mine, theirs):
            return True
        if not _same(mine, theirs):
            return False
    return True


def _same(one: str, other: str) -> bool:
    """Whether two parts of a path may be the same name."""
    if _WILD.search(one) is None:
        return one == other if _WILD.search(other) is None else fnmatchcase(one, other)
    if _WILD.search(other) is None:
        return fnmatchcase(other, one)
    (begin, end), (other_begin, other_end) = _fixed(one), _fixed(other)
    return (begin.startswith(other_begin) or other_begin.startswith(begin)) and (
        end.endswith(other_end) or other_end.endswith(end)
    )


def _fixed(part: str) -> tuple[str, str]:
    """What stands before the first wildcard of a part and after the last."""
    pieces = re.split(r"[*?]|\[.*\]|\[", part)
    return pieces[0], pieces[-1]
