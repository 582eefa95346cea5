"""`.phases/phases.db`: what runs write down of themselves, and approvals, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from pytest_phases.errors import PhasesError
from pytest_phases.evidence import (
    ApprovalRecord,
    Dependency,
    DeployRecord,
    Expected,
    FigureRecord,
    ItemRecord,
    PartRecord,
    PhaseRecord,
    Recorded,
    RunRecord,
    StageRecord,
    TreeEntry,
    WaveRecord,
)
from pytest_phases.state import schema
from pytest_phases.state.schema import Record, Table, UnreadableRow

NAME = "phases.db"
"""The name of the file, below `.phases`."""

PATIENCE = 5.0
"""How many seconds a process waits for another one that is writing."""

_ANEW = "move it away with its approvals, and the next run begins a new one"
_WRITABLE = "make the file and its folder readable and writable, or name another folder with --phases-dir"
_RUN_FIRST = "run `pytest` with the plan first"

# What SQLite says, what that means, and what to do; the first that fits.
_PROBLEMS = (
    ("not a database", "is no database", _ANEW),
    ("malformed", "is damaged", _ANEW),
    ("could not decode", "is damaged", _ANEW),
    ("no such", "is damaged", _ANEW),
    ("readonly", "cannot be written", _WRITABLE),
    ("unable to open", "cannot be opened", _WRITABLE),
    ("locked", f"is held by another process for more than {PATIENCE:g} s", "try again when that has ended"),
    ("full", "has no room to grow", "make room on its disk"),
    ("FOREIGN KEY", "knows no such run", "record the beginning of a run before its evidence"),
    ("UNIQUE", "knows this run already", "give every run an id of its own"),
    ("", "cannot be used", "see whether the disk is sound; " + _ANEW),
)


class DatabaseError(PhasesError):
    """The database cannot be used: which file, what is wrong, and what to do."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        self.path = path
        super().__init__(f"{path}: {problem}; {remedy}")


