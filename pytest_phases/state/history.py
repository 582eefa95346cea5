"""What stands in the database: one run in full, and what the runs before it can tell the next one."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import TypeVar

from pytest_phases.events import Outcome
from pytest_phases.evidence import (
    ApprovalRecord,
    Dependency,
    ExpectedKind,
    FigureRecord,
    ItemRecord,
    PartRecord,
    PhaseRecord,
    Recorded,
    RunRecord,
    StageRecord,
    TreeEntry,
)
from pytest_phases.state import columns, schema
from pytest_phases.state.columns import Value
from pytest_phases.state.connection import RUN_FIRST, DatabaseError, told
from pytest_phases.state.schema import Record, Table

DURATIONS = 5
"""How many of the last durations of an item are looked at."""

_Self = TypeVar("_Self", bound="History")


class History:
    """What runs have written down; every method raises DatabaseError.

    Runs are in the order in which they began, whatever the clock said. Of a run that was pruned there
    are its phases, figures, waves and stages, and nothing of its items, tree and dependencies.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    def close(self) -> None:
        """Let go of the file; closing twice does no harm."""
        with told(self._path):
            self._connection.close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # One run ------------------------------------------------------------------------------------

    def recorded(self, run_id: str) -> Recorded:
        """Everything that a run wrote down, as of one moment, in the order in which it was added."""
        with self._transaction():
            return Recorded(
                run=self._require(run_id),
                expected=frozenset(self._of_run(schema.EXPECTED, run_id)),
                phases=self._of_run(schema.PHASE, run_id),
                items=self._of_run(schema.ITEM, run_id),
                parts=self._of_run(schema.PART, run_id),
                figures=self._of_run(schema.FIGURE, run_id),
                tree=self._of_run(schema.TREE, run_id),
                conditions=tuple(each.text for each in self._of_run(schema.CONDITION, run_id)),
                deploys=self._of_run(schema.DEPLOY, run_id),
                stages=self._of_run(schema.STAGE, run_id),
                waves=self._of_run(schema.WAVE, run_id),
            )

    def phases(self, run_id: str) -> tuple[PhaseRecord, ...]:
        """Phases, streams and sync points as they are recorded by now; of a killed run, those that closed."""
        return self._read(schema.PHASE, run_id)

    def items(self, run_id: str, phase: str | None = None) -> tuple[ItemRecord, ...]:
        """The items that have ended, of all phases or of one, in the order in which they did."""
        return self._read(schema.ITEM, run_id, phase)

    def dependencies(self, run_id: str, phase: str | None = None) -> tuple[Dependency, ...]:
        """What the outcomes of all phases or of one depend on."""
        return self._read(schema.DEPENDENCY, run_id, phase)

    def stages_of(self, run_id: str) -> tuple[StageRecord, ...]:
        """The stages that ended well, or were up to date."""
        return self._read(schema.STAGE, run_id)

    def tree(self, run_id: str) -> tuple[TreeEntry, ...]:
        """The files after the run; of one that was killed, those before it."""
        return self._read(schema.TREE, run_id)

    def parts(self, run_id: str) -> tuple[PartRecord, ...]:
        """The coverage data that was measured."""
        return self._read(schema.PART, run_id)

    def figures(self, run_id: str) -> tuple[FigureRecord, ...]:
        """The thresholds that were judged."""
        return self._read(schema.FIGURE, run_id)

    # All runs -----------------------------------------------------------------------------------

    def latest(self) -> str | None:
        """The id of the run that began last; None if there was no run."""
        with self._transaction() as connection:
            row = connection.execute('SELECT "run_id" FROM "run" ORDER BY rowid DESC LIMIT 1').fetchone()
            return None if row is None else str(columns.TEXT.read(row[0]))

    def runs(self, plan_file: str) -> tuple[RunRecord, ...]:
        """The runs of a plan, named relative to the rootdir; the one that began last comes first."""
        with self._transaction():
            return self._of_run(schema.RUN, plan_file, "plan_file")[::-1]

    def measured_runs(self) -> frozenset[str]:
        """The ids of the runs of which there is coverage data."""
        with self._transaction() as connection:
            rows = connection.execute('SELECT DISTINCT "run" FROM "part"')
            return frozenset(columns.TEXT.read(run) for (run,) in rows)

    def last_stages(self, plan_file: str | None = None) -> tuple[StageRecord, ...]:
        """Of each stage that ended well when it ran last, in runs of this plan or of all, the last record."""
        plan = None if plan_file is None else columns.TEXT.write(plan_file)
        last = (
            'SELECT "run".rowid, max("stage".rowid) FROM "stage" '
            'JOIN "run" ON "run"."run_id" = "stage"."run" '
            'WHERE ?1 IS NULL OR "run"."plan_file" = ?1 GROUP BY "stage"."phase", "stage"."stage"'
        )
        with self._transaction() as connection:
            badly = self._ended_badly(plan)
            runs = {row: run for run, row in connection.execute(last, (plan,))}
            query = f"{schema.STAGE.columns_of} WHERE rowid = ?"
            records = {
                row: schema.STAGE.read(connection.execute(query, (row,)).fetchone()) for row in sorted(runs)
            }
        return tuple(
            stage for row, stage in records.items() if runs[row] >= badly.get((stage.phase, stage.stage), 0)
        )

    def _ended_badly(self, plan: Value) -> Mapping[tuple[str, str], int]:
        """The last run in which a stage ended badly, by phase and stage."""
        query = (
            'SELECT "item"."phase", "item"."nodeid", max("run".rowid) FROM "item" '
            'JOIN "run" ON "run"."run_id" = "item"."run" '
            'WHERE (?1 IS NULL OR "run"."plan_file" = ?1) AND "item"."kind" = ?2 '
            'AND "item"."outcome" IN (?3, ?4) GROUP BY "item"."phase", "item"."nodeid"'
        )
        bad = (ExpectedKind.STAGE.value, Outcome.FAILED.value, Outcome.ERROR.value)
        rows = self._connection.execute(query, (plan, *bad))
        return {(phase, columns.TEXT.read(nodeid).rpartition("::")[2]): run for phase, nodeid, run in rows}

    def durations(self) -> Mapping[str, float]:
        """How long each item takes, in seconds: the median of the last ones, whether it passed or failed.

        By node id; an item that was skipped or blocked has not shown how long it takes.
        """
        known: defaultdict[str, list[float]] = defaultdict(list)
        query = 'SELECT "nodeid", "duration" FROM "item" WHERE "outcome" IN (?, ?, ?) ORDER BY rowid DESC'
        shown = (Outcome.PASSED.value, Outcome.XFAILED.value, Outcome.FAILED.value)
        with self._transaction() as connection:
            for nodeid, duration in connection.execute(query, shown):
                last = known[nodeid]
                if len(last) < DURATIONS:
                    last.append(duration)
            return {
                columns.TEXT.read(nodeid): median(map(columns.NUMBER.read, last))
                for nodeid, last in known.items()
            }

    def approvals(self) -> tuple[ApprovalRecord, ...]:
        """All approvals in the order in which they were given."""
        with self._transaction() as connection:
            return tuple(map(schema.APPROVAL.read, connection.execute(schema.APPROVAL.select())))

    # Reading ------------------------------------------------------------------------------------

    def _read(self, table: Table[Record], run_id: str, phase: str | None = None) -> tuple[Record, ...]:
        """The rows of a run that must have begun."""
        with self._transaction():
            self._require(run_id)
            return self._of_run(table, run_id, phase=phase)

    def _of_run(
        self, table: Table[Record], run_id: str, column: str = "run", *, phase: str | None = None
    ) -> tuple[Record, ...]:
        wanted = {column: run_id} if phase is None else {column: run_id, "phase": phase}
        rows = self._connection.execute(table.select(*wanted), [*map(columns.TEXT.write, wanted.values())])
        return tuple(map(table.read, rows))

    def _require(self, run_id: str) -> RunRecord:
        for run in self._of_run(schema.RUN, run_id, "run_id"):
            return run
        raise DatabaseError(self._path, f"knows no run {run_id!r}", RUN_FIRST)

    @contextmanager
    def _transaction(self, kind: str = "DEFERRED") -> Iterator[sqlite3.Connection]:
        """What is done within is there whole or not at all; within another one it is a part of that."""
        with told(self._path):
            if self._connection.in_transaction:
                yield self._connection
                return
            with self._connection as connection:  # commits, or rolls back
                connection.execute(f"BEGIN {kind}")
                yield connection
