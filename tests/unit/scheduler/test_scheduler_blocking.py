"""What a failure blocks: phases that need it, stages that need it, and nothing else."""

from __future__ import annotations

import pytest

BOTH = pytest.mark.parametrize("schedule", ["waves", "flow"])


@BOTH
def test_a_failure_blocks_at_once_and_transitively(talk, schedule: str) -> None:
    """With the first failed item everything that needs its phase is blocked, by the root's name."""
    run = talk("1 2<1 3<2 4", "1*2 2 3*2 4", workers="w1 w2", schedule=schedule)
    assert run.ends(0, outcome="failed") == [
        "1 failing",
        "2 blocked",
        "block 2: blocked by phase 1 (1 failed)",
        "3 blocked",
        "block 3 4: blocked by phase 1 (1 failed)",
        "w1: 1",
    ]
    assert run.result("3").blocked_by == ("1",)
    assert run.result("3").tests.blocked == 2


def test_everything_else_goes_on(talk) -> None:
    """The rest of the red phase still runs, and so does what does not need it."""
    run = talk("1 2 3<1 4<2", "1*2 2 3 4", workers="w1 w2")
    run.ends(0, outcome="error")
    assert run.states == "1 failing, 2 open, 3 blocked, 4 waiting"
    run.ends(1, 2)
    run.ends(4)
    assert run.states == "1 red, 2 green, 3 blocked, 4 green"
    assert run.core.finished


@pytest.mark.parametrize("outcome", ["passed", "xfailed", "skipped"])
def test_what_is_no_failure_blocks_nobody(talk, outcome: str) -> None:
    """A pass, an expected failure and a skip let the next phase open."""
    run = talk("1 2<1", "1 2")
    assert run.ends(0, outcome=outcome)[-2:] == ["2 open", "w1: 1"]


def test_the_streams_of_a_blocked_phase_are_blocked(talk) -> None:
    """Each for itself, with its own items and the same root."""
    run = talk("1 2<1 2/A", "1 2 2/A")
    assert run.ends(0, outcome="failed")[:5] == [
        "1 failing",
        "2 blocked",
        "block 1: blocked by phase 1 (1 failed)",
        "2/A blocked",
        "block 2: blocked by phase 1 (1 failed)",
    ]


def test_ten_thousand_blocked_items_are_one_decision(talk) -> None:
    """They are reported together, and none is sent to a worker."""
    run = talk("1 2<1", "1 2*10000")
    blocked = next(said for said in run.ends(0, outcome="failed") if said.startswith("block"))
    assert blocked.count(" ") == 10_000 + len("blocked by phase 1 (1 failed)".split())
    assert list(run.sent_to) == [0]


