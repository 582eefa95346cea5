"""The tables of `phases.db`: each keeps one record of the evidence, field by field, under the field's name.

Every table but `run` and `approval` has a column `run` in front with the id of the run it belongs
to. Nothing read from a file is believed: a value that its column could not have been given is an error
that names table and column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pytest_phases.events import Outcome, State
from pytest_phases.evidence import (
    ApprovalRecord,
    Dependency,
    DependencyKind,
    DeployRecord,
    Expected,
    ExpectedKind,
    FigureRecord,
    ItemRecord,
    PartRecord,
    PhaseRecord,
    RunRecord,
    StageRecord,
    TreeEntry,
    WaveRecord,
)
from pytest_phases.state.columns import (
    COUNT,
    FLAG,
    NUMBER,
    ORIGIN,
    TEXT,
    TEXTS,
    Kind,
    UnreadableRow,
    Value,
    optional,
    pairs,
    word,
)

VERSION = 2
"""The version of this schema, kept as `PRAGMA user_version`; 0 is a new file."""

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Table(Generic[Record]):
    """A table: the record it keeps, a column for each of its fields, and what is unique in a run.

    Adding a record whose key is there replaces it in its place; without a key every record is kept.
    """

    name: str
    record: Callable[..., Record]
    columns: Mapping[str, Kind]
    key: tuple[str, ...] = ()
    of_run: bool = True

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that make a row unique, that of the run included; empty if nothing does."""
        return ("run", *self.key) if self.of_run and self.key else self.key

    @property
    def create(self) -> str:
        """The statement that makes the table."""
        lines = [f'"{name}" {kind.sql}' for name, kind in self.columns.items()]
        if self.of_run:
            lines.insert(0, '"run" TEXT NOT NULL REFERENCES "run" ("run_id") ON DELETE CASCADE')
        if self.keys:
            lines.append(f"PRIMARY KEY ({_quoted(self.keys)})")
        return 'CREATE TABLE "{}" (\n    {}\n)'.format(self.name, ",\n    ".join(lines))

    @property
    def insert(self) -> str:
        """The statement that adds a row, which must be new; its values are those of `row`."""
        names = ("run", *self.columns) if self.of_run else tuple(self.columns)
        return f'INSERT INTO "{self.name}" ({_quoted(names)}) VALUES ({", ".join("?" * len(names))})'

    @property
    def put(self) -> str:
        """The statement that adds a row, or replaces the one with the same key."""
        if not self.key:
            return self.insert
        changed = ", ".join(f'"{name}" = excluded."{name}"' for name in self.columns if name not in self.key)
        then = f"UPDATE SET {changed}" if changed else "NOTHING"
        return f"{self.insert} ON CONFLICT ({_quoted(self.keys)}) DO {then}"

    @property
    def remove(self) -> str:
        """The statement that removes the row whose key has these values, in the order of `keys`."""
        condition = " AND ".join(f'"{name}" = ?' for name in self.keys)
        return f'DELETE FROM "{self.name}" WHERE {condition}'

    @property
    def columns_of(self) -> str:
        """The beginning of every statement that reads the columns, in the order of the record."""
        # Names are qualified: SQLite takes a quoted name alone, of which there is no column, for a text.
        columns = ", ".join(f'"{self.name}"."{name}"' for name in self.columns)
        return f'SELECT {columns} FROM "{self.name}"'

    def select(self, *where: str) -> str:
        """The statement that reads the rows in which these columns have given values, in the order added."""
        condition = " AND ".join(f'"{self.name}"."{name}" = ?' for name in where)
        return f"{self.columns_of} {condition and f'WHERE {condition}'} ORDER BY rowid"

    def row(self, record: Record, run_id: Value = None) -> tuple[Value, ...]:
        """The values of a record; `run_id` goes in front if the table belongs to runs."""
        values = [kind.write(getattr(record, name)) for name, kind in self.columns.items()]
        return (run_id, *values) if self.of_run else tuple(values)

    def key_of(self, record: Record, run_id: Value = None) -> tuple[Value, ...]:
        """The values of `keys` for a record."""
        return tuple(
            run_id if name == "run" else self.columns[name].write(getattr(record, name)) for name in self.keys
        )

    def read(self, row: tuple[Value, ...]) -> Record:
        """The record of a row as `select` gives it; UnreadableRow if a value cannot be one of its column."""
        return self.record(*map(self._field, self.columns, row))

    def _field(self, name: str, value: Value) -> Any:
        try:
            return self.columns[name].read(value)
        except (ValueError, RecursionError) as error:
            raise UnreadableRow(f"table {self.name}, column {name}: {value!r} {error}") from error


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


