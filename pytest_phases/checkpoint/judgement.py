"""The decision for each phase and stream, from what was recorded of it and what is there now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from pytest_phases.checkpoint.compare import TOLD, UNFINISHED, Comparison, compare
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
from pytest_phases.checkpoint.history import GOOD, Checkpoint, History
from pytest_phases.events import title
from pytest_phases.evidence import Dependency, DependencyKind, Origin, PartRecord, TreeEntry
from pytest_phases.graph import Graph, Kind
from pytest_phases.model import UNPHASED, Plan
from pytest_phases.table import Table

_LOOKED_UP = frozenset(
    {
        DependencyKind.TEST,
        DependencyKind.EXECUTED,
        DependencyKind.IMPORTED,
        DependencyKind.OPENED,
        DependencyKind.UNKNOWN,
    }
)
"""Kinds that count as gone only if they are gone from the disk, whatever the plan says now."""


_IN_TREE = frozenset({DependencyKind.TEST, DependencyKind.EXECUTED})
"""Kinds of which nothing is recorded before a phase closes."""


class Surroundings(Protocol):
    """What is there now: a `Project`."""

    @property
    def tree(self) -> Mapping[str, TreeEntry]:
        """The files by path."""

    def declared(self, unit: str, test_files: Iterable[str]) -> Iterable[Dependency]:
        """What is known of a phase or stream without running it."""

    def today(self, recorded: Dependency) -> Dependency | None:
        """A recorded row as it is now, None for a file that is gone."""


@dataclass(frozen=True)
class Now:
    """The run that begins: `time` is ISO 8601, `tree` the tree's digest as runs record it.

    `measured` says of a phase or stream whether its coverage is measured, `part_ok` whether coverage data
    is there as it was written.
    """

    run_id: str
    time: str
    plan_file: str
    tree: str
    surroundings: Surroundings
    measured: Callable[[str], bool] = lambda unit: False
    part_ok: Callable[[PartRecord], bool] = lambda part: True


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision for a unit; `kept` is what it would be if it were selected.

    `reasons` say why it does not stay green.
    """

    checkpoint: Checkpoint | None
    past: Past
    evidence: Evidence
    action: Action
    kept: Action
    reasons: tuple[str, ...]
    recorded: tuple[Dependency, ...]


