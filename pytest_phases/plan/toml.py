"""A plan in TOML: `[[phase]]`, `[[phase.stream]]`, `[[phase.stage]]`, `[[sync]]` and `[gate]`.

The tables hold the keys of the Markdown plan and a few more, for what headings, labels and
fences say there; `_MORE` lists them. A sync point says `after` which phase it stands. What holds for
the whole plan stands above all tables.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType

from pytest_phases.errors import Problem
from pytest_phases.model import Crew, Plan, Task
from pytest_phases.plan import values
from pytest_phases.plan.assemble import assemble
from pytest_phases.plan.draft import Entry, Given, PlanDraft, Report, StageDraft, UnitDraft
from pytest_phases.plan.keys import ALIASES, KEYS, Owner, canonical
from pytest_phases.plan.lines import CHECKED, LABELS, PHASE_ID
from pytest_phases.plan.toml_lines import Address, Lines, read_lines
from pytest_phases.plan.words import did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Table = Mapping[str, object]

_MORE: Mapping[Owner, tuple[str, ...]] = MappingProxyType(
    {
        Owner.PHASE: ("id", "name", "objective", "tasks", "stage", "stream"),
        Owner.STREAM: ("id", "name", "objective", "tasks", "stage"),
        Owner.STAGE: ("crew", "name", "language", "run"),
        Owner.SYNC: ("name", "after"),
        Owner.GATE: ("name", "stage"),
        Owner.PLAN: ("title", "phase", "sync", "gate"),
    }
)
_OF_IDS = frozenset({"dependencies", "phases", "allow_empty", "needs"})
_AT_LINE = re.compile(r"at line (\d+)")
_LARGEST = 10**15


def read_toml(text: str, file: str) -> tuple[Plan, tuple[Problem, ...]]:
    """The plan that a TOML text describes and what is wrong with it.

    `file` is the plan as the user named it. Whatever the text, nothing is raised. Whether
    dependencies are known is left to `check`.
    """
    text = text.removeprefix("\ufeff")
    report = Report(file)
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Besides syntax errors: integers and nesting beyond what Python takes.
        found = _AT_LINE.search(str(error))
        line = int(found[1]) if found else text.rstrip("\n").count("\n") + 1
        report.problem("bad-toml", line, f"this is no TOML: {error}")
        return Plan(file), tuple(report.problems)
    plan = assemble(_Reader(text, report).plan(document), report)
    return plan, tuple(report.problems)


class _Reader:
    def __init__(self, text: str, report: Report) -> None:
        self.source = text.split("\n")
        self.lines: Lines = read_lines(text)
        self.report = report

    def plan(self, document: Table) -> PlanDraft:
        """The draft of a whole document."""
        given = self._given(document, Owner.PLAN, ())
        units = [self._named(table, Owner.PHASE, at) for table, at in self._tables(document, "phase", ())]
        for table, at in reversed(list(self._tables(document, "sync", ()))):
            self._insert(units, self._unit(table, Owner.SYNC, at), table, at)
        gate = document.get("gate", {})
        if isinstance(gate, dict) and "gate" in document:
            units.append(self._unit(gate, Owner.GATE, ("gate",)))
        elif "gate" in document:
            self._problem("bad-table", ("gate",), "a plan has one gate; write it as a table: `[gate]`")
        return PlanDraft(self._text(document, "title", ()), units, given=given)

    def _tables(self, table: Table, key: str, at: Address) -> Iterator[tuple[Table, Address]]:
        """Each table of an array of tables with its address."""
        found = table.get(key, [])
        name = ".".join(part for part in (*at, key) if isinstance(part, str))
        for number, entry in enumerate(found if isinstance(found, list) else [found]):
            if isinstance(found, list) and isinstance(entry, dict):
                yield entry, (*at, key, number)
            else:
                self._problem(
                    "bad-table", (*at, key), f"write each {key} as a table of its own: `[[{name}]]`"
                )

    def _named(self, table: Table, owner: Owner, at: Address, phase: str = "") -> UnitDraft:
        """A phase or a stream with its id."""
        unit = self._unit(table, owner, at)
        own = table.get("id")
        text = str(own) if isinstance(own, int) and abs(own) < _LARGEST and own is not True else own
        if not isinstance(text, str) or PHASE_ID.fullmatch(text) is None:
            shown = "no id" if own is None else f"{_shown(own)} as its id"
            self._problem(
                "bad-id", (*at, "id"), f'this {owner.value} has {shown}; write a number or a word: id = "1"'
            )
            text = "?"
        unit.id = f"{phase}/{text}" if phase else text
        unit.objective = self._text(table, "objective", at)
        unit.tasks = tuple(self._tasks(table, at))
        unit.streams = [
            self._named(stream, Owner.STREAM, below, unit.id)
            for stream, below in self._tables(table, "stream", at)
            if owner is Owner.PHASE
        ]
        return unit

    def _unit(self, table: Table, owner: Owner, at: Address) -> UnitDraft:
        unit = UnitDraft(owner, "", self._text(table, "name", at), self.lines.find(*at))
        unit.given.update(self._given(table, owner, at))
        if "stage" in _MORE[owner]:
            found = (self._stage(stage, owner, below) for stage, below in self._tables(table, "stage", at))
            unit.stages = [stage for stage in found if stage is not None]
        return unit

    def _stage(self, table: Table, owner: Owner, at: Address) -> StageDraft | None:
        word = self._text(table, "crew", at) or (Crew.DEPLOY.value if owner is Owner.GATE else "")
        crew = LABELS.get(word.lower())
        if crew is None:
            known = [crew.value for crew in Crew]
            shown = (
                f"`{word}` is no crew; {did_you_mean(word, known)}"
                if word
                else 'a stage has a crew: crew = "build"'
            )
            self._problem("bad-crew", (*at, "crew"), shown)
        given = self._given(table, Owner.STAGE, at)
        run_line = self.lines.find(*at, "run")
        if self.source[run_line - 1].rstrip().endswith(('"""', "'''")):
            run_line += 1
        run = self._text(table, "run", at)
        if "\0" in run:
            self._problem("bad-value", (*at, "run"), "run: no script holds a null character; take it out")
            return None
        name, language = self._text(table, "name", at), self._text(table, "language", at)
        line, language_line = self.lines.find(*at), self.lines.find(*at, "language")
        return StageDraft(crew, name, line, language, language_line, run, run_line, given) if crew else None

    def _insert(self, units: list[UnitDraft], sync: UnitDraft, table: Table, at: Address) -> None:
        """Put a sync point behind the phase it names."""
        ids = [unit.id for unit in units if unit.owner is Owner.PHASE]
        after = values.ids(self._texts("after", table.get("after", []), (*at, "after")))
        if len(after) == 1 and after[0] in ids:
            place = next(number for number, unit in enumerate(units) if unit.id == after[0])
            units.insert(place + 1, sync)
        elif after:
            message = f"after: `{after[0]}` is no phase; {did_you_mean(after[0], ids)}"
            self._problem("unknown-phase", (*at, "after"), message)
        else:
            self._problem("no-after", at, 'a sync point says after which phase it stands: after = "2"')

    def _given(self, table: Table, owner: Owner, at: Address) -> dict[str, Given]:
        given: dict[str, Given] = {}
        for key, value in table.items():
            name = ALIASES.get(key, key)
            line = self.lines.find(*at, key)
            if name in KEYS[owner] and name in given:
                self.report.problem("duplicate-key", line, f"`{name}` is given twice; merge the two")
            elif name in KEYS[owner]:
                entries = (Entry(text, line) for text in self._texts(name, value, (*at, key)))
                given[name] = Given(line, tuple(entries))
            elif key not in _MORE[owner]:
                self._unknown(key, f"a {owner.value}", (*sorted(KEYS[owner]), *_MORE[owner]), line)
        return given

    def _texts(self, key: str, value: object, at: Address) -> tuple[str, ...]:
        """The entries of a value; what cannot be one is reported."""
        found: list[str] = []
        for entry in value if isinstance(value, list) else [value]:
            text = _as_text(entry)
            if text is None or (isinstance(entry, float) and canonical(key) in _OF_IDS):
                advice = (
                    "write ids as strings" if isinstance(entry, float) else "write a string, a number or true"
                )
                self._problem("bad-value", at, f"{key}: {_shown(entry)} is not understood; {advice}")
                continue
            found += self._checked(key, text, at)
        return tuple(found)

    def _checked(self, key: str, text: str, at: Address) -> tuple[str, ...]:
        try:
            return (values.checked(text),)
        except values.BadValue as error:
            self._problem(error.slug, at, f"{key}: {error}")
            return ()

    def _text(self, table: Table, key: str, at: Address) -> str:
        value = table.get(key, "")
        if isinstance(value, str):
            return value
        self._problem("bad-value", (*at, key), f'{key}: {_shown(value)} is no string; write {key} = "text"')
        return ""

    def _tasks(self, table: Table, at: Address) -> Iterator[Task]:
        for text in self._texts("tasks", table.get("tasks", []), (*at, "tasks")):
            match = CHECKED.fullmatch(text)
            yield Task(match["text"], match["mark"] != " ") if match else Task(text, done=False)

    def _unknown(self, key: str, where: str, known: tuple[str, ...], line: int) -> None:
        self.report.problem("unknown-key", line, f"`{key}` is no key of {where}; {did_you_mean(key, known)}")

    def _problem(self, slug: str, at: Address, message: str) -> None:
        self.report.problem(slug, self.lines.find(*at), message)


def _shown(value: object) -> str:
    """A value for a message; Python refuses to write out integers of thousands of digits."""
    return "that number" if isinstance(value, int) and abs(value) >= _LARGEST else f"{value!r:.60}"


def _as_text(value: object) -> str | None:
    """A scalar as a plan in Markdown would write it, or None for anything else."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value) if abs(value) < _LARGEST else None
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    return value if isinstance(value, str) else None
