"""Whether a tree may be deployed: a pure function of what the plan demands, a run wrote down and is there.

Evidence is a set, and the verdict is set equality. A run writes down what must exist before it runs
anything (`Expected`), and then what happened. Everything expected of a required phase must be there and
good; nothing may be there that was not expected, and nothing twice. Nothing follows from the absence
of failures.

Each check yields the reasons that it finds against the tree. There is no way to green but that no
check finds any: of the others red wins over incomplete, and incomplete over pending.
"""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pytest_phases.coverage.threshold import judge
from pytest_phases.events import Decision, GateResult, Outcome, Reason, State, title
from pytest_phases.evidence import (
    AFTERWARDS,
    GATE,
    Expected,
    ExpectedKind,
    FigureRecord,
    ItemRecord,
    PhaseRecord,
    Recorded,
    digest_of,
)
from pytest_phases.gate.rules import SYNC, Found, Rules, rules_of
from pytest_phases.model import UNPHASED

__all__ = ["Found", "Rules", "decide", "rules_of"]

_PRECEDENCE = (Decision.RED, Decision.INCOMPLETE, Decision.PENDING)
_NAMED = 5
_PATHS = 10
_SHORT = 8  # digits of a run's id
_FULL = 100.0
_PLACES = 100  # more than any figure has


def decide(rules: Rules, recorded: Recorded, found: Found) -> GateResult:
    """The gate's decision with every reason against it, the gravest first."""
    case = _Case(rules, recorded, found)
    against = [reason for check in _CHECKS for reason in check(case)]
    reasons = tuple(sorted(against, key=lambda reason: _PRECEDENCE.index(reason.decision)))
    return GateResult(
        name=rules.name,
        decision=reasons[0].decision if reasons else Decision.GREEN,
        reasons=reasons,
        deploys=tuple(f"{each.stage}: {each.ending}" for each in recorded.deploys),
    )


@dataclass(frozen=True)
class _Case:
    """All that the verdict is made of, and how its parts are found in one another."""

    rules: Rules
    recorded: Recorded
    found: Found

    def requires(self, unit: str) -> bool:
        """Whether the gate looks at a phase, stream or sync point; unphased tests always count."""
        return self.rules.every or _top(unit) in (*self.rules.phases, UNPHASED) or unit.startswith(SYNC)

    def requires_parts(self, unit: str) -> bool:
        """The gate's figure and those of sync points are made of other phases' parts too."""
        shared = self.rules.required is not None or any(
            each.startswith(SYNC) for each in self.rules.thresholds
        )
        return shared or self.requires(unit)

    def may_be_empty(self, unit: str) -> bool:
        """Whether nothing need have passed there; no unphased test is what most plans wish for."""
        nothing_unphased = unit == UNPHASED and not any(
            each.phase == UNPHASED and each.kind is ExpectedKind.TEST for each in self.recorded.expected
        )
        return nothing_unphased or not {unit, _top(unit)}.isdisjoint(self.rules.allow_empty)

    @cached_property
    def rightly_empty(self) -> frozenset[str]:
        """Phases and streams of which nothing ran, as the plan allows, so that nothing was judged."""
        empty = (record.id for record in self.recorded.phases if record.state is State.EMPTY)
        return frozenset(filter(self.may_be_empty, empty))

    def title(self, unit: str) -> str:
        """A phase, stream or sync point as messages call it."""
        if unit == AFTERWARDS:
            return "after the last item"
        names = {f"{SYNC}{number}": name for number, name in enumerate(self.rules.syncs, 1)}
        return title(_kind(unit), unit, names.get(unit, ""))

    def is_red_for(self, unit: str, reason: str) -> bool:
        """Whether a required phase is recorded as red with this among its reasons, which then says it all."""
        return self.requires(unit) and any(
            record.id == unit and record.state is State.RED and reason in record.reason
            for record in self.recorded.phases
        )

    def place(self, unit: str) -> tuple[int, str]:
        """Sorts by the order of the plan."""
        top, phases = _top(unit), self.rules.phases
        return (phases.index(top) if top in phases else len(phases), unit)

    def expected(self, *kinds: ExpectedKind) -> list[Expected]:
        """What must exist, of some kinds."""
        return [each for each in self.recorded.expected if each.kind in kinds]

    @cached_property
    def items(self) -> Mapping[Expected, ItemRecord]:
        """The last attempt at each item."""
        attempts = sorted(self.recorded.items, key=lambda item: item.attempt)
        return {Expected(item.kind, item.phase, item.nodeid): item for item in attempts}

    @cached_property
    def proven(self) -> frozenset[str]:
        """Phases and streams of which something has passed."""
        passed = {item.phase for item in self.items.values() if item.outcome in _PROVING}
        return frozenset(passed | {_top(unit) for unit in passed})


