"""The records the core keeps: what each node, item and worker is at."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from pytest_phases.claims import Claim
from pytest_phases.events import Outcome, State, Tally
from pytest_phases.graph import Kind, Node
from pytest_phases.scheduler.protocol import Item, ItemKind


class Progress(Enum):
    """How far an item is; `held` waits for another item, `gone` is no longer collected."""

    HELD = auto()
    READY = auto()
    SENT = auto()
    DONE = auto()
    GONE = auto()


@dataclass(slots=True, eq=False)
class Entry:
    """An item, the number of items it still waits for, and those that wait for it.

    `broken` is the reason why what needs it is blocked, empty while it may yet pass; `lost` says
    that it is no longer collected, which a worker that was sent it before need not know.
    """

    item: Item
    unmet: int = 0
    progress: Progress = Progress.HELD
    dependents: list[int] = field(default_factory=list)
    broken: str = ""
    lost: bool = False


@dataclass(slots=True, eq=False)
class Locked:
    """The ready items of a node that have claims of their own, kept apart by these claims.

    Of those with the same claims the first alone is of interest until it is sent: however many
    wait for the same lock, to look at them costs one look.
    """

    stages: dict[tuple[Claim, ...], deque[int]] = field(default_factory=dict)
    tests: dict[tuple[Claim, ...], deque[int]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.stages or self.tests)

    def firsts(self) -> Iterator[int]:
        """The first item of each kind of claims, stages before tests."""
        for queues in (self.stages, self.tests):
            for queue in queues.values():
                yield queue[0]

    def is_first(self, item: Item) -> bool:
        """Whether an item is here, and the first of those with its claims."""
        queue = self._queues(item).get(item.claims)
        return queue is not None and queue[0] == item.number

    def add(self, item: Item, *, first: bool = False) -> None:
        """Put an item behind those with the same claims, or before them."""
        queue = self._queues(item).setdefault(item.claims, deque())
        (queue.appendleft if first else queue.append)(item.number)

    def remove(self, item: Item) -> None:
        """Take an item out: it was sent, or never will be.

        Next time others are looked at before those with its claims, or many that share a lock would
        keep the one from ever asking that wants it to itself.
        """
        queues = self._queues(item)
        queue = queues.pop(item.claims)
        queue.remove(item.number)
        if queue:
            queues[item.claims] = queue

    def clear(self) -> None:
        """Take all items out."""
        self.stages.clear()
        self.tests.clear()

    def _queues(self, item: Item) -> dict[tuple[Claim, ...], deque[int]]:
        return self.stages if item.kind is ItemKind.STAGE else self.tests


@dataclass(slots=True, eq=False)
class NodeState:
    """A node of the graph in this run.

    `waits_for` counts what must happen before it opens, `unfinished` its own items without an
    outcome, `open_parts` its streams that are not closed, `workers` those that now run items of
    it. `behind_stages` says that a stage runs before it, `generation` which build it must see;
    `forbidden` is the reason why none of its items may start, empty while they may. Ready items with
    claims of their own are in `locked`, all others in `ready`; `demands` counts the claims of all items
    that are still to run.
    """

    node: Node
    state: State = State.WAITING
    waits_for: int = 0
    failed: bool = False
    reason: str = ""
    blocked_by: str = ""
    forbidden: str = ""
    items: dict[int, Entry] = field(default_factory=dict)
    ready: deque[int] = field(default_factory=deque)
    locked: Locked = field(default_factory=Locked)
    demands: Counter[tuple[Claim, ...]] = field(default_factory=Counter)
    unfinished: int = 0
    open_parts: int = 0
    workers: int = 0
    agents: set[str] = field(default_factory=set)
    tests: Counter[Outcome] = field(default_factory=Counter)
    stages: Counter[Outcome] = field(default_factory=Counter)
    behind_stages: bool = False
    ran_stage: bool = False
    generation: int = 0
    opened: float = 0.0
    seconds: float = 0.0
    busy: float = 0.0
    finished: int = 0

    @property
    def label(self) -> str:
        """The node in the reason of what it blocks: phases by their id alone, to keep it short."""
        node = self.node
        return (
            f"sync point {node.name}".rstrip() if node.kind is Kind.SYNC else f"{node.kind.value} {node.id}"
        )

    @property
    def is_open(self) -> bool:
        """Whether its items may be at work."""
        return self.state in (State.OPEN, State.FAILING)

    def count(self, kind: ItemKind, outcome: Outcome) -> None:
        """Add one ended item."""
        (self.stages if kind is ItemKind.STAGE else self.tests)[outcome] += 1

    def mean(self) -> float | None:
        """The mean duration of the items whose duration is known, in seconds; None before the first."""
        return self.busy / self.finished if self.finished else None


@dataclass(slots=True, eq=False)
class WorkerState:
    """A worker, the items it was sent and has not finished (in order), and what it has seen."""

    name: str
    generation: int
    queue: dict[int, None] = field(default_factory=dict)
    refreshing: bool = False
    node: NodeState | None = None


def tally(counts: Counter[Outcome]) -> Tally:
    """Counts by outcome as the frozen row that leaves the core."""
    return Tally(**{outcome.value: counts[outcome] for outcome in Outcome})
