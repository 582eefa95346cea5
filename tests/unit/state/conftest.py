"""Databases that are small enough to be cut off at every byte, and what can be read of one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_phases.events import Outcome, State
from pytest_phases.evidence import (
    ApprovalRecord,
    Expected,
    ExpectedKind,
    ItemRecord,
    PhaseRecord,
    RunRecord,
    StageRecord,
    TreeEntry,
)
from pytest_phases.state.database import Database, DatabaseError

RUN = RunRecord("r1", "2025", "plan.md", "1a2b")
OUTCOMES = (Outcome.PASSED, Outcome.FAILED, Outcome.PASSED, Outcome.ERROR, Outcome.PASSED)


def _write(database: Database) -> None:
    """A run of three phases, of which the second one is red, in twelve transactions."""
    database.begin(RUN)
    database.add_tree("r1", [TreeEntry(f"src/{number}.py", "file", f"{number:064x}") for number in range(5)])
    for phase in "123":
        expected = [
            Expected(ExpectedKind.TEST, phase, f"t{phase}.py::test_{n}") for n in range(len(OUTCOMES))
        ]
        red = phase == "2"
        items = [
            ItemRecord(each.name, phase, each.kind, outcome if red else Outcome.PASSED, 0.25, "gw0")
            for each, outcome in zip(expected, OUTCOMES, strict=True)
        ]
        database.expect("r1", expected)
        with database.together():
            database.add_items("r1", items)
            database.add_phases(
                "r1", [PhaseRecord(phase, "phase", "Name", State.RED if red else State.GREEN)]
            )
        database.add_stages("r1", [StageRecord(phase, "build", "c0de")])
    database.approve(ApprovalRecord("security", "alice", "", "1f2e", "2025"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A database of pages of 512 bytes, of a run that has ended."""
    path = tmp_path / "small" / "phases.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA page_size = 512")
        connection.execute("PRAGMA journal_mode = WAL")
    with Database.open(path) as database:
        _write(database)
        database.end(replace(RUN, ended="2025"))
    return path


Rows = frozenset[tuple[str, ...]]


@pytest.fixture
def rows() -> Callable[[Path], Rows]:
    """A function that reads all there is to read of a file, as a set; empty if it cannot be used."""

    def read(path: Path) -> Rows:
        try:
            with Database.open(path, read_only=True) as database:
                return of(database)
        except DatabaseError:
            return frozenset()

    def of(database: Database) -> Rows:
        found = [("approval", each.name, each.tree) for each in database.approvals()]
        for run in database.runs("plan.md"):
            name, recorded = run.run_id, database.recorded(run.run_id)
            found += [(name, "item", each.nodeid, each.phase, each.outcome.value) for each in recorded.items]
            found += [(name, "phase", each.id, each.state.value) for each in recorded.phases]
            found += [(name, "stage", each.phase, each.stage) for each in recorded.stages]
            found += [(name, "ended")] if run.ended is not None else []
        return frozenset(found)

    return read
