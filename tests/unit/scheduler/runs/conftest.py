"""Random plans, and the laws that follow from them.

`Laws` says what must come before what, worked out from the plan alone and not by the graph.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, combinations

import pytest
from hypothesis import strategies as st

from pytest_phases.claims import Claim
from pytest_phases.events import LockState, Outcome
from pytest_phases.model import UNPHASED, Phase, Place, Plan, Sync
from pytest_phases.scheduler.protocol import Holder, Item, ItemKind, Lock

PLACE = Place("plan.md", 1)

# Which stages of a phase need which, by how many there are: also one that stands after them.
STAGE_NEEDS = {3: {0: 2, 2: 1}}


CLAIMS = [Claim("db"), Claim("db", shared=True), Claim("net"), Claim("src/a", is_path=True)]
CLAIMS += [Claim("src", shared=True, is_path=True), Claim("net", shared=True)]


@dataclass(frozen=True)
class Sketch:
    """A phase to be: `back` says how many phases above stand those it needs.

    `whole`, `part` and `own` are the claims of the phase, its streams and its items, which have them in
    turn; `was` is what its items have come to before, in turn.
    """

    back: frozenset[int] = frozenset()
    tests: int = 1
    stages: int = 0
    streams: int = 0
    chained: bool = False
    serial: bool = False
    late: bool = False
    sync_below: bool = False
    whole: tuple[Claim, ...] = ()
    part: tuple[tuple[Claim, ...], ...] = ((),)
    own: tuple[tuple[Claim, ...], ...] = ((),)
    was: tuple[Outcome | None, ...] = (None,)

    def item(
        self, number: int, phase: str, kind: ItemKind, needs: tuple[int, ...] = (), name: str = ""
    ) -> Item:
        """An item of this phase or one of its streams."""
        if kind is ItemKind.MODULE:
            return Item(number, phase, kind)
        claims, was = self.own[number % len(self.own)], self.was[number % len(self.was)]
        return Item(number, phase, kind, needs, name, claims, was)


def rarely(one_in: int) -> st.SearchStrategy[bool]:
    """True once in so many times."""
    return st.integers(0, one_in - 1).map(lambda drawn: drawn == one_in - 1)


def draw_plan(sketches: list[Sketch]) -> Plan:
    """The plan of some sketches; a phase that needs one with streams needs its first stream alone."""
    phases: list[Phase] = []
    syncs: list[Sync] = []
    for number, sketch in enumerate(sketches):
        needed = [phases[number - back] for back in sorted(sketch.back) if back <= number]
        deps = tuple(phase.streams[0].id if phase.streams and phase.serial else phase.id for phase in needed)
        streams = tuple(
            Phase(
                f"{number}/{each}",
                "",
                PLACE,
                deps=(f"{number}/{each - 1}",) if sketch.chained and each else (),
                serial=sketch.late and each == 1,
                **keys(sketch.part[each % len(sketch.part)]),
            )
            for each in range(sketch.streams)
        )
        phases.append(
            Phase(
                str(number),
                "",
                PLACE,
                deps=deps,
                streams=streams,
                serial=sketch.serial,
                **keys(sketch.whole),
            )
        )
        if sketch.sync_below:
            syncs.append(Sync("", PLACE, tuple(phase.id for phase in phases)))
    return Plan("plan.md", "", tuple(phases), tuple(syncs))


def keys(claims: tuple[Claim, ...]) -> dict[str, tuple[str, ...]]:
    """What a plan would say for these claims; it has no word for sharing anything but paths."""
    return {
        "modifies": tuple(claim.name for claim in claims if claim.is_path and not claim.shared),
        "reads": tuple(claim.name for claim in claims if claim.is_path and claim.shared),
        "locks": tuple(claim.name for claim in claims if not claim.is_path),
    }


def draw_items(sketches: list[Sketch], laws: Laws, unphased: int) -> Iterator[Item]:
    """Tests, stages and modules that are collected later, of all units."""
    number = 0
    for sketch, phase in zip(sketches, laws.plan.phases, strict=True):
        for unit in phase.units:
            count = sketch.stages if unit is phase or sketch.chained else 0
            for stage in range(count):
                needed = STAGE_NEEDS.get(count, {}).get(stage)
                needs = () if needed is None else (number + needed,)
                yield sketch.item(number + stage, unit.id, ItemKind.STAGE, needs, f"stage {stage}")
            number += count
            kinds = [ItemKind.TEST] * sketch.tests
            kinds += [ItemKind.MODULE] * (sketch.late and bool(laws.before[unit.id]))
            yield from (sketch.item(number + each, unit.id, kind) for each, kind in enumerate(kinds))
            number += len(kinds)
    yield from (Item(number + each, UNPHASED) for each in range(unphased))


class Laws:
    """What must come before what, from the plan alone; all sets hold ids of phases and streams."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.parent = {stream.id: phase.id for phase in plan.phases for stream in phase.streams}
        self.whole = {unit.id: {part.id for part in unit.units} for unit in plan.units()} | {
            UNPHASED: {UNPHASED}
        }
        self.direct: dict[str, set[str]] = {UNPHASED: set()}
        self.green: dict[str, set[str]] = {UNPHASED: set()}
        self.wave: dict[str, int] = {}
        for phase in plan.phases:
            # Dependencies point upwards, so what a phase needs is worked out before it.
            self._add(phase, set(phase.deps))
            above = {self.parent.get(unit, unit) for unit in self.green[phase.id]} | self.above(phase.id)
            self.wave[phase.id] = 1 + max((self.wave[other] for other in above), default=0)
            for stream in phase.streams:
                self._add(stream, set(phase.deps) | set(stream.deps))
        self.before = {
            unit: self.green[unit] | {part for phase in self.above(unit) for part in self.whole[phase]}
            for unit in self.green
        }

    def _add(self, unit: Phase, direct: set[str]) -> None:
        self.direct[unit.id] = direct
        needed = direct.union(*(self.green[other] for other in direct))
        self.green[unit.id] = needed.union(*(self.whole[other] for other in needed))

    def passed(self, unit: str) -> list[int]:
        """The sync points above a unit, as numbers from 1."""
        phase = self.parent.get(unit, unit)
        return [number for number, sync in enumerate(self.plan.syncs, 1) if phase not in sync.above]

    def above(self, unit: str) -> set[str]:
        """The phases above the last sync point that stands above a unit."""
        passed = self.passed(unit)
        return set(self.plan.syncs[passed[-1] - 1].above) if passed else set()

    @cached_property
    def group(self) -> dict[str, str]:
        """For each serial unit the name of those whose turn it shares."""
        serial = {phase.id: phase.id for phase in self.plan.phases if phase.serial}
        streams = ((stream, phase) for phase in self.plan.phases for stream in phase.streams)
        return serial | {
            stream.id: serial.get(phase.id, stream.id)
            for stream, phase in streams
            if stream.serial or phase.serial
        }


