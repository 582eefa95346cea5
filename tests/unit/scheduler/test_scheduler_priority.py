"""Which node a worker takes from, and how many items at once."""

from __future__ import annotations

import pytest

from pytest_phases.graph import Kind, Node
from pytest_phases.scheduler.board import NodeState, WorkerState
from pytest_phases.scheduler.priority import FIRST, MAXIMUM, MINIMUM, batch, choose, depth


def node(
    ready: int = 0, *, mean: float | None = None, workers: int = 0, height: int = 1, kind: Kind = Kind.PHASE
) -> NodeState:
    """A node with so many ready items, a mean duration in seconds, and workers that are at it."""
    state = NodeState(Node("1", kind, height=height), workers=workers)
    state.ready.extend(range(ready))
    if mean is not None:
        state.busy, state.finished = mean, 1
    return state


@pytest.mark.parametrize(
    ("mean", "expected"),
    [
        pytest.param(None, FIRST, id="nothing is known"),
        pytest.param(10.0, MINIMUM, id="long items"),
        pytest.param(0.02, 10, id="a fifth of a second of work"),
        pytest.param(1e-5, MAXIMUM, id="very short items"),
        pytest.param(0.0, MAXIMUM, id="shorter than the clock can tell"),
    ],
)
def test_how_many_items_a_worker_holds(mean: float | None, expected: int) -> None:
    """About a fifth of a second of work, and neither too few nor too many."""
    assert depth(node(mean=mean)) == expected


@pytest.mark.parametrize(
    ("ready", "mean", "held", "workers", "expected"),
    [
        pytest.param(100, None, 0, 2, FIRST, id="to begin with, a few"),
        pytest.param(100, 0.02, 0, 2, 10, id="as much as it should hold"),
        pytest.param(12, 0.02, 0, 2, 3, id="a fair share of what is left"),
        pytest.param(1, 0.02, 0, 8, 1, id="one at least for who has nothing"),
        pytest.param(4, 0.02, 0, 1, 4, id="one worker takes all"),
        pytest.param(100, 0.02, 6, 2, 0, id="more than half of it is still there"),
        pytest.param(100, 0.02, 5, 2, 5, id="filled up when it is half empty"),
        pytest.param(100, 1.0, 3, 2, 0, id="the minimum is enough of long items"),
        pytest.param(100, 1.0, 2, 2, 1, id="and is kept up"),
        pytest.param(3, 1.0, 1, 4, 0, id="the last few wait for who is free"),
        pytest.param(9, 1.0, 1, 4, 2, id="else a share of them is queued"),
        pytest.param(3, 0.02, 1, 4, 1, id="and of short ones always"),
    ],
)
def test_how_many_items_are_sent(
    ready: int, mean: float | None, held: int, workers: int, expected: int
) -> None:
    """Enough not to run dry, and never what others had better take."""
    assert batch(node(ready, mean=mean), held, workers) == expected


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        pytest.param(node(), node(kind=Kind.UNPHASED, height=9), id="unphased tests come last"),
        pytest.param(node(), node(workers=1, height=9), id="where fewest others work"),
        pytest.param(node(height=2), node(), id="where most stands behind"),
    ],
)
def test_which_node_is_taken_from(better: NodeState, worse: NodeState) -> None:
    """The better one is chosen wherever it stands."""
    worker = WorkerState("w1", 0)
    assert choose([better, worse], worker) is better
    assert choose([worse, better], worker) is better


def test_a_worker_stays_where_it_is_at_home() -> None:
    """Its own presence does not count against the node, and its fixtures are alive there."""
    home, other = node(workers=1), node(height=9)
    assert choose([other, home], WorkerState("w1", 0, node=home)) is home
    assert choose([], WorkerState("w1", 0)) is None
