"""What earlier runs say of each phase and stream: the newest run that has news of it is its checkpoint."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from pytest_phases.checkpoint.decide import Past
from pytest_phases.events import Outcome, State
from pytest_phases.evidence import (
    AFTERWARDS,
    Dependency,
    ItemRecord,
    Origin,
    PartRecord,
    PhaseRecord,
    RunRecord,
    TreeEntry,
)

GOOD = frozenset({Outcome.PASSED, Outcome.XFAILED, Outcome.SKIPPED})
"""Outcomes that let a phase be green."""
PROVING = frozenset({Outcome.PASSED, Outcome.XFAILED})
"""Outcomes that make it green."""


class Reader(Protocol):
    """What runs have written down; every method raises PhasesError if it cannot be read."""

    def runs(self, plan_file: str) -> tuple[RunRecord, ...]:
        """The runs of a plan, the newest first."""

    def phases(self, run_id: str) -> tuple[PhaseRecord, ...]:
        """Its phases and streams that have closed."""

    def items(self, run_id: str, phase: str | None = None) -> tuple[ItemRecord, ...]:
        """Its items that have ended, in that order."""

    def dependencies(self, run_id: str, phase: str | None = None) -> tuple[Dependency, ...]:
        """What the outcomes of its phases depend on."""

    def tree(self, run_id: str) -> tuple[TreeEntry, ...]:
        """The files after the run; none if it was killed."""

    def parts(self, run_id: str) -> tuple[PartRecord, ...]:
        """Its coverage data."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the newest run with news of a unit says of it; `items` are its last outcomes by name.

    `origin` is the run that made it what it is, which is an earlier one if it was resumed; `parts` is its
    coverage data.
    """

    run_id: str
    past: Past
    origin: Origin
    items: Mapping[str, ItemRecord]
    parts: tuple[PartRecord, ...]


class History:
    """The runs of one plan but for `current`, the one that is beginning; read as far back as is needed."""

    def __init__(self, reader: Reader, plan_file: str, current: str = "") -> None:
        self._reader = reader
        self.runs = tuple(run for run in reader.runs(plan_file) if run.run_id != current)
        self._age = {run.run_id: age for age, run in enumerate(self.runs)}
        self.recorded = cache(self._recorded)
        self.tree = cache(reader.tree)

    def checkpoint(self, unit: str, streams: Iterable[str] = ()) -> Checkpoint | None:
        """The newest news of a phase or stream; None if there is none."""
        for run in self.runs:
            found = self.recorded(run.run_id).checkpoint(run, unit, tuple(streams))
            if found is not None:
                return self._with_items(found, unit)
        return None

    def dependencies(self, checkpoint: Checkpoint, unit: str) -> tuple[Dependency, ...]:
        """What the recorded outcome of a unit depends on."""
        return self._reader.dependencies(checkpoint.run_id, unit)

    def afterwards(self, run_id: str) -> tuple[PartRecord, ...]:
        """What was measured in a run while session fixtures were torn down."""
        return self.recorded(run_id).parts.get(AFTERWARDS, ())

    def is_newer(self, one: Origin, other: Origin) -> bool:
        """Whether one run began after another one, or nobody can tell."""
        if one.run_id == other.run_id:
            return False
        age, other_age = self._age.get(one.run_id), self._age.get(other.run_id)
        if age is not None and other_age is not None:
            return age < other_age
        # What is no longer recorded is older than what is.
        return other_age is None

    def _with_items(self, found: Checkpoint, unit: str) -> Checkpoint:
        """A resumed phase has the items of its origin, too: perhaps not all were selected since."""
        if found.origin.run_id == found.run_id or found.origin.run_id not in self._age:
            return found
        items = self.recorded(found.origin.run_id).items.get(unit, {})
        return Checkpoint(found.run_id, found.past, found.origin, {**items, **found.items}, found.parts)

    def _recorded(self, run_id: str) -> _Run:
        reader = self._reader
        items: dict[str, dict[str, ItemRecord]] = {}
        for item in reader.items(run_id):
            items.setdefault(item.phase, {})[item.nodeid] = item
        parts: dict[str, tuple[PartRecord, ...]] = {}
        for part in reader.parts(run_id):
            parts[part.phase] = (*parts.get(part.phase, ()), part)
        return _Run({record.id: record for record in reader.phases(run_id)}, items, parts)


@dataclass(frozen=True, slots=True)
class _Run:
    """What one run wrote down, by phase or stream."""

    phases: Mapping[str, PhaseRecord]
    items: Mapping[str, Mapping[str, ItemRecord]]
    parts: Mapping[str, tuple[PartRecord, ...]]

    def checkpoint(self, run: RunRecord, unit: str, streams: tuple[str, ...]) -> Checkpoint | None:
        """What this run says of a unit; None if nothing."""
        record, items = self.phases.get(unit), self.items.get(unit, {})
        if record is None or not record.state.closed:
            # Killed before it said where they were run, so what was resumed is no news of this run.
            items = {name: item for name, item in items.items() if _is_news(item)}
        past = self._past(record, items, streams)
        if past is Past.NONE:
            return None
        resumed = record.origin if record is not None else None
        origin = resumed or Origin(run.run_id, run.started, run.tree)
        return Checkpoint(run.run_id, past, origin, items, self.parts.get(unit, ()))

    def _past(
        self, record: PhaseRecord | None, items: Mapping[str, ItemRecord], streams: tuple[str, ...]
    ) -> Past:
        """Nothing of a unit that this run never opened is no news, unless it was blocked."""
        outcomes = {item.outcome for item in items.values()}
        ran = bool(outcomes - {Outcome.BLOCKED})
        if record is None or not record.state.closed:
            return Past.INTERRUPTED if ran else Past.BLOCKED if outcomes else Past.NONE
        if record.state in (State.EMPTY, State.INTERRUPTED) and not ran:
            return Past.NONE
        if record.state is State.RED and self._only_streams_are_red(record, outcomes, streams):
            return Past.GREEN if outcomes & PROVING else Past.EMPTY
        return _PASTS[record.state]

    def _only_streams_are_red(
        self, record: PhaseRecord, outcomes: set[Outcome], streams: tuple[str, ...]
    ) -> bool:
        """Whether a red phase has a red stream to blame, and nothing of its own."""
        found = (self.phases.get(stream) for stream in streams)
        if (
            not outcomes
            or not outcomes <= GOOD
            or all(each is not None and each.state.satisfies for each in found)
        ):
            return False
        return all(_OF_STREAMS.fullmatch(reason) for reason in record.reason.split("; "))


def _is_news(item: ItemRecord) -> bool:
    """Whether an item was run or blocked; one that was resumed has no worker."""
    return bool(item.worker) or item.outcome is Outcome.BLOCKED


_OF_STREAMS = re.compile(r"|stream .*|\d+ (?:failed|errors?)(?:, \d+ errors?)?")
"""Reasons for a red phase that may be those of its streams: counts, and what begins with their names."""

_PASTS = {
    State.GREEN: Past.GREEN,
    State.EMPTY: Past.EMPTY,
    State.RED: Past.RED,
    State.BLOCKED: Past.BLOCKED,
    State.INTERRUPTED: Past.INTERRUPTED,
}
