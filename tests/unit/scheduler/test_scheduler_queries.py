"""What the core answers between two events, without changing anything."""

from __future__ import annotations

import pytest


@pytest.fixture
def run(talk):
    """A run in which phase 1 has built something and 2 is about to look at it."""
    run = talk("1 2<1 3", "1:build 2*2 2? 3*2", workers="w1 w2")
    run.ends(0)
    return run


def test_what_was_not_given_to_a_worker(run) -> None:
    """Tests and stages that are held or ready; a module is no item that could start."""
    assert run.sent_to.keys() == {0, 4, 5}
    assert run.core.unstarted() == [1, 2]


def test_what_stands_behind_stages(run) -> None:
    """Phase 2 may still change with what was built, until it is closed; 1 and 3 may not."""
    assert run.core.behind_stages() == ["2"]
    assert [run.core.may_change(phase) for phase in "123"] == [False, True, False]


def test_what_is_closed(run) -> None:
    """Phase 1 is, the others are not yet."""
    assert [run.core.is_closed(phase) for phase in "123"] == [True, False, False]


def test_how_often_something_was_built(run) -> None:
    """A phase that ran a stage counts once, when it is closed."""
    assert run.core.generation == 1
