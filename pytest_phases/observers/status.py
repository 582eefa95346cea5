"""`PARALLEL_STATUS.json`: what a run is doing, for whoever looks from outside."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.events import (
    ItemEnded,
    ItemStarted,
    LockChanged,
    LockState,
    PhaseChanged,
    RunResult,
    RunStarted,
    State,
)
from pytest_phases.graph import Graph, Node, build
from pytest_phases.model import UNPHASED
from pytest_phases.state.live import STATUS, LiveFiles, shown_time

_WORDS = {
    State.WAITING: "waiting",
    State.OPEN: "in_progress",
    State.FAILING: "failed",
    State.GREEN: "completed",
    State.EMPTY: "completed",
    State.RED: "failed",
    State.BLOCKED: "blocked",
    State.INTERRUPTED: "interrupted",
}
_BAD = (State.FAILING, State.RED)
_ALMOST = 99
"""Per cent of what is not over: more items may be found, and a threshold judged."""

Seconds = Callable[[str], float | None]
"""What the history says of a phase or an item, None if it says nothing."""


@dataclass(frozen=True, slots=True)
class _Task:
    """A phase or stream, as its changes tell it."""

    id: str
    name: str
    paths: tuple[str, ...]
    wave: int
    resumed: str = ""
    state: State = State.WAITING
    reason: str = ""
    lock: str = ""
    started: float | None = None
    completed: float | None = None

    @property
    def status(self) -> str:
        """The word for its state; what waits for a lock alone is about to be handed it."""
        waits = self.lock and self.state in (State.WAITING, State.OPEN)
        return "handoff_pending" if waits else _WORDS[self.state]


@dataclass(slots=True)
class _Progress:
    """How far a phase or stream has come, its streams included; times in seconds of history."""

    done: int = 0
    total: int = 0
    shown: int = 0
    expected: float | None = None
    spent: float = 0.0
    agents: frozenset[str] = frozenset()

    def percent(self, state: State) -> int:
        """Whole per cent of its items that ran; never less than has been said."""
        if state in (State.GREEN, State.EMPTY):
            self.shown = 100
        elif self.total:
            most = 100 if state.closed else _ALMOST
            self.shown = max(self.shown, min(100 * self.done // self.total, most))
        return self.shown


@dataclass(frozen=True, slots=True)
class _Worker:
    """What a worker does, or did last in a phase it has not left; its item takes `typical` seconds."""

    name: str
    phase: str
    item: str | None
    since: float
    typical: float = 0.0

    def to_data(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "item": self.item,
            "phase": self.phase if self.item is not None else None,
            "since": shown_time(self.since),
        }


class StatusFile:
    """Keeps the file up to date from when the run starts until it ends.

    `expected` says how many seconds all items of a phase or stream take, `typical` how many one item takes;
    both are asked in the main thread. The thread that writes finds each task and worker whole: they are
    replaced, never changed. A folder that cannot be written is said once, in the summary, and changes no
    outcome. `files` are there for others that follow the run in the same folder.
    """

    def __init__(
        self,
        folder: Path,
        expected: Seconds = lambda phase: None,
        typical: Seconds = lambda nodeid: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.files = LiveFiles(folder)
        self._expected = expected
        self._typical = typical
        self._now = now
        self._run: RunStarted | None = None
        self._graph = Graph({}, ())
        self._state = "running"
        self._started = 0.0
        self._tasks: dict[str, _Task] = {}
        self._progress: dict[str, _Progress] = {}
        self._states: dict[str, State] = {}
        self._before: dict[str, frozenset[str]] = {}
        self._workers: dict[str, _Worker] = {}

    # What happens -------------------------------------------------------------------------------

    @pytest.hookimpl
    def pytest_phases_run_started(self, event: RunStarted) -> None:
        """Every phase and stream is a task."""
        self._run, self._started, self._graph = event, self._now(), build(event.plan)
        resumed = dict(event.resumed)
        for unit in event.plan.units():
            wave = self._graph.nodes[unit.id].wave
            self._add(_Task(unit.id, unit.name, unit.modifies, wave, resumed.get(unit.id, "")))
        self.files.show(STATUS, self._data)

    @pytest.hookimpl
    def pytest_phases_phase_changed(self, event: PhaseChanged) -> None:
        """A task has a new status; the unphased tests are one if there are any."""
        self._states[event.id] = event.new
        if event.id == UNPHASED and event.items and UNPHASED not in self._tasks:
            self._add(_Task(UNPHASED, "", (), event.wave))
        task = self._tasks.get(event.id)
        if task is None:
            return
        progress = self._progress[event.id]
        progress.total = event.items
        progress.done = event.tally.count - event.tally.blocked
        progress.agents |= set(event.agents)
        if event.new is State.OPEN:
            progress.expected = self._expected(event.id)
        now = self._now()
        self._tasks[event.id] = replace(
            task,
            state=event.new,
            reason=event.reason,
            started=now if event.new is State.OPEN else task.started,
            completed=now if event.new.closed else None,
        )
        self.files.changed(STATUS)

    @pytest.hookimpl
    def pytest_phases_item_started(self, event: ItemStarted) -> None:
        """A worker does something else."""
        for progress in self._of(event.phase):
            if event.worker not in progress.agents:
                progress.agents |= {event.worker}
        typical = self._typical(event.nodeid) or 0.0
        self._workers[event.worker] = _Worker(event.worker, event.phase, event.nodeid, self._now(), typical)
        self.files.changed(STATUS)

    @pytest.hookimpl
    def pytest_phases_item_ended(self, event: ItemEnded) -> None:
        """A worker is idle until it starts the next item."""
        typical = self._typical(event.nodeid)
        for progress in self._of(event.phase):
            progress.done += 1
            progress.spent += event.duration if typical is None else typical
        # One that died of its item is known to be gone before its item is known to have failed.
        if event.worker in self._workers:
            self._workers[event.worker] = _Worker(event.worker, event.phase, None, self._now())
        self.files.changed(STATUS)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker that has ended does nothing any more; one that takes its place has a name of its own."""
        if self._workers.pop(node.gateway.id, None) is not None:
            self.files.changed(STATUS)

    @pytest.hookimpl
    def pytest_phases_lock_changed(self, event: LockChanged) -> None:
        """A phase waits for its locks, or waits no longer."""
        task = self._tasks.get(event.holder)
        if task is not None:
            lock = ""
            if event.state is LockState.WAITING:
                names = ", ".join(map(str, event.claims))
                lock = f"waits for {names}, held by {event.waits_for or 'another run'}"
            self._tasks[event.holder] = replace(task, lock=lock)
            self.files.changed(STATUS)

    @pytest.hookimpl
    def pytest_phases_run_finished(self, result: RunResult) -> None:
        """The last word."""
        stopped = any(phase.state is State.INTERRUPTED for phase in result.phases)
        self._finish("interrupted" if stopped else "finished")

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        """The last word of a run that pytest could not bring to its end."""
        if self._run is not None and self._state == "running":
            self._finish("interrupted")

    def _add(self, task: _Task) -> None:
        self._progress[task.id] = _Progress()
        self._tasks[task.id] = task

    def _of(self, unit: str) -> Iterator[_Progress]:
        """The progress of a phase or stream, and of the phase it is a part of."""
        part_of = self._graph.nodes[unit].part_of
        for each in (unit, part_of) if part_of is not None else (unit,):
            if each in self._progress:
                yield self._progress[each]

    def _finish(self, state: str) -> None:
        self._state = state
        self._workers.clear()
        self.files.finish(STATUS)

    # What is shown ----------------------------------------------------------------------------------

    def _data(self) -> dict[str, Any]:
        assert self._run is not None
        now = self._now()
        tasks, workers = list(self._tasks.values()), list(self._workers.values())
        running = [task for task in tasks if not task.state.closed]
        waves = (task.wave for task in running if task.id != UNPHASED)
        red = [node for node in self._graph.nodes.values() if self._states.get(node.id) in _BAD]
        return {
            "execution_id": self._run.run_id,
            "state": self._state,
            "pid": os.getpid(),
            "phase": [task.id for task in running if task.state is not State.WAITING],
            "wave": min(waves, default=len(self._run.waves)),
            "started": shown_time(self._started),
            "updated": shown_time(now),
            "tasks": [self._task_data(task, workers, red, now) for task in tasks],
            "workers": [worker.to_data() for worker in workers],
        }

    def _task_data(self, task: _Task, workers: list[_Worker], red: list[Node], now: float) -> dict[str, Any]:
        progress = self._progress[task.id]
        return {
            "id": task.id,
            "name": task.name,
            "agent": ", ".join(sorted(progress.agents)),
            "status": task.status,
            "percent": progress.percent(task.state),
            "remaining": self._remaining(task, workers, now),
            "paths": list(task.paths),
            "started": shown_time(task.started),
            "completed": shown_time(task.completed),
            "reason": task.lock if task.status == "handoff_pending" else task.reason,
            "blocked_by": self._blockers(task.id, red) if task.state is State.BLOCKED else [],
            "resumed": task.resumed,
        }

    def _remaining(self, task: _Task, workers: list[_Worker], now: float) -> int | None:
        """Seconds left of an open task if the workers that are on it stay; None if there is no telling."""
        progress = self._progress[task.id]
        if task.state.closed:
            return 0
        if progress.expected is None or task.state is State.WAITING:
            return None
        nodes = self._graph.nodes
        on_it = [each for each in workers if task.id in (each.phase, nodes[each.phase].part_of)]
        begun = sum(min(each.typical, max(0.0, now - each.since)) for each in on_it if each.item is not None)
        left = max(0.0, progress.expected - progress.spent - begun)
        return math.ceil(left / max(1, len(on_it)))

    def _blockers(self, task: str, red: list[Node]) -> list[str]:
        """What is red before a task; a stream only where its phase is not named."""
        if task not in self._before:
            self._before[task] = self._graph.ancestors(task)
        found = {node.id: node.part_of for node in red if node.id in self._before[task]}
        return [node for node, part_of in found.items() if part_of not in found]
