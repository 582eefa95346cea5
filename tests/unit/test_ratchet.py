"""`coverage: ratchet`: what an earlier run has reached is what this one must reach."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_phases.events import State
from pytest_phases.evidence import FigureRecord, PhaseRecord, RunRecord
from pytest_phases.model import Plan
from pytest_phases.plan.markdown import read_markdown
from pytest_phases.ratchet import floors, ratcheted

PLAN = """
## Phase 1: A
coverage: ratchet
covers: [src/a]
### Stream X: x
covers: [src/a/x]
### Stream Y: y
## Phase 2: B
coverage: 70
"""


@dataclass(frozen=True)
class Past:
    """Runs that are remembered, the newest first: the record, the state of phase 1, and what it reached."""

    ran: tuple[tuple[RunRecord, State, float | None], ...]

    def runs(self, plan_file: str) -> tuple[RunRecord, ...]:
        """All of a plan."""
        return tuple(run for run, _, _ in self.ran if run.plan_file == plan_file)

    def _of(self, run_id: str) -> tuple[State, float | None]:
        return next((state, reached) for run, state, reached in self.ran if run.run_id == run_id)

    def phases(self, run_id: str) -> tuple[PhaseRecord, ...]:
        """Phase 1, which there always is."""
        return (PhaseRecord("1", "phase", "A", self._of(run_id)[0]),)

    def figures(self, run_id: str) -> tuple[FigureRecord, ...]:
        """Its figure, and one of the gate that is called alike."""
        reached = self._of(run_id)[1]
        return (
            FigureRecord("1", "gate", 0.0, 99.0, 0),
            FigureRecord("1", "phase", 0.0, reached, 0, "" if reached is not None else "not measured"),
        )


def run(run_id: str, commit: str | None = None, *, dirty: bool = False) -> RunRecord:
    """A run of the plan."""
    return RunRecord(run_id, "2024-05-01T10:00:00Z", "plan.md", "sha", commit=commit, dirty=dirty)


@pytest.fixture(scope="module")
def plan() -> Plan:
    """A phase that says ratchet, with one stream that covers something and one that does not."""
    read, problems = read_markdown(PLAN, "plan.md")
    assert problems == ()
    return read


def test_thresholds_are_what_was_reached(plan: Plan) -> None:
    """A stream that covers something has a floor of its own, and who has none yet must reach 0 per cent."""
    units = {unit.id: unit.coverage for unit in ratcheted(plan, {"1": 85.5}).units()}
    assert units == {"1": 85.5, "1/X": 0.0, "1/Y": None, "2": 70}


@pytest.mark.parametrize(
    ("past", "floor"),
    [
        pytest.param([], None, id="no-run"),
        pytest.param([(run("r1"), State.GREEN, 80.5)], 80.5, id="green"),
        pytest.param([(run("r1"), State.RED, 80.5)], None, id="red"),
        pytest.param([(run("r1"), State.GREEN, None)], None, id="not-measured"),
        pytest.param([(run("r2"), State.GREEN, 70.0), (run("r1"), State.GREEN, 80.0)], 70.0, id="the-last"),
        pytest.param([(run("r2"), State.RED, 70.0), (run("r1"), State.GREEN, 80.0)], 80.0, id="last-green"),
        pytest.param([(run("r2", dirty=True), State.GREEN, 99.0)], None, id="not-of-its-commit"),
    ],
)
def test_the_last_green_run_counts(
    plan: Plan, tmp_path: Path, past: list[tuple[RunRecord, State, float | None]], floor: float | None
) -> None:
    """Its own figure, which was measured in the tree of its commit, is the floor."""
    found = floors(ratcheted(plan, {}), "plan.md", tmp_path, Past(tuple(past)))
    assert found.get("1") == floor


def test_a_run_on_another_branch_sets_no_floor(plan: Plan, tmp_path: Path) -> None:
    """Only what comes before the commit that is checked out, or is it, counts."""

    def git(*words: str) -> str:
        who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
        return subprocess.run(
            ["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "first")
    first = git("rev-parse", "HEAD")
    git("checkout", "-q", "-b", "other")
    git("commit", "-q", "--allow-empty", "-m", "elsewhere")
    elsewhere = git("rev-parse", "HEAD")
    git("checkout", "-q", "main")
    git("commit", "-q", "--allow-empty", "-m", "second")
    past = Past(
        (
            (run("r3", elsewhere), State.GREEN, 99.0),
            (run("r2", "0" * 40), State.GREEN, 98.0),
            (run("r1", first), State.GREEN, 80.0),
        )
    )
    assert floors(plan, "plan.md", tmp_path, past) == {"1": 80.0}
    git("checkout", "-q", "other")
    assert floors(plan, "plan.md", tmp_path, past) == {"1": 99.0}
