"""The controller's side of xdist: its scheduler protocol on one hand, the core on the other.

What is xdist's business stays here: indices, the parking item, taking it back before more is
sent, cloning workers. The queue of a worker that is about to run dry ends in the parking item;
before more work goes to a worker that is still busy, the queued parking item is taken back, else
module fixtures would be torn down for it and set up again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pytest
from xdist.dsession import DSession, Interrupted
from xdist.remote import Producer
from xdist.report import report_collection_diff
from xdist.scheduler import LoadScheduling, Scheduling
from xdist.workermanage import WorkerController

from pytest_phases.adapters.messages import (
    INPUT,
    Collected,
    Measured,
    Message,
    Refreshed,
    RefreshNow,
    StageEnded,
    TornDown,
    Traced,
    pack,
    unpack,
)
from pytest_phases.adapters.run import Order, Run
from pytest_phases.scheduler.protocol import Send, Stopped, WorkerReady, WorkerRefreshed
from pytest_phases.settings import LATER_WORKER
from pytest_phases.table import Table

NEARLY_DRY = 16
"""With so many items left a worker is sent the parking item; before, more work is likely to come,
and every message costs as much as a short test."""


@dataclass(slots=True, eq=False)
class Worker:
    """A worker as the controller knows it.

    `numbers` gives the run's number for each index of the worker's items, None for our own;
    `sent` holds what it has not finished, in order; `last` is what it finished last; `parked` says
    that its queue ends in the parking item.
    """

    node: WorkerController
    channel: Any
    generation: int
    inbox: deque[Message] = field(default_factory=deque)
    collected: Table | None = None
    ids: Sequence[str] | None = None
    numbers: list[int | None] = field(default_factory=list)
    indices: dict[int, int] = field(default_factory=dict)
    sent: dict[int, None] = field(default_factory=dict)
    last: int | None = None
    parking: int = -1
    parked: bool = False
    joined: bool = False
    replaced: bool = False
    crashed: bool = False

    @property
    def name(self) -> str:
        """xdist's name of it: gw0."""
        return str(self.node.gateway.id)

    def learn(self, numbers: Sequence[int], *, first: bool) -> None:
        """Add items in the order in which the worker holds them; ours follow the first."""
        self.indices.update((number, len(self.numbers) + offset) for offset, number in enumerate(numbers))
        self.numbers.extend(numbers)
        if first:
            self.parking = len(self.numbers)
            self.numbers += [None, None]


def number_of_workers(config: pytest.Config) -> int:
    """How many workers a run begins with; `--tx 2*popen` counts twice."""
    # What counts them has changed its name between versions of xdist; this asks for it by neither.
    return int(LoadScheduling(config).numnodes)


