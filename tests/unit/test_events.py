"""What a run tells its observers."""

from __future__ import annotations

import pytest

from pytest_phases.events import Outcome, PhaseChanged, PhaseResult, State, Tally, title


@pytest.mark.parametrize(
    ("state", "closed", "satisfies"),
    [
        (State.WAITING, False, False),
        (State.OPEN, False, False),
        (State.FAILING, False, False),
        (State.GREEN, True, True),
        (State.EMPTY, True, True),
        (State.RED, True, False),
        (State.BLOCKED, True, False),
        (State.INTERRUPTED, True, False),
    ],
)
def test_states(state: State, closed: bool, satisfies: bool) -> None:
    """Closed means that nothing more runs; only green and empty let others open."""
    assert (state.closed, state.satisfies) == (closed, satisfies)


def test_bad_outcomes() -> None:
    """Failures and errors make a phase red, and nothing else does."""
    assert [outcome for outcome in Outcome if outcome.bad] == [Outcome.FAILED, Outcome.ERROR]


@pytest.mark.parametrize(
    ("tally", "text"),
    [
        (Tally(), "nothing ran"),
        (Tally(passed=1), "1 passed"),
        (Tally(passed=3, skipped=2, failed=1), "3 passed, 2 skipped, 1 failed"),
        (Tally(error=1), "1 error"),
        (Tally(error=2, blocked=4), "2 errors, 4 blocked"),
    ],
)
def test_a_tally_in_words(tally: Tally, text: str) -> None:
    """Counts that are not zero, in pytest's words."""
    assert str(tally) == text


def test_tallies_add_up() -> None:
    """The total of several is summed by outcome; of none it is empty."""
    total = Tally.total((Tally(passed=1, failed=2), Tally(passed=3, error=1)))
    assert total == Tally(passed=4, failed=2, error=1)
    assert total.bad == 3
    assert Tally.total(()) == Tally()


@pytest.mark.parametrize(
    ("kind", "node_id", "name", "expected"),
    [
        ("phase", "2", "", "phase 2"),
        ("phase", "2", "Module A", "phase 2 (Module A)"),
        ("stream", "1/A", "Model routing", "stream 1/A (Model routing)"),
        ("sync point", "sync:1", "Contracts frozen", "sync point (Contracts frozen)"),
        ("sync point", "sync:1", "", "sync point"),
        ("unphased", "unphased", "", "the unphased tests"),
    ],
)
def test_titles(kind: str, node_id: str, name: str, expected: str) -> None:
    """Every message calls a thing the same."""
    assert title(kind, node_id, name) == expected
    change = PhaseChanged(node_id, name, kind, State.WAITING, State.OPEN, Tally(), "", 1, 0.0)
    result = PhaseResult(node_id, name, kind, State.GREEN, "", 1, Tally(), Tally(), 0.0)
    assert (change.title, result.title) == (expected, expected)
