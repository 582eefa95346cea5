"""Files that follow a run: whole at every instant, four writes a second at most, the last state always."""

from __future__ import annotations

import json
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_phases.state import live
from pytest_phases.state.live import INTERVAL, LiveFiles

NAME = "FILE.json"
PATIENCE = 30


class Clock:
    """A clock that stands still but for the waits of the thread, which the test lets go one by one."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []
        self._asked = threading.Semaphore(0)
        self._let_go = threading.Semaphore(0)

    def __call__(self) -> float:
        """What time it is, in seconds."""
        return self.now

    def wait(self, stop: threading.Event, seconds: float) -> None:
        """What the thread calls to wait, or until it is to stop."""
        self.waits.append(seconds)
        self._asked.release()
        while not stop.is_set() and not self._let_go.acquire(timeout=0.001):
            pass
        self.now += seconds

    def asked(self) -> None:
        """Wait until the thread waits."""
        assert self._asked.acquire(timeout=PATIENCE)

    def let_go(self) -> None:
        """Let one wait of the thread be over."""
        self._let_go.release()


class Shown:
    """What a file shows: a number; it knows how often it was asked for."""

    def __init__(self) -> None:
        self.number = 0
        self.asked: list[int] = []
        self.was_asked = threading.Event()

    def __call__(self) -> dict[str, int]:
        """What to write."""
        self.asked.append(self.number)
        self.was_asked.set()
        return {"number": self.number}

    def wait(self) -> None:
        """Wait until it is asked for."""
        assert self.was_asked.wait(PATIENCE)
        self.was_asked.clear()


@pytest.fixture
def clock() -> Clock:
    """The clock of the files."""
    return Clock()


@pytest.fixture
def files(tmp_path: Path, clock: Clock) -> Iterator[LiveFiles]:
    """Files in a folder that is not there yet; no thread is left behind."""
    made = LiveFiles(tmp_path / "folder", clock, clock.wait)
    yield made
    made.pause()
    assert not _threads()


@pytest.fixture
def shown(files: LiveFiles) -> Shown:
    """What the one file shows, which was written once."""
    made = Shown()
    files.show(NAME, made)
    made.was_asked.clear()
    return made


@pytest.fixture
def written(tmp_path: Path) -> Callable[[], int]:
    """A function that reads the number in the file."""
    return lambda: json.loads((tmp_path / "folder" / NAME).read_text(encoding="utf-8"))["number"]


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "phases-live-files"]


def test_the_first_state_is_written_at_once_and_without_a_thread(
    shown: Shown, written: Callable[[], int], tmp_path: Path
) -> None:
    """The folder is made, and tells git to ignore it."""
    assert (written(), shown.asked, _threads()) == (0, [0], [])
    assert (tmp_path / "folder" / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_changes_wait_for_the_interval_and_are_written_together(
    files: LiveFiles, shown: Shown, clock: Clock, written: Callable[[], int]
) -> None:
    """A thousand changes right after a write are one write, once the interval is over."""
    for shown.number in range(1000):
        files.changed(NAME)
    clock.asked()
    assert (shown.asked, written()) == ([0], 0)
    assert clock.waits == [pytest.approx(INTERVAL)]
    clock.let_go()
    shown.wait()
    files.pause()
    assert (shown.asked, written()) == ([0, 999], 999)


def test_writes_are_an_interval_apart(files: LiveFiles, shown: Shown, clock: Clock) -> None:
    """However many changes there are: with the last write, there are four in a second at most."""
    for number in range(1, 5):
        shown.number = number
        files.changed(NAME)
        clock.asked()
        clock.let_go()
        shown.wait()
    assert shown.asked == [0, 1, 2, 3, 4]
    assert clock.waits[:4] == [pytest.approx(INTERVAL, abs=1e-6)] * 4
    assert 3 * INTERVAL >= 1


def test_a_change_after_a_quiet_time_does_not_wait(files: LiveFiles, shown: Shown, clock: Clock) -> None:
    """The interval counts from the last write."""
    clock.now += 10
    files.changed(NAME)
    clock.asked()
    assert clock.waits == [0]
    clock.let_go()
    shown.wait()


def test_the_last_state_does_not_wait(
    files: LiveFiles, shown: Shown, clock: Clock, written: Callable[[], int]
) -> None:
    """It is written at once though a change has just begun to wait, and the thread has ended."""
    shown.number = 1
    files.changed(NAME)
    clock.asked()
    shown.number = 2
    files.finish(NAME)
    assert (written(), shown.asked, _threads()) == (2, [0, 2], [])


def test_a_change_after_the_last_state_is_written_all_the_same(
    files: LiveFiles, shown: Shown, written: Callable[[], int]
) -> None:
    """At once, since nobody may come later."""
    files.finish(NAME)
    shown.number = 7
    files.changed(NAME)
    assert (written(), _threads()) == (7, [])


def test_one_thread_writes_all_files(files: LiveFiles, shown: Shown, clock: Clock, tmp_path: Path) -> None:
    """Each file is written only if it has changed, and another one goes on when one is finished."""
    other = Shown()
    files.show("OTHER.json", other)
    files.changed(NAME)
    files.changed("OTHER.json")
    assert len(_threads()) == 1
    files.finish(NAME)
    other.number = 3
    files.changed("OTHER.json")
    files.pause()
    assert (shown.asked, other.asked) == ([0, 0], [0, 3])
    assert json.loads((tmp_path / "folder" / "OTHER.json").read_text(encoding="utf-8")) == {"number": 3}


def test_a_folder_that_cannot_be_written_is_a_problem_until_it_can(tmp_path: Path) -> None:
    """It is tried again: what was in the way may be gone, and the last state counts."""
    (tmp_path / "folder").touch()
    files = LiveFiles(tmp_path / "folder")
    files.show(NAME, dict)
    assert str(tmp_path / "folder") in files.problem
    (tmp_path / "folder").unlink()
    files.finish(NAME)
    assert files.problem == ""
    assert (tmp_path / "folder" / NAME).is_file()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(5, "Input/output error")])
def test_a_write_that_fails_leaves_the_file_as_it_was(
    error: OSError,
    files: LiveFiles,
    shown: Shown,
    written: Callable[[], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is left of the attempt, and the problem is named."""

    def fail(*args: object, **more: object) -> None:
        raise error

    monkeypatch.setattr(Path, "write_text", fail)
    shown.number = 1
    files.finish(NAME)
    assert files.problem == str(error)
    assert written() == 0
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == [".gitignore", NAME]


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@needs_fork
def test_a_fork_meets_no_thread_and_no_change_is_lost(
    files: LiveFiles, shown: Shown, written: Callable[[], int]
) -> None:
    """Python warns of a fork where there are threads; what waits is written before, the next change after."""
    shown.number = 1
    files.changed(NAME)
    with warnings.catch_warnings():
        # This very test may run in a process with threads of others.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    assert (written(), _threads()) == (1, [])
    shown.number = 2
    files.changed(NAME)
    files.pause()
    assert written() == 2


def test_a_forked_child_writes_nothing(
    files: LiveFiles, shown: Shown, written: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may run the same hooks to its end, and the run is not its own."""
    monkeypatch.setattr(live.os, "getpid", lambda: -1)
    shown.number = 1
    files.changed(NAME)
    files.finish(NAME)
    files.pause()
    assert (written(), _threads()) == (0, [])


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """While a file is replaced again and again, each read is one of its states."""
    state = {"text": ""}
    files = LiveFiles(tmp_path)
    files.show(NAME, lambda: state)
    stop = threading.Event()
    seen: list[str] = []

    def read() -> None:
        while not stop.is_set():
            seen.append(json.loads((tmp_path / NAME).read_text(encoding="utf-8"))["text"])

    reader = threading.Thread(target=read)
    reader.start()
    files.finish(NAME)
    try:
        for number in range(100):
            state["text"] = str(number % 10) * 50_000
            files.changed(NAME)
    finally:
        stop.set()
        reader.join()
    assert seen
    assert all(len(set(text)) <= 1 and len(text) in (0, 50_000) for text in seen)
