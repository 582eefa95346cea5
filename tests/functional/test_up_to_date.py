"""Stages that need not run, and what is left of those that did not end: as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_phases.stages.outputs import recover

WORKERS = pytest.mark.parametrize("workers", ["-n2", "-n0"])

# A stage interrupts or kills the worker that runs it.
CONFTEST = """
import os

os.environ["WORKER_PID"] = str(os.getpid())
"""

PLAN = """
### Phase 1: Build
Build: wheel
inputs: [src]
outputs: [dist]
```bash
echo wheel >> ran
mkdir -p dist
cat src/*.txt > dist/wheel
echo built
```
Testing: lint
inputs: [src/*.txt]
```bash
echo lint >> ran
```
Build: always
```bash
echo always >> ran
```
### Phase 2: Use
tests: [test_use.py]
"""


@pytest.fixture
def project(pytester: pytest.Pytester, beside: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one input, whose stages know their worker."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_use="def test_use(): assert open('dist/wheel').read()")
    (pytester.path / "src").mkdir()
    (pytester.path / "src/a.txt").write_text("a")
    return pytester.path


def _ran(project: Path) -> set[str]:
    """The stages that have run since this was asked last."""
    ran = set((project / "ran").read_text().split())
    (project / "ran").unlink()
    return ran


@WORKERS
def test_what_is_up_to_date_is_not_run(project, plan, run, outcomes, workers):
    """A stage runs again once something changed, or when asked to; else it passes, and reports say so."""
    plan(PLAN)
    log = project / ".phases/logs/1/build-wheel.log"
    note = "pytest-phases: up to date; nothing was run (--phases-force runs it)\n"
    everything = {"wheel", "lint", "always"}
    steps = [
        (None, [], everything, "runs: no good end of it is known"),
        (None, [], {"always"}, "up to date"),
        ("src/b.txt", [], everything, "runs: src/b.txt is new"),
        (None, ["--phases-force"], everything, "runs: --phases-force"),
    ]
    for new_file, options, expected, told in steps:
        if new_file is not None:
            (project / new_file).write_text("b")
        result = run("--phases", "plan.md", workers, "-rP", *options)
        assert result.ret == 0, result.stdout.str()
        said = "phase 1: stage build-wheel is up to date" in result.stdout.str()
        assert said is ("wheel" not in expected)
        result.stdout.fnmatch_lines([f"stage build-wheel: {told}"])
        assert set(outcomes().as_dict().values()) == {"passed"}
        assert _ran(project) == expected
        assert log.read_text() == f"built\n{'' if 'wheel' in expected else note}"
        marked = (project / "junit.xml").read_text().count('<property name="phases" value="up to date"')
        assert marked == 3 - len(expected)


def test_an_input_that_changes_while_a_stage_runs(project, plan, run):
    """What a stage may have read too early or too late makes it run again."""
    plan(PLAN.replace("echo built", "test -e src/late.txt || echo late > src/late.txt"))
    for expected in ({"wheel", "lint", "always"}, {"wheel", "always"}, {"always"}):
        assert run("--phases", "plan.md", "-n0").ret == 0
        assert _ran(project) - {"lint"} == expected - {"lint"}


BAD_END = """
### Phase 1: Build
timeout: {timeout}
Build: wheel
inputs: [src]
outputs: [dist, src]
```bash
mkdir -p dist
echo half > dist/wheel
echo half > src/generated.txt
{end}
```
"""

CUT_OFF = "stage build-wheel of phase 1 was cut off: outputs of the unfinished stage were moved"
ASIDE = ["dist", "dist/wheel", "src", "src/generated.txt"]


def _aside(project: Path) -> list[str]:
    (folder,) = (project / ".phases/interrupted/1/build-wheel").iterdir()
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@WORKERS
@pytest.mark.parametrize(
    ("end", "timeout", "described"),
    [
        pytest.param("exit 3", "1m", "exit status 3", id="failed"),
        pytest.param("sleep 60", "0.5s", "timed out after 0.5 s", id="timed out"),
        pytest.param("kill -TERM $$", "1m", "ended by signal SIGTERM", id="ended by a signal"),
    ],
)
def test_outputs_of_a_stage_that_ended_badly_are_moved_aside(
    project, plan, run, outcomes, workers, end, timeout, described
):
    """Report and log say where they are, and what was there before and is unaltered is still there."""
    plan(BAD_END.format(end=end, timeout=timeout))
    assert run("--phases", "plan.md", workers).ret == 1
    first, second, *_ = outcomes().message("build-wheel").splitlines()
    assert first.startswith(described)
    moved = "outputs of the unfinished stage were moved to .phases/interrupted/1/build-wheel/"
    assert second.startswith(moved)
    assert f"pytest-phases: {moved}" in (project / ".phases/logs/1/build-wheel.log").read_text()
    assert not (project / "dist").exists()
    assert [path.name for path in (project / "src").iterdir()] == ["a.txt"]
    assert _aside(project) == ASIDE


@WORKERS
def test_after_ctrl_c_outputs_are_moved_aside(project, plan, run, workers):
    """An interrupt that reaches the process of the stage leaves nothing that looks finished."""
    plan(BAD_END.format(end="kill -INT $WORKER_PID; sleep 60", timeout="1m"))
    assert run("--phases", "plan.md", workers).ret != 0
    recover(project, project / ".phases")
    assert not (project / "dist").exists()
    assert _aside(project) == ASIDE


def test_after_kill_the_next_run_moves_them_aside(project, plan, run):
    """The one process that was killed leaves word of the stage that it was running."""
    plan(BAD_END.format(end="kill -KILL $WORKER_PID; sleep 60", timeout="1m"))
    assert run("--phases", "plan.md", "-n0").ret != 0
    marker = project / ".phases/running/1/build-wheel.json"
    assert json.loads(marker.read_text())["outputs"] == ["dist", "src"]
    (said,) = recover(project, project / ".phases")
    assert said.startswith(CUT_OFF)
    assert not (project / "dist").exists()
    assert _aside(project) == ASIDE
    assert not marker.exists()


def test_what_a_killed_worker_leaves_is_moved_aside_in_the_end(project, plan, run):
    """The run goes on without it, and sees to its stage itself."""
    plan(BAD_END.format(end="kill -KILL $WORKER_PID; sleep 60", timeout="1m"))
    result = run("--phases", "plan.md", "-n2")
    assert result.ret == 1
    assert CUT_OFF in result.stdout.str()
    assert not (project / "dist").exists()
    assert _aside(project) == ASIDE
    assert not (project / ".phases/running/1/build-wheel.json").exists()


def test_with_warnings_as_errors_a_bad_end_is_still_told(project, plan, run, outcomes):
    """What could not be written beside a failure is part of its message."""
    plan(BAD_END.format(end="rm -r .phases/running; touch .phases/running; exit 3", timeout="1m"))
    assert run("--phases", "plan.md", "-n0", "-W", "error").ret == 1
    message = outcomes().message("build-wheel")
    assert message.startswith("exit status 3: stage build-wheel of phase 1")
    assert "the next run will take it for one that was cut off: " in message
