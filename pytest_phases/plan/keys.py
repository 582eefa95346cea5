"""Which keys stand where, and what a word that is no key was meant to be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType

from pytest_phases.model import Crew
from pytest_phases.plan import values
from pytest_phases.plan.words import edits


class Owner(str, Enum):
    """What a key can stand under."""

    PHASE = "phase"
    STREAM = "stream"
    STAGE = "stage"
    SYNC = "sync point"
    GATE = "gate"
    PLAN = "plan"


_UNIT_KEYS = frozenset(
    "dependencies tests covers coverage modifies reads locks requires".split()
    + "serial serialize enforce timeout".split()
)
KEYS: Mapping[Owner, frozenset[str]] = MappingProxyType(
    {
        Owner.PHASE: _UNIT_KEYS,
        Owner.STREAM: _UNIT_KEYS,
        Owner.STAGE: frozenset("needs cwd timeout inputs outputs env modifies reads locks".split()),
        Owner.SYNC: frozenset({"coverage"}),
        Owner.GATE: frozenset({"phases", "coverage", "approvals", "approvals_signers", "allow_empty"}),
        Owner.PLAN: frozenset({"enforce"}),
    }
)
"""The keys that each part of a plan knows."""

CREWS: Mapping[Owner, frozenset[Crew]] = MappingProxyType(
    {
        Owner.PHASE: frozenset({Crew.BUILD, Crew.TESTING}),
        Owner.STREAM: frozenset({Crew.BUILD, Crew.TESTING}),
        Owner.STAGE: frozenset(),
        Owner.SYNC: frozenset(),
        Owner.GATE: frozenset({Crew.DEPLOY}),
        Owner.PLAN: frozenset(),
    }
)
"""The crews whose stages each part of a plan may hold."""

ALIASES: Mapping[str, str] = MappingProxyType({"deps": "dependencies"})
"""Other spellings of a key."""

# What other tools call `dependencies`; `needs`, which stages have, is judged by its value too.
_OTHER_TOOLS = frozenset("depends depends_on depends-on requires_phase requires-phase".split())
_NUMBERED = re.compile(r"(?:phase\s+)?\d[\w.]*", re.I)

# Words that plans begin a line of prose with and that are two edits or fewer from a key.
_PROSE = frozenset(
    "objective task tasks step steps doc docs day days date dates force goal goals link links lead leads "
    "note notes risk risks role roles rule rules team teams text texts time type".split()
)
# Words that begin no line of prose as long as what follows them has no blanks.
_SELDOM_PROSE = ("dependencies", "cwd", "allow_empty", "approvals_signers")
# Two edits of a short word make any other word: `cwd` may have one, `deps` two.
_FEWEST_KEPT = 2
_MOST_EDITS = 2


def canonical(word: str) -> str:
    """The key that a word spells, in any case; the word in lower case if it is no key."""
    lower = word.lower()
    return ALIASES.get(lower, lower)


def misspelled(word: str, owner: Owner) -> str | None:
    """The key of `owner` that is at most two edits from a word which is no key, or None."""
    lower = word.lower()
    if lower in _PROSE:
        return None
    spellings = sorted({*KEYS[owner], *(alias for alias, key in ALIASES.items() if key in KEYS[owner])})
    distance, spelling = min((edits(lower, spelling), spelling) for spelling in spellings)
    return spelling if distance <= min(_MOST_EDITS, len(spelling) - _FEWEST_KEPT) else None


def owners_of(key: str) -> tuple[Owner, ...]:
    """The parts of a plan that know a key."""
    return tuple(owner for owner, keys in KEYS.items() if key in keys)


def is_other_word_for_dependencies(word: str, text: str) -> bool:
    """Whether `word: text` below a phase says in another tool's word what the phase depends on.

    `depends_on: build` and `needs: 1` do; `Needs: Docker` and `Depends: on the weather` are prose.
    """
    lower = word.lower()
    if lower in _OTHER_TOOLS:
        return not text or may_be_meant("dependencies", text)
    if lower != "needs" or not may_be_meant("dependencies", text):
        return False
    entries = values.split_entries(text)
    return text.startswith("[") or (bool(entries) and all(map(_NUMBERED.fullmatch, entries)))


def is_surely_meant(key: str, text: str) -> bool:
    """Whether text after `key:` cannot be prose: `[a]`, a number for a threshold, ids.

    `coverage: 85` is, `coverage: what we measure` and `tests: unit` are not.
    """
    return text.startswith("[") or (key in (*_PARSED, *_SELDOM_PROSE) and may_be_meant(key, text))


def may_be_meant(key: str, text: str) -> bool:
    """Whether text after `key:` reads like a value: a number for a threshold, words without blanks."""
    if not text:
        return False
    try:
        entries = values.split_entries(text)
        if key in _PARSED:
            return _PARSED[key](entries) is not None
    except values.BadValue:
        return text.startswith("[")
    names = values.ids(entries) if key in ("dependencies", "allow_empty") else entries
    return text.startswith("[") or not any(" " in name for name in names)


_PARSED: Mapping[str, Callable[[tuple[str, ...]], object]] = MappingProxyType(
    {
        "coverage": values.threshold,
        "timeout": values.seconds,
        "serial": values.boolean,
        "serialize": values.boolean,
        "enforce": values.boolean,
    }
)
