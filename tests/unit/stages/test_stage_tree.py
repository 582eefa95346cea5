"""Who belongs to the tree of a stage."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_phases.stages.tree import VARIABLE, Process, Tree, from_proc, from_ps, parse_stat

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stages run on Linux and macOS")

TOKEN = "f00dfeedc0ffee"
SLEEP = "import time; print(flush=True); time.sleep(1000)"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, with a token in its environment, that has begun."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEP],
        env={**os.environ, VARIABLE: f"another:{TOKEN}"},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def fields(process: Process) -> tuple[int, int, int, bool]:
    """What is the same whoever lists a process."""
    return process.parent, process.group, process.session, process.zombie


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_proc_shows_a_process(sleeper: subprocess.Popen[bytes]) -> None:
    """Parent, group, session and token are read from /proc."""
    [found] = [process for process in from_proc() if process.pid == sleeper.pid]
    assert fields(found) == (os.getpid(), sleeper.pid, sleeper.pid, False)
    assert found.has_token(TOKEN.encode())
    assert not found.has_token(b"0123456789")


@pytest.mark.skipif(shutil.which("ps") is None, reason="needs ps")
def test_ps_shows_a_process(sleeper: subprocess.Popen[bytes]) -> None:
    """Where there is no /proc, ps tells the same; environment is `-E` on macOS and `e` on Linux."""
    flags = "-axwwE" if sys.platform == "darwin" else "axwwe"
    [found] = [
        process
        for process in from_ps(("ps", flags, "-o", "pid=,ppid=,pgid=,stat=,command="))
        if process.pid == sleeper.pid
    ]
    assert fields(found) == (os.getpid(), sleeper.pid, sleeper.pid, False)
    assert found.has_token(TOKEN.encode())
    assert str(found).startswith(f"{sleeper.pid} python")


@pytest.mark.parametrize("name", ["sh", "a b", ") S 1 2 3", "new\nline"])
def test_a_process_may_have_any_name(name: str) -> None:
    """Whatever stands between the brackets, the columns after it are found, and the name can be shown."""
    process = parse_stat(f"12 ({name}) S 1 10 11 0 -1".encode())
    assert (process.pid, *fields(process)) == (12, 1, 10, 11, False)
    assert str(process) == f"12 {name}".replace("\n", "?")


@pytest.mark.parametrize("by", ["token", "session", "root"])
def test_a_tree_is_found_by_token_session_or_ancestor(sleeper: subprocess.Popen[bytes], by: str) -> None:
    """Each of the three is enough to belong to it."""
    trees = {
        "token": Tree(TOKEN),
        "session": Tree("no such token", session=sleeper.pid),
        "root": Tree("no such token", root=os.getpid()),
    }
    assert sleeper.pid in [process.pid for process in trees[by].members()]


def test_who_asks_belongs_to_no_tree(sleeper: subprocess.Popen[bytes]) -> None:
    """A process never finds itself, and a tree that is nowhere is empty."""
    assert Tree("no such token").members() == []
    assert os.getpid() not in [process.pid for process in Tree(TOKEN, session=os.getsid(0)).members()]


def test_ending_a_tree_leaves_only_the_dead(sleeper: subprocess.Popen[bytes]) -> None:
    """A process that ended and waits to be collected is no member any more."""
    assert Tree(TOKEN).end(grace=10, limit=20) == []
    assert sleeper.wait() != 0
