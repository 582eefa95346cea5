"""Which node a worker takes items from, and how many at once. Pure questions, answered in order.

How many: a worker must have the next items before it runs out, or it idles for a round trip and
module fixtures are torn down early; but what is queued behind a long item cannot run elsewhere.
So a worker holds about `LOOKAHEAD` seconds of work, never less than `MINIMUM` items while plenty
are ready, and never more than its fair share of what is left (guided self-scheduling:
C. Polychronopoulos, D. Kuck, IEEE Trans. Computers 36(12), 1987).
"""

from __future__ import annotations

from collections.abc import Iterable

from pytest_phases.graph import Kind
from pytest_phases.scheduler.board import NodeState, WorkerState

LOOKAHEAD = 0.1
"""Seconds of work that a worker holds, by the mean duration of the items of its node."""

MINIMUM = 3
"""The item that runs, the one it is torn down for, and one that may still be chosen after it."""

MAXIMUM = 128
"""Items a worker holds at most, however short they are."""


def choose(nodes: Iterable[NodeState], worker: WorkerState) -> NodeState | None:
    """The node to take from: where fewest others work, then where this worker is at home.

    Spreading workers over the nodes that are ready is what makes phases of a wave run side by
    side; staying at home keeps fixtures alive; ties go to the node with most behind it.
    Unphased tests are taken only when there is nothing else.
    """

    def rank(state: NodeState) -> tuple[bool, int, bool, int]:
        at_home = worker.node is state
        return (
            state.node.kind is Kind.UNPHASED,
            state.workers - at_home,
            not at_home,
            -state.node.height,
        )

    return min(nodes, key=rank, default=None)


def depth(node: NodeState) -> int:
    """How many items of this node a worker should hold, by their mean duration."""
    mean = node.mean()
    if mean is None:
        return MINIMUM
    return max(MINIMUM, min(MAXIMUM, int(LOOKAHEAD / max(mean, 1e-6))))


def batch(node: NodeState, held: int, workers: int) -> int:
    """How many items to send to a worker that holds `held`; 0 while it has enough.

    The last few are not queued behind others: whoever is free first takes them.
    """
    wanted = depth(node)
    if held >= max(MINIMUM, wanted // 2 + 1):
        return 0
    ready = len(node.ready)
    if held:
        return min(wanted - held, ready // workers)
    fair = ready if workers == 1 else -(-ready // (2 * workers))
    return min(wanted, max(1, fair))
