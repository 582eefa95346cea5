"""The process tree of a stage: who belongs to it, and how all of it is ended.

To the tree belong the session of the script, everything whose environment carries the stage's
token, and the descendants of both. A daemon that left the session still has the token; a child
with an environment of its own still has its session or its parent. What has neither is out of
reach, except on Linux, where the supervisor inherits every orphan and so stays its ancestor.

The processes are read from /proc, or from `ps` where there is none. psutil would do, but xdist
counts processors differently once it is installed: it would change what `-n auto` means.

This module is imported by the supervisor, whose start every stage pays: it keeps to what is cheap.
"""

# Importing pathlib would double the time the supervisor takes to start.
# ruff: noqa: PTH110, PTH119, PTH123, PTH208

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

VARIABLE = "PHASES_TREE"
"""The variable that carries the tokens of a stage and of those it runs in, separated by colons."""

PAUSE = 0.02
"""Seconds between two looks at a tree that is ending."""

PS = ("ps", "-axwwE", "-o", "pid=,ppid=,pgid=,stat=,command=")
"""Lists all processes on macOS, each command followed by its environment."""


class Process:
    """One process as it was when it was looked at; `name` is that of its program."""

    __slots__ = ("group", "has_token", "name", "parent", "pid", "session", "zombie")

    def __init__(
        self,
        pid: int,
        *,
        parent: int,
        group: int,
        session: int,
        zombie: bool,
        name: bytes,
        has_token: Callable[[bytes], bool],
    ) -> None:
        self.pid = pid
        self.parent = parent
        self.group = group
        self.session = session
        self.zombie = zombie
        self.name = "".join(c if c.isprintable() else "?" for c in name.decode("utf-8", "replace"))
        self.has_token = has_token

    def __str__(self) -> str:
        return f"{self.pid} {self.name}"


class Tree:
    """The processes of one stage.

    `session` is that of the script (0: not known); `root` is a process whose descendants all
    belong to the tree, itself not among them (0: none). The process that asks never belongs.
    """

    def __init__(self, token: str, session: int = 0, root: int = 0) -> None:
        self._token = token.encode()
        self._session = session
        self._root = root

    def members(self) -> list[Process]:
        """Every process of the tree that is alive now."""
        everyone = list(processes())
        found = {self._root} - {0}
        found.update(p.pid for p in everyone if p.session == self._session != 0 or p.has_token(self._token))
        while grown := {p.pid for p in everyone if p.parent in found} - found:
            found |= grown
        outside = {self._root, os.getpid()}
        return [p for p in everyone if p.pid in found - outside and not p.zombie]

    def end(self, grace: float, limit: float) -> list[Process]:
        """Ask all to end, kill them after `grace` seconds, and return what is left after `limit` seconds."""
        start = time.monotonic()
        self._send(self.members(), signal.SIGTERM, signal.SIGCONT)  # a stopped one must run to end itself
        while self.members() and time.monotonic() < start + grace:
            time.sleep(PAUSE)
        while left := self.members() or self.members():  # one look can miss a child made while it lasts
            if time.monotonic() >= start + limit:
                return left
            self._send(left, signal.SIGKILL)
            time.sleep(PAUSE)
        return []

    @staticmethod
    def _send(members: Iterable[Process], *signals: signal.Signals) -> None:
        """Signal whole groups: the system does that at once, so that a fork cannot slip through.

        No stranger can be in such a group: a group lies in one session, and the script's session
        and those made by its descendants hold nothing else.
        """
        groups = {process.group for process in members} - {0, 1, os.getpgrp()}
        for group in groups:
            for number in signals:
                with suppress(ProcessLookupError, PermissionError):  # gone, or another user's
                    os.killpg(group, number)


def processes() -> Iterator[Process]:
    """All processes of this machine that can be seen, zombies too."""
    return from_proc() if os.path.exists("/proc/self/stat") else from_ps(PS)


def from_proc() -> Iterator[Process]:
    """All processes as /proc shows them."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        stat = _read(f"/proc/{entry}/stat")
        if stat:
            yield parse_stat(stat)


def parse_stat(stat: bytes) -> Process:
    """A process from a line like `12 (a name) S 1 12 12 ...`; the name may hold anything, `) ` too."""
    pid, _, rest = stat.partition(b" (")
    name, _, rest = rest.rpartition(b") ")
    state, parent, group, session = rest.split()[:4]
    return Process(
        int(pid),
        parent=int(parent),
        group=int(group),
        session=int(session),
        zombie=state in b"ZX",
        name=name,
        has_token=lambda token: token in _read(f"/proc/{int(pid)}/environ"),
    )


def _read(path: str) -> bytes:
    """A file of /proc, or nothing if its process is gone or another user's."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.readall()
    except OSError:
        return b""


def from_ps(command: Iterable[str]) -> Iterator[Process]:
    """All processes but itself as `ps` shows them, called so that its columns are those of PS."""
    with subprocess.Popen(tuple(command), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as ps:
        output, _ = ps.communicate()
    for line in output.splitlines():
        process = parse_ps(line)
        if process.pid != ps.pid:
            yield process


def parse_ps(line: bytes) -> Process:
    """A process from a line of PS, whose last column is the command and its environment."""
    pid, parent, group, state, *command = line.split(None, 4)
    shown = b"".join(command)
    return Process(
        int(pid),
        parent=int(parent),
        group=int(group),
        session=_session_of(int(pid)),
        zombie=state.startswith(b"Z"),
        name=os.path.basename(shown.split(None, 1)[0]) if shown else b"?",
        has_token=lambda token: token in shown,
    )


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0
