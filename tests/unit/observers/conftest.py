"""A plan whose run the observers follow, and a clock that goes only when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.events import PhaseChanged, RunStarted, State, Tally
from pytest_phases.graph import build
from pytest_phases.plan.read import read_plan

PLAN = """\
### Phase 1: First
dependencies: []
modifies: [src/]
tests: [test_a.py]
#### Stream A: Part
tests: [test_part.py]
### Phase 2: Second
dependencies: [1]
tests: [test_b.py]
### Phase 3: Third
dependencies: [2]
tests: [test_c.py]
"""


class Clock:
    """A clock on the wall that stands still, ten seconds into a new age."""

    now = 10.0

    def __call__(self) -> float:
        """What time it is, in seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of the observers."""
    return Clock()


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., RunStarted]:
    """A function that makes the event of a run that begins; by default that of three phases and a stream."""

    def make(text: str = PLAN, **more: Any) -> RunStarted:
        (tmp_path / "plan.md").write_text(text, encoding="utf-8")
        plan = read_plan(tmp_path / "plan.md", "plan.md")
        return RunStarted("run1", "waves", plan, build(plan).waves, **more)

    return make


@pytest.fixture
def changed() -> Callable[..., PhaseChanged]:
    """A function that makes the event of a phase in a new state, with how many of its items passed."""

    def make(phase: str, new: State, passed: int = 0, items: int = 1, **more: Any) -> PhaseChanged:
        given = {
            "kind": "phase",
            "old": State.WAITING,
            "tally": Tally(passed=passed),
            "reason": "",
            "wave": 1,
        }
        return PhaseChanged(id=phase, name="", new=new, time=0.0, items=items, **{**given, **more})

    return make
