"""Whether a run measures coverage, of what, and who judges it; without a threshold nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_phases.errors import PlanError, Problem
from pytest_phases.evidence import PartRecord
from pytest_phases.graph import build
from pytest_phases.model import Crew, Plan
from pytest_phases.ratchet import ratcheted
from pytest_phases.settings import Settings
from pytest_phases.table import Table

if TYPE_CHECKING:
    from pytest_phases.coverage.analysis import Sources
    from pytest_phases.coverage.judge import CoverageJudge
    from pytest_phases.coverage.scope import Target


def start_in_one_process(config: pytest.Config, path: Path) -> None:
    """Begin to measure if the plan at `path` has a threshold."""
    from pytest_phases.plan.read import read_plan

    try:
        plan = ratcheted(read_plan(path, str(path)), {})
    except PlanError:
        return  # told, with every problem, when the run is set up
    include = measured(plan, config.rootpath)
    if include is not None:
        from pytest_phases.coverage import early

        early.start(config, include)


def has_threshold(plan: Plan) -> bool:
    """Whether anything of the plan is judged by its coverage."""
    places = (*plan.units(), *plan.syncs, *((plan.gate,) if plan.gate is not None else ()))
    return any(place.coverage is not None for place in places)


def measured(plan: Plan, root: Path) -> tuple[str, ...] | None:
    """Patterns of the files that the thresholds are about; None if the plan has no threshold."""
    if not has_threshold(plan):
        return None
    from pytest_phases.coverage.scope import judged

    covers = dict.fromkeys(entry for target in judged(plan) for entry in target.covers if entry)
    return tuple(pattern for entry in covers for pattern in _patterns(root / entry))


def _patterns(path: Path) -> tuple[str, ...]:
    """A folder and all below it; what a stage may make yet can be either."""
    return (str(path), f"{path}/*")


def problems(config: pytest.Config, plan: Plan) -> Iterable[Problem]:
    """What is wrong with the thresholds of a plan, before anything runs."""
    if not has_threshold(plan) or _impossible(config, measured=True):
        return ()
    from pytest_phases.coverage.check import problems as found

    graph = build(plan)
    building = {unit.id for unit in plan.units() for stage in unit.stages if stage.crew is Crew.BUILD}

    def may_change(unit: str) -> bool:
        return unit in building or (unit in graph.nodes and not building.isdisjoint(graph.ancestors(unit)))

    return found(plan, _sources(config, plan), may_change)


def judge_of(
    config: pytest.Config, settings: Settings, plan: Plan, table: Table, record: Callable[[PartRecord], None]
) -> CoverageJudge | None:
    """Who judges the thresholds of a run, its markers' too; None if there is none."""
    if not has_threshold(plan):
        return None
    from pytest_phases.coverage.combine import Combined
    from pytest_phases.coverage.judge import CoverageJudge
    from pytest_phases.coverage.scope import judged

    targets = judged(plan)
    return CoverageJudge(
        targets,
        cache(lambda: _sources(config, plan)),
        Combined(config.rootpath, config.rootpath / settings.phases_dir, settings.run_id, record),
        _left(targets, table),
        impossible=_impossible(config, measured=settings.measured is not None),
    )


def _sources(config: pytest.Config, plan: Plan) -> Sources:
    from pytest_phases.coverage import early
    from pytest_phases.coverage.analysis import Sources

    include = measured(plan, config.rootpath) or ()
    folder = early.folder_of(config)
    return Sources(config.rootpath, early.configured(vars(config.option), folder, include), folder)


def _impossible(config: pytest.Config, *, measured: bool) -> str:
    """Why coverage is not measured, in words; empty if it is."""
    if getattr(config.option, "no_cov", False):
        return "--no-cov was given; leave it out"
    if not measured:
        return (
            "the threshold stands in markers alone, which are known only when everything is imported; "
            "write it into the plan"
        )
    theirs = config.pluginmanager.getplugin("_cov")
    if theirs is not None and theirs.cov_controller is not None:
        setting = theirs.cov_controller.cov.config.dynamic_context
        if setting not in (None, "", "none"):
            return (
                f"dynamic_context = {setting} in the coverage configuration takes the contexts that tell "
                "phases apart; remove it, or use --cov-context=test"
            )
        return ""
    from pytest_phases.coverage import early

    return config.stash.get(early.REFUSED, "")


def _left(targets: Iterable[Target], table: Table) -> Mapping[Target, str]:
    """Thresholds that say nothing of this run, because not all of the tests that count are in it."""
    missing = {phase for _, phase in table.left_out}
    left = {}
    for target in targets:
        if table.uncollected:
            left[target] = table.uncollected
        elif missing.intersection(target.phases):
            left[target] = "some of its tests were deselected"
    return left