class XdistScheduler:
    """xdist's scheduler of this run, and a plugin beside it on the controller.

    `serve(worker)` decides over everything; where no worker has a plan or a marker, the scheduler
    that xdist would have made takes this one's place.
    """

    def __init__(
        self,
        config: pytest.Config,
        run: Run,
        withdraw: Callable[[], None],
        environment: Mapping[str, str],
    ) -> None:
        """`withdraw` is called if nothing of the run is ours; `environment` is added to that of workers."""
        self.config = config
        self._environment = environment
        self._run = run
        self._withdraw = withdraw
        self._workers: dict[WorkerController, Worker] = {}
        self._expected = number_of_workers(config)
        self._stopped = False
        if run.locker is not None:
            run.locker.wake = self._wake

    # As a plugin ------------------------------------------------------------------------------

    @pytest.hookimpl
    def pytest_xdist_setupnodes(self, specs: Sequence[Any]) -> None:
        """Before the workers start: what they must know before they load anything."""
        for spec in specs:
            spec.env.update(self._environment)

    @pytest.hookimpl
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Give each worker the settings and a channel of ours."""
        generation = self._run.core.generation if self._run.begun else 0
        settings = replace(
            self._run.settings, ended=self._run.ended, blocked=self._run.blocked, generation=generation
        )
        # It is in the environment of no worker but those that are cloned from this one.
        node.gateway.spec.env[LATER_WORKER] = "1"
        channel = node.gateway.newchannel()
        worker = self._workers[node] = Worker(node, channel, generation)
        channel.setcallback(lambda packed: worker.inbox.append(unpack(packed)))
        node.workerinput[INPUT] = {"settings": settings.to_data(), "channel": channel}

    @pytest.hookimpl(tryfirst=True)
    def pytest_xdist_make_scheduler(self) -> XdistScheduler:
        """Ours; whether it stays is known when the items are."""
        return self

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what workers report of items, until they are through with them."""
        worker = self._workers.get(getattr(report, "node", None))
        index = getattr(report, "item_index", None)
        if worker is not None and index is not None and worker.numbers:
            number = worker.numbers[index]
            if number is not None:
                self._run.reported(number, report)

    @pytest.hookimpl
    def pytest_testnodedown(self, node: WorkerController, error: object) -> None:
        """Hear a worker's last words before xdist forgets it."""
        worker = self._workers.get(node)
        if worker is not None:
            worker.crashed = error is not None
            self._read(worker)

    @pytest.hookimpl(wrapper=True)
    def pytest_handlecrashitem(self) -> Generator[None, Any, Any]:
        """Refusing a rerun (see `mark_test_pending`) is no error; pytest-rerunfailures 16.1 knows that."""
        try:
            return (yield)
        except NotImplementedError:
            return []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """`-x` and `--maxfail` end a run as failed, with workers as without; xdist says interrupted."""
        try:
            return (yield)
        except Interrupted:
            if session.shouldfail and (self._run.begun or self._run.settings.plan.file):
                raise session.Failed(session.shouldfail) from None
            raise

    # As xdist's scheduler -----------------------------------------------------------------------

    @property
    def nodes(self) -> list[WorkerController]:
        """Every worker that is up."""
        return list(self._workers)

    @property
    def collection_is_completed(self) -> bool:
        """Whether every first worker has collected."""
        collected = sum(worker.ids is not None for worker in self._workers.values())
        return self._run.begun or collected >= self._expected

    @property
    def tests_finished(self) -> bool:
        """Whether nothing more will run; xdist asks after each of its events."""
        return self._run.over

    @property
    def has_pending(self) -> bool:
        """Whether items were handed out, or will be."""
        return self._run.begun and not self._run.over

    def add_node(self, node: WorkerController) -> None:
        """A worker is up; it collects by itself."""

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """A worker has collected."""
        worker = self._workers[node]
        worker.ids = list(collection)
        self._read(worker)
        if self._run.begun:
            self._join(worker)
        elif self.collection_is_completed:
            self._begin()

    def schedule(self) -> None:
        """Asked for after each collection; the first start is made in `add_node_collection`."""
        self._carry_out()

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """A worker is through with an item, or with one of ours."""
        worker = self._workers[node]
        self._read(worker)
        number = worker.numbers[item_index]
        if number is not None:
            worker.sent.pop(number, None)
            worker.last = number
            self._stop_if_asked()
            self._run.finished(worker.name, number, duration)
        self._carry_out()
        self._park(worker)

    def mark_test_pending(self, item: str) -> None:
        """xdist's plugins for reruns may ask for an item again; the core runs each item once."""
        raise NotImplementedError("an item of a phase is run once; reruns happen inside the worker")

    def remove_pending_tests_from_node(self, node: WorkerController, indices: Sequence[int]) -> None:
        """A parking item was taken back, or had been reached already: either is fine.

        `_wake` has this called too, when locks were granted.
        """
        if self._run.begun:
            self._run.look_for_locks()
            self._carry_out()

    def _wake(self) -> None:
        """Make xdist's loop call us, from any thread; of its events this one means least to it."""
        node = next(iter(self._workers), None)
        if node is not None:
            self._dsession.queue.put(("unscheduled", {"node": node, "indices": []}))

    def remove_node(self, node: WorkerController) -> str | None:
        """A worker is gone; if it died, the node id of what it was running, reported nowhere yet."""
        worker = self._workers.pop(node)
        victim = next(iter(worker.sent), None) if worker.crashed else None
        if victim is not None and self._run.has_ended(victim):
            # All its reports have come: what died was the worker, while it tore down.
            self._run.finished(worker.name, victim, 0.0)
            worker.last, victim = victim, None
        if worker.sent and not (worker.crashed or self._stopped or self._dsession.shuttingdown):
            # `pytest.exit` in a test means the whole run; elsewhere the test would only do it again.
            left = f"{worker.name} ended before its work was done"
            self._dsession.shouldstop = self._dsession.shouldstop or left
        self._stop_if_asked()
        self._leave(worker, victim)
        if worker.crashed and victim is None and worker.last is not None:
            self._report_crash_between_items(worker, worker.last)
        self._carry_out()
        if worker.replaced and not worker.crashed:
            self._start_successor(node)
        return self._run.nodeid(victim) if victim is not None else None

    def _start_successor(self, node: WorkerController) -> None:
        """xdist ends the process of a worker that has finished only at the end of the run."""
        node.ensure_teardown()
        if not (self._dsession.shouldstop or self._dsession.shuttingdown):
            self._dsession._clone_node(node)

    # Beginning and joining ------------------------------------------------------------------------

    def _begin(self) -> None:
        workers = [worker for worker in self._workers.values() if worker.ids is not None]
        first = workers[0]
        if first.collected is None:
            if self._run.settings.plan.file:
                raise pytest.UsageError(
                    f"worker {first.name} has no pytest-phases; install it where that worker runs"
                )
            self._hand_over(workers)
            return
        if not all(self._agrees(worker, first) for worker in workers[1:]):
            self._dsession.shouldstop = "the workers collected different tests"
            return
        numbers = self._run.begin(first.collected)
        self._show_total()
        for worker in workers:
            worker.learn(numbers, first=True)
            self._enter(worker)
        self._run.start()
        self._carry_out()

    def _agrees(self, worker: Worker, first: Worker) -> bool:
        difference = report_collection_diff(first.ids or (), worker.ids or (), first.name, worker.name)
        if difference:
            self._report_collection(worker, difference)
        return not difference

    def _report_collection(self, worker: Worker, message: str) -> None:
        report = pytest.CollectReport(nodeid=worker.name, outcome="failed", longrepr=message, result=[])
        self.config.hook.pytest_collectreport(report=report)

    def _join(self, worker: Worker) -> None:
        """A worker that comes later: its items are compared with those of the run."""
        table = worker.collected or Table()
        numbers = self._run.add(table, whole=True, generation=worker.generation)
        worker.learn(numbers, first=True)
        self._show_total()
        self._enter(worker)
        self._carry_out()

    def _enter(self, worker: Worker) -> None:
        worker.joined = True
        self._run.tell(WorkerReady(worker.name, worker.generation, self._run.now()))

    def _leave(self, worker: Worker, running: int | None) -> None:
        if worker.joined:
            worker.joined = False
            self._run.gone(worker.name, running)

    def _hand_over(self, workers: Sequence[Worker]) -> None:
        """Neither plan nor marker: the scheduler that xdist would have made takes over for good."""
        self._run.without_phases()
        self._withdraw()
        maker = self.config.hook.pytest_xdist_make_scheduler
        scheduler: Scheduling = maker(
            config=self.config, log=Producer("dsession", enabled=self.config.option.debug)
        )
        for node in self._workers:
            scheduler.add_node(node)
        for worker in workers:
            scheduler.add_node_collection(worker.node, worker.ids or ())
        self._dsession.sched = scheduler

    # Talking with workers ---------------------------------------------------------------------------

    def _read(self, worker: Worker) -> None:
        while worker.inbox:
            message = worker.inbox.popleft()
            if isinstance(message, Collected):
                worker.collected = message.table
            elif isinstance(message, Refreshed):
                self._refreshed(worker, message)
            elif isinstance(message, TornDown):
                self._torn_down(worker, message)
            elif isinstance(message, (Measured, Traced, StageEnded)):
                self._run.heard(worker.name, message)

    def _refreshed(self, worker: Worker, message: Refreshed) -> None:
        if message.stale:
            self._replace(worker)
            return
        if message.table is not None:
            numbers = self._run.add(message.table, whole=False, generation=message.generation)
            self._show_total()
            worker.learn(numbers, first=False)
        self._run.tell(WorkerRefreshed(worker.name, message.generation, self._run.now()))

    def _replace(self, worker: Worker) -> None:
        """What this worker has loaded was built anew: a new process takes its place."""
        # The old one ends first: a server of socket gateways serves one after another.
        worker.replaced = True
        self._leave(worker, None)
        worker.node.shutdown()

    def _torn_down(self, worker: Worker, message: TornDown) -> None:
        hook = self.config.hook
        report = hook.pytest_report_from_serializable(config=self.config, data=message.report)
        report.node = worker.node
        hook.pytest_runtest_logreport(report=report)
        if worker.last is not None and self._run.begun:
            self._run.torn_down_badly(worker.last)

    def _report_crash_between_items(self, worker: Worker, last: int) -> None:
        nodeid = self._run.nodeid(last)
        path = nodeid.partition("::")[0]
        report = pytest.TestReport(
            nodeid=nodeid,
            location=(path, None, path),
            keywords={},
            outcome="failed",
            longrepr=f"worker {worker.name!r} crashed after {nodeid!r}, while it was torn down",
            when="teardown",
        )
        self.config.hook.pytest_runtest_logreport(report=report)
        self._run.phase_failed(self._run.phase(last), f"worker {worker.name} crashed after {nodeid}")

    def _carry_out(self) -> None:
        while orders := self._run.take_orders():
            by_name = {worker.name: worker for worker in self._workers.values()}
            for order in orders:
                worker = by_name.get(order.worker)
                # What a worker that is gone was to run has been put back, or will be in a moment.
                if worker is not None and worker.joined:
                    self._give(worker, order)

    def _show_total(self) -> None:
        """xdist shows what the last worker collected; late items and replaced workers differ."""
        session = self._dsession._session
        if session is not None:
            session.testscollected = self._run.total

    def _give(self, worker: Worker, order: Order) -> None:
        # One that died a moment ago cannot be sent to; xdist will tell, and others run what it should.
        with suppress(OSError):
            self._send(worker, order)

    def _send(self, worker: Worker, order: Order) -> None:
        if isinstance(order, Send):
            absent = [number for number in order.items if number not in worker.indices]
            if absent:
                self._retire(worker, absent[0])
                return
            if worker.parked and worker.sent:
                worker.node.send_steal([worker.parking])
            indices = [worker.indices[number] for number in order.items]
            worker.parked = len(worker.sent) + len(indices) <= NEARLY_DRY
            worker.node.send_runtest_some([*indices, worker.parking] if worker.parked else indices)
            worker.sent.update(dict.fromkeys(order.items))
        else:
            worker.channel.send(pack(RefreshNow(order.generation, self._run.ended, self._run.blocked)))
            worker.node.send_runtest_some([worker.parking + 1, worker.parking])

    def _retire(self, worker: Worker, absent: int) -> None:
        """A worker that has collected otherwise than another one can be given nothing more."""
        self._run.differs(self._run.phase(absent), worker.name)
        self._leave(worker, None)
        worker.node.shutdown()

    def _park(self, worker: Worker) -> None:
        """Nothing more came for a worker that is about to run dry."""
        if worker.joined and not worker.parked and len(worker.sent) <= NEARLY_DRY:
            worker.parked = True
            with suppress(OSError):
                worker.node.send_runtest_some([worker.parking])

    def _stop_if_asked(self) -> None:
        """`-x`, `--maxfail` and Ctrl-C on a worker: xdist shuts down, so nothing more may be sent."""
        stopping = self._dsession.shouldstop or self._dsession.shuttingdown
        if stopping and self._run.begun and not self._stopped and not self.tests_finished:
            self._stopped = True
            self._run.tell(Stopped(self._run.now()))
            for worker in self._workers.values():
                self._take_back(worker)

    @staticmethod
    def _take_back(worker: Worker) -> None:
        """Only what has begun is finished; some xdists take back all they are asked for or nothing."""
        with suppress(OSError):
            for number in worker.sent:
                worker.node.send_steal([worker.indices[number]])

    @cached_property
    def _dsession(self) -> DSession:
        session = self.config.pluginmanager.getplugin("dsession")
        assert isinstance(session, DSession)
        return session
