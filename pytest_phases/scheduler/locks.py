"""Who holds which locks, who stands in line for them, and who is in whose way: a table.

Theory of operation. Phases and streams hold their claims from the first item that is sent until
they close, items hold theirs while they are at a worker. A holder takes all of its claims at once
or none. Two holders are in each other's way if one claim of theirs excludes another, with one
exception: what belongs to a phase or stream shares its claims.

*No deadlock.* A phase that holds claims waits for claims of its items, which is the only place
where somebody holds something and waits for more. So a phase (or stream) is granted its claims
only if it will never wait for another phase that holds any, nor that one for it: what it claims
*and what its items and streams will claim* must not exclude what the other claims, nor the other
way round. Phases that would wait for each other crosswise are thereby apart as wholes. Hence
among the phases that hold claims nobody waits for anybody; their items wait for items that run,
which end, and for streams of their own phase, of which the same is true; so they close, and
whoever waits for them is served.

*No starvation.* Who is refused stands in line, and nobody who comes later overtakes him with a
claim that excludes his; what excludes nobody in the line goes on. Three kinds of waiting would
close a circle, and do not count:

- Who stands in line but could not run even if he were granted his claims (he is blocked, or it is
  not his turn) is no reason to wait. Whether that is so is asked whenever it matters.
- What belongs to a phase that holds its claims yields to nobody outside: he may be waiting for
  this very phase, by however many stations. The sooner it is over the better for him, too.
- A phase that is refused for the sake of its first item stands in line for it, and its items then
  have its place, so that nobody depends on two places.

So each in line waits only for holders, which end, and for those before him. Unphased tests, which
fill gaps, stand behind all others.

*What nobody could foresee.* Items are found late, and items need one another across phases. Two
phases that hold claims may then come to wait for each other after all. That shows: nothing runs,
and everything that is ready waits for a phase. Then the phase that was granted last among those
in the way lets its claims go and waits for them again, between two of its items; since what it
asks for is now known, the same does not happen again for the same items.

*Across runs* no run sees what the items of another will claim. There a phase claims what its items
claim with its own, at once, for as long as it holds anything, and its items need not ask again. An
item that was found too late for that waits until its phase has let go and asked for everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from pytest_phases.claims import Claim
from pytest_phases.scheduler.protocol import Holder


@lru_cache(maxsize=1 << 14)
def exclude(some: tuple[Claim, ...], others: tuple[Claim, ...]) -> bool:
    """Whether any of these claims excludes any of those."""
    return any(one.excludes(other) for one in some for other in others)


def includes(claims: Iterable[Claim], wanted: Iterable[Claim]) -> bool:
    """Whether who holds these claims needs nothing more for what is wanted."""
    held = set(claims)
    return all(claim in held or Claim(claim.name, is_path=claim.is_path) in held for claim in wanted)


@dataclass(frozen=True, slots=True)
class Wish:
    """The claims of a holder.

    `within` holds the ids of the stream and phase that it belongs to, its own included, inside out.
    `fills` says that everybody else comes before it.
    """

    holder: Holder
    claims: tuple[Claim, ...]
    within: tuple[str, ...]
    fills: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether a phase or stream wishes it, and no single item."""
        return isinstance(self.holder, str)


class Locks:
    """What is held, in the order in which it was granted, and who waits, in the order of arrival.

    `demands` is asked what a phase or stream will still claim piece by piece: the claims of its items
    that are not over, and of its streams. With `at_once`, nothing inside a holder is granted unless
    the holder has it already.
    """

    def __init__(
        self, demands: Callable[[str], Iterable[tuple[Claim, ...]]], *, at_once: bool = False
    ) -> None:
        self.held: dict[Holder, Wish] = {}
        self.line: dict[Holder, Wish] = {}
        self._demands = demands
        self._at_once = at_once

    def hold(self, wish: Wish) -> None:
        """A holder has what it wished, and no longer waits."""
        self.line.pop(wish.holder, None)
        self.held[wish.holder] = wish

    def in_the_way(self, wish: Wish, counts: Callable[[Wish], bool]) -> Holder | None:
        """Somebody because of whom a wish cannot be granted now; of those in line, one who `counts`."""
        held = next(self.held_against(wish), None)
        return held if held is not None else next(self._ahead_of(wish, counts), None)

    def held_against(self, wish: Wish) -> Iterator[Holder]:
        """Everybody who holds what excludes a wish."""
        for other in self.held.values():
            if other.holder == wish.holder or wish.holder in other.within:
                continue
            if other.holder in wish.within:
                if self._at_once and not includes(other.claims, wish.claims):
                    yield other.holder
            elif self._apart(wish, other):
                yield other.holder

    def _ahead_of(self, wish: Wish, counts: Callable[[Wish], bool]) -> Iterator[Holder]:
        inside = next((each for each in wish.within if each != wish.holder and each in self.held), None)
        for other in self.line.values():
            if other.holder == wish.holder or other.holder in wish.within:
                # From here on they came later; what is in a phase that waits has its place.
                return
            if wish.holder in other.within or (inside is not None and inside not in other.within):
                continue
            if (wish.fills or not other.fills) and self._apart(wish, other) and counts(other):
                yield other.holder

    def _apart(self, one: Wish, other: Wish) -> bool:
        """Whether two must not hold what they wish at the same time."""
        if exclude(one.claims, other.claims):
            return True
        if not (one.is_whole and other.is_whole):
            return False
        return self._will_clash(one, other) or self._will_clash(other, one)

    def _will_clash(self, one: Wish, other: Wish) -> bool:
        """Whether something inside of one would have to wait until the other is closed."""
        return bool(other.claims) and any(
            exclude(claims, other.claims) for claims in self._demands(str(one.holder))
        )
