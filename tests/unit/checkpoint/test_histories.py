"""Random histories: whatever happened, what is resumed is what running it would give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_phases.checkpoint.decide import Mode
from pytest_phases.events import Outcome
from pytest_phases.evidence import DependencyKind

UNITS = ("1", "2", "3", "3/A", "3/B", "4")
NEEDS = {"1": [], "2": ["1"], "3": ["1"], "3/A": ["1"], "3/B": ["1", "3/A"], "4": ["2", "3", "3/A", "3/B"]}
SHARED = "src/shared.py"

FILES = [*(f"src/{unit}.py" for unit in UNITS), SHARED, "tests/test_2.py", "tests/test_3_A.py"]

unit = st.sampled_from(UNITS)
mode = st.sampled_from([None, Mode.RESUME, Mode.TESTS, Mode.TRUST])
edits = st.tuples(st.just("edit"), st.sampled_from(FILES), st.booleans())
partial = st.sets(unit, min_size=1, max_size=3).map(lambda units: {"only": units})
steps = st.one_of(
    edits,
    edits,
    st.tuples(st.just("break"), unit, st.booleans()),
    st.tuples(st.just("add"), unit, st.none()),
    st.tuples(st.just("forget"), st.none(), st.none()),
    st.tuples(st.just("run"), mode, st.just({})),
    st.tuples(st.just("run"), mode, partial),
    st.tuples(st.just("run"), mode, unit.map(lambda unit: {"kill": unit})),
    st.tuples(st.just("run"), mode, unit.map(lambda unit: {"stop": unit})),
)


State = tuple[Any, ...]


class Story:
    """A project with runs, which remembers in which state of the project each test has passed.

    The state of a unit is the content of the files it uses and the states of what it needs, as those were
    when they ran: a unit that did not run has left behind what it had left before.
    """

    def __init__(self, world: Callable[..., Any], one: Callable[..., Any], known: bool) -> None:
        streams = (one("3/A"), one("3/B", "3/A"))
        phases = (one("1"), one("2", "1"), one("3", "1", streams=streams), one("4", "2", "3"))
        uses = {unit: [f"src/{unit}.py"] for unit in UNITS}
        uses["2"].append(SHARED)
        uses["3/B"].append(SHARED)
        self.made = world(*phases, uses=uses, known=known)
        self.ran: dict[str, State] = {}
        self.passed: dict[tuple[str, str], State] = {}

    def take(self, step: tuple[str, Any, Any]) -> None:
        """Do what a step says."""
        what, which, how = step
        if what == "edit":
            self.made.files[which] = "0" if how else f"{self.made.files[which]}1"
        elif what == "break":
            broken = {f"{which}:test_1"}
            self.made.failing = self.made.failing | broken if how else self.made.failing - broken
        elif what == "add":
            self.made.tests[which].append(f"test_{len(self.made.tests[which]) + 1}")
        elif what == "forget":
            del self.made.logs[:1]
        else:
            self.run(which, **how)
        for mode in (Mode.RESUME, Mode.TESTS):
            self.check(self.made.decide(mode))

    def run(self, mode: Mode | None, **how: Any) -> None:
        """Run, and remember what has passed."""
        decided = self.made.run(mode, **how)
        ran = [
            item
            for item in self.made.logs[-1].items
            if item.outcome is not Outcome.BLOCKED and (item.phase, item.nodeid) not in decided.outcomes
        ]
        for unit in UNITS:
            if unit in {item.phase for item in ran}:
                self.ran[unit] = (self.files(unit), *(self.ran.get(needed, ()) for needed in NEEDS[unit]))
        for item in ran:
            if item.outcome is Outcome.PASSED:
                self.passed[item.phase, item.nodeid] = self.ran[item.phase]

    def files(self, unit: str) -> State:
        """What a unit uses itself."""
        return tuple(self.made.files[file] for file in (*self.made.uses[unit], self.made.test_file(unit)))

    def state(self, unit: str) -> State:
        """The state of a unit if everything ran now."""
        return (self.files(unit), *map(self.state, NEEDS[unit]))

    def check(self, decided: Any) -> None:
        """What does not run has passed in a project in which everything it follows from was as it is."""
        for (unit, nodeid), outcome in decided.outcomes.items():
            assert outcome is Outcome.PASSED
            assert self.passed[unit, nodeid] == self.state(unit)
        for row in decided.dependencies:
            if row.kind is not DependencyKind.UNKNOWN and row.kind is not DependencyKind.DEFINITION:
                assert self.made.today(row) == row
        for unit in decided.units:
            assert {key[1] for key in decided.outcomes if key[0] == unit} == set(self.made.nodeids(unit))
            assert set(NEEDS[unit]) <= set(decided.units)
        assert len(decided.why) == (len(UNITS) if self.made.logs else 1)


@pytest.fixture
def story(world: Callable[..., Any], one: Callable[..., Any]) -> Callable[[bool], Story]:
    """A function that begins a story."""
    return lambda known: Story(world, one, known)


EDIT = ("edit", "src/1.py", False)
ONLY_1 = ("run", None, {"only": {"1"}})


@example(history=[EDIT, ONLY_1], known=True)
@example(history=[EDIT, ONLY_1, ("run", Mode.TRUST, {})], known=True)
@example(history=[EDIT, ("run", None, {"kill": "1"}), ("run", Mode.TESTS, {}), EDIT], known=True)
@given(history=st.lists(steps, min_size=2, max_size=15), known=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_resumed_is_what_running_it_would_give(
    story: Callable[[bool], Story], history: list[Any], known: bool
) -> None:
    """After any edits, runs, kills and interruptions, with and without a trace of what tests execute."""
    made = story(known)
    made.take(("run", None, {}))
    for step in history:
        made.take(step)
