"""What happens in a run, as frozen data: observers and other plugins' hooks are told these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from enum import Enum

from pytest_phases.claims import Claim
from pytest_phases.model import Plan


class State(str, Enum):
    """The state of a phase, a stream or a sync point; `failing` is red with items still running."""

    WAITING = "waiting"
    OPEN = "open"
    FAILING = "failing"
    GREEN = "green"
    RED = "red"
    EMPTY = "empty"
    BLOCKED = "blocked"
    INTERRUPTED = "interrupted"

    @property
    def closed(self) -> bool:
        """Whether nothing of it will run any more."""
        return self not in (State.WAITING, State.OPEN, State.FAILING)

    @property
    def satisfies(self) -> bool:
        """Whether what needs it may open; an empty phase proves nothing and blocks nothing."""
        return self in (State.GREEN, State.EMPTY)


class Outcome(str, Enum):
    """How an item ended, by the worst of all its final reports."""

    PASSED = "passed"
    XFAILED = "xfailed"
    SKIPPED = "skipped"
    FAILED = "failed"
    ERROR = "error"
    BLOCKED = "blocked"

    @property
    def bad(self) -> bool:
        """Whether it makes its phase red."""
        return self in (Outcome.FAILED, Outcome.ERROR)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many items of a phase, its streams included, ended how."""

    passed: int = 0
    xfailed: int = 0
    skipped: int = 0
    failed: int = 0
    error: int = 0
    blocked: int = 0

    @classmethod
    def total(cls, tallies: Iterable[Tally]) -> Tally:
        """The sum of several."""
        rows = tuple(tallies)
        return cls(*(sum(getattr(row, field.name) for row in rows) for field in fields(cls)))

    @property
    def count(self) -> int:
        """All of them."""
        return sum(getattr(self, field.name) for field in fields(self))

    @property
    def bad(self) -> int:
        """Failures and errors."""
        return self.failed + self.error

    def __str__(self) -> str:
        words = [
            f"{count} {name}{'s' if name == 'error' and count > 1 else ''}"
            for name, count in ((field.name, getattr(self, field.name)) for field in fields(self))
            if count
        ]
        return ", ".join(words) or "nothing ran"


@dataclass(frozen=True, slots=True)
class RunStarted:
    """Everything is collected; `plan` has the markers in it, `waves` the ids of its phases.

    `notes` says what of the plan this run cannot do, in words. `resumed` has, by phase or stream, where
    from: (id, `RUN, 5 min ago`). `decisions` says of the others why they run again.
    """

    run_id: str
    schedule: str
    plan: Plan
    waves: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    resumed: tuple[tuple[str, str], ...] = ()
    decisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PhaseChanged:
    """A phase, stream or sync point changed its state.

    `id` and `name` are the plan's (`title` is both as shown), `kind` one of phase, stream, sync
    point and unphased; `reason` says why it is red or blocked; `time` is in seconds of the
    monotonic clock of the controller; `items` counts those of it that are known so far, its
    streams included, and `agents` names the workers on it.
    """

    id: str
    name: str
    kind: str
    old: State
    new: State
    tally: Tally
    reason: str
    wave: int
    time: float
    agents: tuple[str, ...] = ()
    items: int = 0

    @property
    def title(self) -> str:
        """The phase as messages call it: `phase 2 (Module A)`."""
        return title(self.kind, self.id, self.name)


@dataclass(frozen=True, slots=True)
class WaveClosed:
    """Every phase of a wave is closed."""

    number: int
    phases: tuple[str, ...]
    time: float


@dataclass(frozen=True, slots=True)
class ItemStarted:
    """A worker has come to an item; `time` as in `PhaseChanged`."""

    nodeid: str
    phase: str
    worker: str
    time: float


@dataclass(frozen=True, slots=True)
class ItemEnded:
    """An item that a worker ran has its outcome; `duration` in seconds."""

    nodeid: str
    phase: str
    worker: str
    outcome: Outcome
    duration: float
    time: float


