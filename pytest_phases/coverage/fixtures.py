"""Which fixtures wider than a function a test uses: named by it, by fixtures of its own or by one another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_phases.coverage import contexts


@dataclass(frozen=True, slots=True, eq=False)
class _SetUp:
    """A wide fixture as it was set up last: the context of its lines, and what it asked for meanwhile."""

    context: str
    asked: set[_SetUp] = field(default_factory=set)


class WideFixtures:
    """What a wide fixture asks for while it is set up belongs to every test that uses it, also later ones.

    pytest knows the fixtures of a test by name: not what a wide fixture asked for in an earlier test, and
    not what one of the same name overrides.
    """

    def __init__(self) -> None:
        self._known: dict[pytest.FixtureDef[Any], _SetUp] = {}
        self._by_test: set[_SetUp] = set()

    @contextmanager
    def set_up(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Iterator[str | None]:
        """While a fixture is set up; gives the context of a wide one, None for one of a function."""
        if fixturedef.scope == "function":
            yield None
            # By this name the test will know this one alone.
            self._add(self._by_test, request, fixturedef.argname)
            return
        context = contexts.of_fixture(fixturedef.baseid, fixturedef.argname, _parameter(request))
        current = self._known[fixturedef] = _SetUp(context)
        at_set_up = True
        get = request.getfixturevalue

        def getfixturevalue(argname: str) -> Any:
            value = get(argname)
            # A fixture may hand out a function that asks later; then it is the test that asks.
            self._add(current.asked if at_set_up else self._by_test, request, argname)
            return value

        # No hook tells of a fixture that is asked for when it is set up already.
        request.getfixturevalue = getfixturevalue  # type: ignore[method-assign]
        try:
            yield context
        finally:
            at_set_up = False

    def used(self, item: pytest.Item) -> set[str]:
        """The contexts of all that a test uses that is about to be torn down."""
        named = getattr(getattr(item, "_request", None), "_fixture_defs", {}).values()
        waiting = self._by_test | {self._known[each] for each in named if each in self._known}
        self._by_test = set()
        found: set[_SetUp] = set()
        while waiting:
            found |= waiting
            waiting = set().union(*(each.asked for each in waiting)) - found
        return {each.context for each in found}

    def _add(self, asked: set[_SetUp], request: pytest.FixtureRequest, argname: str) -> None:
        """Add the fixture that a name stands for at this moment, if it is a wide one."""
        fixturedef = request._fixture_defs.get(argname)
        if fixturedef in self._known:
            asked.add(self._known[fixturedef])


def _parameter(request: pytest.FixtureRequest) -> int | None:
    # A subrequest has both if its fixture is parametrized.
    return getattr(request, "param_index", None) if hasattr(request, "param") else None
