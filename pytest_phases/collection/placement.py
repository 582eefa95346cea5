"""Which phase each collected item belongs to, by marker and plan together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_phases.collection.expressions import Expressions
from pytest_phases.errors import Problem
from pytest_phases.model import UNPHASED, Place, Plan, Selector
from pytest_phases.plan.checks import check
from pytest_phases.plan.markers import PhaseMark, merge, phase_id
from pytest_phases.plan.selectors import Membership
from pytest_phases.stages.items import StageItem

MARKER = "phase"


@dataclass(frozen=True, slots=True)
class Placement:
    """The plan with its markers, and the phase or stream of each item asked about."""

    plan: Plan
    marks: tuple[PhaseMark, ...]
    phases: dict[pytest.Item, str]
    problems: tuple[Problem, ...]


class Placer:
    """Places items again and again (late modules bring more) against one plan.

    What the plan's selectors matched is remembered over all calls.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._membership = Membership(plan)
        self._expressions = Expressions(self._membership.expressions)
        self._marks: dict[PhaseMark, None] = {}
        self._read_marks: dict[int, tuple[pytest.Mark, PhaseMark]] = {}

    def place(
        self, items: Sequence[pytest.Item], mistaken: Callable[[str, Selector], bool] = lambda *_: False
    ) -> Placement:
        """The phase of every item.

        `mistaken` is asked of each selector without a match, and its phase, whether that is a mistake.
        """
        closest = {item: mark for item in _worth_a_look(items) if (mark := self._closest(item)) is not None}
        plan, problems = merge(self.plan, tuple(self._marks))
        if not problems:
            problems = check(plan)
        phases = {item: self._phase_of(item, closest.get(item)) for item in items}
        problems += self._membership.problems_where(mistaken)
        return Placement(plan, tuple(self._marks), phases, problems)

    def phase_of_file(self, path: str) -> str:
        """The phase of a module that could not be imported, by the plan alone."""
        return self._membership.phase_of_file(path)

    def _phase_of(self, item: pytest.Item, mark: PhaseMark | None) -> str:
        if isinstance(item, StageItem):
            return item.phase
        marked = phase_id(mark) if mark is not None else None
        return self._membership.phase_of(
            item.nodeid,
            lambda number: self._expressions.match(item, number),
            marked=UNPHASED if isinstance(marked, Problem) else marked,
        )

    def _closest(self, item: pytest.Item) -> PhaseMark | None:
        """The mark that decides; all of them are noted, since each may say something of its phase."""
        marks = [self._read(node, mark) for node, mark in _phase_marks(item)]
        self._marks.update(dict.fromkeys(marks))
        return marks[0] if marks else None

    def _read(self, node: pytest.Item | pytest.Collector, mark: pytest.Mark) -> PhaseMark:
        """One use of the marker: all items of a class or module share the object."""
        known = self._read_marks.get(id(mark))
        if known is None:
            # The mark is kept beside what it says, so that its id is never that of another one.
            known = self._read_marks[id(mark)] = (mark, PhaseMark.of(mark.args, mark.kwargs, _place(node)))
        return known[1]


def has_phase_mark(items: Iterable[pytest.Item]) -> bool:
    """Whether any item carries a phase marker."""
    return any(next(_phase_marks(item), None) is not None for item in _worth_a_look(items))


def _worth_a_look(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """The items that may have phase markers; what stands above many of them is asked only once."""
    above: dict[object, bool] = {None: False}

    def is_marked(node: Any) -> bool:
        return any(mark.name == MARKER for mark in node.own_markers) or is_marked_above(node.parent)

    def is_marked_above(node: Any) -> bool:
        if node not in above:
            above[node] = is_marked(node)
        return above[node]

    return (item for item in items if is_marked(item) or isinstance(item, pytest.DoctestItem))


def _phase_marks(item: pytest.Item) -> Iterator[tuple[pytest.Item | pytest.Collector, pytest.Mark]]:
    """The phase markers of an item with the nodes they stand on, the closest first."""
    # pytest lists those of a parameter after those of the function, and they are closer.
    of_parameters = [mark for mark in _parameter_marks(item) if mark.name == MARKER]
    yield from ((item, mark) for mark in of_parameters)
    found = bool(of_parameters)
    for node, mark in item.iter_markers_with_node(MARKER):
        found = True
        assert isinstance(node, pytest.Item | pytest.Collector)
        if mark not in of_parameters:
            yield node, mark
    if not found and isinstance(item, pytest.DoctestItem) and item.parent is not None:
        # pytest gives doctests no marks of their module, so `pytestmark` is looked up here.
        yield from ((item.parent, mark) for mark in _module_marks(item))


def _parameter_marks(item: pytest.Item) -> Iterable[pytest.Mark]:
    return getattr(getattr(item, "callspec", None), "marks", ())


def _module_marks(item: pytest.DoctestItem) -> Iterator[pytest.Mark]:
    marks = item.dtest.globs.get("pytestmark", ())
    for mark in marks if isinstance(marks, (list, tuple)) else (marks,):
        found = getattr(mark, "mark", mark)
        if isinstance(found, pytest.Mark) and found.name == MARKER:
            yield found


def _place(node: pytest.Item | pytest.Collector) -> Place:
    """Where a node is defined; modules and folders are their first line."""
    line = node.reportinfo()[1] if hasattr(node, "reportinfo") and "::" in node.nodeid else None
    return Place(node.nodeid.partition("::")[0], (line or 0) + 1)
