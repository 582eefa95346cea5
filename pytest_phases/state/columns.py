"""How the fields of the evidence are kept in columns: the way in, and the way out, which believes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from json import dumps, loads
from typing import Any

from pytest_phases.errors import PhasesError
from pytest_phases.evidence import Origin

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
    if value.isascii():  # as nearly every one is
        return value
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


def _write_json(value: object) -> Value:
    return _write_text(dumps(value, ensure_ascii=False))


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
        pairs = loads(_read_text(value))
        if not isinstance(pairs, dict) or any(type(each) is not of for each in pairs.values()):
            raise ValueError(f"is no JSON object whose values are of type {of.__name__}")
        return tuple(pairs.items())

    return read


def word(of: type[Enum]) -> Kind:
    """One of the words of an enumeration."""
    words = {each.value: each for each in of}

    def read(value: Value) -> Enum:
        if value not in words:
            raise ValueError(f"is none of {', '.join(words)}")
        return words[value]

    return Kind("TEXT NOT NULL", lambda each: str(each.value), read)


def optional(kind: Kind) -> Kind:
    """The same, or None."""
    return Kind(
        kind.sql.removesuffix(" NOT NULL"),
        lambda value: None if value is None else kind.write(value),
        lambda value: None if value is None else kind.read(value),
    )


def pairs(of: type) -> Kind:
    """Pairs of a name and a value of this type, as a JSON object."""
    return Kind("TEXT NOT NULL", lambda pairs: _write_json(dict(pairs)), _read_pairs(of))


def _read_texts(value: Value) -> tuple[str, ...]:
    texts = loads(_read_text(value))
    if not isinstance(texts, list) or any(type(each) is not str for each in texts):
        raise ValueError("is no JSON list of texts")
    return tuple(texts)


def _read_origin(value: Value) -> Origin:
    fields = _read_texts(value)
    if len(fields) != len(Origin.__dataclass_fields__):
        raise ValueError("is no origin")
    return Origin(*fields)


ORIGIN = Kind(
    "TEXT NOT NULL", lambda origin: _write_json([origin.run_id, origin.started, origin.tree]), _read_origin
)
TEXTS = Kind("TEXT NOT NULL", lambda texts: _write_json(list(texts)), _read_texts)
TEXT = Kind("TEXT NOT NULL", _write_text, _read_text)
COUNT = Kind("INTEGER NOT NULL", int, _read_count)
FLAG = Kind("INTEGER NOT NULL", int, _read_flag)
NUMBER = Kind("REAL NOT NULL", float, _read_number)
