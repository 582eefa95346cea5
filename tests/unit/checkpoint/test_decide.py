"""The decision of every combination, against an oracle that was written without the code."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product

import pytest

from pytest_phases.checkpoint.decide import (
    Action,
    Case,
    DependencyState,
    Evidence,
    Mode,
    Past,
    Progress,
    decide,
)

CASES = tuple(
    Case(*values) for values in product(Past, Progress, Evidence, DependencyState, Mode, (True, False))
)


def oracle(case: Case) -> Action:
    """What a reader of the documentation expects, one sentence after another."""
    was_green = case.past.value == "green"
    all_of_it_ran = case.progress.value == "finished"
    nothing_ran = case.progress.value == "not started"
    trusted = case.mode.value == "trust"
    skips_passed_tests = case.mode.value == "tests"
    looks_as_it_did = case.evidence.value == "same"
    stands_on_what_it_did = case.dependencies.value == "resumed"
    if case.selected is False:
        return Action.LEAVE
    if was_green and all_of_it_ran:
        if trusted or (looks_as_it_did and stands_on_what_it_did):
            return Action.RESUME
        return Action.RUN
    if not skips_passed_tests or nothing_ran:
        return Action.RUN
    if not (looks_as_it_did and stands_on_what_it_did):
        return Action.RUN
    has_tests_that_ran = case.past.value in ("green", "red", "interrupted")
    return Action.REST if has_tests_that_ran else Action.RUN


def test_every_combination_is_decided_as_an_independent_oracle_says() -> None:
    """All 972 of them."""
    assert len(CASES) == 972
    assert {case: decide(case) for case in CASES} == {case: oracle(case) for case in CASES}


def test_what_has_changed_or_is_unknown_is_kept_on_trust_alone() -> None:
    """Neither the phase nor a single test of it."""
    for case in CASES:
        if case.evidence is not Evidence.SAME and case.mode is not Mode.TRUST and case.selected:
            assert decide(case) is Action.RUN


@pytest.mark.parametrize(
    "past", [past for past in Past if past is not Past.GREEN], ids=lambda past: past.value
)
def test_only_what_was_green_stays_green(past: Past) -> None:
    """Trust makes nothing green."""
    assert Action.RESUME not in {decide(case) for case in CASES if case.past is past}


EAGERNESS = {Action.RUN: 0, Action.REST: 1, Action.RESUME: 2}
CERTAIN = {
    "past": Past.GREEN,
    "progress": Progress.FINISHED,
    "evidence": Evidence.SAME,
    "dependencies": DependencyState.RESUMED,
}


@pytest.mark.parametrize("what", CERTAIN)
def test_doubt_never_saves_anything(what: str) -> None:
    """With the best news in place of any other, at least as much is resumed."""
    for case in CASES:
        if case.selected:
            surer = replace(case, **{what: CERTAIN[what]})
            assert EAGERNESS[decide(case)] <= EAGERNESS[decide(surer)], (case, surer)


def test_the_cases_cover_everything_a_decision_may_depend_on() -> None:
    """A field that is added must be enumerated too."""
    assert [field.name for field in fields(Case)] == [*CERTAIN, "mode", "selected"]
