"""Thresholds: a phase or sync point that has one ends when it is judged, and not before."""

from __future__ import annotations

import pytest

BOTH = pytest.mark.parametrize("schedule", ["waves", "flow"])


@BOTH
def test_a_phase_is_judged_when_its_last_item_is_done(talk, schedule: str) -> None:
    """Until then it stays open, and what needs it waits."""
    run = talk("1 2<1", "1*2 2", judged="1", schedule=schedule)
    assert run.ends(0) == []
    assert run.ends(1) == ["judge 1"]
    assert run.states == "1 open, 2 waiting"


@BOTH
def test_a_reached_threshold_closes_the_phase_green(talk, schedule: str) -> None:
    """What needs it opens at once."""
    run = talk("1 2<1", "1 2", judged="1", schedule=schedule)
    run.ends(0)
    said = run.judges("1")
    assert (said[0], said[-2:]) == ("1 green", ["2 open", "w1: 1"])


@BOTH
def test_a_missed_threshold_makes_the_phase_red_and_blocks(talk, schedule: str) -> None:
    """What needs it is blocked at once, with what was missed as the reason."""
    run = talk("1 2<1", "1 2", judged="1", schedule=schedule)
    run.ends(0)
    said = run.judges("1", "coverage 80 %, required 85 %")
    assert "block 1: blocked by phase 1 (coverage 80 %, required 85 %)" in said
    assert run.states == "1 red, 2 blocked"
    assert run.result("1").reason == "coverage 80 %, required 85 %"


def test_a_failing_phase_is_judged_too(talk) -> None:
    """The figure is worth having, and both are named."""
    run = talk("1", "1*2", judged="1")
    run.ends(0)
    assert run.ends(1, outcome="failed") == ["1 failing", "judge 1"]
    run.judges("1", "coverage 80 %, required 85 %")
    assert run.result("1").reason == "1 failed, coverage 80 %, required 85 %"


def test_a_phase_of_which_nothing_passed_is_not_judged(talk) -> None:
    """It is empty, which proves nothing and blocks nobody."""
    run = talk("1 2<1", "1 2", judged="1")
    assert "judge 1" not in run.ends(0, outcome="skipped")
    assert run.states == "1 empty, 2 open"


def test_a_phase_with_streams_is_judged_after_them(talk) -> None:
    """Each stream when it is done, and the phase when all are."""
    run = talk("1 1/A 1/B", "1/A 1/B", workers="w1 w2", judged="1 1/A 1/B")
    assert run.ends(0) == ["judge 1/A"]
    run.judges("1/A")
    assert run.ends(1) == ["judge 1/B"]
    assert "judge 1" in run.judges("1/B")
    run.judges("1")
    assert run.states == "1 green, 1/A green, 1/B green"


def test_a_stream_that_missed_its_threshold_makes_its_phase_red(talk) -> None:
    """Although the phase as a whole may reach its own."""
    run = talk("1 1/A 1/B", "1/A 1/B", workers="w1 w2", judged="1 1/A")
    run.ends(0)
    run.judges("1/A", "coverage 10 %, required 85 %")
    run.ends(1)
    run.judges("1")
    assert run.states == "1 red, 1/A red, 1/B green"


@BOTH
def test_a_sync_point_is_judged_when_everything_above_is_closed(talk, schedule: str) -> None:
    """Its own threshold is what makes it red, and then everything below is blocked."""
    run = talk("1 2 | 3", "1 2 3 unphased", workers="w1 w2", judged="sync:1", schedule=schedule)
    run.ends(0)
    assert "judge sync:1" in run.ends(1)
    said = run.judges("sync:1", "coverage 80 %, required 85 %")
    assert "sync:1 red" in said
    assert run.states == "1 green, 2 green, 3 blocked, unphased blocked"


def test_a_sync_point_is_judged_whatever_has_become_of_the_phases_above(talk) -> None:
    """Red phases are closed too; the sync point has no part in that."""
    run = talk("1 | 2", "1 2", judged="sync:1")
    assert "judge sync:1" in run.ends(0, outcome="failed")
    run.judges("sync:1")
    assert run.states == "1 red, 2 open"


def test_it_is_asked_for_once(talk) -> None:
    """Nothing that happens in between asks again."""
    run = talk("1 2", "1 2*2", workers="w1 w2", judged="1")
    assert run.ends(0) == ["judge 1", "w1: 2"]
    assert run.ends(1) == []
    run.fails("1", "a teardown")
    assert run.judges("1")[0] == "1 red"


def test_a_stopped_run_judges_nothing_more(talk) -> None:
    """What was not done is interrupted, whatever its coverage."""
    run = talk("1", "1*2", judged="1")
    run.stops()
    run.ends(0)
    assert run.states == "1 interrupted"
