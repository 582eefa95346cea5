"""What of a run need not be done again, and what its own phases depend on, for the next one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_phases import bounding, options
from pytest_phases.checkpoint.age import age
from pytest_phases.checkpoint.decide import Mode
from pytest_phases.checkpoint.dependencies import Dependencies
from pytest_phases.checkpoint.distributions import distributions
from pytest_phases.checkpoint.project import Project
from pytest_phases.checkpoint.resume import Now, Resumption, plan_resume
from pytest_phases.collection.selection import selected
from pytest_phases.evidence import PartRecord, StageRecord, TreeEntry
from pytest_phases.gate.definition import definition_of
from pytest_phases.gate.keeper import Keeper
from pytest_phases.gate.look import digest_of_file
from pytest_phases.gate.record import Recorder, now
from pytest_phases.gate.rules import rules_of
from pytest_phases.graph import build
from pytest_phases.model import Plan
from pytest_phases.ratchet import floors
from pytest_phases.settings import Settings, below
from pytest_phases.state.database import NAME, Database
from pytest_phases.state.history import History
from pytest_phases.table import Table

if TYPE_CHECKING:
    from pytest_phases.coverage.judge import CoverageJudge

CONFIGURATIONS = (
    *("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini"),
    *("pyproject.toml", "tox.ini", "setup.cfg", ".coveragerc"),
)
"""Files that may configure pytest and coverage; a change of any counts for every phase."""

_CHANGES_NOTHING = frozenset(
    "basetemp cacheclear cacheshow capture code_highlight collectonly color "
    "continue_on_collection_errors debug deselect dist distload durations durations_min failedfirst "
    "file_or_dir fold_skipped ignore ignore_glob junitprefix keepduplicates keyword "
    "last_failed_no_failures lf loadgroup log_cli_level log_file looponfail markexpr maxfail "
    "maxprocesses maxworkerrestart newfirst no_fold_skipped no_header no_summary numprocesses pastebin "
    "plugins px randomly_seed reportchars rsyncdir rsyncignore show_capture show_fixtures "
    "show_fixtures_per_test showlocals stepwise stepwise_reset stepwise_skip tbstyle testrunuid trace "
    "traceconfig tx usepdb usepdb_cls verbose version xfail_tb xmlpath".split()
)
"""Options that choose tests and workers, or show more or less: no outcome of a test depends on them."""

_SHORT = 8
"""How much of a run's id a message shows."""

_MODES = {"tests": Mode.TESTS, "trust": Mode.TRUST}


def last_stages(recorder: Recorder, settings: Settings) -> tuple[StageRecord, ...]:
    """How the stages of the plan ended when they last ended well."""
    return recorder.ask(lambda database: database.last_stages(settings.plan_path)) or ()


def ratchets(recorder: Recorder, root: Path, settings: Settings, plan: Plan) -> Mapping[str, float]:
    """What the phases and streams that say `coverage: ratchet` must reach, in per cent."""
    return recorder.ask(lambda database: floors(plan, settings.plan_path, root, database)) or {}


class Resuming:
    """The checkpoint of one run: read before it, written by it; `keeper` knows the tree before it."""

    def __init__(self, config: pytest.Config, settings: Settings, recorder: Recorder, keeper: Keeper) -> None:
        self._config = config
        self._settings = settings
        self._recorder = recorder
        self._tree = keeper.tree

    @property
    def asked(self) -> bool:
        """Whether the user wants to resume."""
        return self._config.option.phases_resume is not None

    def plan(self, plan: Plan, table: Table) -> Resumption:
        """What need not run again."""
        if not self.asked:
            return Resumption()
        found = self._recorder.ask(
            lambda database: _resumption(
                self._config, self._settings, plan, table, self._tree.entries, self._tree.digest, database
            )
        )
        problem = self._recorder.problem or "nothing can be read"
        return found if found is not None else Resumption(why=(f"nothing is resumed: {problem}",))

    def keep(self, resumption: Resumption, judge: CoverageJudge | None) -> None:
        """Write down for this run too what is kept of an earlier one, coverage data included."""
        self._recorder.resumed({**resumption.rest, **resumption.units})
        self._recorder.depends(resumption.dependencies)
        if judge is None:
            return
        folder = self._config.rootpath / self._settings.phases_dir
        for part in resumption.parts:
            self._recorder.expect_part(part.phase, part.worker)
            data = (folder / part.file).read_bytes()
            judge.resume(part.worker, part.phase, data, part.fixtures, part.problem)
        # What is kept on trust has measured other sources, and so proves nothing of these.
        judge.leave_out(resumption.foreign)

    def witness(self, plan: Plan) -> Dependencies:
        """Who finds out what the phases of this run depend on."""
        project = _project(self._config, plan, self._tree.entries)
        return Dependencies(project, self._recorder.depends, threaded=options.has_workers(self._config))


