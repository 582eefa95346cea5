"""Which files a threshold is about, and whose tests count for it."""

from __future__ import annotations

import pytest

from pytest_phases.coverage.scope import SOURCE, judged, phase_covers, together
from pytest_phases.plan.markdown import read_markdown

Row = tuple[str, str, float, tuple[str, ...], tuple[str, ...]]


def targets(text: str) -> list[Row]:
    """The thresholds of a plan in Markdown as (id, kind, required, covers, phases)."""
    plan, problems = read_markdown(text, "plan.md")
    assert not problems
    return [(each.id, each.kind, each.required, each.covers, each.phases) for each in judged(plan)]


CASES = {
    "nothing is judged without a threshold": ("### Phase 1: A\ncovers: [a]\n### Sync: S\n### Gate: G\n", []),
    "a phase answers for its covers": (
        "### Phase 1: A\ncovers: [a, b]\ncoverage: 85\n",
        [("1", "phase", 85, ("a", "b"), ("1",))],
    ),
    "without covers it answers for the configured source": (
        "### Phase 1: A\ncoverage: 85\n",
        [("1", "phase", 85, (), ("1",))],
    ),
    "a phase answers for its streams, each of which is judged for its own covers": (
        "### Phase 1: A\ncoverage: 85\n#### Stream A: X\ncovers: [a]\n#### Stream B: Y\ncovers: [b, a]\n"
        "#### Stream C: Z\n",
        [
            ("1/A", "stream", 85, ("a",), ("1/A",)),
            ("1/B", "stream", 85, ("b", "a"), ("1/B",)),
            ("1", "phase", 85, ("a", "b"), ("1", "1/A", "1/B", "1/C")),
        ],
    ),
    "covers of the phase itself are all that it answers for": (
        "### Phase 1: A\ncoverage: 85\ncovers: [src]\n#### Stream A: X\ncovers: [src/a]\n",
        [("1/A", "stream", 85, ("src/a",), ("1/A",)), ("1", "phase", 85, ("src",), ("1", "1/A"))],
    ),
    "a stream's own threshold comes before its phase's": (
        "### Phase 1: A\ncoverage: 85\n#### Stream A: X\ncovers: [a]\ncoverage: 70\n",
        [("1/A", "stream", 70, ("a",), ("1/A",)), ("1", "phase", 85, ("a",), ("1", "1/A"))],
    ),
    "a stream is judged though its phase states no threshold": (
        "### Phase 1: A\n#### Stream A: X\ncovers: [a]\ncoverage: 1\n#### Stream B: Y\ncovers: [b]\n",
        [("1/A", "stream", 1, ("a",), ("1/A",))],
    ),
    "a stream with a threshold but no covers answers for what its phase does": (
        "### Phase 1: A\ncovers: [p]\n#### Stream A: X\ncoverage: 70\n",
        [("1/A", "stream", 70, ("p",), ("1/A",))],
    ),
    "a sync point answers for the phases above it and nothing else": (
        "### Phase 1: A\ncovers: [a]\n### Phase 2: B\n#### Stream A: X\ncovers: [b]\n"
        "### Sync: S\ncoverage: 80\n### Phase 3: C\ncovers: [c]\n### Sync: T\ncoverage: 90\n",
        [
            ("sync:1", "sync point", 80, ("a", "b"), ("1", "2", "2/A")),
            ("sync:2", "sync point", 90, ("a", "b", "c"), ("1", "2", "2/A", "3")),
        ],
    ),
    "ids of sync points count those without a threshold": (
        "### Phase 1: A\ncovers: [a]\n### Sync: S\n### Phase 2: B\ncovers: [b]\n### Sync: T\ncoverage: 90\n",
        [("sync:2", "sync point", 90, ("a", "b"), ("1", "2"))],
    ),
    "a phase without covers adds the configured source": (
        "### Phase 1: A\ncovers: [a]\n### Phase 2: B\n### Sync: S\ncoverage: 80\n",
        [("sync:1", "sync point", 80, ("a", SOURCE), ("1", "2"))],
    ),
    "phases without any covers answer for the configured source alone": (
        "### Phase 1: A\n### Phase 2: B\n### Sync: S\ncoverage: 80\n",
        [("sync:1", "sync point", 80, (), ("1", "2"))],
    ),
    "the gate answers for all phases, and every test counts": (
        "### Phase 1: A\ncovers: [a]\n### Phase 2: B\n#### Stream A: X\ncovers: [b]\n"
        "### Gate: G\nphases: [1]\ncoverage: 85\n",
        [("gate", "gate", 85, ("a", "b"), ("1", "2", "2/A", "unphased"))],
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_the_thresholds_of_a_plan(text: str, expected: list[Row]) -> None:
    """The table is the specification."""
    assert targets(text) == expected


def test_a_threshold_knows_where_it_is_stated() -> None:
    """The line of the key; for a stream that inherits it, the line in its phase."""
    plan, _ = read_markdown(
        "### Phase 1: A\ncoverage: 85\n#### Stream A: X\ncovers: [a]\n#### Stream B: Y\ncovers: [b]\n"
        "coverage: 5\n### Gate: G\ncoverage: 90\n",
        "plan.md",
    )

    assert [(each.id, each.place.line) for each in judged(plan)] == [
        ("1/A", 2),
        ("1/B", 7),
        ("1", 2),
        ("gate", 9),
    ]


def test_the_same_entry_counts_once() -> None:
    """In the order of the plan."""
    plan, _ = read_markdown("### Phase 1: A\ncovers: [b, a]\n### Phase 2: B\ncovers: [a, c]\n", "plan.md")

    assert together(plan.phases) == ("b", "a", "c")
    assert together(plan.phases[1:]) == phase_covers(plan.phases[1]) == ("a", "c")
