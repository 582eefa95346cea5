"""What a threshold is about: the files it is judged over and the phases whose tests count for it.

A phase answers for its `covers`, else for those of its streams, else for the configured source; a
stream for its own, else for what its phase answers for. A sync point answers for what the phases
above it answer for together, the gate for what all phases do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pytest_phases.errors import PhasesError
from pytest_phases.evidence import GATE
from pytest_phases.graph import Graph, Kind, build
from pytest_phases.model import UNPHASED, Gate, Phase, Place, Plan, place_of

SOURCE = ""
"""Stands among `covers` for the source that coverage.py is configured to measure."""


class ScopeError(PhasesError):
    """No figure can be given for the files of a threshold; the message says why and what to write."""


@dataclass(frozen=True, slots=True)
class Target:
    """A threshold of the plan: `required` per cent of what `covers` matches, by the tests of `phases`.

    `kind` is `phase`, `stream`, `sync point` or `gate`, `id` is that of its node in the graph, or
    `gate`. No `covers` means the configured source alone. `phases` holds the ids of all phases and
    streams that count, and `unphased` for the gate. `place` is where the threshold is stated.
    """

    id: str
    kind: str
    required: float
    covers: tuple[str, ...]
    phases: tuple[str, ...]
    name: str = field(compare=False)
    place: Place = field(compare=False)


def judged(plan: Plan) -> tuple[Target, ...]:
    """Every threshold of a sound plan: phases with their streams, then sync points, then the gate."""
    graph = build(plan)
    targets = [target for phase in plan.phases for target in _of_phase(phase)]
    targets += _of_sync_points(plan, graph)
    if plan.gate is not None and plan.gate.coverage is not None:
        targets.append(_of_gate(plan, plan.gate, plan.gate.coverage))
    return tuple(targets)


def phase_covers(phase: Phase) -> tuple[str, ...]:
    """What a phase answers for; empty if it is the configured source."""
    return phase.covers or _union(stream.covers for stream in phase.streams)


def together(phases: Iterable[Phase]) -> tuple[str, ...]:
    """What phases answer for together, SOURCE among it where one states no `covers`; empty if none does."""
    covers = _union(phase_covers(phase) or (SOURCE,) for phase in phases)
    return () if covers == (SOURCE,) else covers


def _of_phase(phase: Phase) -> Iterator[Target]:
    """The thresholds of a phase's streams, which close before it, and its own."""
    for stream in phase.streams:
        # A stream without `covers` is judged as a part of its phase, unless it says otherwise.
        inherited = phase.coverage if stream.covers else None
        required = stream.coverage if stream.coverage is not None else inherited
        if required is not None:
            covers = stream.covers or phase_covers(phase)
            stated = stream if stream.coverage is not None else phase
            yield Target(
                stream.id,
                Kind.STREAM.value,
                required,
                covers,
                (stream.id,),
                stream.name,
                place_of(stated, "coverage"),
            )
    if phase.coverage is not None:
        ids = tuple(unit.id for unit in phase.units)
        yield Target(
            phase.id,
            Kind.PHASE.value,
            phase.coverage,
            phase_covers(phase),
            ids,
            phase.name,
            place_of(phase, "coverage"),
        )


def _of_sync_points(plan: Plan, graph: Graph) -> Iterator[Target]:
    nodes = (node for node in graph.nodes.values() if node.kind is Kind.SYNC)
    for node, sync in zip(nodes, plan.syncs, strict=True):
        if sync.coverage is not None:
            # Phases of markers that something above needs stand above as well, whatever the plan says.
            before = graph.ancestors(node.id)
            covers = together(phase for phase in plan.phases if phase.id in before)
            ids = tuple(unit.id for unit in plan.units() if unit.id in before)
            yield Target(node.id, Kind.SYNC.value, sync.coverage, covers, ids, sync.name, sync.place)


def _of_gate(plan: Plan, gate: Gate, required: float) -> Target:
    ids = (*(unit.id for unit in plan.units()), UNPHASED)
    return Target(GATE, "gate", required, together(plan.phases), ids, gate.name, place_of(gate, "coverage"))


def _union(covers: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry for entries in covers for entry in entries))
