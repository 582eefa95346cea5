"""`coverage: ratchet`: the threshold of a phase is what its last green run on an ancestor commit reached."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pytest_phases.events import State
from pytest_phases.evidence import GATE, FigureRecord, PhaseRecord, RunRecord
from pytest_phases.gate.repository import is_ancestor
from pytest_phases.model import Phase, Plan

_PARTS = 10_000  # of a per cent


class History(Protocol):
    """What earlier runs have recorded."""

    def runs(self, plan_file: str) -> tuple[RunRecord, ...]:
        """The runs of a plan, the newest first."""

    def phases(self, run_id: str) -> tuple[PhaseRecord, ...]:
        """How the phases of a run ended."""

    def figures(self, run_id: str) -> tuple[FigureRecord, ...]:
        """The figures that a run judged."""


def ratcheted(plan: Plan, floors: Mapping[str, float]) -> Plan:
    """The plan with a threshold in per cent wherever it says `ratchet`: 0 for who has no floor yet.

    A stream that states what it covers has a threshold of its own if its phase has one, and so its own floor.
    """
    return replace(plan, phases=tuple(_ratcheted(phase, floors) for phase in plan.phases))


def _ratcheted(phase: Phase, floors: Mapping[str, float]) -> Phase:
    streams = tuple(
        replace(stream, ratchet=True, coverage=floors.get(stream.id, 0.0))
        if stream.ratchet or (phase.ratchet and stream.coverage is None and stream.covers)
        else stream
        for stream in phase.streams
    )
    coverage = floors.get(phase.id, 0.0) if phase.ratchet else phase.coverage
    return replace(phase, coverage=coverage, streams=streams)


def _floor(reached: float) -> float:
    """A figure as a threshold that it reaches, with no more digits than can be read."""
    return math.floor(reached * _PARTS) / _PARTS


def floors(plan: Plan, plan_file: str, root: Path, history: History) -> Mapping[str, float]:
    """What each phase and stream that says `ratchet` must reach, in per cent, as far as there is such a run.

    The tree of a run that counts was that of its commit; outside of git every run counts.
    """
    wanted = {unit.id for unit in plan.units() if unit.ratchet}
    found: dict[str, float] = {}
    for run in history.runs(plan_file) if wanted else ():
        if run.dirty or (run.commit is not None and not is_ancestor(root, run.commit)):
            continue
        green = {phase.id for phase in history.phases(run.run_id) if phase.state is State.GREEN}
        for figure in history.figures(run.run_id):
            if figure.id in wanted & green and figure.kind != GATE and figure.reached is not None:
                found.setdefault(figure.id, _floor(figure.reached))
        if wanted <= found.keys():
            break
    return found
