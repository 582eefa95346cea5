"""What a run needs of others, as it sees them: who judges thresholds, and where it is written down."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pytest_phases.errors import Problem
from pytest_phases.events import Figure, Outcome, PhaseResult
from pytest_phases.evidence import Expected, ItemRecord, StageRecord, WaveRecord
from pytest_phases.model import Plan
from pytest_phases.table import Table


class Judge(Protocol):
    """Judges thresholds by what workers have measured."""

    @property
    def judged(self) -> Collection[str]:
        """The ids of the phases, streams and sync points that are judged."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Which thresholds are not judged, and why."""

    def expect(self, phase: str, worker: str) -> Iterable[tuple[str, str]]:
        """A worker has run an item of a phase: the parts, by phase and worker, it will hand over for that."""

    def take(self, worker: str, phase: str, data: bytes, fixtures: Sequence[str], problem: str) -> None:
        """A worker hands over coverage data."""

    def write(self, phase: str) -> None:
        """A phase or stream has closed: keep what was measured for it."""

    def executed(self, phase: str) -> Iterable[str]:
        """The files that were executed for a phase or stream, relative to the rootdir."""

    def leave_out(self, phases: Collection[str]) -> None:
        """Tests of these phases were found late and deselected, so no figure of theirs says anything."""

    def judge(self, node: str) -> Figure | None:
        """Everything of a phase or sync point is done: what was reached; None if that says nothing."""

    def close(self) -> Figure | None:
        """Nothing is measured any more: write it all down, and judge the gate's own threshold."""


class Witness(Protocol):
    """Finds out what the outcome of each phase depends on, by what workers tell of it."""

    def ran(self, phase: str, worker: str) -> None:
        """A worker has run an item of a phase or stream, and will tell what that has used."""

    def traced(
        self,
        worker: str,
        phase: str,
        *,
        executed: Iterable[str],
        early: Iterable[str],
        opened: Iterable[str],
        unknown: str,
        loaded: Iterable[str],
    ) -> None:
        """A worker tells what a phase has used; see `messages.Traced`."""

    def measured(self, phase: str, files: Iterable[str]) -> None:
        """Coverage was measured for a phase: these files were executed."""

    def gone(self, phase: str, worker: str) -> None:
        """A worker has ended while it ran an item of a phase: what it has not told is lost."""

    def closed(self, phase: str, test_files: Iterable[str]) -> None:
        """Nothing of a phase or stream runs any more."""

    def finish(self) -> str:
        """Wait until all of it is written down; what went wrong, in words, empty if nothing did."""


class Record(Protocol):
    """Where a run is written down."""

    def phase_closed(self, result: PhaseResult) -> None:
        """A phase or stream has closed."""

    def wave_closed(self, wave: WaveRecord) -> None:
        """Every phase of a wave has closed."""

    def stage_ended(self, stage: StageRecord) -> None:
        """A stage has ended well, or is up to date."""

    def begun(self, plan: Plan, table: Table) -> None:
        """Everything is collected."""

    def found(self, items: Iterable[Expected]) -> None:
        """Items were collected."""

    def lost(self, items: Iterable[Expected]) -> None:
        """Items are no longer collected, now that something was built."""

    def ended(self, item: ItemRecord) -> None:
        """An item has its outcome; one that is blocked has no worker."""

    def expect_part(self, phase: str, worker: str) -> None:
        """A worker has run an item of a phase that is measured, and will hand over what it measured."""

    def judged(self, figure: Figure) -> None:
        """A threshold was judged."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan that may start.

    `checks` has, for phases that require what a stage makes, a look at it when they open: it says
    what is missing, or nothing. `recheck` finds what is wrong with a table that comes later;
    `phase_of_file` is the plan's own opinion of a file. `judge` is None without a threshold.
    `outcomes` and `durations` have, by phase or stream and node id, what need not run again; `resumed`
    of those phases and streams of which nothing does, where they were run; `decisions` is that in lines.
    `witness` is None where nothing is written down.
    """

    plan: Plan
    checks: Mapping[str, Callable[[], str]]
    recheck: Callable[[Table], Sequence[Problem]]
    phase_of_file: Callable[[str], str]
    judge: Judge | None = None
    witness: Witness | None = None
    outcomes: Mapping[tuple[str, str], Outcome] = field(default_factory=dict)
    durations: Mapping[tuple[str, str], float] = field(default_factory=dict)
    resumed: Mapping[str, str] = field(default_factory=dict)
    decisions: tuple[str, ...] = ()
