"""`-k` and `-m` expressions of a plan, evaluated by pytest's own code."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from _pytest.mark import KeywordMatcher, MarkMatcher
from _pytest.mark.expression import Expression

from pytest_phases.errors import Problem
from pytest_phases.model import Plan


class Expressions:
    """Compiled pairs of a keyword and a mark expression, asked by their position."""

    def __init__(self, pairs: Iterable[tuple[str | None, str | None]]) -> None:
        self._pairs = [
            (
                Expression.compile(keyword) if keyword is not None else None,
                Expression.compile(mark) if mark is not None else None,
            )
            for keyword, mark in pairs
        ]

    def match(self, item: pytest.Item, number: int) -> bool:
        """Whether both expressions of a pair hold for an item."""
        keyword, mark = self._pairs[number]
        if keyword is not None and not keyword.evaluate(KeywordMatcher.from_item(item)):
            return False
        return mark is None or mark.evaluate(MarkMatcher.from_markers(item.iter_markers()))


def check_expressions(plan: Plan) -> Iterable[Problem]:
    """Expressions that pytest cannot read."""
    for unit in plan.units():
        for selector in unit.tests:
            for option, text in (("-k", selector.keyword), ("-m", selector.mark)):
                reason = _why_unreadable(text)
                if reason is not None:
                    message = f"{option} {text!r} is no expression that pytest can read: {reason}"
                    yield Problem("bad-expression", selector.place, message)


def _why_unreadable(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        Expression.compile(text)
    except Exception as error:
        return str(error)
    return None