@dataclass(frozen=True)
class Judgement:
    """The decisions of one run; each is made once, after those that it depends on."""

    history: History
    plan: Plan
    graph: Graph
    table: Table
    now: Now
    mode: Mode
    selected: Callable[[str], bool]
    stages: Callable[[str], Iterable[str]]
    _verdicts: dict[str, Verdict] = field(default_factory=dict)

    # What there is now ----------------------------------------------------------------------------

    @cached_property
    def items(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the items of each unit, as they are recorded."""
        found: dict[str, list[str]] = {}
        seen: dict[str, int] = {}
        for nodeid, phase in zip(self.table.nodeids, self.table.phases, strict=True):
            count = seen[nodeid] = seen.get(nodeid, 0) + 1
            found.setdefault(phase, []).append(nodeid if count == 1 else f"{nodeid} #{count}")
        return {phase: tuple(names) for phase, names in found.items()}

    @cached_property
    def modules(self) -> Mapping[str, tuple[str, ...]]:
        """The modules of each unit that cannot be collected yet."""
        found: dict[str, list[str]] = {}
        for path, phase in self.table.modules:
            found.setdefault(phase, []).append(path)
        return {phase: tuple(paths) for phase, paths in found.items()}

    @cached_property
    def stage_names(self) -> frozenset[str]:
        """The node ids of stages."""
        return frozenset(self.table.nodeids[index] for index, _ in self.table.stages)

    @cached_property
    def units(self) -> tuple[str, ...]:
        """Everything that holds items, in the order of the plan."""
        unphased = (UNPHASED,) if not self.is_idle(UNPHASED) else ()
        return (*(unit.id for unit in self.plan.units()), *unphased)

    def is_idle(self, unit: str) -> bool:
        """Whether a unit has nothing of its own to run."""
        return unit not in self.items and unit not in self.modules

    def test_files(self, unit: str) -> tuple[str, ...]:
        """The files with tests of a unit."""
        names = (name for name in self.items.get(unit, ()) if name not in self.stage_names)
        return tuple(
            dict.fromkeys((*(name.partition("::")[0] for name in names), *self.modules.get(unit, ())))
        )

    # Decisions ------------------------------------------------------------------------------------

    def verdict(self, unit: str) -> Verdict:
        """The decision for a unit."""
        if unit not in self._verdicts:
            self._verdicts[unit] = self._judge(unit)
        return self._verdicts[unit]

    def _judge(self, unit: str) -> Verdict:
        found = self.history.checkpoint(unit, self.graph.nodes[unit].parts)
        if found is None:
            action = Action.RUN if self.selected(unit) else Action.LEAVE
            return Verdict(None, Past.NONE, Evidence.UNKNOWN, action, Action.RUN, ("it has not run yet",), ())
        recorded = self.history.dependencies(found, unit)
        comparison = self._compare(unit, found, recorded)
        state, blame = self._dependencies(unit, found.origin)
        progress, missing = self._progress(unit, found)
        case = Case(found.past, progress, comparison.evidence, state, self.mode)
        action, kept = decide(replace(case, selected=self.selected(unit))), decide(case)
        reasons = (*comparison.reasons, *blame, *missing)
        return Verdict(found, found.past, comparison.evidence, action, kept, reasons, recorded)

    def _compare(self, unit: str, found: Checkpoint, recorded: tuple[Dependency, ...]) -> Comparison:
        surroundings = self.now.surroundings
        declared = {(row.kind, row.name): row for row in surroundings.declared(unit, self.test_files(unit))}
        known = {(row.kind, row.name) for row in recorded}
        if (DependencyKind.UNKNOWN, UNFINISHED) in known and not _is_told(recorded):
            # Its files were not written down yet: the digest of the tree, which was, speaks for them.
            declared = {
                key: row
                for key, row in declared.items()
                if key in known or row.kind not in _IN_TREE or row.name not in surroundings.tree
            }
        asked = (row for row in recorded if row.kind in _LOOKED_UP and (row.kind, row.name) not in declared)
        again = [row for each in asked if (row := surroundings.today(each)) is not None]
        doubtful = any(
            row.kind is DependencyKind.UNKNOWN and row.digest not in ("", TOLD) for row in recorded
        )
        changed = self._changed(found.run_id) if doubtful else ()
        comparison = compare(recorded, (*declared.values(), *again), changed)
        return comparison.against((*self.stages(unit), *self._lost_coverage(unit, found)))

    def _lost_coverage(self, unit: str, found: Checkpoint) -> Iterator[str]:
        if not all(map(self.now.part_ok, found.parts)):
            yield "its coverage data is gone"
        elif self.now.measured(unit) and not found.parts and not self.is_idle(unit):
            yield "its coverage was not measured"

    def _changed(self, run_id: str) -> tuple[str, ...]:
        """The paths in which the tree differs from the one that a run has left."""
        old = {entry.path: (entry.mode, entry.sha256) for entry in self.history.tree(run_id)}
        new = {path: (entry.mode, entry.sha256) for path, entry in self.now.surroundings.tree.items()}
        paths = sorted(old.keys() | new.keys()) if old else ()
        return tuple(path for path in paths if old.get(path) != new.get(path))

    def _progress(self, unit: str, found: Checkpoint) -> tuple[Progress, tuple[str, ...]]:
        """How much of what is there now has ended well, and what has not."""
        names = self.items.get(unit, ())
        new = sum(name not in found.items for name in names)
        bad = sum(name in found.items and found.items[name].outcome not in GOOD for name in names)
        missing = [f"{path} could not be collected yet" for path in self.modules.get(unit, ())]
        if new:
            missing.append(f"{_tests(new)} not run yet")
        if bad:
            missing.append(f"{_tests(bad)} not passed")
        if not missing:
            return Progress.FINISHED, ()
        started = any(name in found.items for name in names)
        return Progress.STARTED if started else Progress.NOT_STARTED, tuple(missing)

    def _dependencies(self, unit: str, origin: Origin) -> tuple[DependencyState, tuple[str, ...]]:
        """The first of what must be green before a unit opens that does not stay so, and why."""
        seen: set[str] = set()
        for needed in self.graph.opens_after(self.graph.nodes[unit]):
            for state, reason in self._obstacles(needed, origin, seen):
                return state, (reason,)
        return DependencyState.RESUMED, ()

    def _obstacles(
        self, node_id: str, origin: Origin, seen: set[str]
    ) -> Iterator[tuple[DependencyState, str]]:
        """What of a node does not stay as it was in the run `origin`, but for what was looked at before."""
        if node_id in seen:
            return
        seen.add(node_id)
        node = self.graph.nodes[node_id]
        if node.kind is Kind.SYNC:
            for above in (*node.after, *node.needs):
                for state, reason in self._obstacles(above, origin, seen):
                    yield state, f"{reason}, above {node}" if ", above " not in reason else reason
            return
        for each in (node_id, *node.parts):
            if self.is_idle(each):
                # Nothing of it runs: it is as what it needs.
                for needed in self.graph.opens_after(self.graph.nodes[each]):
                    yield from self._obstacles(needed, origin, seen)
                continue
            verdict = self.verdict(each)
            if verdict.kept is not Action.RESUME or verdict.checkpoint is None:
                red = verdict.past is Past.RED and verdict.action is Action.LEAVE
                yield (
                    DependencyState.RED if red else DependencyState.RUNS,
                    f"it depends on {self.title(each)}",
                )
            elif self.history.is_newer(verdict.checkpoint.origin, origin):
                yield DependencyState.RUNS, f"it depends on {self.title(each)}, which has run since"

    def title(self, unit: str) -> str:
        """A unit as messages call it here: without its name, which the plan has."""
        return title(self.graph.nodes[unit].kind.value, unit, "")


def _is_told(recorded: Iterable[Dependency]) -> bool:
    """Whether a unit has closed: then everything that is known of it was written down."""
    return any(row.name == UNFINISHED and row.digest == TOLD for row in recorded)


def _tests(count: int) -> str:
    return "1 test has" if count == 1 else f"{count} tests have"
