"""What was built is seen before anything that stands behind it runs."""

from __future__ import annotations

import pytest

BOTH = pytest.mark.parametrize("schedule", ["waves", "flow"])


@BOTH
def test_workers_refresh_before_they_run_what_stands_behind_a_stage(talk, schedule: str) -> None:
    """Each worker that would run an item of phase 2 first sees what phase 1 built."""
    run = talk("1 2<1", "1:build 2*4", workers="w1 w2", schedule=schedule)
    assert run.ends(0) == ["1 green", "wave 1 closed", "2 open", "w1: refresh 1", "w2: refresh 1"]
    assert run.core.generation == 1
    assert run.refreshed("w1", 1) == ["w1: 1", "w1: 2", "w1: 3"]
    assert run.refreshed("w2", 1) == ["w2: 4"]


@BOTH
@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_also_behind_a_sync_point(talk, schedule: str, outcome: str) -> None:
    """What is below a sync point stands behind the stages above it, even if they failed."""
    run = talk("1 | 2", "1:build 2", schedule=schedule)
    assert run.ends(0, outcome=outcome)[-3:] == ["sync:1 green", "2 open", "w1: refresh 1"]


def test_also_behind_a_stage_two_phases_away(talk) -> None:
    """Phase 3 needs 2, which needs 1; 2 has tests alone, and one refresh serves both."""
    run = talk("1 2<1 3<2", "1:build 2 3")
    run.ends(0)
    assert run.refreshed("w1", 1) == ["w1: 1"]
    assert run.ends(1) == ["2 green", "wave 2 closed", "3 open", "w1: 2"]


def test_also_behind_the_stage_of_a_sibling_stream(talk) -> None:
    """Stream B needs A, and A has a stage."""
    run = talk("1 1/A 1/B<1/A", "1/A:build 1/B")
    assert run.ends(0) == ["1/A green", "1/B open", "w1: refresh 1"]


@pytest.mark.parametrize(
    ("plan", "items"),
    [
        pytest.param("1 2<1", "1 2", id="there is no stage"),
        pytest.param("1 2 3<2", "2 3 1:build", id="the stage is beside it"),
        pytest.param("1 2<1", "1 2:build 2", id="the stage is its own"),
        pytest.param("1 2<1 3", "1 2 3:build", id="nothing stands behind it"),
    ],
)
def test_no_refresh_where_no_stage_stands_before(talk, plan: str, items: str) -> None:
    """Only a stage that ends before a phase opens can change what it sees."""
    run = talk(plan, items, workers="w1 w2", schedule="flow")
    said = [*run.opening]
    ended = 0
    while ended < len(run.sent_to):
        said += run.ends([*run.sent_to][ended])
        ended += 1
    assert run.core.finished
    assert "refresh" not in " ".join(said)


def test_a_worker_that_has_seen_it_is_not_asked_again(talk) -> None:
    """A new worker collects everything as it is now, and so needs no refresh."""
    run = talk("1 2<1", "1:build 2*3")
    run.ends(0)
    run.dies("w1")
    assert run.joins("w2", generation=1) == ["w2: 1 2 3"]


def test_a_new_worker_that_has_not_seen_it_is_asked(talk) -> None:
    """Its generation says that it began to collect before the stage had ended."""
    run = talk("1 2<1", "1:build 2*4")
    run.ends(0)
    assert run.joins("w2", generation=0) == ["w2: refresh 1"]


def test_a_busy_worker_is_not_asked(talk) -> None:
    """A worker that holds items of another phase ends them first."""
    run = talk("1 2<1 3", "1:build 2*4 3*2", workers="w1 w2", schedule="flow")
    assert run.opening[-2:] == ["w1: 0", "w2: 5"]
    assert run.ends(0) == ["1 green", "2 open", "w1: refresh 1"]
    assert run.ends(5) == ["w2: 6"]
    assert run.ends(6)[-1] == "w2: refresh 1"


def test_a_phase_opens_at_the_generation_of_that_moment(talk) -> None:
    """In flow phase 3 needs what 1 built; that 2 builds later asks nothing of it."""
    run = talk("1 2 3<1", "1:a 2:b 3*3", workers="w1 w2", schedule="flow")
    run.ends(0)
    run.refreshed("w1", 1)
    assert run.ends(1)[0] == "2 green"
    assert run.core.generation == 2
    assert "refresh" not in "".join(run.ends(2))


