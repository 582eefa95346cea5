"""What becomes of items: they wait for one another, are ready, run, and have an outcome.

Resumed items. An item that comes with an outcome, which it had in the run that is resumed, never
runs. It waits for its node to open like all others, and is blocked with them if that never
happens; then it is counted at once, whatever it needs, and releases or blocks what needs it. A
stage that is resumed has built nothing: what stands behind it has nothing new to look at, unless
it has modules that could not be collected.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile

from pytest_phases.events import Outcome
from pytest_phases.scheduler.board import Entry, NodeState, Progress
from pytest_phases.scheduler.protocol import Block, Decision, Item, ItemKind, Resume


class Items:
    """All items of a run.

    `failed` is called with a node when an item of it has ended badly, `changed` when fewer of its
    items are left. A node that is named in `uncleared` waits, once it is open, to be cleared.
    """

    def __init__(
        self,
        nodes: dict[str, NodeState],
        emit: Callable[[Decision], None],
        *,
        failed: Callable[[NodeState], None],
        changed: Callable[[NodeState], None],
    ) -> None:
        self.entries: dict[int, Entry] = {}
        self.with_ready: dict[str, NodeState] = {}
        self.uncleared: set[str] = set()
        self.have_claims = any(state.node.claims for state in nodes.values())
        self._have_outcomes = False
        self._nodes = nodes
        self._emit = emit
        self._failed = failed
        self._changed = changed

    def add(self, items: Iterable[Item], *, stopped: bool) -> None:
        """Put collected items on the board; those of a closed node are reported, not run.

        In a run that was stopped they stay there with all others that were not started.
        """
        added = [self._put_on_board(item) for item in items]
        states = {entry.item.phase: self.node_of(entry) for entry in added}.values()
        for state in states:
            if state.state.closed and not stopped:
                closed_before = f"collected only after {state.node} had closed"
                self.block(state, state.reason if state.blocked_by else closed_before)
            elif state.forbidden:
                self.block(state, state.forbidden)
        for entry in added:
            self._connect(entry)
        for state in states:
            if state.is_open and self.resume(state, added):
                self._changed(state)

    def lose(self, numbers: Iterable[int]) -> None:
        """Forget items that were not started and are no longer collected."""
        lost = [self.entries[number] for number in numbers]
        for entry in lost:
            entry.lost = True
        self._drop([entry for entry in lost if entry.progress in (Progress.HELD, Progress.READY)])

    def finish(self, number: int, outcome: Outcome, duration: float | None = None) -> None:
        """An item has its outcome: count it, release or block what needs it, end its node."""
        entry = self.entries[number]
        state = self.node_of(entry)
        if duration is not None:
            state.busy += duration
            state.finished += 1
        state.ran_stage |= entry.item.kind is ItemKind.STAGE
        self._count(entry, state, outcome)
        self._changed(state)

    def resume(self, state: NodeState, entries: Iterable[Entry]) -> bool:
        """Count those of an open node that came with an outcome; return whether there were any."""
        if not self._have_outcomes:
            return False
        resumed = [
            (entry, entry.item.outcome)
            for entry in entries
            if entry.item.outcome is not None
            and entry.progress is Progress.HELD
            and entry.item.phase == state.node.id
        ]
        if resumed:
            self._emit(Resume(tuple(entry.item.number for entry, _ in resumed)))
        # All at once, lest one of them is blocked by another that it needs.
        for entry, _ in resumed:
            entry.progress = Progress.DONE
        for entry, outcome in resumed:
            self._count(entry, state, outcome)
        return bool(resumed)

    def put_back(self, numbers: Iterable[int]) -> None:
        """Items come back from a worker that is gone, to stand first again."""
        back = [self.entries[number] for number in numbers]
        self._drop([entry for entry in back if entry.lost])
        for entry in reversed(back):
            if not entry.lost:
                entry.progress = Progress.READY
                state = self.node_of(entry)
                if entry.item.claims:
                    state.locked.add(entry.item, first=True)
                else:
                    state.ready.appendleft(entry.item.number)
                self.note_ready(state)

    def take(self, state: NodeState, count: int) -> tuple[int, ...]:
        """Take the first ready items without claims of a node for a worker; a stage goes alone."""
        numbers: list[int] = []
        while state.ready and len(numbers) < count and not (numbers and self.is_stage(state.ready[0])):
            numbers.append(state.ready.popleft())
            self.entries[numbers[-1]].progress = Progress.SENT
            if self.is_stage(numbers[-1]):
                break
        self.note_ready(state)
        return tuple(numbers)

    def take_locked(self, number: int) -> None:
        """Take a ready item that has claims of its own for a worker."""
        entry = self.entries[number]
        self._take_out(entry)
        entry.progress = Progress.SENT

    def is_stage(self, number: int) -> bool:
        """Whether an item is a stage."""
        return self.entries[number].item.kind is ItemKind.STAGE

    def goes_alone(self, number: int) -> bool:
        """Whether nothing is queued behind an item."""
        item = self.entries[number].item
        return item.kind is ItemKind.STAGE or bool(item.claims)

    def node_of(self, entry: Entry) -> NodeState:
        """The node that an item belongs to."""
        return self._nodes[entry.item.phase]

    def note_ready(self, state: NodeState) -> None:
        """See whether a node has items that may be sent."""
        if (state.ready or state.locked) and state.is_open and self.is_cleared(state):
            self.with_ready[state.node.id] = state
        else:
            self.with_ready.pop(state.node.id, None)

    def is_cleared(self, state: NodeState) -> bool:
        """Whether neither a node nor the phase it is a stream of waits to be cleared."""
        return self.uncleared.isdisjoint((state.node.id, state.node.part_of))

    def block(self, state: NodeState, reason: str) -> None:
        """Nothing of a node that has not started will."""
        waiting = [
            entry for entry in state.items.values() if entry.progress in (Progress.HELD, Progress.READY)
        ]
        for entry in waiting:
            self._count_blocked(entry)
        state.ready.clear()
        state.locked.clear()
        self.note_ready(state)
        if waiting:
            self._emit(Block(tuple(entry.item.number for entry in waiting), reason))
        for entry in waiting:
            self._block_dependents(entry, reason)

    def _put_on_board(self, item: Item) -> Entry:
        entry = Entry(item)
        state = self.node_of(entry)
        self.entries[item.number] = state.items[item.number] = entry
        state.unfinished += 1
        if item.outcome is not None:
            self._have_outcomes = True
        elif item.claims:
            state.demands[item.claims] += 1
            self.have_claims = True
        return entry

    @staticmethod
    def _take_off_board(entry: Entry, state: NodeState, progress: Progress) -> None:
        """An item of a node is over."""
        entry.progress, item = progress, entry.item
        state.unfinished -= 1
        if item.claims and item.outcome is None:
            state.demands[item.claims] -= 1
            if not state.demands[item.claims]:
                del state.demands[item.claims]

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
        item = entry.item
        if entry.progress is not Progress.HELD or entry.unmet:
            return
        if item.kind is ItemKind.MODULE or item.outcome is not None:
            return
        entry.progress = Progress.READY
        state = self.node_of(entry)
        if item.claims:
            state.locked.add(item)
        elif item.kind is ItemKind.STAGE:
            # Stages first: they are few, long, and other stages wait for them.
            stages = sum(1 for _ in takewhile(self.is_stage, state.ready))
            state.ready.insert(stages, item.number)
        else:
            state.ready.append(item.number)
        self.note_ready(state)

    def _take_out(self, entry: Entry) -> None:
        """A ready item is no longer ready."""
        state = self.node_of(entry)
        if entry.item.claims:
            state.locked.remove(entry.item)
        else:
            state.ready.remove(entry.item.number)
        self.note_ready(state)

    def _count(self, entry: Entry, state: NodeState, outcome: Outcome) -> None:
        """An item has ended with an outcome: release or block what needs it."""
        self._take_off_board(entry, state, Progress.DONE)
        state.count(entry.item.kind, outcome)
        if outcome.bad:
            self._failed(state)
            self._block_dependents(entry, f"blocked by {entry.item.name} ({outcome.value})")
        else:
            for number in entry.dependents:
                self.entries[number].unmet -= 1
                self._make_ready(self.entries[number])

    def _count_blocked(self, entry: Entry) -> None:
        state = self.node_of(entry)
        self._take_off_board(entry, state, Progress.DONE)
        state.count(entry.item.kind, Outcome.BLOCKED)

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
            self._changed(self.node_of(each))

    def _drop(self, dropped: Sequence[Entry]) -> None:
        """These are no longer collected, so they never run and what needs them cannot."""
        for entry in dropped:
            if entry.progress is Progress.READY:
                self._take_out(entry)
            self._take_off_board(entry, self.node_of(entry), Progress.GONE)
        for entry in dropped:
            self._block_dependents(entry, f"blocked by {entry.item.name} (no longer collected)")
        for entry in dropped:
            self._changed(self.node_of(entry))
