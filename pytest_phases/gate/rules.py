"""What the gate demands by the plan, and what somebody found who looked: both sides of the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_phases.coverage.scope import judged
from pytest_phases.evidence import GATE
from pytest_phases.model import Plan

SYNC = "sync:"
"""What the id of a sync point begins with; no phase can be called so."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a plan demands of a run; thresholds are in per cent.

    `phases` are the required top-level phases in the order of the plan, and `every` says that the gate
    requires whatever the run knew besides. `required` is the gate's own threshold; `thresholds` are
    those of phases, streams and sync points (`sync:1` is the first) by id. `streams` are those of the
    required phases, and `stages` pairs of a phase or stream and a stage's id: a run that did not know
    them ran another plan. `syncs` are the names of the sync points.
    """

    name: str
    phases: tuple[str, ...]
    every: bool
    required: float | None
    thresholds: Mapping[str, float]
    approvals: tuple[str, ...]
    allow_empty: tuple[str, ...]
    streams: tuple[str, ...] = ()
    stages: tuple[tuple[str, str], ...] = ()
    syncs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What was found when somebody looked.

    `parts` are triples of phase, worker and problem (empty: readable and unaltered); `surplus` names
    files of parts that nobody expects; `changed` paths that changed while the run ran and must not
    have; `now` says in sentences how tree, commit or plan differ by now from those of the run;
    `approvals` are pairs of name and problem (empty: given for exactly this tree).
    """

    parts: tuple[tuple[str, str, str], ...] = ()
    surplus: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    now: tuple[str, ...] = ()
    approvals: tuple[tuple[str, str], ...] = ()


def rules_of(plan: Plan) -> Rules:
    """What the gate of a plan demands; without a gate that is every phase, as the plan has it."""
    gate = plan.gate
    named = {phase.partition("/")[0] for phase in gate.phases} if gate is not None else set()
    required = tuple(phase for phase in plan.phases if not named or phase.id in named)
    units = tuple(unit for phase in required for unit in phase.units)
    return Rules(
        name=gate.name if gate is not None else "",
        phases=tuple(phase.id for phase in required),
        every=not named,
        required=gate.coverage if gate is not None else None,
        thresholds={target.id: target.required for target in judged(plan) if target.kind != GATE},
        approvals=gate.approvals if gate is not None else (),
        allow_empty=gate.allow_empty if gate is not None else (),
        streams=tuple(stream.id for phase in required for stream in phase.streams),
        stages=tuple((unit.id, stage.id) for unit in units for stage in unit.stages),
        syncs=tuple(sync.name for sync in plan.syncs),
    )
