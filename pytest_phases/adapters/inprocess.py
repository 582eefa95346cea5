"""The same run in one process: `-n0`, `--pdb`, or no xdist at all."""

from __future__ import annotations

import time
from collections import deque

import pytest

from pytest_phases.adapters.control import Control, ControlItem
from pytest_phases.adapters.run import Run
from pytest_phases.adapters.worker import Collecting
from pytest_phases.scheduler.protocol import Refresh, Send, Stopped, WorkerReady, WorkerRefreshed

WORKER = "main"


class InProcess:
    """Runs the items of a session as the core orders them."""

    def __init__(self, config: pytest.Config, run: Run, collection: Collecting) -> None:
        self._config = config
        self._run = run
        self._collection = collection
        self._control = Control(self._torn_down, collection.between_items)
        self._queue: deque[int] = deque()
        self._items: dict[int, pytest.Item] = {}
        self._running: int | None = None
        self._last = 0
        config.pluginmanager.register(self._control, "phases-control")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run everything; a collection error makes just its phase red and stops nothing else."""
        table = self._collection.table
        if table is None:
            self._run.without_phases()
            return None
        numbers = self._run.begin(table)
        self._items.update(zip(numbers, session.items, strict=True))
        session.testscollected = self._run.total
        self._run.tell(WorkerReady(WORKER, 0, self._run.now()))
        self._run.start()
        parking = ControlItem.of(session, "parking", self._control.park)
        self._take_orders(session)
        while self._queue or self._run.core.waiting_for_others:
            if not self._queue:
                self._wait_for_locks(session)
                continue
            self._run_next(session, parking)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
            self._take_orders(session)
        self._config.hook.pytest_runtest_protocol(item=parking, nextitem=None)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what is reported of the item that runs."""
        if self._running is not None and report.nodeid == self._run.nodeid(self._running):
            self._run.reported(self._running, report)

    def _run_next(self, session: pytest.Session, parking: ControlItem) -> None:
        self._running = self._last = number = self._queue.popleft()
        nextitem = self._items[self._queue[0]] if self._queue else parking
        started = time.perf_counter()
        self._config.hook.pytest_runtest_protocol(item=self._items[number], nextitem=nextitem)
        self._running = None
        if session.shouldfail or session.shouldstop:
            # Before its outcome is known: what it would block was not reached and is not reported.
            self._run.tell(Stopped(self._run.now()))
        self._run.finished(WORKER, number, time.perf_counter() - started)

    def _wait_for_locks(self, session: pytest.Session) -> None:
        """Another run has what everything that is left needs."""
        assert self._run.locker is not None
        self._run.locker.wait()
        self._run.look_for_locks()
        self._take_orders(session)

    def _take_orders(self, session: pytest.Session) -> None:
        while orders := self._run.take_orders():
            for order in orders:
                if isinstance(order, Send):
                    self._queue.extend(order.items)
                else:
                    self._refresh(session, order)

    def _refresh(self, session: pytest.Session, order: Refresh) -> None:
        """Look at what was built; one process cannot load anew what it has loaded already."""
        outdated = self._collection.outdated()
        if outdated:
            self._run.report_stale(outdated)
        else:
            self._collect_late(session)
        self._run.tell(WorkerRefreshed(WORKER, order.generation, self._run.now()))

    def _collect_late(self, session: pytest.Session) -> None:
        before = len(session.items)
        table = self._collection.collect_late(session, self._run.ended, self._run.blocked)
        if table is not None:
            numbers = self._run.add(table, whole=False, generation=self._run.core.generation)
            self._items.update(zip(numbers, session.items[before:], strict=True))
            session.testscollected = self._run.total

    def _torn_down(self, report: pytest.TestReport) -> None:
        self._config.hook.pytest_runtest_logreport(report=report)
        self._run.torn_down_badly(self._last)
