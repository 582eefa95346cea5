"""What other plugins and outside observers are told: our hooks, and the two files of live status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

import pytest
from click.testing import CliRunner

from pytest_phases import events
from pytest_phases.cli import main
from pytest_phases.state.seen import STATUS_FIELDS

RECORDING = """
import dataclasses
from journal import note

def pytest_phases_run_started(config, event):
    note("run_started", given=dataclasses.asdict(event), options=bool(config.option))

def pytest_phases_phase_changed(config, event):
    note("phase_changed", given=dataclasses.asdict(event), title=event.title)

def pytest_phases_wave_closed(config, event):
    note("wave_closed", given=dataclasses.asdict(event))

def pytest_phases_item_started(config, event):
    note("item_started", given=dataclasses.asdict(event))

def pytest_phases_item_ended(config, event):
    note("item_ended", given=dataclasses.asdict(event))

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

FAILS_ONCE_IT_IS_SEEN = """
import json, subprocess, sys, time

def test_b():
    # Nothing else happens now: what is seen here was written though the run waits for this test.
    seen, end = {"workers": []}, time.monotonic() + 30
    while "test_b.py::test_b" not in [worker["item"] for worker in seen["workers"]]:
        assert time.monotonic() < end
        code = "from pytest_phases.cli import main; main()"
        shown = subprocess.run([sys.executable, "-c", code, "status", "--json"], stdout=subprocess.PIPE)
        seen = json.loads(shown.stdout)
    with open("seen.json", "w") as file:
        json.dump(seen, file)
    raise ValueError
"""


@pytest.fixture
def project(pytester, plan, journal):
    """Three phases, the second of which is red, with a stream and a sync point."""
    plan(PLAN)
    pytester.makepyfile(
        test_a="def test_a(): pass",
        test_part="def test_part(): pass",
        test_b=FAILS_ONCE_IT_IS_SEEN,
        test_c="def test_c(): pass",
    )
    return pytester


@pytest.fixture
def status(pytester):
    """A function that reads PARALLEL_STATUS.json, or a copy, and returns it with its tasks by id."""

    def read(file: str = ".phases/PARALLEL_STATUS.json") -> dict:
        data = json.loads((pytester.path / file).read_text(encoding="utf-8"))
        assert set(data) >= set(STATUS_FIELDS)
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
        ("item_started", events.ItemStarted),
        ("item_ended", events.ItemEnded),
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
    items = {"test_a.py::test_a": "1", "test_part.py::test_part": "1/A", "test_b.py::test_b": "2"}
    for name in ("item_started", "item_ended"):
        assert {event["nodeid"]: event["phase"] for event in given[name]} == items
        assert {event["worker"] for event in given[name]} <= agents
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


# The files of live status ---------------------------------------------------------------------------


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_the_status_is_current_while_a_run_goes_on(workers, project, run, status):
    """What a test of the second phase sees of itself, and what stands there in the end."""
    run("--phases", "plan.md", workers)
    seen = status("seen.json")
    assert seen["phase"] == ["2"]
    assert seen["wave"] == 2
    assert statuses(seen) == {"1": "completed", "1/A": "completed", "2": "in_progress", "3": "waiting"}
    assert (seen["state"], seen["alive"]) == ("running", True)
    (working,) = [worker for worker in seen["workers"] if worker["item"] is not None]
    assert working["phase"] == "2"
    assert seen["tasks"]["2"]["agent"] == working["name"]
    first = seen["tasks"]["1"]
    assert (first["name"], first["paths"], first["percent"]) == ("First", ["src/"], 100)
    assert datetime.fromisoformat(first["started"]) <= datetime.fromisoformat(first["completed"])
    final = status()
    assert final["execution_id"] == seen["execution_id"]
    assert (final["state"], final["phase"], final["workers"]) == ("finished", [], [])
    assert statuses(final) == {"1": "completed", "1/A": "completed", "2": "failed", "3": "blocked"}
    assert (final["tasks"]["2"]["percent"], final["tasks"]["2"]["reason"]) == (100, "1 failed")
    third = final["tasks"]["3"]
    assert (third["started"], third["percent"], third["blocked_by"]) == (None, 0, ["2"])
    assert (project.path / ".phases" / ".gitignore").read_text() == "*\n"
    assert not list((project.path / ".phases").glob(".[!g]*"))


@pytest.mark.parametrize(
    ("source", "options", "second", "state"),
    [
        pytest.param("def test_b(): assert 0", ["-n2", "-x"], "failed", "interrupted", id="x"),
        pytest.param("import os\ndef test_b(): os._exit(1)", ["-n2"], "failed", "finished", id="crash"),
        pytest.param("import no_such_module", ["-n2"], "failed", "finished", id="collection"),
        pytest.param(
            "def test_b(): raise KeyboardInterrupt", ["-n0"], "interrupted", "interrupted", id="interrupt"
        ),
    ],
)
def test_the_status_is_whole_however_a_run_ends(source, options, second, state, project, run, status):
    """After `-x`, a crash, a collection error and an interrupt nothing is left open in the file."""
    project.makepyfile(test_b=source)
    assert run("--phases", "plan.md", *options).ret != pytest.ExitCode.OK
    final = status()
    assert (final["phase"], final["workers"], final["state"]) == ([], [], state)
    assert statuses(final)["2"] == second
    assert not {"waiting", "in_progress"} & set(statuses(final).values())
    locks = json.loads((project.path / ".phases" / "RESOURCE_LOCKS.json").read_text(encoding="utf-8"))
    assert (locks["execution_id"], locks["locks"], locks["waiting"]) == (final["execution_id"], [], [])


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_an_internal_error_leaves_nothing_open(workers, project, run, status):
    """A plugin that fails ends pytest, and the last state is written all the same."""
    project.makeconftest(
        "def pytest_runtest_logreport(report):\n    if 'test_b' in report.nodeid:\n        raise ValueError\n"
    )
    assert run("--phases", "plan.md", workers).ret == pytest.ExitCode.INTERNAL_ERROR
    final = status()
    assert (final["state"], final["phase"], final["workers"]) == ("interrupted", [], [])


