"""What a plan is understood to say, as a table for people and as data for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pytest_phases.graph import Graph
from pytest_phases.model import Gate, Note, Phase, Plan, Selector, Stage, Sync

_WIDEST = 60
_WATCHED = {True: "what is written outside `modifies` fails", False: "what is written is not watched"}


def as_data(plan: Plan, graph: Graph) -> dict[str, Any]:
    """The plan as dicts, lists, strings and numbers; ids are strings and waves count from 1."""
    return {
        "phases": [_unit_data(phase, graph) for phase in plan.phases],
        "waves": [list(wave) for wave in graph.waves],
        "syncs": [
            {"name": sync.name, "above": list(sync.above), "coverage": sync.coverage, "line": sync.place.line}
            for sync in plan.syncs
        ],
        "gate": _gate_data(plan.gate) if plan.gate is not None else None,
        "enforce": plan.enforce,
    }


def as_text(plan: Plan, graph: Graph) -> str:
    """Waves with what each phase runs, the gate, what to know, and which fences are prose."""
    return "\n".join(
        (
            *_heading(plan, graph),
            *_waves(plan, graph),
            *(_gate(plan.gate) if plan.gate is not None else ()),
            *_notes("worth knowing", plan.notes),
            *_notes("taken for prose, never run", plan.prose),
        )
    )


def summary(plan: Plan, graph: Graph) -> str:
    """How much a plan holds: `4 phases in 3 waves, 2 stages`."""
    stages = sum(len(unit.stages) for unit in plan.units())
    streams = sum(len(phase.streams) for phase in plan.phases)
    parts = [f"{_count(len(plan.phases), 'phase')} in {_count(len(graph.waves), 'wave')}"]
    parts += [_count(streams, "stream")] if streams else []
    parts += [_count(stages, "stage")]
    parts += [_count(len(plan.syncs), "sync point")] if plan.syncs else []
    return ", ".join([*parts, *(["a gate"] if plan.gate is not None else [])])


def _unit_data(unit: Phase, graph: Graph) -> dict[str, Any]:
    return {
        "id": unit.id,
        "name": unit.name,
        "deps": list(unit.deps),
        "wave": graph.nodes[unit.id].wave,
        "streams": [_unit_data(stream, graph) for stream in unit.streams],
        "stages": [_stage_data(stage) for stage in unit.stages],
        "tests": [str(selector) for selector in unit.tests],
        "requires": list(unit.requires),
        "coverage": unit.coverage,
        "ratchet": unit.ratchet,
        "covers": list(unit.covers),
        "modifies": list(unit.modifies),
        "reads": list(unit.reads),
        "locks": list(unit.locks),
        "serial": unit.serial,
        "serialize": unit.serialize,
        "enforce": unit.enforce,
        "line": unit.place.line,
    }


def _stage_data(stage: Stage) -> dict[str, Any]:
    return {
        "id": stage.id,
        "crew": stage.crew.value,
        "name": stage.name or None,
        "needs": list(stage.needs),
        "env": list(stage.env),
        "modifies": list(stage.modifies),
        "reads": list(stage.reads),
        "locks": list(stage.locks),
        "run": stage.run,
        "line": stage.place.line,
    }


def _gate_data(gate: Gate) -> dict[str, Any]:
    return {
        "name": gate.name,
        "phases": list(gate.phases),
        "coverage": gate.coverage,
        "allow_empty": list(gate.allow_empty),
        "approvals": list(gate.approvals),
        "approvals_signers": gate.approvals_signers,
        "stages": [_stage_data(stage) for stage in gate.stages],
        "line": gate.place.line,
    }


def _heading(plan: Plan, graph: Graph) -> Iterator[str]:
    yield f"{plan.file}: {plan.title}" if plan.title else plan.file
    yield summary(plan, graph)
    if plan.enforce:
        yield _WATCHED[True]


def _waves(plan: Plan, graph: Graph) -> Iterator[str]:
    phases = {phase.id: phase for phase in plan.phases}
    passed: set[str] = set()
    waiting = list(plan.syncs)
    for number, wave in enumerate(graph.waves, 1):
        yield f"\nwave {number}"
        for phase_id in wave:
            yield from _unit(phases[phase_id], "  ")
        passed.update(wave)
        while waiting and passed.issuperset(waiting[0].above):
            yield _sync(waiting.pop(0))


def _unit(unit: Phase, indent: str) -> Iterator[str]:
    kind = "stream" if "/" in unit.id else "phase"
    facts = [f"needs {', '.join(unit.deps)}"] if unit.deps else []
    facts += [f"coverage {unit.coverage:g} %"] if unit.coverage is not None else []
    facts += ["coverage not below that of its last green run"] if unit.ratchet else []
    facts += ["nothing runs beside it"] if unit.serial else []
    facts += ["takes turns with what modifies the same"] if unit.serialize else []
    facts += [_WATCHED[unit.enforce]] if unit.enforce is not None else []
    yield f"{indent}{kind} {unit.id}{_named(unit.name)}{_in_brackets(facts)}"
    yield from _stages(unit.stages, f"{indent}  ")
    yield from _tests(unit.tests, f"{indent}  ")
    if unit.requires:
        yield f"{indent}  requires {', '.join(unit.requires)}"
    yield from (f"{indent}  {use}" for use in _uses(unit))
    for stream in unit.streams:
        yield from _unit(stream, f"{indent}  ")


def _stages(stages: Iterable[Stage], indent: str) -> Iterator[str]:
    for stage in stages:
        facts = [f"needs {', '.join(stage.needs)}"] if stage.needs else []
        facts += [f"depends on the variables {', '.join(stage.env)}"] if stage.env else []
        facts += _uses(stage)
        yield f"{indent}runs {stage.id}{_in_brackets(facts)}: {_first_command(stage.run)}"


def _uses(part: Phase | Stage) -> list[str]:
    """What a part uses alone or with others: `modifies src`, `locks db`."""
    used = {"modifies": part.modifies, "reads": part.reads, "locks": part.locks}
    return [f"{key} {', '.join(names)}" for key, names in used.items() if names]


def _tests(selectors: Sequence[Selector], indent: str) -> Iterator[str]:
    for selector in selectors:
        yield f"{indent}tests {selector}"


def _sync(sync: Sync) -> str:
    facts = [f"after {', '.join(sync.above)}"]
    facts += [f"coverage {sync.coverage:g} %"] if sync.coverage is not None else []
    return f"\nsync point{_named(sync.name)}{_in_brackets(facts)}"


def _gate(gate: Gate) -> Iterator[str]:
    facts = [f"phases {', '.join(gate.phases) if gate.phases else 'all'}"]
    facts += [f"coverage {gate.coverage:g} %"] if gate.coverage is not None else []
    facts += [f"may be empty: {', '.join(gate.allow_empty)}"] if gate.allow_empty else []
    facts += [f"approvals {', '.join(gate.approvals)}"] if gate.approvals else []
    facts += [f"signed as {gate.approvals_signers} allows"] if gate.approvals_signers is not None else []
    yield f"\ngate{_named(gate.name)}{_in_brackets(facts)}"
    yield from _stages(gate.stages, "  ")


def _notes(title: str, notes: Sequence[Note]) -> Iterator[str]:
    if notes:
        yield f"\n{title}"
    for note in notes:
        yield f"  {note.place}: {note.text}"


def _first_command(script: str) -> str:
    """The first line of a script that does something, and whether there are more."""
    lines = [line.strip() for line in script.split("\n")]
    commands = [line for line in lines if line and not line.startswith("#")]
    first = commands[0] if len(commands[0]) <= _WIDEST else f"{commands[0][:_WIDEST]}..."
    more = len(commands) - 1
    return f"{first} (and {_count(more, 'more line')})" if more else first


def _named(name: str) -> str:
    return f": {name}" if name else ""


def _in_brackets(facts: Sequence[str]) -> str:
    return f" ({'; '.join(facts)})" if facts else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
