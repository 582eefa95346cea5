"""A plan written as TOML: what `read_toml` reads as the same plan, without its prose."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from decimal import Decimal

from pytest_phases.model import Gate, Phase, Plan, Selector, Stage, Sync
from pytest_phases.plan import values
from pytest_phases.plan.words import STEERING

# What a literal string of several lines cannot hold, besides what steers a terminal.
_NOT_LITERAL = re.compile(r"'''|'$")


def write_toml(plan: Plan) -> str:
    """The plan as TOML text; `file`, `notes` and `prose` are left out."""
    top = _keys(title=plan.title, enforce=plan.enforce or None)
    tables = [top] if top else []
    for phase in plan.phases:
        tables += _unit(phase, "phase")
    tables += [_sync(sync) for sync in plan.syncs]
    tables += _gate(plan.gate) if plan.gate is not None else []
    return "\n\n".join(tables) + "\n"


def _unit(unit: Phase, header: str) -> Iterator[str]:
    """The table of a phase or stream and the tables below it."""
    written = [text for selector in unit.tests if (text := _selector(selector)) is not None]
    calls = [_call(selector) for selector in unit.tests if _selector(selector) is None]
    yield f"[[{header}]]\n" + _keys(
        id=unit.id.rpartition("/")[2],
        name=unit.name,
        dependencies=unit.deps if unit.states_deps else None,
        tests=written,
        covers=unit.covers,
        coverage=values.RATCHET if unit.ratchet else unit.coverage,
        modifies=unit.modifies,
        reads=unit.reads,
        locks=unit.locks,
        requires=unit.requires,
        serial=unit.serial or None,
        serialize=unit.serialize or None,
        enforce=unit.enforce,
        timeout=unit.timeout,
        objective=unit.objective,
        tasks=[f"[{'x' if task.done else ' '}] {task.text}" for task in unit.tasks],
    )
    for stage in unit.stages:
        yield _stage(stage, f"{header}.stage")
    for call in calls:
        yield f"[[{header}.stage]]\n" + _keys(crew="testing", run=call)
    for stream in unit.streams:
        yield from _unit(stream, f"{header}.stream")


def _stage(stage: Stage, header: str) -> str:
    return f"[[{header}]]\n" + _keys(
        crew=stage.crew.value,
        name=stage.name,
        language=stage.language.value,
        needs=stage.needs,
        cwd=stage.cwd,
        timeout=stage.timeout,
        inputs=stage.inputs,
        outputs=stage.outputs,
        env=stage.env,
        modifies=stage.modifies,
        reads=stage.reads,
        locks=stage.locks,
        run=stage.run,
    )


def _sync(sync: Sync) -> str:
    return "[[sync]]\n" + _keys(
        name=sync.name, after=sync.above[-1] if sync.above else None, coverage=sync.coverage
    )


def _gate(gate: Gate) -> Iterator[str]:
    yield "[gate]\n" + _keys(
        name=gate.name,
        phases=gate.phases,
        coverage=gate.coverage,
        allow_empty=gate.allow_empty,
        approvals=gate.approvals,
        approvals_signers=gate.approvals_signers,
    )
    for stage in gate.stages:
        yield _stage(stage, "gate.stage")


def _selector(selector: Selector) -> str | None:
    """A selector as an entry of `tests`, or None if no entry says the same."""
    parts = [selector.path or ""]
    parts += [f"-k {selector.keyword}"] if selector.keyword is not None else []
    parts += [f"-m {selector.mark}"] if selector.mark is not None else []
    text = " ".join(filter(None, parts))
    try:
        same = values.selection(values.checked(text)) == (selector.path, selector.keyword, selector.mark)
    except values.BadValue:
        return None
    return text if same else None


def _call(selector: Selector) -> str:
    """A selector as a pytest call, which can say everything that a fence said."""
    words = ["pytest", *([selector.path] if selector.path is not None else [])]
    words += ["-k", selector.keyword] if selector.keyword is not None else []
    words += ["-m", selector.mark] if selector.mark is not None else []
    return shlex.join(words)


def _keys(**given: object) -> str:
    """The lines `key = value` of what is given; None, empty text and empty lists are not."""
    kept = {
        key: value
        for key, value in given.items()
        if value is not None and (value not in ("", (), []) or key == "dependencies")
    }
    return "\n".join(f"{key} = {_value(key, value)}" for key, value in kept.items())


def _value(key: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    if isinstance(value, str):
        return _literal(value) if key == "run" and "\n" in value else _string(value)
    return f"[{', '.join(map(_string, value))}]" if isinstance(value, Iterable) else _string(str(value))


def _literal(text: str) -> str:
    return _string(text) if _NOT_LITERAL.search(text) or STEERING.search(text) else f"'''\n{text}'''"


def _string(text: str) -> str:
    # JSON escapes as TOML does, but leaves alone what steers a terminal and is above the blank.
    return STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))