class LockState(str, Enum):
    """What became of a claim: it waits, was granted, or was let go."""

    WAITING = "waiting"
    HELD = "held"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class LockChanged:
    """A phase or an item waits for its claims, has them, or has let them go, all at once.

    `holder` is the id of a phase or stream, or the node id of an item; `agent` the worker of an item, empty
    for a phase; `waits_for` names who is in the way, empty where that is another run.
    """

    holder: str
    agent: str
    claims: tuple[Claim, ...]
    state: LockState
    time: float
    waits_for: str = ""


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """How a phase or stream ended; `seconds` runs from opening to closing, 0 if it never opened.

    `resumed` says where from (`RUN, 5 min ago`), empty unless nothing of it was run.
    """

    id: str
    name: str
    kind: str
    state: State
    reason: str
    wave: int
    tests: Tally
    stages: Tally
    seconds: float
    blocked_by: tuple[str, ...] = ()
    resumed: str = ""

    @property
    def title(self) -> str:
        """The phase as messages call it."""
        return title(self.kind, self.id, self.name)


@dataclass(frozen=True, slots=True)
class WaveResult:
    """What a wave planned in parallel and what overlapped in fact.

    `concurrency` is the mean number of items that ran at the same time, `idle` the share of the
    workers' time without an item, between the wave's first start and last stop. `sequential`
    names pairs of phases that were planned in parallel and ran one after another.
    """

    number: int
    phases: tuple[str, ...]
    seconds: float
    concurrency: float
    idle: float
    sequential: tuple[tuple[str, str], ...]


class Decision(str, Enum):
    """What the gate says: green, something failed, something was not run, or approvals are missing."""

    GREEN = "green"
    RED = "red"
    INCOMPLETE = "incomplete"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that keeps the gate from being green, and what it makes of it."""

    decision: Decision
    text: str


@dataclass(frozen=True, slots=True)
class GateResult:
    """The gate's decision; `reasons` is empty if it is green. `deploys` are lines about deploy stages."""

    name: str
    decision: Decision
    reasons: tuple[Reason, ...] = ()
    deploys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """A threshold and what was reached, in per cent; `reached` is None if it could not be measured.

    `id` is that of a phase, stream or sync point, or `gate`; `title` is it as shown. `passed` is the
    verdict, `text` is it in words; `problem` says why nothing could be measured, and `files` names the
    least covered files with what is missing there.
    """

    id: str
    kind: str
    name: str
    required: float
    reached: float | None
    precision: int
    passed: bool
    text: str
    problem: str = ""
    files: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What was judged, as messages call it."""
        return title(self.kind, self.id, self.name)


@dataclass(frozen=True, slots=True)
class RunResult:
    """The end of a run, given to `pytest_phases_run_finished`.

    `gate` is None where there is no plan; a plan without a gate has one that requires every phase.
    """

    run_id: str
    schedule: str
    workers: int
    phases: tuple[PhaseResult, ...]
    waves: tuple[WaveResult, ...]
    seconds: float
    figures: tuple[Figure, ...] = ()
    gate: GateResult | None = None


_WITHOUT_ID = ("sync point", "gate")
"""What is called by its name alone."""


def title(kind: str, node_id: str, name: str) -> str:
    """A phase, stream or sync point as every message calls it."""
    if kind == "unphased":
        return "the unphased tests"
    label = kind if kind in _WITHOUT_ID else f"{kind} {node_id}"
    return f"{label} ({name})" if name else label


def gate_line(gate: GateResult) -> str:
    """The gate's decision, the first reason against it, and where to read more."""
    first = f": {gate.reasons[0].text}" if gate.reasons else ""
    count = len(gate.reasons) - 1
    more = f" (and {count} more: `pytest-phases gate`)" if count > 0 else ""
    return f"{title('gate', '', gate.name)}: {gate.decision.value}{first}{more}"


def gate_lines(gate: GateResult) -> Iterator[str]:
    """The gate's decision, every reason against it, and what was deployed."""
    yield f"{title('gate', '', gate.name)}: {gate.decision.value}"
    for reason in gate.reasons:
        yield f"  {reason.decision.value}: {reason.text}"
    for line in gate.deploys:
        yield f"  deployed: {line}"
