"""`pytest-phases status`: what it shows, of whatever it finds, and never a traceback."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pytest_phases import status
from pytest_phases.cli import main
from pytest_phases.observers.locks import LocksFile
from pytest_phases.observers.status import StatusFile
from pytest_phases.state.live import LOCKS, STATUS
from pytest_phases.state.runlock import HOLDER, Active
from pytest_phases.state.seen import (
    LOCK_FIELDS,
    LOCKS_FIELDS,
    STATUS_FIELDS,
    STATUS_WORDS,
    TASK_FIELDS,
    WAITING_FIELDS,
    WORKER_FIELDS,
    NothingRecorded,
    look,
)
from pytest_phases.status import as_text, follow

NOTHING, WRONG_CALL = 4, 2
NOW = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)
PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "status.md"


def ago(**amount: float) -> str:
    """A time before now as the files have it."""
    return (NOW - timedelta(**amount)).isoformat(timespec="milliseconds")


def task(task_id: str, word: str, **more: Any) -> dict[str, Any]:
    """A task of the status, with nothing but what a case is about."""
    given = {
        "id": task_id,
        "name": "",
        "agent": "",
        "status": word,
        "percent": 0,
        "remaining": None,
        "paths": [],
        "started": None,
        "completed": None,
        "reason": "",
        "blocked_by": [],
        "resumed": "",
    }
    return given | more


TASKS = [
    task("1", "completed", name="Build", percent=100, resumed="run0, 5 min ago"),
    task("2", "in_progress", name="Module A", percent=45, remaining=95, agent="gw0, gw1"),
    task("2/A", "failed", percent=7, agent="gw1", reason="1 failed"),
    task("3", "handoff_pending", name="Module B", reason="waits for src/, held by 2"),
    task("4", "failed", name="Docs", percent=100, reason="2 failed", remaining=0),
    task("5", "blocked", name="Deploy", blocked_by=["4"], reason="blocked by phase 4 (2 failed)"),
    task("6", "waiting"),
    task("unphased", "interrupted"),
]


def full_status(**more: Any) -> dict[str, Any]:
    """What a run has written that is still going on, in the process of this test."""
    given = {
        "execution_id": "run1",
        "state": "running",
        "pid": os.getpid(),
        "phase": ["2", "2/A"],
        "wave": 2,
        "started": ago(minutes=2, seconds=3),
        "updated": ago(seconds=5),
        "tasks": TASKS,
        "workers": [
            {"name": "gw0", "item": "tests/test_a.py::test_x", "phase": "2", "since": ago(seconds=12)},
            {"name": "gw1", "item": None, "phase": None, "since": ago(hours=1, minutes=4)},
        ],
    }
    return given | more


def full_locks(**more: Any) -> dict[str, Any]:
    """What the run has written of its locks."""
    given = {
        "execution_id": "run1",
        "updated": ago(seconds=5),
        "locks": [
            {"agent_id": "2", "holder": "2", "locked_paths": ["src/"], "shared_paths": ["lib/"],
             "lock_time": ago(seconds=30)},
            {"agent_id": "gw0", "holder": "t::x", "locked_paths": ["db"], "shared_paths": [],
             "lock_time": ago(seconds=3)},
        ],
        "waiting": [
            {"holder": "3", "paths": ["src/"], "shared_paths": [], "since": ago(seconds=8), "waits_for": "2"},
            {"holder": "t::y", "paths": [], "shared_paths": ["db"], "since": ago(seconds=1), "waits_for": ""},
        ],
    }  # fmt: skip
    return given | more


SCREEN = f"""\
run run1 is running: for 2m 03s, wave 2, process {os.getpid()}
phases and streams: 1 completed, 2 failed, 1 in progress, 1 handoff pending, 1 waiting, 1 blocked, \
1 interrupted (1 resumed)

open phases
  2 Module A  45%  about 1m 30s left  gw0, gw1
  2/A         7%   time left unknown  gw1        failing: 1 failed
  3 Module B  0%   time left unknown  no worker  waits for src/, held by 2

