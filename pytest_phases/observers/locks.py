"""`RESOURCE_LOCKS.json`: who holds which locks now, and who waits for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_phases.claims import Claim
from pytest_phases.events import LockChanged, LockState, RunStarted
from pytest_phases.state.live import LOCKS, LiveFiles, shown_time


@dataclass(frozen=True, slots=True)
class _Entry:
    """The last that was heard of a holder's locks, and when."""

    event: LockChanged
    time: float

    def held(self) -> dict[str, Any]:
        return {
            "agent_id": self.event.agent or self.event.holder,
            "holder": self.event.holder,
            "locked_paths": _names(self.event.claims, shared=False),
            "shared_paths": _names(self.event.claims, shared=True),
            "lock_time": shown_time(self.time),
        }

    def waiting(self) -> dict[str, Any]:
        return {
            "holder": self.event.holder,
            "paths": _names(self.event.claims, shared=False),
            "shared_paths": _names(self.event.claims, shared=True),
            "since": shown_time(self.time),
            "waits_for": self.event.waits_for,
        }


class LocksFile:
    """Keeps the file up to date; `files` is what the status of the run is kept with."""

    def __init__(self, files: LiveFiles, now: Callable[[], float] = time.time) -> None:
        self._files = files
        self._now = now
        self._run_id = ""
        self._over = False
        self._entries: dict[str, _Entry] = {}

    @pytest.hookimpl
    def pytest_phases_run_started(self, event: RunStarted) -> None:
        """Nothing is held yet; what an earlier run left in the file is gone."""
        self._run_id = event.run_id
        self._files.show(LOCKS, self._data)

    @pytest.hookimpl
    def pytest_phases_lock_changed(self, event: LockChanged) -> None:
        """Somebody waits, has locks, or has let them go."""
        before = self._entries.get(event.holder)
        if event.state is LockState.RELEASED:
            self._entries.pop(event.holder, None)
        elif before is not None and before.event.state is event.state:
            # It waits for somebody else now, and has waited all along.
            self._entries[event.holder] = _Entry(event, before.time)
        else:
            self._entries[event.holder] = _Entry(event, self._now())
        self._files.changed(LOCKS)

    @pytest.hookimpl
    def pytest_phases_run_finished(self) -> None:
        """Nothing is held any more."""
        self._finish()

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        """Nothing is held any more, even if pytest could not bring the run to its end."""
        if self._run_id and not self._over:
            self._finish()

    def _finish(self) -> None:
        self._over = True
        self._entries.clear()
        self._files.finish(LOCKS)

    def _data(self) -> dict[str, Any]:
        # As a list at once: the thread that writes must not meet a change.
        entries = list(self._entries.values())
        return {
            "execution_id": self._run_id,
            "updated": shown_time(self._now()),
            "locks": [entry.held() for entry in entries if entry.event.state is LockState.HELD],
            "waiting": [entry.waiting() for entry in entries if entry.event.state is LockState.WAITING],
        }


def _names(claims: tuple[Claim, ...], *, shared: bool) -> list[str]:
    return [claim.name for claim in claims if claim.shared is shared]
