"""Words as people mistype them, and text as a terminal may see it."""

from __future__ import annotations

import re
from collections.abc import Iterable

STEERING = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
)
"""Characters that steer a terminal: control characters but tabs and line ends, changes of direction."""

_UNLIKE_ALL = re.compile(r".|[\d.]+")


def edits(one: str, other: str) -> int:
    """How many letters must be put in, taken out, replaced or swapped with their neighbour.

    This is the restricted Damerau-Levenshtein distance.
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, above, row = row, before, [i]
        for j, b in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, above[j - 2] + 1)
            row.append(best)
    return row[-1]


def nearest(word: str, known: Iterable[str], within: int | None = None) -> str | None:
    """The known word with the fewest edits from `word` in any case, or None if none is near.

    Near means at most `within` edits, by default a third of the word and at least one. A single
    letter and a number are near nothing but themselves.
    """
    known = list(known)
    if within is None and _UNLIKE_ALL.fullmatch(word):
        return next((other for other in known if other.lower() == word.lower()), None)
    limit = max(1, len(word) // 3) if within is None else within
    close = [other for other in known if abs(len(other) - len(word)) <= limit]
    best = min(close, key=lambda other: edits(word.lower(), other.lower()), default=None)
    return best if best is not None and edits(word.lower(), best.lower()) <= limit else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question naming the nearest known word, or a list of all, to end a message with."""
    names = list(dict.fromkeys(known))
    near = nearest(word, names)
    if near is not None:
        return f"did you mean `{near}`?"
    return f"known are {', '.join(f'`{name}`' for name in names)}" if names else "there is none"


def as_path(names: Iterable[str]) -> str:
    """Names that follow one another: `2 → 4 → 2`."""
    return " → ".join(names)


def printable(text: str) -> str:
    """The text with escapes for what steers a terminal: control characters and changes of direction.

    A plan is read before anyone trusts it. Tabs and line ends stay.
    """
    return STEERING.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
