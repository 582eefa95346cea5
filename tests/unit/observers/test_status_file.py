"""PARALLEL_STATUS.json: what each event of a run makes of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_phases.claims import Claim
from pytest_phases.events import (
    ItemEnded,
    ItemStarted,
    LockChanged,
    LockState,
    Outcome,
    PhaseResult,
    RunResult,
    State,
    Tally,
)
from pytest_phases.observers.status import StatusFile
from pytest_phases.state.live import STATUS

TEN = "1970-01-01T00:00:10.000+00:00"
TWENTY = "1970-01-01T00:00:20.000+00:00"
HISTORY = {"1": 60.0, "1/A": 20.0, "2": 100.0}
TYPICAL = {"t::slow": 30.0, "t::fast": 10.0, "t::part": 20.0}


@pytest.fixture
def observer(tmp_path: Path, clock: Any, started: Callable[..., Any]) -> StatusFile:
    """The observer of a run of three phases and a stream that has just started; it knows some durations."""
    made = StatusFile(tmp_path, HISTORY.get, TYPICAL.get, clock)
    made.pytest_phases_run_started(started())
    return made


@pytest.fixture
def read(observer: StatusFile, tmp_path: Path) -> Callable[..., Any]:
    """A function that reads the file, or the task of an id, without waiting for the thread."""

    def make(task: str = "") -> Any:
        observer.files.pause()
        data = json.loads((tmp_path / STATUS).read_text(encoding="utf-8"))
        return {each["id"]: each for each in data["tasks"]}[task] if task else data

    return make


@pytest.fixture
def item(observer: StatusFile) -> SimpleNamespace:
    """Two functions that tell the observer that an item started and that it ended, on gw0 unless stated."""

    def start(nodeid: str, phase: str = "1", worker: str = "gw0") -> None:
        observer.pytest_phases_item_started(ItemStarted(nodeid, phase, worker, 0.0))

    def end(nodeid: str, phase: str = "1", worker: str = "gw0", duration: float = 1.0) -> None:
        observer.pytest_phases_item_ended(ItemEnded(nodeid, phase, worker, Outcome.PASSED, duration, 0.0))

    return SimpleNamespace(start=start, end=end)


def finished(*states: State) -> RunResult:
    """The end of a run whose phases ended so."""
    phases = (PhaseResult("1", "", "phase", state, "", 1, Tally(), Tally(), 0.0) for state in states)
    return RunResult("run1", "waves", 2, tuple(phases), (), 1.0)


def test_the_file_is_there_when_the_run_starts(read: Callable[..., Any]) -> None:
    """Everything waits; the stream is a task of its own."""
    data = read()
    tasks = data.pop("tasks")
    assert data == {
        "execution_id": "run1",
        "state": "running",
        "pid": os.getpid(),
        "phase": [],
        "wave": 1,
        "started": TEN,
        "updated": TEN,
        "workers": [],
    }
    assert tasks[0] == {
        "id": "1",
        "name": "First",
        "agent": "",
        "status": "waiting",
        "percent": 0,
        "remaining": None,
        "paths": ["src/"],
        "started": None,
        "completed": None,
        "reason": "",
        "blocked_by": [],
        "resumed": "",
    }
    assert [task["id"] for task in tasks] == ["1", "1/A", "2", "3"]


# Status ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.WAITING, "waiting"),
        (State.OPEN, "in_progress"),
        (State.FAILING, "failed"),
        (State.GREEN, "completed"),
        (State.EMPTY, "completed"),
        (State.RED, "failed"),
        (State.BLOCKED, "blocked"),
        (State.INTERRUPTED, "interrupted"),
    ],
)
def test_each_state_has_its_word(
    state: State, status: str, observer: StatusFile, changed: Callable[..., Any], read: Callable[..., Any]
) -> None:
    """An empty phase is completed, one that is failing has failed already."""
    observer.pytest_phases_phase_changed(changed("2", state, reason="why"))
    assert (read("2")["status"], read("2")["reason"]) == (status, "why")
    assert read()["phase"] == (["2"] if state in (State.OPEN, State.FAILING) else [])


def lock(state: LockState, holder: str = "2", waits_for: str = "1") -> LockChanged:
    """The event of a phase that wants a path for itself, and shares a resource."""
    claims = (Claim("src/", is_path=True), Claim("db", shared=True))
    return LockChanged(holder, "", claims, state, 0.0, waits_for)


@pytest.mark.parametrize("state", [State.WAITING, State.OPEN])
def test_a_phase_that_waits_for_locks_alone_is_about_to_be_handed_them(
    state: State, observer: StatusFile, changed: Callable[..., Any], read: Callable[..., Any]
) -> None:
    """It is `handoff_pending` and says what it waits for, until it has the locks."""
    observer.pytest_phases_phase_changed(changed("2", state))
    observer.pytest_phases_lock_changed(lock(LockState.WAITING))
    assert read("2")["status"] == "handoff_pending"
    assert read("2")["reason"] == "waits for src/, db (shared), held by 1"
    observer.pytest_phases_lock_changed(lock(LockState.WAITING, waits_for=""))
    assert read("2")["reason"] == "waits for src/, db (shared), held by another run"
    observer.pytest_phases_lock_changed(lock(LockState.HELD))
    assert read("2")["status"] != "handoff_pending"
    assert read("2")["reason"] == ""


def test_locks_of_items_are_no_business_of_a_phase(observer: StatusFile, read: Callable[..., Any]) -> None:
    """A test that waits for a lock leaves its phase as it is."""
    observer.pytest_phases_lock_changed(lock(LockState.WAITING, holder="test_a.py::test"))
    assert {task["status"] for task in read()["tasks"]} == {"waiting"}


def test_a_phase_that_fails_while_it_waits_for_locks_has_failed(
    observer: StatusFile, changed: Callable[..., Any], read: Callable[..., Any]
) -> None:
    """The worse word wins, with its reason."""
    observer.pytest_phases_lock_changed(lock(LockState.WAITING))
    observer.pytest_phases_phase_changed(changed("2", State.FAILING, reason="1 failed"))
    assert (read("2")["status"], read("2")["reason"]) == ("failed", "1 failed")


def test_times_are_those_of_opening_and_closing(
    observer: StatusFile, clock: Any, changed: Callable[..., Any], read: Callable[..., Any]
) -> None:
    """In ISO 8601; a phase that never opened has neither begun nor been worked on."""
    observer.pytest_phases_phase_changed(changed("1", State.OPEN))
    assert (read("1")["started"], read("1")["completed"]) == (TEN, None)
    clock.now = 20.0
    observer.pytest_phases_phase_changed(changed("1", State.GREEN, 1))
    observer.pytest_phases_phase_changed(changed("3", State.BLOCKED))
    assert (read("1")["started"], read("1")["completed"]) == (TEN, TWENTY)
    assert (read("3")["started"], read("3")["completed"]) == (None, TWENTY)
    assert (read()["started"], read()["updated"]) == (TEN, TWENTY)


def test_the_wave_is_the_first_that_is_not_over(
    observer: StatusFile, changed: Callable[..., Any], read: Callable[..., Any]
) -> None:
    """Its streams count with a phase, unphased tests do not; in the end it is the last one."""
    observer.pytest_phases_phase_changed(changed("unphased", State.OPEN, wave=0))
    observer.pytest_phases_phase_changed(changed("1", State.GREEN))
    assert read()["wave"] == 1
    observer.pytest_phases_phase_changed(changed("1/A", State.GREEN))
    assert read()["wave"] == 2
    observer.pytest_phases_phase_changed(changed("2", State.GREEN))
    observer.pytest_phases_phase_changed(changed("3", State.GREEN))
    assert read()["wave"] == 3


@pytest.mark.parametrize(("items", "tasks"), [(0, 4), (2, 5)])
def test_unphased_tests_are_a_task_if_there_are_any(
    items: int, tasks: int, observer: StatusFile, changed: Callable[..., Any], read: Callable[..., Any]
) -> None:
    """They have no name and no paths."""
    observer.pytest_phases_phase_changed(changed("unphased", State.OPEN, items=items))
    assert len(read()["tasks"]) == tasks
    if items:
        assert (read("unphased")["status"], read("unphased")["name"]) == ("in_progress", "")
        assert read()["phase"] == ["unphased"]


def test_a_sync_point_is_no_task(
    observer: StatusFile, changed: Callable[..., Any], read: Callable[..., Any]
) -> None:
    """Only phases and streams are."""
    observer.pytest_phases_phase_changed(changed("sync:1", State.OPEN, kind="sync point"))
    assert [task["id"] for task in read()["tasks"]] == ["1", "1/A", "2", "3"]


def test_a_resumed_phase_says_where_it_was_run(
    tmp_path: Path, clock: Any, started: Callable[..., Any], changed: Callable[..., Any]
) -> None:
    """It is completed without having been opened."""
    observer = StatusFile(tmp_path, now=clock)
    observer.pytest_phases_run_started(started(resumed=(("1", "run0, 5 min ago"),)))
    observer.pytest_phases_phase_changed(changed("1", State.GREEN, 3, 3))
    observer.pytest_phases_run_finished(finished(State.GREEN))
    task, stream, *_ = json.loads((tmp_path / STATUS).read_text(encoding="utf-8"))["tasks"]
    assert (task["status"], task["resumed"], task["started"]) == ("completed", "run0, 5 min ago", None)
    assert stream["resumed"] == ""


# Who blocks ---------------------------------------------------------------------------------------


def test_what_is_blocked_names_what_is_red(
    observer: StatusFile, changed: Callable[..., Any], read: Callable[..., Any]
) -> None:
    """The root of it, however far away; a phase that is merely blocked is not the cause."""
    observer.pytest_phases_phase_changed(changed("1", State.GREEN))
    observer.pytest_phases_phase_changed(changed("2", State.BLOCKED, reason="blocked by phase 1 (1 failed)"))
    assert read("2")["blocked_by"] == []
    observer.pytest_phases_phase_changed(changed("1", State.FAILING))
    observer.pytest_phases_phase_changed(changed("3", State.BLOCKED))
    assert (read("2")["blocked_by"], read("3")["blocked_by"]) == (["1"], ["1"])
    assert read("1")["blocked_by"] == []


def test_a_red_stream_is_named_by_its_phase_alone(
    observer: StatusFile, changed: Callable[..., Any], read: Callable[..., Any]
) -> None:
    """Both are red; one name is enough."""
    observer.pytest_phases_phase_changed(changed("1/A", State.RED, kind="stream"))
    observer.pytest_phases_phase_changed(changed("3", State.BLOCKED))
    assert read("3")["blocked_by"] == ["1/A"]
    observer.pytest_phases_phase_changed(changed("1", State.RED))
    assert read("3")["blocked_by"] == ["1"]


def test_a_sync_point_blocks_what_is_below_it(
    tmp_path: Path, clock: Any, started: Callable[..., Any], changed: Callable[..., Any]
) -> None:
    """It is named by its id."""
    observer = StatusFile(tmp_path, now=clock)
    observer.pytest_phases_run_started(started("### Phase 1: A\n### Sync: S\n### Phase 2: B\n"))
    observer.pytest_phases_phase_changed(changed("sync:1", State.RED, kind="sync point"))
    observer.pytest_phases_phase_changed(changed("2", State.BLOCKED))
    observer.pytest_phases_run_finished(finished(State.BLOCKED))
    (_, second) = json.loads((tmp_path / STATUS).read_text(encoding="utf-8"))["tasks"]
    assert second["blocked_by"] == ["sync:1"]


# How far ------------------------------------------------------------------------------------------


def test_percent_counts_items_of_a_phase_and_its_streams(
    observer: StatusFile, changed: Callable[..., Any], read: Callable[..., Any], item: SimpleNamespace
) -> None:
    """Rounded down; an item of a stream counts for both."""
    observer.pytest_phases_phase_changed(changed("1", State.OPEN, items=3))
    observer.pytest_phases_phase_changed(changed("1/A", State.OPEN, items=1))
    item.end("t::fast")
    assert (read("1")["percent"], read("1/A")["percent"]) == (33, 0)
    item.end("t::part", "1/A")
    assert read("1")["percent"] == 66
    observer.pytest_phases_phase_changed(changed("1/A", State.GREEN, 1, 1))
    assert read("1/A")["percent"] == 100


def test_percent_is_a_hundred_only_when_a_phase_is_over(
    observer: StatusFile, changed: Callable[..., Any], read: Callable[..., Any], item: SimpleNamespace
) -> None:
    """More items may be found, and a threshold judged."""
    observer.pytest_phases_phase_changed(changed("2", State.OPEN, items=1))
    item.end("t::fast", "2")
    assert read("2")["percent"] == 99
    observer.pytest_phases_phase_changed(changed("2", State.RED, 1, 1, reason="coverage 70 < 80"))
    assert read("2")["percent"] == 100


def test_percent_never_falls(
    observer: StatusFile, changed: Callable[..., Any], read: Callable[..., Any], item: SimpleNamespace
) -> None:
    """Not even when many more items are found than were known."""
    observer.pytest_phases_phase_changed(changed("2", State.OPEN, items=2))
    item.end("t::fast", "2")
    assert read("2")["percent"] == 50
    observer.pytest_phases_phase_changed(changed("2", State.FAILING, 1, 100))
    assert read("2")["percent"] == 50


@pytest.mark.parametrize(
    ("state", "tally", "percent"),
    [
        pytest.param(State.EMPTY, Tally(), 100, id="empty"),
        pytest.param(State.GREEN, Tally(passed=3, skipped=1), 100, id="green"),
        pytest.param(State.RED, Tally(passed=3, failed=1), 100, id="red"),
        pytest.param(State.RED, Tally(failed=1, blocked=3), 25, id="red, and the rest could not run"),
        pytest.param(State.BLOCKED, Tally(blocked=4), 0, id="blocked"),
        pytest.param(State.INTERRUPTED, Tally(passed=2), 50, id="interrupted"),
    ],
)
def test_percent_of_what_is_over_says_how_much_of_it_ran(
    state: State,
    tally: Tally,
    percent: int,
    observer: StatusFile,
    changed: Callable[..., Any],
    read: Callable[..., Any],
) -> None:
    """Blocked items did not; what is completed is complete."""
    observer.pytest_phases_phase_changed(changed("2", state, items=4, tally=tally))
    assert (read("2")["percent"], read("2")["remaining"]) == (percent, 0)


def test_items_that_were_done_before_a_phase_opened_count(
    observer: StatusFile, changed: Callable[..., Any], read: Callable[..., Any], item: SimpleNamespace
) -> None:
    """Tests that had passed in an earlier run reach no worker."""
    observer.pytest_phases_phase_changed(changed("2", State.OPEN, 2, 4))
    assert read("2")["percent"] == 50
    item.end("t::fast", "2")
    assert read("2")["percent"] == 75


# How long -----------------------------------------------------------------------------------------


def test_remaining_is_what_history_says_of_items_that_are_not_done(
    observer: StatusFile,
    clock: Any,
    changed: Callable[..., Any],
    read: Callable[..., Any],
    item: SimpleNamespace,
) -> None:
    """Unknown before a phase opens; then less with each item, by as much as history gave it."""
    assert read("1")["remaining"] is None
    observer.pytest_phases_phase_changed(changed("1", State.OPEN, items=3))
    assert read("1")["remaining"] == 60
    item.start("t::slow")
    clock.now += 5
    item.start("t::fast", worker="gw1")
    assert read("1")["remaining"] == pytest.approx((60 - 5) / 2, abs=1)
    clock.now += 1000
    item.end("t::slow", duration=1005.0)
    item.end("t::fast", duration=1000.0, worker="gw1")
    assert read("1")["remaining"] == 10
    item.start("t::part", "1/A")
    item.end("t::part", "1/A")
    assert read("1")["remaining"] == 0


def test_an_item_takes_no_longer_than_is_typical(
    observer: StatusFile,
    clock: Any,
    changed: Callable[..., Any],
    read: Callable[..., Any],
    item: SimpleNamespace,
) -> None:
    """One that hangs takes nothing from the estimate of the others."""
    observer.pytest_phases_phase_changed(changed("1", State.OPEN, items=3))
    item.start("t::fast")
    clock.now += 1000
    assert read("1")["remaining"] == 50


def test_an_item_without_history_counts_with_what_it_took(
    observer: StatusFile, changed: Callable[..., Any], read: Callable[..., Any], item: SimpleNamespace
) -> None:
    """It was in the estimate as an average item."""
    observer.pytest_phases_phase_changed(changed("1", State.OPEN, items=3))
    item.end("t::new", duration=12.0)
    assert read("1")["remaining"] == 48


def test_without_history_nothing_is_said_of_the_time_left(
    observer: StatusFile, changed: Callable[..., Any], read: Callable[..., Any]
) -> None:
    """Null is not zero."""
    observer.pytest_phases_phase_changed(changed("3", State.OPEN))
    assert read("3")["remaining"] is None


# Workers ------------------------------------------------------------------------------------------


def test_workers_say_what_they_do_and_since_when(
    observer: StatusFile, clock: Any, read: Callable[..., Any], item: SimpleNamespace
) -> None:
    """An idle one has neither item nor phase; one that has ended is gone."""
    item.start("t::slow", "1/A")
    item.start("t::fast", "2", "gw1")
    clock.now = 20.0
    item.end("t::fast", "2", "gw1")
    assert read()["workers"] == [
        {"name": "gw0", "item": "t::slow", "phase": "1/A", "since": TEN},
        {"name": "gw1", "item": None, "phase": None, "since": TWENTY},
    ]
    assert (read("1")["agent"], read("1/A")["agent"], read("2")["agent"]) == ("gw0", "gw0", "gw1")
    observer.pytest_testnodedown(SimpleNamespace(gateway=SimpleNamespace(id="gw0")))
    assert [worker["name"] for worker in read()["workers"]] == ["gw1"]


def test_a_worker_that_died_of_its_item_does_not_come_back(
    observer: StatusFile, read: Callable[..., Any], item: SimpleNamespace
) -> None:
    """Its item is reported after it has gone."""
    item.start("t::slow")
    observer.pytest_testnodedown(SimpleNamespace(gateway=SimpleNamespace(id="gw0")))
    item.end("t::slow")
    assert read()["workers"] == []


def test_agents_are_all_that_were_ever_on_a_phase(
    observer: StatusFile, changed: Callable[..., Any], read: Callable[..., Any], item: SimpleNamespace
) -> None:
    """In order, whoever told of them."""
    item.start("t::slow", worker="gw2")
    observer.pytest_phases_phase_changed(changed("1", State.GREEN, agents=("gw0", "gw1")))
    assert read("1")["agent"] == "gw0, gw1, gw2"


# The end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ((State.GREEN, State.RED, State.BLOCKED), "finished"),
        ((State.GREEN, State.INTERRUPTED), "interrupted"),
    ],
)
def test_a_run_that_ends_says_so(
    states: tuple[State, ...],
    state: str,
    observer: StatusFile,
    item: SimpleNamespace,
    tmp_path: Path,
) -> None:
    """It is interrupted if something of it has not had its turn; nobody works any more."""
    item.start("t::slow")
    observer.pytest_phases_run_finished(finished(*states))
    data = json.loads((tmp_path / STATUS).read_text(encoding="utf-8"))
    assert (data["state"], data["workers"]) == (state, [])
    observer.pytest_unconfigure()
    assert json.loads((tmp_path / STATUS).read_text(encoding="utf-8"))["state"] == state


def test_a_run_without_an_end_is_interrupted(observer: StatusFile, tmp_path: Path) -> None:
    """Where pytest itself fails, the last word is spoken when it goes."""
    observer.pytest_unconfigure()
    assert json.loads((tmp_path / STATUS).read_text(encoding="utf-8"))["state"] == "interrupted"


def test_a_run_that_never_started_leaves_no_file(tmp_path: Path) -> None:
    """A plan with problems ends pytest before there is anything to tell."""
    observer = StatusFile(tmp_path / "folder")
    observer.pytest_unconfigure()
    assert not (tmp_path / "folder").exists()
