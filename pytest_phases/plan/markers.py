"""`@pytest.mark.phase` as plain data, and the plan that markers and the plan's file add up to.

A worker turns each distinct use of the marker into a `PhaseMark` and sends its `to_data()`; the
controller merges all of them into the plan. Nothing here raises for what a user wrote: whatever
cannot be read becomes a `Problem` at the marker.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_phases.errors import Problem
from pytest_phases.model import UNPHASED, Phase, Place, Plan
from pytest_phases.plan import prerequisites, values
from pytest_phases.plan.keys import canonical
from pytest_phases.plan.values import BadValue
from pytest_phases.plan.words import did_you_mean, printable

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
# Python refuses to write out an int of a few thousand digits.
_TOO_LARGE = 10**18
_WIDTH = 60
_ID = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)?")


@dataclass(frozen=True, slots=True)
class Foreign:
    """Stands for an argument that is neither text nor a number nor a flat list of them."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class PhaseMark:
    """One distinct use of the marker, with nothing in it but text, numbers, tuples of them and `Foreign`."""

    args: tuple[object, ...]
    kwargs: tuple[tuple[str, object], ...]
    place: Place

    @classmethod
    def of(cls, args: Sequence[object], kwargs: Mapping[str, object], place: Place) -> PhaseMark:
        """The marker with any arguments a user may have written."""
        named = tuple((str(key), normalised(value)) for key, value in kwargs.items())
        return cls(tuple(map(normalised, args)), named, place)

    def to_data(self) -> dict[str, Any]:
        """The marker as lists, dicts, text and numbers; `from_data` makes it again."""
        return {
            "args": [_to_data(value) for value in self.args],
            "kwargs": [[key, _to_data(value)] for key, value in self.kwargs],
            "file": self.place.file,
            "line": self.place.line,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> PhaseMark:
        """The marker that `to_data` was asked for."""
        named = tuple((key, _from_data(value)) for key, value in data["kwargs"])
        return cls(tuple(map(_from_data, data["args"])), named, Place(data["file"], data["line"]))


def phase_id(mark: PhaseMark) -> str | Problem:
    """The id that a marker names, as text: 2 is `2`; whether a stream is in the plan stays open."""
    try:
        if len(mark.args) != 1:
            names = (
                f"one phase, not {len(mark.args)}" if mark.args else "one phase, and this one names no phase"
            )
            raise BadValue(
                "bad-marker",
                f"a phase marker names {names}; "
                "write @pytest.mark.phase(2), and everything else as a keyword argument",
            )
        name = _id(mark.args[0])
        if name.lower() == UNPHASED:
            raise BadValue("bad-id", f"`{name}` is what tests without a phase belong to; write another id")
        return name
    except BadValue as error:
        return _problem(error, mark)


def merge(plan: Plan, marks: Sequence[PhaseMark]) -> tuple[Plan, tuple[Problem, ...]]:
    """The plan with what the markers add, and every problem of the markers.

    For one phase lists are united in order and what is unset is filled. Phases that markers alone
    know come last, in the order they first appear in. Whether dependencies are known, and without
    a cycle, is not asked here.
    """
    merger = _Merger(plan)
    for mark in marks:
        merger.add(mark)
    return merger.plan(), tuple(merger.problems)


class _Merger:
    """A plan in the making: its phases and streams by id."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._units = {unit.id: unit for unit in plan.units()}
        self._known = frozenset(self._units)
        self.problems: list[Problem] = []

    def add(self, mark: PhaseMark) -> None:
        """Merge one marker, or note why it cannot be."""
        unit_id = phase_id(mark)
        if isinstance(unit_id, Problem):
            self.problems.append(unit_id)
            return
        if "/" in unit_id and unit_id not in self._units:
            self.problems.append(self._unknown_stream(unit_id, mark))
            return
        unit = self._units.get(unit_id, Phase(unit_id, "", mark.place))
        for key, value in self._read(mark).items():
            if isinstance(value, tuple):
                unit = self._united(unit, key, value, mark.place)
            else:
                unit = self._filled(unit, key, value, mark.place)
        self._units[unit_id] = unit

    def plan(self) -> Plan:
        """The plan with its units as they are now."""
        in_plan = tuple(
            replace(self._units[phase.id], streams=tuple(self._units[stream.id] for stream in phase.streams))
            for phase in self._plan.phases
        )
        added = tuple(unit for unit_id, unit in self._units.items() if unit_id not in self._known)
        return replace(self._plan, phases=in_plan + added)

    def _read(self, mark: PhaseMark) -> dict[str, object]:
        """What the keyword arguments of a marker say, by field of `Phase`; notes what cannot be read."""
        read: dict[str, object] = {}
        for key, value in mark.kwargs:
            name = "deps" if key == "dependencies" else key
            try:
                reader = _reader(key)
                if name in read:
                    raise BadValue("key-twice", "`deps` and `dependencies` are the same; write one of them")
                if value is not None:
                    read[name] = reader(value)
            except BadValue as error:
                self.problems.append(_problem(error, mark, f"{key}: "))
        return read

    def _united(self, unit: Phase, key: str, entries: tuple[str, ...], place: Place) -> Phase:
        """A phase or stream with more entries in one of its lists."""
        if key == "deps":
            entries = tuple(self._sibling(unit.id, entry) for entry in entries)
            # What the plan leaves unsaid is settled when it is read, and markers do not change that.
            unit = replace(unit, states_deps=unit.states_deps or unit.id not in self._known)
        united = tuple(dict.fromkeys((*getattr(unit, key), *entries)))
        return _with(unit, key, united, place)

    def _filled(self, unit: Phase, key: str, value: object, place: Place) -> Phase:
        """A phase or stream with a scalar set, or as it was if it says something else already."""
        known = values.RATCHET if key == "coverage" and unit.ratchet else getattr(unit, key)
        stated = dict(unit.key_places).get(key, unit.place if known else None)
        if stated is None or known == value:
            return _with(unit, key, value, place)
        message = (
            f"phase {unit.id}: {key} is {_shown(value)} here and {_shown(known)} in {stated}; make them one"
        )
        self.problems.append(Problem("contradiction", place, message))
        return unit

    def _sibling(self, unit_id: str, dependency: str) -> str:
        """A dependency of a stream on its sibling, named in full."""
        sibling = f"{unit_id.partition('/')[0]}/{dependency}"
        return sibling if "/" in unit_id and sibling in self._known else dependency

    def _unknown_stream(self, unit_id: str, mark: PhaseMark) -> Problem:
        """The problem of a stream that no heading makes."""
        streams = [known for known in self._units if "/" in known]
        message = f"stream `{unit_id}` is not in the plan; {did_you_mean(unit_id, streams)}"
        return Problem("unknown-stream", mark.place, message)


def _with(unit: Phase, field: str, value: object, place: Place) -> Phase:
    """A phase or stream with another value, stated at a place unless it is stated earlier."""
    places = unit.key_places
    if canonical(field) not in dict(places):
        places = (*places, (canonical(field), place))
    changed: dict[str, Any] = {field: value, "key_places": places}
    if field == "coverage" and value == values.RATCHET:
        changed |= {"coverage": None, "ratchet": True}
    return replace(unit, **changed)


def normalised(value: object) -> object:
    """An argument with nothing in it but basic types and `Foreign`; lists become tuples."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_scalar, value))
    return _scalar(value)


def _scalar(value: object) -> object:
    """Text, a number, a boolean or None of the basic type itself, for the sake of enums; else `Foreign`."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)  # str() of an enum member would be its name
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int) and abs(value) < _TOO_LARGE:
        return int(value)
    return Foreign(_described(value))


def _described(value: object) -> str:
    """A value in a few words, without its address, which differs from worker to worker."""
    try:
        text = " ".join(_ADDRESS.sub("", repr(value)).split())
    except Exception:  # whatever the user's own __repr__ raises: the type alone still says what it is
        text = "..."
    return f"{text if len(text) <= _WIDTH else text[:_WIDTH] + '...'} ({type(value).__name__})"


def _to_data(value: object) -> object:
    """A value as it goes over the wire."""
    if isinstance(value, tuple):
        return [_to_data(one) for one in value]
    return {"foreign": value.text} if isinstance(value, Foreign) else value


def _from_data(value: object) -> object:
    """A value as it came over the wire."""
    if isinstance(value, list):
        return tuple(map(_from_data, value))
    return Foreign(value["foreign"]) if isinstance(value, dict) else value


def _entries(value: object) -> tuple[str, ...]:
    """The entries of a value as the plan would have them; a string is one entry."""
    return tuple(map(_entry, value if isinstance(value, tuple) else (value,)))


def _entry(value: object) -> str:
    """One entry as text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, (int, float)):
        return str(value)
    raise BadValue(
        "bad-marker", f"`{value}` is neither text nor a number; write text, numbers or a list of them"
    )


