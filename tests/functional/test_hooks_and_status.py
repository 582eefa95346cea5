"""What other plugins and outside observers are told: our hooks, and PARALLEL_STATUS.json."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from datetime import datetime

import pytest

from pytest_phases import events

RECORDING = """
import dataclasses
from journal import note

def pytest_phases_run_started(config, event):
    note("run_started", given=dataclasses.asdict(event), options=bool(config.option))

def pytest_phases_phase_changed(config, event):
    note("phase_changed", given=dataclasses.asdict(event), title=event.title)

def pytest_phases_wave_closed(config, event):
    note("wave_closed", given=dataclasses.asdict(event))

def pytest_phases_run_finished(config, result):
    note("run_finished", given=dataclasses.asdict(result))
"""

PLAN = """\
### Phase 1: First
dependencies: []
modifies: [src/]
tests: [test_a.py]
#### Stream A: Part
tests: [test_part.py]
### Sync: Frozen
### Phase 2: Second
dependencies: [1]
tests: [test_b.py]
### Phase 3: Third
dependencies: [2]
tests: [test_c.py]
"""

COPIES_STATUS_AND_FAILS = """
import shutil

def test_b():
    shutil.copy(".phases/PARALLEL_STATUS.json", "seen.json")
    raise ValueError
"""


@pytest.fixture
def project(pytester, plan, journal):
    """Three phases, the second of which is red, with a stream and a sync point."""
    plan(PLAN)
    pytester.makepyfile(
        test_a="def test_a(): pass",
        test_part="def test_part(): pass",
        test_b=COPIES_STATUS_AND_FAILS,
        test_c="def test_c(): pass",
    )
    return pytester


@pytest.fixture
def status(pytester):
    """A function that reads PARALLEL_STATUS.json, checks its form, and returns the tasks by id."""

    def read(file: str = ".phases/PARALLEL_STATUS.json") -> dict:
        data = json.loads((pytester.path / file).read_text(encoding="utf-8"))
        assert set(data) == {"execution_id", "phase", "wave", "started", "tasks"}
        datetime.fromisoformat(data["started"])
        for task in data["tasks"]:
            assert set(task) == {"id", "name", "agent", "status", "paths", "started", "completed"}
        return data | {"tasks": {task["id"]: task for task in data["tasks"]}}

    return read


def statuses(data: dict) -> dict[str, str]:
    """The status of each task by its id."""
    return {name: task["status"] for name, task in data["tasks"].items()}


# Hooks --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(("workers", "agents"), [("-n0", {"main"}), ("-n2", {"gw0", "gw1"})])
def test_a_conftest_follows_the_run_through_hooks(workers, agents, project, run, journal):
    """Each hook is called in the process that was started, in order, with the fields of its event."""
    project.makeconftest(RECORDING)
    assert run("--phases", "plan.md", workers).ret == pytest.ExitCode.TESTS_FAILED
    assert len({record["pid"] for record in journal.records}) == 1
    assert (journal.names[0], journal.names[-1]) == ("run_started", "run_finished")
    given = {name: [] for name in journal.names}
    for record in journal.records:
        given[record["name"]].append(record["given"])
    for name, kind in [
        ("run_started", events.RunStarted),
        ("phase_changed", events.PhaseChanged),
        ("wave_closed", events.WaveClosed),
        ("run_finished", events.RunResult),
    ]:
        assert all(set(event) == set(kind.__dataclass_fields__) for event in given[name])
    changed = [(event["id"], event["old"], event["new"]) for event in given["phase_changed"]]
    assert [change for change in changed if change[0] in "123"] == [
        ("1", "waiting", "open"),
        ("1", "open", "green"),
        ("2", "waiting", "open"),
        ("2", "open", "failing"),
        ("3", "waiting", "blocked"),
        ("2", "failing", "red"),
    ]
    assert ("1/A", "open", "green") in changed
    last = {event["id"]: event for event in given["phase_changed"]}
    assert (last["1"]["kind"], last["1/A"]["kind"]) == ("phase", "stream")
    assert "sync point" in {event["kind"] for event in last.values()}
    assert last["3"]["reason"] == "blocked by phase 2 (1 failed)"
    assert last["1"]["tally"]["passed"] == 2
    assert set(last["2"]["agents"]) <= agents
    assert [event["number"] for event in given["wave_closed"]] == [1, 2, 3]
    (started,), (finished,) = given["run_started"], given["run_finished"]
    assert started["waves"] == [["1"], ["2"], ["3"]]
    assert started["run_id"] == finished["run_id"]
    assert finished["workers"] == len(agents)
    ended = {phase["id"]: phase for phase in finished["phases"]}
    assert (ended["3"]["state"], ended["3"]["blocked_by"]) == ("blocked", ["2"])
    assert "phase 1 (First)" in {record.get("title") for record in journal.records}


HOOKS_OF_TESTS = """
import pytest

