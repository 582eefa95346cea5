"""Which phases have a boundary, and what each may modify."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_phases import bounding
from pytest_phases.graph import build
from pytest_phases.model import Plan
from pytest_phases.plan.markdown import read_markdown

STAGE = "Build: wheel\nmodifies: [dist]\noutputs: [build]\n```sh\nmake\n```\n"


def plan_of(text: str) -> Plan:
    """The plan of a text, which is well written."""
    plan, problems = read_markdown(text, "plan.md")
    assert problems == ()
    return plan


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        pytest.param("## Phase 1: A\nmodifies: [a]\n", {}, id="not-enforced"),
        pytest.param("## Phase 1: A\nmodifies: [a]\nenforce: true\n", {"1": ("a",)}, id="of-the-phase"),
        pytest.param(
            "# Plan\nenforce: true\n## Phase 1: A\nmodifies: [a]\n", {"1": ("a",)}, id="of-the-plan"
        ),
        pytest.param(
            "# Plan\nenforce: true\n## Phase 1: A\nmodifies: [a]\nenforce: false\n", {}, id="but-not-of-this"
        ),
        pytest.param("## Phase 1: A\nenforce: true\n", {}, id="nothing-stated"),
        pytest.param(
            f"## Phase 1: A\nmodifies: [a]\nenforce: true\n{STAGE}",
            {"1": ("a", "dist", "build")},
            id="stages",
        ),
        pytest.param(
            "## Phase 1: A\nmodifies: [a]\nenforce: true\n### Stream X: x\n### Stream Y: y\nmodifies: [b]\n",
            {"1": ("a", "b"), "1/X": ("a",), "1/Y": ("b",)},
            id="streams",
        ),
    ],
)
def test_what_may_be_modified(text: str, allowed: Mapping[str, tuple[str, ...]]) -> None:
    """Only where a boundary is stated and enforced is anything watched."""
    assert bounding.allowed(plan_of(text)) == allowed


def test_what_others_do_meanwhile_is_theirs() -> None:
    """A stage is not blamed for what phases that may run beside its own are allowed to modify."""
    first = "## Phase 1: A\ndeps: []\nmodifies: [a]\n"
    text = f"{first}## Phase 2: B\ndeps: [1]\nmodifies: [b]\n## Phase 3: C\ndeps: [1]\nmodifies: [c]\n"
    plan = plan_of(text)
    assert bounding.beside(plan, build(plan)) == {"1": (), "2": ("c",), "3": ("b",)}
    assert bounding.declared(plan) == ("a", "b", "c")
