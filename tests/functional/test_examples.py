"""The examples do what their pages say: the quick start is never stale, and the streams have a gate."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

HEADERS = Path(sysconfig.get_path("include"), "Python.h")
# What runs leave in a folder; a copy begins without.
LEFT = shutil.ignore_patterns(
    ".coverage*", ".phases", ".pytest_cache", "*.so", "__pycache__", "build", "htmlcov"
)
# What a run around this one, or around that, has put into the environment.
FOREIGN = ("COVERAGE_", "COV_", "GIT_", "PHASES_", "PYTEST_")


def _start(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    alone = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return subprocess.run(command, cwd=folder, env=alone, capture_output=True, text=True, check=False)


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the plan in a process of its own, on two workers, and return what it printed."""
    options = ("--phases", "plan.md", "-n2", "-p", "no:cacheprovider")
    return _start(folder, sys.executable, "-m", "pytest", *options, *arguments)


# The quick start ------------------------------------------------------------------------------


@pytest.fixture
def quickstart(project: Path, tmp_path: Path) -> Path:
    """A copy of the quick start in which nothing has been built."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler `cc`")
    if not HEADERS.exists():
        pytest.skip(f"no {HEADERS}")
    return Path(shutil.copytree(project / "examples" / "quickstart", tmp_path / "quickstart", ignore=LEFT))


def test_the_quick_start_is_green(quickstart: Path) -> None:
    """All four phases pass, and the extension was compiled by the run itself."""
    run = _run(quickstart)
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(list((quickstart / "spelling").glob("_distance*.so"))) == 1


def test_a_change_of_the_c_source_is_what_the_tests_see(quickstart: Path) -> None:
    """On a second run the tests see the C code as it is now, not the extension that the first run left."""
    source = quickstart / "spelling" / "_distance.c"
    right = source.read_text(encoding="utf-8")
    assert _run(quickstart).returncode == 0
    source.write_text(right.replace("row[j - 1]) + 1)", "row[j - 1]) + 2)"), encoding="utf-8")
    wrong = _run(quickstart)
    assert wrong.returncode == 1, wrong.stdout
    assert "test_known_distances" in wrong.stdout
    assert "blocked by phase" in _run(quickstart, "-rs").stdout
    source.write_text(right, encoding="utf-8")
    assert _run(quickstart).returncode == 0


def test_a_build_that_fails_blocks_every_test(quickstart: Path) -> None:
    """If the extension does not compile, nothing is tested against the one of the run before."""
    assert _run(quickstart).returncode == 0
    source = quickstart / "spelling" / "_distance.c"
    source.write_text(source.read_text(encoding="utf-8") + "no C at all\n", encoding="utf-8")
    run = _run(quickstart)
    assert run.returncode == 1, run.stdout
    assert "no C at all" in run.stdout
    assert "blocked by phase 1" in run.stdout
    assert "test_known_distances" not in run.stdout


# The streams ------------------------------------------------------------------------------------


APPROVALS = ("postmaster", "security")
THRESHOLDS = {"2/A": 85, "2/B": 85, "sync:1": 75, "gate": 85}
DEPLOYED = "would copy parcels/label.py to the counter"
COMMAND = "from pytest_phases.cli import main; main()"


@pytest.fixture
def streams(project: Path, tmp_path: Path) -> Path:
    """A copy of the streams that was never run."""
    return Path(shutil.copytree(project / "examples" / "streams", tmp_path / "streams", ignore=LEFT))


def _phases(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call `pytest-phases` in a folder."""
    return _start(folder, sys.executable, "-c", COMMAND, *arguments)


def _approve(folder: Path) -> None:
    for name in APPROVALS:
        given = _phases(folder, "approve", name, "--by", "me@example.org")
        assert given.returncode == 0, given.stdout + given.stderr


def _verdict(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / ".phases" / "verdict.json").read_text(encoding="utf-8"))
    return data


