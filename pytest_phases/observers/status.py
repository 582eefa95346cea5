"""`PARALLEL_STATUS.json`: what a run is doing, for whoever looks from outside."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

from pytest_phases.events import PhaseChanged, RunResult, RunStarted, State
from pytest_phases.model import Phase

NAME = "PARALLEL_STATUS.json"

_WORDS = {
    State.WAITING: "waiting",
    State.OPEN: "in_progress",
    State.FAILING: "failed",
    State.GREEN: "completed",
    State.EMPTY: "completed",
    State.RED: "failed",
    State.BLOCKED: "blocked",
    State.INTERRUPTED: "interrupted",
}


@dataclass(frozen=True, slots=True)
class _Task:
    """One phase or stream as the file shows it."""

    id: str
    name: str
    paths: tuple[str, ...]
    wave: int
    state: State = State.WAITING
    agents: tuple[str, ...] = ()
    started: str | None = None
    completed: str | None = None

    def to_data(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "agent": ", ".join(self.agents),
            "status": _WORDS[self.state],
            "paths": list(self.paths),
            "started": self.started,
            "completed": self.completed,
        }


# A plugin must be hashable, which comparing by value would prevent.
@dataclass(slots=True, eq=False)
class StatusFile:
    """Writes the file when the run starts, when a phase changes and when the run ends.

    A folder that cannot be written is said once, in the summary, and changes no outcome.
    """

    folder: Path
    _run: RunStarted | None = None
    _started: str = ""
    _tasks: dict[str, _Task] = field(default_factory=dict)
    _broken: str = ""

    @pytest.hookimpl
    def pytest_phases_run_started(self, event: RunStarted) -> None:
        """Every phase and stream is a task."""
        self._run, self._started = event, _now()
        number = {phase: index for index, wave in enumerate(event.waves, 1) for phase in wave}
        for phase in event.plan.phases:
            for unit in phase.units:
                self._tasks[unit.id] = _task(unit, number[phase.id])
        self._write()

    @pytest.hookimpl
    def pytest_phases_phase_changed(self, event: PhaseChanged) -> None:
        """A task has a new status."""
        task = self._tasks.get(event.id)
        if task is None:
            return
        self._tasks[event.id] = replace(
            task,
            state=event.new,
            agents=event.agents,
            started=task.started or (_now() if event.new is State.OPEN else None),
            completed=_now() if event.new.closed else None,
        )
        self._write()

    @pytest.hookimpl
    def pytest_phases_run_finished(self, result: RunResult) -> None:
        """The last word."""
        self._write()

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Say so where the file could not be written; a warning of Python's might be an error."""
        if self._broken:
            terminalreporter.write_line(self._broken, yellow=True)

    def _write(self) -> None:
        if self._broken or self._run is None:
            return
        running = [task for task in self._tasks.values() if not task.state.closed]
        opened = [task.id for task in running if task.state is not State.WAITING]
        data = {
            "execution_id": self._run.run_id,
            "phase": opened,
            "wave": min((task.wave for task in running), default=len(self._run.waves)),
            "started": self._started,
            "tasks": [task.to_data() for task in self._tasks.values()],
        }
        try:
            prepare_folder(self.folder)
            replace_file(self.folder / NAME, json.dumps(data, indent=2) + "\n")
        except OSError as error:
            self._broken = f"warning: the status of this run is not recorded: {error}"


def prepare_folder(folder: Path) -> None:
    """Make the folder of a run; it tells git to ignore all of it.

    Raises OSError where that cannot be done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def replace_file(path: Path, text: str) -> None:
    """Replace a file as a whole: a reader sees the old text or the new one.

    Raises OSError where that cannot be done.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _task(unit: Phase, wave: int) -> _Task:
    return _Task(unit.id, unit.name, unit.modifies, wave)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
