"""What the core is told and what it decides; `time` is always in seconds, on the teller's clock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from pytest_phases.claims import Claim
from pytest_phases.events import LockState, Outcome, PhaseChanged, WaveClosed

Holder: TypeAlias = "str | int"
"""Who holds locks: the id of a phase or stream, or the number of an item."""


class ItemKind(Enum):
    """A test, a stage, or a test module that can be collected only when its phase opens."""

    TEST = "test"
    STAGE = "stage"
    MODULE = "module"


@dataclass(frozen=True, slots=True)
class Item:
    """What a worker runs: `number` is its name between core and adapter, `phase` a node's id.

    `needs` holds the numbers of items that must have ended, and not badly, before this one may
    start; `name` is what a message calls it (stages and modules alone have one). `claims` are locks
    of its own, beside those of its phase. `outcome` is what it came to in the run that is resumed: it
    is counted as soon as its phase opens, and the item never runs.
    """

    number: int
    phase: str
    kind: ItemKind = ItemKind.TEST
    needs: tuple[int, ...] = ()
    name: str = ""
    claims: tuple[Claim, ...] = ()
    outcome: Outcome | None = None


# What happens -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """Every first worker is ready and everything they collected has been told."""

    time: float


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker has collected; `generation` is how much of what was built it has seen."""

    worker: str
    generation: int
    time: float


@dataclass(frozen=True, slots=True)
class WorkerRefreshed:
    """A worker has seen everything that was built up to `generation`, and collected again.

    Told after what it found and lost: a module that is still missing then makes its phase red.
    """

    worker: str
    generation: int
    time: float


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """A worker has ended; what it had not finished goes to the others, but for `running`.

    `running` is the item that took the worker down with it: it has failed and never runs again.
    """

    worker: str
    running: int | None
    time: float


@dataclass(frozen=True, slots=True)
class ItemsFound:
    """Items were collected: all of them before the start, those of late modules afterwards."""

    items: tuple[Item, ...]
    time: float


@dataclass(frozen=True, slots=True)
class ItemsLost:
    """Items that were not started are no longer collected, now that something was built.

    Told after the items that take their place, or a phase with nothing else to run ends between.
    """

    items: tuple[int, ...]
    time: float


@dataclass(frozen=True, slots=True)
class ItemFinished:
    """A worker has finished an item, which took `duration` seconds."""

    worker: str
    item: int
    outcome: Outcome
    duration: float
    time: float


@dataclass(frozen=True, slots=True)
class PhaseFailed:
    """Something other than one of its running items makes a phase red.

    `for_all` says that its items must not run either: those that were not started are blocked.
    """

    phase: str
    reason: str
    time: float
    for_all: bool = False


@dataclass(frozen=True, slots=True)
class PhaseCleared:
    """What had to be looked at before the items of an open phase may start is in order."""

    phase: str
    time: float


@dataclass(frozen=True, slots=True)
class PhaseJudged:
    """What `Judge` asked for: whether a phase or sync point reached its threshold.

    `reason` says what is missing and makes it red; empty if nothing is.
    """

    phase: str
    reason: str
    time: float


@dataclass(frozen=True, slots=True)
class Acquired:
    """What `Acquire` asked for: no other run on this machine has these locks now."""

    holder: Holder
    time: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """Nothing more may be started: `-x`, `--maxfail`, Ctrl-C, or no worker is left."""

    time: float


Event: TypeAlias = (
    Started
    | WorkerReady
    | WorkerRefreshed
    | WorkerGone
    | ItemsFound
    | ItemsLost
    | ItemFinished
    | PhaseFailed
    | PhaseCleared
    | PhaseJudged
    | Acquired
    | Stopped
)

# What to do -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """Let a worker run these, in this order, after what it was sent before."""

    worker: str
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refresh:
    """Let a worker, which has nothing to run, see what was built up to `generation`."""

    worker: str
    generation: int


@dataclass(frozen=True, slots=True)
class Block:
    """Report these items as blocked; they never reach a worker."""

    items: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Judge:
    """Everything of this phase or sync point is done: see whether its threshold is reached.

    It ends when `PhaseJudged` is told.
    """

    phase: str


@dataclass(frozen=True, slots=True)
class Resume:
    """These items have the outcome that they came with, in the same order; they never reach a worker."""

    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Acquire:
    """Get these locks from other runs on this machine, all at once, and tell `Acquired`."""

    holder: Holder
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """Let other runs have the locks that this holder acquired, or give up acquiring them."""

    holder: Holder


@dataclass(frozen=True, slots=True)
class Lock:
    """A holder waits for its claims, has them, or let them go.

    `waits_for` is in the way, None where that is another run; `worker` runs the item that holds them,
    empty for a phase.
    """

    holder: Holder
    claims: tuple[Claim, ...]
    state: LockState
    worker: str = ""
    waits_for: Holder | None = None


Decision: TypeAlias = (
    Send | Refresh | Block | Judge | Resume | Acquire | Release | Lock | PhaseChanged | WaveClosed
)
