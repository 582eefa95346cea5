"""Whether what the outcome of a phase depends on is as it was, in words: pure, over rows of both times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_phases.checkpoint.decide import Evidence
from pytest_phases.evidence import Dependency, DependencyKind

NOTHING_RECORDED = "nothing is recorded of what it depends on"
UNFINISHED = "the run ended before the phase did"
"""The name of the unknown row that a phase has from its first item on; closing it tells it `TOLD`."""
EARLIER_UNTOLD = "an earlier run of it ended before it told"
"""What `UNFINISHED` is called when the tests that had passed are not run again."""

TOLD = "told"
"""The digest of an unknown row that is unknown no more."""
MEANWHILE = "changed"
"""The digest of what changed while the phase ran, where an empty one stands for what is not there."""
ABSENT = "absent"
"""The digest of a file that a test tried to open, and that was not there before and after."""

_MEASURE = "; measure coverage for it (coverage: N)"
_ADVICE = f"{_MEASURE}, or run on Python 3.12 or later"
_NO_ADVICE = ("before it told", UNFINISHED)

_LOADED = frozenset(
    {DependencyKind.TEST, DependencyKind.EXECUTED, DependencyKind.IMPORTED, DependencyKind.OPENED}
)
"""Kinds whose digest is empty if the file changed while the phase ran."""
_DECLARED = {DependencyKind.INPUT: "input ", DependencyKind.OUTPUT: "output "}
_KEYS = {
    "deps": "its dependencies in the plan",
    "tests": "its tests in the plan",
    "covers": "what it covers",
    "threshold": "coverage threshold",
    "requires": "what it requires",
}
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Comparison:
    """The evidence for or against an outcome; `reasons` says what speaks against it, in words."""

    evidence: Evidence
    reasons: tuple[str, ...] = ()

    def against(self, reasons: Iterable[str]) -> Comparison:
        """The same with more that has changed, the latter first."""
        more = tuple(reasons)
        return Comparison(Evidence.CHANGED, (*more, *self.reasons)) if more else self


def compare(
    recorded: Iterable[Dependency], now: Iterable[Dependency], changed: Sequence[str] = ()
) -> Comparison:
    """Compare what one phase depended on with the same of today.

    `now` has a row for everything that is there: a file without one is gone, one that was not recorded
    is new. `changed` are paths in which the whole tree differs, for the message. Without any record
    nothing is known.
    """
    old = {(row.kind, row.name): row.digest for row in sorted(recorded)}
    new = {(row.kind, row.name): row.digest for row in sorted(now)}
    if not old:
        return Comparison(Evidence.UNKNOWN, (NOTHING_RECORDED,))
    differences = tuple(_differences(old, new))
    unknown = tuple(_unknown(old, new, changed))
    if differences:
        return Comparison(Evidence.CHANGED, (*differences, *unknown))
    return Comparison(Evidence.UNKNOWN if unknown else Evidence.SAME, unknown)


_Rows = Mapping[tuple[DependencyKind, str], str]


def _differences(old: _Rows, new: _Rows) -> Iterator[str]:
    for kind, name in dict.fromkeys((*old, *new)):
        if kind is not DependencyKind.UNKNOWN:
            text = _difference(kind, name, old.get((kind, name)), new.get((kind, name)))
            if text is not None:
                yield text


def _difference(kind: DependencyKind, name: str, old: str | None, new: str | None) -> str | None:
    """What happened to one thing, in words; None if nothing did."""
    if old == MEANWHILE or (old == "" and kind in _LOADED):
        return f"{_called(kind, name)} changed while the phase ran"
    if old == new:
        return None
    if kind is DependencyKind.DISTRIBUTION:
        return _of_distribution(name, old, new)
    if kind in _DECLARED and not (old or new):
        return None  # a pattern that matched nothing: the files that it matches now are new by themselves
    if not new or new == ABSENT:
        return f"{_called(kind, name)} is {'missing' if kind is DependencyKind.OUTPUT else 'gone'}"
    return f"{_called(kind, name)} {'changed' if old and old != ABSENT else 'is new'}"


def _of_distribution(name: str, old: str | None, new: str | None) -> str:
    if old is None:
        return f"{name} {new} is new"
    return f"{name} {old} is gone" if new is None else f"{name} {old} -> {new}"


def _called(kind: DependencyKind, name: str) -> str:
    if kind is DependencyKind.DEFINITION:
        # Stages and variables of the environment are called by their names.
        return name if " " in name else _KEYS.get(name, f"`{name}` of it in the plan")
    return f"{_DECLARED.get(kind, '')}{name}"


def _unknown(old: _Rows, new: _Rows, changed: Sequence[str]) -> Iterator[str]:
    for (kind, name), digest in old.items():
        if kind is not DependencyKind.UNKNOWN or digest == TOLD:
            continue
        if not digest:
            yield name
        elif digest == MEANWHILE:
            yield f"the tree changed while it ran and {_what(name)}"
        elif new.get((kind, name)) != digest:
            more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
            shown = f" ({', '.join(changed[:_SHOWN])}{more})" if changed else ""
            yield f"the tree has changed{shown} and {_what(name)}"


def _what(name: str) -> str:
    if name.endswith(_NO_ADVICE):
        return f"what its tests executed is unknown: {name}"
    advice = _MEASURE if "processes" in name else _ADVICE
    return f"what its tests executed is unknown: {name}{advice}"
