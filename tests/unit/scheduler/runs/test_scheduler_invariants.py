"""Random plans, workers and misfortunes: what must hold after every event of every run.

`Run` is a small executor with records of its own: it carries out what the core decides, lets
things happen at random, and holds every decision against its records and the laws of the plan.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_phases.events import Outcome, PhaseChanged, State, WaveClosed
from pytest_phases.graph import build
from pytest_phases.model import UNPHASED
from pytest_phases.options import SCHEDULES
from pytest_phases.scheduler import priority
from pytest_phases.scheduler.core import Core
from pytest_phases.scheduler.protocol import (
    Acquire,
    Acquired,
    Block,
    Event,
    Holder,
    Item,
    ItemFinished,
    ItemKind,
    ItemsFound,
    ItemsLost,
    Lock,
    PhaseFailed,
    Refresh,
    Release,
    Resume,
    Send,
    Started,
    Stopped,
    WorkerGone,
    WorkerReady,
    WorkerRefreshed,
)

BAD = {Outcome.FAILED, Outcome.ERROR, Outcome.BLOCKED}


@dataclass
class Worker:
    """What a worker has to run, and the stages that had ended when it collected last."""

    queue: list[int] = field(default_factory=list)
    seen: frozenset[int] = frozenset()
    refreshing: Refresh | None = None
    will_see: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Luck:
    """What may go wrong in a run; rates are per step."""

    seed: int = 0
    failing: float = 0.0
    crashing: float = 0.0
    outside: float = 0.0
    stopping: float = 0.0


class Run:
    """One run of one plan; see the words on top."""

    def __init__(self, case, schedule: str, workers: int, luck: Luck, *, external: bool = False) -> None:
        self.case, self.holds = case, case.holds(external=external)
        self.resumed: set[int] = set()
        self.laws, self.staged, self.luck = case.laws, case.staged, luck
        self.in_waves = schedule == "waves"
        self.random = random.Random(luck.seed)
        self.core = Core(build(case.laws.plan), schedule, external=external)
        self.items: dict[int, Item] = {}
        self.of: dict[str, set[int]] = {unit: set() for unit in self.laws.before}
        self.waiting: set[int] = set()
        self.outcomes: dict[int, Outcome] = {}
        self.late: set[int] = set()
        self.lost: set[int] = set()
        self.failed: set[str] = set()
        self.failed_closed = self.started = self.stopped = False
        self.states: dict[str, State] = {}
        self.closed_waves = 0
        self.time = 0.0
        self.workers: dict[str, Worker] = {}
        self.joined = self.crashes = 0
        self.find(case.items)
        for _ in range(workers):
            self.join(collects_now=False)
        self.started = True
        self.tell(Started(self.time))

    # What happens

    def tell(self, event: Event) -> None:
        """Tell the core, carry out what it decides, and look whether everything is in order."""
        for decision in self.core.handle(event):
            match decision:
                case Send(worker, items):
                    self.send(self.workers[worker], items)
                case Refresh(worker):
                    self.refresh(self.workers[worker], decision)
                case Block(items):
                    self.block(items)
                case Resume(items):
                    self.resume(items)
                case Lock():
                    self.holds.say(decision)
                case Acquire(holder, claims):
                    assert holder not in self.holds.asked.keys() | self.holds.answered.keys()
                    self.holds.asked[holder] = claims
                case Release(holder):
                    if self.holds.answered.pop(holder, None) is None:
                        del self.holds.asked[holder]
                        self.holds.given_up.append(holder)
                case PhaseChanged():
                    self.change(decision)
                case WaveClosed(number):
                    assert number == self.closed_waves + 1
                    self.closed_waves = number
                    assert all(self.states[phase].closed for phase in decision.phases)
        self.holds.check()
        self.nobody_idles()
        self.nothing_waits_in_vain()
        self.serial_phases_are_alone()

    def step(self) -> None:
        """One thing happens."""
        if not self.workers:
            self.join(collects_now=self.random.random() < 0.5)
        elif self.happens(self.luck.crashing) and self.crashes < 6:
            self.crash(self.random.choice(list(self.workers)))
        elif self.happens(self.luck.outside):
            self.fail_from_outside(self.random.choice([*self.of, *self.sync_ids()]))
        elif self.happens(self.luck.stopping):
            self.stopped = True
            self.tell(Stopped(self.time))
        else:
            at_work = [name for name, worker in self.workers.items() if worker.queue or worker.refreshing]
            assert self.core.waiting_for_others is (bool(self.holds.asked) and not at_work)
            if self.holds.asked and (not at_work or self.happens(0.2)):
                self.answer(self.random.choice(list(self.holds.asked)))
                return
            assert at_work, "the run has come to a halt"
            self.work(self.random.choice(at_work))

    def answer(self, holder: Holder) -> None:
        """Other runs have let go what was asked for, or what somebody no longer asks for."""
        if self.holds.given_up and self.happens(0.5):
            late = self.holds.given_up.pop()
            if late not in self.holds.asked:
                self.tell(Acquired(late, self.time))
                return
        self.holds.answered[holder] = self.holds.asked.pop(holder)
        self.tell(Acquired(holder, self.time))

    def happens(self, rate: float) -> bool:
        """Whether something of this rate happens now."""
        return self.random.random() < rate

    def work(self, name: str) -> None:
        """A worker ends what it is at."""
        worker = self.workers[name]
        self.time += 0.01
        if worker.refreshing is not None:
            self.collect(worker.will_see)
            worker.seen, generation = worker.will_see, worker.refreshing.generation
            if self.happens(0.3):
                del self.workers[name]
                self.tell(WorkerGone(name, None, self.time))
                self.join(collects_now=True)
            else:
                worker.refreshing = None
                self.tell(WorkerRefreshed(name, generation, self.time))
            return
        item = worker.queue.pop(0)
        del self.holds.running[item]
        bad = self.happens(self.luck.failing)
        good = self.random.choice([Outcome.PASSED, Outcome.PASSED, Outcome.XFAILED, Outcome.SKIPPED])
        self.outcomes[item] = self.random.choice([Outcome.FAILED, Outcome.ERROR]) if bad else good
        self.tell(
            ItemFinished(name, item, self.outcomes[item], self.random.choice([1e-4, 0.05, 3]), self.time)
        )

    def join(self, *, collects_now: bool) -> None:
        """A worker joins; one that collects now has seen everything that was built."""
        self.joined += 1
        name, seen = f"w{self.joined}", self.stages_that_ended() if collects_now else frozenset()
        if collects_now:
            self.collect(seen)
        self.workers[name] = Worker(seen=seen)
        self.tell(WorkerReady(name, self.core.generation if collects_now else 0, self.time))

    def crash(self, name: str) -> None:
        """A worker dies, mostly of what it runs."""
        self.crashes += 1
        worker = self.workers.pop(name)
        running = worker.queue[0] if worker.queue and self.random.random() < 0.8 else None
        self.waiting.update(worker.queue)
        for item in worker.queue:
            del self.holds.running[item]
        if running is not None:
            self.waiting.discard(running)
            self.outcomes[running] = Outcome.FAILED
        self.tell(WorkerGone(name, running, self.time))

    def fail_from_outside(self, unit: str) -> None:
        """A phase or a sync point fails for something else than an item."""
        state = self.states.get(unit, State.WAITING)
        if unit in self.of or state is State.WAITING:
            self.failed.add(unit)
            self.failed_closed |= state.closed
            self.tell(PhaseFailed(unit, "bad luck", self.time))

    def collect(self, seen: frozenset[int]) -> None:
        """What a worker that has seen these stages finds and misses, before it says that it has."""
        due = [item for item in self.waiting if self.is_module(item) and self.stages_before(item) <= seen]
        changing = [unit for unit in self.of if self.before(unit) and self.before(unit) <= seen]
        new = [self.items[item].phase for item in due for _ in range(self.random.choice([0, 1, 3]))]
        new += [unit for unit in changing if self.happens(0.1)]
        gone = [item for item in self.waiting if self.items[item].phase in changing and self.happens(0.05)]
        if new:
            self.find([self.late_item(len(self.items) + each, unit) for each, unit in enumerate(new)])
        self.lose({*due, *gone})

    def late_item(self, number: int, unit: str) -> Item:
        """A test that was not there before, or not found."""
        was = Outcome.PASSED if self.happens(0.1) else None
        return Item(number, unit, claims=self.case.some_claims(self.random), outcome=was)

    def find(self, items: Iterable[Item]) -> None:
        """Items are collected."""
        found = tuple(items)
        for item in found:
            self.items[item.number] = item
            self.of[item.phase].add(item.number)
            self.waiting.add(item.number)
            if self.states.get(item.phase, State.WAITING).closed:
                self.late.add(item.number)
        self.tell(ItemsFound(found, self.time))

    def lose(self, items: set[int]) -> None:
        """Items are no longer collected."""
        lost = items & self.waiting
        self.waiting -= lost
        self.lost |= lost
        if lost:
            self.tell(ItemsLost(tuple(sorted(lost)), self.time))

    # What is decided

    def send(self, worker: Worker, items: tuple[int, ...]) -> None:
        """Items go to a worker: each once, after everything before it, seeing what was built."""
        assert not worker.refreshing
        assert not self.stopped
        for number in items:
            item = self.items[number]
            assert number in self.waiting, "sent twice"
            assert item.kind is not ItemKind.MODULE
            assert all(self.outcomes[need] not in BAD for need in item.needs)
            assert self.may_start(item.phase)
            built = {stage for stage in self.stages_before(number) if self.has_run(stage)}
            assert built <= worker.seen
            assert item.outcome is None, "sent, and was resumed"
            self.holds.send(item, worker.queue)
            self.waiting.discard(number)
            worker.queue.append(number)
        assert len(worker.queue) <= priority.MAXIMUM

    def may_start(self, unit: str) -> bool:
        """Whether everything that must come before an item of this unit has come."""
        phase = self.laws.parent.get(unit, unit)
        wave = self.laws.wave.get(phase, 0) if self.in_waves else 0
        earlier = (other for other, its_wave in self.laws.wave.items() if its_wave < wave)
        return (
            all(self.is_over(other) for other in self.laws.before[unit])
            # What has failed only after it had closed may have let others open before.
            and (self.failed_closed or not self.is_blocked(unit))
            and all(self.is_over(part) for other in earlier for part in self.laws.whole[other])
        )

    def refresh(self, worker: Worker, decision: Refresh) -> None:
        """An idle worker looks at what was built up to now."""
        assert not worker.queue
        assert not worker.refreshing
        assert not self.stopped
        assert decision.generation == self.core.generation
        worker.refreshing, worker.will_see = decision, self.stages_that_ended()

    def block(self, items: tuple[int, ...]) -> None:
        """Items are reported as blocked: each once, not started, and for a reason."""
        for number in items:
            item = self.items[number]
            assert number in self.waiting
            needed = {need for need in item.needs if need in self.lost or self.outcomes.get(need) in BAD}
            assert needed or number in self.late or self.is_blocked(item.phase)
            self.waiting.discard(number)
            self.outcomes[number] = Outcome.BLOCKED

    def resume(self, items: tuple[int, ...]) -> None:
        """Items are counted with what they came to before: each once, when its phase is open."""
        assert not self.stopped
        assert len({self.items[number].phase for number in items}) == 1
        for number in items:
            item = self.items[number]
            assert number in self.waiting
            assert item.outcome is not None
            assert self.states[item.phase] in (State.OPEN, State.FAILING)
            self.waiting.discard(number)
            self.resumed.add(number)
            self.outcomes[number] = item.outcome

    def change(self, change: PhaseChanged) -> None:
        """A unit changes its state, from the one it had."""
        assert self.states.get(change.id, State.WAITING) is change.old
        assert not (change.old.closed and not change.new.closed)
        self.states[change.id] = change.new
        if change.id in self.of and change.new is State.OPEN:
            assert self.may_start(change.id)
        if change.id in self.of and change.new is State.FAILING and not self.is_red(change.id):
            # A module of it that everything was built for could not be collected all the same.
            missing = {item for item in self.of[change.id] & self.waiting if self.is_module(item)}
            assert missing
            self.failed.add(change.id)
            self.waiting -= missing
            self.lost |= missing

    # What must hold after every event

    def nobody_idles(self) -> None:
        """A worker with nothing to do means that there is nothing it might do."""
        idle = any(not worker.queue and not worker.refreshing for worker in self.workers.values())
        if not self.started or self.stopped or not idle:
            return
        running = {self.items[item].phase for worker in self.workers.values() for item in worker.queue}
        ready = {self.items[item].phase for item in self.waiting if self.is_ready(item)}
        serial = {unit for unit in ready if unit in self.laws.group}
        if any(self.items[item].claims for item in self.items) or any(self.holds.claims.values()):
            ready = self.ready_in_spite_of_locks()
        holds = {
            group
            for unit, group in self.laws.group.items()
            if self.has_begun(unit) and not self.is_closed(group)
        }
        if holds:
            assert running or not any(self.laws.group.get(unit) in holds for unit in ready)
        elif serial:
            assert running or not ready & serial
            assert ready - serial <= {UNPHASED}
        else:
            assert not ready

    def nothing_waits_in_vain(self) -> None:
        """A unit that may open is open, unless it waits for a worker to see what was built."""
        if self.started and not self.stopped and not self.staged:
            waiting = [unit for unit in self.of if self.states.get(unit, State.WAITING) is State.WAITING]
            assert not any(self.may_start(unit) for unit in waiting)

    def ready_in_spite_of_locks(self) -> set[str]:
        """The units of items that could run, as far as locks are concerned."""
        unfinished = [item for item in self.items.values() if not self.has_ended(item.number)]
        could = [self.items[item] for item in self.waiting if self.is_ready(item)]
        if self.holds.external:
            # Locks of other runs are asked for when a worker is free, and one answer may free many.
            # What a phase could not foresee waits until it has let go and asked for everything.
            foreseen = [item for item in could if item.number < len(self.case.items) or not item.claims]
            could = [] if self.holds.asked else foreseen
        return {item.phase for item in could if self.holds.could_run(item, unfinished)}

    def has_ended(self, number: int) -> bool:
        """Whether an item has an outcome, or never will have one."""
        return number in self.outcomes or number in self.lost

    def is_ready(self, number: int) -> bool:
        """Whether an item could start as far as its phase and what it needs are concerned."""
        item = self.items[number]
        is_open = self.states.get(item.phase) in (State.OPEN, State.FAILING)
        never_runs = self.is_module(number) or item.outcome is not None
        return is_open and not never_runs and all(need in self.outcomes for need in item.needs)

    def serial_phases_are_alone(self) -> None:
        """Beside an item of a serial phase nothing is in any other queue."""
        busy = [worker.queue for worker in self.workers.values() if worker.queue]
        groups = {self.laws.group.get(self.items[item].phase) for queue in busy for item in queue}
        assert groups <= {None} or (len(groups) == 1 and len(busy) == 1)

    def in_the_end(self) -> None:
        """Every item has ended once or is blocked, and the core's books say the same."""
        results = {result.id: result for result in self.core.results()}
        for unit, result in results.items():
            parts = self.laws.whole[unit]
            ended = Counter(
                self.outcomes[item] for part in parts for item in self.of[part] & self.outcomes.keys()
            )
            for outcome in Outcome:
                counted = getattr(result.tests, outcome.value) + getattr(result.stages, outcome.value)
                assert counted == ended[outcome]
        if self.stopped:
            return
        assert all(self.is_over(unit) for unit in self.of)
        assert not self.holds.line
        assert not self.holds.whole
        assert not self.holds.asked
        assert not self.holds.answered
        assert self.closed_waves == max(self.laws.wave.values())
        if not self.failed_closed:
            assert {unit: result.state for unit, result in results.items()} == {
                unit: self.expected(unit) for unit in results
            }

    def expected(self, unit: str) -> State:
        """The state a unit must end in, whatever the order of events was."""
        if self.is_blocked(unit):
            return State.BLOCKED
        if self.is_red(unit):
            return State.RED
        ended = {self.outcomes.get(item) for part in self.laws.whole[unit] for item in self.of[part]}
        return State.GREEN if ended & {Outcome.PASSED, Outcome.XFAILED} else State.EMPTY

    # The records

    def is_over(self, unit: str) -> bool:
        """Whether nothing of a unit waits or runs; a red one may have modules that never came."""
        left = self.of[unit] - self.outcomes.keys() - self.lost
        # Red by a stream, a phase has failed already when a module of its own does not come.
        return all(self.is_red(unit) and self.is_module(item) for item in left)

    def is_bad(self, unit: str) -> bool:
        """Whether a unit, its streams aside, is red by the record."""
        return unit in self.failed or any(
            self.outcomes.get(item) in BAD - {Outcome.BLOCKED} for item in self.of[unit]
        )

    def is_red(self, unit: str) -> bool:
        """Whether a unit is red by the record, its streams included."""
        return any(self.is_bad(part) for part in self.laws.whole[unit])

    def is_blocked(self, unit: str) -> bool:
        """Whether something that must be green before a unit, or a sync point above it, is not."""
        red_sync = any(f"sync:{number}" in self.failed for number in self.laws.passed(unit))
        return red_sync or any(
            self.is_blocked(other) or self.is_red(other) for other in self.laws.direct[unit]
        )

    def is_closed(self, unit: str) -> bool:
        """Whether a unit was said to be closed."""
        return self.states.get(unit, State.WAITING).closed

    def has_begun(self, unit: str) -> bool:
        """Whether an item of a unit was sent to a worker, and not all of them came back."""
        queued = {item for worker in self.workers.values() for item in worker.queue}
        return any(item in queued or self.has_run(item) for item in self.of[unit])

    def has_run(self, number: int) -> bool:
        """Whether an item has ended on a worker."""
        blocked = self.outcomes.get(number, Outcome.BLOCKED) is Outcome.BLOCKED
        return not blocked and number not in self.resumed

    def is_module(self, number: int) -> bool:
        """Whether an item stands for a module that is collected later."""
        return self.items[number].kind is ItemKind.MODULE

    def stages_that_ended(self) -> frozenset[int]:
        """The stages that have ended or never will run."""
        return frozenset(item for item in self.outcomes if self.items[item].kind is ItemKind.STAGE)

    def before(self, unit: str) -> set[int]:
        """The stages that end before a unit opens."""
        stages = (self.items[item] for other in self.laws.before[unit] for item in self.of[other] - self.lost)
        return {item.number for item in stages if item.kind is ItemKind.STAGE}

    def stages_before(self, number: int) -> set[int]:
        """The stages that end before the phase of an item opens."""
        return self.before(self.items[number].phase)

    def sync_ids(self) -> list[str]:
        """The ids of the sync points."""
        return [f"sync:{number}" for number in range(1, len(self.laws.plan.syncs) + 1)]


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.data(),
    schedule=st.sampled_from(SCHEDULES),
    workers=st.integers(1, 8),
    external=st.booleans(),
    luck=st.builds(
        Luck,
        seed=st.integers(0, 2**32),
        failing=st.sampled_from([0.0, 0.01, 0.1]),
        crashing=st.sampled_from([0.0, 0.02]),
        outside=st.sampled_from([0.0, 0.0, 0.02]),
        stopping=st.sampled_from([0.0, 0.0, 0.005]),
    ),
)
def test_every_law_holds_after_every_event(
    cases, data: st.DataObject, schedule: str, workers: int, external: bool, luck: Luck
) -> None:
    """Whatever happens: order, sync points, serial turns, what was built; and the run ends."""
    run = Run(data.draw(cases), schedule, workers, luck, external=external)
    for _ in range(20_000):
        if run.core.finished:
            break
        run.step()
    assert run.core.finished
    run.in_the_end()
