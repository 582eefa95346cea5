"""One run at a time in a folder, and what an earlier one left there unfinished."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from pytest_phases.stages.outputs import recover
from pytest_phases.state.runlock import Active, RunLock


def occupy(config: pytest.Config, folder: Path, run_id: str) -> tuple[str, ...]:
    """Take `folder` (`.phases`) for this run until pytest ends; what is worth knowing of it, in lines.

    Raises UsageError where another run has it. A folder that cannot be written keeps no run from
    running: then there is a line that says so.
    """
    lock = RunLock(folder, run_id)
    try:
        active = lock.acquire(config.option.phases_wait)
    except OSError as error:
        return (f"{folder} cannot be written, so nothing of this run is recorded: {error.strerror or error}",)
    if active is not None:
        raise pytest.UsageError(_refusal(folder, active))
    config.add_cleanup(lock.release)
    return tuple(_left_behind(config.rootpath, folder))


def _refusal(folder: Path, active: Active) -> str:
    return (
        f"another run is active in {folder}: pid {active.pid} of {active.user}, since {active.since} "
        f"(run {active.run_id[:8]}); wait for it with --phases-wait SECONDS, or give this one a folder of "
        "its own with --phases-dir DIR"
    )


def _left_behind(root: Path, folder: Path) -> Iterable[str]:
    try:
        return recover(root, folder)
    except OSError as error:
        return (f"what an interrupted stage left could not be moved aside: {error}",)
