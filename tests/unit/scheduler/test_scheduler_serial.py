"""Serial phases, beside which nothing runs, and unphased tests, which fill gaps."""

from __future__ import annotations

import pytest

BOTH = pytest.mark.parametrize("schedule", ["waves", "flow"])


@BOTH
def test_a_serial_phase_waits_until_nothing_runs(talk, schedule: str) -> None:
    """Phase 2 is open from the start, and gets its turn when 1 and 3 have nothing left."""
    run = talk("1 2! 3", "1 2*2 3", workers="w1 w2", schedule=schedule)
    assert run.opening == ["1 open", "2 open", "3 open", "w1: 0", "w2: 3"]
    assert run.ends(0) == ["1 green"]
    assert run.ends(3) == ["3 green", "w1: 1 2"]


def test_nothing_runs_beside_it_until_it_is_closed(talk) -> None:
    """In flow phase 2 opens when stream 1/A is green, and is held until serial phase 1 is closed."""
    run = talk("1! 1/A 2<1/A", "1*2 1/A 2", workers="w1 w2", schedule="flow")
    assert run.opening == ["1 open", "1/A open", "w1: 2", "w1: 0 1"]
    assert run.ends(2) == ["1/A green", "2 open"]
    assert run.ends(0) == []
    assert run.ends(1) == ["1 green", "wave 1 closed", "w1: 3"]


def test_its_items_run_one_after_another_on_one_worker(talk) -> None:
    """They are queued on the worker that is at it, whose fixtures stay alive; the other one waits."""
    run = talk("1!", "1*40", workers="w1 w2")
    assert run.ends(*range(40)) == ["1 green", "wave 1 closed"]
    assert run.sent_to == dict.fromkeys(range(40), "w1")


def test_its_stages_run_one_after_another_too(talk) -> None:
    """Stages are never queued behind one another, so each is sent when the one before it is done."""
    run = talk("1!", "1:a 1:b 1", workers="w1 w2")
    assert run.opening == ["1 open", "w1: 0"]
    assert run.ends(0) == ["w1: 1"]
    assert run.ends(1) == ["w1: 2"]


def test_it_comes_before_unphased_tests(talk) -> None:
    """While a serial phase waits for its turn no filler is started, and none beside it."""
    run = talk("1 2!", "1*2 2 unphased*2", workers="w1 w2")
    assert run.opening == ["1 open", "2 open", "unphased open", "w1: 0", "w2: 1"]
    assert run.ends(0) == []
    assert run.ends(1) == ["1 green", "w1: 2"]
    assert run.ends(2) == ["2 green", "wave 1 closed", "w1: 3", "w2: 4"]


def test_in_waves_it_is_not_starved(talk) -> None:
    """The next wave cannot begin before the serial phase of this one had its turn."""
    run = talk("1 2! 3<1", "1 2 3*9", workers="w1 w2")
    assert run.ends(0) == ["1 green", "w1: 1"]
    assert run.ends(1)[:3] == ["2 green", "wave 1 closed", "3 open"]


def test_two_serial_phases_take_turns(talk) -> None:
    """One is held until it is closed, then the other gets its turn."""
    run = talk("1! 2!", "1*2 2", workers="w1 w2")
    assert run.opening[-1] == "w1: 0 1"
    assert run.ends(0) == []
    assert run.ends(1) == ["1 green", "w1: 2"]


def test_the_streams_of_a_serial_phase_share_its_turn(talk) -> None:
    """They exclude everything but one another and their phase, and also run on one worker at a time."""
    run = talk("1! 1/A 1/B<1/A 2", "1 1/A 1/B 2", workers="w1 w2", schedule="flow")
    assert run.opening == ["1 open", "2 open", "1/A open", "w1: 3"]
    assert run.ends(3) == ["2 green", "w1: 1", "w1: 0"]
    assert run.ends(1) == ["1/A green", "1/B open", "w1: 2"]
    assert run.ends(0) == []
    assert run.ends(2) == ["1/B green", "1 green", "wave 1 closed"]


def test_a_serial_stream_holds_no_longer_than_itself(talk) -> None:
    """Its phase is not serial: when the stream is closed, the phase's other items run side by side."""
    run = talk("1 1/A! 1/B<1/A", "1/A*2 1/B*2", workers="w1 w2")
    assert run.opening[-1] == "w1: 0 1"
    run.ends(0)
    assert run.ends(1) == ["1/A green", "1/B open", "w1: 2", "w2: 3"]


def test_it_goes_on_with_another_worker(talk) -> None:
    """When its worker dies the turn is not lost, and still nothing runs beside it."""
    run = talk("1! 2", "1*3 2", workers="w1 w2", schedule="flow")
    run.ends(3)
    assert run.dies("w1", running=0) == ["1 failing", "w2: 1 2"]
    assert run.joins("w3") == []


@BOTH
def test_unphased_tests_run_when_a_worker_would_idle(talk, schedule: str) -> None:
    """They need nothing and wait for no wave, but everything else comes first."""
    run = talk("1 2<1", "1 2*2 unphased*2", workers="w1 w2", schedule=schedule)
    assert run.opening == ["1 open", "unphased open", "w1: 0", "w2: 3"]
    assert run.ends(0) == ["1 green", "wave 1 closed", "2 open", "w1: 1"]
    assert run.ends(3) == ["w2: 2"]
    assert run.ends(1) == ["w1: 4"]
    assert run.ends(2, 4) == ["unphased green"]
    assert run.core.finished


def test_a_red_unphased_test_blocks_nobody(talk) -> None:
    """It counts for the gate and for the unphased tests alone."""
    run = talk("1", "1 unphased", workers="w1 w2")
    assert run.ends(1, outcome="failed") == ["unphased failing", "unphased red"]
    assert run.states == "1 open, unphased red"


def test_without_unphased_tests_no_result_speaks_of_them(talk) -> None:
    """The results name phases and streams; unphased tests only where there are some."""
    assert [result.id for result in talk("1", "1").core.results()] == ["1"]
    assert [result.id for result in talk("1", "1 unphased").core.results()] == ["1", "unphased"]
