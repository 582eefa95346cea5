"""The plugin that takes part in collection, on every worker or in the one process there is."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_phases.collection.freshness import Freshness
from pytest_phases.collection.late import LateModules
from pytest_phases.collection.lock_marks import has_lock_mark, read_locks
from pytest_phases.collection.paths import collect_missing, new_modules, on_disk, paths_of, test_modules
from pytest_phases.collection.placement import Placement, Placer, has_phase_mark
from pytest_phases.collection.selection import (
    failed_before,
    is_restricted,
    leaves_out,
    needed_units,
    selected,
    what_is_uncollected,
    what_is_unseen,
)
from pytest_phases.collection.site_paths import add_site_paths
from pytest_phases.collection.source_marks import phase_in_source
from pytest_phases.graph import build
from pytest_phases.model import UNPHASED, Plan, Selector
from pytest_phases.plan.selectors import is_glob
from pytest_phases.settings import Settings
from pytest_phases.stages.items import PlanFile, StageItem
from pytest_phases.table import Table


class PhaseCollection:
    """Places items in phases, adds the stages, and collects late modules when they are due.

    `table` is None where there is neither a plan nor a marker of ours: then nothing was changed at all.
    """

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._first: Callable[[], Table] | None = None
        self._config = config
        self._settings = settings
        self._placer = Placer(settings.plan)
        self._graph = build(settings.plan)
        self._with_stages = frozenset(unit.id for unit in settings.plan.units() if unit.stages)
        self._collecting_late = False
        self._without_tests: set[str] = set()
        self._awaited: dict[str, str] = {}
        self._known_modules: set[str] = set()
        self._restricted = False
        self._phases: dict[pytest.Item, str] = {}
        self.freshness: Freshness | None = None
        self._late: LateModules | None = None
        if self._with_stages:
            if settings.generation:
                add_site_paths()
            self.freshness = Freshness(config.rootpath, [config.rootpath / settings.phases_dir])
            self._late = LateModules(self._waits_for, settings.ended, settings.blocked)
            config.pluginmanager.register(self._late, "phases-late")
            config.add_cleanup(self.freshness.stop)

    @property
    def table(self) -> Table | None:
        """What was collected first, as it stands now: plugins may have ordered or dropped items since."""
        return self._first() if self._first is not None else None

    def phase_of(self, item: pytest.Item) -> str | None:
        """The phase or stream of an item; None for what is neither test nor stage."""
        return self._phases.get(item)

    # Hooks --------------------------------------------------------------------------------

    @pytest.hookimpl
    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> PlanFile | None:
        """The plan, where a user names one of its stages by node id."""
        if file_path == self._plan_path() and parent.session.isinitpath(file_path):
            return PlanFile.of(parent, file_path, self._settings)
        return None

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """What skips itself or fails may hold any test, so what names it is no mistake."""
        if not report.passed and "::" not in report.nodeid:
            modules = test_modules(self._config, report.nodeid)
            self._without_tests.update((report.nodeid, *modules))
            for path in modules:
                self._placer.phase_of_file(path)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None]:
        """Outermost of all: sees every item before the others deselect, and adds stages after."""
        if self._collecting_late:
            return (yield)
        asked_for = [item for item in items if isinstance(item, StageItem)]
        items[:] = [item for item in items if not isinstance(item, StageItem)]
        restricted = is_restricted(config)
        if self._settings.plan.file and not restricted:
            collected = {item.nodeid.partition("::")[0] for item in items}
            collected |= self._put_off_paths() | self._without_tests
            paths = paths_of(self._settings.plan, config.rootpath)
            items.extend(collect_missing(session, paths, collected))
        everything = tuple(items)
        yield
        if self._settings.plan.file or has_phase_mark(everything) or self._has_locks(everything):
            restricted = restricted or len(items) < len(everything)
            self._place(session, items, everything, asked_for, restricted)

    def _has_locks(self, items: Iterable[pytest.Item]) -> bool:
        """Whether lock markers alone are a reason to take part: without workers, tests never overlap."""
        return hasattr(self._config, "workerinput") and has_lock_mark(items)

    # Placing ------------------------------------------------------------------------------

    def _place(
        self,
        session: pytest.Session,
        items: list[pytest.Item],
        everything: Sequence[pytest.Item],
        asked_for: Sequence[StageItem],
        restricted: bool,
    ) -> None:
        restricts = self._restricted = is_restricted(self._config)
        complete = not (restricts or leaves_out(self._config) or session.testsfailed)
        self._awaited = {} if restricts else dict(self._absent())
        self._give_up(self._due(self._settings.ended, self._settings.blocked))
        placement = self._placement(everything, self._is_mistake if complete else lambda *_: False)
        only = self._settings.only
        kept = [item for item in items if selected(placement.phases[item], only)]
        dropped = [item for item in items if not selected(placement.phases[item], only)]
        if dropped:
            self._config.hook.pytest_deselected(items=dropped)
        modules = tuple((path, phase) for path, phase in self._to_come() if selected(phase, only))
        wanted = {placement.phases[item] for item in kept} | {phase for _, phase in modules}
        stages = self._stages(session, placement.plan, wanted, asked_for, restricted)
        items[:] = [*kept, *stages]
        placement.phases.update((stage, stage.phase) for stage in stages)
        uncollected = what_is_uncollected(self._config, paths_of(self._settings.plan, self._config.rootpath))
        # When it is asked for: plugins around this one may drop items after it.
        self._first = lambda: replace(
            self._table(session.items, placement, modules, restricted or bool(only)),
            left_out=_left_out(everything, session.items, placement),
            uncollected=uncollected,
            unseen=what_is_unseen(self._config),
        )

    def _placement(
        self,
        items: Sequence[pytest.Item],
        mistaken: Callable[[str, Selector], bool] = lambda *_: False,
    ) -> Placement:
        """The phases of items, with what is wrong with their lock markers."""
        placement = self._placer.place(items, mistaken)
        return replace(placement, problems=(*placement.problems, *read_locks(items).problems))

    def _stages(
        self,
        session: pytest.Session,
        plan: Plan,
        wanted: Collection[str],
        asked_for: Sequence[StageItem],
        restricted: bool,
    ) -> list[StageItem]:
        """The stages that run: all, or those of the phases that selected items are in or need."""
        if not self._with_stages:
            return []
        if self._settings.only:
            units = {unit.id for unit in plan.units() if selected(unit.id, self._settings.only)}
        elif restricted:
            units = needed_units(plan, wanted)
        else:
            units = {unit.id for unit in plan.units()}
        named = {stage.nodeid for stage in asked_for} | failed_before(self._config)
        before = needed_units(plan, {stage.phase for stage in asked_for}) - {
            stage.phase for stage in asked_for
        }
        return [
            stage
            for stage in self._collect_plan(session)
            if stage.phase in units
            or stage.phase in before
            or stage.nodeid in named
            or _is_needed(stage, asked_for)
        ]

    def _collect_plan(self, session: pytest.Session) -> Iterable[StageItem]:
        # pytest's hooks for a file are passed by: `--lf` leaves out files in which nothing has failed.
        for unit in PlanFile.of(session, self._plan_path(), self._settings).collect():
            yield from (item for item in session.genitems(unit) if isinstance(item, StageItem))

    def _table(
        self,
        items: Sequence[pytest.Item],
        placement: Placement,
        modules: tuple[tuple[str, str], ...],
        restricted: bool,
    ) -> Table:
        unplaced = [item for item in items if item not in placement.phases]
        if unplaced:
            placement.phases.update(self._placer.place(unplaced).phases)
        self._phases.update(placement.phases)
        return Table(
            nodeids=tuple(item.nodeid for item in items),
            phases=tuple(placement.phases[item] for item in items),
            stages=tuple(
                (index, item.stage.id) for index, item in enumerate(items) if isinstance(item, StageItem)
            ),
            modules=modules,
            marks=tuple(mark.to_data() for mark in placement.marks),
            problems=placement.problems,
            restricted=restricted,
            locks=read_locks(items).rows,
        )

    # What is collected late -----------------------------------------------------------------

    def collect_late(
        self, session: pytest.Session, ended: Collection[str], blocked: Collection[str]
    ) -> Table | None:
        """Collect the modules that are due now that these phases have ended, and append their items.

        The table speaks of the new items alone, and of the modules that still wait; None if
        nothing was due.
        """
        add_site_paths()
        importlib.invalidate_caches()
        due = self._late.due(ended, blocked) if self._late is not None else ()
        awaited = self._due(ended, blocked)
        made = [*self._made(awaited), *self._grown(ended, blocked)]
        given_up = self._give_up(awaited)
        if not (due or made or given_up):
            return None
        self._collecting_late = True
        new = [item for file in due for item in session.genitems(file)]
        new += collect_missing(session, made, ())
        everything = tuple(new)
        self._config.hook.pytest_collection_modifyitems(session=session, config=self._config, items=new)
        self._collecting_late = False
        placement = self._placement(everything)
        session.items.extend(new)
        table = self._table(new, placement, self._to_come(), restricted=False)
        return replace(table, left_out=_left_out(everything, new, placement))

    def _absent(self) -> Iterator[tuple[str, str]]:
        """(path, phase) of what the plan names, is not there, and may be made before that phase opens."""
        for unit in self._settings.plan.units():
            if self._stages_before(unit.id):
                for path in (selector.path for selector in unit.tests if self._is_absent(selector)):
                    if path is not None and not is_glob(path):
                        yield path.partition("::")[0], unit.id

    def _is_absent(self, selector: Selector) -> bool:
        return selector.path is not None and not on_disk(selector, self._config.rootpath)

    def _is_due(self, phase: str, ended: Collection[str], blocked: Collection[str]) -> bool:
        """Whether all stages before a phase have ended and it may still open."""
        return self._stages_before(phase) <= set(ended) and phase not in blocked

    def _due(self, ended: Collection[str], blocked: Collection[str]) -> list[str]:
        """What was absent and ought to be there now."""
        return [path for path, phase in self._awaited.items() if self._is_due(phase, ended, blocked)]

    def _made(self, awaited: Iterable[str]) -> list[Path]:
        """Take what was absent and is there now."""
        made = [path for path in awaited if (self._config.rootpath / path).exists()]
        for path in made:
            del self._awaited[path]
        self._known_modules.update(made)
        return [self._config.rootpath / path for path in made]

    def _grown(self, ended: Collection[str], blocked: Collection[str]) -> list[Path]:
        """Take the test modules that have appeared in folders and at globs of the plan.

        A worker is replaced by one that collects them; one process has to look for them.
        """
        if self.freshness is None or self._restricted or hasattr(self._config, "workerinput"):
            return []
        grown = [
            path
            for path in new_modules(self._config, self.freshness.appeared())
            if path not in self._known_modules
            and (phase := self._placer.phase_of_file(path)) != UNPHASED
            and self._is_due(phase, ended, blocked)
        ]
        self._known_modules.update(grown)
        return [self._config.rootpath / path for path in grown]

    def _give_up(self, awaited: Iterable[str]) -> bool:
        """What is absent although all stages before its phase have ended is a collection error of it."""
        due = [path for path in awaited if path in self._awaited]
        for path in due:
            phase = self._awaited.pop(path)
            message = f"{path} does not exist; phase {phase} names it, and no stage before it has made it"
            report = pytest.CollectReport(nodeid=path, outcome="failed", longrepr=message, result=[])
            self._config.hook.pytest_collectreport(report=report)
        return bool(due)

    def _is_mistake(self, unit: str, selector: Selector) -> bool:
        """Whether a selector that matches nothing is one: not if its tests may still be made."""
        may_come = bool(self._stages_before(unit)) or not selected(unit, self._settings.only)
        return not (may_come and self._is_absent(selector))

    def outdated(self) -> tuple[str, ...]:
        """What this process has loaded, or looked for in vain, and cannot load any more."""
        if self.freshness is None:
            return ()
        return (*self.freshness.changed(), *self.freshness.missed.now_found())

    def stale(self) -> tuple[str, ...]:
        """Files that this process has loaded or would load, and that were built anew since."""
        return (*self.freshness.changed(), *self.freshness.appeared()) if self.freshness is not None else ()

    def between_items(self) -> None:
        """One item has ended and another is about to start."""
        if self.freshness is not None:
            self.freshness.between_items()

    def withdraw(self) -> None:
        """There is neither plan nor marker: leave everything to others."""
        self._config.pluginmanager.unregister(self)

    def _waits_for(self, path: str) -> tuple[str, frozenset[str]]:
        """The phase of a file, and the phases with stages that must end before it can be collected."""
        # Asked for in any case: what selects a file that cannot be imported is no mistake.
        selecting = self._placer.phase_of_file(path)
        phase = phase_in_source(self._config.rootpath / path, self._settings.plan) or selecting
        return phase, self._stages_before(phase)

    def _stages_before(self, phase: str) -> frozenset[str]:
        """The phases with stages, of those that run, that end before this one opens."""
        before = self._graph.ancestors(phase) & self._with_stages
        if self._settings.only:
            before = frozenset(unit for unit in before if selected(unit, self._settings.only))
        return before

    def _to_come(self) -> tuple[tuple[str, str], ...]:
        """(path, phase) of what can be collected only when its phase opens."""
        put_off = self._late.put_off if self._late is not None else ()
        return (*put_off, *self._awaited.items())

    def _put_off_paths(self) -> set[str]:
        return {path for path, _ in self._to_come()}

    def _plan_path(self) -> Path:
        return self._config.rootpath / self._settings.plan_path


def _left_out(
    everything: Iterable[pytest.Item], kept: Iterable[pytest.Item], placement: Placement
) -> tuple[tuple[str, str], ...]:
    """(node id, phase) of what was collected and is not run."""
    remaining = frozenset(kept)
    return tuple((item.nodeid, placement.phases[item]) for item in everything if item not in remaining)


def _is_needed(stage: StageItem, by: Sequence[StageItem]) -> bool:
    """Whether a stage named by its node id needs this one."""
    waiting = [other for other in by if other.phase == stage.phase]
    stages = {other.id: other for other in stage.parent.unit.stages}
    needed = [need for other in waiting for need in other.stage.needs]
    seen: set[str] = set()
    while needed:
        name = needed.pop()
        if name not in seen:
            seen.add(name)
            needed.extend(stages[name].needs)
    return stage.stage.id in seen
