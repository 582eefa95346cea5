"""What an item or a phase must have to itself, or may share: named resources and paths."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """The wish for a lock: `name` is a resource or, with `is_path`, a path or glob."""

    name: str
    shared: bool = False
    is_path: bool = False

    def excludes(self, other: Claim) -> bool:
        """Whether the two cannot be granted at the same time."""
        if (self.shared and other.shared) or self.is_path is not other.is_path:
            return False
        return overlap(self.name, other.name) if self.is_path else self.name == other.name

    def __str__(self) -> str:
        return f"{self.name} (shared)" if self.shared else self.name


def claims(
    modifies: Iterable[str] = (), reads: Iterable[str] = (), locks: Iterable[str] = ()
) -> tuple[Claim, ...]:
    """The claims of a part of a plan, as its three keys state them."""
    return (
        *(Claim(path, is_path=True) for path in modifies),
        *(Claim(path, shared=True, is_path=True) for path in reads),
        *(Claim(name) for name in locks),
    )


def overlap(one: str, other: str) -> bool:
    """Whether two paths or globs may name the same file, or one a folder that holds the other.

    Of two globs it is assumed unless what stands before or after their wildcards differs.
    """
    return _overlap(_parts(one), _parts(other))


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
