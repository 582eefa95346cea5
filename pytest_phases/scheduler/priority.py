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

LOOKAHEAD = 0.2
"""Seconds of work that a worker holds, by the mean duration of the items of its node."""

MINIMUM = 3
"""The item that runs, the one it is torn down for, and one that may still be chosen after it."""

FIRST = 16
"""Items a worker may be sent while nothing is known of their durations.

Were it fewer, tests of a millisecond would run out before the answer to their first report comes,
and their module would be torn down and set up again. Were it more, long tests could pile up.
"""

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
        return FIRST
    return max(MINIMUM, min(MAXIMUM, int(LOOKAHEAD / max(mean, 1e-6))))


def enough(node: NodeState, held: int) -> bool:
    """Whether a worker that holds this many needs no more of this node: it is sent more by halves."""
    return held >= max(MINIMUM, depth(node) // 2 + 1)


def batch(node: NodeState, held: int, workers: int) -> int:
    """How many items to send to a worker that holds `held`; 0 while it has enough.

    The last few are not queued behind others: whoever is free first takes them. Short ones are,
    because waiting for a worker to be free costs it its module fixtures.
    """
    if enough(node, held):
        return 0
    wanted, ready = depth(node), len(node.ready)
    if held:
        short = node.mean() is not None and wanted > MINIMUM
        return min(wanted - held, -(-ready // workers) if short else ready // workers)
    fair = ready if workers == 1 else -(-ready // (2 * workers))
    return min(wanted, max(1, fair))
