"""Whether a plan makes sense: known and acyclic dependencies, no two phases in each other's way.

`check` looks at the plan alone and serves every reader and a plan merged with markers;
`check_files` looks at the disk as well, as a run and `pytest-phases check` do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

from pytest_phases.claims import overlap
from pytest_phases.errors import Problem
from pytest_phases.graph import Graph, build, find_cycle, waiting_edges
from pytest_phases.model import UNPHASED, Crew, Gate, Phase, Place, Plan, Stage, place_of
from pytest_phases.plan import paths
from pytest_phases.plan.selectors import is_glob
from pytest_phases.plan.words import as_path, did_you_mean, printable

_RESERVED: Mapping[str, str] = {
    UNPHASED: "is what tests without a phase belong to",
    "none": "means no dependency at all",
}


def check(plan: Plan) -> tuple[Problem, ...]:
    """Everything that is wrong with a plan whatever lies on the disk."""
    sound = _without_repetition(plan)
    unknown = tuple(_unknown_dependencies(sound))
    cycles = tuple(_cycles(_with_siblings_alone(sound)))
    # Who runs beside whom can be said only of a plan that has an order.
    overlaps = () if unknown or cycles else tuple(_overlaps(sound, build(sound)))
    return (
        *_duplicates(plan),
        *_reserved(sound),
        *unknown,
        *cycles,
        *overlaps,
        *_unknown_in_gate(sound),
        *_repeated_approvals(sound),
        *_malformed_prerequisites(sound),
    )


def check_files(plan: Plan, root: Path) -> tuple[Problem, ...]:
    """Paths of `tests`, `covers` and `cwd` that are not below the rootdir and that no stage may still make.

    So is an `approvals_signers` that is not there, which no stage may make: who signs is known before
    anything runs. The plan has passed `check`. A path may still be made if a phase before this one
    has a `Build:` stage; a `cwd` also by a `Build:` stage that the stage itself needs. Globs of
    `tests` are left to collection.
    """
    graph = build(plan)
    builders = {unit.id for unit in plan.units() if _builds(unit.stages)}
    problems = [] if plan.gate is None else list(_missing_signers(plan.gate, root))
    for unit in plan.units():
        if builders.isdisjoint(graph.ancestors(unit.id)):
            problems += _missing_paths(unit, root)
            problems += _missing_folders(unit.stages, root)
    if plan.gate is not None and not builders:
        problems += _missing_folders(plan.gate.stages, root)
    return tuple(problems)


def _without_repetition(plan: Plan) -> Plan:
    """The plan with the first phase of each id alone, and so for the streams of each."""
    phases = _firsts(plan.phases).values()
    return replace(
        plan, phases=tuple(replace(phase, streams=tuple(_firsts(phase.streams).values())) for phase in phases)
    )


def _firsts(units: Iterable[Phase]) -> dict[str, Phase]:
    firsts: dict[str, Phase] = {}
    for unit in units:
        firsts.setdefault(unit.id, unit)
    return firsts


def _problem(slug: str, place: Place, message: str) -> Problem:
    return Problem(slug, place, printable(message))


def _duplicates(plan: Plan) -> Iterator[Problem]:
    for units in (plan.phases, *(phase.streams for phase in plan.phases)):
        firsts = _firsts(units)
        for unit in units:
            first = firsts[unit.id]
            if first is not unit:
                message = f"{_named(unit)} is also on line {first.place.line}; give one of them another id"
                yield _problem("duplicate-id", unit.place, message)


def _reserved(plan: Plan) -> Iterator[Problem]:
    for phase in plan.phases:
        if phase.id.lower() in _RESERVED:
            message = f"`{phase.id}` {_RESERVED[phase.id.lower()]}; give the phase another id"
            yield _problem("reserved-id", phase.place, message)


def _unknown_dependencies(plan: Plan) -> Iterator[Problem]:
    ids = [unit.id for unit in plan.units()]
    for phase in plan.phases:
        place = place_of(phase, "dependencies")
        for dep in phase.deps:
            if dep not in ids:
                message = f"{_named(phase)} depends on `{dep}`, {_no_phase(dep, plan.units())}"
                yield _problem("unknown-dependency", place, message)
        for stream in phase.streams:
            yield from _not_siblings(stream, phase, ids)


def _no_phase(word: str, units: Iterable[Phase]) -> str:
    """What is wrong with a word that is no id: it is the name of one phase or stream, or near one."""
    units = list(units)
    named = [unit for unit in units if unit.name and unit.name.casefold() == word.casefold()]
    if len(named) == 1:
        return f"which is the name of {_named(named[0])}; write {named[0].id}"
    return f"which is no phase; {did_you_mean(word, [unit.id for unit in units])}"


def _not_siblings(stream: Phase, phase: Phase, ids: Collection[str]) -> Iterator[Problem]:
    siblings = [other.id for other in phase.streams if other.id != stream.id]
    for dep in stream.deps:
        if dep in siblings or dep == stream.id:
            continue
        if dep in ids and dep != phase.id:
            advice = f"but a stream depends on its siblings alone; write `{dep}` under phase {phase.id}"
        else:
            advice = f"which is no other stream of phase {phase.id}; {did_you_mean(dep, siblings)}"
        message = f"{_named(stream)} depends on `{dep}`, {advice}"
        yield _problem("unknown-dependency", place_of(stream, "dependencies"), message)


def _with_siblings_alone(plan: Plan) -> Plan:
    """The plan without what its streams wrongly depend on, which is told already."""

    def cleared(phase: Phase) -> Phase:
        ids = {stream.id for stream in phase.streams}
        return replace(
            phase,
            streams=tuple(
                replace(stream, deps=tuple(dep for dep in stream.deps if dep in ids))
                for stream in phase.streams
            ),
        )

    return replace(plan, phases=tuple(map(cleared, plan.phases)))


def _cycles(plan: Plan) -> Iterator[Problem]:
    """Cycles that have no node in common, each told once as the path along which nodes wait."""
    edges: Mapping[str, tuple[str, ...]] = waiting_edges(plan)
    units = {unit.id: unit for unit in plan.units()}
    syncs = dict(zip((node for node in edges if node not in units), plan.syncs, strict=False))
    names = {node: f"Sync: {sync.name}".rstrip() for node, sync in syncs.items()}
    while (cycle := find_cycle(edges)) is not None:
        path = _from_first(cycle, tuple(units))
        at = next((place_of(units[node], "dependencies") for node in path if node in units), None)
        told = as_path(names.get(node, node) for node in path)
        yield Problem("cycle", at, printable(f"these wait for one another: {told}; take one dependency out"))
        left = edges.keys() - set(cycle)
        edges = {
            node: tuple(need for need in needs if need in left)
            for node, needs in edges.items()
            if node in left
        }


def _from_first(cycle: Sequence[str], order: Sequence[str]) -> tuple[str, ...]:
    """The same cycle from that node on which stands first in the plan."""
    nodes = cycle[:-1]
    rank = {node: number for number, node in enumerate(order)}
    start = min(range(len(nodes)), key=lambda at: rank.get(nodes[at], len(rank)))
    return (*nodes[start:], *nodes[:start], nodes[start])


def _overlaps(plan: Plan, graph: Graph) -> Iterator[Problem]:
    """Paths that two phases or streams modify although they may run at the same time."""
    written = {unit.id: tuple(_written(unit)) for unit in plan.units()}
    writers = [unit for unit in plan.units() if written[unit.id]]
    before = {unit.id: graph.ancestors(unit.id) for unit in writers}
    # What a phase says of taking turns holds for its streams.
    patient = {unit.id for phase in plan.phases for unit in phase.units if phase.serialize or unit.serialize}
    for one, other in combinations(writers, 2):
        ordered = one.id in before[other.id] or other.id in before[one.id]
        alone = graph.nodes[one.id].serial or graph.nodes[other.id].serial
        if ordered or alone or not patient.isdisjoint((one.id, other.id)) or _frames(one, other):
            continue
        for (mine, my_place), (theirs, their_place) in product(written[one.id], written[other.id]):
            if overlap(mine, theirs):
                message = (
                    f"{_named(other)} modifies `{theirs}` and may run beside {_named(one)}, which modifies "
                    f"`{mine}` ({my_place}); let one depend on the other, divide the path, "
                    "or write serialize: true to let them take turns"
                )
                yield _problem("overlapping-modifies", their_place, message)


def _written(unit: Phase) -> Iterator[tuple[str, Place]]:
    """What a phase or stream and its stages modify, each path once, with the place where it says so."""
    parts: tuple[Phase | Stage, ...] = (unit, *unit.stages)
    places = {path: place_of(part, "modifies") for part in reversed(parts) for path in part.modifies}
    yield from places.items()


def _frames(phase: Phase, stream: Phase) -> bool:
    """Whether a phase without items of its own only states what its streams modify together."""
    return stream in phase.streams and not (phase.stages or phase.tests)


def _unknown_in_gate(plan: Plan) -> Iterator[Problem]:
    gate = plan.gate
    if gate is None:
        return
    ids = [unit.id for unit in plan.units()]
    named = (
        ("phases", "looks at", gate.phases, ids),
        # The unphased tests have no heading; `true` stands for `phases`, which have been looked at.
        ("allow_empty", "allows to be empty", gate.allow_empty, [*ids, UNPHASED, *gate.phases]),
    )
    for key, does, phases, known in named:
        for phase in phases:
            if phase not in known:
                message = f"the gate {does} `{phase}`, {_no_phase(phase, plan.units())}"
                yield _problem("unknown-phase", place_of(gate, key), message)


def _repeated_approvals(plan: Plan) -> Iterator[Problem]:
    if plan.gate is None:
        return
    for name, times in Counter(plan.gate.approvals).items():
        if times > 1:
            message = f"the gate asks for the approval `{name}` {times} times; name each approval once"
            yield _problem("duplicate-approval", place_of(plan.gate, "approvals"), message)


def _malformed_prerequisites(plan: Plan) -> tuple[Problem, ...]:
    if not any(unit.requires for unit in plan.units()):
        return ()
    # It takes longer to import than most plans to read.
    from pytest_phases.plan import prerequisites

    return prerequisites.validate(plan)


def _builds(stages: Iterable[Stage]) -> bool:
    return any(stage.crew is Crew.BUILD for stage in stages)


def _missing_paths(unit: Phase, root: Path) -> Iterator[Problem]:
    for selector in unit.tests:
        path = (selector.path or ".").partition("::")[0]
        if not is_glob(path) and not paths.exists(root, path):
            message = f"{_named(unit)}: tests: `{path}` does not exist; {_advice(root, path)}"
            yield _problem("missing-path", selector.place, message)
    for path in unit.covers:
        if not paths.names_a_file(root, path):
            message = f"{_named(unit)}: covers: `{path}` matches no file; {_advice(root, path)}"
            yield _problem("covers-nothing", place_of(unit, "covers"), message)


def _missing_signers(gate: Gate, root: Path) -> Iterator[Problem]:
    path = gate.approvals_signers
    if path is None or (paths.exists(root, path) and not paths.is_folder(root, path)):
        return
    near = None if paths.is_folder(root, path) else paths.similar(root, path)
    advice = f"did you mean `{near}`?" if near is not None else "name the file of those who may sign"
    message = f"the gate: approvals_signers: there is no file `{path}`; {advice}"
    yield _problem("missing-signers", place_of(gate, "approvals_signers"), message)


def _missing_folders(stages: Iterable[Stage], root: Path) -> Iterator[Problem]:
    by_id = {stage.id: stage for stage in stages}
    for stage in by_id.values():
        if stage.cwd is None or paths.is_folder(root, stage.cwd) or _builds(_needed(stage, by_id)):
            continue
        message = f"stage {stage.id}: cwd: there is no folder `{stage.cwd}`; {_advice(root, stage.cwd)}"
        yield _problem("missing-folder", place_of(stage, "cwd"), message)


def _needed(stage: Stage, by_id: Mapping[str, Stage]) -> Iterable[Stage]:
    """Every stage that runs before a stage of the same phase."""
    found: dict[str, Stage] = {}
    waiting = list(stage.needs)
    while waiting:
        need = waiting.pop()
        if need not in found:
            found[need] = by_id[need]
            waiting += by_id[need].needs
    return found.values()


def _advice(root: Path, path: str) -> str:
    near = paths.similar(root, path)
    if near is not None:
        return f"did you mean `{near}`?"
    return "correct it, or let a `Build:` stage of a phase before this one make it"


def _named(unit: Phase) -> str:
    return f"{'stream' if '/' in unit.id else 'phase'} {unit.id}"
