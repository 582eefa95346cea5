"""A plan as its reader found it: names, keys and scripts with their lines, nothing resolved yet.

Both readers make a draft; `assemble` makes the plan of it, so that a rule is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pytest_phases.errors import Problem
from pytest_phases.model import Crew, Note, Place, Selector, Task
from pytest_phases.plan import values
from pytest_phases.plan.keys import Owner
from pytest_phases.plan.words import printable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a value and its line."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Given:
    """The value of one key: the line of the key, and its entries."""

    line: int
    entries: tuple[Entry, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The entries without their lines."""
        return tuple(entry.text for entry in self.entries)


@dataclass(frozen=True, slots=True)
class StageDraft:
    """A labelled fence; `fence_line` says the language, and its script begins on `run_line`."""

    crew: Crew
    name: str
    line: int
    language: str
    fence_line: int
    run: str
    run_line: int
    given: Mapping[str, Given] = field(default_factory=dict)


@dataclass(slots=True)
class UnitDraft:
    """A phase, a stream, a sync point or the gate, filled while it is read."""

    owner: Owner
    id: str
    name: str
    line: int
    given: dict[str, Given] = field(default_factory=dict)
    stages: list[StageDraft] = field(default_factory=list)
    streams: list[UnitDraft] = field(default_factory=list)
    objective: str = ""
    tasks: tuple[Task, ...] = ()
    unlabelled: list[tuple[str, int]] = field(default_factory=list)
    """Language and line of each fence at top level that could be a stage and has no label."""

    def __str__(self) -> str:
        return f"{self.owner.value} {self.id}" if self.id else f"the {self.owner.value}"


@dataclass(frozen=True, slots=True)
class Lookalike:
    """A line that looks like the heading of a phase and is none, and what to write instead."""

    text: str
    line: int
    instead: str


@dataclass(slots=True)
class PlanDraft:
    """The phases, sync points and gates of one plan in the order in which they stand."""

    title: str = ""
    units: list[UnitDraft] = field(default_factory=list)
    prose: list[Note] = field(default_factory=list)
    given: Mapping[str, Given] = field(default_factory=dict)
    """The keys of the plan as a whole."""
    lookalike: Lookalike | None = None


class Report:
    """Collects the problems and notes of one file, so that all of them are told at once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.notes: list[Note] = []

    def place(self, line: int) -> Place:
        """A line of the file."""
        return Place(self.file, line)

    def problem(self, slug: str, line: int, message: str) -> None:
        """Note a mistake."""
        self.problems.append(Problem(slug, self.place(line), printable(message)))

    def note(self, line: int, text: str) -> None:
        """Note what is no mistake but worth knowing."""
        self.notes.append(Note(self.place(line), printable(text)))

    def include(self, other: Report) -> None:
        """Take over what another report of the same file collected."""
        self.problems += other.problems
        self.notes += other.notes


@dataclass(frozen=True, slots=True)
class Fields:
    """The keys of one part of a plan as values; a bad one is reported and counts as not given."""

    given: Mapping[str, Given]
    report: Report

    def read(self, key: str, parse: Callable[[tuple[str, ...]], T], default: T) -> T:
        """The value of a key as `parse` understands its entries."""
        if key not in self.given:
            return default
        try:
            return parse(self.given[key].texts)
        except values.BadValue as error:
            self.report.problem(error.slug, self.given[key].line, f"{key}: {error}")
            return default

    def texts(self, key: str) -> tuple[str, ...]:
        """The entries of a key."""
        return self.given[key].texts if key in self.given else ()

    def ids(self, key: str) -> tuple[str, ...]:
        """The ids a key names."""
        return values.ids(self.texts(key))

    def ids_or_all(self, key: str, every: tuple[str, ...]) -> tuple[str, ...]:
        """The ids a key names; `true` stands for `every` id, `false` for none."""
        return values.ids_or_all(self.texts(key), every)

    def text(self, key: str) -> str | None:
        """The only entry of a key."""
        return self.read(key, values.single, None)

    def percent(self, key: str) -> float | None:
        """A threshold in per cent."""
        return self.read(key, values.percent, None)

    def threshold(self, key: str) -> float | str | None:
        """The threshold of a phase or stream: in per cent, or `values.RATCHET`."""
        return self.read(key, values.threshold, None)

    def seconds(self, key: str) -> float | None:
        """A duration in seconds."""
        return self.read(key, values.seconds, None)

    def boolean(self, key: str) -> bool:
        """Whether a key is true."""
        return self.read(key, values.boolean, False)

    def optional_boolean(self, key: str) -> bool | None:
        """Whether a key is true; None if it says nothing."""
        return self.read(key, values.optional_boolean, None)

    def variables(self, key: str) -> tuple[str, ...]:
        """The names of environment variables a key lists, each once."""
        return tuple(dict.fromkeys(self._each(key, lambda entry: values.variable(entry.text))))

    def selectors(self, key: str) -> tuple[Selector, ...]:
        """The selectors a key lists, each with its own line."""
        return tuple(
            self._each(
                key, lambda entry: Selector(self.report.place(entry.line), *values.selection(entry.text))
            )
        )

    def _each(self, key: str, parse: Callable[[Entry], T]) -> Iterator[T]:
        """Each entry of a key as `parse` understands it; a bad one is reported on its line and left out."""
        entries = self.given[key].entries if key in self.given else ()
        return (found for entry in entries if (found := self._parsed(key, entry, parse)) is not None)

    def _parsed(self, key: str, entry: Entry, parse: Callable[[Entry], T]) -> T | None:
        try:
            return parse(entry)
        except values.BadValue as error:
            self.report.problem(error.slug, entry.line, f"{key}: {error}")
            return None

    def places(self) -> tuple[tuple[str, Place], ...]:
        """Where each key stands."""
        return tuple((key, self.report.place(given.line)) for key, given in self.given.items())