workers
  gw0  tests/test_a.py::test_x  phase 2  for 12s
  gw1  idle                              for 1h 04m

locks held
  2             src/, lib/ (shared)  for 30s
  t::x  on gw0  db                   for 3s

waiting for locks
  3     src/         held by 2            for 8s
  t::y  db (shared)  held by another run  for 1s

failed
  4 Docs  2 failed

blocked
  5 Deploy  by 4  blocked by phase 4 (2 failed)

interrupted
  unphased"""


def call(*args: str) -> Result:
    """What the command does in this process; anything but an exit is a traceback."""
    # Before click 8.2 the runner mixed the two streams unless told not to.
    mixes = "mix_stderr" in inspect.signature(CliRunner).parameters
    result = CliRunner(**({"mix_stderr": False} if mixes else {})).invoke(main, ["status", *args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run; the current one is its rootdir."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".phases").mkdir()
    return tmp_path / ".phases"


@pytest.fixture
def write(folder: Path) -> Callable[..., None]:
    """A function that writes the two files, by default as a run does that goes on."""

    def make(status: Any = None, locks: Any = None) -> None:
        for name, data in [
            (STATUS, full_status() if status is None else status),
            (LOCKS, full_locks() if locks is None else locks),
        ]:
            (folder / name).write_text(json.dumps(data) + "\n", encoding="utf-8")

    return make


# What it shows ------------------------------------------------------------------------------------


def test_the_screen_shows_all_of_a_run_that_goes_on(folder: Path, write: Callable[..., None]) -> None:
    """Open phases with what is left now, workers, locks, and what failed or is blocked, and by whom."""
    write()
    assert as_text(look(folder), NOW) == SCREEN


@pytest.mark.parametrize(
    ("given", "first"),
    [
        ({"state": "finished"}, "run run1 has finished, 5s ago"),
        ({"state": "interrupted"}, "run run1 was interrupted, 5s ago"),
        (
            {"pid": -1},
            "run run1 was cut short: process -1 is gone without a last word; last heard of 5s ago",
        ),
    ],
)
def test_the_header_says_how_a_run_ended(
    given: dict[str, Any], first: str, folder: Path, write: Callable[..., None]
) -> None:
    """A run that nobody ended is no run that goes on, and what it had open is no longer."""
    write(full_status(**given))
    lines = as_text(look(folder), NOW).splitlines()
    assert lines[0] == first
    assert "open when it ended" in lines


def test_a_run_without_anything_special_is_short(folder: Path, write: Callable[..., None]) -> None:
    """Two lines are all there is to say of a run that is green."""
    write(full_status(state="finished", phase=[], tasks=[task("1", "completed")], workers=[]), {})
    (folder / LOCKS).unlink()
    assert as_text(look(folder), NOW).splitlines() == [
        "run run1 has finished, 5s ago",
        "phases and streams: 1 completed",
    ]


def test_a_clock_that_was_put_back_shows_nothing_negative(folder: Path, write: Callable[..., None]) -> None:
    """What is to come is now."""
    write()
    text = as_text(look(folder), NOW - timedelta(days=1))
    assert "for 0s" in text
    assert "about 1m 35s left" in text


@pytest.mark.parametrize("word", ["", "yesterday", "9999-99-99", "0001-01-01T00:00:00", "\u0663"])
def test_a_time_that_is_none_is_unknown(word: str, folder: Path, write: Callable[..., None]) -> None:
    """The rest is shown all the same."""
    write(full_status(started=word, updated=word))
    assert "wave 2" in as_text(look(folder), NOW)


def test_names_cannot_steer_the_terminal(write: Callable[..., None]) -> None:
    """Control characters and line ends of a name are shown as escapes."""
    write(full_status(tasks=[task("2", "blocked", name="\x1b[2Jred\nrun run1 has finished")], phase=[]))
    output = call().stdout
    assert "\x1b" not in output
    assert r"2 \x1b[2Jred\nrun run1 has finished" in output


def test_json_is_both_files_as_one(folder: Path, write: Callable[..., None]) -> None:
    """With `alive`, which no file says."""
    write()
    result = call("--json")
    assert result.exit_code == 0
    locks = full_locks()
    assert json.loads(result.stdout) == {
        **full_status(), "locks": locks["locks"], "waiting": locks["waiting"], "alive": True, "problem": "",
    }  # fmt: skip
    assert call("--json", "--root", str(folder.parent), "--phases-dir", ".phases").stdout == result.stdout


# Whether it goes on -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ended_pid() -> int:
    """The number of a process that is over."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("given", "run", "alive"),
    [
        pytest.param({}, None, True, id="its process is there"),
        pytest.param(
            {}, asdict(Active(run_id="run1")), True, id="its process is there and it has the lock of runs"
        ),
        pytest.param({}, asdict(Active(run_id="run2")), False, id="another run is active"),
        pytest.param({}, {}, True, id="the lock of runs does not say"),
        pytest.param({"state": "finished"}, None, False, id="it has finished"),
        pytest.param({"state": "interrupted"}, None, False, id="it was interrupted"),
        pytest.param({"pid": 0}, None, False, id="a process group"),
        pytest.param({"pid": -1}, None, False, id="all processes"),
        pytest.param({"pid": 10**30}, None, False, id="no number of a process"),
    ],
)
def test_a_run_is_alive_if_its_process_is_there_and_runs_it(
    given: dict[str, Any], run: Any, alive: bool, folder: Path, write: Callable[..., None]
) -> None:
    """The state in the file alone proves nothing."""
    write(full_status(**given))
    if run is not None:
        (folder / HOLDER).write_text(json.dumps(run), encoding="utf-8")
    assert look(folder).alive is alive


