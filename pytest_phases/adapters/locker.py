"""Getting locks from other runs on this machine, without keeping this run from its other work."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Protocol

from pytest_phases.claims import Claim
from pytest_phases.scheduler.protocol import Acquire, Holder, Release

EVERY = 0.05
"""Seconds between two looks at locks that another run holds: a kernel lock tells nobody when it is let go."""


class SharedLocks(Protocol):
    """Locks that all runs on a machine see."""

    def try_acquire(self, holder: Hashable, claims: Iterable[Claim]) -> bool:
        """Get all of these, or none and return False; never wait."""

    def release(self, holder: Hashable) -> None:
        """Let go of all that a holder has."""

    def close(self) -> None:
        """Let go of everything."""


class Locker:
    """Asks again and again for what could not be had at once; `wake` is called when something was granted.

    `problem` says why locks do not hold across runs after all, empty while they do.
    """

    def __init__(self, locks: SharedLocks) -> None:
        self.wake: Callable[[], None] = _nobody
        self.problem = ""
        self._locks = locks
        self._wanted: dict[Holder, tuple[Claim, ...]] = {}
        self._granted: deque[Holder] = deque()
        self._guard = threading.Lock()
        self._changed = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def carry_out(self, decision: Acquire | Release) -> None:
        """Begin to get locks, or let them go."""
        with self._guard:
            if isinstance(decision, Release):
                if self._wanted.pop(decision.holder, None) is None:
                    self._locks.release(decision.holder)
                if decision.holder in self._granted:
                    self._granted.remove(decision.holder)
                return
            self._wanted[decision.holder] = decision.claims
            self._try()
            if self._wanted and self._thread is None:
                self._thread = threading.Thread(target=self._poll, name="phases-locks", daemon=True)
                self._thread.start()

    def granted(self) -> Iterable[Holder]:
        """Who has got all that was asked for since this was asked last."""
        while self._granted:
            yield self._granted.popleft()

    def wait(self) -> None:
        """Return when somebody may have got what was asked for, or after a moment."""
        self._changed.wait(EVERY)
        self._changed.clear()

    def close(self) -> None:
        """Let go of everything."""
        self._closed = True
        with self._guard:
            self._wanted.clear()
            self._locks.close()

    def _poll(self) -> None:
        while True:
            time.sleep(EVERY)
            with self._guard:
                got_some = self._try() if not self._closed else False
                if self._closed or not self._wanted:
                    # Decided with the guard, so that nobody counts on a thread that is about to end.
                    self._thread = None
            if got_some:
                self._changed.set()
                self.wake()
            if self._thread is not threading.current_thread():
                return

    def _try(self) -> bool:
        """Try for everybody once, in the order in which they asked."""
        got = [holder for holder, claims in self._wanted.items() if self._got(holder, claims)]
        for holder in got:
            del self._wanted[holder]
        self._granted.extend(got)
        return bool(got)

    def _got(self, holder: Holder, claims: tuple[Claim, ...]) -> bool:
        try:
            return self._locks.try_acquire(holder, claims)
        except OSError as error:
            # Nobody can lock anything there: waiting would never end.
            self.problem = f"locks hold in this run alone: {error}"
            return True


def _nobody() -> None:
    """Nobody waits to be woken: whoever asks looks by itself."""
