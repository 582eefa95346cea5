"""Random plans, and the laws that follow from them.

`Laws` says what must come before what, worked out from the plan alone and not by the graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import pytest
from hypothesis import strategies as st

from pytest_phases.model import UNPHASED, Phase, Place, Plan, Sync
from pytest_phases.scheduler.protocol import Item, ItemKind

PLACE = Place("plan.md", 1)

# Which stages of a phase need which, by how many there are: also one that stands after them.
STAGE_NEEDS = {3: {0: 2, 2: 1}}


@dataclass(frozen=True)
class Sketch:
    """A phase to be: `back` says how many phases above stand those it needs."""

    back: frozenset[int] = frozenset()
    tests: int = 1
    stages: int = 0
    streams: int = 0
    chained: bool = False
    serial: bool = False
    late: bool = False
    sync_below: bool = False


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
            )
            for each in range(sketch.streams)
        )
        phases.append(Phase(str(number), "", PLACE, deps=deps, streams=streams, serial=sketch.serial))
        if sketch.sync_below:
            syncs.append(Sync("", PLACE, tuple(phase.id for phase in phases)))
    return Plan("plan.md", "", tuple(phases), tuple(syncs))


def draw_items(sketches: list[Sketch], laws: Laws, unphased: int) -> Iterator[Item]:
    """Tests, stages and modules that are collected later, of all units."""
    number = 0
    for sketch, phase in zip(sketches, laws.plan.phases, strict=True):
        for unit in phase.units:
            count = sketch.stages if unit is phase or sketch.chained else 0
            for stage in range(count):
                needed = STAGE_NEEDS.get(count, {}).get(stage)
                needs = () if needed is None else (number + needed,)
                yield Item(number + stage, unit.id, ItemKind.STAGE, needs, f"stage {stage}")
            number += count
            kinds = [ItemKind.TEST] * sketch.tests
            kinds += [ItemKind.MODULE] * (sketch.late and bool(laws.before[unit.id]))
            yield from (Item(number + each, unit.id, kind) for each, kind in enumerate(kinds))
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


@dataclass(frozen=True)
class Case:
    """A plan, its laws, what was collected for it, and whether that may be stages."""

    laws: Laws
    items: tuple[Item, ...]
    staged: bool


def draw_case(sketches: list[Sketch], *, staged: bool, unphased: int) -> Case:
    """The case of some sketches, with or without their stages, and with so many unphased tests."""
    laws = Laws(draw_plan(sketches))
    drawn = sketches if staged else [replace(sketch, stages=0, late=False) for sketch in sketches]
    return Case(laws, tuple(draw_items(drawn, laws, unphased)), staged)


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
)


@pytest.fixture(scope="session")
def cases() -> st.SearchStrategy[Case]:
    """Random plans of 1 to 40 phases with their laws and items."""
    return st.builds(
        draw_case,
        st.integers(1, 40).flatmap(lambda phases: st.lists(SKETCH, min_size=phases, max_size=phases)),
        staged=st.booleans(),
        unphased=st.sampled_from([0, 0, 1, 10, 300]),
    )