def test_a_run_whose_process_has_ended_is_not_alive(
    ended_pid: int, folder: Path, write: Callable[..., None]
) -> None:
    """`kill -9` leaves the file saying that it runs."""
    write(full_status(pid=ended_pid))
    assert not look(folder).alive


def test_locks_of_another_run_are_not_shown(folder: Path, write: Callable[..., None]) -> None:
    """A run that could not write the second file leaves what an older one wrote."""
    write(None, full_locks(execution_id="run0"))
    seen = look(folder)
    assert (seen.locks, seen.waiting, seen.problem) == ([], [], "")


# What it cannot show ------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("options", [(), ("--json",), ("--watch",), ("--watch", "--json")])
def test_nothing_recorded_is_exit_status_4(options: tuple[str, ...]) -> None:
    """The message says where it was looked for and what to do; nothing is on standard output."""
    result = call(*options)
    assert (result.exit_code, result.stdout) == (NOTHING, "")
    assert "no run is recorded here; run `pytest --phases PLAN`" in result.stderr


def test_the_status_cut_off_anywhere_is_a_message(folder: Path, write: Callable[..., None]) -> None:
    """At every byte: nothing of it is shown. Without its last line end it is whole."""
    write(full_status(tasks=TASKS[:1]))
    whole = (folder / STATUS).read_bytes()
    for length in range(len(whole) - 1):
        (folder / STATUS).write_bytes(whole[:length])
        with pytest.raises(NothingRecorded, match="is cut off or damaged; the next run writes it anew"):
            look(folder)
    result = call()
    assert (result.exit_code, result.stdout) == (NOTHING, "")
    (folder / STATUS).write_bytes(whole[:-1])
    assert call().exit_code == 0


def test_the_locks_cut_off_anywhere_are_a_line(folder: Path, write: Callable[..., None]) -> None:
    """At every byte: the status is shown, and that the locks are not known."""
    write()
    whole = (folder / LOCKS).read_bytes()
    for length in range(len(whole) - 1):
        (folder / LOCKS).write_bytes(whole[:length])
        seen = look(folder)
        assert (seen.locks, seen.waiting) == ([], [])
        assert seen.problem.endswith("is cut off or damaged")
    assert f"locks: {folder / LOCKS}: is cut off or damaged" in call().stdout
    assert json.loads(call("--json").stdout)["problem"] == seen.problem


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"null",
        b"{}",
        b'"text"',
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"pid": ' + b"9" * 5000 + b"}",
        b"\x00" * 4096,
        b"NaN",
    ],
    ids=["list", "null", "empty", "text", "deep", "no utf-8", "number", "zeros", "nan"],
)
@pytest.mark.parametrize("name", [STATUS, LOCKS, HOLDER])
def test_rubbish_is_a_message(name: str, content: bytes, folder: Path, write: Callable[..., None]) -> None:
    """Whatever stands in any of the files."""
    write()
    (folder / name).write_bytes(content)
    result = call()
    assert result.exit_code == (NOTHING if name == STATUS else 0)
    assert name == HOLDER or str(folder / name) in result.stdout + result.stderr


