"""What a phase requires of the machine: whether it is there, and how to get it where it is not.

An entry of `requires:` is a kind and a target, as in the table `_KINDS`: an environment variable,
a command, a distribution, a TCP port, a file. All entries are checked before anything runs, so
that one list names everything that is missing.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_phases.errors import Problem
from pytest_phases.model import Phase, Plan, place_of
from pytest_phases.plan.selectors import is_glob, lies_at
from pytest_phases.plan.words import did_you_mean

PORT_TIMEOUT = 2.0
"""How many seconds all ports together have to answer."""

_HIGHEST_PORT = 65535
_ANSWERS = ""


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """An entry of `requires:`, taken apart: `env:API_URL` is of kind `env` and names `API_URL`."""

    kind: str
    target: str


@dataclass(frozen=True, slots=True)
class Required:
    """An entry as the plan writes it, and the phase or stream that requires it."""

    phase: str
    entry: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A prerequisite that is not there, the phase or stream that requires it, and how to get it."""

    phase: str
    entry: str
    how: str


@dataclass(frozen=True, slots=True)
class _Machine:
    """Where prerequisites are looked for; `silent` holds the ports that do not answer, and why."""

    root: Path
    environ: Mapping[str, str]
    silent: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of prerequisite.

    `malformed` says what is wrong with a target as it is written, `how_to_get` how to get one that
    is not there; both give None if all is well.
    """

    example: str
    malformed: Callable[[str], str | None]
    how_to_get: Callable[[str, _Machine], str | None]


def required(phases: Iterable[Phase]) -> tuple[Required, ...]:
    """Every entry of the phases and of their streams, in their order."""
    return tuple(
        Required(unit.id, entry) for phase in phases for unit in phase.units for entry in unit.requires
    )


def parse(entry: str) -> Prerequisite | str:
    """An entry taken apart, or what is wrong with it and what to write instead."""
    name, colon, target = (part.strip() for part in entry.partition(":"))
    if not entry.isprintable():
        return f"prerequisite {entry!r} holds a control character; write one of {_examples()}"
    if not colon or not target:
        return f"prerequisite `{entry}` lacks a kind or what it names; write one of {_examples()}"
    if name not in _KINDS:
        return f"prerequisite `{entry}` is of no known kind; {did_you_mean(name, _KINDS)}"
    if fault := _KINDS[name].malformed(target):
        return f"prerequisite `{entry}` {fault}; write it as in {_KINDS[name].example}"
    return Prerequisite(name, target)


def validate(plan: Plan) -> tuple[Problem, ...]:
    """A problem for each malformed entry, at the key of the phase or stream that has it."""
    return tuple(
        Problem("bad-prerequisite", place_of(unit, "requires"), parsed)
        for unit in plan.units()
        for parsed in map(parse, unit.requires)
        if isinstance(parsed, str)
    )


def split(
    plan: Plan, entries: Iterable[Required], ancestors: Mapping[str, Collection[str]]
) -> tuple[tuple[Required, ...], tuple[Required, ...]]:
    """The entries to check before anything runs, and those to check when their phase opens.

    The latter name a file, or a folder, that a stage of an ancestor declares in `outputs:` or puts
    its outputs in. `ancestors` has, for the id of each phase and stream, the ids of those that are
    closed before it opens.
    """
    outputs = {unit.id: [path for stage in unit.stages for path in stage.outputs] for unit in plan.units()}
    now: list[Required] = []
    later: list[Required] = []
    for item in entries:
        parsed = parse(item.entry)
        made = (path for ancestor in ancestors.get(item.phase, ()) for path in outputs.get(ancestor, ()))
        file = parsed.target if isinstance(parsed, Prerequisite) and parsed.kind == "file" else None
        is_made = file is not None and any(lies_at(file, path) or lies_at(path, file) for path in made)
        (later if is_made else now).append(item)
    return tuple(now), tuple(later)


def check(entries: Iterable[Required], root: Path, environ: Mapping[str, str]) -> tuple[Missing, ...]:
    """The entries that are not there, in the given order.

    Each distinct entry is checked once; ports are tried together and within `PORT_TIMEOUT`.
    Relative files are of `root`. A malformed entry counts as missing and says what is wrong.
    """
    entries = tuple(entries)
    parsed = {item.entry: parse(item.entry) for item in entries}
    found = [one for one in parsed.values() if isinstance(one, Prerequisite)]
    machine = _Machine(root, environ, _silent({one.target for one in found if one.kind == "port"}))
    how = {
        entry: one if isinstance(one, str) else _KINDS[one.kind].how_to_get(one.target, machine)
        for entry, one in parsed.items()
    }
    return tuple(Missing(item.phase, item.entry, lack) for item in entries if (lack := how[item.entry]))


def render(missing: Iterable[Missing]) -> str:
    """The message that nothing was run, with one line for each distinct entry; empty for none."""
    phases: dict[tuple[str, str], list[str]] = {}
    for item in missing:
        phases.setdefault((item.entry, item.how), []).append(item.phase)
    if not phases:
        return ""
    what = "1 prerequisite is" if len(phases) == 1 else f"{len(phases)} prerequisites are"
    lines = [
        f"  {entry} ({'phase' if len(ids) == 1 else 'phases'} {', '.join(ids)}): {how}"
        for (entry, how), ids in phases.items()
    ]
    return "\n".join([f"NO-GO: {what} missing, nothing was run", *lines])


def _examples() -> str:
    """One example of each kind."""
    return ", ".join(kind.example for kind in _KINDS.values())


def _bad_word(target: str) -> str | None:
    """What is wrong with the name of a variable or a command."""
    return "holds a blank or an equals sign" if set(target) & set(" \t=") else None


def _variable(name: str, machine: _Machine) -> str | None:
    """How to get an environment variable; a CI that lacks a secret often sets it to nothing."""
    if machine.environ.get(name):
        return None
    return f"set the environment variable {name}" + (", which is empty" if name in machine.environ else "")


def _command(name: str, machine: _Machine) -> str | None:
    """How to get a command, looked for where a stage finds it: beside the interpreter, then on PATH."""
    if "/" in name:
        is_there = shutil.which(machine.root / name)
        return None if is_there else f"there is no executable file {name} in {machine.root}: make one"
    places = [str(Path(sys.executable).parent), machine.environ.get("PATH", os.defpath)]
    found = shutil.which(name, path=os.pathsep.join(places))
    return None if found else f"install {name} so that it is on PATH"


def _bad_requirement(target: str) -> str | None:
    """What is wrong with a requirement."""
    from pytest_phases.plan import distributions

    return distributions.why_malformed(target)


def _distribution(target: str, _: _Machine) -> str | None:
    """How to get a distribution; imported only for this, since most plans require none."""
    from pytest_phases.plan import distributions

    return distributions.how_to_get(target)


def _address(target: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[::1]:port`; raises ValueError with what is wrong."""
    host, _, port = target.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("is an IPv6 address without brackets")
    if not host:
        raise ValueError("lacks a host or a port")
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= _HIGHEST_PORT):
        raise ValueError(f"has no port from 1 to {_HIGHEST_PORT}")
    return host, int(port)


