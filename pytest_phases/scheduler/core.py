"""The scheduler's core: an event comes in, decisions come out, and nothing else happens.

Nodes of the graph open when what they wait for is closed and green, ready items of open nodes
are handed to workers, outcomes close nodes, and closed nodes open others or block them. The two
schedules differ in one thing: in `waves` a phase also waits for the wave before its own.

What was built. When a node with stages closes, files may have changed, so the `generation`
counts up. A node that stands behind stages runs only on workers that have seen the generation of
the moment it opened: an idle worker is first told to refresh. The first worker that has done so
also settles which items the node has, since modules that import what was built could not be
collected before.

Serial nodes take their turn when nothing else is ready and nothing runs; from then on nothing
but their own items is started, and on one worker at a time, until they are closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from pytest_phases.events import Outcome, PhaseChanged, PhaseResult, State
from pytest_phases.graph import Graph, Kind
from pytest_phases.scheduler import priority
from pytest_phases.scheduler.board import NodeState, Progress, WorkerState
from pytest_phases.scheduler.lifecycle import Lifecycle
from pytest_phases.scheduler.protocol import (
    Decision,
    Event,
    ItemFinished,
    ItemKind,
    ItemsFound,
    ItemsLost,
    PhaseCleared,
    PhaseFailed,
    PhaseJudged,
    Refresh,
    Send,
    Started,
    Stopped,
    WorkerGone,
    WorkerReady,
    WorkerRefreshed,
)


class Core:
    """The state of a run between two events; `handle` is the only thing that changes it."""

    def __init__(
        self,
        graph: Graph,
        schedule: str = "waves",
        uncleared: Iterable[str] = (),
        judged: Iterable[str] = (),
    ) -> None:
        """`uncleared` names phases whose items wait, once they are open, for `PhaseCleared`.

        `judged` names what ends, once everything of it is done, with `PhaseJudged` alone.
        """
        self._out: list[Decision] = []
        self._life = Lifecycle(graph, in_waves=schedule == "waves", emit=self._out.append)
        self._life.uncleared.update(uncleared)
        self._life.unjudged.update(judged)
        self._workers: dict[str, WorkerState] = {}
        self._running = 0
        self._exclusive: str | None = None
        self._handlers: dict[type, Callable[[Any], None]] = {
            Started: self._started,
            WorkerReady: self._worker_ready,
            WorkerRefreshed: self._worker_refreshed,
            WorkerGone: self._worker_gone,
            ItemsFound: self._items_found,
            ItemsLost: self._items_lost,
            ItemFinished: self._item_finished,
            PhaseFailed: self._phase_failed,
            PhaseCleared: self._phase_cleared,
            PhaseJudged: self._phase_judged,
            Stopped: self._stop,
        }

    def handle(self, event: Event) -> tuple[Decision, ...]:
        """Take in what has happened and say what to do now, in this order."""
        self._out.clear()
        self._life.now = event.time
        self._handlers[type(event)](event)
        self._life.settle()
        self._hand_out(getattr(event, "worker", None))
        return tuple(map(self._with_agents, self._out))

    def _with_agents(self, decision: Decision) -> Decision:
        """Work is handed out after a node has opened: who got some of it belongs to the same news."""
        if isinstance(decision, PhaseChanged) and decision.new is State.OPEN:
            return replace(decision, agents=tuple(sorted(self._life.nodes[decision.id].agents)))
        return decision

    @property
    def finished(self) -> bool:
        """Whether nothing more will be started and nothing runs."""
        life = self._life
        return not self._running and (life.stopped or (life.started and not life.unclosed))

    @property
    def generation(self) -> int:
        """How often something was built so far."""
        return self._life.generation

    def is_closed(self, phase: str) -> bool:
        """Whether nothing of this node will run any more."""
        return self._life.nodes[phase].state.closed

    def behind_stages(self) -> list[str]:
        """The nodes that are not closed and have a stage before them."""
        nodes = self._life.nodes.items()
        return [name for name, state in nodes if state.behind_stages and not state.state.closed]

    @property
    def seen(self) -> int:
        """The highest generation that any worker has collected at."""
        return self._life.seen

    def knows(self, phase: str) -> bool:
        """Whether there is a phase or stream of this id, or it stands for the unphased tests."""
        return phase in self._life.nodes

    def may_change(self, phase: str) -> bool:
        """Whether a stage runs before this node, so that what is collected for it may change."""
        return self._life.nodes[phase].behind_stages

    def unstarted(self) -> list[int]:
        """The numbers of all tests and stages that were not given to a worker yet."""
        return [
            number
            for number, entry in self._life.entries.items()
            if entry.progress in (Progress.HELD, Progress.READY) and entry.item.kind is not ItemKind.MODULE
        ]

    def results(self) -> tuple[PhaseResult, ...]:
        """How every phase and stream stands, in the order of the plan, the unphased tests last."""
        return tuple(
            self._result(state)
            for state in self._life.nodes.values()
            if state.node.kind is not Kind.SYNC and (state.items or state.node.kind is not Kind.UNPHASED)
        )

    def _result(self, state: NodeState) -> PhaseResult:
        node, life = state.node, self._life
        return PhaseResult(
            node.id, node.name, node.kind.value, state.state, life.why(state), node.wave,
            life.tests(state), life.stages(state), state.seconds,
            blocked_by=(state.blocked_by,) if state.blocked_by else (),
        )  # fmt: skip

    # What happens -------------------------------------------------------------------------

    def _started(self, event: Started) -> None:
        self._life.start()

    def _worker_ready(self, event: WorkerReady) -> None:
        self._workers[event.worker] = WorkerState(event.worker, event.generation)
        self._life.see(event.generation)

    def _worker_refreshed(self, event: WorkerRefreshed) -> None:
        worker = self._workers[event.worker]
        worker.generation, worker.refreshing = event.generation, False
        self._life.see(event.generation)

    def _worker_gone(self, event: WorkerGone) -> None:
        worker = self._workers.pop(event.worker)
        self._leave(worker)
        self._running -= len(worker.queue)
        self._life.put_back(number for number in worker.queue if number != event.running)
        if event.running is not None:
            self._life.finish(event.running, Outcome.FAILED)

    def _items_found(self, event: ItemsFound) -> None:
        self._life.add(event.items)

    def _items_lost(self, event: ItemsLost) -> None:
        self._life.lose(event.items)

    def _item_finished(self, event: ItemFinished) -> None:
        worker = self._workers[event.worker]
        del worker.queue[event.item]
        self._running -= 1
        self._life.finish(event.item, event.outcome, event.duration)
        if not worker.queue:
            self._leave(worker)

    def _phase_failed(self, event: PhaseFailed) -> None:
        state = self._life.nodes[event.phase]
        self._life.fail(state, event.reason)
        if event.for_all:
            self._life.forbid(state)

    def _phase_cleared(self, event: PhaseCleared) -> None:
        self._life.clear(self._life.nodes[event.phase])

    def _phase_judged(self, event: PhaseJudged) -> None:
        self._life.judge(self._life.nodes[event.phase], event.reason)

    def _stop(self, event: Stopped) -> None:
        self._life.stop()

    # What to do ---------------------------------------------------------------------------

    def _hand_out(self, told_by: str | None) -> None:
        """Give work to the worker that was heard of and to all that have nothing to do.

        The others hold enough: each is looked at again when it finishes an item.
        """
        if not self._life.started or self._life.stopped:
            return
        # Who has nothing comes first, lest the last ready item is queued behind another.
        serving = [worker for worker in self._workers.values() if not worker.queue]
        told = self._workers.get(told_by) if told_by is not None else None
        if told is not None and told.queue and not self._holds_enough(told):
            serving.append(told)
        while serving and (self._life.with_ready or self._life.awaiting):
            # One round gives each worker one batch, so that the first does not take it all.
            serving = [worker for worker in serving if self._serve(worker)]

    def _serve(self, worker: WorkerState) -> bool:
        if worker.refreshing or self._holds_enough(worker):
            return False
        node = self._node_for(worker)
        if node is None:
            return False
        if node.generation > worker.generation:
            worker.refreshing = True
            self._out.append(Refresh(worker.name, self._life.generation))
            return True
        sharing = 1 if node.node.serial else len(self._workers)
        count = priority.batch(node, len(worker.queue), sharing)
        if not count:
            return False
        self._send(worker, node, count)
        return True

    def _holds_enough(self, worker: WorkerState) -> bool:
        """Nothing is queued behind a stage: it may take minutes, and others could run it now."""
        if not worker.queue or worker.node is None:
            return False
        last = next(reversed(worker.queue))
        return self._life.is_stage(last) or priority.enough(worker.node, len(worker.queue))

    def _send(self, worker: WorkerState, node: NodeState, count: int) -> None:
        if worker.node is not node:
            self._leave(worker)
            worker.node = node
            node.workers += 1
        node.agents.add(worker.name)
        if node.node.serial:
            self._exclusive = self._group(node)
        items = self._life.take(node, count)
        worker.queue.update(dict.fromkeys(items))
        self._running += len(items)
        self._out.append(Send(worker.name, items))

    def _node_for(self, worker: WorkerState) -> NodeState | None:
        """The node this worker may take from now; see the module's words on serial nodes."""
        if self._exclusive is not None and self._life.nodes[self._exclusive].state.closed:
            self._exclusive = None
        idle = not worker.queue
        able = [
            state
            for state in (*self._life.with_ready.values(), *self._settling())
            if state.generation <= worker.generation or idle
        ]
        serial = [state for state in able if state.node.serial]
        if self._exclusive is not None:
            able = [state for state in serial if self._group(state) == self._exclusive]
            return priority.choose(able, worker) if self._running == len(worker.queue) else None
        others = [state for state in able if not state.node.serial]
        waiting = any(state.node.serial for state in self._life.with_ready.values())
        if waiting:
            others = [state for state in others if state.node.kind is not Kind.UNPHASED]
        if others:
            return priority.choose(others, worker)
        return priority.choose(serial, worker) if not self._running else None

    def _group(self, state: NodeState) -> str:
        return self._life.graph.exclusive_group(state.node)

    def _settling(self) -> list[NodeState]:
        """Nodes without a ready item whose items are still to be settled by one refresh."""
        if any(worker.refreshing for worker in self._workers.values()):
            return []
        return [state for state in self._life.awaiting.values() if not state.ready]

    @staticmethod
    def _leave(worker: WorkerState) -> None:
        if worker.node is not None:
            worker.node.workers -= 1
            worker.node = None
