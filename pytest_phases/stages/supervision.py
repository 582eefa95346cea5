"""The worker's side of a running stage: start its supervisor, follow its output, see that it ends."""

from __future__ import annotations

import math
import os
import secrets
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pytest_phases.stages import supervisor
from pytest_phases.stages.tree import VARIABLE, Tree

GRACE = 1.5
"""Seconds between SIGTERM and SIGKILL."""

PATIENCE = 4.5
"""Seconds the supervisor has to end a tree before the worker does it; more than supervisor.LIMIT."""

LAST_LOOK = 0.4
"""Seconds the worker then takes; with PATIENCE below the five in which everything is to end."""

READ_BYTES = 64 * 1024
DRAIN_BYTES = 16 * 1024 * 1024
"""Read at most once a stage is over: more than a pipe holds, should someone out of reach go on writing."""

# By import and not by path: then the compiled file is used, and the supervisor can import as well.
SUPERVISOR = (
    *(sys.executable, "-I", "-S", "-c"),
    "import sys; sys.path.append(sys.argv[1]); from pytest_phases.stages.supervisor import main; main()",
    str(Path(__file__).parents[2]),
)

_running: set[Supervision] = set()


def let_go_of_all() -> None:
    """Have every stage of this process ended, without waiting for it; from any thread."""
    for supervision in list(_running):
        supervision.let_go()


@dataclass(slots=True)
class Report:
    """What the supervisor has said so far; `reason` is empty until the end, the rest as it comes."""

    script: int = 0
    problem: str = ""
    left: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    reason: str = ""
    status: int | None = None

    def take(self, line: str) -> None:
        """Take one line in the form that `supervisor` describes."""
        word, _, text = line.partition("\t")
        if word == "script":
            self.script = int(text)
        elif word == "problem":
            self.problem = text
        elif word == "end":
            self.reason, _, status = text.partition(" ")
            self.status = int(status) if status else None
        else:
            {"left": self.left, "stuck": self.stuck}[word].append(text)


class Supervision:
    """One stage and its supervisor: `start`, `follow`, and `end` whatever happens in between.

    `output` is called with the bytes that the stage prints, as they come. `report` is complete
    after `end`.
    """

    def __init__(self, output: Callable[[bytes], None]) -> None:
        self.report = Report()
        self._output = output
        self._token = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline_lock = threading.RLock()  # `let_go` may come while the request is written
        self._unread = b""
        self._finished = False
        self._due = math.inf  # when the supervisor must be done

    def start(self, argv: list[bytes], cwd: Path, env: Mapping[str, str], timeout: float | None) -> None:
        """Start the supervisor and have it start the script; `timeout` in seconds."""
        env = {**env, VARIABLE: ":".join(filter(None, (env.get(VARIABLE), self._token)))}
        request = supervisor.Request(
            argv=argv,
            cwd=os.fsencode(cwd),
            env={os.fsencode(name): os.fsencode(value) for name, value in env.items()},
            token=self._token,
            timeout=timeout,
            grace=GRACE,
            worker=os.getpid(),
        )
        try:
            self._process = subprocess.Popen(
                SUPERVISOR, env=env, bufsize=0, start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            self.report.problem = f"the stage could not be started: {error}"
            return
        self._due = math.inf if timeout is None else time.monotonic() + timeout + PATIENCE
        _running.add(self)
        self._send(request.to_bytes())

    def _send(self, request: bytes) -> None:
        rest = memoryview(request)
        lifeline = self._pipe("stdin")
        with self._lifeline_lock, suppress(BrokenPipeError):  # it died at once: its output tells how
            while rest and not lifeline.closed:
                rest = rest[lifeline.write(rest) :]

    def follow(self) -> None:
        """Pass on what the stage prints until its supervisor is done, or overdue."""
        if self._process is None:
            return
        report, output = self._pipe("stdout"), self._pipe("stderr")
        os.set_blocking(output.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(report, selectors.EVENT_READ, self._read_report)
            selector.register(output, selectors.EVENT_READ, self._read_output)
            remaining = math.inf
            while not self._finished and remaining > 0:  # a last look too, if this process itself was held up
                remaining = self._due - time.monotonic()
                for key, _ in selector.select(None if remaining == math.inf else max(remaining, 0)):
                    if key.data() == b"":
                        selector.unregister(key.fileobj)
        self._drain()

    def _read_report(self) -> bytes:
        data = self._pipe("stdout").read(READ_BYTES)
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self.report.take(line.decode())
        self._finished = data == b""
        return data

    def _read_output(self) -> bytes | None:
        """What was there to pass on: nothing (b"") at the end of the output, None if there is none yet."""
        data: bytes | None = self._pipe("stderr").read(READ_BYTES)
        if data:
            self._output(data)
        return data

    def _drain(self) -> None:
        """Pass on what the pipe still holds, without waiting for those who hold it open."""
        drained = 0
        while drained < DRAIN_BYTES and (data := self._read_output()):
            drained += len(data)

    def let_go(self) -> None:
        """Have the stage ended, without waiting for it; from any thread, as often as one likes."""
        if self._process is not None:
            with self._lifeline_lock:
                self._pipe("stdin").close()

    def end(self) -> None:
        """See that the stage is over, its output read, and nothing of it left; takes at most five seconds."""
        if self._process is None:
            return
        try:
            self.let_go()
            self._due = min(self._due, time.monotonic() + PATIENCE)
            self.follow()
            self._end_in_its_place()
        finally:
            _running.discard(self)
            for name in ("stdout", "stderr"):
                self._pipe(name).close()

    def _end_in_its_place(self) -> None:
        """Do what a supervisor that was killed, or does not answer, has not done."""
        assert self._process is not None  # `end` has looked
        answered = self._finished
        if not answered:
            self._process.kill()
        self._process.wait()
        if self.report.reason or self.report.problem:
            return
        grace, limit = (GRACE, supervisor.LIMIT) if answered else (0.0, LAST_LOOK)
        stuck = Tree(self._token, session=self.report.script).end(grace, limit)
        self._drain()
        self.report.stuck += map(str, stuck)
        self.report.problem = f"the supervisor of the stage {'died' if answered else 'did not answer'}"

    def _pipe(self, name: str) -> IO[bytes]:
        pipe: IO[bytes] = getattr(self._process, name)
        return pipe
