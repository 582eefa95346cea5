"""Writing a run down: what must exist, before anything runs, and what happened, as it happens."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime, timezone
from pathlib import Path

from pytest_phases.events import Figure, Outcome, PhaseResult, Tally
from pytest_phases.evidence import (
    ApprovalRecord,
    DeployRecord,
    Expected,
    ExpectedKind,
    FigureRecord,
    ItemRecord,
    PartRecord,
    PhaseRecord,
    Recorded,
    RunRecord,
    TreeEntry,
    digest_of,
)
from pytest_phases.gate.definition import definition_of
from pytest_phases.gate.look import COVERAGE_DATA, PARTS
from pytest_phases.gate.rules import rules_of
from pytest_phases.model import UNPHASED, Crew, Phase, Plan
from pytest_phases.state.database import NAME, Database, DatabaseError
from pytest_phases.table import Table

_EVERY = 0.5
"""Seconds between two writes of items that have ended."""


class Recorder:
    """One run's evidence on its way into the database of `folder` (`.phases`).

    `stage_prefix` is how pytest calls the plan in node ids. What cannot be written is no traceback
    and no success either: `problem` then says what is wrong, and the gate is told. A run without a
    plan has no gate, and writes nothing that could pass for the evidence of one that has.
    """

    def __init__(self, folder: Path, run: RunRecord, stage_prefix: str) -> None:
        self.run = run
        self.problem = ""
        self._folder = folder
        self._stage_prefix = stage_prefix
        self._database: Database | None = None
        self._expected: set[Expected] = set()
        self._units: tuple[Phase, ...] = ()
        self._thresholds: Mapping[str, float] = {}
        self._begun = False
        self._ended: list[ItemRecord] = []
        self._ran: set[tuple[str, str]] = set()
        self._written = time.monotonic()

    # While it runs ----------------------------------------------------------------------------

    def open(self) -> None:
        """Before anything is collected: this is the last run now, and what earlier ones have left is old."""
        for file in (*(self._folder / PARTS).glob("*.part"), self._folder / COVERAGE_DATA):
            with suppress(OSError):
                file.unlink()
        self._write(lambda database: database.begin(self.run))

    def begun(self, plan: Plan, table: Table) -> None:
        """Everything is collected; what was deselected must exist for a green gate all the same."""
        self._units, self._thresholds = tuple(plan.units()), rules_of(plan).thresholds
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
        self._write(lambda database: database.expect(self.run.run_id, self._expected))

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
            self._write(lambda database: database.expect(self.run.run_id, new))

    def lost(self, items: Iterable[Expected]) -> None:
        """Items are no longer collected."""
        gone = set(items)
        self._expected -= gone
        self._write(lambda database: database.unexpect(self.run.run_id, gone))

    def expect_part(self, phase: str, worker: str) -> None:
        """A worker has run an item of a phase that is measured."""
        self._expect([Expected(ExpectedKind.PART, phase, worker)])

    def ended(self, item: ItemRecord) -> None:
        """An item has its outcome."""
        self._ended.append(item)
        if item.kind is ExpectedKind.STAGE and item.outcome is not Outcome.BLOCKED:
            self._ran.add((item.phase, item.nodeid.rpartition("::")[2]))
        if time.monotonic() - self._written > _EVERY:
            self._write_ended()

    def part(self, part: PartRecord) -> None:
        """Coverage data lies on disk."""
        self._write(lambda database: database.add_part(self.run.run_id, part))

    def judged(self, figure: Figure) -> None:
        """A threshold was judged."""
        record = FigureRecord(
            figure.id, figure.kind, figure.required, figure.reached, figure.precision, figure.problem
        )
        self._write(lambda database: database.add_figure(self.run.run_id, record))

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
        definitions = {
            unit.id: json.dumps(definition_of(unit, self._thresholds.get(unit.id)), sort_keys=True)
            for unit in self._units
        }
        records = tuple(_phase_record(phase, definitions.get(phase.id, "")) for phase in phases)
        self._write_ended()
        self._write(lambda database: database.add_phases(self.run.run_id, records))

    def end(self, run: RunRecord, tree: Iterable[TreeEntry], conditions: Iterable[str]) -> Recorded | None:
        """The run is over: what it has written down, read back; None if it could not be written."""
        expected = frozenset(self._expected)
        self.run = replace(run, expected_digest=digest_of(expected), expected_count=len(expected))

        def write(database: Database) -> None:
            database.add_conditions(self.run.run_id, conditions)
            database.add_tree(self.run.run_id, tree)
            database.end(self.run)

        self._write(write)
        return self.recorded()

    def deployed(self, deploys: Iterable[DeployRecord]) -> Recorded | None:
        """Deploy stages were run."""
        self._write(lambda database: database.add_deploys(self.run.run_id, deploys))
        return self.recorded()

    def approvals(self) -> tuple[ApprovalRecord, ...]:
        """Every approval that was given."""
        found: list[ApprovalRecord] = []
        self._write(lambda database: found.extend(database.approvals()))
        return tuple(found)

    def recorded(self) -> Recorded | None:
        """What stands in the database; None if it could not be written or read."""
        found: list[Recorded] = []
        self._write(lambda database: found.append(database.recorded(self.run.run_id)))
        return found[0] if found else None

    def close(self) -> None:
        """Let the database go."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _write_ended(self) -> None:
        ended, self._ended = self._ended, []
        self._written = time.monotonic()
        self._write(lambda database: database.add_items(self.run.run_id, ended))

    def _write(self, write: Callable[[Database], None]) -> None:
        if self.problem or not self.run.plan_file:
            return
        try:
            if self._database is None:
                self._database = Database.open(self._folder / NAME)
            write(self._database)
        except DatabaseError as error:
            self.problem = str(error)


def _phase_record(phase: PhaseResult, definition: str) -> PhaseRecord:
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
        definition=definition,
    )


def _counts(tally: Tally) -> tuple[tuple[str, int], ...]:
    return tuple((each.name, count) for each in fields(tally) if (count := getattr(tally, each.name)))


def now() -> str:
    """The time as evidence has it: ISO 8601, UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
