"""The supervisor: a small process beside each stage that outlives whoever started it.

It starts the script, ends it when its time is up, and ends whatever the stage leaves. Its standard
input is its lifeline: the worker holds the other end open, and however the worker goes, killed
included, the system closes it. The supervisor stands in a session of its own, so that what ends the
worker's group or comes from the terminal does not reach it.

Standard input first brings the request (marshal, see `Request`), standard output carries the report
(a line each, `word<TAB>text`), standard error is the log of the stage, and the script's output.

Report: `script PID` once it runs; `problem TEXT` if it could not be started; `left PID NAME` for
each process that the stage left running; `stuck PID NAME` for each that could not be ended; `end
REASON STATUS` last, with the status that waitpid gave, or nothing if the script is still there.

Every stage pays for the start of this process: no dataclasses, no typing, no json here.
"""

from __future__ import annotations

import marshal
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

from pytest_phases.stages.tree import PAUSE, Process, Tree

LIFELINE, REPORT, OUTPUT = 0, 1, 2

EXITED, TIMED_OUT, ABANDONED = "exited", "timed-out", "abandoned"
"""Why the supervisor ends a tree: the script is over, its time is, or the worker let go of it."""

SETTLE = 0.3
"""Seconds in which the rest of a tree may end by itself after the script (`exec > >(tee log)`)."""

LIMIT = 3.5
"""Seconds after which a tree that cannot be ended is given up and reported."""

CHECK_PARENT = 1.0
"""Seconds between two looks at whether the worker lives, should a fork of it hold the lifeline open."""

PR_SET_CHILD_SUBREAPER = 36


class Request:
    """What the worker asks for: bytes as the system takes them, times in seconds."""

    __slots__ = ("argv", "cwd", "env", "grace", "timeout", "token", "worker")

    def __init__(
        self,
        *,
        argv: list[bytes],
        cwd: bytes,
        env: dict[bytes, bytes],
        token: str,
        timeout: float | None,
        grace: float,
        worker: int,
    ) -> None:
        self.argv = argv
        self.cwd = cwd
        self.env = env
        self.token = token
        self.timeout = timeout
        self.grace = grace
        self.worker = worker

    def to_bytes(self) -> bytes:
        """The request as it travels; both ends are the same Python, so marshal will do."""
        return marshal.dumps({name: getattr(self, name) for name in self.__slots__})


class Supervisor:
    """One stage from its start to the end of its last process."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._script = 0
        self._status: int | None = None
        self._inherits_orphans = become_subreaper()
        self._wakeup = wakeup_on_signals()

    def run(self) -> None:
        """Start the script, wait for a reason to end it, end everything, and report."""
        request = self._request
        try:
            script = subprocess.Popen(
                request.argv, cwd=request.cwd, env=request.env, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=OUTPUT, stderr=OUTPUT,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            report("problem", why_not_started(request, error))
            return
        self._script = script.pid
        report("script", str(script.pid))
        reason = self._watch()
        tree = Tree(request.token, session=script.pid, root=os.getpid())
        left = self._leftovers(tree) if reason == EXITED else []
        stuck = tree.end(request.grace, LIMIT) if self._alive(tree) else []
        self._reap()
        for word, processes in (("left", left), ("stuck", stuck)):
            for process in processes:
                report(word, str(process))
        report("end", f"{reason} {'' if self._status is None else self._status}")

    def _watch(self) -> str:
        """Wait until the script is over, its time is, or the worker has let go; return which."""
        timeout = self._request.timeout
        end = float("inf") if timeout is None else time.monotonic() + timeout
        self._reap()
        while self._status is None:
            remaining = end - time.monotonic()
            if remaining <= 0:
                return TIMED_OUT
            ready, _, _ = select.select([LIFELINE, self._wakeup], [], [], min(remaining, CHECK_PARENT))
            signals = os.read(self._wakeup, 512) if self._wakeup in ready else b""
            if LIFELINE in ready or set(signals) - {signal.SIGCHLD} or os.getppid() != self._request.worker:
                return ABANDONED
            self._reap()
        return EXITED

    def _leftovers(self, tree: Tree) -> list[Process]:
        """What is still there once the rest of the tree had its chance to end by itself."""
        end = time.monotonic() + SETTLE
        while (left := self._alive(tree)) and time.monotonic() < end:
            time.sleep(PAUSE)
        return left

    def _alive(self, tree: Tree) -> list[Process]:
        """The members of the tree; where orphans come to us, no child left means none at all."""
        return [] if not self._reap() and self._inherits_orphans else tree.members()

    def _reap(self) -> bool:
        """Take leave of the children that ended, and say whether any is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._script:
                self._status = status


def why_not_started(request: Request, error: OSError | ValueError) -> str:
    """What a user can do about a script that could not be started."""
    program, folder = os.fsdecode(request.argv[0]), os.fsdecode(request.cwd)
    if not isinstance(error, OSError):
        return f"{program} could not be started: {error}"
    if error.filename == request.cwd:
        return f"the stage cannot run in the folder {folder}: {error.strerror}"
    if isinstance(error, FileNotFoundError):
        return f"{program} was not found on PATH: install it, or write the stage in another language"
    return f"{program} could not be started: {error.strerror}"


def become_subreaper() -> bool:
    """Have orphans of the tree become children of this process; False where the system cannot (macOS)."""
    if sys.platform == "linux":
        with suppress(ImportError):  # a Python built without libffi has no ctypes
            import ctypes

            return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    return False


def wakeup_on_signals() -> int:
    """Turn signals into bytes on a pipe, whose reading end this returns.

    Handlers, unlike ignored and blocked signals, do not pass to the script: it starts with the
    defaults, also when the run was started by nohup or in the background of a shell.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    return reading


def report(word: str, text: str) -> None:
    """Send one line to the worker."""
    with suppress(BrokenPipeError):  # the worker is dead: nobody to tell, and the tree is ended all the same
        os.write(REPORT, f"{word}\t{text}\n".encode("utf-8", "replace"))


def main() -> None:
    """Serve the request on standard input; without a whole one, the worker died first."""
    try:
        request = Request(**marshal.load(sys.stdin.buffer))
    except EOFError:
        return
    Supervisor(request).run()
