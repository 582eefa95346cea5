"""What a stage inherits and what it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_phases.stages.environment import stage_environment


def environment(**base: str) -> dict[str, str]:
    """The environment of a stage of phase 2, started from `base` by the Python in /venv/bin."""
    return stage_environment(
        base, "2", "build-wheel", "a1b2", Path("/p/.phases"), "plan.md", "/venv/bin/python3"
    )


def test_a_stage_is_told_what_it_is_part_of() -> None:
    """Phase, stage, run, folder and plan stand in variables of their own."""
    assert {name: value for name, value in environment().items() if name != "PATH"} == {
        "PHASES_PHASE": "2",
        "PHASES_STAGE": "build-wheel",
        "PHASES_RUN_ID": "a1b2",
        "PHASES_DIR": str(Path("/p/.phases")),
        "PHASES_PLAN": "plan.md",
    }


@pytest.mark.parametrize("path", ["/usr/bin", ""])
def test_the_interpreters_folder_comes_first_on_path(path: str) -> None:
    """`python` in a script is the Python of the run; without a PATH the system's default follows."""
    expected = os.pathsep.join([str(Path("/venv/bin")), path or os.defpath])
    assert environment(PATH=path)["PATH"] == expected


@pytest.mark.parametrize(
    "name",
    [
        "PYTEST_XDIST_WORKER",
        "PYTEST_XDIST_TESTRUNUID",
        "PYTEST_CURRENT_TEST",
        "PYTEST_VERSION",
        "COVERAGE_PROCESS_START",
        "COVERAGE_PROCESS_CONFIG",
        "COVERAGE_RUN",
        "COVERAGE_FILE",
        "COV_CORE_SOURCE",
        "COV_CORE_DATAFILE",
    ],
)
def test_what_belongs_to_the_worker_is_not_inherited(name: str) -> None:
    """A stage is no test, no xdist worker, and not measured into the worker's coverage data."""
    assert name not in environment(**{name: "x"})


@pytest.mark.parametrize("name", ["HOME", "PYTEST_ADDOPTS", "COVERAGE_CORE", "COVERAGE_RCFILE", "PYTHONPATH"])
def test_everything_else_is_inherited(name: str) -> None:
    """What a user sets for programs in general, or for pytest and coverage wherever they run, stays."""
    assert environment(**{name: "x"})[name] == "x"
