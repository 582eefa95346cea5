"""Paths and globs of a plan: what of them lies on the disk."""

from __future__ import annotations

import glob
import posixpath
from pathlib import Path

from pytest_phases.plan.selectors import is_glob
from pytest_phases.plan.words import nearest


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
