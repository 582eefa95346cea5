"""What controller and worker say to each other arrives as it was said."""

from __future__ import annotations

import execnet
import pytest

from pytest_phases.adapters.messages import Collected, Refreshed, RefreshNow, TornDown, pack, unpack
from pytest_phases.errors import Problem
from pytest_phases.model import Place
from pytest_phases.table import Table

TABLE = Table(
    nodeids=("a.py::test_a",),
    phases=("1",),
    marks=({"args": [1.5, None, True], "kwargs": [["deps", ["1"]]], "file": "a.py", "line": 3},),
    problems=(Problem("slug", Place("plan.md", 2), "wrong"),),
)


@pytest.mark.parametrize(
    "message",
    [
        Collected(None),
        Collected(TABLE),
        RefreshNow(3, ("1", "2/A"), ("4",)),
        Refreshed(3, ("src/module.py",), None),
        Refreshed(3, (), TABLE),
        TornDown({"nodeid": "a.py::test_a", "sections": [("stdout", "x")]}),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_survives_the_channel(message):
    """Every message is made of what execnet can carry."""
    assert unpack(execnet.loads(execnet.dumps(pack(message)))) == message
