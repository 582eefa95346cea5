"""Items that come with the outcome they had in the run that is resumed."""

from __future__ import annotations

import pytest

BOTH = pytest.mark.parametrize("schedule", ["waves", "flow"])


def test_they_are_counted_when_their_phase_opens(talk) -> None:
    """One decision for the phase, before it closes, and no worker hears of them."""
    run = talk("1 2<1", "1*2=passed 1=skipped 2")
    assert run.opening == ["1 open", "resume 0 1 2", "1 green", "wave 1 closed", "2 open", "w1: 3"]
    assert (run.result("1").tests.passed, run.result("1").tests.skipped) == (2, 1)


def test_the_others_of_the_phase_run(talk) -> None:
    """A phase that was unfinished is taken up where it was."""
    run = talk("1", "1=passed 1*2 1=xfailed")
    assert run.opening == ["1 open", "resume 0 3", "w1: 1 2"]
    assert run.ends(1, 2) == ["1 green", "wave 1 closed"]
    assert run.result("1").tests.count == 4


def test_a_bad_one_makes_its_phase_red(talk) -> None:
    """A failure from before is a failure."""
    run = talk("1 2<1", "1=failed 1 2")
    assert run.opening[:2] == ["1 open", "resume 0"]
    assert run.ends(1)[0] == "1 red"
    assert run.states == "1 red, 2 blocked"


def test_what_needs_them_is_released_or_blocked(talk) -> None:
    """As if they had run; and what is itself resumed does not ask what it needs."""
    run = talk("1", "1:a=passed 1:b=failed 1:c<0 1:d<1 1:e<1=passed 1:f<4")
    assert run.opening == ["1 open", "resume 0 1 4", "1 failing", "block 3: blocked by b (failed)", "w1: 2"]
    assert run.ends(2) == ["w1: 5"]


def test_those_of_a_blocked_phase_are_blocked(talk) -> None:
    """What it depends on is red now, whatever it was then."""
    run = talk("1 2<1", "1 2*2=passed")
    assert "block 1 2: blocked by phase 1 (1 failed)" in run.ends(0, outcome="failed")
    assert run.result("2").tests.blocked == 2


def test_those_of_a_stopped_run_are_left(talk) -> None:
    """A phase that does not open resumes nothing."""
    run = talk("1 2<1", "1 2=passed")
    assert run.stops() == ["1 interrupted", "2 interrupted"]
    assert run.result("2").tests.count == 0


def test_those_that_are_found_late_are_counted_at_once(talk) -> None:
    """Their phase is open already; if it is closed they are blocked like all others."""
    run = talk("1 2", "1 2", workers="w1 w2 w3", schedule="flow")
    assert run.finds("1*2=passed 1") == ["resume 2 3", "w3: 4"]
    run.ends(0, 4)
    assert run.finds("1=passed") == ["block 5: collected only after phase 1 had closed"]


def test_they_do_not_wait_to_be_cleared_but_their_phase_does(talk) -> None:
    """What a phase requires is looked at all the same."""
    run = talk("1", "1=passed", uncleared="1")
    assert run.opening == ["1 open", "resume 0"]
    assert run.cleared("1") == ["1 green", "wave 1 closed"]


def test_their_phase_is_judged(talk) -> None:
    """A threshold is looked at, because what was measured then may be known."""
    run = talk("1", "1=passed", judged="1")
    assert run.opening == ["1 open", "resume 0", "judge 1"]
    assert run.judges("1") == ["1 green", "wave 1 closed"]


def test_a_stream_whose_items_are_all_resumed_closes_its_phase(talk) -> None:
    """A phase is over with its last stream, and the stream that needs this one opens."""
    run = talk("1 1/A 1/B<1/A", "1/A=passed 1/B")
    assert run.opening == ["1 open", "1/A open", "resume 0", "1/A green", "1/B open", "w1: 1"]


class TestStages:
    """A stage that is resumed builds nothing."""

    @BOTH
    def test_what_stands_behind_it_needs_no_refresh(self, talk, schedule: str) -> None:
        """Everything was there when the workers collected."""
        run = talk("1 2<1", "1:build=passed 2", schedule=schedule)
        assert run.opening[-1] == "w1: 1"
        assert run.core.generation == 0
        assert run.core.behind_stages() == []
        assert not run.core.may_change("2")

    def test_one_that_runs_beside_it_counts(self, talk) -> None:
        """Not all stages of the phase were resumed, so something is built."""
        run = talk("1 2<1", "1:a=passed 1:b 2=passed 2")
        assert run.opening == ["1 open", "resume 0", "w1: 1"]
        assert run.ends(1)[-2:] == ["resume 2", "w1: refresh 1"]

    def test_what_is_resumed_behind_one_that_runs_is_settled_by_a_refresh(self, talk) -> None:
        """What was built may have brought new tests, which the phase must not close without."""
        run = talk("1 2<1", "1:build 2=passed")
        assert run.ends(0)[-3:] == ["2 open", "resume 1", "w1: refresh 1"]
        assert run.finds("2") == []
        assert run.refreshed("w1", 1) == ["w1: 2"]

    def test_what_was_built_elsewhere_is_not_waited_for(self, talk) -> None:
        """The stage before phase 2 is no longer collected, and that of 3 is none of its business."""
        run = talk("1 2<1 3", "1 1:build 2=passed 3:build", workers="w1 w2", schedule="flow")
        assert run.opening[-2:] == ["w1: 1", "w2: 3"]
        assert run.ends(3) == ["3 green", "w2: 0"]
        run.dies("w1")
        run.loses(1)
        assert run.ends(0) == ["1 green", "wave 1 closed", "2 open", "resume 2", "2 green", "wave 2 closed"]

    def test_a_module_that_is_missing_is_looked_for_all_the_same(self, talk) -> None:
        """A worker collects it, which tells what is wrong with it; if it does not come the phase is red."""
        run = talk("1 2<1", "1:build=passed 2? 2=passed")
        assert run.opening[-1] == "w1: refresh 1"
        run.refreshed("w1", 1)
        assert run.states == "1 green, 2 red"
        assert run.result("2").reason == "1 test module not collected"

    def test_a_module_that_can_be_collected_then_runs(self, talk) -> None:
        """What stands behind nothing but stages that were resumed may have become whole since."""
        run = talk("1 2<1", "1:build=passed 2?")
        assert run.opening[-1] == "w1: refresh 1"
        run.finds("2")
        run.loses(1)
        assert run.refreshed("w1", 1) == ["w1: 2"]