class TestLateItems:
    """Modules that import what is built can be collected only behind it."""

    def test_a_module_is_replaced_by_what_it_holds(self, talk) -> None:
        """One idle worker is asked, and what it found is then run; the module itself never is."""
        run = talk("1 2<1", "1:build 2?")
        assert run.ends(0) == ["1 green", "wave 1 closed", "2 open", "w1: refresh 1"]
        assert run.finds("2*2") == []
        assert run.loses(1) == []
        assert run.refreshed("w1", 1) == ["w1: 2 3"]
        assert run.ends(2, 3) == ["2 green", "wave 2 closed"]

    def test_exactly_one_worker_settles_what_a_phase_has(self, talk) -> None:
        """Phase 2 has no known item, so one worker looks, and the others are left alone."""
        run = talk("1 2<1 3<2", "1:build 3", workers="w1 w2 w3")
        assert run.ends(0) == ["1 green", "wave 1 closed", "2 open", "w1: refresh 1"]
        assert run.refreshed("w1", 1) == ["2 empty", "wave 2 closed", "3 open", "w1: 1"]

    def test_another_worker_looks_when_that_one_dies(self, talk) -> None:
        """The question is asked until somebody has answered it."""
        run = talk("1 2<1", "1:build", workers="w1 w2")
        assert run.ends(0)[-1] == "w1: refresh 1"
        assert run.dies("w1") == ["w2: refresh 1"]
        assert run.refreshed("w2", 1) == ["2 empty", "wave 2 closed"]

    def test_a_new_worker_settles_as_well(self, talk) -> None:
        """One that collected after the stage had ended has answered the question."""
        run = talk("1 2<1", "1:build")
        run.ends(0)
        run.dies("w1")
        assert run.joins("w2", generation=1) == ["2 empty", "wave 2 closed"]

    def test_a_module_that_is_still_missing_makes_its_phase_red(self, talk) -> None:
        """When everything was seen and a module was neither replaced nor lost, it cannot be collected."""
        run = talk("1 2<1 3<2", "1:build 2? 2 3")
        run.ends(0)
        assert run.refreshed("w1", 1) == [
            "2 failing",
            "3 blocked",
            "block 3: blocked by phase 2 (1 test module not collected)",
            "w1: 2",
        ]

    def test_a_module_with_no_stage_before_it_fails_as_its_phase_opens(self, talk) -> None:
        """Nothing will ever be built for it, so nothing is waited for."""
        run = talk("1 2<1", "1? 1? 2")
        assert run.opening[:2] == ["1 open", "1 failing"]
        assert run.states == "1 red, 2 blocked"
        assert run.result("1").reason == "2 test modules not collected"

    def test_items_that_are_no_longer_collected_are_forgotten(self, talk) -> None:
        """What a build took away is neither run nor reported, and does not hold its phase."""
        run = talk("1 2<1", "1:build 2*3")
        run.ends(0)
        assert run.loses(1, 3) == []
        assert run.refreshed("w1", 1) == ["w1: 2"]
        assert run.ends(2) == ["2 green", "wave 2 closed"]
        assert run.result("2").tests.passed == 1

    def test_an_item_that_is_lost_while_it_is_queued_may_still_run(self, talk) -> None:
        """The worker that holds it collected it, and runs it; when that one dies, it is gone."""
        run = talk("1", "1*3", workers="w1 w2")
        assert run.opening == ["1 open", "w1: 0", "w2: 1"]
        assert run.loses(0, 1) == []
        assert run.ends(0) == ["w1: 2"]
        assert run.dies("w2") == []
        assert run.ends(2) == ["1 green", "wave 1 closed"]
        assert run.result("1").tests.passed == 2

    def test_what_needs_a_lost_item_is_blocked(self, talk) -> None:
        """It can never start, so it is reported and does not hold its phase."""
        run = talk("1", "1:a<1 1:b<2 1:c 1:d<0")
        assert run.loses(1) == ["block 0 3: blocked by b (no longer collected)"]
        assert run.ends(2) == ["1 green", "wave 1 closed"]

    def test_a_late_item_that_needs_what_has_ended(self, talk) -> None:
        """It is ready at once if that passed, and blocked if it failed."""
        run = talk("1", "1:good 1:bad 1", workers="w1 w2 w3")
        run.ends(0)
        run.ends(1, outcome="failed")
        assert run.finds("1:x<0 1:y<1 1:z<4") == [
            "block 4: blocked by bad (failed)",
            "block 5: blocked by bad (failed)",
            "w1: 3",
        ]

    def test_items_found_for_a_closed_phase_are_reported(self, talk) -> None:
        """They never run; the reason says why, and a blocked phase keeps its own."""
        run = talk("1 2 3<2", "2", schedule="flow")
        assert run.finds("1*2") == ["block 1 2: collected only after phase 1 had closed"]
        run.ends(0, outcome="failed")
        assert run.finds("3") == ["block 3: blocked by phase 2 (1 failed)"]
        assert run.result("3").tests.blocked == 1
        assert run.result("1").state == "empty"
