"""`.phases/phases.db`: what runs write down of themselves, and approvals, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pytest_phases.evidence import (
    ApprovalRecord,
    Dependency,
    DeployRecord,
    Expected,
    FigureRecord,
    ItemRecord,
    PartRecord,
    PhaseRecord,
    RunRecord,
    StageRecord,
    TreeEntry,
    WaveRecord,
)
from pytest_phases.state import columns, schema
from pytest_phases.state.aside import check_beginning, check_content, check_length, set_aside
from pytest_phases.state.connection import (
    ANEW,
    RUN_FIRST,
    DatabaseError,
    UnusableFile,
    connect,
    has_journal,
    told,
)
from pytest_phases.state.history import History
from pytest_phases.state.schema import Record, Table

__all__ = ["NAME", "Database", "DatabaseError"]

NAME = "phases.db"
"""The name of the file, below `.phases`."""

WHOLE = 10
"""So many runs of a plan are kept with everything they wrote."""

REMEMBERED = 200
"""So many are kept with their phases and figures, which is little and shows where they stood."""


class Database(History):
    """The evidence of all runs in one folder, and the approvals; every method raises DatabaseError.

    What one call adds is there whole or not at all. Several processes may use one file. `set_aside`
    says what was done with a file that could not be used, empty if this is the one that was there.
    """

    set_aside = ""

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False, anew: bool = True) -> Database:
        """Open the file, or make it and its folder; with `read_only` it must exist and nothing is changed.

        A file to write to that is damaged, foreign or of another version is set aside if `anew`, and a
        new one takes its place. Use it in a `with` statement or close it.
        """
        with told(path):
            if read_only:
                return cls._open_to_read(path)
            try:
                return cls._open_to_write(path)
            except UnusableFile as error:
                if not anew:
                    raise
                message = set_aside(path, error)
            database = cls._open_to_write(path)
            database.set_aside = message
            return database

    @classmethod
    def _open_to_read(cls, path: Path) -> Database:
        if not path.exists():
            raise DatabaseError(path, "does not exist", RUN_FIRST)
        with _connected(cls, path, read_only=True) as database:
            if not database._check_version():
                raise DatabaseError(path, "is empty", RUN_FIRST)
            check_length(path, database._connection)
        return database

    @classmethod
    def _open_to_write(cls, path: Path) -> Database:
        suspect = has_journal(path)
        with _connected(cls, path, read_only=False) as database:
            if database._check_version():
                check_length(path, database._connection)
                check_content(path, database._connection, suspect=suspect)
            database._make_writable()
        return database

    def _check_version(self) -> bool:
        """Whether the tables are there; DatabaseError if they are not those of this version."""
        with told(self._path):
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            names = {row[0] for row in self._connection.execute("SELECT name FROM sqlite_master")}
        ours = {table.name for table in schema.TABLES}
        if version == schema.VERSION or not (version or names):
            return bool(version)
        if version > schema.VERSION:
            age, remedy = "a newer", f"update the package, or {ANEW}"
        elif version and names & ours:
            age, remedy = "an older", ANEW
        else:
            raise UnusableFile(self._path, "is a database of something else")
        by_schema = f"schema {version}, not {schema.VERSION}"
        raise UnusableFile(self._path, f"was written by {age} version of pytest-phases ({by_schema})", remedy)

    def _make_writable(self) -> None:
        """Make what is missing; DatabaseError if it cannot be written."""
        with suppress(
            sqlite3.OperationalError
        ):  # where it cannot be had, SQLite's other journal does as well
            self._connection.execute("PRAGMA journal_mode = WAL")
        # A process that is killed loses nothing by it, a machine that loses power the last moments.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        with self._transaction("IMMEDIATE") as connection:
            if not self._check_version():  # another process may have been quicker
                for statement in schema.CREATE:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {schema.VERSION}")

    # Writing ------------------------------------------------------------------------------------

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is written within is there whole or not at all."""
        with self._transaction("IMMEDIATE"):
            yield

    def begin(self, run: RunRecord) -> None:
        """Record a run that begins; its id must be new."""
        with self._transaction("IMMEDIATE") as connection:
            connection.execute(schema.RUN.insert, schema.RUN.row(run))

    def end(self, run: RunRecord) -> None:
        """Record what is known of a run now; it must have begun."""
        with self._transaction("IMMEDIATE") as connection:
            self._require(run.run_id)
            connection.execute(schema.RUN.put, schema.RUN.row(run))

    def expect(self, run_id: str, expected: Iterable[Expected]) -> None:
        """Add to the set of what must exist."""
        self._put(schema.EXPECTED, run_id, expected)

    def unexpect(self, run_id: str, expected: Iterable[Expected]) -> None:
        """Take out of the set of what must exist; what is not in it is no error."""
        self._remove(schema.EXPECTED, run_id, expected)

    def add_phases(self, run_id: str, phases: Iterable[PhaseRecord]) -> None:
        """Record phases, each in place of what is recorded under its id."""
        self._put(schema.PHASE, run_id, phases)

    def add_items(self, run_id: str, items: Iterable[ItemRecord]) -> None:
        """Record items that have ended; none replaces another, even of the same name."""
        self._put(schema.ITEM, run_id, items)

    def add_parts(self, run_id: str, parts: Iterable[PartRecord]) -> None:
        """Record coverage data, each in place of what the same worker gave for the same phase."""
        self._put(schema.PART, run_id, parts)

    def add_figures(self, run_id: str, figures: Iterable[FigureRecord]) -> None:
        """Record thresholds that were judged, each in place of what is recorded under its kind and id."""
        self._put(schema.FIGURE, run_id, figures)

    def add_waves(self, run_id: str, waves: Iterable[WaveRecord]) -> None:
        """Record waves that closed."""
        self._put(schema.WAVE, run_id, waves)

    def add_dependencies(self, run_id: str, dependencies: Iterable[Dependency]) -> None:
        """Record what the outcomes of phases depend on."""
        self._put(schema.DEPENDENCY, run_id, dependencies)

    def add_stages(self, run_id: str, stages: Iterable[StageRecord]) -> None:
        """Record stages that have ended well."""
        self._put(schema.STAGE, run_id, stages)

    def add_tree(self, run_id: str, entries: Iterable[TreeEntry]) -> None:
        """Record files, each in place of what is recorded under its path."""
        self._put(schema.TREE, run_id, entries)

    def replace_tree(self, run_id: str, entries: Iterable[TreeEntry]) -> None:
        """Record the files as they are now, in place of all that are recorded."""
        with self._transaction("IMMEDIATE"):
            before = set(self._of_run(schema.TREE, run_id))
            now = dict.fromkeys(entries)
            paths = {entry.path for entry in now}
            self._remove(schema.TREE, run_id, (entry for entry in before if entry.path not in paths))
            self._put(schema.TREE, run_id, (entry for entry in now if entry not in before))

    def add_conditions(self, run_id: str, texts: Iterable[str]) -> None:
        """Record what the project's own conditions say against a green gate."""
        self._put(schema.CONDITION, run_id, map(schema.Condition, texts))

    def add_deploys(self, run_id: str, deploys: Iterable[DeployRecord]) -> None:
        """Record deploy stages that were started; none replaces another."""
        self._put(schema.DEPLOY, run_id, deploys)

    def approve(self, approval: ApprovalRecord) -> None:
        """Add an approval; those given before under its name stay."""
        with self._transaction("IMMEDIATE") as connection:
            connection.execute(schema.APPROVAL.insert, schema.APPROVAL.row(approval))

    def revoke(self, name: str) -> bool:
        """Remove every approval of a name, whoever gave it; False if there is none."""
        with self._transaction("IMMEDIATE") as connection:
            cursor = connection.execute(
                'DELETE FROM "approval" WHERE "name" = ?', (columns.TEXT.write(name),)
            )
            return cursor.rowcount > 0

    def prune(self, current: str, keep: int = WHOLE, remember: int = REMEMBERED) -> None:
        """Forget old runs, of each plan by itself, but never the current one.

        Those that ended and those that were killed are counted apart: else a few that are killed at once
        would drive out the last one that says something. Of the newest `keep` everything stays, of the
        newest `remember` what is small, and of the others nothing.
        """
        ages = (
            'SELECT "run_id", row_number() OVER '
            '(PARTITION BY "plan_file", "ended" IS NULL ORDER BY rowid DESC) FROM "run"'
        )
        with self._transaction("IMMEDIATE") as connection:
            rows = connection.execute(ages).fetchall()
            aged = [(run_id, age) for run_id, age in rows if run_id != columns.TEXT.write(current)]
            for table in schema.LARGE:
                old = [(run_id,) for run_id, age in aged if age > keep]
                connection.executemany(f'DELETE FROM "{table.name}" WHERE "run" = ?', old)
            gone = [(run_id,) for run_id, age in aged if age > remember]
            connection.executemany('DELETE FROM "run" WHERE "run_id" = ?', gone)

    def _put(self, table: Table[Record], run_id: str, records: Iterable[Record]) -> None:
        run = columns.TEXT.write(run_id)
        rows = [table.row(record, run) for record in records]
        with self._transaction("IMMEDIATE") as connection:
            connection.executemany(table.put, rows)

    def _remove(self, table: Table[Record], run_id: str, records: Iterable[Record]) -> None:
        run = columns.TEXT.write(run_id)
        keys = [table.key_of(record, run) for record in records]
        with self._transaction("IMMEDIATE") as connection:
            connection.executemany(table.remove, keys)


@contextmanager
def _connected(kind: type[Database], path: Path, *, read_only: bool) -> Iterator[Database]:
    """A database on a new connection, which is closed if what is done within fails."""
    if path.exists() and not path.is_file():
        raise DatabaseError(path, "is no file", ANEW)
    check_beginning(path)
    database = kind(path, connect(path, read_only=read_only))
    try:
        with told(path):
            yield database
    except BaseException:
        database.close()
        raise
