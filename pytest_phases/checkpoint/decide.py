"""Whether a phase or stream need run again: one pure function, and the table it keeps.

The first row that fits decides; `*` stands for anything.

    selected  mode   recorded              progress  evidence  dependencies  action
    no        *      *                     *         *         *             leave
    yes       trust  green                 finished  *         *             resume
    yes       *      green                 finished  same      resumed       resume
    yes       tests  green                 started   same      resumed       rest
    yes       tests  red, interrupted      started,  same      resumed       rest
                                           finished
    yes       *      *                     *         *         *             run

An empty phase proves nothing, a blocked one has run nothing, and what is unknown is never the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Past(Enum):
    """What is recorded of a unit; a run that was killed leaves it interrupted."""

    NONE = "none"
    GREEN = "green"
    EMPTY = "empty"
    RED = "red"
    BLOCKED = "blocked"
    INTERRUPTED = "interrupted"


class Progress(Enum):
    """How much of what a unit holds now has ended well: nothing has run, something has, all of it."""

    NOT_STARTED = "not started"
    STARTED = "started"
    FINISHED = "finished"


class Evidence(Enum):
    """Whether what the recorded outcome depends on is as it was then."""

    SAME = "same"
    CHANGED = "changed"
    UNKNOWN = "unknown"


class DependencyState(Enum):
    """What becomes of the units that must be green before this one: the worst of them."""

    RESUMED = "resumed"
    RUNS = "runs"
    RED = "red"


class Mode(Enum):
    """What the user asked for: `--phases-resume`, with `=tests` or `=trust`."""

    RESUME = "resume"
    TESTS = "tests"
    TRUST = "trust"


class Action(Enum):
    """What to do: keep it green, run it without the tests that have passed, run it, or neither."""

    RESUME = "resume"
    REST = "rest"
    RUN = "run"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Case:
    """Everything the decision depends on."""

    past: Past
    progress: Progress
    evidence: Evidence
    dependencies: DependencyState
    mode: Mode
    selected: bool = True


_UNFINISHED = frozenset(
    {
        (Past.GREEN, Progress.STARTED),
        (Past.RED, Progress.STARTED),
        (Past.RED, Progress.FINISHED),
        (Past.INTERRUPTED, Progress.STARTED),
        (Past.INTERRUPTED, Progress.FINISHED),
    }
)


def decide(case: Case) -> Action:
    """The row of the table that fits."""
    if not case.selected:
        return Action.LEAVE
    proven = case.past is Past.GREEN and case.progress is Progress.FINISHED
    same = case.evidence is Evidence.SAME and case.dependencies is DependencyState.RESUMED
    if proven and (same or case.mode is Mode.TRUST):
        return Action.RESUME
    if case.mode is Mode.TESTS and same and (case.past, case.progress) in _UNFINISHED:
        return Action.REST
    return Action.RUN
