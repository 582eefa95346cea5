"""What of a run need not run again, and what says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from pytest_phases.checkpoint.age import age
from pytest_phases.checkpoint.compare import EARLIER_UNTOLD, TOLD, UNFINISHED
from pytest_phases.checkpoint.decide import Action, Evidence, Mode, Past
from pytest_phases.checkpoint.history import PROVING, Checkpoint, History, Reader
from pytest_phases.checkpoint.judgement import Judgement, Now, Verdict
from pytest_phases.errors import PhasesError
from pytest_phases.events import Outcome
from pytest_phases.evidence import Dependency, ItemRecord, Origin, PartRecord
from pytest_phases.graph import Graph
from pytest_phases.model import UNPHASED, Plan
from pytest_phases.table import Table

__all__ = ["Now", "Resumption", "plan_resume"]

_SHORT = 8
"""How much of a run's id a message shows."""


@dataclass(frozen=True)
class Resumption:
    """What need not run; empty if everything does.

    `units` are the phases and streams that stay green, with where they were run, and `rest` those of which
    some tests do not run. `outcomes` are those of
    items that do not run, by (phase or stream, node id), the second of the same node id called
    `NODEID #2`; `durations` are theirs, in seconds. `why` has a line for each phase and stream in the
    order of the plan. `foreign` were green in another tree, and are kept on trust. `parts` is coverage
    data to keep, `dependencies` are rows to record for this run. `from_run` is the newest run of those
    that are resumed, empty if none is.
    """

    units: Mapping[str, Origin] = field(default_factory=dict)
    rest: Mapping[str, Origin] = field(default_factory=dict)
    outcomes: Mapping[tuple[str, str], Outcome] = field(default_factory=dict)
    durations: Mapping[tuple[str, str], float] = field(default_factory=dict)
    why: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    parts: tuple[PartRecord, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    from_run: str = ""


def plan_resume(
    reader: Reader,
    plan: Plan,
    graph: Graph,
    table: Table,
    now: Now,
    *,
    mode: Mode = Mode.RESUME,
    selected: Callable[[str], bool] = lambda unit: True,
    stages: Callable[[str], Iterable[str]] = lambda unit: (),
) -> Resumption:
    """Decide for each phase and stream of the plan, and for the unphased tests, whether it runs.

    `stages` says of a phase or stream, in words, what keeps its stages from being up to date. Where
    nothing can be read everything runs, and one line says so.
    """
    try:
        history = History(reader, now.plan_file, now.run_id)
        if not history.runs:
            return Resumption(why=(f"nothing is resumed: no run of {now.plan_file} is recorded",))
        return _Resuming(Judgement(history, plan, graph, table, now, mode, selected, stages)).result()
    except PhasesError as error:
        return Resumption(why=(f"nothing is resumed: {error}",))


class _Resuming:
    """What follows from the decisions."""

    def __init__(self, judgement: Judgement) -> None:
        self._judgement = judgement
        busy = [unit for unit in judgement.units if not judgement.is_idle(unit)]
        # What is needed comes first, or a long chain would be as many calls deep.
        for unit in sorted(busy, key=lambda unit: -judgement.graph.nodes[unit].height):
            judgement.verdict(unit)
        self._decided = {unit: judgement.verdict(unit) for unit in busy}
        self._resumed = tuple(self._with(Action.RESUME))
        self._rest = tuple(self._with(Action.REST))

    def result(self) -> Resumption:
        """All of it."""
        judgement = self._judgement
        kept = {(unit, item.nodeid): item for unit, item in self._kept()}
        runs = {checkpoint.run_id for _, checkpoint, _ in self._resumed}
        return Resumption(
            units={unit: checkpoint.origin for unit, checkpoint, _ in self._resumed},
            rest={
                unit: checkpoint.origin
                for unit, checkpoint, _ in self._rest
                if self._passed(unit, checkpoint)
            },
            outcomes={key: item.outcome for key, item in kept.items()},
            durations={key: item.duration for key, item in kept.items()},
            why=tuple(map(self._why, judgement.units)),
            foreign=tuple(unit for unit, found, verdict in self._resumed if self._is_foreign(found, verdict)),
            parts=tuple(dict.fromkeys(self._parts())),
            dependencies=tuple(self._dependencies()),
            from_run=next((run.run_id for run in judgement.history.runs if run.run_id in runs), ""),
        )

    def _with(self, action: Action) -> Iterator[tuple[str, Checkpoint, Verdict]]:
        for unit, verdict in self._decided.items():
            if verdict.action is action and verdict.checkpoint is not None:
                yield unit, verdict.checkpoint, verdict

    def _kept(self) -> Iterator[tuple[str, ItemRecord]]:
        """The items that do not run; of a unit that runs, stages do: what they make may be gone."""
        for unit, checkpoint, _ in self._resumed:
            yield from ((unit, checkpoint.items[name]) for name in self._judgement.items.get(unit, ()))
        for unit, checkpoint, _ in self._rest:
            for name in self._passed(unit, checkpoint):
                yield unit, checkpoint.items[name]

    def _passed(self, unit: str, checkpoint: Checkpoint) -> tuple[str, ...]:
        items, stages = checkpoint.items, self._judgement.stage_names
        return tuple(
            name
            for name in self._judgement.items.get(unit, ())
            if name in items and items[name].outcome in PROVING and name not in stages
        )

    def _dependencies(self) -> Iterator[Dependency]:
        for _, _, verdict in self._resumed:
            yield from verdict.recorded
        for _, _, verdict in self._rest:
            for row in verdict.recorded:
                # This run will tell of what it runs itself, and of nothing else.
                lost = row.name == UNFINISHED and row.digest != TOLD
                yield replace(row, name=EARLIER_UNTOLD) if lost else row

    def _parts(self) -> Iterator[PartRecord]:
        """Coverage data under a worker's name of its own: this run has workers of the same names."""
        for _, checkpoint, _ in (*self._resumed, *self._rest):
            for part in (*checkpoint.parts, *self._judgement.history.afterwards(checkpoint.run_id)):
                if self._judgement.now.part_ok(part):
                    own = "@" in part.worker
                    worker = part.worker if own else f"{part.worker}@{checkpoint.run_id[:_SHORT]}"
                    yield replace(part, worker=worker)

    def _is_foreign(self, checkpoint: Checkpoint, verdict: Verdict) -> bool:
        """Whether a unit is kept on trust alone, or was green in another tree."""
        if self._judgement.mode is not Mode.TRUST:
            return False
        return verdict.evidence is not Evidence.SAME or checkpoint.origin.tree != self._judgement.now.tree

    def _why(self, unit: str) -> str:
        """What becomes of a unit, in one line."""
        name, verdict = self._judgement.title(unit), self._decided.get(unit)
        run, again = ("run", "run again") if unit == UNPHASED else ("runs", "runs again")
        if verdict is None:
            streams = self._judgement.graph.nodes[unit].parts
            return f"{name} has nothing to run{' but its streams' if streams else ''}"
        if verdict.action is Action.LEAVE:
            return f"{name} {'are' if unit == UNPHASED else 'is'} not selected"
        if verdict.action is Action.RESUME and verdict.checkpoint is not None:
            trust = f", on trust: {_first(verdict.reasons)}" if verdict.reasons else ""
            return f"{name} resumed from {self._from(verdict.checkpoint.origin)}{trust}"
        if verdict.action is Action.REST and verdict.checkpoint is not None:
            count = len(self._passed(unit, verdict.checkpoint))
            run = again = f"{run} without the {count} test{'s' if count != 1 else ''} that passed"
        if verdict.past in _WAS:
            were = "they were" if unit == UNPHASED else "it was"
            return f"{name} {run}: {_WAS[verdict.past].format(were=were)}"
        return f"{name} {again if verdict.past is Past.GREEN else run}: {_first(verdict.reasons)}"

    def _from(self, origin: Origin) -> str:
        return f"{origin.run_id[:_SHORT]}, {age(origin.started, self._judgement.now.time)} ago"


_WAS = {
    Past.RED: "{were} red",
    Past.BLOCKED: "{were} blocked",
    Past.INTERRUPTED: "{were} interrupted",
    Past.EMPTY: "everything was skipped",
}


def _first(reasons: tuple[str, ...]) -> str:
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}"