def _top(unit: str) -> str:
    return unit.partition("/")[0]


def _kind(unit: str) -> str:
    if unit.startswith(SYNC):
        return "sync point"
    return UNPHASED if unit == UNPHASED else "stream" if "/" in unit else "phase"


# What is said of one thing, and of several.
_Verb = tuple[str, str]
_NOT_RUN: _Verb = ("was not run", "were not run")
_MISSING: _Verb = ("is missing", "are missing")
_UNEXPECTED: _Verb = ("was recorded and not expected", "were recorded and not expected")
_TWICE: _Verb = ("was recorded twice", "were recorded twice")
_UNKNOWN: _Verb = ("of the plan was unknown to the run", "of the plan were unknown to the run")

_PROVING = frozenset({Outcome.PASSED, Outcome.XFAILED})
_FINE = _PROVING | {Outcome.SKIPPED}
_OUTCOMES: Mapping[Outcome, tuple[Decision, _Verb]] = {
    Outcome.FAILED: (Decision.RED, ("failed", "failed")),
    Outcome.ERROR: (Decision.RED, ("ended in an error", "ended in an error")),
    Outcome.BLOCKED: (Decision.INCOMPLETE, ("was blocked", "were blocked")),
}
_STATES: Mapping[State, tuple[Decision, str]] = {
    State.RED: (Decision.RED, "ended red"),
    State.FAILING: (Decision.RED, "failed and never ended"),
    State.BLOCKED: (Decision.INCOMPLETE, "did not run"),
    State.INTERRUPTED: (Decision.INCOMPLETE, "did not finish"),
    State.WAITING: (Decision.INCOMPLETE, "never opened"),
    State.OPEN: (Decision.INCOMPLETE, "never ended"),
    State.EMPTY: (
        Decision.INCOMPLETE,
        "ran nothing, or skipped everything; if that is meant, name it in allow_empty of the gate",
    ),
}


def _incomplete(text: str) -> Reason:
    return Reason(Decision.INCOMPLETE, text)


def _grouped(
    case: _Case, verb: _Verb, things: Iterable[tuple[str, str, str]], decision: Decision = Decision.INCOMPLETE
) -> Iterator[Reason]:
    """One reason for all things of one phase and noun; each thing is its phase, noun and name."""
    groups: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for phase, noun, name in things:
        groups[phase, noun].append(name)
    for (phase, noun), names in sorted(groups.items(), key=lambda group: (case.place(group[0][0]), group[0])):
        said = f"1 {noun} {verb[0]}" if len(names) == 1 else f"{len(names)} {noun}s {verb[1]}"
        yield Reason(decision, f"{case.title(phase)}: {said}: {_listed(sorted(names), _NAMED)}")


