"""Run a stage as a subprocess: stream its output, and be sure that all of it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from signal import Signals

from pytest_phases.model import Language
from pytest_phases.stages.log import Log
from pytest_phases.stages.mask import Masker, secrets_of
from pytest_phases.stages.supervision import Report, Supervision, let_go_of_all
from pytest_phases.stages.supervisor import ABANDONED, TIMED_OUT

RUNNERS: dict[Language, tuple[str, ...]] = {
    Language.BASH: ("bash", "-eo", "pipefail", "-c"),
    Language.SH: ("sh", "-e", "-c"),
    Language.PYTHON: (sys.executable, "-c"),
}
NAMED = 10
"""So many of the processes that a stage left running are named in its log."""


@dataclass(frozen=True, slots=True)
class Command:
    """A stage ready to run: `env` is its whole environment, `timeout` in seconds, `log` a file."""

    script: str
    language: Language
    cwd: Path
    env: Mapping[str, str]
    timeout: float | None
    log: Path


@dataclass(frozen=True, slots=True)
class Ending:
    """How a stage ended.

    One of `exit_code` and `signal` is set if its script ended by itself or was ended; `problem`
    says why there is no such end, or that it is none of the script's doing. `tail` holds the last
    lines it printed, secrets masked; `left` the processes (`1234 sleep`) that it left running and
    that were ended; `warning` what went wrong beside it and does not make it fail, `unwritten` what of
    its log could not be written.
    """

    exit_code: int | None = None
    signal: int | None = None
    timed_out: bool = False
    timeout: float | None = None
    problem: str = ""
    tail: str = ""
    left: tuple[str, ...] = ()
    warning: str = ""
    unwritten: str = ""

    @property
    def ok(self) -> bool:
        """Whether the script ran to its end and was content."""
        return self.exit_code == 0 and not self.timed_out and not self.problem

    def describe(self) -> str:
        """The end in a few words: `exit status 3`, `ended by signal SIGKILL`, `timed out after 10 s`."""
        if self.problem:
            return self.problem
        if self.timed_out:
            return f"timed out after {self.timeout:g} s"
        if self.signal is not None:
            return f"ended by signal {_signal_name(self.signal)}"
        return f"exit status {self.exit_code}"


def run(command: Command, echo: Callable[[bytes], None] | None = None) -> Ending:
    """Run a stage and wait for its end; nothing that it started outlives this call.

    Its output goes to the log as it comes, and to `echo` if there is one. Whatever is raised in here
    while the stage runs (KeyboardInterrupt, the signal handler of a timeout) is raised on once the
    stage is ended.
    """
    if os.name != "posix":
        return Ending(problem="stages run on Linux and macOS only")
    argv = [*map(os.fsencode, RUNNERS[command.language]), command.script.encode("utf-8", "surrogateescape")]
    with Log(command.log, Masker(secrets_of(command.env)), echo) as log:
        supervision = Supervision(log.write)
        try:
            supervision.start(argv, command.cwd, command.env, command.timeout)
            supervision.follow()
        finally:
            supervision.end()
        log.end_of_output()
        ending = _ending(supervision.report, command.timeout)
        for note in _notes(ending):
            log.note(note)
        return replace(ending, tail=log.tail.text(), unwritten=log.warning)


def _ending(report: Report, timeout: float | None) -> Ending:
    code = None if report.status is None else os.waitstatus_to_exitcode(report.status)
    ended = "the run it belongs to was ended" if report.reason == ABANDONED else ""
    return Ending(
        exit_code=code if code is not None and code >= 0 else None,
        signal=-code if code is not None and code < 0 else None,
        timed_out=report.reason == TIMED_OUT,
        timeout=timeout,
        problem=report.problem or ended,
        left=tuple(report.left),
        warning=f"could not be ended: {', '.join(report.stuck)}" if report.stuck else "",
    )


def _notes(ending: Ending) -> Iterator[str]:
    """What the log says about an end that the output alone does not explain."""
    if ending.problem or ending.timed_out or ending.signal is not None:
        yield ending.describe()
    if ending.left:
        count = len(ending.left)
        more = f" and {count - NAMED} more" if count > NAMED else ""
        yield (
            f"ended {count} process{'es' if count > 1 else ''} that the stage left running: "
            f"{', '.join(ending.left[:NAMED])}{more}"
        )
    if ending.warning:
        yield ending.warning


def _signal_name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:  # the real-time signals have no names
        return str(number)


def end_all() -> None:
    """End every stage that runs in this process, at once and from any thread.

    Returns without waiting. For the loss of the connection to the controller: the stages' own
    calls of `run` return in a moment, each with a problem.
    """
    let_go_of_all()