@pytest.mark.parametrize("name", [STATUS, LOCKS])
def test_a_folder_in_place_of_a_file_is_a_message(
    name: str, folder: Path, write: Callable[..., None]
) -> None:
    """So is everything that the system refuses."""
    write()
    (folder / name).unlink()
    (folder / name).mkdir()
    result = call()
    assert result.exit_code == (NOTHING if name == STATUS else 0)
    assert "cannot be read: Is a directory" in result.stdout + result.stderr


def test_a_file_in_place_of_the_folder_is_a_message(folder: Path) -> None:
    """As a run has left it that could write nothing."""
    folder.rmdir()
    folder.touch()
    assert call().exit_code == NOTHING


@pytest.mark.parametrize(
    ("place", "fields"),
    [("", STATUS_FIELDS), ("tasks[0].", TASK_FIELDS), ("workers[0].", WORKER_FIELDS)],
    ids=["status", "task", "worker"],
)
@pytest.mark.parametrize("value", [..., True, {"a": 1}], ids=["missing", "a truth value", "an object"])
def test_a_field_of_another_type_is_named(
    value: object, place: str, fields: dict[str, Any], write: Callable[..., None]
) -> None:
    """Another version may have written it, or somebody edited it."""
    for name in fields:
        data = json.loads(json.dumps(full_status()))
        inside = data[place.partition("[")[0]][0] if place else data
        inside[name] = value
        if value is ...:
            del inside[name]
        write(data)
        result = call()
        assert result.exit_code == NOTHING
        assert f"{place}{name} is missing or of another type" in result.stderr


# Watching -----------------------------------------------------------------------------------------


def test_watching_ends_with_the_run(folder: Path, write: Callable[..., None]) -> None:
    """Each second it is looked at anew; the end is shown, too."""
    write()
    shown, slept = [], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            write(full_status(state="finished"))

    follow(lambda: look(folder), lambda seen: shown.append(seen.status["state"]), sleep)
    assert (shown, slept) == (["running", "running", "finished"], [1, 1])


def test_watching_a_run_that_is_over_shows_it_once(write: Callable[..., None]) -> None:
    """Where the output is no terminal, nothing is cleared."""
    write(full_status(state="finished"))
    result = call("--watch")
    assert result.exit_code == 0
    assert result.stdout.count("run run1 has finished") == 1
    assert "\x1b" not in result.stdout