def clash(some: Iterable[Claim], others: Iterable[Claim]) -> bool:
    """Whether any of these claims excludes any of those."""
    others = tuple(others)
    return any(one.excludes(other) for one in some for other in others)


@dataclass
class Holds:
    """Who holds what, by brute force, from what was sent and said alone.

    `running` holds the claims of items that workers have, with their units; `whole` those of phases and
    streams that began and let go nothing yet; `line` who was said to wait.
    """

    laws: Laws
    external: bool
    running: dict[int, tuple[str, tuple[Claim, ...]]] = field(default_factory=dict)
    whole: dict[str, tuple[Claim, ...]] = field(default_factory=dict)
    line: dict[Holder, tuple[Claim, ...]] = field(default_factory=dict)
    asked: dict[Holder, tuple[Claim, ...]] = field(default_factory=dict)
    answered: dict[Holder, tuple[Claim, ...]] = field(default_factory=dict)
    given_up: list[Holder] = field(default_factory=list)

    @cached_property
    def claims(self) -> dict[str, tuple[Claim, ...]]:
        """The claims of each phase and stream as the plan has them."""
        return {
            unit.id: tuple(
                [Claim(path, is_path=True) for path in unit.modifies]
                + [Claim(path, shared=True, is_path=True) for path in unit.reads]
                + [Claim(name) for name in unit.locks]
            )
            for unit in self.laws.plan.units()
        }

    def around(self, unit: str) -> tuple[str, ...]:
        """A unit and the phase it is a stream of, if they claim anything."""
        return tuple(each for each in (self.laws.parent.get(unit), unit) if self.claims.get(each or ""))

    def send(self, item: Item, queue: list[int]) -> None:
        """An item goes to a worker: everything that has to be held by then is."""
        for unit in self.around(item.phase):
            assert unit in self.whole, "sent before its phase had its claims"
        self.running[item.number] = item.phase, item.claims
        if item.claims:
            assert not queue, "queued behind others with a lock in its hands"
        assert not any(self.running[other][1] for other in queue), "queued behind one with a lock"
        if self.external:
            holders = (item.number, item.phase, self.laws.parent.get(item.phase))
            had = {claim for holder in holders for claim in self.answered.get(holder, ())}
            assert all(claim in had or replace(claim, shared=False) in had for claim in item.claims)

    def say(self, lock: Lock) -> None:
        """Somebody waits, holds, or lets go."""
        if lock.state is LockState.WAITING:
            assert lock.holder not in self.line, "said twice that it waits"
            assert lock.holder not in self.whole
            self.line[lock.holder] = lock.claims
            return
        self.line.pop(lock.holder, None)
        if isinstance(lock.holder, str):
            if lock.state is LockState.HELD:
                assert lock.holder not in self.whole
                self.whole[lock.holder] = lock.claims
                assert set(self.claims[lock.holder]) <= set(lock.claims)
                assert not self.external or self.is_external(lock.holder)
            elif lock.holder in self.whole:
                del self.whole[lock.holder]
                inside = {unit for unit, _ in self.running.values()} & self.laws.whole[lock.holder]
                assert not inside, "let go while something of it runs"

    def is_external(self, unit: str) -> bool:
        """Whether other runs have granted what a unit, or the phase around it, asked for."""
        return any(each in self.answered for each in (unit, self.laws.parent.get(unit)))

    def check(self) -> None:
        """Nobody who excludes another runs beside it."""
        for (number, (unit, claims)), (other, (_, theirs)) in combinations(self.running.items(), 2):
            assert not clash(claims, theirs), (number, other, unit)
        for (unit, claims), (other, theirs) in combinations(self.whole.items(), 2):
            family = other in self.laws.whole[unit] or unit in self.laws.whole[other]
            assert family or not clash(claims, theirs), (unit, other)
        for number, (unit, claims) in self.running.items():
            for other, theirs in self.whole.items():
                assert unit in self.laws.whole[other] or not clash(claims, theirs), (number, other)

    def could_run(self, item: Item, unfinished: Iterable[Item]) -> bool:
        """Whether nothing that runs, is held or was there first is in the way of an item."""
        missing = [each for each in self.around(item.phase) if each not in self.whole]
        if any(holder in self.asked for holder in (item.number, *self.around(item.phase))):
            return False
        wishes = [
            (item.number, item.phase, item.claims),
            *((each, each, self.claims[each]) for each in missing),
        ]
        return not any(self._is_kept(*wish, tuple(unfinished)) for wish in wishes)

    def _is_kept(
        self, holder: Holder, unit: str, claims: tuple[Claim, ...], unfinished: tuple[Item, ...]
    ) -> bool:
        whole = self.laws.whole
        demands = self._demands(holder, unfinished)
        if any(clash(claims, theirs) for _, theirs in self.running.values()):
            return True
        for other, theirs in self.whole.items():
            if unit in whole[other] or (isinstance(holder, str) and other in whole[holder]):
                continue
            others = self._demands(other, unfinished) if isinstance(holder, str) else ()
            if clash((*claims, *demands), theirs) or clash(claims, others):
                return True
        every = (*claims, *demands, *chain(*(self.claims[each] for each in self.around(unit))))
        # Whoever waits may keep others from overtaking: this is no place to say more.
        return any(
            other != holder and clash(every, (*theirs, *self._demands(other, unfinished)))
            for other, theirs in (self.line | self.asked).items()
        )

    def _demands(self, holder: Holder, unfinished: tuple[Item, ...]) -> tuple[Claim, ...]:
        if isinstance(holder, int):
            return ()
        parts = self.laws.whole[holder]
        own = (item.claims for item in unfinished if item.phase in parts)
        return tuple(chain(*own, *(self.claims[part] for part in parts)))


