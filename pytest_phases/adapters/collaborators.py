"""What a run needs of others, as it sees them: who judges thresholds, and where it is written down."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from pytest_phases.events import Figure
from pytest_phases.evidence import Expected, ItemRecord
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

    def leave_out(self, phases: Collection[str]) -> None:
        """Tests of these phases were found late and deselected, so no figure of theirs says anything."""

    def judge(self, node: str) -> Figure | None:
        """Everything of a phase or sync point is done: what was reached; None if that says nothing."""

    def close(self) -> Figure | None:
        """Nothing is measured any more: write it all down, and judge the gate's own threshold."""


class Record(Protocol):
    """Where a run is written down."""

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
