"""The phase that a test module gives itself, read from its source where it cannot be imported yet."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pytest_phases.errors import Problem
from pytest_phases.model import Place, Plan
from pytest_phases.plan.markers import PhaseMark, phase_id


def phase_in_source(file: Path, plan: Plan) -> str | None:
    """The phase or stream that a line `pytestmark = pytest.mark.phase(2)` names, if the plan has it."""
    # What Python cannot read has no mark; why it cannot is told by the import.
    with suppress(OSError, SyntaxError, ValueError):
        units = {unit.id for unit in plan.units()}
        return next((phase for phase in _named(ast.parse(file.read_bytes())) if phase in units), None)
    return None


def _named(module: ast.Module) -> Iterator[str]:
    for statement in module.body:
        if isinstance(statement, ast.Assign) and any(map(_is_pytestmark, statement.targets)):
            value = statement.value
            for mark in value.elts if isinstance(value, ast.List | ast.Tuple) else (value,):
                if isinstance(mark, ast.Call) and _is_phase(mark.func):
                    yield from _ids(mark)


def _is_pytestmark(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == "pytestmark"


def _is_phase(called: ast.expr) -> bool:
    return isinstance(called, ast.Attribute) and called.attr == "phase"


def _ids(mark: ast.Call) -> Iterator[str]:
    given = [argument.value for argument in mark.args if isinstance(argument, ast.Constant)]
    named = phase_id(PhaseMark.of(given, {}, Place("", mark.lineno)))
    if not isinstance(named, Problem):
        yield named