def text_of(value: str) -> str:
    """Text that a plan could hold, without blanks around it.

    Raises BadValue for any other.
    """
    if not value.strip():
        raise BadValue("empty-entry", "an entry is empty; write something into it, or take it out")
    if not value.isprintable():
        raise BadValue("control-character", f"{value!r} holds a control character; take it out")
    return value.strip()


def _id(value: object) -> str:
    """The id of a phase or stream as text."""
    if isinstance(value, float):
        raise BadValue(
            "float-id", f'{value} is a float, which cannot tell 1.1 from 1.10; quote it: "{value}"'
        )
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise BadValue("bad-id", f"`{value}` is no id of a phase; write a number or a word, as in phase(2)")
    (name,) = values.ids((_entry(value),))
    if not _ID.fullmatch(name):
        raise BadValue("bad-id", f"`{name}` is no id of a phase; write one number or word for each phase")
    return name


def _deps(value: object) -> tuple[str, ...]:
    """The ids of dependencies, each once."""
    return tuple(dict.fromkeys(map(_id, value if isinstance(value, tuple) else (value,))))


def _requires(value: object) -> tuple[str, ...]:
    """Prerequisites that are well formed."""
    entries = _entries(value)
    for parsed in map(prerequisites.parse, entries):
        if isinstance(parsed, str):
            raise BadValue("bad-prerequisite", parsed)
    return entries


