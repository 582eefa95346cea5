"""Thresholds that could say nothing are told before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

from pytest_phases.coverage.analysis import Sources
from pytest_phases.coverage.check import problems
from pytest_phases.plan.markdown import read_markdown

Make = Callable[[Mapping[str, str]], Path]
FILES = {
    "src/a.py": "a = 1\n",
    "src/b/__init__.py": "",
    "src/c.py": "def f():  # pragma: no cover\n    return 1\n",
    "src/bad.py": "def f(:\n",
    "docs/index.md": "prose\n",
}
NONE = frozenset[str]()


def told(
    root: Path, text: str, changing: frozenset[str] = NONE, **options: Any
) -> list[tuple[str, int, str]]:
    """The problems as (slug, line, message)."""
    plan, mistakes = read_markdown(text, "plan.md")
    assert not mistakes
    sources = Sources(root, Coverage(data_file=None, config_file=False, **options))
    found = problems(plan, sources, changing.__contains__)
    return [(each.slug, each.place.line if each.place else 0, each.message) for each in found]


CASES: dict[str, tuple[str, dict[str, Any], list[tuple[str, int]]]] = {
    "nothing is wrong": ("### Phase 1: A\ncovers: [src/a.py]\ncoverage: 85\n", {}, []),
    "a folder with one statement is enough": ("### Phase 1: A\ncovers: [src]\ncoverage: 85\n", {}, []),
    "no threshold, no problem": ("### Phase 1: A\ncovers: [docs]\n", {"source": ["src"]}, []),
    "no Python": (
        "### Phase 1: A\ncovers: [docs]\ncoverage: 85\n",
        {},
        [("covers-nothing-measured", 2)],
    ),
    "all of it omitted": (
        "### Phase 1: A\ncovers: [src/a.py]\ncoverage: 85\n",
        {"omit": ["src/a.py"]},
        [("covers-nothing-measured", 2)],
    ),
    "an empty file and an excluded function": (
        "### Phase 1: A\ncovers: [src/b, src/c.py]\ncoverage: 85\n",
        {},
        [("covers-nothing-measured", 2)] * 2,
    ),
    "what cannot be parsed is left to the judgement": (
        "### Phase 1: A\ncovers: [src/bad.py]\ncoverage: 85\n",
        {},
        [],
    ),
    "each entry is looked at": (
        "### Phase 1: A\ncovers: [src, docs]\ncoverage: 85\n",
        {},
        [("covers-nothing-measured", 2)],
    ),
    "a stream's covers, once for all thresholds": (
        "### Phase 1: A\ncoverage: 85\n#### Stream A: X\ncovers: [docs]\n### Sync: S\ncoverage: 80\n"
        "### Gate: G\ncoverage: 80\n",
        {},
        [("covers-nothing-measured", 4)],
    ),
    "covers of phases that only a sync point judges": (
        "### Phase 1: A\ncovers: [docs]\n### Phase 2: B\ncovers: [src]\n### Sync: S\ncoverage: 80\n"
        "### Phase 3: C\ncovers: [docs]\n",
        {},
        [("covers-nothing-measured", 2)],
    ),
    "neither covers nor a source": (
        "### Phase 1: A\ncoverage: 85\n### Sync: S\ncoverage: 80\n### Gate: G\ncoverage: 90\n",
        {},
        [("coverage-without-source", 2), ("coverage-without-source", 3), ("coverage-without-source", 6)],
    ),
    "a source is enough": ("### Phase 1: A\ncoverage: 85\n", {"source": ["src"]}, []),
    "a source without a statement is not": (
        "### Phase 1: A\ncoverage: 85\n",
        {"source": ["src/b"]},
        [("coverage-without-source", 2)],
    ),
    "a source that is not there": (
        "### Phase 1: A\ncoverage: 85\n",
        {"source": ["no_such_package"]},
        [("coverage-without-source", 2)],
    ),
    "a phase without covers beside others needs none": (
        "### Phase 1: A\n### Phase 2: B\ncovers: [src]\n### Sync: S\ncoverage: 80\n",
        {},
        [],
    ),
    "covers outside of the source": (
        "### Phase 1: A\ncovers: [src/a.py]\ncoverage: 85\n",
        {"source": ["docs"]},
        [("covers-not-measured", 2)],
    ),
    "covers outside of what is included": (
        "### Phase 1: A\ncovers: [src/a.py]\ncoverage: 85\n",
        {"include": ["docs/*"]},
        [("covers-not-measured", 2)],
    ),
}


@pytest.mark.parametrize(("text", "options", "expected"), CASES.values(), ids=CASES)
def test_what_is_wrong_with_thresholds(
    text: str, options: dict[str, Any], expected: list[tuple[str, int]], make: Make
) -> None:
    """The table is the specification."""
    assert [(slug, line) for slug, line, _ in told(make(FILES), text, **options)] == expected


def test_what_a_stage_may_still_make_is_not_looked_at(make: Make) -> None:
    """A threshold is left out if that is so of any phase or stream that counts for it.

    But for the source that nobody has configured: no stage makes a configuration.
    """
    root = make(FILES)
    text = (
        "### Phase 1: A\n#### Stream A: X\ncovers: [docs]\ncoverage: 80\n### Phase 2: B\ncoverage: 80\n"
        "### Sync: S\ncoverage: 80\n"
    )

    assert [line for _, line, _ in told(root, text)] == [3, 6]
    assert [line for _, line, _ in told(root, text, frozenset(["1/A"]))] == [6]
    assert [line for _, line, _ in told(root, text, frozenset(["2"]))] == [3, 6]
    assert [line for _, line, _ in told(root, text, frozenset(["1/A", "2"]))] == [6]


@pytest.mark.parametrize(
    ("covers", "options", "message"),
    [
        ("[docs]", {}, "phase 1: covers: `docs` leaves no file to measure; name Python files"),
        ("[src/b]", {}, "phase 1: covers: `src/b` has no statement in it; name Python files"),
        ("[src]", {"source": ["docs"]}, "phase 1: covers: `src` matches src/a.py and 3 more, which the"),
        ("[src/a.py]", {"source": ["docs"]}, "phase 1: covers: `src/a.py` matches src/a.py, which the"),
        (
            "[]",
            {},
            "phase 1 states a threshold, but coverage.py is not told what to measure; write `covers:`",
        ),
    ],
)
def test_the_messages_say_what_to_write(
    covers: str, options: dict[str, Any], message: str, make: Make
) -> None:
    """Where, what is wrong, and what to write instead."""
    text = f"### Phase 1: A\ncovers: {covers}\ncoverage: 85\n"
    ((_, _, found),) = told(make(FILES), text, **options)

    assert found.startswith(message)
    assert "[tool.coverage.run]" in found or "what the coverage configuration omits" in found


def test_nothing_of_coverage_is_left_behind(make: Make) -> None:
    """Neither a data file nor a running measurement."""
    root = make(FILES)
    before = Coverage.current()
    told(root, "### Phase 1: A\ncovers: [src/a.py]\ncoverage: 85\n")
    sources = Sources(root, Coverage())

    assert sources.has_statement(sources.files(["src/a.py"]))
    assert Coverage.current() is before
    assert sorted(path.name for path in root.iterdir()) == ["docs", "src"]
