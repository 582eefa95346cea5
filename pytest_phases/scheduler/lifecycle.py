"""How nodes open, fail, end and are blocked, and what each of these means for the others."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from graphlib import TopologicalSorter
from itertools import takewhile

from pytest_phases.events import Outcome, PhaseChanged, State, Tally, WaveClosed
from pytest_phases.graph import Graph, Kind
from pytest_phases.scheduler.board import Entry, NodeState, Progress, tally
from pytest_phases.scheduler.protocol import Block, Decision, Item, ItemKind, Judge
from pytest_phases.scheduler.states import Trigger, after


class Lifecycle:
    """All nodes of a run.

    Changes are queued and carried out by `settle`, so that a chain of ten thousand phases needs
    no deep recursion and decisions come out in the order in which things happen.
    """

    def __init__(self, graph: Graph, *, in_waves: bool, emit: Callable[[Decision], None]) -> None:
        self.graph = graph
        self.nodes = {node.id: NodeState(node) for node in graph.nodes.values()}
        self.entries: dict[int, Entry] = {}
        self.with_ready: dict[str, NodeState] = {}
        self.awaiting: dict[str, NodeState] = {}
        self.uncleared: set[str] = set()
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

    # Items --------------------------------------------------------------------------------

    def add(self, items: Iterable[Item]) -> None:
        """Put collected items on the board; those of a closed node are reported, not run.

        In a run that was stopped they stay there with all others that were not started.
        """
        added = [self._put_on_board(item) for item in items]
        for state in {entry.item.phase: self._node_of(entry) for entry in added}.values():
            if state.state.closed and not self.stopped:
                closed_before = f"collected only after {state.node} had closed"
                self._block_items(state, state.reason if state.blocked_by else closed_before)
            elif state.forbidden:
                self._block_items(state, state.forbidden)
        for entry in added:
            self._connect(entry)

    def lose(self, numbers: Iterable[int]) -> None:
        """Forget items that were not started and are no longer collected."""
        lost = [self.entries[number] for number in numbers]
        for entry in lost:
            entry.lost = True
        self._drop([entry for entry in lost if entry.progress in (Progress.HELD, Progress.READY)])

    def finish(self, number: int, outcome: Outcome, duration: float | None = None) -> None:
        """An item has its outcome: count it, release or block what needs it, end its node."""
        entry = self.entries[number]
        state = self._node_of(entry)
        if duration is not None:
            state.busy += duration
            state.finished += 1
        entry.progress = Progress.DONE
        state.unfinished -= 1
        state.count(entry.item.kind, outcome)
        state.ran_stage |= entry.item.kind is ItemKind.STAGE
        if outcome.bad:
            self.fail(state)
            self._block_dependents(entry, f"blocked by {entry.item.name} ({outcome.value})")
        else:
            self._release_dependents(entry)
        self._end_if_done(state)

    def put_back(self, numbers: Iterable[int]) -> None:
        """Items come back from a worker that is gone, to stand first again."""
        back = [self.entries[number] for number in numbers]
        self._drop([entry for entry in back if entry.lost])
        for entry in reversed(back):
            if not entry.lost:
                entry.progress = Progress.READY
                state = self._node_of(entry)
                state.ready.appendleft(entry.item.number)
                self._note_ready(state)

    def take(self, state: NodeState, count: int) -> tuple[int, ...]:
        """Take the first ready items of a node for a worker; a stage goes alone."""
        numbers: list[int] = []
        while state.ready and len(numbers) < count and not (numbers and self.is_stage(state.ready[0])):
            numbers.append(state.ready.popleft())
            self.entries[numbers[-1]].progress = Progress.SENT
            if self.is_stage(numbers[-1]):
                break
        self._note_ready(state)
        return tuple(numbers)

    def is_stage(self, number: int) -> bool:
        """Whether an item is a stage."""
        return self.entries[number].item.kind is ItemKind.STAGE

    def _node_of(self, entry: Entry) -> NodeState:
        return self.nodes[entry.item.phase]

    def _put_on_board(self, item: Item) -> Entry:
        entry = Entry(item)
        state = self._node_of(entry)
        self.entries[item.number] = state.items[item.number] = entry
        state.unfinished += 1
        return entry

    def _connect(self, entry: Entry) -> None:
        """Let an item wait for those it needs, which may stand after it and may be over already."""
        for number in entry.item.needs:
            needed = self.entries[number]
            if needed.broken and entry.progress is Progress.HELD:
                self._count_blocked(entry)
                self._emit(Block((entry.item.number,), needed.broken))
                self._block_dependents(entry, needed.broken)
            entry.unmet += needed.progress is not Progress.DONE
            needed.dependents.append(entry.item.number)
        self._make_ready(entry)

    def _make_ready(self, entry: Entry) -> None:
        if entry.progress is Progress.HELD and not entry.unmet and entry.item.kind is not ItemKind.MODULE:
            entry.progress = Progress.READY
            state = self._node_of(entry)
            if entry.item.kind is ItemKind.STAGE:
                # Stages first: they are few, long, and other stages wait for them.
                stages = sum(1 for _ in takewhile(self.is_stage, state.ready))
                state.ready.insert(stages, entry.item.number)
            else:
                state.ready.append(entry.item.number)
            self._note_ready(state)

    def _note_ready(self, state: NodeState) -> None:
        is_open = state.state in (State.OPEN, State.FAILING)
        if state.ready and is_open and self._is_cleared(state):
            self.with_ready[state.node.id] = state
        else:
            self.with_ready.pop(state.node.id, None)

    def _release_dependents(self, entry: Entry) -> None:
        for number in entry.dependents:
            self.entries[number].unmet -= 1
            self._make_ready(self.entries[number])

    def _block_dependents(self, entry: Entry, reason: str) -> None:
        """What needs an item that has not passed is blocked, and so is what needs that."""
        broken, blocked = deque([entry]), []
        while broken:
            entry = broken.popleft()
            entry.broken = reason
            for dependent in map(self.entries.__getitem__, entry.dependents):
                if dependent.progress is Progress.HELD:
                    self._count_blocked(dependent)
                    blocked.append(dependent)
                    broken.append(dependent)
        if blocked:
            self._emit(Block(tuple(each.item.number for each in blocked), reason))
        for each in blocked:
            self._end_if_done(self._node_of(each))

    def _block_items(self, state: NodeState, reason: str) -> None:
        """Nothing of a node that has not started will."""
        waiting = [
            entry for entry in state.items.values() if entry.progress in (Progress.HELD, Progress.READY)
        ]
        for entry in waiting:
            self._count_blocked(entry)
        state.ready.clear()
        if waiting:
            self._emit(Block(tuple(entry.item.number for entry in waiting), reason))
        for entry in waiting:
            self._block_dependents(entry, reason)

    def _count_blocked(self, entry: Entry) -> None:
        state = self._node_of(entry)
        entry.progress = Progress.DONE
        state.unfinished -= 1
        state.count(entry.item.kind, Outcome.BLOCKED)

    def _drop(self, dropped: Sequence[Entry]) -> None:
        """These are no longer collected, so they never run and what needs them cannot."""
        for entry in dropped:
            state = self._node_of(entry)
            if entry.progress is Progress.READY:
                state.ready.remove(entry.item.number)
                self._note_ready(state)
            entry.progress = Progress.GONE
            state.unfinished -= 1
        for entry in dropped:
            self._block_dependents(entry, f"blocked by {entry.item.name} (no longer collected)")
        for entry in dropped:
            self._end_if_done(self._node_of(entry))

    # Nodes --------------------------------------------------------------------------------

    def start(self) -> None:
        """Everything is collected: find what stands behind stages, and open the first nodes."""
        self.started = True
        tainted: set[str] = set()
        for node_id in TopologicalSorter(self.graph.edges).static_order():
            state = self.nodes[node_id]
            behind_stages = not tainted.isdisjoint(self.graph.opens_after(state.node))
            # A sync point has no items, so nobody need look at what was built for its sake.
            state.behind_stages = behind_stages and state.node.kind is not Kind.SYNC
            has_stage = any(entry.item.kind is ItemKind.STAGE for entry in state.items.values())
            if has_stage or not tainted.isdisjoint(self.graph.edges[node_id]):
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
        for each in self._with_parts(state):
            each.forbidden = state.reason
            self._block_items(each, state.reason)
            self.clear(each)

    def clear(self, state: NodeState) -> None:
        """The items of a node and its streams may start, if they are open."""
        self.uncleared.discard(state.node.id)
        for each in self._with_parts(state):
            self._note_ready(each)
            self._end_if_done(each)

    def judge(self, state: NodeState, reason: str) -> None:
        """It is known whether the threshold of a node is reached: it ends, red if not."""
        self.unjudged.discard(state.node.id)
        if reason:
            # What failed before is no less a reason.
            self.fail(state, ", ".join(filter(None, (self._counted(state), reason))))
        self._end_if_done(state)

    def _is_cleared(self, state: NodeState) -> bool:
        return self.uncleared.isdisjoint((state.node.id, state.node.part_of))

    def _with_parts(self, state: NodeState) -> Iterator[NodeState]:
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
        state.generation = self.generation if state.behind_stages else 0
        self._move(state, Trigger.OPENS)
        if state.failed:
            self._move(state, Trigger.FAILS)
        if state.generation > self.seen:
            self.awaiting[state.node.id] = state
        else:
            self._settle_items(state)
        self._note_ready(state)
        for part in state.node.parts:
            self._release(self.nodes[part])
        self._end_if_done(state)

    def _settle_items(self, state: NodeState) -> None:
        """Everything was collected that ever will be: a module that is still missing is an error."""
        missing = [
            number
            for number, entry in state.items.items()
            if entry.item.kind is ItemKind.MODULE and entry.progress is Progress.HELD
        ]
        if missing:
            self.fail(state, f"{len(missing)} test module{'s' * (len(missing) > 1)} not collected")
            self.lose(missing)

    def _end_if_done(self, state: NodeState) -> None:
        is_open = state.state in (State.OPEN, State.FAILING)
        waits = state.node.id in self.awaiting or not self._is_cleared(state)
        if not is_open or waits or state.unfinished or state.open_parts:
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
        self._block_items(state, state.reason)
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
            self.with_ready.pop(state.node.id, None)
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
                total.count + sum(each.unfinished for each in self._with_parts(state)),
            )
        )  # fmt: skip
