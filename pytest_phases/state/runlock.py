"""One run at a time in one folder, and who it is that has it."""

from __future__ import annotations

import getpass
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from pytest_phases.state.kernellock import KernelLock

LOCK = "run.lock"
"""The name of the file that is locked, below `.phases`."""

HOLDER = "run.json"
"""The name of the file that says who has locked it."""

EVERY = 0.05
"""Seconds between two looks at a lock that somebody has."""

SETTLING = 1.0
"""Seconds in which who has just got the lock has also said who that is."""


@dataclass(frozen=True, slots=True)
class Active:
    """The run that has a folder: `since` is ISO 8601 in UTC; what is not known is 0 or `unknown`."""

    pid: int = 0
    user: str = "unknown"
    since: str = "unknown"
    run_id: str = "unknown"


class RunLock:
    """The right to run in `folder` (`.phases`), which is made if need be.

    A run that was killed has none of it any more, whatever it has left behind: only its lock counts.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        self._folder = folder
        self._run_id = run_id
        self._lock = KernelLock(folder / LOCK)

    def acquire(self, wait: float | None = None) -> Active | None:
        """Get it and return None, or return who has it, `wait` seconds later if it takes so long.

        Raises OSError where the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        while not self._lock.try_acquire():
            waited = time.monotonic() - began
            if waited >= (wait or 0.0):
                active = read_active(self._folder)
                if _is_alive(active.pid) or waited >= SETTLING:
                    return active
            time.sleep(EVERY)
        self._sign()
        return None

    def release(self) -> None:
        """Let others run, if this process has it."""
        if self._lock.held:
            with suppress(OSError):
                (self._folder / HOLDER).unlink()
            self._lock.release()

    def _sign(self) -> None:
        since = datetime.now(timezone.utc).isoformat(timespec="seconds")
        active = Active(os.getpid(), _user(), since, self._run_id)
        new = self._folder / f"{HOLDER}.new"
        try:
            new.write_text(json.dumps(asdict(active)), encoding="utf-8")
            new.replace(self._folder / HOLDER)
        except OSError:
            # The lock is what counts, and it is held; better nobody is named than who had it before.
            for file in (new, self._folder / HOLDER):
                with suppress(OSError):
                    file.unlink()


def read_active(folder: Path) -> Active:
    """Who says to have the folder; only who finds it locked knows that this is so."""
    try:
        found = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        active = Active(**found)
        is_sound = [type(each) for each in asdict(active).values()] == [int, str, str, str]
    except (OSError, ValueError, TypeError, RecursionError):
        return Active()
    return active if is_sound else Active()


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return True


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # one that the system has no name for
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
