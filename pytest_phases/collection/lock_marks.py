"""`@pytest.mark.lock`: what single tests must have to themselves, or share with others that say so.

All markers of a test add up, wherever they stand. What cannot be read is a problem at its marker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_phases.errors import Problem
from pytest_phases.model import Place
from pytest_phases.plan.markers import normalised, text_of
from pytest_phases.plan.values import BadValue
from pytest_phases.plan.words import did_you_mean, printable

MARKER = "lock"


@dataclass(frozen=True, slots=True)
class Locks:
    """(index, name, shared) of each lock that items ask for, sorted, and every marker that cannot be read."""

    rows: tuple[tuple[int, str, bool], ...]
    problems: tuple[Problem, ...]


def has_lock_mark(items: Iterable[pytest.Item]) -> bool:
    """Whether any item carries a lock marker."""
    marks = _Marks()
    return any(marks.of(item) for item in items)


def read_locks(items: Sequence[pytest.Item]) -> Locks:
    """The locks of items by their index; a name asked for both shared and alone is asked for alone."""
    marks = _Marks()
    rows: list[tuple[int, str, bool]] = []
    problems: dict[Problem, None] = {}
    for index, item in enumerate(items):
        asked: dict[str, bool] = {}
        for node, mark in marks.of(item):
            names, mistakes = _read(mark)
            problems.update(dict.fromkeys(_problem(node, mistake) for mistake in mistakes))
            shared = mark.kwargs.get("shared") is True
            asked.update((name, shared and asked.get(name, True)) for name in names)
        rows += [(index, name, shared) for name, shared in sorted(asked.items())]
    return Locks(tuple(rows), tuple(problems))


class _Marks:
    """The lock markers of items; what stands above many of them is looked at only once."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[tuple[Any, pytest.Mark], ...]] = {None: ()}

    def of(self, item: pytest.Item) -> tuple[tuple[Any, pytest.Mark], ...]:
        """The markers with the nodes they stand on."""
        return (*_own(item), *self._above(item.parent))

    def _above(self, node: Any) -> tuple[tuple[Any, pytest.Mark], ...]:
        if node not in self._known:
            self._known[node] = (*_own(node), *self._above(node.parent))
        return self._known[node]


def _own(node: Any) -> Iterator[tuple[Any, pytest.Mark]]:
    yield from ((node, mark) for mark in node.own_markers if mark.name == MARKER)
    if isinstance(node, pytest.DoctestItem):
        # pytest gives doctests no marks of their module, so `pytestmark` is looked up here.
        marks = node.dtest.globs.get("pytestmark", ())
        for mark in marks if isinstance(marks, (list, tuple)) else (marks,):
            found = getattr(mark, "mark", mark)
            if isinstance(found, pytest.Mark) and found.name == MARKER:
                yield node.parent, found


def _read(mark: pytest.Mark) -> tuple[list[str], list[str]]:
    """The names that a marker locks, and what is wrong with it."""
    mistakes = [
        f"{key}: a lock marker has no such argument; {did_you_mean(key, ['shared'])}"
        for key in mark.kwargs
        if key != "shared"
    ]
    shared = mark.kwargs.get("shared", False)
    if not isinstance(shared, bool):
        mistakes.append(f"shared: `{normalised(shared)}` is no boolean; write shared=True, or leave it out")
    if not mark.args:
        mistakes.append('a lock marker says what it locks; write a name, as in @pytest.mark.lock("db")')
    read = [_name(normalised(value)) for value in mark.args]
    mistakes += [mistake for _, mistake in read if mistake]
    return [name for name, _ in read if name], mistakes


def _name(value: object) -> tuple[str, str]:
    """The name that an argument is, and what is wrong with it; one of the two is empty."""
    if not isinstance(value, str):
        advice = 'write names as text, as in @pytest.mark.lock("db", "cache")'
        return "", f"`{value}` is no name of a lock; {advice}"
    try:
        return text_of(value), ""
    except BadValue as error:
        return "", str(error)


def _problem(node: Any, mistake: str) -> Problem:
    """A mistake where a node is defined; modules and folders are their first line."""
    line = node.reportinfo()[1] if hasattr(node, "reportinfo") and "::" in node.nodeid else None
    return Problem("bad-lock", Place(node.nodeid.partition("::")[0], (line or 0) + 1), printable(mistake))
