"""The hooks of pytest-phases: called in the process that was started, not in the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_phases.events import (
        Figure,
        ItemEnded,
        ItemStarted,
        LockChanged,
        PhaseChanged,
        RunResult,
        RunStarted,
        WaveClosed,
    )


@pytest.hookspec
def pytest_phases_run_started(config: pytest.Config, event: RunStarted) -> None:
    """Everything is collected and nothing has run."""


@pytest.hookspec
def pytest_phases_phase_changed(config: pytest.Config, event: PhaseChanged) -> None:
    """A phase, stream or sync point has changed its state."""


@pytest.hookspec
def pytest_phases_wave_closed(config: pytest.Config, event: WaveClosed) -> None:
    """Every phase of a wave is closed."""


@pytest.hookspec
def pytest_phases_item_started(config: pytest.Config, event: ItemStarted) -> None:
    """A worker has come to a test or a stage."""


@pytest.hookspec
def pytest_phases_item_ended(config: pytest.Config, event: ItemEnded) -> None:
    """A worker is through with a test or a stage."""


@pytest.hookspec
def pytest_phases_lock_changed(config: pytest.Config, event: LockChanged) -> None:
    """A phase or an item waits for its locks, has them, or has let them go."""


@pytest.hookspec
def pytest_phases_threshold_judged(config: pytest.Config, figure: Figure) -> None:
    """A coverage threshold was judged, of a phase, a stream, a sync point or the gate."""


@pytest.hookspec
def pytest_phases_gate_check(config: pytest.Config, result: RunResult) -> str | list[str] | None:
    """Say what else keeps the gate from being green, in words; nothing if nothing does.

    Called when every worker has finished. It can only make the gate stricter.
    """


@pytest.hookspec
def pytest_phases_run_finished(config: pytest.Config, result: RunResult) -> None:
    """The last worker has finished."""
