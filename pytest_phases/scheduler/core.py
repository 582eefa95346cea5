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

A node or item whose claims cannot be granted now is no candidate, and workers go on with others;
see `locks` and `grants`. A serial node takes its turn only if no phase that holds claims is in its
way: that phase could not go on beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from pytest_phases.events import Outcome, PhaseChanged, PhaseResult, State
from pytest_phases.graph import Graph, Kind
from pytest_phases.scheduler import priority
from pytest_phases.scheduler.board import NodeState, Progress, WorkerState
from pytest_phases.scheduler.grants import Grants
from pytest_phases.scheduler.lifecycle import Lifecycle
from pytest_phases.scheduler.protocol import (
    Acquired,
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
        *,
        external: bool = False,
    ) -> None:
        """`uncleared` names phases whose items wait, once they are open, for `PhaseCleared`.

        `judged` names what ends, once everything of it is done, with `PhaseJudged` alone. If
        `external`, locks must be had from other runs, too: see `Acquire`.
        """
        self._out: list[Decision] = []
        self._life = Lifecycle(graph, in_waves=schedule == "waves", emit=self._out.append)
        self._items = self._life.items
        self._items.uncleared.update(uncleared)
        self._life.unjudged.update(judged)
        self._workers: dict[str, WorkerState] = {}
        self._running = 0
        self._exclusive: str | None = None
        self._grants = Grants(self._life, self._out.append, external=external, turn=lambda: self._exclusive)
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
            Acquired: self._acquired,
            Stopped: self._stop,
        }

    def handle(self, event: Event) -> tuple[Decision, ...]:
        """Take in what has happened and say what to do now, in this order."""
        self._out.clear()
        self._life.now = event.time
        self._handlers[type(event)](event)
        self._life.settle()
        if self._items.have_claims:
            self._grants.tidy(self._at_work)
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
    def waiting_for_others(self) -> bool:
        """Whether nothing runs and nothing can be handed out until `Acquired` is told."""
        refreshing = any(worker.refreshing for worker in self._workers.values())
        return bool(self._grants.outstanding) and not self._running and not refreshing

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
            for number, entry in self._items.entries.items()
            if entry.progress in (Progress.HELD, Progress.READY) and entry.item.kind is not ItemKind.MODULE
        ]

    def results(self) -> tuple[PhaseResult, ...]:
        """How every phase and stream stands, in the order of the plan, the unphased tests last."""
        return tuple(
            self._result(state)
            for state in self._life.nodes.values()
            if state.node.kind is not Kind.SYNC and (state.items or state.node.kind is not Kind.UNPHASED)
        )

    def result(self, phase: str) -> PhaseResult:
        """How a phase or stream stands."""
        return self._result(self._life.nodes[phase])

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
        for number in worker.queue:
            self._grants.free(number)
        self._items.put_back(number for number in worker.queue if number != event.running)
        if event.running is not None:
            self._items.finish(event.running, Outcome.FAILED)

    def _items_found(self, event: ItemsFound) -> None:
        self._items.add(event.items, stopped=self._life.stopped)

    def _items_lost(self, event: ItemsLost) -> None:
        self._items.lose(event.items)

    def _item_finished(self, event: ItemFinished) -> None:
        worker = self._workers[event.worker]
        del worker.queue[event.item]
        self._running -= 1
        if self._items.have_claims:
            self._grants.free(event.item)
        self._items.finish(event.item, event.outcome, event.duration)
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

    def _acquired(self, event: Acquired) -> None:
        self._grants.acquired(event.holder)

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
        if serving:
            self._hand_out_to(serving)
        while self._items.have_claims and self._is_stuck() and self._grants.give_way():
            self._hand_out_to(list(self._workers.values()))

    def _hand_out_to(self, serving: list[WorkerState]) -> None:
        while serving and (self._items.with_ready or self._life.awaiting):
            # One round gives each worker one batch, so that the first does not take it all.
            serving = [worker for worker in serving if self._serve(worker)]

    def _is_stuck(self) -> bool:
        """Whether workers have nothing to do but wait for claims that nobody will let go."""
        if self._running or self._grants.outstanding:
            return False
        return any(not worker.refreshing for worker in self._workers.values())

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
        if node.locked and not (node.ready and self._items.is_stage(node.ready[0])):
            number = self._grants.next(node, len(self._workers), idle=not worker.queue)
            if number is not None:
                return self._send_locked(worker, node, number)
        sharing = 1 if node.node.serial else len(self._workers)
        count = priority.batch(node, len(worker.queue), sharing)
        if not count:
            return False
        self._begin(worker, node)
        self._send(worker, self._items.take(node, count))
        return True

    def _send_locked(self, worker: WorkerState, node: NodeState, number: int) -> bool:
        """Send an item with claims of its own; a worker that has others to run ends them first."""
        if worker.queue:
            return False
        self._begin(worker, node, number)
        self._items.take_locked(number)
        self._send(worker, (number,))
        return True

    def _holds_enough(self, worker: WorkerState) -> bool:
        """Nothing is queued behind a stage or who holds locks: it may take minutes, and others are free."""
        if not worker.queue or worker.node is None:
            return False
        last = next(reversed(worker.queue))
        return self._items.goes_alone(last) or priority.enough(worker.node, len(worker.queue))

    def _begin(self, worker: WorkerState, node: NodeState, number: int | None = None) -> None:
        """A worker gets something of a node; `number` has claims of its own."""
        if worker.node is not node:
            self._leave(worker)
            worker.node = node
            node.workers += 1
        node.agents.add(worker.name)
        if node.node.serial:
            self._exclusive = self._group(node)
        if self._items.have_claims:
            self._grants.sent(node, number, worker.name)

    def _send(self, worker: WorkerState, items: tuple[int, ...]) -> None:
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
            for state in (*self._items.with_ready.values(), *self._settling())
            if state.generation <= worker.generation or idle
        ]
        serial = [state for state in able if state.node.serial]
        if self._exclusive is not None:
            if self._running != len(worker.queue):
                return None
            return self._choose([state for state in serial if self._group(state) == self._exclusive], worker)
        others = [state for state in able if not state.node.serial]
        if self._serial_waits():
            others = [state for state in others if state.node.kind is not Kind.UNPHASED]
        return self._choose(others, worker) or (self._choose(serial, worker) if not self._running else None)

    def _serial_waits(self) -> bool:
        """Whether a serial node has items that nothing but its turn holds up."""
        return any(
            state.node.serial and not (self._items.have_claims and self._grants.is_held_up(state))
            for state in self._items.with_ready.values()
        )

    def _choose(self, nodes: list[NodeState], worker: WorkerState) -> NodeState | None:
        if self._items.have_claims:
            workers, idle = len(self._workers), not worker.queue
            nodes = [state for state in nodes if self._grants.allow(state, workers, idle=idle)]
            nodes = [state for state in nodes if self._grants.are_there_for(state)] or nodes
        return priority.choose(nodes, worker)

    def _at_work(self) -> set[str]:
        """The nodes of which workers have items."""
        entries = self._items.entries
        return {entries[number].item.phase for worker in self._workers.values() for number in worker.queue}

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
