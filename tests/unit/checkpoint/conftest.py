"""A project on the disk, and runs in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.checkpoint.compare import TOLD, UNFINISHED
from pytest_phases.checkpoint.decide import Mode
from pytest_phases.checkpoint.files import content_digest, stamp_of
from pytest_phases.checkpoint.project import Project
from pytest_phases.checkpoint.resume import Now, Resumption, plan_resume
from pytest_phases.events import Outcome, State
from pytest_phases.evidence import (
    Dependency,
    DependencyKind,
    ExpectedKind,
    ItemRecord,
    PartRecord,
    PhaseRecord,
    RunRecord,
    TreeEntry,
)
from pytest_phases.graph import Graph, build
from pytest_phases.model import UNPHASED, Phase, Place, Plan
from pytest_phases.plan.read import read_plan
from pytest_phases.table import Table

PLAN = """\
### Phase 1: A
tests: [tests/test_a.py]
### Phase 2: B
tests: [tests/test_b.py]
"""


@dataclass(frozen=True)
class Shop:
    """A project in a folder of its own."""

    root: Path

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def plan(self, text: str) -> None:
        """Write the plan."""
        self.write("plan.md", text)

    def entry(self, name: str) -> TreeEntry:
        """A file as the tree before a run has it."""
        path = self.root / name
        return TreeEntry(name, "file", content_digest(path), stamp_of(path.stat()))

    def tree(self) -> tuple[TreeEntry, ...]:
        """Every file of it."""
        names = sorted(
            path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()
        )
        return tuple(map(self.entry, names))

    def project(
        self,
        tree: Iterable[TreeEntry] = (),
        distributions: Mapping[str, str] | None = None,
        definitions: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Project:
        """What a run finds, with the plan as it is now."""
        plan = read_plan(self.root / "plan.md", "plan.md")
        return Project(
            self.root, tree, plan, distributions=distributions or {}, definitions=definitions or {}, **more
        )


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A project with a plan of two phases."""
    made = Shop(tmp_path / "shop")
    made.plan(PLAN)
    return made


# Runs in memory ------------------------------------------------------------------------------------

WHERE = Place("plan.md", 1)


def phase(unit: str, *deps: str, **more: Any) -> Phase:
    """A phase or stream of a plan."""
    return Phase(unit, "", WHERE, deps=deps, states_deps=True, **more)


@dataclass
class Log:
    """What one run has written down."""

    run: RunRecord
    phases: dict[str, PhaseRecord] = field(default_factory=dict)
    items: list[ItemRecord] = field(default_factory=list)
    rows: dict[tuple[str, DependencyKind, str], Dependency] = field(default_factory=dict)
    tree: tuple[TreeEntry, ...] = ()
    parts: list[PartRecord] = field(default_factory=list)

    def put(self, rows: Iterable[Dependency]) -> None:
        """Record rows in place of older ones."""
        self.rows.update(((row.phase, row.kind, row.name), row) for row in rows)


@dataclass
class Runs:
    """What runs have written down, with the methods of a database, the oldest first."""

    logs: list[Log] = field(default_factory=list)

    def log(self, run_id: str) -> Log:
        """What one run has written down."""
        return next(log for log in self.logs if log.run.run_id == run_id)

    def runs(self, plan_file: str) -> tuple[RunRecord, ...]:
        """The newest first."""
        return tuple(log.run for log in reversed(self.logs) if log.run.plan_file == plan_file)

    def phases(self, run_id: str) -> tuple[PhaseRecord, ...]:
        """The phases of a run that have closed."""
        return tuple(self.log(run_id).phases.values())

    def items(self, run_id: str, phase: str | None = None) -> tuple[ItemRecord, ...]:
        """The items of a run that have ended."""
        return tuple(item for item in self.log(run_id).items if phase in (None, item.phase))

    def dependencies(self, run_id: str, phase: str | None = None) -> tuple[Dependency, ...]:
        """What phases of a run depend on."""
        return tuple(row for row in self.log(run_id).rows.values() if phase in (None, row.phase))

    def tree(self, run_id: str) -> tuple[TreeEntry, ...]:
        """The files after a run."""
        return self.log(run_id).tree

    def parts(self, run_id: str) -> tuple[PartRecord, ...]:
        """The coverage data of a run."""
        return tuple(self.log(run_id).parts)


