"""When phases, sync points and streams open and close."""

from __future__ import annotations

import pytest

BOTH = pytest.mark.parametrize("schedule", ["waves", "flow"])


def test_in_waves_a_phase_waits_for_the_whole_wave_before_it(talk) -> None:
    """Phase 3 needs 1 alone, and yet opens only when 2 is closed too."""
    run = talk("1 2 3<1", "1 2 3", workers="w1 w2")
    assert run.opening == ["1 open", "2 open", "w1: 0", "w2: 1"]
    assert run.ends(0) == ["1 green"]
    assert run.ends(1) == ["2 green", "wave 1 closed", "3 open", "w1: 2"]
    assert run.ends(2) == ["3 green", "wave 2 closed"]
    assert run.core.finished


def test_in_flow_a_phase_waits_for_nothing_but_what_it_needs(talk) -> None:
    """Phase 3 opens the moment 1 is green, while 2 still runs; waves are only counted."""
    run = talk("1 2 3<1", "1 2 3", workers="w1 w2", schedule="flow")
    assert run.ends(0) == ["1 green", "3 open", "w1: 2"]
    assert run.ends(2) == ["3 green"]
    assert run.ends(1) == ["2 green", "wave 1 closed", "wave 2 closed"]
    assert run.core.finished


def test_nothing_happens_before_the_start(talk) -> None:
    """Items and workers are taken in silently; the start is what opens phases."""
    run = talk("1", "1", start=False)
    assert run.before == []
    assert not run.core.finished
    assert run.starts() == ["1 open", "w1: 0"]


@BOTH
def test_an_empty_phase_does_not_block(talk, schedule: str) -> None:
    """A phase without items is empty at once, and what needs it opens."""
    run = talk("1 2<1", "2", schedule=schedule)
    assert run.opening == ["1 open", "1 empty", "wave 1 closed", "2 open", "w1: 0"]


def test_a_phase_in_which_everything_was_skipped_is_empty(talk) -> None:
    """Skips prove nothing: the phase is empty, and what needs it runs."""
    run = talk("1 2<1", "1*2 2")
    assert run.ends(0, 1, outcome="skipped") == ["1 empty", "wave 1 closed", "2 open", "w1: 2"]


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        (("passed", "skipped"), "green"),
        (("xfailed", "skipped"), "green"),
        (("skipped", "skipped"), "empty"),
        (("passed", "failed"), "red"),
        (("error", "passed"), "red"),
    ],
)
def test_the_state_in_which_a_phase_closes(talk, outcomes: tuple[str, str], state: str) -> None:
    """Green needs one pass and nothing bad; one failure or error is red."""
    run = talk("1", "1*2")
    for item, outcome in enumerate(outcomes):
        run.ends(item, outcome=outcome)
    assert run.states == f"1 {state}"


def test_a_phase_remembers_how_long_it_was_open(talk) -> None:
    """Seconds run from opening to closing, by the clock of the events; who never opened has none."""
    run = talk("1 2<1", "1 2")
    run.clock = 2.5
    run.ends(0, outcome="failed")
    assert (run.result("1").seconds, run.result("2").seconds) == (2.5, 0.0)


class TestSyncPoint:
    """A sync point holds everything below it until everything above it is closed."""

    @BOTH
    def test_holds_in_both_schedules(self, talk, schedule: str) -> None:
        """Phase 3 needs nothing, and yet waits for 1 and 2, which stand above the sync point."""
        run = talk("1 2 | 3", "1 2 3", workers="w1 w2", schedule=schedule)
        assert run.ends(0) == ["1 green"]
        assert run.ends(1) == [
            "2 green",
            "wave 1 closed",
            "sync:1 open",
            "sync:1 green",
            "3 open",
            "w1: 2",
        ]

    @BOTH
    def test_does_not_mind_what_is_red_or_blocked(self, talk, schedule: str) -> None:
        """Closed is enough: 1 is red, 2 blocked, and 3 below the sync point runs."""
        run = talk("1 2<1 | 3", "1 2 3", schedule=schedule)
        assert run.ends(0, outcome="failed")[-3:] == ["sync:1 green", "3 open", "w1: 2"]
        assert run.states == "1 red, 2 blocked, 3 open"

    @BOTH
    def test_holds_the_unphased_tests(self, talk, schedule: str) -> None:
        """Tests that nothing places stand below the last sync point."""
        run = talk("1 |", "1 unphased", workers="w1 w2", schedule=schedule)
        assert run.opening == ["1 open", "w1: 0"]
        assert run.ends(0)[-2:] == ["unphased open", "w1: 1"]

    def test_a_red_one_blocks_everything_below_it(self, talk) -> None:
        """A missed threshold blocks what follows, also behind the next sync point, by its name."""
        run = talk("1 | 2 | 3", "1 2 3")
        assert run.fails("sync:1", "coverage 70 is below 80") == [
            "sync:2 blocked",
            "2 blocked",
            "block 1: blocked by sync point S1 (coverage 70 is below 80)",
            "3 blocked",
            "block 2: blocked by sync point S1 (coverage 70 is below 80)",
        ]
        run.ends(0)
        assert run.states == "1 green, 2 blocked, 3 blocked"
        assert run.result("3").reason == "blocked by sync point S1 (coverage 70 is below 80)"
        assert run.core.finished


