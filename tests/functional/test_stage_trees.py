"""However a run ends, within five seconds no process is left of what its stages had started."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

PLAN = """
### Phase 1: Long
dependencies: []
Build: long
{key}
```python
import os, signal, subprocess
from journal import note

def daemon():
    if os.fork():
        return os.wait()
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.execlp("sleep", "sleep", os.environ["MARK"])

daemon()
subprocess.Popen(["sleep", os.environ["MARK"]])
worker = subprocess.run(["ps", "-o", "ppid=", "-p", str(os.getppid())], capture_output=True, text=True)
note("stage runs", worker_pid=int(worker.stdout))
os.execlp("sleep", "sleep", os.environ["MARK"])
```
### Phase 2: After it
dependencies: [1]
tests: [test_after.py]
### Phase 3: Independent
dependencies: []
tests: [test_independent.py]
"""


class Started:
    """A run in a process group of its own whose stage has started everything, and its stage's processes.

    These are told by the argument of their `sleep`.
    """

    def __init__(self, pytester, journal, mark, workers):
        self.mark = mark
        self.journal = journal
        command = [sys.executable, "-m", "pytest", "--phases", "plan.md", workers, "--junitxml=junit.xml"]
        self.process = subprocess.Popen(
            command,
            cwd=pytester.path,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for_stage(self):
        """Wait until the stage has started everything."""
        self._comes(lambda: "stage runs" in self.journal.names or self.process.poll() is not None, 30)
        assert "stage runs" in self.journal.names, self.process.stdout.read() if self.process.poll() else ""
        assert self._comes(lambda: len(self.alive()) == 3, 30), self.alive()

    def alive(self):
        """The processes of the stage that are alive."""
        command = ["ps", "-axww", "-o", "stat=,command="]
        listing = subprocess.run(command, capture_output=True, text=True, check=True)
        marked = [line for line in listing.stdout.splitlines() if line.endswith(f"sleep {self.mark}")]
        return [line for line in marked if not line.startswith("Z")]

    def nothing_is_left_soon(self):
        """Whether all are gone within the five seconds that are promised."""
        return self._comes(lambda: not self.alive(), 5)

    def _comes(self, condition, seconds):
        end = time.monotonic() + seconds
        while not (holds := condition()) and time.monotonic() < end:
            time.sleep(0.05)
        return holds


@pytest.fixture
def started(pytester, plan, journal, monkeypatch):
    """A function that starts a run of PLAN, with a key for its stage, and waits until the stage runs."""
    mark = f"1000.{random.randrange(10**9):09}"
    monkeypatch.setenv("MARK", mark)
    runs = []

    def start(key="", workers="-n2"):
        plan(PLAN.format(key=key))
        pytester.makepyfile(test_after="def test_after(): pass")
        pytester.makepyfile(test_independent="def test_independent(): pass")
        runs.append(Started(pytester, journal, mark, workers))
        runs[-1].wait_for_stage()
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
        run.process.communicate()


@pytest.mark.parametrize(("send", "workers"), [(os.kill, "-n2"), (os.killpg, "-n2"), (os.kill, "-n0")])
def test_ctrl_c_ends_the_tree(started, send, workers):
    """Ctrl-C, which a terminal sends to the whole group, ends stage and run."""
    run = started(workers=workers)
    send(run.process.pid, signal.SIGINT)
    assert run.nothing_is_left_soon(), run.alive()
    output, _ = run.process.communicate(timeout=30)
    assert run.process.returncode == pytest.ExitCode.INTERRUPTED
    assert "INTERNALERROR" not in output


def test_a_controller_that_is_killed_takes_the_tree_along(started):
    """If the controller is killed, its workers end what they run."""
    run = started()
    run.process.kill()
    assert run.nothing_is_left_soon(), run.alive()


def test_a_worker_that_is_killed_takes_the_tree_along(started, outcomes):
    """If the worker is killed, its stage fails once, its phase is red, and the run goes on to its end."""
    run = started()
    os.kill(run.journal["stage runs"]["worker_pid"], signal.SIGKILL)
    assert run.nothing_is_left_soon(), run.alive()
    output, _ = run.process.communicate(timeout=30)
    assert run.process.returncode == 1, output
    assert outcomes()["build-long"] == "error", "as xdist reports what a worker crashed in"
    assert outcomes()["test_independent"] == "passed"
    assert outcomes().message("test_after") == "blocked by phase 1 (1 failed)"


def test_a_timeout_ends_the_tree(started, outcomes):
    """When its time is up, a stage fails with all that it started ended."""
    run = started("timeout: 3s")
    output, _ = run.process.communicate(timeout=30)
    assert not run.alive()
    assert run.process.returncode == 1, output
    assert "timed out after 3 s" in outcomes().message("build-long")
