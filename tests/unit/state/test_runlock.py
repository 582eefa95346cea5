"""One run at a time in a folder, whatever becomes of the one that has it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from pytest_phases.state.runlock import Active, RunLock, read_active

HOLDING = """
import sys
from pathlib import Path
from pytest_phases.state.runlock import RunLock
lock = RunLock(Path(sys.argv[1]), sys.argv[2])
print(lock.acquire(), flush=True)
sys.stdin.readline()
lock.release()
"""

# Each adds one to a number in a file, in two steps, as often as it is told: without the lock some get lost.
COUNTING = """
import sys
from pathlib import Path
from pytest_phases.state.runlock import RunLock
folder, file = Path(sys.argv[1]), Path(sys.argv[1]) / "count"
for number in range(int(sys.argv[2])):
    lock = RunLock(folder, "r")
    assert lock.acquire(wait=50) is None
    (folder / "inside").mkdir()
    count = int(file.read_text()) if file.exists() else 0
    file.write_text(str(count + 1))
    (folder / "inside").rmdir()
    lock.release()
"""


def start(code: str, *args: object) -> subprocess.Popen[str]:
    """A process of its own that runs this code."""
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder, which is not there yet."""
    return tmp_path / ".phases"


@pytest.fixture
def hold(folder: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """A function that starts a process which holds the lock until it is told a line."""
    started: list[subprocess.Popen[str]] = []

    def begin(run_id: str) -> subprocess.Popen[str]:
        process = start(HOLDING, folder, run_id)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "None\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


Hold = Callable[[str], subprocess.Popen[str]]


def test_the_first_one_gets_it(folder: Path) -> None:
    """And makes the folder; who comes second is told who that is, in one process too."""
    first, second = RunLock(folder, "r1"), RunLock(folder, "r2")
    assert first.acquire() is None
    active = second.acquire()
    assert active is not None
    assert (active.pid, active.run_id) == (os.getpid(), "r1")
    assert active.user
    assert datetime.fromisoformat(active.since).utcoffset() is not None
    second.release()
    assert RunLock(folder, "r3").acquire() == active
    first.release()
    assert second.acquire() is None
    second.release()


def test_another_process_is_named(folder: Path, hold: Hold) -> None:
    """As long as it lives and has not let go."""
    process = hold("r1")
    lock = RunLock(folder, "r2")
    active = lock.acquire()
    assert active is not None
    assert (active.pid, active.run_id) == (process.pid, "r1")
    process.communicate("\n")
    assert lock.acquire() is None
    lock.release()


def test_what_a_killed_one_had_is_taken_at_once(folder: Path, hold: Hold) -> None:
    """Though all of its files are still there."""
    process = hold("r1")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert read_active(folder).run_id == "r1"
    lock = RunLock(folder, "r2")
    assert lock.acquire() is None
    assert read_active(folder).run_id == "r2"
    lock.release()


def test_who_waits_gets_it_when_it_is_free(folder: Path, hold: Hold) -> None:
    """Or is told who has it still."""
    process = hold("r1")
    lock = RunLock(folder, "r2")
    active = lock.acquire(wait=0.1)
    assert active is not None
    assert active.run_id == "r1"
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert lock.acquire(wait=50) is None
    lock.release()


@pytest.mark.parametrize("count", [2, 4, 8])
def test_of_several_exactly_one_has_it(folder: Path, count: int) -> None:
    """At any time, however many want it at once."""
    folder.mkdir()
    times = 48 // count
    processes = [start(COUNTING, folder, times) for _ in range(count)]
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * count
    assert (folder / "count").read_text(encoding="utf-8") == str(times * count)


def test_its_file_is_never_deleted(folder: Path) -> None:
    """Else two could hold it; who held it is gone."""
    lock = RunLock(folder, "r1")
    lock.acquire()
    inode = (folder / "run.lock").stat().st_ino
    lock.release()
    assert [file.name for file in folder.iterdir()] == ["run.lock"]
    lock.acquire()
    assert (folder / "run.lock").stat().st_ino == inode
    lock.release()


def test_a_folder_that_was_removed_is_no_obstacle(folder: Path) -> None:
    """Nobody can find the lock of the run that is there still; the next one makes one of its own."""
    first, second = RunLock(folder, "r1"), RunLock(folder, "r2")
    first.acquire()
    shutil.rmtree(folder)
    assert second.acquire() is None
    first.release()
    second.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_process_that_is_forked_does_not_hold_it(folder: Path) -> None:
    """It may outlive the run; nor can it let go of what is not its own."""
    code = f"""
import os, sys
from pathlib import Path
from pytest_phases.state.runlock import RunLock
folder = Path({str(folder)!r})
lock = RunLock(folder, "r1")
lock.acquire()
reading, writing = os.pipe()
if not os.fork():
    os.close(writing)
    lock.release()
    os.read(reading, 1)  # lives as long as its parent
    os._exit(0)
assert RunLock(folder, "r2").acquire() is not None
lock.release()
assert RunLock(folder, "r3").acquire() is None
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_process_that_is_started_does_not_hold_it(folder: Path) -> None:
    """Whatever a test leaves running."""
    lock = RunLock(folder, "r1")
    lock.acquire()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False) as child:
        lock.release()
        assert lock.acquire() is None
        child.communicate(b"\n")
    lock.release()


UNREADABLE = {
    "nothing": None,
    "no JSON": "{",
    "something else": "[]",
    "something more": '{"pid": 1, "host": "h"}',
    "a pid that is no number": '{"pid": "1", "user": "u", "since": "s", "run_id": "r"}',
    "too deep": "[" * 100_000,
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_who_has_it_may_be_unknown(folder: Path, text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no traceback, and the lock holds all the same."""
    monkeypatch.setattr("pytest_phases.state.runlock.SETTLING", 0.01)
    lock = RunLock(folder, "r1")
    lock.acquire()
    (folder / "run.json").unlink()
    if text is not None:
        (folder / "run.json").write_text(text, encoding="utf-8")
    assert RunLock(folder, "r2").acquire() == Active(0, "unknown", "unknown", "unknown")
    lock.release()


def test_the_one_before_is_not_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be written who has it now, nobody is named."""
    monkeypatch.setattr("pytest_phases.state.runlock.SETTLING", 0.01)
    folder.mkdir()
    old = {"pid": os.getpid(), "user": "u", "since": "s", "run_id": "old"}
    (folder / "run.json").write_text(json.dumps(old), encoding="utf-8")
    (folder / "run.json.new").mkdir()
    lock = RunLock(folder, "r1")
    assert lock.acquire() is None
    assert RunLock(folder, "r2").acquire() == Active()
    lock.release()


def test_where_nothing_can_be_written_is_an_error(tmp_path: Path) -> None:
    """Who wants to run there decides what that means."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        RunLock(tmp_path / "file", "r1").acquire()


def test_a_file_of_another_user_can_be_locked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may only read it still excludes others, and is excluded."""
    before = os.open

    def refuse(path: Path, flags: int, *mode: int) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", str(path))
        return before(path, flags, *mode)

    first, second = RunLock(folder, "r1"), RunLock(folder, "r2")
    assert first.acquire() is None
    first.release()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert second.acquire() is None
    assert first.acquire() is not None
    second.release()
