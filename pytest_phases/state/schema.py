"""The tables of `phases.db`: each keeps one record of the evidence, field by field, under the field's name.

Every table but `run` and `approval` has a column `run` in front with the id of the run it belongs
to. Nothing read from a file is believed: a value that its column could not have been given is an error
that names table and column.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from pytest_phases.errors import PhasesError
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
    Origin,
    PartRecord,
    PhaseRecord,
    RunRecord,
    StageRecord,
    TreeEntry,
    WaveRecord,
)

VERSION = 2
"""The version of this schema, kept as `PRAGMA user_version`; 0 is a new file."""

Record = TypeVar("Record")
Value = str | bytes | int | float | None


class UnreadableRow(PhasesError):
    """A row that no run can have written; the text names table, column and value."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a field is kept: its type in SQL, the way in and the way out; `read` raises ValueError."""

    sql: str
    write: Callable[[Any], Value]
    read: Callable[[Any], Any]


def _write_text(value: str) -> Value:
    try:
        value.encode()
    except UnicodeEncodeError:  # the name of a file that is no UTF-8: SQLite's text could not hold it
        return value.encode("utf-8", "surrogatepass")
    return value


def _read_text(value: Value) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogatepass")
    if not isinstance(value, str):
        raise ValueError("is no text")
    return value


def _read_count(value: Value) -> int:
    if not isinstance(value, int):
        raise ValueError("is no whole number")
    return value


def _read_flag(value: Value) -> bool:
    if value not in (0, 1):
        raise ValueError("is neither 0 nor 1")
    return bool(value)


def _read_number(value: Value) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("is no number")
    return float(value)


def _read_pairs(of: type) -> Callable[[Value], tuple[tuple[str, Any], ...]]:
    def read(value: Value) -> tuple[tuple[str, Any], ...]:
        pairs = json.loads(_read_text(value))
        if not isinstance(pairs, dict) or any(type(each) is not of for each in pairs.values()):
            raise ValueError(f"is no JSON object whose values are of type {of.__name__}")
        return tuple(pairs.items())

    return read


def _word(of: type[Enum]) -> Kind:
    words = {each.value: each for each in of}

    def read(value: Value) -> Enum:
        if value not in words:
            raise ValueError(f"is none of {', '.join(words)}")
        return words[value]

    return Kind("TEXT NOT NULL", lambda each: str(each.value), read)


def _optional(kind: Kind) -> Kind:
    return Kind(
        kind.sql.removesuffix(" NOT NULL"),
        lambda value: None if value is None else kind.write(value),
        lambda value: None if value is None else kind.read(value),
    )


def _pairs(of: type) -> Kind:
    return Kind("TEXT NOT NULL", lambda pairs: json.dumps(dict(pairs)), _read_pairs(of))


def _read_texts(value: Value) -> tuple[str, ...]:
    texts = json.loads(_read_text(value))
    if not isinstance(texts, list) or any(type(each) is not str for each in texts):
        raise ValueError("is no JSON list of texts")
    return tuple(texts)


def _read_origin(value: Value) -> Origin:
    fields = _read_texts(value)
    if len(fields) != len(Origin.__dataclass_fields__):
        raise ValueError("is no origin")
    return Origin(*fields)


ORIGIN = Kind(
    "TEXT NOT NULL", lambda origin: json.dumps([origin.run_id, origin.started, origin.tree]), _read_origin
)
TEXTS = Kind("TEXT NOT NULL", lambda texts: json.dumps(list(texts)), _read_texts)
TEXT = Kind("TEXT NOT NULL", _write_text, _read_text)
COUNT = Kind("INTEGER NOT NULL", int, _read_count)
FLAG = Kind("INTEGER NOT NULL", int, _read_flag)
NUMBER = Kind("REAL NOT NULL", float, _read_number)


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

    def select(self, where: str = "") -> str:
        """The statement that reads the columns in the order in which the rows were added."""
        # Names are qualified: SQLite takes a quoted name alone, of which there is no column, for a text.
        columns = ", ".join(f'"{self.name}"."{name}"' for name in self.columns)
        condition = f'WHERE "{self.name}"."{where}" = ?' if where else ""
        return f'SELECT {columns} FROM "{self.name}" {condition} ORDER BY rowid'

    def row(self, record: Record, run_id: Value = None) -> tuple[Value, ...]:
        """The values of a record; `run_id` goes in front if the table belongs to runs."""
        values = [kind.write(getattr(record, name)) for name, kind in self.columns.items()]
        return (run_id, *values) if self.of_run else tuple(values)

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
        "commit": _optional(TEXT),
        "git_tree": _optional(TEXT),
        "dirty": FLAG,
        "tree": TEXT,
        "tree_after": TEXT,
        "expected_digest": TEXT,
        "expected_count": COUNT,
        "restricted": TEXT,
        "ended": _optional(TEXT),
        "versions": _pairs(str),
        "changed": TEXTS,
        "made": TEXTS,
    },
    key=("run_id",),
    of_run=False,
)
EXPECTED = Table(
    "expected",
    Expected,
    {"kind": _word(ExpectedKind), "phase": TEXT, "name": TEXT},
    key=("kind", "phase", "name"),
)
PHASE = Table(
    "phase",
    PhaseRecord,
    {
        "id": TEXT,
        "kind": TEXT,
        "name": TEXT,
        "state": _word(State),
        "reason": TEXT,
        "wave": COUNT,
        "seconds": NUMBER,
        "tests": _pairs(int),
        "stages": _pairs(int),
        "definition": TEXT,
        "origin": _optional(ORIGIN),
    },
    key=("id",),
)
ITEM = Table(
    "item",
    ItemRecord,
    {
        "nodeid": TEXT,
        "phase": TEXT,
        "kind": _word(ExpectedKind),
        "outcome": _word(Outcome),
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
        "reached": _optional(NUMBER),
        "precision": COUNT,
        "problem": TEXT,
    },
    key=("id", "kind"),
)
WAVE = Table("wave", WaveRecord, {"number": COUNT, "phases": TEXTS, "seconds": NUMBER}, key=("number",))
DEPENDENCY = Table(
    "dependency",
    Dependency,
    {"phase": TEXT, "kind": _word(DependencyKind), "name": TEXT, "digest": TEXT},
    key=("phase", "kind", "name"),
)
STAGE = Table(
    "stage",
    StageRecord,
    {
        "phase": TEXT,
        "stage": TEXT,
        "command": TEXT,
        "inputs": _pairs(str),
        "outputs": _pairs(str),
        "env": _pairs(str),
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
