"""Workers come, hold a fair share, and go; runs are stopped."""

from __future__ import annotations

from pytest_phases.scheduler.priority import FIRST, LOOKAHEAD


def span(start: int, stop: int) -> str:
    """The numbers from `start` up to `stop`, as they are sent."""
    return " ".join(map(str, range(start, stop)))


def test_a_crash_fails_the_running_item_once_and_puts_the_others_back_first(talk) -> None:
    """What the worker had not started goes to the others, before anything else."""
    run = talk("1 2<1", "1*3 2", workers="w1")
    assert run.opening == ["1 open", "w1: 0 1 2"]
    assert run.finds("1") == []
    assert run.dies("w1", running=0) == ["1 failing", "2 blocked", "block 3: blocked by phase 1 (1 failed)"]
    assert run.result("1").tests.failed == 1
    assert run.joins("w2") == ["w2: 1 2 4"]


def test_a_worker_that_ends_between_two_items_loses_nothing(talk) -> None:
    """No item took it down, so no item fails."""
    run = talk("1", "1*2")
    assert run.dies("w1") == []
    assert run.joins("w2") == ["w2: 0 1"]
    assert run.ends(0, 1) == ["1 green", "wave 1 closed"]


def test_a_crash_on_the_last_item_of_a_wave_ends_the_wave(talk) -> None:
    """The item failed, so the phase is red and the next wave is blocked: the run ends."""
    run = talk("1 2<1", "1 2")
    assert run.dies("w1", running=0) == [
        "1 failing",
        "2 blocked",
        "block 1: blocked by phase 1 (1 failed)",
        "1 red",
        "wave 1 closed",
        "wave 2 closed",
    ]
    assert run.core.finished


def test_all_workers_gone_then_a_new_one(talk) -> None:
    """Without workers the run waits, and the next one takes it up where it was."""
    run = talk("1 2<1", "1*2 2", workers="w1 w2")
    run.dies("w1")
    run.dies("w2")
    assert not run.core.finished
    assert run.joins("w3") == ["w3: 1 0"]
    run.ends(0, 1, 2)
    assert run.states == "1 green, 2 green"


def test_a_late_worker_takes_part(talk) -> None:
    """A worker that joins in the middle gets its share at once."""
    run = talk("1", "1*100")
    assert run.opening == ["1 open", f"w1: {span(0, FIRST)}"]
    assert run.joins("w2")[0] == f"w2: {span(FIRST, 2 * FIRST)}"


def test_a_batch_is_a_fair_share(talk) -> None:
    """At the start each worker gets a few, in turn, and most stays on the board."""
    run = talk("1", "1*100", workers="w1 w2")
    assert run.opening == ["1 open", f"w1: {span(0, FIRST)}", f"w2: {span(FIRST, 2 * FIRST)}"]


def test_short_items_are_sent_in_larger_batches(talk) -> None:
    """As soon as a mean is known a worker holds so many seconds of work, the one that ends included."""
    run = talk("1", "1*1000", workers="w1 w2")
    wanted = int(LOOKAHEAD / 0.002)
    assert run.ends(0, took=0.002) == [f"w1: {span(2 * FIRST, FIRST + 1 + wanted)}"]


def test_one_worker_may_hold_all_that_is_left(talk) -> None:
    """Nobody else could take it, so nothing is kept back."""
    assert talk("1", "1*3").opening == ["1 open", "w1: 0 1 2"]


def test_the_last_items_are_not_queued_behind_others(talk) -> None:
    """With fewer ready items than workers the one who is free first takes the next."""
    run = talk("1", "1*3", workers="w1 w2")
    assert run.opening == ["1 open", "w1: 0", "w2: 1"]
    assert run.ends(1) == ["w2: 2"]


def test_workers_spread_over_the_phases_of_a_wave(talk) -> None:
    """Each phase gets a worker before one gets two, so that they run side by side."""
    run = talk("1 2 3", "1*4 2*4 3*4", workers="w1 w2 w3")
    assert [said.partition(" ")[0] for said in run.opening[3:6]] == ["w1:", "w2:", "w3:"]
    assert [run.sent_to[item] for item in (0, 4, 8)] == ["w1", "w2", "w3"]


def test_who_has_nothing_is_served_first(talk) -> None:
    """What becomes ready goes to the idle worker, not behind what the one that was heard of runs."""
    run = talk("1", "1*4 1<0*2", workers="w1 w2")
    assert run.opening == ["1 open", "w1: 0", "w2: 1", "w1: 2"]
    assert run.ends(1) == ["w2: 3"]
    assert run.ends(3) == []
    assert run.ends(0) == ["w2: 4"]


class TestStopped:
    """A run that is stopped starts nothing more."""

    def test_nothing_more_is_sent(self, talk) -> None:
        """What is in flight ends, what was not started is interrupted, and then the run is over."""
        run = talk("1 2<1", "1*9 2", workers="w1 w2")
        in_flight = tuple(run.sent_to)
        assert run.stops() == ["1 interrupted", "2 interrupted"]
        assert not run.core.finished
        assert run.ends(*in_flight) == []
        assert run.joins("w3") == []
        assert run.core.finished

    def test_nobody_is_asked_to_refresh(self, talk) -> None:
        """What was built is of no interest any more."""
        run = talk("1 2<1", "1:build 2?", workers="w1 w2")
        assert run.ends(0)[-1] == "w1: refresh 1"
        assert run.stops() == ["2 interrupted"]
        assert run.refreshed("w1", 0) == []

    def test_what_fails_afterwards_still_counts(self, talk) -> None:
        """An item in flight that fails makes its phase red; nobody is left to be blocked."""
        run = talk("1 2<1", "1*2 2")
        run.stops()
        assert run.ends(0, outcome="failed") == ["1 red"]
        assert run.states == "1 red, 2 interrupted"

    def test_a_failing_phase_ends_red(self, talk) -> None:
        """It was red already, and stopping does not make it less so."""
        run = talk("1", "1*9")
        run.ends(0, outcome="failed")
        assert run.stops() == ["1 red"]

    def test_a_phase_that_failed_before_it_opened_ends_red(self, talk) -> None:
        """It never opened, but what is known of it is not forgotten."""
        run = talk("1 2<1", "1 2")
        run.fails("2", "1 collection error")
        run.stops()
        assert run.states == "1 interrupted, 2 red"

    def test_a_worker_that_goes_afterwards_ends_the_run(self, talk) -> None:
        """Nothing is waited for that nobody runs, and what it held is not given to others."""
        run = talk("1", "1*9", workers="w1 w2")
        run.stops()
        run.dies("w1", running=0)
        assert run.dies("w2") == []
        assert run.core.finished

    def test_items_found_afterwards_are_neither_run_nor_reported(self, talk) -> None:
        """They share the lot of everything that was not started."""
        run = talk("1", "1")
        run.stops()
        assert run.finds("1*2") == []
        assert run.loses(1) == []