class TestStages:
    """Stages of a phase wait for the stages they need, and for nothing else."""

    def test_a_stage_waits_for_what_it_needs(self, talk) -> None:
        """`use` stands before `build` in the plan and needs it; the test runs beside both."""
        run = talk("1", "1:use<1 1:build 1", workers="w1 w2")
        assert run.opening == ["1 open", "w1: 1", "w2: 2"]
        assert run.ends(1) == ["w1: 0"]

    def test_a_stage_that_needs_two_waits_for_both(self, talk) -> None:
        """The last of those it needs lets it start."""
        run = talk("1", "1:a 1:b 1:c<0,1", workers="w1 w2")
        assert run.ends(0) == []
        assert run.ends(1) == ["w1: 2"]

    def test_a_failed_stage_blocks_the_chain_behind_it(self, talk) -> None:
        """Everything that needs it, directly or not, names the stage that failed; tests go on."""
        run = talk("1", "1:codegen 1:wheel<0 1:check<1 1*2", workers="w1 w2")
        assert run.ends(0, outcome="failed") == [
            "1 failing",
            "block 1 2: blocked by codegen (failed)",
            "w1: 4",
        ]
        assert run.ends(3, 4) == ["1 red", "wave 1 closed"]
        assert run.result("1").stages.blocked == 2

    def test_a_chain_of_two_thousand_stages_is_blocked(self, talk) -> None:
        """A long chain needs no deep recursion."""
        chain = " ".join(["1:s", *(f"1:s<{number}" for number in range(1999))])
        run = talk("1", chain)
        assert run.ends(0, outcome="failed")[-2:] == ["1 red", "wave 1 closed"]
        assert run.result("1").stages.blocked == 1999

    def test_a_crashed_stage_blocks_like_a_failed_one(self, talk) -> None:
        """The worker that ran it is gone, and what needs the stage is blocked."""
        run = talk("1", "1:a 1:b<0", workers="w1 w2")
        assert run.dies("w1", running=0) == [
            "1 failing",
            "block 1: blocked by a (failed)",
            "1 red",
            "wave 1 closed",
        ]

    def test_stages_come_first_and_go_alone(self, talk) -> None:
        """In the order of the plan, before the tests, and nothing is queued behind one."""
        run = talk("1", "1*4 1:a 1:b", workers="w1 w2")
        assert run.opening == ["1 open", "w1: 4", "w2: 5"]
        assert run.ends(4) == ["w1: 0", "w1: 1", "w1: 2"]
        assert run.ends(0, 1, 2) == ["w1: 3"]

    def test_one_needed_by_another_phase_holds_just_that_item(self, talk) -> None:
        """An item may need one of another phase: it is held while its own phase runs."""
        run = talk("1 2", "1:a 2<0 2", workers="w1 w2")
        assert run.opening[-2:] == ["w1: 0", "w2: 2"]
        assert run.ends(2) == []
        assert run.ends(0) == ["1 green", "w1: 1"]

    def test_what_needs_an_item_of_a_blocked_phase_is_blocked(self, talk) -> None:
        """It can never start, so its phase ends without it."""
        run = talk("1 2<1 3", "1 2:a 3 3<1", workers="w1 w2", schedule="flow")
        assert run.ends(0, outcome="failed")[:4] == [
            "1 failing",
            "2 blocked",
            "block 1: blocked by phase 1 (1 failed)",
            "block 3: blocked by phase 1 (1 failed)",
        ]
        assert run.ends(2)[0] == "3 green"