class TestStreams:
    """Streams run inside their phase, beside each other and beside its own items."""

    def test_open_with_their_phase_and_close_it(self, talk) -> None:
        """A and B open with phase 1, C when its sibling A is green; the phase closes after all."""
        run = talk("1 1/A 1/B 1/C<1/A 2<1", "1 1/A 1/B 1/C 2", workers="w1 w2 w3")
        assert run.opening == ["1 open", "1/A open", "1/B open", "w1: 1", "w2: 2", "w3: 0"]
        assert run.ends(0) == []
        assert run.ends(2) == ["1/B green"]
        assert run.ends(1) == ["1/A green", "1/C open", "w1: 3"]
        assert run.ends(3) == ["1/C green", "1 green", "wave 1 closed", "2 open", "w1: 4"]

    @BOTH
    def test_wait_for_what_their_phase_needs(self, talk, schedule: str) -> None:
        """A stream of phase 2 waits for phase 1 like phase 2 itself."""
        run = talk("1 2<1 2/A", "1 2/A", workers="w1 w2", schedule=schedule)
        assert run.opening == ["1 open", "w1: 0"]
        assert run.ends(0) == ["1 green", "wave 1 closed", "2 open", "2/A open", "w1: 1"]

    def test_a_phase_with_nothing_but_empty_streams_is_empty(self, talk) -> None:
        """Nothing ran in any stream, so nothing is proven."""
        run = talk("1 1/A 1/B<1/A", "")
        assert run.states == "1 empty, 1/A empty, 1/B empty"

    def test_what_passed_in_a_stream_counts_for_the_phase(self, talk) -> None:
        """The phase is green by its streams alone, and its tally includes theirs."""
        run = talk("1 1/A 1/B", "1/A 1/B*2")
        run.ends(0, 1, 2)
        assert run.states == "1 green, 1/A green, 1/B green"
        assert (run.result("1").tests.passed, run.result("1/B").tests.passed) == (3, 2)

    def test_a_red_stream_makes_its_phase_failing_at_once(self, talk) -> None:
        """What needs the stream or its phase is blocked, the other streams go on, the end is red."""
        run = talk("1 1/A 1/B 1/C<1/B 2<1", "1/A 1/B 1/C 2", workers="w1 w2")
        assert run.ends(1, outcome="failed") == [
            "1/B failing",
            "1/C blocked",
            "block 2: blocked by stream 1/B (1 failed)",
            "1 failing",
            "2 blocked",
            "block 3: blocked by phase 1 (1 failed)",
            "1/B red",
        ]
        assert run.states == "1 failing, 1/A open, 1/B red, 1/C blocked, 2 blocked"
        assert run.ends(0)[:2] == ["1/A green", "1 red"]

    def test_another_phase_may_need_a_stream_alone(self, talk) -> None:
        """In flow phase 2 opens when stream 1/A is green, although 1/B is red and 1 not closed."""
        run = talk("1 1/A 1/B 2<1/A", "1 1/A 1/B 2", workers="w1 w2 w3", schedule="flow")
        run.ends(2, outcome="failed")
        assert run.ends(1) == ["1/A green", "2 open", "w1: 3"]


def test_three_thousand_phases_in_a_chain(talk) -> None:
    """A long chain that closes or is blocked in one event needs no deep recursion."""
    chain = " ".join(["1", *(f"{number}<{number - 1}" for number in range(2, 3001))])
    assert talk(chain).core.finished
    run = talk(chain, "1 3000")
    run.ends(0, outcome="failed")
    assert run.result("3000").reason == "blocked by phase 1 (1 failed)"
    assert run.core.finished