@dataclass
class World:
    """A project of files in memory, whose phases have tests, and its runs.

    `tests` has the names of the tests of each phase or stream, all in one file of its own; `uses` the
    files that they execute. `failing` and `skipped` name tests like `1:test_1`; `known` says whether it
    is traced what they execute, `measured` whether coverage is measured.
    """

    plan: Plan
    tests: dict[str, list[str]] = field(default_factory=dict)
    uses: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    known: bool = True
    measured: bool = False
    reader: Runs = field(default_factory=Runs)

    def __post_init__(self) -> None:
        for unit in (*(unit.id for unit in self.plan.units()), UNPHASED):
            self.tests.setdefault(unit, ["test_1", "test_2"] if unit != UNPHASED else [])
            self.uses.setdefault(unit, [f"src/{unit}.py"])
            for file in (self.test_file(unit), *self.uses[unit]):
                self.files.setdefault(file, "0")

    # What there is ----------------------------------------------------------------------------

    def test_file(self, unit: str) -> str:
        """Where the tests of a unit stand."""
        return f"tests/test_{unit.replace('/', '_')}.py"

    def nodeids(self, unit: str) -> list[str]:
        """The node ids of a unit."""
        return [f"{self.test_file(unit)}::{name}" for name in self.tests[unit]]

    @property
    def table(self) -> Table:
        """What is collected."""
        pairs = [(nodeid, unit) for unit in self.tests for nodeid in self.nodeids(unit)]
        return Table(nodeids=tuple(pair[0] for pair in pairs), phases=tuple(pair[1] for pair in pairs))

    @property
    def tree(self) -> dict[str, TreeEntry]:
        """The files by path."""
        return {path: TreeEntry(path, "file", self.digest(path)) for path in self.files}

    def digest(self, path: str) -> str:
        """The digest of a file."""
        return sha256(self.files[path].encode()).hexdigest()

    @property
    def tree_digest(self) -> str:
        """The digest of all of them."""
        return sha256(repr(sorted(self.files.items())).encode()).hexdigest()

    def declared(self, unit: str, test_files: Iterable[str]) -> Iterator[Dependency]:
        """The definition and the test files of a unit."""
        found = {each.id: each for each in self.plan.units()}.get(unit)
        yield Dependency(unit, DependencyKind.DEFINITION, "deps", repr(found and found.deps))
        for file in test_files:
            yield Dependency(unit, DependencyKind.TEST, file, self.digest(file))

    def today(self, recorded: Dependency) -> Dependency | None:
        """A row as it is now."""
        if recorded.kind is DependencyKind.UNKNOWN:
            return replace(recorded, digest=self.tree_digest)
        return replace(recorded, digest=self.digest(recorded.name)) if recorded.name in self.files else None

    @property
    def logs(self) -> list[Log]:
        """What each run has written down."""
        return self.reader.logs

    # Runs ---------------------------------------------------------------------------------------

    def decide(self, mode: Mode = Mode.RESUME, run_id: str = "", **more: Any) -> Resumption:
        """What a run would resume now."""
        now = {key: more.pop(key) for key in ("measured", "part_ok") if key in more}
        table = more.pop("table", self.table)
        when = f"2026-01-01T00:{len(self.logs):02}:00+00:00"
        return plan_resume(
            self.reader, self.plan, build(self.plan), table,
            Now(run_id, when, "plan.md", self.tree_digest, self, **now), mode=mode, **more,
        )  # fmt: skip

    def run(
        self,
        mode: Mode | None = None,
        only: Collection[str] | None = None,
        kill: str = "",
        stop: str = "",
        during: Callable[[], object] = lambda: None,
    ) -> Resumption:
        """One run: without a mode nothing is resumed; `kill` ends it in a unit, `stop` interrupts it there.

        `during` is called in the middle of it.
        """
        selected = (lambda unit: True) if only is None else only.__contains__
        decided = self.decide(mode, selected=selected) if mode is not None else Resumption()
        number = len(self.logs)
        run = RunRecord(
            f"r{number}", f"2026-01-01T00:{number:02}:00+00:00", "plan.md", "", tree=self.tree_digest
        )
        log = Log(run)
        self.logs.append(log)
        log.put(decided.dependencies)
        log.parts.extend(decided.parts)
        self._play(log, decided, selected, kill, stop)
        during()
        return decided

    def _play(
        self, log: Log, decided: Resumption, selected: Callable[[str], bool], kill: str, stop: str
    ) -> None:
        states: dict[str, State] = {}
        stopped = False
        graph = build(self.plan)
        for unit in self._in_order(graph):
            if not selected(unit) or (unit == UNPHASED and not self.tests[unit]):
                continue
            blocked = any(states.get(each) in (State.RED, State.BLOCKED) for each in self._needs(graph, unit))
            items = list(self._items(unit, decided, blocked, partly=unit in (kill, stop))) * (not stopped)
            log.items += items
            if unit in decided.units:
                states[unit] = State.GREEN
            else:
                if not (blocked or stopped):
                    log.put(self._rows(unit, told=unit != kill))
                if self.measured and not (blocked or stopped):
                    log.parts.append(PartRecord(unit, "gw0", f"{log.run.run_id}-{unit}", "s"))
                states[unit] = self._state(items, blocked, stopped or unit == stop)
            if unit == kill:
                return
            origin = decided.units.get(unit)
            log.phases[unit] = PhaseRecord(unit, "phase", "", states[unit], origin=origin)
            stopped = stopped or unit == stop
        self._settle_streams(log)
        log.run = replace(log.run, ended=log.run.started)
        log.tree = tuple(self.tree.values())

    def _in_order(self, graph: Graph) -> Iterator[str]:
        units = [*(unit.id for unit in self.plan.units()), UNPHASED]
        yield from sorted(units, key=lambda unit: -graph.nodes[unit].height)

    def _needs(self, graph: Graph, unit: str) -> Iterator[str]:
        for node in graph.opens_after(graph.nodes[unit]):
            yield from (node, *graph.nodes[node].parts) if node in graph.nodes else ()

    def _items(self, unit: str, decided: Resumption, blocked: bool, partly: bool) -> Iterator[ItemRecord]:
        for nodeid in self.nodeids(unit)[: 1 if partly else None]:
            name = nodeid.rpartition("::")[2]
            outcome = decided.outcomes.get((unit, nodeid))
            if outcome is None:
                outcome = Outcome.FAILED if f"{unit}:{name}" in self.failing else Outcome.PASSED
                outcome = Outcome.SKIPPED if f"{unit}:{name}" in self.skipped else outcome
                outcome = Outcome.BLOCKED if blocked else outcome
            worker = "" if (unit, nodeid) in decided.outcomes else "gw0"
            yield ItemRecord(nodeid, unit, ExpectedKind.TEST, outcome, 0.5, worker)

    def _state(self, items: list[ItemRecord], blocked: bool, stopped: bool) -> State:
        outcomes = {item.outcome for item in items}
        if blocked:
            return State.BLOCKED
        if Outcome.FAILED in outcomes:
            return State.RED
        if stopped:
            return State.INTERRUPTED
        return State.GREEN if Outcome.PASSED in outcomes else State.EMPTY

    def _rows(self, unit: str, told: bool) -> Iterator[Dependency]:
        digest = TOLD if told else self.tree_digest
        yield Dependency(unit, DependencyKind.UNKNOWN, UNFINISHED, digest)
        yield from self.declared(unit, [self.test_file(unit)] if self.tests[unit] else [])
        if told and self.known:
            for file in self.uses[unit]:
                if file in self.files:
                    yield Dependency(unit, DependencyKind.EXECUTED, file, self.digest(file))
        elif told:
            yield Dependency(unit, DependencyKind.UNKNOWN, "Python 3.11 cannot trace it", self.tree_digest)

    def _settle_streams(self, log: Log) -> None:
        """A phase is red if a stream of it is, and green if one is."""
        for unit in self.plan.phases:
            states = {log.phases[each.id].state for each in unit.units if each.id in log.phases}
            if unit.streams and unit.id in log.phases:
                state = (
                    State.RED
                    if State.RED in states
                    else State.GREEN
                    if State.GREEN in states
                    else State.EMPTY
                )
                log.phases[unit.id] = replace(log.phases[unit.id], state=state)


@pytest.fixture
def world() -> Callable[..., World]:
    """A function that makes a project of phases, each with its dependencies."""

    def make(*phases: Phase, **more: Any) -> World:
        return World(Plan(file="plan.md", phases=phases), **more)

    return make


@pytest.fixture
def one() -> Callable[..., Phase]:
    """A function that makes a phase."""
    return phase
