"""RESOURCE_LOCKS.json: what each event of a run makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.claims import Claim
from pytest_phases.events import LockChanged, LockState
from pytest_phases.observers.locks import LocksFile
from pytest_phases.state.live import LOCKS, LiveFiles

TEN = "1970-01-01T00:00:10.000+00:00"
TWENTY = "1970-01-01T00:00:20.000+00:00"
CLAIMS = (Claim("src/", is_path=True), Claim("db"), Claim("lib/", shared=True, is_path=True))


def lock(holder: str, state: LockState, agent: str = "", waits_for: str = "") -> LockChanged:
    """The event of somebody who wants a path and a resource for himself, and shares another path."""
    return LockChanged(holder, agent, CLAIMS, state, 0.0, waits_for)


@pytest.fixture
def files(tmp_path: Path) -> LiveFiles:
    """The files of the run."""
    return LiveFiles(tmp_path)


@pytest.fixture
def observer(files: LiveFiles, clock: Any, started: Callable[..., Any]) -> LocksFile:
    """The observer of a run that has just started."""
    made = LocksFile(files, clock)
    made.pytest_phases_run_started(started())
    return made


@pytest.fixture
def read(files: LiveFiles, tmp_path: Path) -> Callable[[], Any]:
    """A function that reads the file without waiting for the thread."""

    def make() -> Any:
        files.pause()
        return json.loads((tmp_path / LOCKS).read_text(encoding="utf-8"))

    return make


@pytest.mark.usefixtures("observer")
def test_nothing_is_held_when_a_run_starts(read: Callable[[], Any]) -> None:
    """The file is there, and what it says is of this run."""
    assert read() == {"execution_id": "run1", "updated": TEN, "locks": [], "waiting": []}


def test_a_test_waits_and_holds_and_lets_go(observer: LocksFile, clock: Any, read: Callable[[], Any]) -> None:
    """First it is among those that wait, then among those that hold, then nowhere."""
    observer.pytest_phases_lock_changed(lock("t::a", LockState.WAITING, waits_for="t::b"))
    assert (read()["locks"], read()["waiting"]) == (
        [],
        [
            {
                "holder": "t::a",
                "paths": ["src/", "db"],
                "shared_paths": ["lib/"],
                "since": TEN,
                "waits_for": "t::b",
            }
        ],
    )
    clock.now = 20.0
    observer.pytest_phases_lock_changed(lock("t::a", LockState.HELD, "gw1"))
    assert (read()["locks"], read()["waiting"]) == (
        [
            {
                "agent_id": "gw1",
                "holder": "t::a",
                "locked_paths": ["src/", "db"],
                "shared_paths": ["lib/"],
                "lock_time": TWENTY,
            }
        ],
        [],
    )
    observer.pytest_phases_lock_changed(lock("t::a", LockState.RELEASED, "gw1"))
    assert (read()["locks"], read()["waiting"]) == ([], [])


def test_a_phase_is_its_own_agent(observer: LocksFile, read: Callable[[], Any]) -> None:
    """No single worker holds what a phase holds."""
    observer.pytest_phases_lock_changed(lock("2", LockState.HELD))
    (held,) = read()["locks"]
    assert (held["agent_id"], held["holder"]) == ("2", "2")


def test_who_waits_for_another_one_now_has_waited_all_along(
    observer: LocksFile, clock: Any, read: Callable[[], Any]
) -> None:
    """The time is that of the first wait."""
    observer.pytest_phases_lock_changed(lock("2", LockState.WAITING, waits_for="1"))
    clock.now = 20.0
    observer.pytest_phases_lock_changed(lock("2", LockState.WAITING))
    (waiting,) = read()["waiting"]
    assert (waiting["since"], waiting["waits_for"]) == (TEN, "")


@pytest.mark.parametrize("end", [LocksFile.pytest_phases_run_finished, LocksFile.pytest_unconfigure])
def test_nothing_is_held_when_a_run_is_over(
    end: Callable[[LocksFile], None], observer: LocksFile, tmp_path: Path
) -> None:
    """However it ended: the locks went with it."""
    observer.pytest_phases_lock_changed(lock("2", LockState.HELD))
    end(observer)
    data = json.loads((tmp_path / LOCKS).read_text(encoding="utf-8"))
    assert (data["execution_id"], data["locks"]) == ("run1", [])


def test_a_run_that_never_started_leaves_no_file(tmp_path: Path) -> None:
    """There is nothing to tell."""
    LocksFile(LiveFiles(tmp_path / "folder")).pytest_unconfigure()
    assert not (tmp_path / "folder").exists()
