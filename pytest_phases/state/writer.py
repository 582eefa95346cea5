"""Writing to the database a moment later, in a thread of its own: nothing waits, and nothing is lost."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

from pytest_phases.state.database import Database, DatabaseError

EVERY = 0.3
"""Seconds between two transactions, so that a thousand short tests are not as many of them."""

Answer = TypeVar("Answer")
Add = Callable[[Database, str, Iterable[Any]], None]
"""A method of the database that adds records of a run."""


@dataclass(frozen=True, slots=True)
class _Records:
    add: Add
    records: Iterable[Any]


@dataclass(frozen=True, slots=True)
class _Call:
    act: Callable[[Database], Any]
    answer: Future[Any] = field(default_factory=Future)

    def carry_out(self, database: Database) -> None:
        """Raises DatabaseError; any other error is one of who waits for the answer."""
        try:
            self.answer.set_result(self.act(database))
        except DatabaseError:
            raise
        except BaseException as error:
            self.answer.set_exception(error)


class Writer:
    """Writes the records of one run in the order in which they are added, each within half a second.

    The main thread runs tests or waits for workers, for minutes if need be, and may be interrupted in
    the middle of anything; so all of it is done by a thread. The first record starts it, and it ends
    while this process forks: who forks with threads is warned of it, and what they hold stays held in
    the child. A child writes nothing. What cannot be written is told in `problem`, once, and nothing
    is from then on; `set_aside` is that of the database.
    """

    def __init__(self, path: Path, run_id: str) -> None:
        self.problem = ""
        self.set_aside = ""
        self._path = path
        self._run_id = run_id
        self._process = os.getpid()
        self._database: Database | None = None
        self._waiting: deque[_Records | _Call] = deque()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._something = threading.Event()
        self._hurry = threading.Event()
        self._stopping = threading.Event()
        _WRITERS.add(self)

    def add(self, add: Add, records: Iterable[Any]) -> None:
        """Have records written soon; `records` is read then."""
        if self._usable:
            self._hand_over(_Records(add, records))

    def call(self, act: Callable[[Database], Answer]) -> Answer | None:
        """What `act` returns, after everything that was added is written; None if that cannot be done."""
        if not self._usable:
            return None
        call = _Call(act)
        self._hand_over(call)
        self._hurry.set()
        answer: Answer | None = call.answer.result()
        return answer

    def flush(self) -> None:
        """Return when everything that was added is written, or cannot be."""
        self.call(lambda _: None)

    def close(self) -> None:
        """Write what waits, and let the database go; nothing can be added any more."""
        if os.getpid() == self._process:
            self.pause()
            self._process = -1
            try:
                if self._database is not None:
                    self._database.close()
            except DatabaseError as error:
                self.problem = self.problem or str(error)

    def pause(self) -> None:
        """Write what waits, and end the thread until something is added again."""
        if os.getpid() != self._process:
            return
        with self._starting:
            if self._thread is not None:
                for event in (self._stopping, self._something, self._hurry):
                    event.set()
                self._thread.join()
                self._thread = None

    @property
    def _usable(self) -> bool:
        return not self.problem and os.getpid() == self._process

    def _hand_over(self, entry: _Records | _Call) -> None:
        with self._starting:
            self._waiting.append(entry)
            self._something.set()
            if self._thread is None:
                self._stopping.clear()
                self._thread = threading.Thread(target=self._work, name="phases-writer", daemon=True)
                self._thread.start()

    # In the thread ------------------------------------------------------------------------------

    def _work(self) -> None:
        bug: BaseException | None = None
        while not self._stopping.is_set() or self._waiting:
            self._something.wait()
            self._something.clear()
            try:
                self._carry_out([self._waiting.popleft() for _ in range(len(self._waiting))])
            except BaseException as error:
                # Raised when it ends, and not before: who asks meanwhile would never get an answer.
                bug = error
            self._hurry.wait(EVERY)
            self._hurry.clear()
        if bug is not None:
            raise bug

    def _carry_out(self, entries: list[_Records | _Call]) -> None:
        """Do it all in order; what stands between two calls is one transaction."""
        try:
            for is_call, group in groupby(entries, lambda entry: isinstance(entry, _Call)):
                if self.problem:
                    break
                carry_out = self._answer if is_call else self._write
                carry_out(group)
        except DatabaseError as error:
            self.problem = str(error)
        except BaseException as error:
            self.problem = f"{self._path}: {type(error).__name__}: {error}"
            raise
        finally:
            for entry in entries:
                if isinstance(entry, _Call) and not entry.answer.done():
                    entry.answer.set_result(None)

    def _answer(self, calls: Iterable[Any]) -> None:
        for call in calls:
            call.carry_out(self._opened())

    def _write(self, entries: Iterable[Any]) -> None:
        database = self._opened()
        with database.together():
            for add, group in groupby(entries, attrgetter("add")):
                add(database, self._run_id, chain.from_iterable(each.records for each in group))

    def _opened(self) -> Database:
        if self._database is None:
            self._database = Database.open(self._path)
            self.set_aside = self._database.set_aside
        return self._database


_WRITERS: WeakSet[Writer] = WeakSet()


def _pause_all() -> None:
    for writer in tuple(_WRITERS):
        writer.pause()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_pause_all)
