"""The only place where concrete parts meet: what this process is decides what it is made of.

Each part is imported where it is wired, since no process needs all of them: half the time that a
worker takes to import this package would go into what only the controller uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest

from pytest_phases import options

if TYPE_CHECKING:
    from pytest_phases.adapters.locker import Locker
    from pytest_phases.adapters.messages import Measured, StageEnded, Traced
    from pytest_phases.adapters.run import Run
    from pytest_phases.collection.plugin import PhaseCollection
    from pytest_phases.finish import Finish
    from pytest_phases.gate.keeper import Keeper
    from pytest_phases.gate.record import Recorder
    from pytest_phases.occupying import Occupied
    from pytest_phases.settings import Settings
    from pytest_phases.table import Table


def configure(config: pytest.Config) -> PhaseCollection | None:
    """Take part in a run as worker, as controller of workers, or as its one process.

    Returns what takes part in collection, which a controller does not.
    """
    if hasattr(config, "workerinput"):
        return _worker(config)
    from pytest_phases.adapters.run import Run
    from pytest_phases.finish import Finish
    from pytest_phases.planning import make_settings, prepare

    settings = make_settings(config)
    keeper, recorder, occupied = _evidence(config, settings)
    resuming = None
    if keeper is not None:
        from pytest_phases.resuming import Resuming, last_stages

        resuming = Resuming(config, settings, recorder, keeper)
        settings = replace(settings, stages=last_stages(recorder, settings))
    run = Run(
        config,
        settings,
        lambda table: prepare(config, settings, table, recorder, resuming),
        recorder,
        _locker(config),
    )
    finish = Finish(config, run, recorder, keeper, occupied)
    if options.has_workers(config):
        _controller(config, run, finish)
        return None
    return _one_process(config, run, finish)


def _worker(config: pytest.Config) -> PhaseCollection | None:
    from pytest_phases.adapters.messages import INPUT

    given = config.workerinput.get(INPUT)  # type: ignore[attr-defined]  # set by xdist
    if given is None:
        return None
    from pytest_phases.adapters.worker import WorkerSide
    from pytest_phases.collection.plugin import PhaseCollection
    from pytest_phases.settings import Settings
    from pytest_phases.stages.process import end_all

    settings = Settings.from_data(given["settings"])
    if settings.plan.file:
        # Node ids must stay as they are; xdist would write the group into them.
        config.option.loadgroup = False
    collection = PhaseCollection(config, settings)
    _register(config, "phases-collection", collection)
    side = WorkerSide(config, given["channel"], collection, end_all)
    _register(config, "phases-worker", side)
    _look_on(config, settings, collection, side.hand_over)
    return collection


def _look_on(
    config: pytest.Config,
    settings: Settings,
    collection: PhaseCollection,
    hand_over: Callable[[Measured | Traced | StageEnded], None],
) -> None:
    """What this process finds out while it runs items: what they cover, use and write, and how stages end."""
    from pytest_phases.adapters.messages import StageEnded
    from pytest_phases.stages.items import STAGE_ENDED

    config.stash[STAGE_ENDED] = lambda stage: hand_over(StageEnded.of(stage))
    measures = settings.measured is not None and not getattr(config.option, "no_cov", False)
    if measures:
        _measure(config, collection, hand_over)
    if settings.plan.file:
        _watch(config, settings, collection, hand_over, measures)


def _watch(
    config: pytest.Config,
    settings: Settings,
    collection: PhaseCollection,
    hand_over: Callable[[Traced], None],
    measures: bool,
) -> None:
    """Trace what each phase uses, and keep those that have a boundary within it."""
    from pytest_phases import bounding
    from pytest_phases.adapters.messages import Traced
    from pytest_phases.graph import build
    from pytest_phases.stages.items import StageItem
    from pytest_phases.watching.boundary import Boundaries
    from pytest_phases.watching.trace import Trace, Tracing

    def tell(trace: Trace) -> None:
        hand_over(Traced(**{name: getattr(trace, name) for name in Traced.__dataclass_fields__}))

    def is_stage(item: pytest.Item) -> bool:
        return isinstance(item, StageItem)

    tracing = Tracing(
        config,
        collection.phase_of,
        tell,
        is_stage=is_stage,
        measured=measures,
        subprocesses_measured=measures,
        apart=(settings.phases_dir,),
    )
    _register(config, "phases-tracing", tracing)
    allowed = bounding.allowed(settings.plan)
    if allowed:
        boundaries = Boundaries(
            config,
            collection.phase_of,
            allowed,
            bounding.declared(settings.plan),
            is_stage=is_stage,
            beside=bounding.beside(settings.plan, build(settings.plan)),
            apart=(settings.phases_dir,),
        )
        _register(config, "phases-boundaries", boundaries)


def _measure(
    config: pytest.Config, collection: PhaseCollection, hand_over: Callable[[Measured], None]
) -> None:
    """Measure coverage in this process."""
    from pytest_phases.adapters.messages import Measured
    from pytest_phases.coverage import early
    from pytest_phases.coverage.measure import Measurement, Part

    def give(part: Part) -> None:
        hand_over(Measured(part.phase, part.payload.to_bytes(), part.fixtures, part.problem))

    measurement = Measurement(config, config.stash.get(early.KEY, None), collection.phase_of, give)
    _register(config, "phases-measurement", measurement)


def _controller(config: pytest.Config, run: Run, finish: Finish) -> None:
    from pytest_phases.adapters.xdist import XdistScheduler, number_of_workers

    if config.option.dist == "each" and run.settings.plan.file:
        raise pytest.UsageError(
            "--dist each runs every test on every worker, and a phase runs it once; leave it out"
        )
    workers = number_of_workers(config)
    _observe(config, run, finish, workers)
    environment = {}
    if run.settings.measured is not None:
        from pytest_phases.coverage import early

        environment = early.environment(run.settings.measured)
    plugin = XdistScheduler(config, run, lambda: _withdraw(config), environment)
    _register(config, "phases-xdist", plugin)
    _register(config, "phases-errors", CollectionErrors(config, run))


def _one_process(config: pytest.Config, run: Run, finish: Finish) -> PhaseCollection:
    from pytest_phases.adapters.inprocess import WORKER, InProcess
    from pytest_phases.collection.plugin import PhaseCollection

    collection = PhaseCollection(config, run.settings)
    _register(config, "phases-collection", collection)
    if config.option.collectonly:
        return collection
    _register(config, "phases-errors", CollectionErrors(config, run))
    if options.runs_nothing(config.option):
        from pytest_phases.dryrun import DryRun

        look = _explain if config.option.phases_explain else _foresee
        dry_run = DryRun(lambda: collection.table, lambda table: look(config, run.settings, table))
        _register(config, "phases-dry-run", dry_run)
        return collection
    _observe(config, run, finish, 1)
    _register(config, "phases-inprocess", InProcess(config, run, collection))
    _look_on(config, run.settings, collection, lambda message: run.heard(WORKER, message))
    return collection


def _foresee(config: pytest.Config, settings: Settings, table: Table) -> Iterator[str]:
    from pytest_phases.dryrun import foresee
    from pytest_phases.graph import build
    from pytest_phases.planning import merged, missing_now

    plan = merged(settings, table)
    yield from foresee(plan, build(plan).waves, table)
    missing = missing_now(config, settings, plan, table)
    if missing:
        yield missing


def _explain(config: pytest.Config, settings: Settings, table: Table) -> Iterator[str]:
    from pytest_phases.errors import PhasesError
    from pytest_phases.planning import merged
    from pytest_phases.resuming import explain

    try:
        yield from explain(config, settings, merged(settings, table), table)
    except PhasesError as error:
        yield f"everything runs: {error}"


def _locker(config: pytest.Config) -> Locker | None:
    """Who gets locks from other runs, if the project wants them to hold there."""
    folder = options.lock_dir(config)
    if folder is None or options.runs_nothing(config.option):
        return None
    from pytest_phases.adapters.locker import Locker
    from pytest_phases.state.locks import FileLocks

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise pytest.UsageError(
            f"lock_dir = {config.getini('lock_dir')}: {folder} can be no folder for locks "
            f"({error.strerror or error}); name another one"
        ) from None
    locker = Locker(FileLocks(folder, config.rootpath))
    config.add_cleanup(locker.close)
    return locker


def _observe(config: pytest.Config, run: Run, finish: Finish, workers: int) -> None:
    """Whoever tells people what happens, with what is known of how long items take."""
    durations = cache(lambda: finish.recorder.ask(lambda database: database.durations()) or {})

    def typical(nodeid: str) -> float | None:
        return durations().get(nodeid)

    def expected(nodeids: Iterable[str]) -> float | None:
        known = [seconds for seconds in map(typical, nodeids) if seconds is not None]
        return sum(known) if known else None

    from pytest_phases.graph import build
    from pytest_phases.observers.locks import LocksFile
    from pytest_phases.observers.status import StatusFile
    from pytest_phases.observers.terminal import TerminalObserver

    finish.workers = workers
    _register(config, "phases-finish", finish)
    folder = config.rootpath / run.settings.phases_dir
    status = StatusFile(folder, lambda phase: expected(run.nodeids(phase)), typical)
    finish.unrecorded = lambda: (status.files.problem, run.locker.problem if run.locker else "")
    _register(config, "phases-status", status)
    _register(config, "phases-locks", LocksFile(status.files))
    if config.pluginmanager.hasplugin("terminalreporter"):
        plan = run.settings.plan
        observer = TerminalObserver(config, plan, run.settings.schedule, workers, len(build(plan).waves))
        _register(config, "phases-terminal", observer)


def _evidence(config: pytest.Config, settings: Settings) -> tuple[Keeper | None, Recorder, Occupied]:
    """Where the run is written down, who keeps the gate of its plan, and what is worth knowing of both.

    Raises UsageError where another run is active in the same folder.
    """
    from pytest_phases.evidence import RunRecord
    from pytest_phases.gate.record import Recorder, now
    from pytest_phases.occupying import Occupied, occupy

    folder = config.rootpath / settings.phases_dir
    if not settings.plan.file or options.runs_nothing(config.option):
        return None, Recorder(folder, RunRecord(settings.run_id, now(), "", ""), ""), Occupied()
    from pytest_phases.gate.keeper import Keeper

    occupied = occupy(config, folder, settings.run_id)
    keeper = Keeper(config.rootpath, folder, settings.plan_path, settings.run_id)
    recorder = Recorder(folder, keeper.run, settings.plan_path)
    # Where configuring fails after this, nothing else closes it.
    config.add_cleanup(recorder.close)
    recorder.open(keeper.tree.entries)
    return keeper, recorder, occupied


_NAMES = ("xdist", "errors", "finish", "status", "locks", "terminal")


def _withdraw(config: pytest.Config) -> None:
    """A run with neither plan nor marker is none of our business."""
    for name in _NAMES:
        config.pluginmanager.unregister(name=f"phases-{name}")


def _register(config: pytest.Config, name: str, plugin: object) -> None:
    config.pluginmanager.register(plugin, name)


class CollectionErrors:
    """A module that cannot be collected makes its phase red, and nothing else."""

    def __init__(self, config: pytest.Config, run: Run) -> None:
        from pytest_phases.plan.selectors import Membership

        self._config = config
        self._run = run
        self._membership = Membership(run.settings.plan)

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Tell the run which phase it is; a folder whose conftest fails may hold tests of several."""
        from pytest_phases.collection.paths import test_modules

        path = report.nodeid.partition("::")[0]
        if report.failed and path != self._run.settings.plan_path:
            modules = test_modules(self._config, path) or (path,)
            for phase in dict.fromkeys(map(self._phase_of, modules)):
                self._run.phase_failed(phase, f"collection error in {path}")

    def _phase_of(self, path: str) -> str:
        from pytest_phases.collection.source_marks import phase_in_source

        named = phase_in_source(self._config.rootpath / path, self._run.settings.plan)
        return named or self._membership.phase_of_file(path)