def waits_in_b(project, journal) -> subprocess.Popen:
    """A run that stands in the second phase's test, until something is done about it."""
    project.makepyfile(
        test_b="import time\nfrom journal import note\ndef test_b():\n    note('b')\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-mpytest", "--phases", "plan.md", "-n1"]
    process = subprocess.Popen(
        command, cwd=project.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while "b" not in journal.names and process.poll() is None:
        time.sleep(0.05)
    return process


def test_ctrl_c_closes_what_was_open(project, status, journal):
    """A run that is interrupted from outside says so of every phase that was not over."""
    with waits_in_b(project, journal) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == pytest.ExitCode.INTERRUPTED
    assert status()["state"] == "interrupted"
    assert statuses(status()) == {
        "1": "completed", "1/A": "completed", "2": "interrupted", "3": "interrupted",
    }  # fmt: skip


def test_a_run_that_was_killed_is_not_taken_for_one_that_goes_on(project, status, journal):
    """The file says that it runs; the command looks for its process."""
    with waits_in_b(project, journal) as process:
        process.kill()
    assert status()["state"] == "running"
    result = CliRunner().invoke(main, ["status", "--root", str(project.path)])
    assert result.exit_code == 0
    assert f"was cut short: process {process.pid} is gone" in result.output


def test_a_folder_that_cannot_be_written_changes_no_outcome(pytester, plan, run):
    """A file in place of `.phases` is one warning; tests and stages run all the same."""
    plan("### Phase 1: First\ntests: [test_a.py]\nBuild:\n```bash\necho hello\n```\n")
    pytester.makepyfile(test_a="def test_a(): pass")
    (pytester.path / ".phases").touch()
    result = run("--phases", "plan.md", "-n2")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    result.assert_outcomes(passed=2)
    assert result.stdout.str().count("warning: this run is not recorded") == 1
    assert "PytestWarning" not in result.stdout.str()
    assert result.stderr.str() == ""
    assert (pytester.path / ".phases").is_file()


# Readers while they are written ----------------------------------------------------------------------

MANY = """
import time, pytest

@pytest.mark.parametrize("number", range(60))
def test_many(number):
    time.sleep(0.02)
"""
POLLS = 200
"""How often a second a reader looks."""


@contextmanager
def polled(folder):
    """Read both files again and again; what stood in each, in order and each state once."""
    found = {"PARALLEL_STATUS.json": [], "RESOURCE_LOCKS.json": []}
    stop = threading.Event()

    def read() -> None:
        while not stop.wait(1 / POLLS):
            for name, texts in found.items():
                with suppress(FileNotFoundError):
                    text = (folder / name).read_text(encoding="utf-8")
                    if texts[-1:] != [text]:
                        texts.append(text)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield found
    finally:
        stop.set()
        reader.join()


def test_a_reader_never_sees_half_a_file(pytester, plan, run):
    """Each of its reads is valid JSON; per cent only grows, and four states a second are all there are."""
    plan("### Phase 1: First\ntests: [test_a.py]\n### Phase 2: Second\ntests: [test_b.py]\n")
    pytester.makepyfile(test_a=MANY, test_b=MANY)
    with polled(pytester.path / ".phases") as found:
        assert run("--phases", "plan.md", "-n2").ret == pytest.ExitCode.OK
    states, locks = ([json.loads(text) for text in texts] for texts in found.values())
    assert locks
    percents = [[task["percent"] for task in state["tasks"]] for state in states]
    for column in zip(*percents, strict=True):
        assert list(column) == sorted(column)
    assert any(0 < percent < 100 for row in percents for percent in row)
    assert percents[-1] == [100, 100]
    times = [datetime.fromisoformat(state["updated"]) for state in states]
    for first, fifth in zip(times, times[4:], strict=False):
        assert fifth - first >= timedelta(seconds=1)


FORKS = """
import os

def test_fork():
    pid = os.fork()
    if not pid:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_test_may_fork_in_the_process_of_the_run(pytester, plan, run):
    """Python warns of a fork where there are threads; a run with phases gives it no reason to."""
    plan("### Phase 1: First\ntests: [test_a.py]\n")
    pytester.makepyfile(test_a=FORKS)
    result = run("--phases", "plan.md", "-n0", "-Walways")
    result.assert_outcomes(passed=1, warnings=0)
    assert result.ret == pytest.ExitCode.OK


HAS_NO_THREAD = """
import threading

def test_a():
    assert threading.enumerate() == [threading.main_thread()]
"""


def test_without_phases_there_is_neither_thread_nor_file(pytester, run):
    """A run that has none pays for none."""
    pytester.makepyfile(test_a=HAS_NO_THREAD)
    assert run("-n0").ret == pytest.ExitCode.OK
    assert not (pytester.path / ".phases").exists()
