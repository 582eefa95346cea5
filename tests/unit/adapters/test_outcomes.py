"""An item's outcome: the worst of all its final reports."""

from __future__ import annotations

import pytest

from pytest_phases.adapters.outcomes import Account, judge
from pytest_phases.events import Outcome


def report(when: str, outcome: str, **more: object) -> pytest.TestReport:
    """A report of one step of a test; `more` are what plugins and pytest add to it."""
    made = pytest.TestReport("t.py::test", ("t.py", 1, "test"), {}, outcome, None, when, start=2.0, stop=3.0)
    made.__dict__.update(more)
    return made


@pytest.mark.parametrize(
    ("when", "outcome", "more", "found"),
    [
        ("setup", "passed", {}, None),
        ("call", "passed", {}, Outcome.PASSED),
        ("teardown", "passed", {}, None),
        ("call", "failed", {}, Outcome.FAILED),
        ("setup", "failed", {}, Outcome.ERROR),
        ("teardown", "failed", {}, Outcome.ERROR),
        ("setup", "skipped", {}, Outcome.SKIPPED),
        ("call", "skipped", {}, Outcome.SKIPPED),
        ("call", "skipped", {"wasxfail": ""}, Outcome.XFAILED),
        ("setup", "skipped", {"wasxfail": "why"}, Outcome.XFAILED),
        ("call", "rerun", {}, None),
    ],
)
def test_one_report_is_judged(when, outcome, more, found):
    """Failures outside the call are errors, expected failures are told apart, and a rerun is not final."""
    assert judge(report(when, outcome, **more)) is found


PASSED = [("setup", "passed"), ("call", "passed"), ("teardown", "passed")]


@pytest.mark.parametrize(
    ("reports", "outcome"),
    [
        (PASSED, Outcome.PASSED),
        ([*PASSED[:2], ("teardown", "failed")], Outcome.ERROR),
        ([("setup", "passed"), ("call", "failed"), ("teardown", "failed")], Outcome.ERROR),
        ([("setup", "passed"), ("call", "failed"), ("call", "passed")], Outcome.FAILED),
        ([("setup", "passed"), ("call", "skipped"), ("call", "passed")], Outcome.PASSED),
        ([("setup", "passed"), ("call", "rerun"), ("setup", "passed"), ("call", "passed")], Outcome.PASSED),
        ([("setup", "skipped"), ("teardown", "passed")], Outcome.SKIPPED),
        ([("setup", "passed")], None),
    ],
    ids=["passed", "teardown", "both", "failed subtest", "skipped subtest", "rerun", "skipped", "no end yet"],
)
def test_the_worst_report_is_the_outcome(reports, outcome):
    """Subtests report under the name of their test, whose own report may say passed all the same."""
    account = Account()
    for when, said in reports:
        account.add(report(when, said))
    assert account.outcome is outcome


def test_an_account_knows_when_its_item_ran_and_whether_it_is_over():
    """From the first start to the last stop; over when the teardown was reported."""
    account = Account()
    account.add(report("setup", "passed", start=1.0, stop=1.5))
    account.add(report("call", "passed", start=1.5, stop=4.0))
    assert (account.start, account.stop, account.ended) == (1.0, 4.0, False)
    account.add(report("teardown", "passed", start=4.0, stop=4.5))
    assert (account.stop, account.ended) == (4.5, True)
