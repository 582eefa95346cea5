"""How nodes open, fail, end and are blocked, and what each of these means for the others."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter

from pytest_phases.events import Outcome, PhaseChanged, State, Tally, WaveClosed
from pytest_phases.graph import Graph, Kind
from pytest_phases.scheduler.board import NodeState, Progress, tally
from pytest_phases.scheduler.items import Items
from pytest_phases.scheduler.protocol import Decision, ItemKind, Judge
from pytest_phases.scheduler.states import Trigger, after


class Lifecycle:
    """All nodes of a run.

    Changes are queued and carried out by `settle`, so that a chain of ten thousand phases needs
    no deep recursion and decisions come out in the order in which things happen.
    """

    def __init__(self, graph: Graph, *, in_waves: bool, emit: Callable[[Decision], None]) -> None:
        self.graph = graph
        self.nodes = {node.id: NodeState(node) for node in graph.nodes.values()}
        self.items = Items(self.nodes, emit, failed=self.fail, changed=self._end_if_done)
        self.awaiting: dict[str, NodeState] = {}
        self.unjudged: set[str] = set()
        self.generation = 0
        self.seen = 0
        self.unclosed = len(self.nodes)
        self.started = False
        self.stopped = False
        self.now = 0.0
        self._emit = emit
        self._in_waves = in_waves
        self._wave = 1
        self._unclosed_in_wave = [0, *(len(wave) for wave in graph.waves)]
        self._openable: deque[NodeState] = deque()
        self._closed: deque[NodeState] = deque()
        self._being_judged: set[str] = set()
        self._needed_by: dict[str, list[NodeState]] = {}
        self._awaited_by: dict[str, list[NodeState]] = {}
        for state in self.nodes.values():
            self._count_what_it_waits_for(state)

    def _count_what_it_waits_for(self, state: NodeState) -> None:
        node = state.node
        for other in node.needs:
            self._needed_by.setdefault(other, []).append(state)
        for other in node.after:
            self._awaited_by.setdefault(other, []).append(state)
        state.open_parts = len(node.parts)
        state.waits_for = len(node.needs) + len(node.after) + (node.part_of is not None)
        if self._in_waves and node.kind is Kind.PHASE and node.wave > 1:
            state.waits_for += 1

    def start(self) -> None:
        """Everything is collected: find what stands behind stages, and open the first nodes."""
        self.started = True
        tainted: set[str] = set()
        for node_id in TopologicalSorter(self.graph.edges).static_order():
            state = self.nodes[node_id]
            behind_stages = not tainted.isdisjoint(self.graph.opens_after(state.node))
            # A sync point has no items, so nobody need look at what was built for its sake.
            state.behind_stages = behind_stages and state.node.kind is not Kind.SYNC
            builds = any(
                entry.item.kind is ItemKind.STAGE and entry.item.outcome is None
                for entry in state.items.values()
            )
            if builds or not tainted.isdisjoint(self.graph.edges[node_id]):
                tainted.add(node_id)
        self._openable.extend(state for state in self.nodes.values() if not state.waits_for)

    def see(self, generation: int) -> None:
        """A worker has collected at this generation, so what nodes have to run is known up to it."""
        self.seen = max(self.seen, generation)
        for state in list(self.awaiting.values()):
            if state.generation <= self.seen:
                del self.awaiting[state.node.id]
                self._settle_items(state)
                self._end_if_done(state)

    def fail(self, state: NodeState, reason: str = "") -> None:
        """Make a node red; what needs it, and the phase it is a stream of, know at once."""
        # Several workers may tell the same.
        if reason not in state.reason.split("; "):
            state.reason = "; ".join(filter(None, (state.reason, reason)))
        first, state.failed = not state.failed, True
        self._move(state, Trigger.FAILS)
        if first:
            for dependent in self._needed_by.get(state.node.id, ()):
                self._block(dependent, state)
            if state.node.part_of is not None:
                self.fail(self.nodes[state.node.part_of], reason and f"{state.label}: {reason}")

    def forbid(self, state: NodeState) -> None:
        """Nothing of a red node, its streams included, may start any more, nor what is found later."""
        for each in self.with_parts(state):
            each.forbidden = state.reason
            self.items.block(each, state.reason)
            self.clear(each)

    def clear(self, state: NodeState) -> None:
        """The items of a node and its streams may start, if they are open."""
        self.items.uncleared.discard(state.node.id)
        for each in self.with_parts(state):
            self.items.note_ready(each)
            self._end_if_done(each)

    def judge(self, state: NodeState, reason: str) -> None:
        """It is known whether the threshold of a node is reached: it ends, red if not."""
        self.unjudged.discard(state.node.id)
        if reason:
            # What failed before is no less a reason.
            self.fail(state, ", ".join(filter(None, (self._counted(state), reason))))
        self._end_if_done(state)

    def with_parts(self, state: NodeState) -> Iterator[NodeState]:
        """A node and its streams."""
        yield state
        yield from (self.nodes[part] for part in state.node.parts)

    def stop(self) -> None:
        """Nothing more will be started."""
        self.stopped = True
        for state in self.nodes.values():
            self._move(state, Trigger.STOPS)
            if state.failed:
                self._move(state, Trigger.FAILS)
        self._openable.clear()

    def settle(self) -> None:
        """Carry out what follows from what has closed, until nothing follows any more."""
        while self.started and (self._closed or self._openable):
            while self._closed:
                self._tell_dependents(self._closed.popleft())
            if self._openable:
                self._open(self._openable.popleft())

    def tests(self, state: NodeState) -> Tally:
        """The tests of a node and its streams."""
        return tally(self._sum(state, lambda each: each.tests))

    def stages(self, state: NodeState) -> Tally:
        """The stages of a node and its streams."""
        return tally(self._sum(state, lambda each: each.stages))

    def why(self, state: NodeState) -> str:
        """Why a node is red or blocked, in words; empty while it is neither."""
        return state.reason or self._counted(state)

    def _counted(self, state: NodeState) -> str:
        total = Tally.total((self.tests(state), self.stages(state)))
        return str(Tally(failed=total.failed, error=total.error)) if total.bad else ""

    def _sum(self, state: NodeState, of: Callable[[NodeState], Counter[Outcome]]) -> Counter[Outcome]:
        counts = Counter(of(state))
        for part in state.node.parts:
            counts.update(of(self.nodes[part]))
        return counts

    def _release(self, state: NodeState) -> None:
        state.waits_for -= 1
        if not state.waits_for and state.state is State.WAITING:
            self._openable.append(state)

    def _open(self, state: NodeState) -> None:
        if state.state is not State.WAITING:
            return
        state.opened = self.now
        if not state.behind_stages and self._uncollected(state) and self._has_stages_before(state):
            # They were resumed, and yet it has modules that nobody could collect: a worker tells why.
            state.behind_stages = True
            self.generation += 1
        state.generation = self.generation if state.behind_stages else 0
        self._move(state, Trigger.OPENS)
        if state.failed:
            self._move(state, Trigger.FAILS)
        if state.generation > self.seen:
            self.awaiting[state.node.id] = state
        resumed = self.items.resume(state, state.items.values())
        if resumed and not state.unfinished and not self._was_built_before(state):
            self.awaiting.pop(state.node.id, None)
        if state.node.id not in self.awaiting:
            self._settle_items(state)
        self.items.note_ready(state)
        for part in state.node.parts:
            self._release(self.nodes[part])
        self._end_if_done(state)

    def _was_built_before(self, state: NodeState) -> bool:
        return any(self.nodes[other].ran_stage for other in self.graph.ancestors(state.node.id))

    def _has_stages_before(self, state: NodeState) -> bool:
        before = map(self.nodes.__getitem__, self.graph.ancestors(state.node.id))
        return any(entry.item.kind is ItemKind.STAGE for each in before for entry in each.items.values())

    def _settle_items(self, state: NodeState) -> None:
        """Everything was collected that ever will be: a module that is still missing is an error."""
        missing = self._uncollected(state)
        if missing:
            self.fail(state, f"{len(missing)} test module{'s' * (len(missing) > 1)} not collected")
            self.items.lose(missing)

    @staticmethod
    def _uncollected(state: NodeState) -> list[int]:
        return [
            number
            for number, entry in state.items.items()
            if entry.item.kind is ItemKind.MODULE and entry.progress is Progress.HELD
        ]

    def _end_if_done(self, state: NodeState) -> None:
        if state.unfinished or state.open_parts or not state.is_open:
            return
        if state.node.id in self.awaiting or not self.items.is_cleared(state):
            return
        total = self._sum(state, lambda each: each.tests + each.stages)
        proven = total[Outcome.PASSED] + total[Outcome.XFAILED] or state.node.kind is Kind.SYNC
        if state.node.id in self.unjudged and (proven or state.failed):
            if state.node.id not in self._being_judged:
                self._being_judged.add(state.node.id)
                self._emit(Judge(state.node.id))
            return
        self._move(state, Trigger.ENDS_WITH_PASSES if proven else Trigger.ENDS_WITHOUT)

    def _block(self, state: NodeState, cause: NodeState) -> None:
        if state.state is not State.WAITING:
            return
        root = self.nodes[cause.blocked_by] if cause.blocked_by else cause
        state.blocked_by = root.node.id
        state.reason = f"blocked by {root.label} ({self.why(root) or root.state.value})"
        self._move(state, Trigger.IS_BLOCKED)
        self.items.block(state, state.reason)
        for part in state.node.parts:
            self._block(self.nodes[part], state)

    def _tell_dependents(self, state: NodeState) -> None:
        for dependent in self._needed_by.get(state.node.id, ()):
            if state.state.satisfies:
                self._release(dependent)
            else:
                self._block(dependent, state)
        for waiting in self._awaited_by.get(state.node.id, ()):
            self._release(waiting)
        if state.node.part_of is not None:
            parent = self.nodes[state.node.part_of]
            parent.open_parts -= 1
            self._end_if_done(parent)
        if state.node.kind is Kind.PHASE:
            self._unclosed_in_wave[state.node.wave] -= 1
            self._close_waves()

    def _close_waves(self) -> None:
        while self._wave <= len(self.graph.waves) and not self._unclosed_in_wave[self._wave]:
            if not self.stopped:
                self._emit(WaveClosed(self._wave, self.graph.waves[self._wave - 1], self.now))
            self._wave += 1
            if self._in_waves and self._wave <= len(self.graph.waves):
                for phase in self.graph.waves[self._wave - 1]:
                    self._release(self.nodes[phase])

    def _move(self, state: NodeState, trigger: Trigger) -> None:
        old, new = state.state, after(state.state, trigger)
        if new is old:
            return
        state.state = new
        if new.closed and not old.closed:
            self.unclosed -= 1
            self._closed.append(state)
            self.items.with_ready.pop(state.node.id, None)
            if old is not State.WAITING:
                state.seconds = self.now - state.opened
            if state.ran_stage:
                self.generation += 1
        total = Tally.total((self.tests(state), self.stages(state)))
        node = state.node
        self._emit(
            PhaseChanged(
                node.id, node.name, node.kind.value, old, new, total, self.why(state), node.wave, self.now,
                tuple(sorted(state.agents)),
                total.count + sum(each.unfinished for each in self.with_parts(state)),
            )
        )  # fmt: skip
