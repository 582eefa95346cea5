"""Which of the measured lines count for a threshold.

A module's own statements run when it is first imported, by whichever phase that happens to be, so
they count for every phase once any has executed them. Statements of function bodies count only for
those that executed them. Where branches are measured the same is said of arcs, the pairs of line
numbers between which control went; a negative end of an arc is the way into a function or out of it.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Arc: TypeAlias = tuple[int, int]
Marks: TypeAlias = "AbstractSet[int] | AbstractSet[Arc]"
"""What was executed of one file: line numbers, or arcs where branches are measured."""
Measured: TypeAlias = Mapping[str, Mapping[str, Marks]]
"""Context, then file, then what was executed of it."""


@dataclass(frozen=True, slots=True)
class Executed:
    """What has been measured, seen by one threshold: `own` are the contexts that count for it.

    `tracers` names the coverage plugin of each file that one has traced.
    """

    measured: Measured
    own: frozenset[str]
    tracers: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> frozenset[str]:
        """Every file that any context has executed something of."""
        return frozenset(file for files in self.measured.values() for file in files)

    @property
    def has_arcs(self) -> bool | None:
        """Whether branches were measured; None if nothing was measured at all."""
        every = (marks for files in self.measured.values() for marks in files.values() if marks)
        first = next(every, None)
        return None if first is None else isinstance(next(iter(first)), tuple)

    def in_file(self, file: str, anyones: AbstractSet[int]) -> set[int] | set[Arc]:
        """What counts of a file in which the lines `anyones` count whoever has executed them."""
        own: set[Any] = set()
        others: set[Any] = set()
        for context, files in self.measured.items():
            (own if context in self.own else others).update(files.get(file, ()))
        return own | _on(others - own, anyones)


def attribute(measured: Measured, own: Collection[str], tracers: Mapping[str, str] | None = None) -> Executed:
    """What the contexts `own` executed, and what counts for them although others executed it."""
    return Executed(measured, frozenset(own), tracers or {})


def module_level(source: str) -> frozenset[int]:
    """The lines of a Python source that lie in no function's body, counted from 1.

    Decorators, defaults and the `def` line itself lie outside, and so does a body on that line; the
    body of a class does unless a function holds the class. Of a lambda the lines below its first lie
    inside. Raises SyntaxError (or ValueError, for what no parser takes) if it is no Python.
    """
    lines = source.split("\n")
    inside = {line for node in ast.walk(ast.parse(source)) for line in _body(node, lines)}
    return frozenset(range(1, len(lines) + 1)) - inside


def _body(node: ast.AST, lines: Sequence[str]) -> range:
    """The lines of a function's body, without those that belong to its head."""
    if isinstance(node, ast.Lambda):
        return range(max(node.body.lineno, node.lineno + 1), _end(node) + 1)
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return range(0)
    first = node.body[0]
    if lines[first.lineno - 1].encode()[: first.col_offset].strip():
        return range(0)
    decorators: list[ast.expr] = getattr(first, "decorator_list", [])
    return range(min((first.lineno, *(each.lineno for each in decorators))), _end(node) + 1)


def _end(node: ast.expr | ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _on(marks: AbstractSet[Any], lines: AbstractSet[int]) -> AbstractSet[Any]:
    """Those marks that are on some lines alone; of an arc those ends matter that are no way in or out."""
    if not marks or isinstance(next(iter(marks)), int):
        return marks & lines
    return {(one, two) for one, two in marks if (one < 0 or one in lines) and (two < 0 or two in lines)}
