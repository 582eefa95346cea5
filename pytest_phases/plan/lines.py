"""What one line of a plan says: a key with its value, a label, an entry of a list."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_phases.model import Crew, Task
from pytest_phases.plan.blocks import Line
from pytest_phases.plan.keys import Owner
from pytest_phases.plan.words import edits

LABELS: Mapping[str, Crew] = {
    "build": Crew.BUILD,
    "testing": Crew.TESTING,
    "test": Crew.TESTING,
    "tests": Crew.TESTING,
    "deploy": Crew.DEPLOY,
}
"""The words that make the fence below them a stage, in lower case."""

# Words that stand above an example and are two edits or fewer from a label.
_NO_LABELS = frozenset("text texts tasks terms builder built tested best rest".split())
_LONG = 5
_MOST_EDITS = 2

_WORD = r"(?P<word>[A-Za-z][\w-]*)"
_KEY_LINES = (
    re.compile(rf"(?P<bold>\*\*|__){_WORD}\s*(?:(?P=bold)\s*:|:\s*(?P=bold))(?P<value>.*)"),
    re.compile(rf"(?P<bold>\*\*|__){_WORD}\s*:(?P<value>.*)(?P=bold)"),
    re.compile(rf"{_WORD}\s*:(?P<value>.*)"),
)
_ENTRY = re.compile(r" {0,3}[-*+](?:[ \t]+(?P<text>.*))?")
CHECKED = re.compile(r"\[(?P<mark>[ xX])\][ \t]+(?P<text>.*)")
"""An entry of a checklist."""

_BARE_KEYS = (
    re.compile(rf"(?P<bold>\*\*|__|){_WORD}(?P=bold)\s*=(?!=)\s*(?P<value>\S.*)"),
    re.compile(rf"(?P<bold>\*\*|__|){_WORD}(?P=bold)\s+(?P<value>\[(?:(?!\]\().)*\])"),
)
# A name of one or two words; with any of these among them it is a sentence.
_BARE_LABEL = re.compile(rf"(?P<bold>\*\*|__|){_WORD}(?P<value>(?:\s+[\w.-]*\w){{0,2}})(?P=bold)")
_OF_SENTENCES = frozenset(
    "a all an and as at by everything first for from if in is it its of on once or our that the then these "
    "this to until using when with your".split()
)

PHASE_ID = re.compile(r"(?P<id>\w[\w.-]*)")
"""The id of a phase or, within its phase, of a stream."""

_CHECK = re.compile(rf"\s*(?:[-*+]|\d+[.)])[ \t]+{CHECKED.pattern}")
_HEADINGS = (
    re.compile(rf"(?P<owner>phase|stream)\s+{PHASE_ID.pattern}\s*:(?P<name>.*)", re.I),
    re.compile(r"(?P<owner>sync|gate)\s*:(?P<name>.*)", re.I),
)
_OWNERS = {"phase": Owner.PHASE, "stream": Owner.STREAM, "sync": Owner.SYNC, "gate": Owner.GATE}
_COLONLESS = re.compile(r"phase\s+(?P<id>\w(?:[\w.-]*\w)?)(?!\w)(?P<name>.*)", re.I)
_ODD_ID = re.compile(r"phase\s+(?P<id>\S+?)\s*:", re.I)
_NUMBERED = (
    re.compile(r"(?P<id>\d+(?:\.\d+)*)(?:[.):]|\s+-)\s+(?P<name>\S.*)"),
    re.compile(r"(?:phase|step|stage)(?:\s+(?P<id>\d+(?:\.\d+)*))?\s*:(?P<name>.*)", re.I),
)
_SPACED_ID = re.compile(r"phase\s+(?P<id>[^\W\d][\w.-]*(?:\s+\w[\w.-]*)+)\s*:(?P<name>.*)", re.I)


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A line `word: value`; the value may be empty."""

    word: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Title:
    """What the heading of a phase, stream, sync point or gate says."""

    owner: Owner
    id: str
    name: str


def key_line(line: Line) -> KeyLine | None:
    """The line as `word: value`, bare or bold, or None if it is not of that form."""
    text = line.text.strip()
    match = next((match for pattern in _KEY_LINES if (match := pattern.fullmatch(text))), None)
    return KeyLine(match["word"], match["value"].strip(), line.line) if match else None


def key_without_colon(line: Line) -> KeyLine | None:
    """The line as a key whose colon is missing, `word [value]` or `word = value`, or None."""
    text = line.text.strip()
    match = next((match for pattern in _BARE_KEYS if (match := pattern.fullmatch(text))), None)
    return KeyLine(match["word"], match["value"], line.line) if match else None


def label_without_colon(line: Line) -> KeyLine | None:
    """The line as a label whose colon is missing, with a name of two words at most, or None."""
    match = _BARE_LABEL.fullmatch(line.text.strip())
    if match is None or match["word"].lower() not in LABELS:
        return None
    name = match["value"].split()
    is_sentence = not _OF_SENTENCES.isdisjoint(word.lower() for word in name)
    return None if is_sentence else KeyLine(match["word"], " ".join(name), line.line)


def misspelled_label(word: str) -> str | None:
    """The label that a word was meant to be, or None: its first letter, and two edits of a long one."""
    lower = word.lower()
    if lower in LABELS or lower in _NO_LABELS:
        return None
    near = [
        label
        for label in LABELS
        if label[0] in lower[:2] and edits(lower, label) <= (1 if len(label) < _LONG else _MOST_EDITS)
    ]
    return min(near, key=lambda label: edits(lower, label), default=None)


def list_entry(line: Line) -> str | None:
    """The text of a line that begins an entry of a bullet list, or None."""
    match = _ENTRY.fullmatch(line.text)
    return (match["text"] or "").strip() if match else None


def tasks(lines: tuple[Line, ...]) -> tuple[Task, ...]:
    """The lines of a checklist; a line that continues one belongs to it."""
    found: list[Task] = []
    for line in lines:
        if match := _CHECK.fullmatch(line.text):
            found.append(Task(match["text"].strip(), match["mark"] != " "))
        elif found and line.text.strip() and list_entry(line) is None:
            found[-1] = Task(f"{found[-1].text} {line.text.strip()}", found[-1].done)
    return tuple(found)


def title(text: str) -> Title | None:
    """What a heading names, or None if it is prose."""
    match = next((match for pattern in _HEADINGS if (match := pattern.fullmatch(text))), None)
    if match is None:
        return None
    return Title(_OWNERS[match["owner"].lower()], match.groupdict().get("id") or "", match["name"].strip())


def colonless(text: str) -> Title | None:
    """The phase that a heading such as `Phase 2 - Build` may have meant, or None."""
    match = _COLONLESS.fullmatch(text)
    return Title(Owner.PHASE, match["id"], re.sub(r"^\W+", "", match["name"])) if match else None


def numbered(text: str) -> Title | None:
    """The phase that a heading such as `1. Build` or `Phase: Build` may have meant, or None."""
    match = next((match for pattern in _NUMBERED if (match := pattern.fullmatch(text))), None)
    return Title(Owner.PHASE, match["id"] or "1", match["name"].strip()) if match else None


def spaced_id(text: str) -> Title | None:
    """The phase that a heading such as `Phase unit tests: all` may have meant, with a hyphen in its id."""
    match = _SPACED_ID.fullmatch(text)
    return Title(Owner.PHASE, "-".join(match["id"].split()), match["name"].strip()) if match else None


def odd_id(text: str) -> str | None:
    """What stands in the place of a phase's id but cannot be one, or None."""
    match = _ODD_ID.match(text)
    return match["id"] if match and title(text) is None else None