def test_the_streams_are_green_and_lack_their_approvals(streams: Path) -> None:
    """Every threshold is judged and reached; the gate waits for people and says for which."""
    run = _run(streams)
    verdict = _verdict(streams)
    assert run.returncode == 0, run.stdout + run.stderr
    assert {phase["id"]: phase["state"] for phase in verdict["phases"]} == dict.fromkeys(
        ("1", "2", "2/A", "2/B", "3"), "green"
    )
    assert {each["id"]: each["required"] for each in verdict["coverage"]} == THRESHOLDS
    assert all(each["reached"] >= each["required"] for each in verdict["coverage"])
    assert [each["decision"] for each in verdict["reasons"]] == ["pending", "pending"]
    gate = _phases(streams, "gate")
    assert gate.returncode == 1
    assert gate.stdout.startswith("gate (Deployment): pending\n")
    assert [name for name in APPROVALS if f"approval {name}: not given" in gate.stdout] == [*APPROVALS]


def test_the_streams_are_deployed_once_they_are_approved(streams: Path) -> None:
    """With both approvals the gate is green, the deploy stage runs, and the gate stays green."""
    _run(streams)
    _approve(streams)
    gate = _phases(streams, "gate")
    assert (gate.returncode, gate.stdout) == (0, "gate (Deployment): green\n")
    run = _run(streams, "--phases-deploy")
    assert run.returncode == 0, run.stdout + run.stderr
    assert DEPLOYED in run.stdout
    (deployed,) = _verdict(streams)["deploys"]
    assert (deployed["stage"], deployed["ok"]) == ("deploy-counter", True)
    assert _phases(streams, "gate").returncode == 0


def test_the_streams_are_not_deployed_without_approvals(streams: Path) -> None:
    """Asked to deploy while approvals are missing, the run fails and starts nothing."""
    run = _run(streams, "--phases-deploy")
    assert run.returncode == 1, run.stdout
    assert DEPLOYED not in run.stdout
    assert _verdict(streams)["deploys"] == []


CUT = [
    pytest.param("2/A", "2/B", "tests/test_postage.py", "def test_abroad", id="A"),
    pytest.param("2/B", "2/A", "tests/test_customs.py", "def test_goods_of_little_value", id="B"),
]


@pytest.mark.parametrize(("stream", "other", "tests", "where"), CUT)
def test_a_stream_with_too_few_tests_is_red_and_its_sibling_is_not(
    stream: str, other: str, tests: str, where: str, streams: Path
) -> None:
    """Each stream answers for its own code; what needs the two is blocked, and the gate is red."""
    file = streams / tests
    kept, _, gone = file.read_text(encoding="utf-8").partition(f"\n\n\n{where}")
    assert gone
    file.write_text(f"{kept}\n", encoding="utf-8")

    run = _run(streams)

    verdict = _verdict(streams)
    assert run.returncode == 1, run.stdout
    states = {phase["id"]: phase["state"] for phase in verdict["phases"]}
    assert states == {"1": "green", "2": "red", stream: "red", other: "green", "3": "blocked"}
    missed = {each["id"] for each in verdict["coverage"] if each["reached"] < each["required"]}
    # The gate's own threshold is about all code, that of the phase which is blocked as well.
    assert missed - {"gate"} == {stream}
    assert verdict["decision"] == "red"


def test_another_checkout_of_the_commit_is_judged_by_what_the_run_left(streams: Path, tmp_path: Path) -> None:
    """As in the snippets for CI: one job tests and hands over `.phases`, another one asks the gate."""
    if shutil.which("git") is None:
        pytest.skip("no git")
    for command in (
        "init -q -b main",
        "add -A",
        "-c user.name=me -c user.email=me@example.org commit -qm one",
    ):
        done = _start(streams, "git", *command.split())
        assert done.returncode == 0, done.stderr
    commit = _start(streams, "git", "rev-parse", "HEAD").stdout.strip()
    assert _run(streams).returncode == 0
    assert _start(tmp_path, "git", "clone", "-q", "streams", "deploy").returncode == 0
    deploy = tmp_path / "deploy"
    shutil.copytree(streams / ".phases", deploy / ".phases")
    _approve(deploy)

    gate = _phases(deploy, "gate", "--expect-commit", commit, "--plan-from", "origin/main")

    assert (gate.returncode, gate.stdout) == (0, "gate (Deployment): green\n")
    assert _phases(deploy, "gate", "--expect-commit", "0" * 40).returncode == 1
