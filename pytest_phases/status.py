"""`pytest-phases status`: the run that is active, or the last one, as text for people."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from pytest_phases.plan.words import printable
from pytest_phases.state.seen import STATUS_WORDS, Seen

_MINUTE, _HOUR = 60, 3600


def as_text(seen: Seen, now: datetime) -> str:
    """A screen for people."""
    status = seen.status
    tasks = status["tasks"]
    is_open = [task for task in tasks if task["id"] in status["phase"] or task["status"] == "handoff_pending"]
    ended = [task for task in tasks if task not in is_open]
    sections = {
        "open phases" if seen.alive else "open when it ended": _table(
            _open_row(seen, task, now) for task in is_open
        ),
        "workers": _table(_worker_row(worker, now) for worker in status["workers"]),
        "locks held": _table(_held_row(lock, now) for lock in seen.locks),
        "waiting for locks": _table(_waiting_row(lock, now) for lock in seen.waiting),
        **{
            word: _table(_closed_row(task) for task in ended if task["status"] == word)
            for word in ("failed", "blocked", "interrupted")
        },
    }
    lines = [_header(seen, now), _counts(tasks)]
    for name, rows in sections.items():
        if rows:
            lines += ["", name, *(f"  {row}" for row in rows)]
    if seen.problem:
        lines += ["", f"locks: {seen.problem}"]
    return "\n".join(lines)


def _header(seen: Seen, now: datetime) -> str:
    status = seen.status
    run, pid, last = f"run {status['execution_id']}", status["pid"], _since(status["updated"], now)
    if seen.alive:
        return f"{run} is running: for {_since(status['started'], now)}, wave {status['wave']}, process {pid}"
    if status["state"] == "running":
        return f"{run} was cut short: process {pid} is gone without a last word; last heard of {last} ago"
    return f"{run} {'has finished' if status['state'] == 'finished' else 'was interrupted'}, {last} ago"


def _counts(tasks: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(task["status"] for task in tasks)
    resumed = sum(bool(task["resumed"]) for task in tasks)
    words = dict.fromkeys((*STATUS_WORDS, *counts))
    shown = [f"{counts[word]} {word.replace('_', ' ')}" for word in words if counts[word]]
    return f"phases and streams: {', '.join(shown) or 'none'}{f' ({resumed} resumed)' if resumed else ''}"


def _open_row(seen: Seen, task: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    left = task["remaining"]
    if left is not None and seen.alive:
        left = max(0, left - int(_seconds(seen.status["updated"], now) or 0))
    shown = f"about {_duration(left)} left" if left is not None else "time left unknown"
    failing = "failing: " if task["status"] == "failed" else ""
    return _title(task), f"{task['percent']}%", shown, task["agent"] or "no worker", failing + task["reason"]


def _worker_row(worker: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    phase = f"phase {worker['phase']}" if worker["phase"] is not None else ""
    return worker["name"], worker["item"] or "idle", phase, f"for {_since(worker['since'], now)}"


def _held_row(lock: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    on = f"on {lock['agent_id']}" if lock["agent_id"] != lock["holder"] else ""
    return lock["holder"], on, _claims(lock["locked_paths"], lock), f"for {_since(lock['lock_time'], now)}"


def _waiting_row(lock: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    held_by = f"held by {lock['waits_for'] or 'another run'}"
    return lock["holder"], _claims(lock["paths"], lock), held_by, f"for {_since(lock['since'], now)}"


def _claims(alone: Sequence[str], lock: Mapping[str, Any]) -> str:
    return ", ".join((*alone, *(f"{name} (shared)" for name in lock["shared_paths"])))


def _closed_row(task: Mapping[str, Any]) -> tuple[str, ...]:
    by = f"by {', '.join(task['blocked_by'])}" if task["blocked_by"] else ""
    return _title(task), by, task["reason"]


def _title(task: Mapping[str, Any]) -> str:
    return f"{task['id']} {task['name']}".rstrip()


def _table(rows: Iterator[tuple[str, ...]]) -> list[str]:
    """Rows as lines with their columns below one another; a column without a word is left out."""
    safe = ([printable(cell).replace("\n", "\\n") for cell in row] for row in rows)
    columns = [column for column in zip(*safe, strict=True) if any(column)]
    padded = ([cell.ljust(max(map(len, column))) for cell in column] for column in columns)
    return ["  ".join(cells).rstrip() for cells in zip(*padded, strict=True)]


def _since(text: str, now: datetime) -> str:
    seconds = _seconds(text, now)
    return _duration(int(seconds)) if seconds is not None else "an unknown time"


def _seconds(text: str, now: datetime) -> float | None:
    """How long ago a time of the files was; None for what is no time."""
    try:
        return max(0.0, (now - datetime.fromisoformat(text).astimezone(timezone.utc)).total_seconds())
    except (ValueError, OverflowError):
        return None


def _duration(seconds: int) -> str:
    if seconds < _MINUTE:
        return f"{seconds}s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE}m {seconds % _MINUTE:02}s"
    return f"{seconds // _HOUR}h {seconds % _HOUR // _MINUTE:02}m"


def follow(
    see: Callable[[], Seen], show: Callable[[Seen], None], sleep: Callable[[float], object] = time.sleep
) -> None:
    """Show what is seen each second until the run has ended."""
    while True:
        seen = see()
        show(seen)
        if not seen.alive:
            return
        sleep(1)