@dataclass(frozen=True, slots=True)
class Condition:
    """What a condition of the project said against a green gate."""

    text: str


RUN = Table(
    "run",
    RunRecord,
    {
        "run_id": TEXT,
        "started": TEXT,
        "plan_file": TEXT,
        "plan_digest": TEXT,
        "commit": optional(TEXT),
        "git_tree": optional(TEXT),
        "dirty": FLAG,
        "tree": TEXT,
        "tree_after": TEXT,
        "expected_digest": TEXT,
        "expected_count": COUNT,
        "restricted": TEXT,
        "ended": optional(TEXT),
        "versions": pairs(str),
        "changed": TEXTS,
        "made": TEXTS,
    },
    key=("run_id",),
    of_run=False,
)
EXPECTED = Table(
    "expected",
    Expected,
    {"kind": word(ExpectedKind), "phase": TEXT, "name": TEXT},
    key=("kind", "phase", "name"),
)
PHASE = Table(
    "phase",
    PhaseRecord,
    {
        "id": TEXT,
        "kind": TEXT,
        "name": TEXT,
        "state": word(State),
        "reason": TEXT,
        "wave": COUNT,
        "seconds": NUMBER,
        "tests": pairs(int),
        "stages": pairs(int),
        "definition": TEXT,
        "origin": optional(ORIGIN),
    },
    key=("id",),
)
ITEM = Table(
    "item",
    ItemRecord,
    {
        "nodeid": TEXT,
        "phase": TEXT,
        "kind": word(ExpectedKind),
        "outcome": word(Outcome),
        "duration": NUMBER,
        "worker": TEXT,
        "attempt": COUNT,
    },
)
PART = Table(
    "part",
    PartRecord,
    {"phase": TEXT, "worker": TEXT, "file": TEXT, "sha256": TEXT, "problem": TEXT, "fixtures": TEXTS},
    key=("phase", "worker"),
)
FIGURE = Table(
    "figure",
    FigureRecord,
    {
        "id": TEXT,
        "kind": TEXT,
        "required": NUMBER,
        "reached": optional(NUMBER),
        "precision": COUNT,
        "problem": TEXT,
    },
    key=("id", "kind"),
)
WAVE = Table("wave", WaveRecord, {"number": COUNT, "phases": TEXTS, "seconds": NUMBER}, key=("number",))
DEPENDENCY = Table(
    "dependency",
    Dependency,
    {"phase": TEXT, "kind": word(DependencyKind), "name": TEXT, "digest": TEXT},
    key=("phase", "kind", "name"),
)
STAGE = Table(
    "stage",
    StageRecord,
    {
        "phase": TEXT,
        "stage": TEXT,
        "command": TEXT,
        "inputs": pairs(str),
        "outputs": pairs(str),
        "env": pairs(str),
        "changed": TEXTS,
        "up_to_date": FLAG,
    },
    key=("phase", "stage"),
)
TREE = Table(
    "tree",
    TreeEntry,
    {"path": TEXT, "mode": TEXT, "sha256": TEXT, "stamp": TEXT},
    key=("path",),
)
CONDITION = Table("condition", Condition, {"text": TEXT})
DEPLOY = Table("deploy", DeployRecord, {"stage": TEXT, "ok": FLAG, "ending": TEXT, "seconds": NUMBER})
APPROVAL = Table(
    "approval",
    ApprovalRecord,
    {"name": TEXT, "by": TEXT, "note": TEXT, "tree": TEXT, "time": TEXT, "signature": TEXT, "seal": TEXT},
    of_run=False,
)

TABLES: tuple[Table[Any], ...] = (
    RUN,
    EXPECTED,
    PHASE,
    ITEM,
    PART,
    FIGURE,
    WAVE,
    DEPENDENCY,
    STAGE,
    TREE,
    CONDITION,
    DEPLOY,
    APPROVAL,
)

LARGE: tuple[Table[Any], ...] = (EXPECTED, ITEM, PART, DEPENDENCY, TREE)
"""The tables whose size is that of the project."""

CREATE = (
    *(table.create for table in TABLES),
    # Of those without a key: rows are found, and old ones removed, by their run.
    *(f'CREATE INDEX "{t.name}_run" ON "{t.name}" ("run")' for t in TABLES if t.of_run and not t.key),
)
"""The statements that make a database."""