def _listed(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def _things(expected: Iterable[Expected]) -> Iterator[tuple[str, str, str]]:
    return ((each.phase, _NOUNS[each.kind], each.name) for each in expected)


_NOUNS = {
    ExpectedKind.PHASE: "record",
    ExpectedKind.TEST: "test",
    ExpectedKind.STAGE: "stage",
    ExpectedKind.PART: "coverage part",
}


def _run(case: _Case) -> Iterator[Reason]:
    """The run took place from its beginning to its end, with every test."""
    run = case.recorded.run
    if run.ended is None:
        yield _incomplete("the run never ended: it was killed, or is still going on; run it to its end")
    if run.restricted:
        yield _incomplete(f"not every test was collected: {run.restricted}")


def _expectation(case: _Case) -> Iterator[Reason]:
    """What must exist is what the run wrote down, and all that the plan demands."""
    run, expected, rules = case.recorded.run, case.recorded.expected, case.rules
    # A run that never ended has not said how much it expected, and is told of already.
    altered = digest_of(expected) != run.expected_digest or len(expected) != run.expected_count
    if altered and not (run.ended is None and not run.expected_digest):
        yield _incomplete(
            f"what must exist was altered: the run wrote down {run.expected_count} things, and the "
            f"{len(expected)} that are there now are not the same; run again"
        )
    if not any(case.requires(each.phase) for each in expected):
        yield _incomplete("the run expected nothing that the gate requires, and so proves nothing")
    units = {each.phase for each in case.expected(ExpectedKind.PHASE)}
    for unit in (*rules.phases, *rules.streams):
        if unit not in units:
            yield _incomplete(f"{case.title(unit)} of the plan was unknown to the run; run with this plan")
    stages = {(each.phase, each.name.rpartition("::")[2]) for each in case.expected(ExpectedKind.STAGE)}
    unknown = [(unit, "stage", stage) for unit, stage in rules.stages if (unit, stage) not in stages]
    yield from _grouped(case, _UNKNOWN, unknown)


def _phases(case: _Case) -> Iterator[Reason]:
    """Each required phase and each sync point is recorded once, and green or rightly empty."""
    expected = {each.phase for each in case.expected(ExpectedKind.PHASE)}
    records = Counter(record.id for record in case.recorded.phases)
    for unit in sorted(expected - records.keys(), key=case.place):
        if case.requires(unit):
            yield _incomplete(f"{case.title(unit)}: there is no record of how it ended")
    for unit, times in records.items():
        if unit not in expected and _kind(unit) in ("phase", "stream"):
            yield _incomplete(f"{case.title(unit)}: recorded and not expected")
        if times > 1:
            yield _incomplete(f"{case.title(unit)}: recorded {times} times, perhaps by several runs")
    for record in case.recorded.phases:
        if case.requires(record.id):
            yield from _state(case, record)


def _state(case: _Case, record: PhaseRecord) -> Iterator[Reason]:
    named = case.title(record.id)
    if record.state is State.GREEN:
        if _kind(record.id) != "sync point" and record.id not in case.proven:
            yield _incomplete(f"{named}: recorded as green, and nothing has passed; run again")
    elif record.id not in case.rightly_empty or record.state is not State.EMPTY:
        decision, what = _STATES[record.state]
        yield Reason(decision, f"{named} {what}{f': {record.reason}' if record.reason else ''}")


def _items(case: _Case) -> Iterator[Reason]:
    """Each test and stage of a required phase was run once, where it belongs, and did not fail."""
    expected = set(case.expected(ExpectedKind.TEST, ExpectedKind.STAGE))
    missing = expected - case.items.keys()
    yield from _grouped(case, _NOT_RUN, _things(each for each in missing if case.requires(each.phase)))
    yield from _grouped(case, _UNEXPECTED, _things(case.items.keys() - expected))
    # An attempt has one number, in whichever phase it is said to have been.
    attempts = Counter((item.nodeid, item.attempt) for item in case.recorded.items)
    twice = {nodeid for (nodeid, _), times in attempts.items() if times > 1}
    yield from _grouped(case, _TWICE, _things(each for each in case.items if each.name in twice))
    ended: defaultdict[Outcome, list[Expected]] = defaultdict(list)
    for each, item in case.items.items():
        if item.outcome not in _FINE and case.requires(each.phase):
            ended[item.outcome].append(each)
    for outcome, items in ended.items():
        decision, verb = _OUTCOMES[outcome]
        yield from _grouped(case, verb, _things(items), decision)


def _parts(case: _Case) -> Iterator[Reason]:
    """Each coverage part came, is there once, and can be read."""
    expected = {(each.phase, each.name) for each in case.expected(ExpectedKind.PART)}
    needed = {(phase, worker) for phase, worker in expected if case.requires_parts(phase)}
    recorded = [(part.phase, part.worker, part.problem) for part in case.recorded.parts]
    absent: set[tuple[str, str]] = set()
    surplus: set[tuple[str, str]] = set()
    twice: set[tuple[str, str]] = set()
    bad: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for parts in (recorded, case.found.parts):
        times = Counter((phase, worker) for phase, worker, _ in parts)
        absent |= needed - times.keys()
        surplus |= times.keys() - expected
        twice |= {part for part in times if times[part] > 1}
        for phase, worker, problem in parts:
            if problem and case.requires_parts(phase):
                bad[problem].add((phase, worker))
    for verb, found in ((_MISSING, absent), (_UNEXPECTED, surplus), (_TWICE, twice)):
        yield from _grouped(case, verb, _of_workers(found))
    for problem, found in bad.items():
        yield from _grouped(case, (f"cannot be used ({problem})",) * 2, _of_workers(found))
    if case.found.surplus:
        names = _listed(case.found.surplus, _NAMED)
        yield _incomplete(f"coverage files that nobody expects: {names}; run again")


def _of_workers(parts: Collection[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    return ((phase, _NOUNS[ExpectedKind.PART], worker) for phase, worker in parts)


def _figures(case: _Case) -> Iterator[Reason]:
    """Each threshold of the plan was judged as it stands there, from parts, and reached."""
    # A phase may be called `gate`, so the gate's own figure is told by its kind.
    own = [figure for figure in case.recorded.figures if figure.kind == GATE]
    others = [figure for figure in case.recorded.figures if figure.kind != GATE]
    demanded = {unit: required for unit, required in case.rules.thresholds.items() if case.requires(unit)}
    yield from _judged(case, "the gate", own, case.rules.required)
    for unit in sorted({*demanded, *(figure.id for figure in others)}, key=case.place):
        if case.requires(unit):
            figures = [figure for figure in others if figure.id == unit]
            required = demanded.get(unit) if figures or unit not in case.rightly_empty else None
            yield from _judged(case, case.title(unit), figures, required)


def _judged(
    case: _Case, named: str, figures: Sequence[FigureRecord], required: float | None
) -> Iterator[Reason]:
    """The figures of one threshold; `required` is None if a marker states it and the plan does not."""
    if required is not None and not figures:
        yield _incomplete(f"{named}: coverage was not judged, and the plan requires {required:g} %")
    if len(figures) > 1:
        yield _incomplete(f"{named}: coverage was recorded {len(figures)} times, perhaps by several runs")
    for figure in figures:
        if required is not None and figure.required != required:
            judged = f"coverage was judged by {figure.required:g} %, and the plan requires {required:g} %"
            yield _incomplete(f"{named}: {judged}; run with this plan")
        yield from _reached(case, named, figure, figure.required if required is None else required)


def _reached(case: _Case, named: str, figure: FigureRecord, required: float) -> Iterator[Reason]:
    if figure.reached is None or figure.problem:
        problem = figure.problem or "coverage could not be measured, and no reason is recorded"
        yield Reason(Decision.RED, f"{named}: {problem}")
        return
    if not (0 <= figure.reached <= _FULL and 0 <= required <= _FULL):
        recorded = f"{figure.reached:g} of {required:g} %"
        yield _incomplete(f"{named}: the recorded coverage, {recorded}, does not lie between 0 and 100")
        return
    if figure.precision > _PLACES:
        yield _incomplete(f"{named}: the recorded coverage has {figure.precision} places; run again")
        return
    threshold = judge(figure.reached, required, figure.precision)
    if not threshold.passed and not case.is_red_for(figure.id, threshold.text):
        yield Reason(Decision.RED, f"{named}: coverage {threshold.text}")
    everywhere = figure.kind == GATE or figure.id.startswith(SYNC)
    parts = case.expected(ExpectedKind.PART)
    if not any(everywhere or _top(part.phase) == _top(figure.id) for part in parts):
        yield _incomplete(f"{named}: coverage was judged, and no part of it was expected of any worker")


def _conditions(case: _Case) -> Iterator[Reason]:
    """What a project demands besides is met."""
    return (Reason(Decision.RED, condition) for condition in case.recorded.conditions)


def _tree(case: _Case) -> Iterator[Reason]:
    """The tree was known and stayed what it was, and plan, commit and tree are still the same."""
    run, changed = case.recorded.run, case.found.changed
    for digest, when in ((run.tree, "before tests were collected"), (run.tree_after, "after everything ran")):
        if not digest and run.ended is not None:
            yield _incomplete(f"which tree was tested is unknown: it has no digest from {when}; run again")
    if changed:
        files = f"{len(changed)} file{'s' if len(changed) > 1 else ''}"
        yield _incomplete(
            f"{files} changed while the run ran, in no outputs of a stage: {_listed(changed, _PATHS)}; "
            "run again, or declare what a stage makes in its outputs"
        )
    yield from map(_incomplete, case.found.now)


def _resumed(case: _Case) -> Iterator[Reason]:
    """What was not run again was green in this very tree."""
    run = case.recorded.run
    elsewhere: defaultdict[str, list[str]] = defaultdict(list)
    for record in sorted(case.recorded.phases, key=lambda record: case.place(record.id)):
        origin = record.origin
        if origin is not None and case.requires(record.id) and origin.tree not in (run.tree, run.tree_after):
            elsewhere[origin.run_id].append(case.title(record.id))
    for run_id, units in elsewhere.items():
        were = "was" if len(units) == 1 else "were"
        yield _incomplete(
            f"{', '.join(units)} {were} resumed from run {run_id[:_SHORT]}, which was of another tree; run "
            "again without --phases-resume"
        )


def _stages(case: _Case) -> Iterator[Reason]:
    """No stage has read what changed while it ran."""
    for stage in case.recorded.stages:
        if stage.changed and case.requires(stage.phase):
            yield _incomplete(
                f"{case.title(stage.phase)}: inputs of stage {stage.stage} changed while it ran: "
                f"{_listed(stage.changed, _PATHS)}; run again"
            )


def _approvals(case: _Case) -> Iterator[Reason]:
    """Each approval is given for exactly this tree."""
    for name in case.rules.approvals:
        problems = [problem for given, problem in case.found.approvals if given == name]
        if not problems:
            advice = f"`pytest-phases approve {shlex.quote(name)}` gives it"
            yield Reason(Decision.PENDING, f"approval {name}: not given for this tree; {advice}")
        for problem in dict.fromkeys(filter(None, problems)):
            yield Reason(Decision.PENDING, f"approval {name}: {problem}")


_CHECKS: tuple[Callable[[_Case], Iterator[Reason]], ...] = (
    _run,
    _expectation,
    _phases,
    _items,
    _parts,
    _figures,
    _conditions,
    _tree,
    _resumed,
    _stages,
    _approvals,
)
