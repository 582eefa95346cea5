"""A run between the core and whatever runs the items: numbers and node ids, reports and decisions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import pytest

from pytest_phases.adapters.collaborators import Prepared, Record
from pytest_phases.adapters.items import Items
from pytest_phases.adapters.locker import Locker
from pytest_phases.adapters.messages import Measured, StageEnded, Traced
from pytest_phases.adapters.outcomes import Account
from pytest_phases.adapters.telling import Telling
from pytest_phases.errors import Problem
from pytest_phases.events import Figure, Outcome, PhaseChanged, RunResult, RunStarted, State
from pytest_phases.evidence import Expected, ExpectedKind
from pytest_phases.graph import build
from pytest_phases.model import Plan
from pytest_phases.scheduler.core import Core
from pytest_phases.scheduler.protocol import (
    Acquire,
    Acquired,
    Decision,
    Event,
    ItemFinished,
    ItemsFound,
    ItemsLost,
    PhaseCleared,
    PhaseFailed,
    PhaseJudged,
    Refresh,
    Release,
    Send,
    Started,
    Stopped,
    WorkerGone,
)
from pytest_phases.scheduler.protocol import Judge as JudgeNow
from pytest_phases.scheduler.timeline import Timeline
from pytest_phases.settings import Settings
from pytest_phases.table import Table

Order: TypeAlias = Send | Refresh
"""What only an adapter can carry out."""


SHOWN_PATHS = 3
"""How many of a list of files a message names."""


class Run:
    """One run. `prepare` makes the plan of a table, markers included, or raises UsageError.

    Decisions that need no worker (blocked items, changes of phases) are carried out here; the
    others wait in `take_orders` for the adapter, in the order in which they were decided. `total`
    counts the items, `over` says that nothing more will run, `problem` what could not be found out.
    `locker` is None unless locks hold across runs.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        prepare: Callable[[Table], Prepared],
        record: Record,
        locker: Locker | None = None,
    ) -> None:
        self.settings = settings
        self.locker = locker
        self.figures: list[Figure] = []
        self._record = record
        self.problem = ""
        self.total = 0
        self.over = False
        self._config = config
        self._prepare = prepare
        self._began = time.monotonic()
        self._items = Items({}, {})
        self._accounts: dict[int, Account] = {}
        self._failed_early: list[tuple[str, str]] = []
        self._core: Core | None = None
        self._graph = build(Plan())
        self._timeline: Timeline | None = None
        self._told_of: Telling | None = None
        self._orders: list[Order] = []
        self._prepared: Prepared | None = None
        self._told: set[Problem] = set()

    @property
    def core(self) -> Core:
        """The scheduler's core; there is one from `begin` on."""
        assert self._core is not None
        return self._core

    @property
    def _telling(self) -> Telling:
        assert self._told_of is not None
        return self._told_of

    @property
    def _plan(self) -> Prepared:
        assert self._prepared is not None
        return self._prepared

    @property
    def plan(self) -> Plan:
        """The plan with its markers, from `begin` on."""
        return self._plan.plan

    @property
    def begun(self) -> bool:
        """Whether the items are known."""
        return self._core is not None

    # Beginning and end ----------------------------------------------------------------------

    def begin(self, table: Table) -> Sequence[int]:
        """The first table is there: make the core, and return the numbers of its items."""
        self._prepared = self._prepare(table)
        plan = self._prepared.plan
        self._graph = graph = build(plan)
        stages = {(unit.id, stage.id): stage for unit in plan.units() for stage in unit.stages}
        self._items = Items(stages, self._prepared.outcomes)
        judged = self._prepared.judge.judged if self._prepared.judge is not None else ()
        self._core = Core(
            graph, self.settings.schedule, self._prepared.checks, judged, external=self.locker is not None
        )
        self._told_of = Telling(
            self._config,
            self._record,
            core=self._core,
            graph=graph,
            items=self._items,
            prepared=self._prepared,
            now=self.now,
        )
        self._timeline = Timeline(graph)
        notes = self._prepared.judge.notes if self._prepared.judge is not None else ()
        started = RunStarted(
            self.settings.run_id,
            self.settings.schedule,
            plan,
            graph.waves,
            notes,
            tuple(self._prepared.resumed.items()),
            self._prepared.decisions,
        )
        self._config.hook.pytest_phases_run_started(config=self._config, event=started)
        numbers = self._number(table)
        self._record.begun(plan, table)
        return numbers

    def without_phases(self) -> None:
        """There is neither a plan nor a marker: nothing of this run is ours.

        Raises UsageError where the user asked for phases all the same.
        """
        if self.settings.only:
            raise pytest.UsageError(
                f"--phases-only {','.join(self.settings.only)}: there is neither a plan nor a phase marker; "
                "name the plan with --phases"
            )

    def start(self) -> None:
        """Every first worker is ready."""
        for phase, reason in self._failed_early:
            self.tell(PhaseFailed(phase, reason, self.now()))
        self.tell(Started(self.now()))

    def finish(self, workers: int) -> RunResult | None:
        """Nothing runs any more: close what is open and say how all of it ended."""
        if self._core is None or self._timeline is None:
            return None
        self.tell(Stopped(self.now()))
        if self._plan.judge is not None:
            self._tell_figure(self._plan.judge.close())
        if self._plan.witness is not None:
            self.problem = self._plan.witness.finish()
        return RunResult(
            self.settings.run_id,
            self.settings.schedule,
            workers,
            tuple(map(self._telling.with_origin, self.core.results())),
            self._timeline.waves(workers),
            self.now(),
            tuple(self.figures),
        )

    def now(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    # Items ------------------------------------------------------------------------------------

    def add(self, table: Table, *, whole: bool, generation: int) -> Sequence[int]:
        """Take in what was collected later, and return the numbers of its items.

        `whole` says that the table is everything a worker has, `generation` what it had seen of
        what is built: one that has seen less than another one has nothing to say of what is gone.
        By now the plan has started: a marker that would change it makes its module's phase red.
        """
        is_current = generation >= self.core.seen
        home = self._plan.phase_of_file
        phases = (
            phase if self.core.knows(phase) else home(nodeid.partition("::")[0])
            for nodeid, phase in zip(table.nodeids, table.phases, strict=True)
        )
        self._leave_out(table)
        modules = table.modules if is_current else ()
        numbers = self._number(replace(table, phases=tuple(phases), modules=modules))
        if is_current:
            self._forget(table, numbers, whole=whole)
        for problem in self._plan.recheck(table):
            if problem not in self._told and problem.place is not None:
                self._told.add(problem)
                phase = home(problem.place.file)
                self._report_phase_error(phase, str(problem), f"wrong at {problem.place}")
        return numbers

    def _leave_out(self, table: Table) -> None:
        """What was collected later and deselected must exist for a green gate, and counts for thresholds."""
        left_out = [
            Expected(ExpectedKind.TEST, phase, nodeid)
            for nodeid, phase in table.left_out
            if self.core.knows(phase)
        ]
        self._record.found(left_out)
        if left_out and self._plan.judge is not None:
            self._plan.judge.leave_out({item.phase for item in left_out})

    def _number(self, table: Table) -> Sequence[int]:
        """Number the items of a table that are new, and tell the core."""
        numbers, found = self._items.add(table)
        # A module counts as one item until it is known how many it has: so blocked ones are counted too.
        self.total += len(found)
        if found:
            self._record.found(self._items.expected(item.number) for item in found)
            self.tell(ItemsFound(tuple(found), self.now()))
        return numbers

    def _forget(self, table: Table, numbers: Sequence[int], *, whole: bool) -> None:
        """Forget what a later collection no longer has, and tell what it should have."""
        waiting = {path for path, _ in table.modules}
        collected = [path for path in self._items.modules if path not in waiting]
        lost = [self._items.modules.pop(path) for path in collected]
        kept = frozenset(numbers)
        gone = [number for number in self.core.unstarted() if number not in kept] if whole else []
        self.total -= len(gone) + len(lost)
        self._record.lost(self._items.expected(number) for number in (*lost, *gone))
        for number in gone:
            self._items.forget(number)
        self.tell(ItemsLost((*lost, *gone), self.now()))
        for phase in dict.fromkeys(self.phase(number) for number in gone):
            if not self.core.may_change(phase):
                self._report_phase_error(
                    phase, "a later worker does not collect all of its tests", "tests are gone"
                )

    def nodeid(self, number: int) -> str:
        """The node id of an item."""
        return self._items.nodeids[number]

    def nodeids(self, phase: str) -> Iterator[str]:
        """The node ids of the items of a phase with its streams, or of a stream."""
        return self._items.of({phase, *self._graph.nodes[phase].parts})

    def phase(self, number: int) -> str:
        """The phase or stream of an item."""
        return self._items[number].phase

    # What happens -------------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        """Tell the core, carry out what needs no worker, and keep the rest for `take_orders`."""
        decisions = self.core.handle(event)
        self.over = self.core.finished
        for decision in decisions:
            self._carry_out(decision)
        for decision in decisions:
            if (
                isinstance(decision, PhaseChanged)
                and decision.new is State.OPEN
                and decision.id in self._plan.checks
            ):
                self._look_at(decision.id)
            elif isinstance(decision, JudgeNow):
                self._judge(decision.phase)
        self.look_for_locks()

    def _judge(self, node: str) -> None:
        """See whether a threshold is reached; one that is not makes its phase or sync point red."""
        assert self._plan.judge is not None
        figure = self._plan.judge.judge(node)
        self._tell_figure(figure)
        missed = figure is not None and not figure.passed
        self.tell(PhaseJudged(node, figure.text if figure is not None and missed else "", self.now()))

    def _tell_figure(self, figure: Figure | None) -> None:
        if figure is not None:
            self.figures.append(figure)
            self._record.judged(figure)
            self._config.hook.pytest_phases_threshold_judged(config=self._config, figure=figure)

    def heard(self, worker: str, message: Measured | Traced | StageEnded) -> None:
        """A worker tells what it has found out while items ran."""
        if not self.begun:
            return
        judge, witness = self._plan.judge, self._plan.witness
        if isinstance(message, StageEnded):
            self._record.stage_ended(message.stage)
        elif isinstance(message, Measured) and judge is not None:
            judge.take(worker, message.phase, message.data, message.fixtures, message.problem)
        elif isinstance(message, Traced) and witness is not None:
            witness.traced(
                worker,
                message.phase,
                executed=message.executed,
                early=message.early,
                opened=message.opened,
                unknown=message.unknown,
                loaded=message.loaded,
            )

    def look_for_locks(self) -> None:
        """See whether other runs have let go of what this one waits for."""
        if self.locker is not None:
            for holder in self.locker.granted():
                self.tell(Acquired(holder, self.now()))

    def _look_at(self, phase: str) -> None:
        """What a phase requires of the stages before it must be there now."""
        missing = self._plan.checks[phase]()
        if missing:
            self._report_phase_error(phase, missing, missing)
        else:
            self.tell(PhaseCleared(phase, self.now()))

    def _report_phase_error(self, phase: str, message: str, reason: str) -> None:
        """An error that belongs to no item: reported at the phase, none of whose items may start.

        `message` is the whole of it, `reason` what fits into a line about the phase.
        """
        nodeid = f"{self.settings.plan_path}::{phase}"
        report = pytest.CollectReport(
            nodeid=nodeid, outcome="failed", longrepr=f"phase {phase}: {message}", result=[]
        )
        self._config.hook.pytest_collectreport(report=report)
        self.tell(PhaseFailed(phase, reason, self.now(), for_all=True))

    def differs(self, phase: str, worker: str) -> None:
        """A worker lacks what another one has collected for a phase: none of it can be trusted."""
        message = f"{worker} has collected other tests than another worker; what they were built from differs"
        self._report_phase_error(phase, message, "the workers collected different tests")

    def report_stale(self, stale: Sequence[str]) -> None:
        """One process cannot load anew what it has loaded: no phase behind stages may run in it."""
        shown = ", ".join(stale[:SHOWN_PATHS]) + (" and more" if len(stale) > SHOWN_PATHS else "")
        message = (
            f"a stage has made {shown} anew, which this process had loaded or looked for in vain; "
            "run with -n1 or more, so that workers can be replaced"
        )
        for phase in self.core.behind_stages():
            self._report_phase_error(phase, message, "built anew, run with -n1")

    def take_orders(self) -> Sequence[Order]:
        """What the adapter has to carry out now."""
        orders, self._orders = self._orders, []
        return orders

    def reported(self, number: int, report: pytest.TestReport) -> None:
        """A report of an item has come."""
        account = self._accounts.get(number)
        if account is None:
            account = self._accounts[number] = Account()
        account.add(report)

    def has_ended(self, number: int) -> bool:
        """Whether the last report of an item has come."""
        account = self._accounts.get(number)
        return account is not None and account.ended

    def finished(self, worker: str, number: int, duration: float) -> None:
        """A worker is through with an item."""
        outcome = self._outcome(worker, number)
        self._telling.item_ended(worker, number, outcome, duration)
        self.tell(ItemFinished(worker, number, outcome, duration, self.now()))

    def gone(self, worker: str, running: int | None) -> None:
        """A worker has ended, perhaps because of the item it was running."""
        self._telling.gone(worker, running)
        self.tell(WorkerGone(worker, running, self.now()))

    def _outcome(self, worker: str, number: int) -> Outcome:
        account = self._accounts.pop(number, Account())
        if self._timeline is not None and account.stop:
            self._timeline.ran(self._items[number].phase, worker, account.start, account.stop)
        # An item without a report of its own proves nothing, just like one that was skipped.
        return account.outcome or Outcome.SKIPPED

    def phase_failed(self, phase: str, reason: str) -> None:
        """A phase is red for something other than one of its running items."""
        if self._core is None:
            self._failed_early.append((phase, reason))
        else:
            self.tell(PhaseFailed(phase, reason, self.now()))

    def torn_down_badly(self, number: int) -> None:
        """What was torn down after the last item of a worker failed: that item's phase is red."""
        self.phase_failed(self.phase(number), f"an error in a teardown after {self.nodeid(number)}")

    @property
    def ended(self) -> tuple[str, ...]:
        """The phases and streams that are closed, for workers that collect later."""
        return tuple(self._telling.ended) if self._told_of is not None else ()

    @property
    def blocked(self) -> tuple[str, ...]:
        """The phases and streams that will never open, so that nobody need collect for them."""
        return tuple(self._telling.blocked) if self._told_of is not None else ()

    def _carry_out(self, decision: Decision) -> None:
        if isinstance(decision, (Send, Refresh)):
            self._orders.append(decision)
            if isinstance(decision, Send):
                self._telling.sent(decision)
        elif isinstance(decision, (Acquire, Release)):
            assert self.locker is not None
            self.locker.carry_out(decision)
        else:
            self._telling.tell(decision)
