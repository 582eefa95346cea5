"""Writing a run down: what must exist, before anything runs, and what happened, as it happens."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from pytest_phases.events import Figure, Outcome, PhaseResult, Tally
from pytest_phases.evidence import (
    ApprovalRecord,
    Dependency,
    DeployRecord,
    Expected,
    ExpectedKind,
    FigureRecord,
    ItemRecord,
    Origin,
    PartRecord,
    PhaseRecord,
    Recorded,
    RunRecord,
    StageRecord,
    TreeEntry,
    WaveRecord,
    digest_of,
)
from pytest_phases.gate.definition import definition_of
from pytest_phases.gate.look import COVERAGE_DATA, PARTS
from pytest_phases.gate.rules import rules_of
from pytest_phases.model import UNPHASED, Crew, Phase, Plan
from pytest_phases.state.database import NAME, Database, DatabaseError
from pytest_phases.state.writer import Add, Writer
from pytest_phases.table import Table

Answer = TypeVar("Answer")


class Recorder:
    """One run's evidence on its way into the database of `folder` (`.phases`).

    `stage_prefix` is how pytest calls the plan in node ids. Whatever happens is on disk within half a
    second. What cannot be written is no traceback and no success either: `problem` then says what is
    wrong, and the gate is told. A run without a plan has no gate, and writes nothing that could pass
    for the evidence of one that has.
    """

    def __init__(self, folder: Path, run: RunRecord, stage_prefix: str) -> None:
        self.run = run
        self._folder = folder
        self._stage_prefix = stage_prefix
        self._writer = Writer(folder / NAME, run.run_id) if run.plan_file else None
        self._expected: set[Expected] = set()
        self._units: tuple[Phase, ...] = ()
        self._definitions: Mapping[str, str] = {}
        self._origins: Mapping[str, Origin] = {}
        self._begun = False
        self._ran: set[tuple[str, str]] = set()

    @property
    def problem(self) -> str:
        """Why nothing more is written down; empty if all is well."""
        return self._writer.problem if self._writer is not None else ""

    @property
    def set_aside(self) -> str:
        """What was done with a database that could not be used; empty if there was none."""
        return self._writer.set_aside if self._writer is not None else ""

    # While it runs ----------------------------------------------------------------------------

    def open(self, tree: Iterable[TreeEntry] = ()) -> None:
        """Before anything is collected: this is the last run now; `tree` are the files before it."""
        _remove(self._folder / COVERAGE_DATA)
        self.ask(lambda database: database.begin(self.run))
        self._add(Database.add_tree, tree)

    def begun(self, plan: Plan, table: Table) -> None:
        """Everything is collected; what was deselected must exist for a green gate all the same."""
        self._units, thresholds = tuple(plan.units()), rules_of(plan).thresholds
        self._definitions = {
            unit.id: json.dumps(definition_of(unit, thresholds.get(unit.id)), sort_keys=True)
            for unit in self._units
        }
        self._expected.update(Expected(ExpectedKind.PHASE, unit.id) for unit in self._units)
        self._expected.update(
            Expected(ExpectedKind.STAGE, unit.id, f"{self._stage_prefix}::{unit.id}::{stage.id}")
            for unit in self._units
            for stage in unit.stages
        )
        self._expected.update(Expected(ExpectedKind.TEST, phase, nodeid) for nodeid, phase in table.left_out)
        self._add_unphased()
        self.run = replace(self.run, restricted="; ".join(filter(None, (table.uncollected, table.unseen))))
        self._begun = True
        self._add(Database.expect, tuple(self._expected))
        self.flush()

    def found(self, items: Iterable[Expected]) -> None:
        """Items were collected: the first ones before anything runs, those of late modules later."""
        self._expect(items)

    def _add_unphased(self) -> None:
        if any(each.phase == UNPHASED for each in self._expected):
            self._expect([Expected(ExpectedKind.PHASE, UNPHASED)])

    def _expect(self, expected: Iterable[Expected]) -> None:
        new = set(expected) - self._expected
        self._expected |= new
        if new and self._begun:
            self._add(Database.expect, new)

    def lost(self, items: Iterable[Expected]) -> None:
        """Items are no longer collected."""
        gone = set(items)
        self._expected -= gone
        self._add(Database.unexpect, gone)

    def expect_part(self, phase: str, worker: str) -> None:
        """A worker has run an item of a phase that is measured."""
        self._expect([Expected(ExpectedKind.PART, phase, worker)])

    def ended(self, item: ItemRecord) -> None:
        """An item has its outcome."""
        self._add(Database.add_items, [item])
        if item.kind is ExpectedKind.STAGE and item.outcome is not Outcome.BLOCKED:
            self._ran.add((item.phase, item.nodeid.rpartition("::")[2]))

    def part(self, part: PartRecord) -> None:
        """Coverage data lies on disk."""
        self._add(Database.add_parts, [part])

    def judged(self, figure: Figure) -> None:
        """A threshold was judged."""
        record = FigureRecord(
            figure.id, figure.kind, figure.required, figure.reached, figure.precision, figure.problem
        )
        self._add(Database.add_figures, [record])

    def resumed(self, origins: Mapping[str, Origin]) -> None:
        """These phases and streams are not run again: where they were run."""
        self._origins = origins

    def phase_closed(self, result: PhaseResult) -> None:
        """A phase, stream or sync point has closed; what it is at the end replaces it."""
        self._add(Database.add_phases, [self._phase_record(result)])

    def wave_closed(self, wave: WaveRecord) -> None:
        """Every phase of a wave has closed."""
        self._add(Database.add_waves, [wave])

    def stage_ended(self, stage: StageRecord) -> None:
        """A stage has ended well, or is up to date."""
        self._add(Database.add_stages, [stage])

    def depends(self, dependencies: Iterable[Dependency]) -> None:
        """What the outcome of phases depends on."""
        self._add(Database.add_dependencies, dependencies)

    @property
    def built(self) -> bool:
        """Whether a build stage has run."""
        return any(
            stage.crew is Crew.BUILD and (unit.id, stage.id) in self._ran
            for unit in self._units
            for stage in unit.stages
        )

    # When it is over ----------------------------------------------------------------------------

    def closed(self, phases: Iterable[PhaseResult]) -> None:
        """How every phase and stream ended."""
        self._add(Database.add_phases, [self._phase_record(phase) for phase in phases])
        self.flush()

    def end(self, run: RunRecord, tree: Iterable[TreeEntry], conditions: Iterable[str]) -> Recorded | None:
        """The run is over: what it has written down, read back; None if it could not be written."""
        expected = frozenset(self._expected)
        self.run = replace(run, expected_digest=digest_of(expected), expected_count=len(expected))
        self._add(Database.add_conditions, conditions)

        def write(database: Database) -> None:
            with database.together():
                database.replace_tree(self.run.run_id, tree)
                database.end(self.run)

        self.ask(write)
        return self.recorded()

    def deployed(self, deploys: Iterable[DeployRecord]) -> Recorded | None:
        """Deploy stages were run."""
        self._add(Database.add_deploys, tuple(deploys))
        return self.recorded()

    def approvals(self) -> tuple[ApprovalRecord, ...]:
        """Every approval that was given."""
        return self.ask(Database.approvals) or ()

    def recorded(self) -> Recorded | None:
        """What stands in the database; None if it could not be written or read.

        It is opened anew: the file may have been removed or written over while the run wrote to it.
        """
        self.flush()
        if self._writer is None or self.problem:
            return None
        try:
            with Database.open(self._folder / NAME, read_only=True) as database:
                return database.recorded(self.run.run_id)
        except DatabaseError as error:
            self._writer.problem = self._writer.problem or str(error)
            return None

    def close(self) -> None:
        """Forget the oldest runs with what they have measured, and let the database go."""
        if self._writer is not None:
            self.ask(lambda database: database.prune(self.run.run_id))
            known = self.ask(Database.measured_runs)
            if known is not None:
                for folder in (self._folder / PARTS).glob("*"):
                    if folder.name not in known:
                        shutil.rmtree(folder, ignore_errors=True)
            self._writer.close()

    # Writing ------------------------------------------------------------------------------------

    def ask(self, act: Callable[[Database], Answer]) -> Answer | None:
        """What this says of the database as it is after all that was recorded; None if it cannot be used."""
        return self._writer.call(act) if self._writer is not None else None

    def flush(self) -> None:
        """Return when all that was recorded is on disk, or cannot be."""
        if self._writer is not None:
            self._writer.flush()

    def _add(self, add: Add, records: Iterable[Any]) -> None:
        if self._writer is not None:
            self._writer.add(add, records)

    def _phase_record(self, phase: PhaseResult) -> PhaseRecord:
        return PhaseRecord(
            id=phase.id,
            kind=phase.kind,
            name=phase.name,
            state=phase.state,
            reason=phase.reason,
            wave=phase.wave,
            seconds=phase.seconds,
            tests=_counts(phase.tests),
            stages=_counts(phase.stages),
            definition=self._definitions.get(phase.id, ""),
            origin=self._origins.get(phase.id),
        )


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink()


def _counts(tally: Tally) -> tuple[tuple[str, int], ...]:
    return tuple((each.name, count) for each in fields(tally) if (count := getattr(tally, each.name)))


def now() -> str:
    """The time as evidence has it: ISO 8601, UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
