"""An item's outcome: the worst of all its final reports."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pytest_phases.events import Outcome

_SEVERITY = (Outcome.SKIPPED, Outcome.XFAILED, Outcome.PASSED, Outcome.FAILED, Outcome.ERROR)


@dataclass(slots=True)
class Account:
    """What was reported of one item so far; `start` and `stop` are in seconds of the wall clock.

    `ended` says that its teardown was reported: nothing it did can take the worker down any more.
    """

    outcome: Outcome | None = None
    start: float = 0.0
    stop: float = 0.0
    ended: bool = False

    def add(self, report: pytest.TestReport) -> None:
        """Take in one report; one that announces a rerun is not final and does not count."""
        if not self.start:
            self.start = getattr(report, "start", 0.0)
        self.stop = getattr(report, "stop", 0.0)
        self.ended = report.when == "teardown"
        found = judge(report)
        if found is not None and (self.outcome is None or _worse(found, self.outcome)):
            self.outcome = found


def judge(report: pytest.TestReport) -> Outcome | None:
    """What one report says of its item; None for what says nothing (a set-up that passed, a rerun).

    Subtests report under the node id of their test, so a failing one makes the test failed
    although its own report says passed.
    """
    if report.outcome == "failed":
        return Outcome.FAILED if report.when == "call" else Outcome.ERROR
    if report.outcome == "skipped":
        return Outcome.XFAILED if hasattr(report, "wasxfail") else Outcome.SKIPPED
    if report.outcome == "passed" and report.when == "call":
        return Outcome.PASSED
    return None


def _worse(one: Outcome, other: Outcome) -> bool:
    return _SEVERITY.index(one) > _SEVERITY.index(other)
