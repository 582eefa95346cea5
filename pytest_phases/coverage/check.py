"""What is wrong with the thresholds of a plan before anything has run: nothing to judge them over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pytest_phases.coverage.analysis import Sources
from pytest_phases.coverage.scope import ScopeError, Target, judged
from pytest_phases.errors import Problem
from pytest_phases.model import Phase, Place, Plan, place_of
from pytest_phases.plan.words import printable


def problems(plan: Plan, sources: Sources, may_change: Callable[[str], bool]) -> list[Problem]:
    """Everything that would make a figure of this sound plan say nothing.

    `may_change(id)` tells whether a stage may still make or change files before a phase or stream has
    closed; a threshold is looked at only if that is so of none of the phases that count for it.
    """
    found: list[Problem] = []
    for target in judged(plan):
        unsettled = any(map(may_change, target.phases))
        # No stage makes a configuration; what it names one may make.
        if not (unsettled and sources.has_source):
            found += _without_source(target, sources)
        if not unsettled:
            found += (problem for unit in _stating(plan, target) for problem in _of_covers(unit, sources))
    return list(dict.fromkeys(found))


def _stating(plan: Plan, target: Target) -> Iterator[Phase]:
    """The phases and streams whose `covers` a threshold is judged over."""
    phases = {unit.partition("/")[0] for unit in target.phases}
    for unit in plan.units():
        belongs = unit.id.partition("/")[0] in phases
        if unit.covers and belongs and set(unit.covers) <= set(target.covers):
            yield unit


def _without_source(target: Target, sources: Sources) -> Iterator[Problem]:
    """What is wrong with the configured source, if a threshold is judged over nothing else."""
    if target.covers:
        return
    named = f"{target.kind} {target.id}" if target.kind in ("phase", "stream") else f"the {target.kind}"
    try:
        files = sources.files(())
    except ScopeError as error:
        yield _problem("coverage-without-source", target.place, f"{named} states a threshold, but {error}")
        return
    if not sources.has_statement(files):
        message = (
            f"{named} states a threshold, but there is no statement in the source that coverage.py is "
            "configured to measure; write `covers:` with files or folders to the phase, or correct "
            "`source` or `omit` under [tool.coverage.run]"
        )
        yield _problem("coverage-without-source", target.place, message)


def _of_covers(unit: Phase, sources: Sources) -> Iterator[Problem]:
    """What is wrong with the entries of a phase's or stream's `covers`."""
    kind, place = "stream" if "/" in unit.id else "phase", place_of(unit, "covers")
    for entry in unit.covers:
        where = f"{kind} {unit.id}: covers: `{entry}`"
        files, unmeasured = sources.files([entry]), sources.never_measured([entry])
        if unmeasured:
            more = f" and {len(unmeasured) - 1} more" if len(unmeasured) > 1 else ""
            message = (
                f"{where} matches {unmeasured[0]}{more}, which the coverage configuration does not measure; "
                "take it out, or add it to `source` or `include` under [tool.coverage.run]"
            )
            yield _problem("covers-not-measured", place, message)
        elif not sources.has_statement(files):
            what = "has no statement in it" if files else "leaves no file to measure"
            message = (
                f"{where} {what}; name Python files or folders with some, or correct what the coverage "
                "configuration omits"
            )
            yield _problem("covers-nothing-measured", place, message)


def _problem(slug: str, place: Place, message: str) -> Problem:
    return Problem(slug, place, printable(message))
