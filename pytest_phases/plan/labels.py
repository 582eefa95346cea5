"""The keys below a heading or a label, and the labelled fences that are stages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from pytest_phases.model import Crew
from pytest_phases.plan import lines, values
from pytest_phases.plan.blocks import Block, Bullets, Fence, Line, Other
from pytest_phases.plan.draft import Entry, Given, Report, StageDraft
from pytest_phases.plan.fences import LANGUAGES
from pytest_phases.plan.keys import (
    CREWS,
    KEYS,
    Owner,
    canonical,
    is_other_word_for_dependencies,
    is_surely_meant,
    misspelled,
    owners_of,
)
from pytest_phases.plan.lines import KeyLine

# `tests: unit/` directly below a heading is the key, also above a fence; `Tests: unit` is a label there.
_SELECTOR = re.compile(r"[\[/*]|\.py|::|^-|^\.$")
# Below a title `enforce: true` and `enforce: yes` are meant as a key, `Enforce: no direct pushes` is not.
_SWITCH = re.compile(r"[\[\"'`]*(?:(?:true|false)\b.*|(?:yes|no|on|off|none|[01-])[\]\"'`]*)", re.I)
# What follows a label and is longer is a sentence.
_LONGEST_NAME = 3
_LANGUAGE_END = re.compile(r"[\s{,]")
_AT: dict[Owner, str] = {
    Owner.PHASE: "a phase",
    Owner.STREAM: "a stream",
    Owner.STAGE: "a stage, between its label and its fence",
    Owner.SYNC: "a sync point",
    Owner.GATE: "the gate",
    Owner.PLAN: "the plan, directly below its first heading",
}


class Keys:
    """Reads the keys of one owner from blocks.

    Where a bullet list has swallowed the next key, the list in `blocks` is cut in two.
    """

    def __init__(self, blocks: list[Block], owner: Owner, report: Report) -> None:
        self.blocks = blocks
        self.owner = owner
        self.report = report
        self.given: dict[str, Given] = {}

    def read(self, at: int) -> int:
        """Read keys from index `at` on; gives the index of the first block that is none."""
        after: int | None = at
        while after is not None and (block := get(self.blocks, after)) is not None:
            at, after = after, self._step(block, after)
        return at if after is None else after

    def _step(self, block: Block, at: int) -> int | None:
        """The index behind a key, or None where keys end."""
        if isinstance(block, Other) and block.comment and self.owner is not Owner.STAGE:
            return at + 1
        if not isinstance(block, Line):
            return None
        key = lines.key_line(block)
        if key is None:
            return self._without_colon(block, at)
        if self._is_label(key, at):
            return None
        if canonical(key.word) in KEYS[self.owner] and not self._is_prose(key):
            return self._known(canonical(key.word), key, at)
        return self._unknown(key, at)

    def _is_prose(self, key: KeyLine) -> bool:
        """Whether what follows makes a line prose: below the title of a plan, a sentence or nothing."""
        return self.owner is Owner.PLAN and not _SWITCH.fullmatch(key.value)

    def _without_colon(self, line: Line, at: int) -> int | None:
        """Behind a key that lacks its colon, which counts as the key it was meant to be."""
        key = lines.key_without_colon(line)
        if key is None or canonical(key.word) not in KEYS[self.owner]:
            return None
        self.report.problem(
            "key-without-colon",
            key.line,
            f"`{line.text.strip()}` has no colon and is no key; write `{key.word}: {key.value}`",
        )
        return self._known(canonical(key.word), key, at)

    def _is_label(self, key: KeyLine, at: int) -> bool:
        is_exact = key.word.lower() in lines.LABELS
        if self.owner is Owner.STAGE or not (is_exact or lines.misspelled_label(key.word)):
            return False
        is_key = canonical(key.word) in KEYS[self.owner]
        if (is_key or not is_exact) and _SELECTOR.search(key.value):
            return False
        trial = Report(self.report.file)
        found = stage_at(self.blocks, at, self.owner, trial) is not None
        if is_key and key.value:
            # `tests: unit` is a label if what follows makes it one without a doubt.
            return found and not trial.problems
        # What is wrong with the label is told when the stages are read.
        return found

    def _known(self, name: str, key: KeyLine, at: int) -> int:
        entries, after = self._entries(key, at)
        if name in self.given:
            first = self.given[name].line
            self.report.problem("duplicate-key", key.line, f"`{name}` is also on line {first}; merge the two")
        else:
            self.given[name] = Given(key.line, entries)
        return after

    def _entries(self, key: KeyLine, at: int) -> tuple[tuple[Entry, ...], int]:
        """The entries of a key, from its line or the list below it, and the index behind them."""
        if key.value:
            return self._checked(key.word, key.value, key.line, values.split_entries), at + 1
        below = get(self.blocks, at + 1)
        if isinstance(below, Bullets) and not lines.tasks(below.lines):
            return self._listed(key.word, below, at + 1), at + 2
        self.report.problem(
            "key-without-value",
            key.line,
            f"`{key.word}` has no value; write one behind it, or a bullet list below it",
        )
        return (), at + 1

    def _listed(self, word: str, bullets: Bullets, at: int) -> tuple[Entry, ...]:
        found: list[Entry] = []
        for number, line in enumerate(bullets.lines):
            text = lines.list_entry(line)
            if text is not None:
                found += self._checked(word, text, line.line, lambda text: (values.unquote(text),))
            elif self._is_key(line):
                cut = Bullets(bullets.lines[:number], bullets.fences)
                self.blocks[at : at + 1] = [cut, *_as_blocks(bullets.lines[number:])]
                break
            elif line.text.strip():
                self.report.problem(
                    "continued-entry",
                    line.line,
                    f"Markdown reads `{line.text.strip()}` as part of the list entry above it; "
                    "put a blank line before it, or write each entry on one line",
                )
        return tuple(found)

    def _is_key(self, line: Line) -> bool:
        key = lines.key_line(line)
        return key is not None and not line.text[0].isspace() and canonical(key.word) in KEYS[self.owner]

    def _checked(
        self, word: str, text: str, line: int, parse: Callable[[str], tuple[str, ...]]
    ) -> tuple[Entry, ...]:
        try:
            return tuple(Entry(entry, line) for entry in parse(text))
        except values.BadValue as error:
            self.report.problem(error.slug, line, f"{word}: {error}")
            return ()

    def _unknown(self, key: KeyLine, at: int) -> int | None:
        """Behind a word that is no key here, which is a mistake or prose; prose ends the keys of a label."""
        near = self._meant(key)
        if near is not None:
            slug, advice = near
            self.report.problem(slug, key.line, f"`{key.word}` is no key of {_AT[self.owner]}; {advice}")
            listed = not key.value and isinstance(get(self.blocks, at + 1), Bullets)
            return at + 1 + listed
        if self.owner is Owner.STAGE:
            return None
        return at + 1 + len(continued(self.blocks, at))

    def _meant(self, key: KeyLine) -> tuple[str, str] | None:
        """The slug and the advice for a word that was meant as a key, or None for prose."""
        if self.owner is Owner.PLAN and key.value.lower() not in ("true", "false"):
            return None
        owners = owners_of(canonical(key.word)) if self.owner is not Owner.PLAN else ()
        of_unit = self.owner in (Owner.PHASE, Owner.STREAM)
        if of_unit and is_other_word_for_dependencies(key.word, key.value):
            advice = f"write `dependencies: {key.value or '[..]'}`"
            return "misplaced-key" if owners else "misspelled-key", advice
        if owners:
            places = " or ".join(_AT[owner] for owner in owners)
            advice = f"it belongs to {places}{_INSTEAD.get((canonical(key.word), self.owner), '')}"
            meant = is_surely_meant(canonical(key.word), key.value)
            return ("misplaced-key", advice) if meant else None
        if key.word.lower() in lines.LABELS and not _SELECTOR.search(key.value):
            return None
        near = misspelled(key.word, self.owner)
        return ("misspelled-key", f"did you mean `{near}`?") if near is not None else None


_INSTEAD = {
    ("dependencies", Owner.STAGE): "; what a stage needs stands in `needs`",
}


def stage_at(
    blocks: list[Block], at: int, owner: Owner, report: Report
) -> tuple[StageDraft | None, int] | None:
    """The stage whose label stands at index `at` and the index behind its fence.

    The stage is None if a label lacks its fence; all is None where no label stands.
    """
    block = blocks[at]
    label = lines.key_line(block) if isinstance(block, Line) else None
    if label is None or label.word.lower() not in lines.LABELS:
        return _meant_stage(blocks, at, owner, report)
    keys = Keys(blocks, Owner.STAGE, Report(report.file))
    after = keys.read(at + 1)
    fence = get(blocks, after)
    if isinstance(fence, Fence):
        report.include(keys.report)
        return _stage(label, lines.LABELS[label.word.lower()], keys.given, fence), after + 1
    if keys.given:
        message = f"`{label.word}:` and its keys stand above no fence; write the script in ``` directly below"
    elif (below := _fence_below_prose(blocks, at, label)) is not None:
        message = (
            f"prose stands between `{label.word}:` and the fence on line {below.line}, which is not run; "
            "put it above the label"
        )
    else:
        return None
    report.problem("label-without-fence", label.line, message)
    return None, after


def _meant_stage(blocks: list[Block], at: int, owner: Owner, report: Report) -> tuple[StageDraft, int] | None:
    """The stage of a label that is misspelled or lacks its colon, if a script stands directly below it."""
    line = blocks[at]
    if not isinstance(line, Line):
        return None
    label = lines.key_line(line)
    word = lines.misspelled_label(label.word) if label is not None else None
    if label is None and not _continues(blocks, at):
        label = lines.label_without_colon(line)
        word = label.word.lower() if label is not None else None
    if label is None or word is None or lines.LABELS[word] not in CREWS[owner]:
        return None
    keys = Keys(blocks, Owner.STAGE, Report(report.file))
    after = keys.read(at + 1)
    fence = get(blocks, after)
    if not isinstance(fence, Fence) or not is_script(fence):
        return None
    report.include(keys.report)
    meant = f"{word.capitalize()}: {label.value}".rstrip()
    report.problem(
        "misspelled-label",
        label.line,
        f"`{line.text.strip()}` is no label, and the fence below it is not run; write `{meant}`",
    )
    return _stage(label, lines.LABELS[word], keys.given, fence), after + 1


def _continues(blocks: Sequence[Block], at: int) -> bool:
    """Whether the line at an index goes on with the paragraph above it."""
    line, above = blocks[at], blocks[at - 1] if at else None
    return isinstance(line, Line) and isinstance(above, Line) and line.follows(above)


def _stage(label: KeyLine, crew: Crew, given: Mapping[str, Given], fence: Fence) -> StageDraft:
    return StageDraft(
        crew, label.value, label.line, language_of(fence), fence.line, fence.content, fence.line + 1, given
    )


def _fence_below_prose(blocks: Sequence[Block], at: int, label: KeyLine) -> Fence | None:
    """The script below one paragraph of prose that a label such as `Build: tables` may have meant."""
    if len(label.value.split()) > _LONGEST_NAME:
        return None
    above: Line | None = None
    for block in blocks[at + 1 :]:
        if isinstance(block, Fence):
            return block if above is not None and is_script(block) else None
        if not isinstance(block, Line) or lines.key_line(block) is not None:
            return None
        if above is not None and not block.follows(above):
            return None
        above = block
    return None


def language_of(fence: Fence) -> str:
    """The language that a fence names, which may be none."""
    return _LANGUAGE_END.split(fence.info, maxsplit=1)[0]


def is_script(fence: Fence) -> bool:
    """Whether the language of a fence, or none, is one that a stage can run."""
    return language_of(fence).lower() in LANGUAGES


def get(blocks: Sequence[Block], at: int) -> Block | None:
    """The block at an index, or None behind the last."""
    return blocks[at] if at < len(blocks) else None


def continued(blocks: Sequence[Block], at: int) -> list[Line]:
    """The lines of the same paragraph below the line at an index, up to the next `word: value`."""
    found: list[Line] = []
    last = blocks[at]
    for block in blocks[at + 1 :]:
        if not (isinstance(block, Line) and isinstance(last, Line) and block.follows(last)):
            break
        if lines.key_line(block) is not None:
            break
        found.append(block)
        last = block
    return found


def _as_blocks(swallowed: Sequence[Line]) -> list[Block]:
    """The lines from a key on that a bullet list had swallowed: lines, and then the list again."""
    entries = (number for number, line in enumerate(swallowed) if lines.list_entry(line) is not None)
    cut = next(entries, len(swallowed))
    written = [line for line in swallowed[:cut] if line.text.strip()]
    return [*written, Bullets(tuple(swallowed[cut:]))] if cut < len(swallowed) else [*written]