@dataclass(frozen=True)
class Case:
    """A plan, its laws, what was collected for it, and whether that may be stages."""

    laws: Laws
    items: tuple[Item, ...]
    staged: bool
    locked: bool

    def holds(self, *, external: bool) -> Holds:
        """The records of who holds what, empty."""
        return Holds(self.laws, external)

    def some_claims(self, drawn: random.Random) -> tuple[Claim, ...]:
        """The claims of an item that is found late."""
        return tuple(drawn.sample(CLAIMS, drawn.choice([0, 0, 1, 2]))) if self.locked else ()


def draw_case(
    sketches: list[Sketch], *, staged: bool, locked: bool, resumed: bool, wide: bool, unphased: int
) -> Case:
    """The case of some sketches, with or without stages, claims and outcomes from before.

    In a wide one phases need few others, so that many are open at once.
    """
    if wide:
        sketches = [replace(each, back=each.back & {8}, sync_below=False) for each in sketches]
    if not locked:
        sketches = [replace(sketch, whole=(), part=((),), own=((),)) for sketch in sketches]
    if not resumed:
        sketches = [replace(sketch, was=(None,)) for sketch in sketches]
    laws = Laws(draw_plan(sketches))
    drawn = sketches if staged else [replace(sketch, stages=0, late=False) for sketch in sketches]
    return Case(laws, tuple(draw_items(drawn, laws, unphased)), staged, locked)


