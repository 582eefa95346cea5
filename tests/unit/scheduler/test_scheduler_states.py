"""The life of a phase: every pair of state and trigger, and news that are none."""

from __future__ import annotations

import pytest

from pytest_phases.events import State
from pytest_phases.scheduler.protocol import ItemFinished, Outcome, Started, WorkerGone
from pytest_phases.scheduler.states import TRANSITIONS, Trigger, after

# The same life drawn as a grid; a dot changes nothing.
GRID = """
             opens   fails    ends_with_passes  ends_without  is_blocked  stops
waiting      open    .        .                 .             blocked     interrupted
open         .       failing  green             empty         .           interrupted
failing      .       .        red               red           .           red
green        .       red      .                 .             .           .
red          .       .        .                 .             .           .
empty        .       red      .                 .             .           .
blocked      .       .        .                 .             .           .
interrupted  .       red      .                 .             .           .
"""


def cells() -> list[tuple[State, Trigger, State]]:
    """Every cell of the grid as (state, trigger, state that follows)."""
    head, *rows = [line.split() for line in GRID.strip().splitlines()]
    return [
        (State(state), Trigger[trigger.upper()], State(state if cell == "." else cell))
        for state, *row in rows
        for trigger, cell in zip(head, row, strict=True)
    ]


@pytest.mark.parametrize(("state", "trigger", "expected"), cells())
def test_every_pair(state: State, trigger: Trigger, expected: State) -> None:
    """Each state answers each trigger as the grid says, and a missing row changes nothing."""
    assert after(state, trigger) is expected


def test_the_grid_knows_every_state_and_trigger() -> None:
    """No pair escapes the grid, and the table has no row that changes nothing."""
    assert {(state, trigger) for state, trigger, _ in cells()} == {(s, t) for s in State for t in Trigger}
    assert all(old is not new for (old, _), new in TRANSITIONS.items())


@pytest.mark.parametrize("state", State)
def test_nothing_leads_back_to_work(state: State) -> None:
    """What is closed is never open again."""
    followers = {after(state, trigger) for trigger in Trigger}
    assert not state.closed or all(follower.closed for follower in followers)


def test_old_news_changes_nothing(talk) -> None:
    """Starting twice, failing twice and stopping twice are answered with silence."""
    run = talk("1 2<1", "1*2 2")
    assert run.tell(Started(0.0)) == []
    assert run.fails("1", "no database") == [
        "1 failing",
        "2 blocked",
        "block 2: blocked by phase 1 (no database)",
    ]
    assert run.fails("1", "no database") == []
    assert run.result("1").reason == "no database"
    assert run.stops() == ["1 red"]
    assert run.stops() == []


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(ItemFinished("w9", 0, Outcome.PASSED, 0.1, 1.0), id="a worker nobody knows"),
        pytest.param(ItemFinished("w1", 2, Outcome.PASSED, 0.1, 1.0), id="an item the worker was not sent"),
        pytest.param(WorkerGone("w9", None, 1.0), id="an unknown worker is gone"),
    ],
)
def test_what_cannot_have_happened_is_an_error_and_changes_nothing(talk, event) -> None:
    """An event that contradicts what the core knows is refused loudly, and the run goes on as if unsaid."""
    run = talk("1 2<1", "1*2 2")
    with pytest.raises(KeyError):
        run.tell(event)
    assert run.states == "1 open, 2 waiting"
    assert run.ends(0, 1) == ["1 green", "wave 1 closed", "2 open", "w1: 2"]
