"""Which node and which item may have its claims now; the theory is in `locks`.

A phase takes its claims with the first item that is sent. An item with claims of its own is sent
alone, to a worker that has nothing else, and nothing is queued behind it: its locks are held while
it runs and no longer. It goes before items without claims, and a worker is not given more while
such an item could go, or they would all be left for the end.

Across runs (`external`) locks take time to get. What could be granted in this run is reserved,
`Acquire` asks for it, and all other work goes on until `Acquired`; what has become of no use by
then is given up. So that no lock is held by an item that nobody can run, no more are reserved than
there are workers, and only when one of them has nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from itertools import chain

from pytest_phases.claims import Claim
from pytest_phases.events import LockState
from pytest_phases.graph import Kind
from pytest_phases.scheduler.board import NodeState, Progress
from pytest_phases.scheduler.lifecycle import Lifecycle
from pytest_phases.scheduler.locks import Locks, Wish, includes
from pytest_phases.scheduler.protocol import Acquire, Decision, Holder, Lock, Release


class Grants:
    """The locks of a run.

    `turn` tells the serial phase or stream whose turn it is, if any. `outstanding` holds those who
    have asked other runs and got no answer yet.
    """

    def __init__(
        self,
        life: Lifecycle,
        emit: Callable[[Decision], None],
        *,
        external: bool,
        turn: Callable[[], str | None],
    ) -> None:
        self.outstanding: set[Holder] = set()
        self._asked: set[Holder] = set()
        self._waiting: dict[Holder, tuple[Claim, ...]] = {}
        self._locks = Locks(self._demands, at_once=external)
        self._life = life
        self._emit = emit
        self._external = external
        self._turn = turn

    # What may be sent ---------------------------------------------------------------------

    def allow(self, state: NodeState, workers: int, *, idle: bool) -> bool:
        """Whether a worker may take something of a node now; if not, its wish is in line or asked for.

        `workers` is how many there are, `idle` whether the one that is looked at has nothing to run.
        """
        if state.node.id in self._life.awaiting:
            # A worker looks at what was built first. What there is to claim is known only then.
            return True
        missing = self._missing(state)
        for wish in missing:
            if wish.holder in self.outstanding:
                return False
            other = self._in_the_way(wish)
            if other is not None:
                self._stand_in_line(missing[0], other)
                return False
        if missing and self._external and missing[0].claims and not self._is_covered(missing[0]):
            self._reserve(missing[0])
            return False
        return bool(state.ready) or self.next(state, workers, idle=idle) is not None

    def next(self, state: NodeState, workers: int, *, idle: bool) -> int | None:
        """The item with claims of its own that goes next, if one may.

        For a worker that is at work it is one that would go if it had nothing to do.
        """
        for number in state.locked.firsts():
            if self._is_there(number):
                return number
            if number in self.outstanding:
                continue
            wish = self._of_item(number)
            other = self._in_the_way(wish)
            if other is not None:
                missing = self._missing(state)
                if not missing:
                    self._stand_in_line(wish, other)
                elif not state.ready:
                    self._stand_in_line(missing[0], other)
            elif not self._external or self._is_covered(wish):
                return number
            elif sum(isinstance(holder, int) for holder in self._locks.held) < workers:
                if not idle:
                    return number
                self._reserve(wish)
        return None

    def is_held_up(self, state: NodeState) -> bool:
        """Whether a node has to wait for claims, as far as it can be seen without asking for any."""
        missing = self._missing(state)
        waits = any(wish.holder in self.outstanding or self._in_the_way(wish) is not None for wish in missing)
        return waits or not (state.ready or any(self._could_go(number) for number in state.locked.firsts()))

    def are_there_for(self, state: NodeState) -> bool:
        """Whether an item of a node has got locks from other runs and is not sent yet."""
        return self._external and any(map(self._is_there, state.locked.firsts()))

    def _is_there(self, number: int) -> bool:
        return number in self._locks.held and number not in self.outstanding

    def _could_go(self, number: int) -> bool:
        if number in self._locks.held:
            return self._is_there(number)
        return self._in_the_way(self._of_item(number)) is None

    def give_way(self) -> bool:
        """Nothing runs, and what is ready waits for phases: the last of them lets its claims go.

        Returns whether there was one.
        """
        in_the_way = {
            other
            for wish in self._locks.line.values()
            if self._turn() is None or self._counts(wish)
            for other in self._locks.held_against(wish)
        }
        last = next((holder for holder in reversed(self._locks.held) if holder in in_the_way), None)
        if last is None:
            return False
        for wish in [wish for wish in self._locks.held.values() if last in wish.within]:
            self._let_go(wish)
        return True

    # What happens -------------------------------------------------------------------------

    def sent(self, state: NodeState, number: int | None, worker: str) -> None:
        """Something of a node goes to a worker, with its claims; `number` has some of its own."""
        for wish in self._missing(state):
            self._hold(wish)
        if number is not None:
            self._hold(self._of_item(number), worker)

    def acquired(self, holder: Holder) -> None:
        """No other run has these locks; perhaps nobody wants them any more."""
        if holder in self.outstanding:
            self.outstanding.discard(holder)
            if isinstance(holder, str):
                self._tell(self._locks.held[holder], LockState.HELD)

    def free(self, number: int) -> None:
        """An item is no longer at a worker."""
        wish = self._locks.held.get(number)
        if wish is not None:
            self._let_go(wish)

    def tidy(self, at_work: Callable[[], Collection[str]]) -> None:
        """Who is closed holds nothing, and who can use nothing does not wait.

        `at_work` names the nodes of which workers have items.
        """
        if not self._locks.held and not self._locks.line:
            return
        for wish in [wish for wish in self._locks.held.values() if not self._keeps(wish, at_work)]:
            self._let_go(wish)
        for wish in [wish for wish in self._locks.line.values() if not self._is_wanted(wish)]:
            del self._locks.line[wish.holder]
            self._tell(wish, LockState.RELEASED)

    # What a wish is -----------------------------------------------------------------------

    def _missing(self, state: NodeState) -> list[Wish]:
        """What a phase and its stream, in this order, must hold before something of them is sent."""
        nodes = (self._life.nodes[each] for each in reversed(_within(state)))
        return [
            self._of_node(each)
            for each in nodes
            if (each.node.claims or each.node.serial)
            and (each.node.id not in self._locks.held or each.node.id in self.outstanding)
        ]

    def _of_node(self, state: NodeState) -> Wish:
        claims = state.node.claims
        if self._external:
            claims = _joined(claims, self._demands(state.node.id))
        return Wish(state.node.id, claims, _within(state))

    def _of_item(self, number: int) -> Wish:
        entry = self._life.items.entries[number]
        state = self._life.items.node_of(entry)
        return Wish(number, entry.item.claims, _within(state), state.node.kind is Kind.UNPHASED)

    def _demands(self, node: str) -> Iterator[tuple[Claim, ...]]:
        for each in self._parts(node):
            yield from each.demands
            if each.node.id != node and not each.state.closed:
                yield each.node.claims

    def _is_covered(self, wish: Wish) -> bool:
        """Whether somebody it belongs to has its claims already."""
        around = [each for each in wish.within if each != wish.holder and each not in self.outstanding]
        return any(
            each in self._locks.held and includes(self._locks.held[each].claims, wish.claims)
            for each in around
        )

    # Who may have it ----------------------------------------------------------------------

    def _in_the_way(self, wish: Wish) -> Holder | None:
        return self._locks.in_the_way(wish, self._counts)

    def _counts(self, wish: Wish) -> bool:
        """Whether others have to wait for somebody in line: he could use now what he waits for."""
        return any(map(self._is_its_turn, self._wanted_by(wish)))

    def _is_wanted(self, wish: Wish) -> bool:
        return any(True for _ in self._wanted_by(wish))

    def _wanted_by(self, wish: Wish) -> Iterator[NodeState]:
        """The nodes that have something ready which waits for a wish to be granted."""
        ready = self._life.items.with_ready
        if self._life.stopped:
            return
        if isinstance(wish.holder, int):
            entry = self._life.items.entries[wish.holder]
            state = self._life.items.node_of(entry)
            # One that was the first may stand behind another that came back from a worker.
            if state.node.id in ready and state.locked.is_first(entry.item) and not self._missing(state):
                yield state
            return
        # A stream whose phase has let go has the place of its phase, and none of its own.
        if all(each.holder == wish.holder for each in self._missing(self._life.nodes[wish.holder])[:1]):
            yield from (each for each in self._parts(wish.holder) if each.node.id in ready)

    def _is_its_turn(self, state: NodeState) -> bool:
        turn = self._turn()
        if turn is None:
            return not state.node.serial
        return self._life.graph.exclusive_group(state.node) == turn

    def _keeps(self, wish: Wish, at_work: Callable[[], Collection[str]]) -> bool:
        if isinstance(wish.holder, int):
            is_sent = self._life.items.entries[wish.holder].progress is Progress.SENT
            return is_sent or self._counts(wish)
        if wish.holder in self.outstanding:
            return self._is_wanted(wish)
        if self._life.stopped:
            return not {each.node.id for each in self._parts(wish.holder)}.isdisjoint(at_work())
        return not self._life.nodes[wish.holder].state.closed

    def _parts(self, holder: str) -> Iterator[NodeState]:
        return self._life.with_parts(self._life.nodes[holder])

    # What is said of it -------------------------------------------------------------------

    def _stand_in_line(self, wish: Wish, other: Holder) -> None:
        is_news = wish.holder not in self._locks.line
        self._locks.line[wish.holder] = wish
        if is_news:
            self._tell(wish, LockState.WAITING, waits_for=other)

    def _reserve(self, wish: Wish) -> None:
        """Ask other runs for what nobody in this one is in the way of."""
        if wish.holder not in self._locks.line:
            self._tell(wish, LockState.WAITING)
        self._locks.hold(wish)
        self.outstanding.add(wish.holder)
        self._asked.add(wish.holder)
        self._emit(Acquire(wish.holder, wish.claims))

    def _hold(self, wish: Wish, worker: str = "") -> None:
        self._locks.hold(wish)
        self._tell(wish, LockState.HELD, worker)

    def _let_go(self, wish: Wish) -> None:
        del self._locks.held[wish.holder]
        self.outstanding.discard(wish.holder)
        self._tell(wish, LockState.RELEASED)
        if wish.holder in self._asked:
            self._asked.discard(wish.holder)
            self._emit(Release(wish.holder))

    def _tell(self, wish: Wish, state: LockState, worker: str = "", waits_for: Holder | None = None) -> None:
        claims, waited = wish.claims, self._waiting.pop(wish.holder, ())
        if waited and not claims:
            # It waited for claims of items that are over by now: nothing is left to be held.
            claims, state = waited, LockState.RELEASED
        if state is LockState.WAITING and claims:
            self._waiting[wish.holder] = claims
        if claims:
            self._emit(Lock(wish.holder, claims, state, worker, waits_for))


def _within(state: NodeState) -> tuple[str, ...]:
    """The ids of a node and of the phase it is a stream of."""
    node = state.node
    return (node.id,) if node.part_of is None else (node.id, node.part_of)


def _joined(claims: tuple[Claim, ...], more: Iterable[tuple[Claim, ...]]) -> tuple[Claim, ...]:
    """All of these claims once; who has something to himself need not share it, too."""
    every = dict.fromkeys(chain(claims, *more))
    return tuple(claim for claim in every if not (claim.shared and replace(claim, shared=False) in every))
