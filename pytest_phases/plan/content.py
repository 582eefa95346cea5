"""What stands below a heading: keys, stages, the objective, a checklist; the rest is prose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_phases.model import Note, Task
from pytest_phases.plan import lines
from pytest_phases.plan.blocks import Block, Bullets, Code, Fence, Line, Other
from pytest_phases.plan.draft import Report, UnitDraft
from pytest_phases.plan.keys import KEYS, Owner, canonical, is_surely_meant, may_be_meant
from pytest_phases.plan.labels import Keys, continued, get, is_script, language_of, stage_at
from pytest_phases.plan.sections import Section
from pytest_phases.plan.words import printable

_WIDEST = 60


def read_section(section: Section, report: Report) -> list[Note]:
    """Fill the unit of a section from its blocks; gives the fences that were taken for prose.

    Where the plan as a whole is that unit, all is prose but the keys below its first heading.
    """
    reader = _Reader(section.blocks, report)
    if section.unit.owner is Owner.PLAN:
        reader.prose_from(reader.keys(section.unit) if section.head else 0)
    else:
        reader.unit_from(reader.keys(section.unit) if section.head else 0, section.unit)
    return reader.prose


class _Reader:
    def __init__(self, blocks: list[Block], report: Report) -> None:
        self.blocks = blocks
        self.report = report
        self.prose: list[Note] = []

    def keys(self, unit: UnitDraft) -> int:
        """Read the keys below the heading of a unit; gives the index behind them."""
        keys = Keys(self.blocks, unit.owner, self.report)
        end = keys.read(0)
        unit.given.update(keys.given)
        self._refuse_hidden_keys(unit, end)
        return end

    def unit_from(self, at: int, unit: UnitDraft) -> None:
        """Read what stands below the keys."""
        unit.objective = unit.objective or _objective(self.blocks)
        unit.tasks = unit.tasks or _tasks(self.blocks)
        while (block := get(self.blocks, at)) is not None:
            found = stage_at(self.blocks, at, unit.owner, self.report)
            if found is None:
                self._refuse_late_key(unit, block)
                self._refuse_swallowed_label(block, get(self.blocks, at + 1))
                self._prose(block)
                if isinstance(block, Fence) and block.info and is_script(block):
                    unit.unlabelled.append((language_of(block), block.line))
                at += 1
            else:
                stage, at = found
                unit.stages += [stage] if stage is not None else []
                self._refuse_open(self.blocks[at - 1])

    def prose_from(self, at: int) -> None:
        """Read what belongs to no unit."""
        for block in self.blocks[at:]:
            self._refuse_stray_key(block)
            self._prose(block)

    def _prose(self, block: Block) -> None:
        self._refuse_open(block)
        inside = block.fences if isinstance(block, Bullets | Other) else ()
        for fence in (block,) if isinstance(block, Fence) else inside:
            first = next((line.strip() for line in fence.content.split("\n") if line.strip()), "")
            text = f"```{fence.info}  {first[:_WIDEST]}".rstrip()
            self.prose.append(Note(self.report.place(fence.line), printable(text)))

    def _refuse_open(self, block: Block) -> None:
        if isinstance(block, Fence) and not block.closed:
            mark = "~~~" if block.tilde else "```"
            self.report.problem(
                "open-fence",
                block.line,
                f"this fence is never closed and takes in all that follows; write {mark} below it",
            )

    def _refuse_hidden_keys(self, unit: UnitDraft, end: int) -> None:
        """A key in a list or code block at the place of keys was meant as one."""
        block = get(self.blocks, end)
        before = self.blocks[end - 1] if end else None
        word = lines.key_line(before) if isinstance(before, Line) else None
        if word is not None and not word.value and canonical(word.word) not in KEYS[unit.owner]:
            return  # A list that a word such as `Tasks:` introduces.
        for line in _hidden(block):
            key = lines.key_line(line)
            name = canonical(key.word) if key else ""
            if key is None or name not in KEYS[unit.owner]:
                continue
            if may_be_meant(name, key.value) if key.value else name == "dependencies":
                what = "a list" if isinstance(block, Bullets) else "a code block"
                self.report.problem(
                    "hidden-key",
                    key.line,
                    f"`{key.word}` stands in {what} and is no key there; write it on a line of its own "
                    f"below the heading: `{key.word}: {key.value or '[..]'}`",
                )

    def _refuse_late_key(self, unit: UnitDraft, block: Block) -> None:
        key = lines.key_line(block) if isinstance(block, Line) else None
        if key is None or canonical(key.word) not in KEYS[unit.owner]:
            return
        if is_surely_meant(canonical(key.word), key.value):
            self.report.problem(
                "late-key",
                key.line,
                f"`{key.word}` stands below prose and is no key there; move it directly below the heading "
                f"on line {unit.line}",
            )

    def _refuse_stray_key(self, block: Block) -> None:
        """A key of the plan as a whole that stands elsewhere than below the title."""
        key = lines.key_line(block) if isinstance(block, Line) else None
        if key is None or canonical(key.word) not in KEYS[Owner.PLAN]:
            return
        if is_surely_meant(canonical(key.word), key.value):
            self.report.problem(
                "late-key",
                key.line,
                f"`{key.word}` stands in prose and is no key there; move it directly below the first heading "
                "of the plan, or below that of a phase",
            )

    def _refuse_swallowed_label(self, block: Block, after: Block | None) -> None:
        """A label that Markdown reads as part of a list entry, with its fence below the list."""
        if not (isinstance(block, Bullets) and isinstance(after, Fence)):
            return
        last = next((line for line in reversed(block.lines) if line.text.strip()), None)
        label = lines.key_line(last) if last and not last.text[0].isspace() else None
        if label is not None and label.word.lower() in lines.LABELS:
            self.report.problem(
                "swallowed-label",
                label.line,
                f"Markdown reads `{label.word}:` as part of the list entry above it; "
                "put a blank line before it",
            )


def _hidden(block: Block | None) -> Iterator[Line]:
    """The lines of a list, without what makes them entries, or of a code block."""
    if isinstance(block, Bullets):
        for line in block.lines:
            text = lines.list_entry(line)
            if text is not None:
                yield Line(text, line.line)
    elif isinstance(block, Code):
        yield from block.lines
    elif isinstance(block, Fence):
        for number, text in enumerate(block.content.split("\n"), block.line + 1):
            yield Line(text, number)


def _objective(blocks: Sequence[Block]) -> str:
    """The first `Objective:` with the lines that continue it."""
    for at, block in enumerate(blocks):
        key = lines.key_line(block) if isinstance(block, Line) else None
        if key is not None and key.word.lower() == "objective":
            rest = (line.text.strip() for line in continued(blocks, at))
            return " ".join(filter(None, (key.value, *rest)))
    return ""


def _tasks(blocks: Sequence[Block]) -> tuple[Task, ...]:
    """The first checklist."""
    lists = (lines.tasks(block.lines) for block in blocks if isinstance(block, Bullets))
    return next(filter(None, lists), ())
