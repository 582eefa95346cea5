"""The item table as it travels: what comes out is what went in."""

from __future__ import annotations

import json

import pytest

from pytest_phases.errors import Problem
from pytest_phases.model import Place
from pytest_phases.table import Table

FULL = Table(
    nodeids=("a.py::test_a", "a.py::test_a", "plan.md::1::build"),
    phases=("1", "unphased", "1"),
    stages=((2, "build"),),
    modules=(("late.py", "2"),),
    marks=({"args": [1], "kwargs": [], "file": "a.py", "line": 3},),
    problems=(Problem("slug", Place("plan.md", 2), "wrong"), Problem("other", None, "wrong too")),
    restricted=True,
)


@pytest.mark.parametrize("table", [FULL, Table()], ids=["full", "empty"])
def test_a_table_survives_the_journey(table):
    """Even as JSON, which knows fewer types than a channel, every part of it arrives as it was."""
    assert Table.from_data(json.loads(json.dumps(table.to_data()))) == table


def test_each_phase_is_named_once():
    """Ten thousand items of one phase carry its name once."""
    data = Table(nodeids=("a", "b", "c"), phases=("long name", "2", "long name")).to_data()
    assert data["names"] == ["long name", "2"]
    assert data["phases"] == [0, 1, 0]
