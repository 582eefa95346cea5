"""One run at a time in a folder, and what an earlier one left there unfinished."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_phases.stages.outputs import recover
from pytest_phases.state.runlock import LOCK, Active, RunLock


@dataclass(frozen=True, slots=True)
class Occupied:
    """What an earlier run left in a folder, in lines, and why it could not be kept from others."""

    notes: tuple[str, ...] = ()
    problem: str = ""


def occupy(config: pytest.Config, folder: Path, run_id: str) -> Occupied:
    """Take `folder` (`.phases`) for this run until pytest ends.

    Raises UsageError where another run has it. A folder that cannot be written keeps no run from
    running.
    """
    lock, wait = RunLock(folder, run_id), config.option.phases_wait
    try:
        active = lock.acquire()
        if active is not None and wait:
            print(f"phases: waiting up to {wait:g} s for {_named(active)}", file=sys.stderr, flush=True)
            active = lock.acquire(wait)
    except OSError as error:
        return Occupied(problem=f"{folder / LOCK} cannot be locked: {error.strerror or error}")
    if active is not None:
        raise pytest.UsageError(_refusal(folder, active, wait))
    config.add_cleanup(lock.release)
    return Occupied(left_behind(config.rootpath, folder))


def _refusal(folder: Path, active: Active, wait: float | None) -> str:
    waited = f" after {wait:g} s" if wait else ""
    advice = "wait longer" if wait else "wait for it with --phases-wait SECONDS"
    own = "give this one a folder of its own with --phases-dir DIR"
    return f"another run is active in {folder}{waited}: {_named(active)}; {advice}, or {own}"


def _named(active: Active) -> str:
    return f"pid {active.pid} of {active.user}, since {active.since} (run {active.run_id[:8]})"


def left_behind(root: Path, folder: Path) -> tuple[str, ...]:
    """Move aside what stages have left whose worker was killed, and say so in lines."""
    try:
        return recover(root, folder)
    except OSError as error:
        return (f"what an interrupted stage left could not be moved aside: {error}",)
