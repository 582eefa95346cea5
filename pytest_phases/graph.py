"""The plan as a graph: what waits for what, in which wave, and how much stands behind it.

A node is a phase, a stream, a sync point or the unphased tests. Three relations order them:

- `needs`: must be green (or empty, which proves nothing and blocks nothing) before the node opens;
- `after`: must be closed, in whatever state, before the node opens (sync points alone have these);
- `part_of`: a stream opens inside its open phase, and the phase closes when its streams have.

The wave of a phase is the length of its longest chain of dependencies, counted from 1. A sync
point belongs to the last wave above it and everything below it comes in later waves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from pytest_phases.claims import Claim, claims
from pytest_phases.events import title
from pytest_phases.model import UNPHASED, Phase, Plan, Sync


class Kind(Enum):
    """What a node stands for."""

    PHASE = "phase"
    STREAM = "stream"
    SYNC = "sync point"
    UNPHASED = "unphased"


@dataclass(frozen=True, slots=True)
class Node:
    """One node; `height` counts the nodes on the longest chain from it to the end of the plan.

    `claims` are the locks of the phase or stream as a whole, for as long as it is at work.
    """

    id: str
    kind: Kind
    name: str = ""
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    part_of: str | None = None
    parts: tuple[str, ...] = ()
    serial: bool = False
    wave: int = 0
    height: int = 1
    claims: tuple[Claim, ...] = ()

    def __str__(self) -> str:
        return title(self.kind.value, self.id, self.name)


@dataclass(frozen=True)
class Graph:
    """All nodes by id, in the order of the plan, and the phases of each wave."""

    nodes: Mapping[str, Node]
    waves: tuple[tuple[str, ...], ...]

    @cached_property
    def edges(self) -> Mapping[str, tuple[str, ...]]:
        """For each node what must be closed before it closes."""
        return {node.id: (*self.opens_after(node), *node.parts) for node in self.nodes.values()}

    def opens_after(self, node: Node) -> tuple[str, ...]:
        """What must be closed before the node opens; a stream waits for what its phase waits for."""
        inherited = self.opens_after(self.nodes[node.part_of]) if node.part_of is not None else ()
        return (*inherited, *node.needs, *node.after)

    def exclusive_group(self, node: Node) -> str:
        """The streams of a serial phase exclude everything but one another and their phase."""
        parent = self.nodes[node.part_of] if node.part_of is not None else node
        return parent.id if parent.serial else node.id

    def ancestors(self, node_id: str) -> frozenset[str]:
        """The ids of all nodes that are closed before this one opens."""
        return _closure(self.edges, self.opens_after(self.nodes[node_id]))


def build(plan: Plan) -> Graph:
    """The graph of a plan whose ids are unique and known and which has no cycle."""
    nodes = {node.id: node for node in _nodes(plan)}
    waves, heights = _wave_numbers(nodes), _heights(nodes)
    placed = {node.id: replace(node, wave=waves[node.id], height=heights[node.id]) for node in nodes.values()}
    members: list[list[str]] = [[] for _ in range(max(waves.values(), default=0))]
    for node in placed.values():
        if node.kind is Kind.PHASE:
            members[node.wave - 1].append(node.id)
    return Graph(placed, tuple(map(tuple, members)))


def find_cycle(edges: Mapping[str, Sequence[str]]) -> tuple[str, ...] | None:
    """The first cycle as a path in which each node waits for the next, or None: `(2, 4, 2)`."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        # graphlib lists predecessors first; a reader wants to follow what waits for what.
        return tuple(reversed(error.args[1]))
    return None


def waiting_edges(plan: Plan) -> dict[str, tuple[str, ...]]:
    """For each node of a plan, sound or not, the ids that must be closed before it closes."""
    nodes = {node.id: node for node in _nodes(plan)}
    known = Graph(nodes, ()).edges
    return {node_id: tuple(other for other in needs if other in nodes) for node_id, needs in known.items()}


def _nodes(plan: Plan) -> Iterable[Node]:
    above = [_above(plan, sync) for sync in plan.syncs]
    for number, sync in enumerate(plan.syncs):
        new = above[number] - (above[number - 1] if number else frozenset())
        after = tuple(phase.id for phase in plan.phases if phase.id in new)
        # It needs the sync point above it: when that one is red, nothing below it may run.
        needs = (_sync_id(number - 1),) if number else ()
        yield Node(_sync_id(number), Kind.SYNC, sync.name, needs=needs, after=after)
    for phase in plan.phases:
        passed = sum(phase.id not in ids for ids in above)
        yield _phase_node(phase, (_sync_id(passed - 1),) if passed else ())
        for stream in phase.streams:
            yield Node(
                stream.id, Kind.STREAM, stream.name, needs=stream.deps, part_of=phase.id,
                serial=stream.serial or phase.serial, claims=_claims(stream),
            )  # fmt: skip
    yield Node(UNPHASED, Kind.UNPHASED, needs=(_sync_id(len(above) - 1),) if above else ())


def _phase_node(phase: Phase, sync: tuple[str, ...]) -> Node:
    return Node(
        phase.id,
        Kind.PHASE,
        phase.name,
        needs=(*phase.deps, *sync),
        parts=tuple(stream.id for stream in phase.streams),
        serial=phase.serial,
        claims=_claims(phase),
    )


def _claims(unit: Phase) -> tuple[Claim, ...]:
    return claims(unit.modifies, unit.reads, unit.locks)


def _sync_id(number: int) -> str:
    # A colon ends the id in a heading, so no phase can be called this.
    return f"sync:{number + 1}"


def _above(plan: Plan, sync: Sync) -> frozenset[str]:
    """The phases above a sync point: those the plan puts there, and markers' phases they need."""
    stated = {phase.id for phase in plan.phases if phase.place.file == plan.file}
    needs = {unit.id: unit.deps for unit in plan.units()}
    pulled_up = _closure(needs, sync.above) - stated
    return frozenset(sync.above) | {unit.split("/")[0] for unit in pulled_up if unit in needs} - stated


def _closure(edges: Mapping[str, Sequence[str]], start: Iterable[str]) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(edges.get(node, ()))
    return frozenset(found)


def _wave_numbers(nodes: Mapping[str, Node]) -> dict[str, int]:
    """Waves are counted over whole phases: a stream is in the wave of its phase."""

    def phase_of(node_id: str) -> str:
        return nodes[node_id].part_of or node_id

    edges = {
        node.id: tuple(phase_of(other) for other in (*node.needs, *node.after))
        for node in nodes.values()
        if node.kind is not Kind.STREAM
    }
    waves: dict[str, int] = {}
    for node_id in TopologicalSorter(edges).static_order():
        reached = max((waves[other] for other in edges[node_id]), default=0)
        waves[node_id] = reached + (nodes[node_id].kind is Kind.PHASE)
    return {node_id: waves[phase_of(node_id)] for node_id in nodes}


def _heights(nodes: Mapping[str, Node]) -> dict[str, int]:
    edges = Graph(nodes, ()).edges
    heights = dict.fromkeys(nodes, 1)
    for node_id in reversed(tuple(TopologicalSorter(edges).static_order())):
        for other in edges[node_id]:
            heights[other] = max(heights[other], heights[node_id] + 1)
    return heights
