"""A Markdown plan cut at its headings: which phase, stream, sync point or gate a block belongs to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from pytest_phases.plan import lines
from pytest_phases.plan.blocks import Block, Heading, Line
from pytest_phases.plan.draft import Report, UnitDraft
from pytest_phases.plan.keys import KEYS, Owner, canonical, is_surely_meant
from pytest_phases.plan.lines import Title


@dataclass(slots=True)
class Section:
    """Blocks that belong together, and what they belong to, if anything.

    `head` is true directly below the heading of `unit`, where its keys stand.
    """

    unit: UnitDraft | None
    head: bool
    blocks: list[Block] = field(default_factory=list)


@dataclass(slots=True)
class Outline:
    """The sections of a plan, its units in their order, and headings that a colon may be missing from."""

    title: str
    sections: list[Section]
    units: list[UnitDraft]
    colonless: tuple[str, ...]


def outline(blocks: Sequence[Block], report: Report, named: Collection[str] = ()) -> Outline:
    """Cut a plan into sections; a heading without its colon counts as a phase if its id is in `named`."""
    cutter = _Cutter(report, named)
    for block, after in zip_longest(blocks, blocks[1:]):
        if isinstance(block, Heading):
            cutter.heading(block, after)
        else:
            cutter.sections[-1].blocks.append(block)
    return Outline(cutter.title, cutter.sections, cutter.units, tuple(cutter.colonless))


class _Cutter:
    """Holds the phase and the stream that are open, with the levels of their headings."""

    def __init__(self, report: Report, named: Collection[str]) -> None:
        self.report = report
        self.named = named
        self.title = ""
        self.units: list[UnitDraft] = []
        self.sections = [Section(None, head=False)]
        self.colonless: list[str] = []
        self._open: list[tuple[int, UnitDraft]] = []

    def heading(self, heading: Heading, after: Block | None) -> None:
        """Open what a heading names, or close what it ends."""
        title = lines.title(heading.text) or self._without_colon(heading, after)
        if title is not None and self._begin(title, heading):
            self._take_back(heading, heading.lines[1:])
        elif not self._take_back(heading, heading.lines):
            self._prose(heading)

    def _begin(self, title: Title, heading: Heading) -> bool:
        """Open the unit that a heading names; False if it is a stream without a phase."""
        if title.owner is Owner.STREAM:
            return self._begin_stream(title, heading)
        unit = UnitDraft(title.owner, title.id, title.name, heading.line)
        self.units.append(unit)
        self._open = [(heading.level, unit)]
        self.sections.append(Section(unit, head=True))
        return True

    def _begin_stream(self, title: Title, heading: Heading) -> bool:
        if not self._open or heading.level < self._open[0][0]:
            self.report.note(heading.line, f"`{heading.text}` stands in no phase and is prose")
            return False
        level, phase = self._open[0]
        if phase.owner is not Owner.PHASE:
            self.report.problem(
                "misplaced-stream", heading.line, f"{phase} has no streams; write the stream under a phase"
            )
            return False
        if heading.level == level:
            self.report.problem(
                "misplaced-stream",
                heading.line,
                f"a stream stands deeper than its phase; write `{'#' * (level + 1)} {heading.text}`",
            )
        elif heading.level > self._open[-1][0] and len(self._open) > 1:
            self.report.problem(
                "misplaced-stream",
                heading.line,
                f"a stream has no streams; write `{'#' * self._open[-1][0]} {heading.text}`",
            )
        stream = UnitDraft(Owner.STREAM, f"{phase.id}/{title.id}", title.name, heading.line)
        phase.streams.append(stream)
        self._open[1:] = [(max(heading.level, level + 1), stream)]
        self.sections.append(Section(stream, head=True))
        return True

    def _take_back(self, heading: Heading, texts: Sequence[Line]) -> bool:
        """Report keys that Markdown made part of a heading, and read them as keys; whether there were any."""
        unit = self.sections[-1].unit
        if unit is None:
            return False
        for line in texts:
            key = lines.key_line(line)
            if key is None or canonical(key.word) not in KEYS[unit.owner]:
                continue
            if heading.underline is not None:
                advice = f"line {heading.underline} makes it a heading; put a blank line before that"
            elif is_surely_meant(canonical(key.word), key.value):
                advice = "it is a heading; take the # away"
            else:
                continue
            self.report.problem("key-in-heading", key.line, f"`{key.word}` is read as a key, but {advice}")
            # A key without its value has lost it to the heading, and one message is enough.
            self.sections[-1].blocks.extend(line for line in texts if key.value or line.line != key.line)
            return True
        return False

    def _prose(self, heading: Heading) -> None:
        """A heading of its own ends what stands at its level or deeper, and stays as a block."""
        if heading.level == 1 and not self.title:
            self.title = heading.text
        still_open = [(level, unit) for level, unit in self._open if level < heading.level]
        if len(still_open) < len(self._open):
            self._open = still_open
            self.sections.append(Section(still_open[-1][1] if still_open else None, head=False))
        self.sections[-1].blocks.append(heading)

    def _without_colon(self, heading: Heading, after: Block | None) -> Title | None:
        """The phase a heading would be with a colon, if keys or a dependency show that it was meant."""
        odd = lines.odd_id(heading.text)
        if odd is not None:
            self.report.problem(
                "bad-id", heading.line, f"`{odd}` cannot be the id of a phase; write a number or a word"
            )
            return None
        title = lines.colonless(heading.text)
        if title is None:
            return None
        key = lines.key_line(after) if isinstance(after, Line) else None
        name = canonical(key.word) if key is not None else ""
        has_keys = key is not None and name in KEYS[Owner.PHASE] and is_surely_meant(name, key.value)
        without_colon = ":" not in heading.text
        if not has_keys and not (without_colon and title.id in self.named):
            if without_colon:
                self.colonless.append(title.id)
            if title.id[0].isdigit():
                self.report.note(heading.line, f"{_missing_colon(title, heading)}; it is prose as it stands")
            return None
        self.report.problem("missing-colon", heading.line, _missing_colon(title, heading))
        return title if title.id not in {unit.id for unit in self.units} else None


def _missing_colon(title: Title, heading: Heading) -> str:
    meant = f"{'#' * heading.level} Phase {title.id}: {title.name}".rstrip()
    return f"`{heading.text}` would be a phase with a colon after its id; write `{meant}`"
