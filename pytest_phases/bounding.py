"""Which phases are watched, and what each of them may modify, from what the plan says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_phases.graph import Graph
from pytest_phases.model import Phase, Plan, Stage


def allowed(plan: Plan) -> Mapping[str, tuple[str, ...]]:
    """For each phase and stream that is watched, the paths and globs that it may modify.

    These are its own and those of its stages, and what its stages make; a stream that states none has
    those of its phase, and a phase may do all that its streams may. Who may modify nothing in
    particular is not watched.
    """
    return {unit: paths for phase in plan.phases for unit, paths in _of_phase(plan, phase) if paths}


def _of_phase(plan: Plan, phase: Phase) -> Iterator[tuple[str, tuple[str, ...]]]:
    enforced = phase.enforce if phase.enforce is not None else plan.enforce
    of_streams = tuple(path for stream in phase.streams for path in _own(stream))
    own = (*_own(phase), *of_streams)
    if enforced:
        yield phase.id, own
    for stream in phase.streams:
        if enforced if stream.enforce is None else stream.enforce:
            yield stream.id, _own(stream) if stream.modifies else (*_own(phase), *_own(stream))


def _own(unit: Phase) -> tuple[str, ...]:
    stages = (path for stage in unit.stages for path in (*stage.modifies, *stage.outputs))
    return (*unit.modifies, *stages)


def declared(plan: Plan) -> tuple[str, ...]:
    """All paths that the plan says anything modifies or reads: stages are watched by them."""
    stages = (stage for unit in plan.units() for stage in unit.stages)
    parts: tuple[Phase | Stage, ...] = (*plan.units(), *stages)
    return tuple(dict.fromkeys(path for part in parts for path in (*part.modifies, *part.reads)))


def beside(plan: Plan, graph: Graph) -> Mapping[str, tuple[str, ...]]:
    """For each phase and stream, what others may modify while it runs."""
    before = {unit.id: graph.ancestors(unit.id) for unit in plan.units()}
    return {
        unit.id: tuple(
            path
            for other in plan.units()
            if other.id != unit.id and other.id not in before[unit.id] and unit.id not in before[other.id]
            for path in _own(other)
        )
        for unit in plan.units()
    }
