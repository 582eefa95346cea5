"""The two files of status as they are found: by whoever looks, whatever became of the run that wrote them.

The run may have been killed, and a file may have been cut off or edited: nothing is believed unseen.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from pytest_phases.errors import PhasesError
from pytest_phases.state.live import LOCKS, STATUS
from pytest_phases.state.runlock import Active, read_active

# The form of the files. A list has one kind of entry, a tuple is a choice of types.
_TEXTS = [str]
_TIME = (str, NoneType)
TASK_FIELDS = {
    "id": str,
    "name": str,
    "agent": str,
    "status": str,
    "percent": int,
    "remaining": (int, NoneType),
    "paths": _TEXTS,
    "started": _TIME,
    "completed": _TIME,
    "reason": str,
    "blocked_by": _TEXTS,
    "resumed": str,
}
WORKER_FIELDS = {"name": str, "item": (str, NoneType), "phase": (str, NoneType), "since": str}
STATUS_FIELDS = {
    "execution_id": str,
    "state": str,
    "pid": int,
    "phase": _TEXTS,
    "wave": int,
    "started": str,
    "updated": str,
    "tasks": [TASK_FIELDS],
    "workers": [WORKER_FIELDS],
}
LOCK_FIELDS = {
    "agent_id": str,
    "holder": str,
    "locked_paths": _TEXTS,
    "shared_paths": _TEXTS,
    "lock_time": str,
}
WAITING_FIELDS = {"holder": str, "paths": _TEXTS, "shared_paths": _TEXTS, "since": str, "waits_for": str}
LOCKS_FIELDS = {"execution_id": str, "updated": str, "locks": [LOCK_FIELDS], "waiting": [WAITING_FIELDS]}
STATUS_WORDS = (
    "completed",
    "failed",
    "in_progress",
    "handoff_pending",
    "waiting",
    "blocked",
    "interrupted",
)
"""What the status of a task may be."""


class NothingRecorded(PhasesError):
    """There is no status to show: where it was looked for, why, and what to do."""


class _Unreadable(Exception):
    """A file does not hold what it should."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What both files say, in their own form; `alive` says whether the run still goes on.

    `problem` says why the locks are not known, empty if they are.
    """

    status: Mapping[str, Any]
    locks: Sequence[Mapping[str, Any]]
    waiting: Sequence[Mapping[str, Any]]
    alive: bool
    problem: str = ""

    def to_data(self) -> dict[str, Any]:
        """Both files as one."""
        return {
            **self.status,
            "locks": list(self.locks),
            "waiting": list(self.waiting),
            "alive": self.alive,
            "problem": self.problem,
        }


def look(folder: Path) -> Seen:
    """What is going on now, or what the last run has left.

    Raises NothingRecorded if there is no status, or none that can be read.
    """
    try:
        status = _read(folder / STATUS, STATUS_FIELDS)
    except FileNotFoundError as error:
        raise NothingRecorded(
            f"{folder}: no run is recorded here; run `pytest --phases PLAN`, "
            "or say where it has run with --root and --phases-dir"
        ) from error
    except _Unreadable as error:
        raise NothingRecorded(f"{folder / STATUS}: {error}; the next run writes it anew") from error
    locks: dict[str, Any] = {"locks": [], "waiting": []}
    problem = ""
    try:
        found = _read(folder / LOCKS, LOCKS_FIELDS)
        if found["execution_id"] == status["execution_id"]:
            locks = found
    except FileNotFoundError:
        pass  # for a moment, a run has written the first file alone
    except _Unreadable as error:
        problem = f"{folder / LOCKS}: {error}"
    return Seen(status, locks["locks"], locks["waiting"], _is_alive(status, folder), problem)


def _read(file: Path, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The object in a file.

    Raises FileNotFoundError, and _Unreadable for everything else that is wrong with it.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _Unreadable(f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise _Unreadable("is cut off or damaged") from error
    wrong = _misfit(data, fields, "")
    if wrong is not None:
        raise _Unreadable(f"is not what this version writes: {wrong or 'it'} is missing or of another type")
    return data  # type: ignore[no-any-return]  # `_misfit` has looked


def _misfit(value: object, kind: Any, where: str) -> str | None:
    """Where a value does not have a form, the whole being the empty text; None if it has."""
    if isinstance(kind, Mapping):
        if not isinstance(value, dict):
            return where
        inside = ((value.get(name, ...), part, f"{where}.{name}".lstrip(".")) for name, part in kind.items())
    elif isinstance(kind, list):
        if not isinstance(value, list):
            return where
        inside = ((each, kind[0], f"{where}[{number}]") for number, each in enumerate(value))
    else:
        return None if isinstance(value, kind) and not isinstance(value, bool) else where
    return next((wrong for wrong in (_misfit(*each) for each in inside) if wrong is not None), None)


def _is_alive(status: Mapping[str, Any], folder: Path) -> bool:
    """Whether the process of a run still runs it; another one may have got its number since."""
    return (
        status["state"] == "running"
        and _exists(status["pid"])
        and read_active(folder).run_id in (Active().run_id, status["execution_id"])
    )


def _exists(pid: int) -> bool:
    if pid <= 0:
        return False  # that would be a group of processes
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # somebody else's
    except (OSError, OverflowError):
        return False
    return True