def test_watching_as_json_is_an_object_a_line(write: Callable[..., None]) -> None:
    """So that a program can read one after another."""
    write(full_status(state="finished"))
    (line,) = call("--watch", "--json").stdout.splitlines()
    assert json.loads(line)["state"] == "finished"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_ctrl_c_ends_watching_quietly(
    options: tuple[str, ...], write: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever watched has seen enough: exit status 0, and no word."""

    def interrupt(see: Callable[[], Any], show: Callable[[Any], None]) -> None:
        show(see())
        raise KeyboardInterrupt

    write()
    monkeypatch.setattr(status, "follow", interrupt)
    result = call("--watch", *options)
    assert (result.exit_code, result.stderr) == (0, "")


# The call -----------------------------------------------------------------------------------------


def test_help_has_an_example_and_the_exit_status() -> None:
    """Nobody has to look elsewhere."""
    result = call("--help")
    assert result.exit_code == 0
    assert "  pytest-phases status --watch" in result.output.partition("Example:")[2]
    assert "Exit status: 0, or 4 if nothing is recorded." in result.output


@pytest.mark.parametrize("wrong", [("--no-such",), ("run1",), ("--root", "no/such/folder")])
def test_a_wrong_call_is_exit_status_2(wrong: tuple[str, ...]) -> None:
    """As with every command."""
    assert call(*wrong).exit_code == WRONG_CALL


def test_the_command_does_not_import_pytest(folder: Path, write: Callable[..., None]) -> None:
    """It is called again and again, and takes no longer than it must."""
    write(full_status(state="finished"))
    code = (
        "import sys; from pytest_phases.cli import main; main(['status'], standalone_mode=False); "
        "assert not {'pytest', '_pytest', 'sqlite3', 'coverage', 'xdist'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder.parent, check=True, capture_output=True)


# The page -----------------------------------------------------------------------------------------


def _section(title: str) -> str:
    return PAGE.read_text(encoding="utf-8").partition(f"\n{title}\n")[2].partition("\n## ")[0]


def _rows(text: str, second: str = "") -> list[str]:
    return re.findall(rf"^\| `([^`]+)` \| {second}", text, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("title", "name", "fields"),
    [
        (f"## {STATUS}", "", STATUS_FIELDS),
        (f"## {STATUS}", "tasks[].", TASK_FIELDS),
        (f"## {STATUS}", "workers[].", WORKER_FIELDS),
        (f"## {LOCKS}", "", LOCKS_FIELDS),
        (f"## {LOCKS}", "locks[].", LOCK_FIELDS),
        (f"## {LOCKS}", "waiting[].", WAITING_FIELDS),
    ],
)
def test_the_page_has_a_row_for_each_field(title: str, name: str, fields: dict[str, Any]) -> None:
    """And for nothing else."""
    rows = _rows(_section(title), "(?:text|number|list|time)")
    documented = [row for row in rows if row.rpartition(".")[0] == name.rstrip(".")]
    assert documented == [f"{name}{field}" for field in fields]


def test_the_page_says_what_each_status_means() -> None:
    """And knows no other."""
    section = _section(f"## {STATUS}").partition("| status | means |\n")[2].partition("\n\n")[0]
    assert set(_rows(section)) == {*STATUS_WORDS}


@pytest.mark.parametrize("option", [param.opts[-1] for param in main.commands["status"].params])
def test_the_page_has_a_row_for_each_option(option: str) -> None:
    """As the help does."""
    assert re.search(rf"^\| `{option}\b", _section("## The command"), re.MULTILINE)


def test_the_files_have_these_fields_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the observers write is what the command reads, field by field and in this order."""
    from pytest_phases.claims import Claim
    from pytest_phases.events import ItemStarted, LockChanged, LockState, RunStarted
    from pytest_phases.graph import build
    from pytest_phases.plan.read import read_plan

    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.md").write_text("### Phase 1: A\n### Phase 2: B\n", encoding="utf-8")
    plan = read_plan(tmp_path / "plan.md", "plan.md")
    observer = StatusFile(tmp_path)
    locks = LocksFile(observer.files)
    for each in (observer, locks):
        each.pytest_phases_run_started(RunStarted("run1", "waves", plan, build(plan).waves))
    observer.pytest_phases_item_started(ItemStarted("t::x", "1", "gw0", 0.0))
    for holder, state in [("1", LockState.HELD), ("2", LockState.WAITING)]:
        locks.pytest_phases_lock_changed(LockChanged(holder, "", (Claim("db"),), state, 0.0, "1"))
    observer.files.pause()
    status, locked = (json.loads((tmp_path / name).read_text(encoding="utf-8")) for name in (STATUS, LOCKS))
    assert [*status] == [*STATUS_FIELDS]
    assert [*status["tasks"][0]] == [*TASK_FIELDS]
    assert [*status["workers"][0]] == [*WORKER_FIELDS]
    assert [*locked] == [*LOCKS_FIELDS]
    assert [*locked["locks"][0]] == [*LOCK_FIELDS]
    assert [*locked["waiting"][0]] == [*WAITING_FIELDS]
    assert look(tmp_path).problem == ""