class TestPhaseFailed:
    """A phase can fail for something other than one of its running items."""

    def test_before_it_opens(self, talk) -> None:
        """What needs it is blocked at once; it still opens and runs, failing from the start."""
        run = talk("1 2<1 3<2", "1 2 3")
        assert run.fails("2", "1 collection error") == [
            "3 blocked",
            "block 2: blocked by phase 2 (1 collection error)",
        ]
        assert run.ends(0) == ["1 green", "wave 1 closed", "2 open", "2 failing", "w1: 1"]
        assert run.ends(1) == ["2 red", "wave 2 closed", "wave 3 closed"]
        assert run.result("2").reason == "1 collection error"

    def test_before_the_start(self, talk) -> None:
        """The same holds when nothing has started yet, also for items that are told later."""
        run = talk("1 2<1", "1 2", start=False)
        assert run.fails("1", "no conftest") == ["2 blocked", "block 1: blocked by phase 1 (no conftest)"]
        assert run.finds("2") == ["block 2: blocked by phase 1 (no conftest)"]
        assert run.starts() == ["1 open", "1 failing", "w1: 0"]

    def test_without_items_it_is_red_as_soon_as_it_opens(self, talk) -> None:
        """Nothing of it could be collected, so it opens, fails and closes in one go."""
        run = talk("1 2<1", "1")
        run.fails("2", "cannot be collected")
        assert run.ends(0) == [
            "1 green",
            "wave 1 closed",
            "2 open",
            "2 failing",
            "2 red",
            "wave 2 closed",
        ]

    def test_after_it_has_closed(self, talk) -> None:
        """Green turns red; what had opened by then keeps its own state, what waits is blocked."""
        run = talk("1 2<1 3<1,2", "1 2 3")
        run.ends(0)
        assert run.fails("1", "teardown of fixture db failed") == [
            "1 red",
            "3 blocked",
            "block 2: blocked by phase 1 (teardown of fixture db failed)",
        ]
        run.ends(1)
        assert run.states == "1 red, 2 green, 3 blocked"

    def test_in_a_stream_it_reaches_the_phase(self, talk) -> None:
        """The phase of a failed stream is failing for that reason."""
        run = talk("1 1/A", "1 1/A", workers="w1 w2")
        assert run.fails("1/A", "no compiler") == ["1/A failing", "1 failing"]
        assert run.result("1").reason == "stream 1/A: no compiler"

    def test_reasons_add_up_without_repeating(self, talk) -> None:
        """Two workers may tell the same, and there may be two reasons."""
        run = talk("1", "1")
        for reason in ("a.py", "b.py", "a.py"):
            run.fails("1", reason)
        assert run.result("1").reason == "a.py; b.py"

    def test_for_all_its_items(self, talk) -> None:
        """Those that were not started are blocked, those found later too; what runs ends."""
        run = talk("1 2<1", "1*4 2", workers="w1 w2")
        assert run.fails("1", "no server", for_all=True) == [
            "1 failing",
            "2 blocked",
            "block 4: blocked by phase 1 (no server)",
            "block 3: no server",
        ]
        assert run.finds("1*2") == ["block 5 6: no server"]
        assert run.ends(0, 1, 2) == ["1 red", "wave 1 closed", "wave 2 closed"]

    def test_for_all_items_of_its_streams(self, talk) -> None:
        """Nothing of a phase that failed as a whole is started, in whatever stream it stands."""
        run = talk("1 2<1 2/A 2/B<2/A", "1 2 2/A 2/B")
        assert run.fails("2", "stale", for_all=True) == ["block 1: stale", "block 2: stale", "block 3: stale"]
        assert run.ends(0)[:4] == ["1 green", "wave 1 closed", "2 open", "2 failing"]
        assert run.states == "1 green, 2 red, 2/A empty, 2/B empty"


class TestCleared:
    """Something is looked at when a phase opens, before any of its items may start."""

    def test_items_wait_until_it_is_in_order(self, talk) -> None:
        """The phase is open and nothing of it is sent, its streams included, until it is cleared."""
        run = talk("1 2<1 2/A", "1 2 2/A", workers="w1 w2", uncleared="2")
        assert run.ends(0) == ["1 green", "wave 1 closed", "2 open", "2/A open"]
        assert run.cleared("2") == ["w1: 2", "w2: 1"]

    def test_an_empty_phase_closes_when_it_is_cleared(self, talk) -> None:
        """It cannot be told from one that will fail any sooner."""
        run = talk("1 2<1", "2", uncleared="1")
        assert run.opening == ["1 open"]
        assert run.cleared("1") == ["1 empty", "wave 1 closed", "2 open", "w1: 0"]

    def test_what_is_not_in_order_blocks_all_its_items(self, talk) -> None:
        """The phase is red at once, and nothing of it was started."""
        run = talk("1 2<1", "1*2 2", uncleared="1")
        assert run.fails("1", "missing: app.whl", for_all=True) == [
            "1 failing",
            "2 blocked",
            "block 2: blocked by phase 1 (missing: app.whl)",
            "block 0 1: missing: app.whl",
            "1 red",
            "wave 1 closed",
            "wave 2 closed",
        ]

    def test_clearing_before_it_opens_leaves_nothing_to_wait_for(self, talk) -> None:
        """Early word is as good as late."""
        run = talk("1 2<1", "1 2", uncleared="2")
        assert run.cleared("2") == []
        assert run.ends(0)[-1] == "w1: 1"