def _boolean(value: object) -> bool:
    """True or False, which text may spell in any case."""
    entries = _entries(value)
    try:
        return values.boolean(entries)
    except BadValue as error:
        if error.slug != "bad-boolean":
            raise
        raise BadValue("bad-boolean", f"`{entries[0]}` is no boolean; write True or False") from error


_Reader = Callable[[object], object]

_READERS: Mapping[str, _Reader] = {
    "name": lambda value: values.single(_entries(value)),
    "deps": _deps,
    "dependencies": _deps,
    "covers": _entries,
    "coverage": lambda value: values.threshold(_entries(value)),
    "modifies": _entries,
    "reads": _entries,
    "locks": _entries,
    "requires": _requires,
    "serial": _boolean,
    "serialize": _boolean,
    "enforce": _boolean,
    "timeout": lambda value: values.seconds(_entries(value)),
}


def _reader(key: str) -> _Reader:
    """What reads the value of a keyword argument."""
    if key == "tests":
        raise BadValue("bad-marker", "a marker places the tests it stands on; write selectors into a plan")
    if key not in _READERS:
        raise BadValue("unknown-key", f"a phase marker has no such argument; {did_you_mean(key, _READERS)}")
    return _READERS[key]


def _shown(value: object) -> str:
    """A scalar as a user would write it."""
    return f"{value:g}" if isinstance(value, float) else repr(value)


def _problem(error: BadValue, mark: PhaseMark, prefix: str = "") -> Problem:
    """A value that cannot be read, as a problem at its marker."""
    return Problem(error.slug, mark.place, printable(f"{prefix}{error}"))
