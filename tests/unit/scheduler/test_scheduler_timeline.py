"""How parallel a wave was in fact, from what ran when."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from pytest_phases.events import WaveResult
from pytest_phases.graph import build
from pytest_phases.model import Plan
from pytest_phases.scheduler.timeline import Timeline


@pytest.fixture
def timeline(plan: Callable[[str], Plan]) -> Callable[..., Timeline]:
    """`timeline("1 2", "1 w1 0 2", "2 w2 1 3")`: the plan, and who ran what from when to when."""

    def record(text: str, *rows: str) -> Timeline:
        recorded = Timeline(build(plan(text)))
        for row in rows:
            phase, worker, start, stop = row.split()
            recorded.ran(phase, worker, float(start), float(stop))
        return recorded

    return record


def test_two_phases_side_by_side(timeline) -> None:
    """Two workers, both busy all the time: concurrency is two and nothing is idle."""
    waves = timeline("1 2", "1 w1 10 12", "2 w2 10 12").waves(2)
    assert waves == (WaveResult(1, ("1", "2"), 2.0, 2.0, 0.0, ()),)


def test_two_phases_one_after_another(timeline) -> None:
    """Half of two workers' time was idle, and the pair is named."""
    waves = timeline("1 2", "1 w1 0 1", "2 w2 1 2").waves(2)
    assert waves == (WaveResult(1, ("1", "2"), 2.0, 1.0, 0.5, (("1", "2"),)),)


def test_each_wave_for_itself(timeline) -> None:
    """Phases of different waves were never planned in parallel."""
    first, second = timeline("1 2<1", "1 w1 0 1", "2 w1 1 4").waves(2)
    assert (first.number, first.seconds, first.sequential) == (1, 1.0, ())
    assert (second.number, second.seconds, second.sequential) == (2, 3.0, ())


def test_a_gap_between_two_items_is_idle(timeline) -> None:
    """One worker that waits for half of the wave was busy for half of it."""
    (wave,) = timeline("1", "1 w1 0 1", "1 w1 3 4").waves(1)
    assert (wave.seconds, wave.concurrency, wave.idle) == (4.0, 0.5, 0.5)


def test_items_of_other_waves_keep_workers_busy(timeline) -> None:
    """In flow a later phase runs beside the wave: it fills idle time, cut to the wave's span."""
    first, _ = timeline("1 2<1", "1 w1 0 4", "2 w2 3 9").waves(2)
    assert first.concurrency == 1.0
    assert first.idle == pytest.approx(1 - (4 + 1) / 8)


def test_unphased_tests_keep_workers_busy(timeline) -> None:
    """They belong to no wave, and yet whoever runs one is not idle."""
    (wave,) = timeline("1", "1 w1 0 2", "unphased w2 -5 1").waves(2)
    assert wave.phases == ("1",)
    assert wave.idle == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("rows", "sequential"),
    [
        pytest.param(("1 w1 0 2", "2 w2 1 3"), (), id="they overlap"),
        pytest.param(("1 w1 0 9", "2 w2 1 3"), (), id="one within the other"),
        pytest.param(("1 w1 0 1", "2 w2 2 3"), (("1", "2"),), id="with a gap"),
        pytest.param(("2 w1 0 1", "1 w2 1 2"), (("1", "2"),), id="in the other order, named as planned"),
        pytest.param(("1 w1 0 1",), (), id="only one ran"),
        pytest.param(("1 w1 0 1", "1 w1 4 5", "2 w2 2 3"), (), id="one in a gap of the other"),
        pytest.param(("1 w1 0 1", "2 w1 1 2", "1 w1 2 3"), (("1", "2"),), id="in turns on one worker"),
        pytest.param(("1 w1 1 1", "2 w2 1 1"), (), id="too short to tell"),
        pytest.param(("1 w1 0 0.05", "2 w2 1 3"), (), id="over before a second worker could help"),
    ],
)
def test_what_was_planned_in_parallel_and_was_not(timeline, rows, sequential) -> None:
    """A pair is named if both ran items and never at the same time."""
    (wave,) = timeline("1 2", *rows).waves(2)
    assert wave.sequential == sequential


def test_with_one_worker_everything_is_in_turn(timeline) -> None:
    """The pair is named all the same: it was planned in parallel."""
    (wave,) = timeline("1 2", "1 w1 0 1", "2 w1 1 2").waves(1)
    assert wave.sequential == (("1", "2"),)


def test_what_is_over_in_no_time_is_not_named(timeline) -> None:
    """A phase of less than a tenth of a second would not have gained by a second worker."""
    (wave,) = timeline("1 2", "1 w1 0 0.09", "2 w2 1 9").waves(2)
    assert wave.sequential == ()


def test_serial_phases_are_not_planned_in_parallel(timeline) -> None:
    """A serial phase has to run alone, so it is no news that it did."""
    (wave,) = timeline("1 2! 3", "1 w1 0 1", "2 w1 1 2", "3 w2 0 1").waves(2)
    assert wave.sequential == ()


def test_phases_that_exclude_each_other_are_not_planned_in_parallel(timeline) -> None:
    """They take turns because of a lock; it is told of 1 and 3, which could have run side by side."""
    (wave,) = timeline("1[db] 2[db] 3", "1 w1 0 1", "2 w2 1 2", "3 w2 2 3").waves(2)
    assert wave.sequential == (("1", "3"), ("2", "3"))


def test_streams_count_for_their_phase(timeline) -> None:
    """The span and the work of phase 1 are those of its streams, and so is what overlaps with 2."""
    (wave,) = timeline("1 1/A 1/B 2", "1/A w1 0 2", "1/B w2 0 3", "2 w1 2 3").waves(2)
    assert wave == WaveResult(1, ("1", "2"), 3.0, 2.0, 0.0, ())


def test_sibling_streams_are_planned_in_parallel(timeline) -> None:
    """A pair without a dependency between them is named, one with a dependency, direct or not, is not."""
    rows = ("1/A w1 0 1", "1/B w1 1 2", "1/C w2 2 3", "1/D w2 3 4")
    (wave,) = timeline("1 1/A 1/B<1/A 1/C<1/B 1/D", *rows).waves(2)
    assert wave.sequential == (("1/A", "1/D"), ("1/B", "1/D"), ("1/C", "1/D"))


def test_a_wave_in_which_nothing_ran(timeline) -> None:
    """It took no time, and no figure divides by it; nor if all happened within one tick of the clock."""
    first, second = timeline("1 2<1", "1 w1 3 3").waves(2)
    assert first == WaveResult(1, ("1",), 0.0, 0.0, 0.0, ())
    assert second == WaveResult(2, ("2",), 0.0, 0.0, 0.0, ())
    assert timeline("").waves(2) == ()


def test_a_clock_far_from_zero(timeline) -> None:
    """Seconds since 1970 cost no precision in the idle share."""
    recorded = timeline("1")
    for each in range(1000):
        recorded.ran("1", "w1", 1.7e9 + each, 1.7e9 + each + 1)
    (wave,) = recorded.waves(1)
    assert wave.idle == pytest.approx(0.0, abs=1e-9)


def test_a_hundred_thousand_items_cost_little_memory(timeline) -> None:
    """Two numbers an item: a few megabytes for a hundred thousand, whatever is asked of it."""
    recorded = timeline("1 2")
    tracemalloc.start()
    for each in range(100_000):
        recorded.ran("12"[each % 2], f"w{each % 2}", each, each + 1.5)
    recorded.waves(2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16_000_000
