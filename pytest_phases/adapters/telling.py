"""What follows from decisions without any worker: hooks are called, and it is written down."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_phases.adapters.collaborators import Prepared, Record
from pytest_phases.adapters.items import Items
from pytest_phases.adapters.unrun import BLOCKED, RESUMED, report_unrun
from pytest_phases.events import (
    ItemEnded,
    ItemStarted,
    LockChanged,
    Outcome,
    PhaseChanged,
    PhaseResult,
    State,
    WaveClosed,
)
from pytest_phases.evidence import ItemRecord, WaveRecord
from pytest_phases.graph import Graph, Kind
from pytest_phases.scheduler.core import Core
from pytest_phases.scheduler.protocol import Block, Holder, Lock, Resume, Send


class Telling:
    """Tells hooks and the record of what the core decides and what workers do.

    `ended` and `blocked` are the phases and streams that are closed, and of them those that never
    will open, for workers that collect later.
    """

    def __init__(
        self,
        config: pytest.Config,
        record: Record,
        *,
        core: Core,
        graph: Graph,
        items: Items,
        prepared: Prepared,
        now: Callable[[], float],
    ) -> None:
        self.ended: list[str] = []
        self.blocked: list[str] = []
        self._config = config
        self._core = core
        self._graph = graph
        self._items = items
        self._prepared = prepared
        self._record = record
        self._now = now
        self._queues: dict[str, deque[int]] = {}
        self._tell: dict[type, Callable[[Any], None]] = {
            Block: self._block,
            Resume: self._resume,
            Lock: self._lock,
            PhaseChanged: self._phase_changed,
            WaveClosed: self._wave_closed,
        }

    def tell(self, decision: object) -> bool:
        """Tell of a decision; False if there is more to do about it than to tell."""
        tell = self._tell.get(type(decision))
        if tell is not None:
            tell(decision)
        return tell is not None

    # Items that no worker runs ------------------------------------------------------------------

    def _block(self, block: Block) -> None:
        self._report_unrun(block.items, block.reason, BLOCKED)
        for number in block.items:
            self._write_down(number, Outcome.BLOCKED)

    def _resume(self, resume: Resume) -> None:
        self._report_unrun(resume.items, "resumed: it has passed in an earlier run", RESUMED)
        for number in resume.items:
            item, outcome = self._items.expected(number), self._items[number].outcome
            assert outcome is not None
            self._write_down(number, outcome, self._prepared.durations.get((item.phase, item.name), 0.0))

    def _report_unrun(self, numbers: Iterable[int], reason: str, mark: str) -> None:
        report_unrun(self._config, (self._items.nodeids[number] for number in numbers), reason, mark)

    def _write_down(self, number: int, outcome: Outcome, duration: float = 0.0, worker: str = "") -> None:
        item = self._items.expected(number)
        self._record.ended(ItemRecord(item.name, item.phase, item.kind, outcome, duration, worker))

    # Items that workers run. They run what they were sent in order: the first unfinished one is running ----

    def sent(self, send: Send) -> None:
        """A worker was sent items."""
        queue = self._queues.setdefault(send.worker, deque())
        was_idle = not queue
        queue.extend(send.items)
        if was_idle:
            self._started(send.worker, queue[0])

    def item_ended(self, worker: str, number: int, outcome: Outcome, duration: float) -> None:
        """A worker is through with an item."""
        self._write_down(number, outcome, duration, worker)
        item = self._items[number]
        prepared = self._prepared
        if prepared.witness is not None:
            prepared.witness.ran(item.phase, worker)
        if prepared.judge is not None:
            for part in prepared.judge.expect(item.phase, worker):
                self._record.expect_part(*part)
        nodeid = self._items.nodeids[number]
        event = ItemEnded(nodeid, item.phase, worker, outcome, duration, self._now())
        self._config.hook.pytest_phases_item_ended(config=self._config, event=event)
        queue = self._queues.get(worker)
        if queue and queue[0] == number:
            queue.popleft()
            if queue:
                self._started(worker, queue[0])

    def gone(self, worker: str, running: int | None) -> None:
        """A worker has ended, perhaps because of the item it was running."""
        if running is not None:
            self.item_ended(worker, running, Outcome.FAILED, 0.0)
            if self._prepared.witness is not None:
                self._prepared.witness.gone(self._items[running].phase, worker)
        self._queues.pop(worker, None)

    def _started(self, worker: str, number: int) -> None:
        event = ItemStarted(self._items.nodeids[number], self._items[number].phase, worker, self._now())
        self._config.hook.pytest_phases_item_started(config=self._config, event=event)

    # Phases, waves and locks -----------------------------------------------------------------------

    def _phase_changed(self, event: PhaseChanged) -> None:
        if event.new.closed and not event.old.closed:
            self.ended.append(event.id)
        if event.new is State.BLOCKED:
            self.blocked.append(event.id)
        self._config.hook.pytest_phases_phase_changed(config=self._config, event=event)
        nobody = event.kind == Kind.UNPHASED.value and not event.items
        if event.new.closed and event.kind != Kind.SYNC.value and not nobody:
            self._record.phase_closed(self.with_origin(self._core.result(event.id)))
            if event.id not in self._prepared.resumed:
                self._find_out(event.id)

    def _find_out(self, phase: str) -> None:
        """What a phase has depended on is known when it closes."""
        witness, judge = self._prepared.witness, self._prepared.judge
        if judge is not None:
            judge.write(phase)
        if witness is None:
            return
        if judge is not None:
            witness.measured(phase, judge.executed(phase))
        witness.closed(phase, self._items.test_files(phase))

    def with_origin(self, result: PhaseResult) -> PhaseResult:
        """Say of a phase that was resumed, with all of its streams, where it was run."""
        resumed = self._prepared.resumed
        units: Sequence[str] = (result.id, *self._graph.nodes[result.id].parts)
        if not result.state.satisfies or not resumed or not all(unit in resumed for unit in units):
            return result
        return replace(result, resumed=resumed[result.id])

    def _wave_closed(self, event: WaveClosed) -> None:
        self._record.wave_closed(WaveRecord(event.number, event.phases, event.time))
        self._config.hook.pytest_phases_wave_closed(config=self._config, event=event)

    def _lock(self, lock: Lock) -> None:
        event = LockChanged(
            self._holder(lock.holder),
            lock.worker,
            lock.claims,
            lock.state,
            self._now(),
            "" if lock.waits_for is None else self._holder(lock.waits_for),
        )
        self._config.hook.pytest_phases_lock_changed(config=self._config, event=event)

    def _holder(self, holder: Holder) -> str:
        return self._items.nodeids[holder] if isinstance(holder, int) else holder
