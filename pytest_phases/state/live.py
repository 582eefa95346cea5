"""Files that follow a run: whoever reads one, at whatever moment, reads the whole of it.

Who runs tests only notes that something has changed. A thread writes, at most once in an interval, so that
the last change is in the file soon even if nothing happens for an hour after it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from json import dumps
from pathlib import Path
from typing import Any, TypeAlias
from weakref import WeakSet

STATUS = "PARALLEL_STATUS.json"
LOCKS = "RESOURCE_LOCKS.json"

INTERVAL = 0.34
"""Seconds between two writes of a file: with the last one, which waits for nothing, four a second at most."""

Data: TypeAlias = Callable[[], Mapping[str, Any]]
Wait: TypeAlias = Callable[[threading.Event, float], object]


class LiveFiles:
    """JSON files in the folder of a run, each with a function that says what is in it now.

    That function is called in a thread, so it must not be disturbed by a change at the same time. A folder
    that cannot be written is a `problem`, and is tried again. In a forked child nothing is ever written.
    """

    def __init__(
        self, folder: Path, clock: Callable[[], float] = time.monotonic, wait: Wait = threading.Event.wait
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._wait = wait
        self._data: dict[str, Data] = {}
        self._pending: dict[str, bool] = {}
        self._problems: dict[str, str] = {}
        self._written = 0.0
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._finished: set[str] = set()
        self._pid = os.getpid()

    @property
    def problem(self) -> str:
        """Why a file could not be written when that was last tried; empty if each could."""
        return next(filter(None, self._problems.values()), "")

    def show(self, name: str, data: Data) -> None:
        """Write a file at once; from now on it follows."""
        self._data[name] = data
        self._pending[name] = False
        self._write(name)

    def changed(self, name: str) -> None:
        """What a file shows is another now; this costs next to nothing."""
        if os.getpid() != self._pid:
            return
        if name in self._finished:
            self._write(name)
            return
        self._pending[name] = True
        if not self._wake.is_set():
            self._wake.set()
        if self._thread is None:
            self._follow()

    def finish(self, name: str) -> None:
        """Write the last state of a file; the thread ends, and begins anew if another file goes on."""
        if os.getpid() == self._pid:
            self._halt()
            self._finished.add(name)
            self._pending[name] = False
            self._write(name)

    def pause(self) -> None:
        """End the thread until the next change, which waits for nothing that is pending now."""
        if os.getpid() == self._pid and self._thread is not None:
            self._halt()
            self._flush()

    def _follow(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._write_changes, args=(self._stop,), name="phases-live-files", daemon=True
        )
        self._thread.start()
        _following.add(self)

    def _halt(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            self._wake.set()
            thread.join()

    def _write_changes(self, stop: threading.Event) -> None:
        while True:
            self._wake.wait()
            self._wait(stop, max(0.0, self._written + INTERVAL - self._clock()))
            if stop.is_set():
                return
            # In this order, no change can be overlooked.
            self._wake.clear()
            self._flush()

    def _flush(self) -> None:
        for name in list(self._pending):
            if self._pending[name]:
                self._pending[name] = False
                self._write(name)

    def _write(self, name: str) -> None:
        with self._writing:
            problem = ""
            try:
                prepare_folder(self._folder)
                replace_file(self._folder / name, dumps(self._data[name](), indent=2) + "\n")
            except Exception as error:  # at `-n0` a test may have replaced anything that this uses
                problem = f"{error}" if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
            self._problems[name] = problem
            self._written = self._clock()


def prepare_folder(folder: Path) -> None:
    """Make the folder of a run; it tells git to ignore all of it.

    Raises OSError where that cannot be done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def replace_file(path: Path, text: str) -> None:
    """Replace a file as a whole: a reader sees the old text or the new one.

    Raises OSError where that cannot be done.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def shown_time(seconds: float | None) -> str | None:
    """A time of the clock on the wall in ISO 8601, UTC, to the millisecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")


_following: WeakSet[LiveFiles] = WeakSet()


def _pause_all() -> None:
    for files in list(_following):
        files.pause()


# With `-n0` a test may fork. Python warns of that where there are threads, and a warning may fail the test.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_pause_all)
