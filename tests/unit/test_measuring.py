"""Whether a run measures coverage, of what, and which thresholds it cannot judge."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_phases.coverage.early import REFUSED
from pytest_phases.coverage.judge import CoverageJudge
from pytest_phases.measuring import has_threshold, judge_of, measured
from pytest_phases.model import Plan
from pytest_phases.plan.markdown import read_markdown
from pytest_phases.settings import Settings
from pytest_phases.table import Table

PLAN = """
### Phase 1: Library
covers: [src/library, one.py]
coverage: 80
### Phase 2: Program
tests: [tests]
#### Stream A: One
covers: [one.py]
coverage: 50
### Sync: Frozen
coverage: 70
### Phase 3: Other
### Gate: Release
coverage: 60
"""


def plan_of(text: str) -> Plan:
    """The plan of a text, which is well written."""
    plan, problems = read_markdown(text, "plan.md")
    assert not problems
    return plan


THRESHOLDS = {
    "phases and nothing more": ("### Phase 1: A\n### Sync: S\n### Phase 2: B\n", False),
    "covers alone demand nothing": ("### Phase 1: A\ncovers: [a]\n### Gate: G\n", False),
    "a phase": ("### Phase 1: A\ncoverage: 85\n", True),
    "a phase with little to reach": ("### Phase 1: A\ncoverage: 0.1\n", True),
    "a stream": ("### Phase 1: A\n#### Stream A: B\ncoverage: 85\n", True),
    "a sync point": ("### Phase 1: A\n### Sync: S\ncoverage: 85\n### Phase 2: B\n", True),
    "the gate": ("### Phase 1: A\n### Gate: G\ncoverage: 85\n", True),
}


@pytest.mark.parametrize(("text", "has"), THRESHOLDS.values(), ids=THRESHOLDS.keys())
def test_a_plan_has_a_threshold_wherever_it_states_one(text: str, has: bool) -> None:
    """Without one nothing is measured."""
    plan = plan_of(text)
    assert has_threshold(plan) is has
    assert (measured(plan, Path("/root")) is not None) is has


def test_what_is_measured_is_what_the_thresholds_are_about() -> None:
    """Each path once, as a file and as a folder, since a stage may make either."""
    assert measured(plan_of(PLAN), Path("/root")) == (
        "/root/src/library",
        "/root/src/library/*",
        "/root/one.py",
        "/root/one.py/*",
    )


def test_without_a_threshold_coverage_is_not_even_imported() -> None:
    """The whole plugin is imported in the process that looks."""
    code = (
        "import sys; from pytest_phases import plugin, wiring, measuring, model\n"
        "assert measuring.judge_of(None, None, model.Plan(), None, None) is None\n"
        "assert 'coverage' not in sys.modules, 'imported'"
    )
    # Whoever measures this process would measure that one too.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# Who judges --------------------------------------------------------------------------------------


def judge(
    root: Path,
    table: Table | None = None,
    *,
    text: str = PLAN,
    include: tuple[str, ...] | None = (),
    cov: object = None,
    refused: str = "",
    **options: object,
) -> CoverageJudge | None:
    """Who judges a run of the plan; `cov` is what pytest-cov measures with."""
    stash = pytest.Stash()
    if refused:
        stash[REFUSED] = refused
    plugin = None if cov is None else SimpleNamespace(cov_controller=SimpleNamespace(cov=cov))
    config: Any = SimpleNamespace(
        rootpath=root,
        option=SimpleNamespace(**options),
        stash=stash,
        pluginmanager=SimpleNamespace(getplugin=lambda name: plugin),
    )
    settings = Settings(measured=include)
    return judge_of(config, settings, plan_of(text), table or Table(), lambda part: None)


def test_without_a_threshold_nobody_judges(tmp_path: Path) -> None:
    """And what an earlier run has measured is none of its business."""
    assert judge(tmp_path, text="### Phase 1: A\n") is None


def test_every_threshold_is_judged_where_every_test_runs(tmp_path: Path) -> None:
    """The gate's own in the end."""
    found = judge(tmp_path)
    assert found is not None
    assert list(found.judged) == ["1", "2/A", "sync:1"]
    assert found.notes == ()


LEFT_OUT = {
    "a test of phase 1": ("1", ["2/A"]),
    "a test of phase 2, but none of its stream": ("2", ["1", "2/A"]),
    "a test of the stream": ("2/A", ["1"]),
    "a test of phase 3, which the gate alone looks at": ("3", ["1", "2/A", "sync:1"]),
    "an unphased test": ("unphased", ["1", "2/A", "sync:1"]),
}


@pytest.mark.parametrize(("phase", "left"), LEFT_OUT.values(), ids=LEFT_OUT.keys())
def test_thresholds_that_miss_tests_are_not_judged(tmp_path: Path, phase: str, left: list[str]) -> None:
    """Deselecting a test is no shortfall, and no success of those that it counts for."""
    found = judge(tmp_path, Table(left_out=(("t.py::test", phase),)))
    assert found is not None
    assert list(found.judged) == left
    (note,) = found.notes
    assert note.endswith("gate (Release) is not judged: some of its tests were deselected")


def test_where_not_all_was_collected_nothing_is_judged(tmp_path: Path) -> None:
    """Nobody knows which tests are missing."""
    found = judge(tmp_path, Table(uncollected="only tests/a.py was asked for", left_out=(("t", "1"),)))
    assert found is not None
    assert list(found.judged) == []
    assert len(found.notes) == 1
    assert found.notes[0].endswith("is not judged: only tests/a.py was asked for")


def by(context: str | None) -> object:
    """A measurement of pytest-cov with this for its `dynamic_context`."""
    return SimpleNamespace(config=SimpleNamespace(dynamic_context=context))


IMPOSSIBLE = {
    "--no-cov": ({"no_cov": True}, "--no-cov was given; leave it out"),
    "markers alone": ({"include": None}, "write it into the plan"),
    "a configuration that coverage.py refuses": ({"refused": "pyproject.toml: no"}, "pyproject.toml: no"),
    "contexts of another kind": ({"cov": by("test_function")}, "remove it, or use --cov-context=test"),
}
POSSIBLE = {
    "nobody measures": {},
    "pytest-cov does": {"cov": by(None)},
    "pytest-cov with contexts of no kind": {"cov": by("none")},
}


@pytest.mark.parametrize(("options", "reason"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_what_cannot_be_measured_is_missed_with_what_to_do(
    tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    """No threshold is silently green."""
    found = judge(tmp_path, **options)
    assert found is not None
    figure = found.judge("1")
    assert figure is not None
    assert (figure.passed, figure.reached) == (False, None)
    assert reason in figure.problem


@pytest.mark.parametrize("options", POSSIBLE.values(), ids=POSSIBLE.keys())
def test_what_can_be_measured_is_expected_of_workers(tmp_path: Path, options: dict[str, Any]) -> None:
    """A part for each phase that they run items of."""
    found = judge(tmp_path, **options)
    assert found is not None
    assert ("1", "gw0") in found.expect("1", "gw0")
