"""A conversation with the core in short words: say what happens, compare what it decides.

A plan is a line of text. `1 2<1 3!<1,2 | 4` is four phases, of which 2 needs 1, and 3 is serial
and needs both; `|` is a sync point. `1/B<1/A` is a stream that needs its sibling. `1[db,src/,~doc/]`
locks db, modifies src/ and reads doc/.

Items are a line of text too, numbered from 0. `1*3` is three tests of phase 1, `2:build` a stage
of that name, `2:check<3` one that needs item 3, and `2?` a module that is collected later. `1*2[db,~x]`
are two tests that lock db and share x; `1=passed` came to that in the run that is resumed.

Decisions come back as text: `2 open` (a phase changed), `w1: 0 1` (run these), `w1: refresh 1`,
`block 4 5: why`, `resume 2`, `judge 1`, `wave 1 closed`, `acquire 1: db`, `release 1`. Of locks, `#3`
being item 3: `#3 waits for 1: db`, `#3 holds db on w1`, `1 holds db`, `1 lets db go`. What the
unphased tests do is told only if there are any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest

from pytest_phases.claims import Claim
from pytest_phases.events import LockState, Outcome, PhaseChanged, PhaseResult, WaveClosed
from pytest_phases.graph import build
from pytest_phases.model import UNPHASED, Phase, Place, Plan, Sync
from pytest_phases.scheduler.core import Core
from pytest_phases.scheduler.protocol import (
    Acquire,
    Acquired,
    Block,
    Decision,
    Event,
    Holder,
    Item,
    ItemFinished,
    ItemKind,
    ItemsFound,
    ItemsLost,
    Judge,
    Lock,
    PhaseCleared,
    PhaseFailed,
    PhaseJudged,
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

PLACE = Place("plan.md", 1)
KINDS = {"": ItemKind.TEST, ":": ItemKind.STAGE, "?": ItemKind.MODULE}


class Talk:
    """A core that has been told a plan, its items and its workers.

    `opening` holds what it decided when it was told to start; `clock` is the time of the next
    event, in seconds; `sent_to` names the worker that each item was sent to last.
    """

    def __init__(
        self,
        plan: str,
        items: str,
        workers: str,
        schedule: str,
        uncleared: str = "",
        judged: str = "",
        *,
        external: bool = False,
    ) -> None:
        self.clock = 0.0
        graph = build(read_plan(plan))
        self.core = Core(graph, schedule, uncleared.split(), judged.split(), external=external)
        self.sent_to: dict[int, str] = {}
        self._numbered = 0
        self._unphased = UNPHASED in items
        self.before = self.finds(items)
        for worker in workers.split():
            self.before += self.joins(worker)
        self.opening: list[str] = []

    def starts(self) -> list[str]:
        """Everything that is known before a run has been told."""
        self.opening = self.tell(Started(self.clock))
        return self.opening

    def tell(self, event: Event) -> list[str]:
        """Tell any event; every other method is a short form of this one."""
        return [text for decision in self.core.handle(event) if (text := self._say(decision))]

    def finds(self, items: str) -> list[str]:
        """Items are collected; their numbers go on from those before."""
        found = tuple(read_items(items, self._numbered))
        self._numbered += len(found)
        return self.tell(ItemsFound(found, self.clock))

    def loses(self, *items: int) -> list[str]:
        """Items are no longer collected."""
        return self.tell(ItemsLost(items, self.clock))

    def joins(self, worker: str, generation: int = 0) -> list[str]:
        """A worker is ready."""
        return self.tell(WorkerReady(worker, generation, self.clock))

    def refreshed(self, worker: str, generation: int) -> list[str]:
        """A worker has seen what was built."""
        return self.tell(WorkerRefreshed(worker, generation, self.clock))

    def dies(self, worker: str, running: int | None = None) -> list[str]:
        """A worker ends, perhaps because of an item."""
        return self.tell(WorkerGone(worker, running, self.clock))

    def ends(self, *items: int, outcome: str = "passed", took: float = 1.0) -> list[str]:
        """Items end one after another where they run; what is decided after the last comes back.

        They take a second, too long to be queued behind others, unless told.
        """
        said: list[str] = []
        for item in items:
            said = self.tell(ItemFinished(self.sent_to[item], item, Outcome(outcome), took, self.clock))
        return said

    def fails(self, phase: str, reason: str, *, for_all: bool = False) -> list[str]:
        """Something other than a running item makes a phase red."""
        return self.tell(PhaseFailed(phase, reason, self.clock, for_all))

    def cleared(self, phase: str) -> list[str]:
        """What the items of a phase had to wait for is in order."""
        return self.tell(PhaseCleared(phase, self.clock))

    def judges(self, phase: str, reason: str = "") -> list[str]:
        """A threshold is reached, or missed for a reason."""
        return self.tell(PhaseJudged(phase, reason, self.clock))

    def acquires(self, holder: Holder) -> list[str]:
        """No other run has the locks that a phase, or an item by its number, asked for."""
        return self.tell(Acquired(holder, self.clock))

    def stops(self) -> list[str]:
        """Nothing more may be started."""
        return self.tell(Stopped(self.clock))

    def result(self, phase: str) -> PhaseResult:
        """How a phase or stream stands."""
        return next(result for result in self.core.results() if result.id == phase)

    @property
    def states(self) -> str:
        """`1 green, 2 open`: how every phase and stream stands."""
        return ", ".join(f"{result.id} {result.state.value}" for result in self.core.results())

    def _say(self, decision: Decision) -> str:
        match decision:
            case Send(worker, items):
                self.sent_to.update(dict.fromkeys(items, worker))
                text = f"{worker}: {_listed(items)}"
            case Refresh(worker, generation):
                text = f"{worker}: refresh {generation}"
            case Block(items, reason):
                text = f"block {_listed(items)}: {reason}"
            case Judge(phase):
                text = f"judge {phase}"
            case Resume(items):
                text = f"resume {_listed(items)}"
            case Acquire(holder, claims):
                text = f"acquire {_name(holder)}: {_listed(claims, ', ')}"
            case Release(holder):
                text = f"release {_name(holder)}"
            case Lock():
                text = _say_lock(decision)
            case WaveClosed(number):
                text = f"wave {number} closed"
            case PhaseChanged(node, new=state):
                text = f"{node} {state.value}" if self._unphased or node != UNPHASED else ""
        return text


def read_plan(text: str) -> Plan:
    """A plan from the notation above."""
    phases: dict[str, Phase] = {}
    streams: dict[str, list[Phase]] = {}
    syncs = []
    for token in text.split():
        if token == "|":
            syncs.append(Sync(f"S{len(syncs) + 1}", PLACE, tuple(phases)))
            continue
        pattern = r"([^<!\[]+)(!?)(?:<([^\[]+))?(?:\[(.+)\])?"
        name, serial, deps, claims = re.fullmatch(pattern, token).groups(default="")
        wanted = read_claims(claims)
        phase = Phase(
            name,
            "",
            PLACE,
            deps=tuple(filter(None, deps.split(","))),
            serial=bool(serial),
            modifies=tuple(claim.name for claim in wanted if claim.is_path and not claim.shared),
            reads=tuple(claim.name for claim in wanted if claim.is_path and claim.shared),
            locks=tuple(claim.name for claim in wanted if not claim.is_path),
        )
        if "/" in name:
            streams.setdefault(name.partition("/")[0], []).append(phase)
        else:
            phases[name] = phase
    whole = (replace(phase, streams=tuple(streams.get(phase.id, ()))) for phase in phases.values())
    return Plan("plan.md", "", tuple(whole), tuple(syncs))


def read_items(text: str, number: int = 0) -> Iterator[Item]:
    """Items from the notation above, numbered from `number`."""
    for token in text.split():
        pattern = r"([^:?<*=\[]+)([:?]?)([^<*=\[]*)(?:<([\d,]+))?(?:\*(\d+))?(?:\[(.+)\])?(?:=(\w+))?"
        phase, kind, name, needs, count, claims, was = re.fullmatch(pattern, token).groups(default="")
        for _ in range(int(count or 1)):
            yield Item(
                number,
                phase,
                KINDS[kind],
                tuple(map(int, filter(None, needs.split(",")))),
                name,
                read_claims(claims),
                Outcome(was) if was else None,
            )
            number += 1


def read_claims(text: str) -> tuple[Claim, ...]:
    """Claims from the notation above: `~` shares, and a slash makes a path."""
    return tuple(
        Claim(each.lstrip("~"), each.startswith("~"), "/" in each) for each in filter(None, text.split(","))
    )


def _name(holder: Holder | None) -> str:
    if holder is None:
        return "another run"
    return f"#{holder}" if isinstance(holder, int) else holder


def _say_lock(lock: Lock) -> str:
    holder, claims = _name(lock.holder), _listed(lock.claims, ", ")
    if lock.state is LockState.WAITING:
        return f"{holder} waits for {_name(lock.waits_for)}: {claims}"
    if lock.state is LockState.RELEASED:
        return f"{holder} lets {claims} go"
    return f"{holder} holds {claims}" + (f" on {lock.worker}" if lock.worker else "")


def _listed(each: Iterable[object], between: str = " ") -> str:
    return between.join(map(str, each))


@pytest.fixture(scope="session")
def talk() -> Callable[..., Talk]:
    """Begin a conversation: `talk("1 2<1", "1*3 2")`, in waves and with one worker w1 unless told."""

    def begin(
        plan: str,
        items: str = "",
        workers: str = "w1",
        schedule: str = "waves",
        *,
        start: bool = True,
        uncleared: str = "",
        judged: str = "",
        external: bool = False,
    ) -> Talk:
        conversation = Talk(plan, items, workers, schedule, uncleared, judged, external=external)
        if start:
            conversation.starts()
        return conversation

    return begin


@pytest.fixture(scope="session")
def plan() -> Callable[[str], Plan]:
    """Read a plan in the notation of this folder."""
    return read_plan
