"""The life of a phase, as one table.

Theory of operation. A phase *waits* until what it needs is green, until the wave before it is
complete (schedule `waves`) and, for a stream, until its phase is open. Then it *opens* and its
items are handed out. The first bad item turns it *failing*: from that moment everything that
needs it is blocked, while its own remaining items still run, because their results are worth
having. When its last item and its last stream are done it *ends*: red if it was failing, green
if something passed, empty if nothing did.

A phase can fail before it opens (a module of it cannot be collected): what needs it is blocked
at once, and it turns failing when it opens. It can also fail after it has ended: session fixtures
are torn down when a worker shuts down, and what breaks there belongs to the phase of that worker's
last item. What had needed the phase may have run by then and keeps its own state.

A phase that waits is *blocked* as soon as something it needs can no longer become green. A run
that is stopped interrupts what has not ended.

A pair that is missing from the table changes nothing: telling a phase twice that it failed, or
that the run stopped after it had ended, is no news.
"""

from __future__ import annotations

from enum import Enum, auto

from pytest_phases.events import State


class Trigger(Enum):
    """What can happen to a phase."""

    OPENS = auto()
    FAILS = auto()
    ENDS_WITH_PASSES = auto()
    ENDS_WITHOUT = auto()
    IS_BLOCKED = auto()
    STOPS = auto()


TRANSITIONS: dict[tuple[State, Trigger], State] = {
    (State.WAITING, Trigger.OPENS): State.OPEN,
    (State.WAITING, Trigger.IS_BLOCKED): State.BLOCKED,
    (State.WAITING, Trigger.STOPS): State.INTERRUPTED,
    (State.OPEN, Trigger.FAILS): State.FAILING,
    (State.OPEN, Trigger.ENDS_WITH_PASSES): State.GREEN,
    (State.OPEN, Trigger.ENDS_WITHOUT): State.EMPTY,
    (State.OPEN, Trigger.STOPS): State.INTERRUPTED,
    (State.FAILING, Trigger.ENDS_WITH_PASSES): State.RED,
    (State.FAILING, Trigger.ENDS_WITHOUT): State.RED,
    (State.FAILING, Trigger.STOPS): State.RED,
    (State.GREEN, Trigger.FAILS): State.RED,
    (State.EMPTY, Trigger.FAILS): State.RED,
    (State.INTERRUPTED, Trigger.FAILS): State.RED,
}


def after(state: State, trigger: Trigger) -> State:
    """The state that follows; the same one where the table has no row."""
    return TRANSITIONS.get((state, trigger), state)
