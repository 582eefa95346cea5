"""The audit hook: whoever listens is told, and nothing that goes wrong reaches who is watched."""

from __future__ import annotations

import sys
from typing import Any

from pytest_phases.watching.audit import listen

EVENT = "pytest_phases.test"


def test_every_listener_is_told_until_it_stops() -> None:
    """Several may listen to one event, as the sessions that run in one process do."""
    told: list[Any] = []
    first = listen({EVENT: lambda args: told.append(("first", args))}, told.append)
    second = listen({EVENT: lambda args: told.append(("second", args))}, told.append)
    sys.audit(EVENT, 1)
    first()
    sys.audit(EVENT, 2)
    second()
    sys.audit(EVENT, 3)
    assert told == [("first", (1,)), ("second", (1,)), ("second", (2,))]


def test_other_events_are_not_told() -> None:
    """A listener hears of the events that it has named."""
    told: list[Any] = []
    stop = listen({EVENT: told.append}, told.append)
    sys.audit(f"{EVENT}.other", 1)
    stop()
    assert told == []


def test_an_error_stays_with_the_listener() -> None:
    """Who causes an event does not see an error of its handler; the other handlers are called."""
    told: list[Any] = []
    errors: list[Exception] = []

    def fail(args: Any) -> None:
        raise ValueError(args)

    stops = [listen({EVENT: fail}, errors.append), listen({EVENT: told.append}, errors.append)]
    sys.audit(EVENT, 1)
    for stop in stops:
        stop()
    assert told == [(1,)]
    assert [type(error) for error in errors] == [ValueError]
