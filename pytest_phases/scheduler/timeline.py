"""What ran when: how parallel each wave was in fact, beside what was planned."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, chain, combinations
from operator import sub

from pytest_phases.events import WaveResult
from pytest_phases.graph import Graph
from pytest_phases.scheduler.locks import exclude

WORTH_TELLING = 0.1
"""Seconds of work: a phase with less is over before a second worker could be of any help."""


@dataclass(frozen=True, slots=True)
class _Span:
    """From a first start to a last stop, the seconds of work between them, and who did it."""

    start: float
    stop: float
    busy: float
    workers: frozenset[str]

    def __add__(self, other: _Span) -> _Span:
        return _Span(
            min(self.start, other.start),
            max(self.stop, other.stop),
            self.busy + other.busy,
            self.workers | other.workers,
        )

    @property
    def seconds(self) -> float:
        return self.stop - self.start

    def apart(self, other: _Span) -> bool:
        """Whether one was over before the other began, or one worker did both in turn.

        Two that are no longer than the same tick of the clock are given the benefit of the doubt.
        """
        first, second = sorted((self, other), key=lambda span: (span.start, span.stop))
        in_turn = len(self.workers | other.workers) == 1
        return in_turn or (first.stop <= second.start and first.start < second.start)


@dataclass(slots=True)
class _Record:
    """When the items of one phase or stream started and stopped, and who ran any of them."""

    starts: array[float] = field(default_factory=lambda: array("d"))
    stops: array[float] = field(default_factory=lambda: array("d"))
    workers: set[str] = field(default_factory=set)

    def span(self) -> _Span:
        busy = sum(map(sub, self.stops, self.starts))
        return _Span(min(self.starts), max(self.stops), busy, frozenset(self.workers))


class Timeline:
    """Records every item that ran, and counts only at the end; costs 16 bytes an item."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._records: dict[str, _Record] = {}
        self._spans: dict[str, _Span] = {}

    def ran(self, phase_id: str, worker: str, start: float, stop: float) -> None:
        """An item of a phase or stream ran from `start` to `stop`, in seconds of any common clock."""
        record = self._records.get(phase_id)
        if record is None:
            record = self._records[phase_id] = _Record()
        record.starts.append(start)
        record.stops.append(stop)
        record.workers.add(worker)

    def waves(self, workers: int) -> tuple[WaveResult, ...]:
        """What each wave came to on this many workers; a wave in which nothing ran took no time."""
        records = self._records.values()
        self._spans = {phase: record.span() for phase, record in self._records.items()}
        work = _Work(
            array("d", chain.from_iterable(record.starts for record in records)),
            array("d", chain.from_iterable(record.stops for record in records)),
        )
        return tuple(
            self._wave(number, phases, workers, work)
            for number, phases in enumerate(self._graph.waves, start=1)
        )

    def _wave(self, number: int, phases: tuple[str, ...], workers: int, work: _Work) -> WaveResult:
        span = _union(self._of_phase(phase) for phase in phases)
        sequential = tuple(self._sequential(phases))
        if span is None or not span.seconds:
            return WaveResult(number, phases, 0.0, 0.0, 0.0, sequential)
        done = work.before(span.stop) - work.before(span.start)
        idle = max(0.0, 1.0 - done / (workers * span.seconds))
        return WaveResult(number, phases, span.seconds, span.busy / span.seconds, idle, sequential)

    def _of_phase(self, phase: str) -> _Span | None:
        """A phase with its streams."""
        return _union(self._spans.get(unit) for unit in (phase, *self._graph.nodes[phase].parts))

    def _sequential(self, phases: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        """The pairs that were planned in parallel and ran one after another, in the order of the plan."""
        yield from self._apart({phase: self._of_phase(phase) for phase in phases})
        for phase in phases:
            yield from self._apart({part: self._spans.get(part) for part in self._graph.nodes[phase].parts})

    def _apart(self, spans: dict[str, _Span | None]) -> Iterator[tuple[str, str]]:
        nodes = self._graph.nodes
        ran = [(unit, span) for unit, span in spans.items() if span is not None and not nodes[unit].serial]
        for (unit, span), (other, other_span) in combinations(ran, 2):
            # Those that exclude each other were not planned in parallel.
            take_turns = exclude(nodes[unit].claims, nodes[other].claims)
            worth_telling = min(span.busy, other_span.busy) >= WORTH_TELLING and not take_turns
            if worth_telling and span.apart(other_span) and not self._ordered(unit, other):
                yield unit, other

    def _ordered(self, unit: str, other: str) -> bool:
        return unit in self._graph.ancestors(other) or other in self._graph.ancestors(unit)


class _Work:
    """The seconds of work that all items together had done at a moment.

    An item has done min(moment, stop) - start of its work, if it has started. Summed over all
    items that needs no more than the sorted starts and stops and their running sums.
    """

    def __init__(self, starts: array[float], stops: array[float]) -> None:
        # Counted from the first start, so that a clock far from zero costs no precision.
        self._origin = min(starts, default=0.0)
        self._starts = array("d", sorted(start - self._origin for start in starts))
        self._stops = array("d", sorted(stop - self._origin for stop in stops))
        self._start_sums = array("d", accumulate(self._starts, initial=0.0))
        self._stop_sums = array("d", accumulate(self._stops, initial=0.0))

    def before(self, moment: float) -> float:
        """In seconds, from the first start to this moment."""
        moment -= self._origin
        started, stopped = bisect_left(self._starts, moment), bisect_left(self._stops, moment)
        since_start = started * moment - self._start_sums[started]
        since_stop = stopped * moment - self._stop_sums[stopped]
        return since_start - since_stop


def _union(spans: Iterable[_Span | None]) -> _Span | None:
    union: _Span | None = None
    for span in spans:
        if span is not None:
            union = span if union is None else union + span
    return union
