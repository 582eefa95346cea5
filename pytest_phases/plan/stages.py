"""The labelled fences of one phase, stream or gate: stages with ids and needs, or selected tests."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_phases.graph import find_cycle
from pytest_phases.model import Crew, Language, Selector, Stage
from pytest_phases.plan import fences
from pytest_phases.plan.draft import Fields, Report, StageDraft, UnitDraft
from pytest_phases.plan.keys import CREWS
from pytest_phases.plan.words import as_path, did_you_mean

_LABELS: Mapping[Crew, str] = {Crew.BUILD: "Build:", Crew.TESTING: "Testing:", Crew.DEPLOY: "Deploy:"}


@dataclass(frozen=True, slots=True)
class _Named:
    """A stage without its needs, beside the draft that states them."""

    stage: Stage
    draft: StageDraft


def read_stages(unit: UnitDraft, report: Report) -> tuple[tuple[Stage, ...], tuple[Selector, ...]]:
    """The stages of a unit with their needs as ids, and the tests that its fences select."""
    named: list[_Named] = []
    selectors: list[Selector] = []
    for draft in unit.stages:
        language = _language(unit, draft, report)
        if language is None:
            continue
        calls = _plain_calls(draft, language)
        if calls is None:
            _name(draft, language, named, report)
        else:
            _refuse_keys(draft, report)
            selectors += _selectors(draft, calls, report)
    stages = tuple(replace(each.stage, needs=_needs(each, named, unit, report)) for each in named)
    return _without_cycle(stages, named, report), tuple(selectors)


def _language(unit: UnitDraft, draft: StageDraft, report: Report) -> Language | None:
    """What runs a stage, or None if it cannot be one, with the reason in the report."""
    label = _LABELS[draft.crew]
    size = len(draft.run.encode(errors="replace"))
    if draft.crew not in CREWS[unit.owner]:
        place = "the gate" if draft.crew is Crew.DEPLOY else "a phase or stream"
        report.problem(
            "misplaced-label", draft.line, f"`{label}` does not belong under {unit}; write it under {place}"
        )
    elif draft.language.lower() not in fences.LANGUAGES:
        report.problem(
            "unknown-language",
            draft.fence_line,
            f"nothing runs `{draft.language}` under `{label}`; write bash, sh or python",
        )
    elif fences.is_empty(draft.run):
        report.problem(
            "empty-stage",
            draft.line,
            f"this `{label}` would run nothing; write a command or take it out",
        )
    elif size > fences.LARGEST:
        report.problem(
            "large-stage",
            draft.fence_line,
            f"this script has {size} bytes, more than {fences.LARGEST}; put it into a file and call that",
        )
    else:
        return fences.LANGUAGES[draft.language.lower()]
    return None


def _plain_calls(draft: StageDraft, language: Language) -> Sequence[fences.Call] | None:
    """The pytest calls of a fence that selects tests, or None for a script."""
    if draft.crew is Crew.DEPLOY or language is Language.PYTHON:
        return None
    return fences.plain_calls(draft.run)


def _refuse_keys(draft: StageDraft, report: Report) -> None:
    """Tests take part in this run as the phase does; a key that orders or limits a process would be lost."""
    for key, given in draft.given.items():
        report.problem(
            "key-of-selected-tests",
            given.line,
            f"`{key}` has no effect here: the fence below selects tests for this run and starts no process; "
            + _INSTEAD.get(key, "take the key out"),
        )


_INSTEAD: Mapping[str, str] = {
    "needs": "put what the tests need into an earlier phase",
    "cwd": "write the paths from the rootdir",
    "timeout": "take it out, or use pytest-timeout",
    "modifies": "write it below the heading",
    "reads": "write it below the heading",
    "locks": "write it below the heading, or mark the tests with @pytest.mark.lock",
}


def _selectors(draft: StageDraft, calls: Sequence[fences.Call], report: Report) -> Iterator[Selector]:
    for call in calls:
        place = report.place(draft.run_line + call.line)
        for path in call.paths or (None,):
            yield Selector(place, path, call.keyword, call.mark)


def _name(draft: StageDraft, language: Language, named: list[_Named], report: Report) -> None:
    """Append the stage of a draft under an id of its own."""
    taken = {each.stage.id: each.stage for each in named}
    slug = re.sub(r"\W+", "-", draft.name.lower()).strip("-")
    stage_id = f"{draft.crew.value}-{slug}" if slug else _next_id(draft.crew.value, taken)
    if stage_id in taken:
        report.problem(
            "duplicate-stage",
            draft.line,
            f"`{_LABELS[draft.crew]} {draft.name}` is also on line {taken[stage_id].place.line}; "
            "give one of them another name",
        )
        return
    call = fences.line_of_pytest(draft.run)
    if call is not None:
        report.note(
            draft.run_line + call,
            "a pytest call inside this script runs as a process of its own, and its tests are not counted; "
            "a fence of nothing but plain pytest calls selects tests for this run",
        )
    fields = Fields(draft.given, report)
    stage = Stage(
        id=stage_id,
        crew=draft.crew,
        name=draft.name,
        run=draft.run,
        language=language,
        place=report.place(draft.line),
        cwd=fields.text("cwd"),
        timeout=fields.seconds("timeout"),
        inputs=fields.texts("inputs"),
        outputs=fields.texts("outputs"),
        env=fields.variables("env"),
        modifies=fields.texts("modifies"),
        reads=fields.texts("reads"),
        locks=fields.texts("locks"),
        key_places=fields.places(),
    )
    named.append(_Named(stage, draft))


def _next_id(crew: str, taken: Mapping[str, Stage]) -> str:
    number = 2
    candidate = crew
    while candidate in taken:
        candidate, number = f"{crew}-{number}", number + 1
    return candidate


def _needs(each: _Named, named: Sequence[_Named], unit: UnitDraft, report: Report) -> tuple[str, ...]:
    """The ids of the stages that a stage needs, which it may name by name or id."""
    if "needs" not in each.draft.given:
        return ()
    ids = {other.stage.id for other in named}
    names = Counter(other.stage.name for other in named if other.stage.name)
    by_name = {other.stage.name: other.stage.id for other in named}
    selecting = {draft.name for draft in unit.stages if draft.name} - set(names)
    found = []
    for entry in each.draft.given["needs"].entries:
        if entry.text in ids:
            found.append(entry.text)
        elif names[entry.text] == 1:
            found.append(by_name[entry.text])
        else:
            message = _unknown_need(entry.text, names, selecting, [*names, *sorted(ids)], unit)
            report.problem("unknown-need", entry.line, message)
    return tuple(dict.fromkeys(found))


def _unknown_need(
    need: str, names: Mapping[str, int], selecting: set[str], known: Sequence[str], unit: UnitDraft
) -> str:
    if need in names:
        return f"needs: {unit} has {names[need]} stages called `{need}`; write the id of one of them"
    if need in selecting:
        return f"needs: the fence `{need}` is no stage; put what comes after its tests into a later phase"
    return f"needs: {unit} has no stage `{need}`; {did_you_mean(need, known)}"


def _without_cycle(stages: tuple[Stage, ...], named: Sequence[_Named], report: Report) -> tuple[Stage, ...]:
    """The stages; if their needs are cyclic, that is reported and they need nothing."""
    cycle = find_cycle({stage.id: stage.needs for stage in stages})
    if cycle is None:
        return stages
    line = next(each.draft.given["needs"].line for each in named if each.stage.id == cycle[0])
    report.problem("cyclic-needs", line, f"needs: these stages wait for one another: {as_path(cycle)}")
    return tuple(replace(stage, needs=()) for stage in stages)
