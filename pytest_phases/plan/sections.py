"""A Markdown plan cut at its headings: which phase, stream, sync point or gate a block belongs to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile

from pytest_phases.plan import lines
from pytest_phases.plan.blocks import Block, Heading, Line
from pytest_phases.plan.draft import Lookalike, Report, UnitDraft
from pytest_phases.plan.keys import KEYS, Owner, canonical, is_surely_meant
from pytest_phases.plan.labels import stage_at
from pytest_phases.plan.lines import Title


@dataclass(slots=True)
class Section:
    """Blocks that belong together, and what they belong to: what is in no phase, to the plan as a whole.

    `head` is true directly below the heading of `unit`, where its keys stand.
    """

    unit: UnitDraft
    head: bool
    blocks: list[Block] = field(default_factory=list)


@dataclass(slots=True)
class Outline:
    """The sections of a plan, its units in their order, and headings that a colon may be missing from.

    `plan` is what stands for the plan as a whole.
    """

    title: str
    plan: UnitDraft
    sections: list[Section]
    units: list[UnitDraft]
    colonless: tuple[str, ...]


def outline(blocks: Sequence[Block], report: Report, named: Collection[str] = ()) -> Outline:
    """Cut a plan into sections; a heading without its colon counts as a phase if its id is in `named`."""
    cutter = _Cutter(report, named)
    for at, block in enumerate(blocks):
        if isinstance(block, Heading):
            below = takewhile(lambda block: not isinstance(block, Heading), islice(blocks, at + 1, None))
            cutter.heading(block, below)
        else:
            cutter.sections[-1].blocks.append(block)
    return Outline(cutter.title, cutter.plan, cutter.sections, cutter.units, tuple(cutter.colonless))


class _Cutter:
    """Holds the phase and the stream that are open, with the levels of their headings."""

    def __init__(self, report: Report, named: Collection[str]) -> None:
        self.report = report
        self.named = named
        self.title = ""
        self.units: list[UnitDraft] = []
        self.plan = UnitDraft(Owner.PLAN, "", "", 1)
        self.sections = [Section(self.plan, head=False)]
        self.colonless: list[str] = []
        self._open: list[tuple[int, UnitDraft]] = []

    def heading(self, heading: Heading, below: Iterable[Block]) -> None:
        """Open what a heading names, or close what it ends; `below` is what stands before the next."""
        title = lines.title(heading.text) or self._meant(heading, below)
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
        for line in texts:
            key = lines.key_line(line)
            if key is None or canonical(key.word) not in KEYS[unit.owner]:
                continue
            meant = is_surely_meant(canonical(key.word), key.value)
            # Outside phases any words may stand.
            if heading.underline is not None and (meant or unit is not self.plan):
                advice = f"line {heading.underline} makes it a heading; put a blank line before that"
            elif meant:
                advice = "it is a heading; take the # away"
            else:
                continue
            self.report.problem("key-in-heading", key.line, f"`{key.word}` is read as a key, but {advice}")
            # A key without its value has lost it to the heading, and one message is enough.
            self.sections[-1].blocks.extend(line for line in texts if key.value or line.line != key.line)
            return True
        return False

    def _prose(self, heading: Heading) -> None:
        """A heading of its own ends what stands at its level or deeper, and stays as a block.

        If it is the first of the plan, the keys of the plan as a whole stand below it.
        """
        if heading.level == 1 and not self.title:
            self.title = heading.text
        still_open = [(level, unit) for level, unit in self._open if level < heading.level]
        if len(self.sections) == 1:
            self.sections.append(Section(self.plan, head=True))
            return
        if len(still_open) < len(self._open):
            self._open = still_open
            self.sections.append(Section(still_open[-1][1] if still_open else self.plan, head=False))
        self.sections[-1].blocks.append(heading)

    def _meant(self, heading: Heading, below: Iterable[Block]) -> Title | None:
        """The phase a heading would be with a good id or a colon, if there is proof that it was meant."""
        odd = lines.odd_id(heading.text)
        if odd is not None:
            self.report.problem(
                "bad-id", heading.line, f"`{odd}` cannot be the id of a phase; write a number or a word"
            )
            return None
        spaced = lines.spaced_id(heading.text)
        title = spaced or lines.colonless(heading.text)
        if title is None:
            return None
        # A plan may speak of a phase in a heading that goes on; a dependency then names another one.
        is_namable = spaced is not None or ":" not in heading.text
        message = _spaced_id(title, heading) if spaced else _missing_colon(title, heading)
        if not (is_namable and title.id in self.named) and not self._is_proven(heading, list(below)):
            if is_namable:
                self.colonless.append(title.id)
            if spaced or title.id[0].isdigit():
                self.report.note(heading.line, f"{message}; it is prose as it stands")
            return None
        if spaced:
            self.report.problem("bad-id", heading.line, message)
        else:
            self.report.problem("missing-colon", heading.line, message)
        return title if title.id not in {unit.id for unit in self.units} else None

    def _is_proven(self, heading: Heading, below: list[Block]) -> bool:
        """Whether keys directly below a heading, or a stage that no phase above has, make it a phase."""
        for block in below:
            key = lines.key_line(block) if isinstance(block, Line) else None
            if key is None:
                break
            name = canonical(key.word)
            if name in KEYS[Owner.PHASE] and is_surely_meant(name, key.value):
                return True
        if self._open and heading.level > self._open[0][0]:
            return False
        trial = Report(self.report.file)
        return any(
            found is not None and found[0] is not None
            for at in range(len(below))
            if (found := stage_at(below, at, Owner.PHASE, trial)) is not None
        )


_LOOKALIKES = (lines.numbered, lines.spaced_id, lines.colonless)


def lookalike(blocks: Sequence[Block]) -> Lookalike | None:
    """The first line that looks like the heading of a phase and is none."""
    for block in blocks:
        if isinstance(block, Heading):
            level, text = block.level, f"{'#' * block.level} {block.text}"
            meant = next((title for read in _LOOKALIKES if (title := read(block.text))), None)
        elif isinstance(block, Line):
            level, text = 3, block.text.strip()
            meant = lines.title(text.replace("**", "").replace("__", ""))
        else:
            continue
        if meant is not None and meant.owner is Owner.PHASE:
            return Lookalike(text, block.line, _heading(level, meant))
    return None


def _missing_colon(title: Title, heading: Heading) -> str:
    meant = _heading(heading.level, title)
    return f"`{heading.text}` would be a phase with a colon after its id; write `{meant}`"


def _spaced_id(title: Title, heading: Heading) -> str:
    meant = _heading(heading.level, title)
    given = heading.text.partition(":")[0].partition(" ")[2].strip()
    return f"the id `{given}` has a space, which no id of a phase has; write `{meant}`"


def _heading(level: int, title: Title) -> str:
    return f"{'#' * level} Phase {title.id}: {title.name}".rstrip()
