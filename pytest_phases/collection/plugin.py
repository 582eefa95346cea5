"""The plugin that takes part in collection, on every worker or in the one process there is."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Generator, Iterable, Sequence
from pathlib import Path

import pytest
from _pytest.runner import collect_one_node

from pytest_phases.collection.freshness import Freshness
from pytest_phases.collection.late import LateModules
from pytest_phases.collection.paths import collect_missing
from pytest_phases.collection.placement import Placement, Placer, has_phase_mark
from pytest_phases.collection.selection import is_restricted, needed_units, selected
from pytest_phases.graph import build
from pytest_phases.model import Plan
from pytest_phases.settings import Settings
from pytest_phases.stages.items import PlanFile, StageItem
from pytest_phases.table import Table


class PhaseCollection:
    """Places items in phases, adds the stages, and collects late modules when they are due.

    `table` is what was collected first, or None where there is neither a plan nor a phase marker:
    then nothing was changed at all.
    """

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.table: Table | None = None
        self.deselected: list[pytest.Item] = []
        self._config = config
        self._settings = settings
        self._placer = Placer(settings.plan)
        self._graph = build(settings.plan)
        self._with_stages = frozenset(unit.id for unit in settings.plan.units() if unit.stages)
        self._collecting_late = False
        self.freshness: Freshness | None = None
        self._late: LateModules | None = None
        if self._with_stages:
            self.freshness = Freshness(config.rootpath, [config.rootpath / settings.phases_dir])
            self._late = LateModules(self._waits_for, settings.ended, self.freshness.missed)
            config.pluginmanager.register(self._late, "phases-late")
            config.add_cleanup(self.freshness.stop)

    # Hooks --------------------------------------------------------------------------------

    @pytest.hookimpl
    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> PlanFile | None:
        """The plan, where a user names one of its stages by node id."""
        if file_path == self._plan_path() and parent.session.isinitpath(file_path):
            return PlanFile.of(parent, file_path, self._settings)
        return None

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
            items.extend(collect_missing(session, self._settings.plan, collected | self._put_off_paths()))
        everything = tuple(items)
        yield
        if self._settings.plan.file or has_phase_mark(everything):
            restricted = restricted or len(items) < len(everything)
            self._place(session, items, everything, asked_for, restricted)

    # Placing ------------------------------------------------------------------------------

    def _place(
        self,
        session: pytest.Session,
        items: list[pytest.Item],
        everything: Sequence[pytest.Item],
        asked_for: Sequence[StageItem],
        restricted: bool,
    ) -> None:
        complete = not is_restricted(self._config) and not self._errors(session)
        placement = self._placer.place(everything, complete=complete)
        only = self._settings.only
        kept = [item for item in items if selected(placement.phases[item], only)]
        dropped = [item for item in items if not selected(placement.phases[item], only)]
        if dropped:
            self._config.hook.pytest_deselected(items=dropped)
        modules = tuple((path, phase) for path, phase in self._put_off() if selected(phase, only))
        wanted = {placement.phases[item] for item in kept} | {phase for _, phase in modules}
        stages = self._stages(session, placement.plan, wanted, asked_for, restricted)
        items[:] = [*kept, *stages]
        placement.phases.update((stage, stage.phase) for stage in stages)
        self.table = self._table(items, placement, modules, restricted or bool(only))

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
        named = {stage.nodeid for stage in asked_for}
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
        file = PlanFile.of(session, self._plan_path(), self._settings)
        report = collect_one_node(file)
        session.config.hook.pytest_collectreport(report=report)
        for unit in report.result:
            yield from (item for item in session.genitems(unit) if isinstance(item, StageItem))

    def _table(
        self,
        items: Sequence[pytest.Item],
        placement: Placement,
        modules: tuple[tuple[str, str], ...],
        restricted: bool,
    ) -> Table:
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
        )

    # What is collected late -----------------------------------------------------------------

    def collect_late(self, session: pytest.Session, ended: Collection[str]) -> Table | None:
        """Collect the modules that are due now that these phases have ended, and append their items.

        The table speaks of the new items alone, and of the modules that still wait; None if
        nothing was due.
        """
        importlib.invalidate_caches()
        due = self._late.due(ended) if self._late is not None else ()
        if not due:
            return None
        self._collecting_late = True
        new = [item for file in due for item in session.genitems(file)]
        self._config.hook.pytest_collection_modifyitems(session=session, config=self._config, items=new)
        self._collecting_late = False
        placement = self._placer.place(new, complete=False)
        session.items.extend(new)
        return self._table(new, placement, self._put_off(), restricted=False)

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

    def phase_of_file(self, path: str) -> str:
        """The phase of a file by the plan's selectors alone."""
        return self._placer.phase_of_file(path)

    def _waits_for(self, path: str) -> tuple[str, frozenset[str]]:
        """The phase of a file, and the phases with stages that must end before it can be collected."""
        phase = self._placer.phase_of_file(path)
        before = self._graph.ancestors(phase) & self._with_stages
        if self._settings.only:
            before = frozenset(unit for unit in before if selected(unit, self._settings.only))
        return phase, before

    def _put_off(self) -> tuple[tuple[str, str], ...]:
        return self._late.put_off if self._late is not None else ()

    def _put_off_paths(self) -> set[str]:
        return {path for path, _ in self._put_off()}

    def _plan_path(self) -> Path:
        return self._config.rootpath / self._settings.plan_path

    def _errors(self, session: pytest.Session) -> bool:
        return bool(session.testsfailed)


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