class Database:
    """The evidence of all runs in one folder, and the approvals; every method raises DatabaseError.

    What one call adds is there whole or not at all. Several processes may use one file.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Database:
        """Open the file, or make it and its folder; with `read_only` it must exist and nothing is changed.

        Use it in a `with` statement or close it.
        """
        with _told(path):
            if read_only and not path.exists():
                raise DatabaseError(path, "does not exist", _RUN_FIRST)
            if path.exists() and not path.is_file():
                raise DatabaseError(path, "is no file", _ANEW)
            database = cls(path, _connect(path, read_only))
            try:
                begun = database._check_version()
                if not read_only:
                    database._make_writable()
                elif not begun:
                    raise DatabaseError(path, "is empty", _RUN_FIRST)
            except BaseException:
                database.close()
                raise
        return database

    def close(self) -> None:
        """Let go of the file; closing twice does no harm."""
        with _told(self._path):
            self._connection.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

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
        table, run = schema.EXPECTED, schema.TEXT.write(run_id)
        with self._transaction("IMMEDIATE") as connection:
            connection.executemany(table.remove, [table.row(each, run) for each in expected])

    def add_phases(self, run_id: str, phases: Iterable[PhaseRecord]) -> None:
        """Record phases, each in place of what is recorded under its id."""
        self._put(schema.PHASE, run_id, phases)

    def add_items(self, run_id: str, items: Iterable[ItemRecord]) -> None:
        """Record items that have ended; none replaces another, even of the same name."""
        self._put(schema.ITEM, run_id, items)

    def add_part(self, run_id: str, part: PartRecord) -> None:
        """Record coverage data, in place of what the same worker gave for the same phase."""
        self._put(schema.PART, run_id, [part])

    def add_figure(self, run_id: str, figure: FigureRecord) -> None:
        """Record a threshold that was judged, in place of what is recorded under its kind and id."""
        self._put(schema.FIGURE, run_id, [figure])

    def add_wave(self, run_id: str, wave: WaveRecord) -> None:
        """Record a wave that closed."""
        self._put(schema.WAVE, run_id, [wave])

    def add_dependencies(self, run_id: str, dependencies: Iterable[Dependency]) -> None:
        """Record what the outcomes of phases depend on."""
        self._put(schema.DEPENDENCY, run_id, dependencies)

    def add_stage(self, run_id: str, stage: StageRecord) -> None:
        """Record a stage that has ended well."""
        self._put(schema.STAGE, run_id, [stage])

    def add_tree(self, run_id: str, entries: Iterable[TreeEntry]) -> None:
        """Record the files after the run, each in place of what is recorded under its path."""
        self._put(schema.TREE, run_id, entries)

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
            cursor = connection.execute('DELETE FROM "approval" WHERE "name" = ?', (schema.TEXT.write(name),))
            return cursor.rowcount > 0

    def approvals(self) -> tuple[ApprovalRecord, ...]:
        """All approvals in the order in which they were given."""
        with self._transaction() as connection:
            return tuple(map(schema.APPROVAL.read, connection.execute(schema.APPROVAL.select())))

    def latest(self) -> str | None:
        """The id of the run that began last; None if there was no run."""
        with self._transaction() as connection:
            row = connection.execute('SELECT "run_id" FROM "run" ORDER BY rowid DESC LIMIT 1').fetchone()
            return None if row is None else str(schema.TEXT.read(row[0]))

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

    def _put(self, table: Table[Record], run_id: str, records: Iterable[Record]) -> None:
        run = schema.TEXT.write(run_id)
        rows = [table.row(record, run) for record in records]
        with self._transaction("IMMEDIATE") as connection:
            connection.executemany(table.put, rows)

    def _of_run(self, table: Table[Record], run_id: str, column: str = "run") -> tuple[Record, ...]:
        rows = self._connection.execute(table.select(column), (schema.TEXT.write(run_id),))
        return tuple(map(table.read, rows))

    def _require(self, run_id: str) -> RunRecord:
        for run in self._of_run(schema.RUN, run_id, "run_id"):
            return run
        raise DatabaseError(self._path, f"knows no run {run_id!r}", _RUN_FIRST)

    @contextmanager
    def _transaction(self, kind: str = "DEFERRED") -> Iterator[sqlite3.Connection]:
        with _told(self._path), self._connection as connection:  # commits, or rolls back
            connection.execute(f"BEGIN {kind}")
            yield connection

    def _check_version(self) -> bool:
        """Whether the tables are there; DatabaseError if they are not those of this version."""
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version > schema.VERSION:
            problem = (
                f"was written by a newer version of pytest-phases (schema {version}, not {schema.VERSION})"
            )
            raise DatabaseError(self._path, problem, f"update the package, or {_ANEW}")
        if version != schema.VERSION and (version or tables):
            raise DatabaseError(self._path, "is a database of something else", _ANEW)
        return bool(version)

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
                for table in schema.TABLES:
                    connection.execute(table.create)
                connection.execute(f"PRAGMA user_version = {schema.VERSION}")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Raise what goes wrong with the file as DatabaseError."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        _, problem, remedy = next(row for row in _PROBLEMS if row[0].lower() in text.lower())
        raise DatabaseError(path, f"{problem} ({text})", remedy) from error
    except (UnreadableRow, ValueError) as error:
        raise DatabaseError(path, f"cannot be understood ({error})", _ANEW) from error
    except OSError as error:
        raise DatabaseError(path, f"cannot be opened ({error.strerror})", _WRITABLE) from error


def _connect(path: Path, read_only: bool) -> sqlite3.Connection:
    file = path.resolve()
    if not read_only:
        file.parent.mkdir(parents=True, exist_ok=True)
    mode = "rwc" if not read_only else "ro" if _has_journal(file) else "ro&immutable=1"
    return sqlite3.connect(f"{file.as_uri()}?mode={mode}", uri=True, timeout=PATIENCE, isolation_level=None)


def _has_journal(file: Path) -> bool:
    """Whether part of what was written stands in a file of SQLite's beside it.

    Without one the file is whole, and calling it immutable keeps SQLite from making journals to read
    a database in WAL mode, which it can do in no folder that is read-only. A process that begins to
    write meanwhile writes to a journal of its own.
    """
    return any(_size(file.with_name(file.name + suffix)) > 0 for suffix in ("-wal", "-journal"))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