def shown(resumption: Resumption) -> Mapping[str, str]:
    """Of each phase and stream that is resumed, where it was run: `1a2b3c4d, 5 min ago`."""
    moment = now()
    trust = dict.fromkeys(resumption.foreign, ", on trust")
    return {
        unit: f"{origin.run_id[:_SHORT]}, {age(origin.started, moment)} ago{trust.get(unit, '')}"
        for unit, origin in resumption.units.items()
    }


def explain(config: pytest.Config, settings: Settings, plan: Plan, table: Table) -> Iterator[str]:
    """What `--phases-resume` would do, a line for each phase and stream."""
    folder = config.rootpath / settings.phases_dir
    tree = Keeper(config.rootpath, folder, settings.plan_path, settings.run_id).tree
    with Database.open(folder / NAME, read_only=True) as database:
        yield from _resumption(config, settings, plan, table, tree.entries, tree.digest, database).why


def _resumption(  # noqa: PLR0917 - all that the decision depends on
    config: pytest.Config,
    settings: Settings,
    plan: Plan,
    table: Table,
    entries: Sequence[TreeEntry],
    digest: str,
    history: History,
) -> Resumption:
    folder = config.rootpath / settings.phases_dir
    today = Now(
        settings.run_id,
        now(),
        settings.plan_path,
        digest,
        _project(config, plan, entries),
        measured=lambda unit: settings.measured is not None,
        part_ok=lambda part: _is_whole(folder, part),
    )
    chosen = {*table.phases, *(phase for _, phase in table.modules)}
    return plan_resume(
        history,
        plan,
        build(plan),
        table,
        today,
        mode=_MODES.get(config.option.phases_resume, Mode.RESUME),
        selected=lambda unit: unit in chosen if table.restricted else selected(unit, settings.only),
    )


def _is_whole(folder: Path, part: PartRecord) -> bool:
    return digest_of_file(folder / part.file) == part.sha256


def _project(config: pytest.Config, plan: Plan, tree: Iterable[TreeEntry]) -> Project:
    root = config.rootpath
    return Project(
        root,
        tree,
        plan,
        configuration=_configuration(config),
        distributions=distributions(),
        definitions=_definitions(config, plan),
    )


def _configuration(config: pytest.Config) -> tuple[str, ...]:
    """The files that configure pytest and coverage, relative to the rootdir, as far as they lie below it."""
    named = [name for name in CONFIGURATIONS if (config.rootpath / name).is_file()]
    given = [config.inipath] if config.inipath is not None else []
    return tuple(dict.fromkeys((*named, *(below(path, config.rootpath) for path in given))))


def _definitions(config: pytest.Config, plan: Plan) -> Mapping[str, str]:
    """Each phase and stream as it is stated; what a ratchet has risen to is no other statement."""
    thresholds = rules_of(plan).thresholds
    stated = {unit.id: definition_of(unit, thresholds.get(unit.id)) for unit in plan.units()}
    watched = bounding.allowed(plan)
    ratchets = {unit.id: {"threshold": "ratchet"} for unit in plan.units() if unit.ratchet}
    told = {
        "the options of pytest": _options(config),
        "the variable PYTHONPATH": os.environ.get("PYTHONPATH"),
    }
    return {
        unit: json.dumps({**each, **ratchets.get(unit, {}), "enforce": list(watched.get(unit, ())), **told})
        for unit, each in stated.items()
    }


def _options(config: pytest.Config) -> Mapping[str, str]:
    """What pytest and its plugins were told that an outcome may depend on."""
    told = {
        name: repr(value)
        for name, value in sorted(vars(config.option).items())
        if name not in _CHANGES_NOTHING and not name.startswith(("phases", "cov_"))
    }
    plugins = [name for name in config.option.plugins if not name.startswith("no:")]
    # An object shows where it lies in memory.
    return {"plugins": repr(plugins), **{name: text for name, text in told.items() if " at 0x" not in text}}