def _bad_address(target: str) -> str | None:
    """What is wrong with a host and a port."""
    try:
        _address(target)
    except ValueError as error:
        return str(error)
    return None


def _port(target: str, machine: _Machine) -> str | None:
    """How to get a port that answers."""
    reason = machine.silent.get(target)
    return f"nothing listens at {target}: start it ({reason})" if reason else None


def _silent(targets: Iterable[str]) -> dict[str, str]:
    """The ports that do not answer within `PORT_TIMEOUT`, each with the reason.

    They are tried at once, in threads that nobody waits for any longer: the look-up of a host name
    cannot be given a time.
    """
    answers: dict[str, str] = {}
    threads = [threading.Thread(target=_connect, args=(target, answers), daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PORT_TIMEOUT
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    answered = dict(answers)
    reasons = {target: answered.get(target, f"no answer in {PORT_TIMEOUT:g} s") for target in targets}
    return {target: reason for target, reason in reasons.items() if reason != _ANSWERS}


def _connect(target: str, answers: dict[str, str]) -> None:
    """Try one port and put down `_ANSWERS` or why it does not."""
    try:
        with socket.create_connection(_address(target), timeout=PORT_TIMEOUT):
            answers[target] = _ANSWERS
    except (OSError, UnicodeError) as error:  # the latter for a host name that cannot be one
        answers[target] = getattr(error, "strerror", None) or str(error)


def _bad_path(target: str) -> str | None:
    """What is wrong with a path."""
    return "is a glob, and one file is asked for" if is_glob(target) else None


def _file(target: str, machine: _Machine) -> str | None:
    """How to get a file or a folder."""
    try:
        exists = (machine.root / target).exists()
    except OSError as error:
        return f"{target} cannot be read ({error.strerror}): make it readable"
    return None if exists else f"there is no {target} in {machine.root}: make it"


_KINDS: Mapping[str, _Kind] = {
    "env": _Kind("env:API_URL", _bad_word, _variable),
    "cmd": _Kind("cmd:npm", _bad_word, _command),
    "python": _Kind("python:numpy>=1.26", _bad_requirement, _distribution),
    "port": _Kind("port:127.0.0.1:5432", _bad_address, _port),
    "file": _Kind("file:pyproject.toml", _bad_path, _file),
}
