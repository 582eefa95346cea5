"""The plan of a run: read from its file, merged with markers, and whether it may start."""

from __future__ import annotations

import inspect
import os
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from _pytest.config.findpaths import determine_setup

from pytest_phases import measuring, options
from pytest_phases.adapters.collaborators import Prepared
from pytest_phases.collection.expressions import check_expressions
from pytest_phases.collection.selection import selected
from pytest_phases.errors import PlanError, Problem
from pytest_phases.gate.record import Recorder
from pytest_phases.graph import build
from pytest_phases.model import Plan
from pytest_phases.plan import prerequisites
from pytest_phases.plan.checks import check
from pytest_phases.plan.markers import PhaseMark, merge, phase_id
from pytest_phases.plan.read import read_plan
from pytest_phases.plan.selectors import Membership
from pytest_phases.plan.words import did_you_mean
from pytest_phases.ratchet import ratcheted
from pytest_phases.resuming import Resuming, ratchets, shown
from pytest_phases.settings import Settings, below
from pytest_phases.table import Table

_OF_LATE_ITEMS = ("selector-conflict", "bad-lock")
"""Problems of single tests, which can be wrong with those that are collected late as well."""


def make_settings(config: pytest.Config) -> Settings:
    """What this run was asked to do.

    Raises UsageError with every problem of the plan and of the options.
    """
    path = options.plan_path(config, config.option.phases)
    _check_resume(config, has_plan=path is not None)
    if path is None and config.option.phases_deploy:
        raise pytest.UsageError("--phases-deploy: there is no plan; name it with --phases")
    folder = options.phases_dir(config)
    if config.rootpath.is_relative_to(folder):
        raise pytest.UsageError(
            f"--phases-dir {folder}: the project lies in it; name a folder for what runs leave, like .phases"
        )
    settings = Settings(
        run_id=uuid.uuid4().hex,
        phases_dir=below(folder, config.rootpath),
        schedule=options.schedule(config),
        only=options.only(config),
    )
    if path is None:
        return settings
    _check_rootdir(config, path)
    plan = ratcheted(_read(path, config), {})
    if config.option.phases_deploy and not (plan.gate is not None and plan.gate.stages):
        raise pytest.UsageError(
            f"--phases-deploy: {plan.file} says nothing of deploying; write a `Deploy:` stage under its "
            "`### Gate:` heading"
        )
    _refuse(measuring.problems(config, plan))
    return replace(
        settings,
        plan=plan,
        force=config.option.phases_force,
        plan_path=below(path.resolve(), config.rootpath.resolve()),
        measured=measuring.measured(plan, config.rootpath),
    )


def _check_resume(config: pytest.Config, *, has_plan: bool) -> None:
    """`--phases-resume tests` can mean a folder as well; argparse does not tell it from `=tests`."""
    if not has_plan and config.option.phases_resume is not None:
        raise pytest.UsageError("--phases-resume: there is no plan; name it with --phases")
    for option, value in pairwise(map(str, config.invocation_params.args)):
        if option == "--phases-resume" and value in options.RESUMED_MODES:
            raise pytest.UsageError(
                f"--phases-resume {value}: write --phases-resume={value}, or, if it is a path, put it before "
                "--phases-resume"
            )


def _refuse(problems: Iterable[Problem]) -> None:
    if problems:
        raise _usage_error(problems)


def _read(path: Path, config: pytest.Config) -> Plan:
    shown = os.path.relpath(path, config.invocation_params.dir)
    try:
        return read_plan(path, shown, config.rootpath, more=(check_expressions,))
    except PlanError as error:
        raise _usage_error(error.problems) from None


def _usage_error(problems: Iterable[Problem]) -> pytest.UsageError:
    """All problems at once, each on a line of its own; pytest then ends with exit status 4."""
    return pytest.UsageError(*map(str, PlanError(problems).problems))


def _check_rootdir(config: pytest.Config, plan: Path) -> None:
    """pytest takes `PLAN` of `--phases PLAN` for a test path when it looks for the rootdir.

    Raises UsageError where that has changed what the rootdir is.
    """
    asked = config.option.rootdir is not None or config.option.inifilename is not None
    if asked or config.args_source is pytest.Config.ArgsSource.ARGS:
        return
    known: dict[str, Any] = {
        "inifile": None,
        "override_ini": None,
        "args": [],
        "rootdir_cmd_arg": None,
        "invocation_dir": config.invocation_params.dir,
    }
    # Which of these there are has changed between versions of pytest.
    accepted = inspect.signature(determine_setup).parameters
    without_plan = determine_setup(**{name: value for name, value in known.items() if name in accepted})[0]
    if without_plan != config.rootpath:
        raise pytest.UsageError(
            f"with --phases {config.option.phases} pytest takes {config.rootpath} for the rootdir instead of "
            f"{without_plan}; run pytest from the folder that is to be the rootdir, or write "
            f"--phases={config.option.phases} for {without_plan}, or name it: --rootdir=DIR"
        )


