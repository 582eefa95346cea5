"""The records the core keeps: what each node, item and worker is at."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from enum import Enum, auto

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
class NodeState:
    """A node of the graph in this run.

    `waits_for` counts what must happen before it opens, `unfinished` its own items without an
    outcome, `open_parts` its streams that are not closed, `workers` those that now run items of
    it. `behind_stages` says that a stage runs before it, `generation` which build it must see;
    `forbidden` is the reason why none of its items may start, empty while they may.
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