def pytest_runtest_setup(item):
    item.function

def pytest_runtest_teardown(item):
    item.function

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    item.function
    return (yield)
"""


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_hooks_for_tests_see_tests_alone(workers, pytester, plan, run):
    """A conftest that takes every item of a set-up or teardown for a function is right."""
    plan("### Phase 1: First\ntests: [test_a.py]\n### Phase 2: Second\ntests: [test_b.py]\n")
    pytester.makeconftest(HOOKS_OF_TESTS)
    pytester.makepyfile(test_a="def test_a(): pass", test_b="def test_b(): pass")
    result = run("--phases", "plan.md", workers)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    result.assert_outcomes(passed=2)


# PARALLEL_STATUS.json -----------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_the_status_is_current_while_a_run_goes_on(project, run, status):
    """What a test of the second phase reads there, and what stands there in the end."""
    run("--phases", "plan.md", "-n2")
    seen = status("seen.json")
    assert seen["phase"] == ["2"]
    assert seen["wave"] == 2
    assert statuses(seen) == {"1": "completed", "1/A": "completed", "2": "in_progress", "3": "waiting"}
    assert seen["tasks"]["2"]["agent"] in ("gw0", "gw1")
    first = seen["tasks"]["1"]
    assert (first["name"], first["paths"]) == ("First", ["src/"])
    assert set(first["agent"].split(", ")) <= {"gw0", "gw1"}
    assert datetime.fromisoformat(first["started"]) <= datetime.fromisoformat(first["completed"])
    final = status()
    assert final["execution_id"] == seen["execution_id"]
    assert final["phase"] == []
    assert statuses(final) == {"1": "completed", "1/A": "completed", "2": "failed", "3": "blocked"}
    assert final["tasks"]["3"]["started"] is None
    assert (project.path / ".phases" / ".gitignore").read_text() == "*\n"
    assert not list((project.path / ".phases").glob(".PARALLEL*"))


@pytest.mark.parametrize(
    ("source", "options", "second"),
    [
        pytest.param("def test_b(): assert 0", ["-n2", "-x"], "failed", id="x"),
        pytest.param("import os\ndef test_b(): os._exit(1)", ["-n2"], "failed", id="crash"),
        pytest.param("import no_such_module", ["-n2"], "failed", id="collection"),
        pytest.param("def test_b(): raise KeyboardInterrupt", ["-n0"], "interrupted", id="interrupt"),
    ],
)
def test_the_status_is_whole_however_a_run_ends(source, options, second, project, run, status):
    """After `-x`, a crash, a collection error and an interrupt nothing is left open in the file."""
    project.makepyfile(test_b=source)
    assert run("--phases", "plan.md", *options).ret != pytest.ExitCode.OK
    final = status()
    assert final["phase"] == []
    assert statuses(final)["2"] == second
    assert not {"waiting", "in_progress"} & set(statuses(final).values())


def test_ctrl_c_closes_what_was_open(project, status, journal):
    """A run that is interrupted from outside says so of every phase that was not over."""
    project.makepyfile(
        test_b="import time\nfrom journal import note\ndef test_b():\n    note('b')\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-mpytest", "--phases", "plan.md", "-n1"]
    with subprocess.Popen(command, cwd=project.path, stdout=subprocess.DEVNULL) as process:
        while "b" not in journal.names and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == pytest.ExitCode.INTERRUPTED
    assert statuses(status()) == {
        "1": "completed", "1/A": "completed", "2": "interrupted", "3": "interrupted",
    }  # fmt: skip


def test_a_folder_that_cannot_be_written_changes_no_outcome(pytester, plan, run):
    """A file in place of `.phases` is one warning about the status; tests and stages run all the same."""
    plan("### Phase 1: First\ntests: [test_a.py]\nBuild:\n```bash\necho hello\n```\n")
    pytester.makepyfile(test_a="def test_a(): pass")
    (pytester.path / ".phases").touch()
    result = run("--phases", "plan.md", "-n2")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    result.assert_outcomes(passed=2)
    assert result.stdout.str().count("the status of this run is not recorded") == 1
    assert result.stderr.str() == ""
    assert (pytester.path / ".phases").is_file()