def prepare(
    config: pytest.Config, settings: Settings, table: Table, recorder: Recorder, resuming: Resuming | None
) -> Prepared:
    """The plan of a run with the markers of its tests, once everything is collected.

    Raises UsageError with what is wrong with markers and selectors, or with what is missing of
    the machine; nothing has run by then. `resuming` is None in a run that is not written down.
    """
    stated = merged(settings, table)
    plan = ratcheted(stated, ratchets(recorder, config.rootpath, settings, stated))
    missing = missing_now(config, settings, plan, table)
    if missing:
        raise pytest.UsageError(missing)
    _, later = _prerequisites(plan, settings, table)
    prepared = Prepared(
        plan,
        checks={item.phase: _look_again(later, item.phase, config.rootpath) for item in later},
        recheck=lambda late: _late_problems(settings, stated, late),
        phase_of_file=Membership(settings.plan).phase_of_file,
    )
    judge = measuring.judge_of(config, settings, plan, table, recorder.part)
    if resuming is None:
        return replace(prepared, judge=judge)
    resumption = resuming.plan(plan, table)
    resuming.keep(resumption, judge)
    return replace(
        prepared,
        judge=judge,
        witness=resuming.witness(plan),
        outcomes=resumption.outcomes,
        durations=resumption.durations,
        resumed=shown(resumption),
        decisions=resumption.why,
    )


def _late_problems(settings: Settings, plan: Plan, table: Table) -> tuple[Problem, ...]:
    """What is wrong with a table that was collected when the plan had started already.

    Markers in modules that could not be imported before must not change what the plan was
    understood to be: phases may have run by then that they would have held back.
    """
    marks = [PhaseMark.from_data(mark) for mark in table.marks]
    again, problems = merge(settings.plan, marks)
    problems = problems or check(again)
    if problems:
        return problems
    known = {unit.id: unit for unit in plan.units()}
    changed = [unit.id for unit in again.units() if unit != known.get(unit.id)]
    conflicts = tuple(problem for problem in table.problems if problem.slug in _OF_LATE_ITEMS)
    return (*(_late_mark(name, name in known, marks) for name in changed), *conflicts)


def _late_mark(phase: str, is_known: bool, marks: Iterable[PhaseMark]) -> Problem:
    """A marker that came too late to have a say, the last one on its phase."""
    place = [mark.place for mark in marks if phase_id(mark) == phase][-1]
    more = (
        f"says more of phase {phase} than the plan"
        if is_known
        else f"makes phase {phase}, which the plan lacks"
    )
    message = f"this marker could be read only after a stage had run, and {more}; write it into the plan"
    return Problem("late-marker", place, message)


def merged(settings: Settings, table: Table) -> Plan:
    """The plan of the file and the markers.

    Raises UsageError with what is wrong with them together.
    """
    plan, problems = merge(settings.plan, [PhaseMark.from_data(mark) for mark in table.marks])
    problems = table.problems or problems or check(plan)
    if problems:
        raise _usage_error(dict.fromkeys(problems))
    _check_only(plan, settings.only)
    return plan


def missing_now(config: pytest.Config, settings: Settings, plan: Plan, table: Table) -> str:
    """What the phases that run require and do not have, as the NO-GO message; empty if nothing."""
    now, _ = _prerequisites(plan, settings, table)
    return prerequisites.render(prerequisites.check(now, config.rootpath, os.environ))


def _check_only(plan: Plan, only: Iterable[str]) -> None:
    known = [unit.id for unit in plan.units()]
    unknown = [name for name in only if name not in known]
    if unknown:
        messages = (
            f"--phases-only {name}: there is no such phase; {did_you_mean(name, known)}" for name in unknown
        )
        raise pytest.UsageError(*messages)


def _prerequisites(
    plan: Plan, settings: Settings, table: Table
) -> tuple[tuple[prerequisites.Required, ...], tuple[prerequisites.Required, ...]]:
    """What the phases that run require, now and when they open."""
    running = {*table.phases, *(phase for _, phase in table.modules)}
    running |= {phase.partition("/")[0] for phase in running}
    entries = [
        entry
        for entry in prerequisites.required(plan.phases)
        if entry.phase in running or (not table.restricted and selected(entry.phase, settings.only))
    ]
    graph = build(plan)
    ancestors = {entry.phase: graph.ancestors(entry.phase) for entry in entries}
    return prerequisites.split(plan, entries, ancestors)


def _look_again(entries: Iterable[prerequisites.Required], phase: str, root: Path) -> Callable[[], str]:
    """What is still missing when a phase opens, in words; empty if nothing is."""

    def look() -> str:
        own = [entry for entry in entries if entry.phase == phase]
        missing = prerequisites.check(own, root, os.environ)
        return "; ".join(f"{item.entry} is missing: {item.how}" for item in missing)

    return look