SOME_CLAIMS = st.lists(st.sampled_from(CLAIMS), max_size=2, unique=True).map(tuple)
RARE_CLAIMS = st.sampled_from([(), ()]) | SOME_CLAIMS

SKETCH = st.builds(
    Sketch,
    back=st.frozensets(st.integers(1, 8), max_size=3),
    tests=st.sampled_from([1, 0, 2, 3, 5, 8]),
    stages=st.sampled_from([0, 0, 0, 1, 3]),
    streams=st.sampled_from([0, 0, 0, 2, 3]),
    chained=st.booleans(),
    serial=rarely(8),
    late=rarely(3),
    sync_below=rarely(8),
    whole=RARE_CLAIMS,
    part=st.lists(RARE_CLAIMS, min_size=1, max_size=3).map(tuple),
    own=st.lists(RARE_CLAIMS, min_size=1, max_size=5).map(tuple),
    was=st.lists(
        st.sampled_from([None, Outcome.PASSED, Outcome.PASSED, Outcome.SKIPPED, Outcome.FAILED]),
        min_size=1,
        max_size=4,
    ).map(tuple)
    | st.just((Outcome.PASSED,)),
)


@pytest.fixture(scope="session")
def cases() -> st.SearchStrategy[Case]:
    """Random plans of 1 to 40 phases with their laws and items."""
    return st.builds(
        draw_case,
        (st.integers(1, 8) | st.integers(1, 40)).flatmap(
            lambda phases: st.lists(SKETCH, min_size=phases, max_size=phases)
        ),
        staged=st.booleans(),
        locked=st.sampled_from([True, True, False]),
        resumed=st.sampled_from([False, False, True]),
        wide=st.booleans(),
        unphased=st.sampled_from([0, 0, 1, 10, 300]),
    )
