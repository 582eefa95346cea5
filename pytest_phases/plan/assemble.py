"""From a draft to the plan: ids, needs, selectors and the order that plans leave unsaid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_phases.model import UNPHASED, Gate, Phase, Plan, Sync, place_of
from pytest_phases.plan.draft import Fields, Lookalike, PlanDraft, Report, UnitDraft
from pytest_phases.plan.keys import Owner
from pytest_phases.plan.stages import read_stages
from pytest_phases.plan.values import RATCHET


def assemble(draft: PlanDraft, report: Report) -> Plan:
    """The plan that a draft describes; what is wrong with it goes to the report."""
    units = [unit for unit in draft.units if unit.owner is Owner.PHASE]
    phases = tuple(_phase(unit, report) for unit in units)
    if not phases:
        _refuse_no_phase(draft.lookalike, report)
    for unit, phase in zip(units, phases, strict=True):
        if not any(part.stages or part.tests for part in phase.units):
            _note_nothing_to_run(unit, report)
        _note_nothing_to_watch(phase, report)
    syncs = tuple(_syncs(draft.units, report))
    return Plan(
        file=report.file,
        title=draft.title,
        phases=_in_order(phases, syncs, report),
        syncs=syncs,
        gate=_gate([unit for unit in draft.units if unit.owner is Owner.GATE], phases, report),
        enforce=Fields(draft.given, report).boolean("enforce"),
        notes=tuple(sorted(report.notes, key=lambda note: note.place)),
        prose=tuple(draft.prose),
    )


def _phase(unit: UnitDraft, report: Report) -> Phase:
    fields = Fields(unit.given, report)
    stages, selected = read_stages(unit, report)
    selectors = (*fields.selectors("tests"), *selected)
    threshold = fields.threshold("coverage")
    streams = tuple(_phase(stream, report) for stream in unit.streams)
    return Phase(
        id=unit.id,
        name=unit.name,
        place=report.place(unit.line),
        deps=fields.ids("dependencies"),
        states_deps="dependencies" in unit.given,
        streams=_with_sibling_ids(unit.id, streams),
        stages=stages,
        # The rest comes last, since it is what the other selectors leave.
        tests=tuple(sorted(selectors, key=lambda selector: selector.is_rest)),
        covers=fields.texts("covers"),
        coverage=threshold if isinstance(threshold, float) else None,
        modifies=fields.texts("modifies"),
        reads=fields.texts("reads"),
        locks=fields.texts("locks"),
        requires=fields.texts("requires"),
        serial=fields.boolean("serial"),
        serialize=fields.boolean("serialize"),
        enforce=fields.optional_boolean("enforce"),
        ratchet=threshold == RATCHET,
        timeout=fields.seconds("timeout"),
        objective=unit.objective,
        tasks=unit.tasks,
        key_places=fields.places(),
    )


def _refuse_no_phase(lookalike: Lookalike | None, report: Report) -> None:
    if lookalike is None:
        report.problem("no-phase", 1, "the plan has no phase; write a heading such as `## Phase 1: Setup`")
    else:
        advice = f"`{lookalike.text}` is none; write `{lookalike.instead}`"
        report.problem("no-phase", lookalike.line, f"the plan has no phase, and {advice}")


def _note_nothing_to_run(unit: UnitDraft, report: Report) -> None:
    """Say why a phase has neither tests nor stages: its script lacks a label, or there is none."""
    unlabelled = [fence for part in (unit, *unit.streams) for fence in part.unlabelled]
    if unlabelled:
        language, line = unlabelled[0]
        report.note(
            line,
            f"this {language} fence has no label and is not run; write Build: or Testing: directly above it "
            f"(phase {unit.id} has neither tests nor stages)",
        )
    else:
        text = f"phase {unit.id} names no tests and no stages; only markers can fill it"
        report.note(unit.line, text)


def _note_nothing_to_watch(phase: Phase, report: Report) -> None:
    """Say where `enforce: true` watches nothing, since no boundary is declared."""
    for unit in phase.units:
        parts = phase.units if unit is phase else (unit,)
        bounded = any(part.modifies or any(stage.modifies for stage in part.stages) for part in parts)
        if unit.enforce and not bounded:
            report.note(
                place_of(unit, "enforce").line,
                "enforce has no effect here, since nothing says what may be written; "
                "write modifies: [PATH] beside it",
            )


def _with_sibling_ids(phase: str, streams: Sequence[Phase]) -> tuple[Phase, ...]:
    """The streams with `B` in their dependencies written out as `1/B`."""
    siblings = {stream.id for stream in streams}

    def full(dep: str) -> str:
        return f"{phase}/{dep}" if f"{phase}/{dep}" in siblings else dep

    return tuple(replace(stream, deps=tuple(dict.fromkeys(map(full, stream.deps)))) for stream in streams)


def _in_order(phases: Sequence[Phase], syncs: Sequence[Sync], report: Report) -> tuple[Phase, ...]:
    """The phases; if none states dependencies, each needs the one above it."""
    if not any(phase.states_deps for phase in phases):
        before = [(), *((phase.id,) for phase in phases)]
        return tuple(replace(phase, deps=deps) for phase, deps in zip(phases, before, strict=False))
    for phase in phases:
        if not phase.states_deps:
            above = [sync for sync in syncs if phase.id not in sync.above]
            when = f"as soon as the sync point above it ({above[-1].place}) is passed" if above else "at once"
            report.note(
                phase.place.line,
                f"phase {phase.id} states no dependencies and starts {when}; "
                "write dependencies: [] to say so",
            )
    return tuple(phases)


def _syncs(units: Sequence[UnitDraft], report: Report) -> Iterator[Sync]:
    above: dict[str, None] = {}
    for unit in units:
        if unit.owner is Owner.PHASE:
            above[unit.id] = None
        elif unit.owner is Owner.SYNC:
            if not above:
                report.problem("empty-sync", unit.line, "no phase stands above this sync point; move it down")
            read_stages(unit, report)
            fields = Fields(unit.given, report)
            yield Sync(unit.name, report.place(unit.line), tuple(above), fields.percent("coverage"))


def _gate(gates: Sequence[UnitDraft], phases: Sequence[Phase], report: Report) -> Gate | None:
    for other in gates[1:]:
        report.problem(
            "second-gate",
            other.line,
            f"the gate is already on line {gates[0].line}; merge the two",
        )
    if not gates:
        return None
    fields = Fields(gates[0].given, report)
    stages, _ = read_stages(gates[0], report)
    gate = Gate(
        name=gates[0].name,
        place=report.place(gates[0].line),
        phases=fields.ids("phases"),
        coverage=fields.percent("coverage"),
        approvals=fields.texts("approvals"),
        approvals_signers=fields.text("approvals_signers"),
        stages=stages,
        key_places=fields.places(),
    )
    _note_signers_of_nothing(gate, report)
    named = gate.phases or tuple(phase.id for phase in phases)
    required = dict.fromkeys(phase.partition("/")[0] for phase in named)
    return replace(gate, allow_empty=fields.ids_or_all("allow_empty", (*required, UNPHASED)))


def _note_signers_of_nothing(gate: Gate, report: Report) -> None:
    if gate.approvals_signers is not None and not gate.approvals:
        report.note(
            place_of(gate, "approvals_signers").line,
            "approvals_signers has no effect, since the gate asks for no approvals; "
            "write approvals: [NAME] to ask for one",
        )
