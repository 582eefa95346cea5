"""A plan in Markdown: headings, keys and labelled fences; all other Markdown is prose.

The work is done in steps, each a module: `blocks` (paragraphs, lists and fences with lines),
`sections` (which phase, stream, sync point or gate they belong to), `content` and `labels` (keys
and stages), `assemble` (the plan).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pytest_phases.errors import Problem
from pytest_phases.model import Plan
from pytest_phases.plan import values
from pytest_phases.plan.assemble import assemble
from pytest_phases.plan.blocks import Block, read_blocks
from pytest_phases.plan.content import read_section
from pytest_phases.plan.draft import PlanDraft, Report, UnitDraft
from pytest_phases.plan.sections import Outline, lookalike, outline


def read_markdown(text: str, file: str) -> tuple[Plan, tuple[Problem, ...]]:
    """The plan that a Markdown text describes and what is wrong with it.

    `file` is the plan as the user named it. Whatever the text, nothing is raised: what cannot be
    read is a problem and missing from the plan. Whether dependencies are known is left to `check`.
    """
    blocks = read_blocks(text)
    report = Report(file)
    draft, headings = _read(blocks, report, ())
    # Only the dependencies tell which headings were meant as phases, and those may depend on others.
    while (named := _named(draft)) and named.intersection(headings.colonless):
        report = Report(file)
        draft, headings = _read(blocks, report, named)
    return assemble(draft, report), tuple(report.problems)


def _read(blocks: Sequence[Block], report: Report, named: Collection[str]) -> tuple[PlanDraft, Outline]:
    headings = outline(blocks, report, named)
    prose = [note for section in headings.sections for note in read_section(section, report)]
    draft = PlanDraft(headings.title, headings.units, prose, headings.plan.given, lookalike(blocks))
    return draft, headings


def _named(draft: PlanDraft) -> set[str]:
    """The phases that dependencies of a draft name."""
    return {dep.split("/")[0] for unit in draft.units for dep in _dependencies(unit)}


def _dependencies(unit: UnitDraft) -> tuple[str, ...]:
    given = unit.given.get("dependencies")
    return values.ids(given.texts) if given else ()
