"""What looks like prose and was not meant so, and every other mistake that reading a plan tells."""

from __future__ import annotations

import pytest

from pytest_phases.errors import Problem
from pytest_phases.plan.markdown import read_markdown

FENCE = ["```", "make", "```"]


def problems_of(*lines: str) -> tuple[Problem, ...]:
    """What is wrong with the plan of these lines."""
    return read_markdown("\n".join(lines), "plan.md")[1]


def below_heading(*lines: str) -> list[tuple[str, int | None]]:
    """Slug and line of what is wrong below the heading of a phase, which is on line 1."""
    problems = problems_of("### Phase 1: A", *lines)
    return [(problem.slug, problem.place.line if problem.place else None) for problem in problems]


@pytest.mark.parametrize(
    ("lines", "slug", "line"),
    [
        (["dependencies: []", "---"], "key-in-heading", 2),
        (["dependencies:", "-"], "key-in-heading", 2),
        (["Owner: me", "coverage: 80", "==="], "key-in-heading", 3),
        (["#### coverage: 85"], "key-in-heading", 2),
        (["    dependencies: []"], "hidden-key", 2),
        (["```yaml", "name: x", "dependencies:", "  - 1", "```"], "hidden-key", 4),
        (["- dependencies: []"], "hidden-key", 2),
        (["coverage: 80", "", "* one", "* **Timeout**: 10m"], "hidden-key", 5),
        (["dependencies:"], "key-without-value", 2),
        (["coverage:", "", "Prose."], "key-without-value", 2),
        (["tests:", "- [ ] a checklist"], "key-without-value", 2),
        (["coverage: 80", "serial: true", "Coverage: 90"], "duplicate-key", 4),
        (["deps: []", "dependencies: []"], "duplicate-key", 3),
        (["dependancies: [1]"], "misspelled-key", 2),
        (["**Covrage**: 80"], "misspelled-key", 2),
        (["dep: []"], "misspelled-key", 2),
        (["locsk: [db]"], "misspelled-key", 2),
        (["tset: [a.py]"], "misspelled-key", 2),
        (["test: [a.py]"], "misspelled-key", 2),
        (["modifes:", "- src"], "misspelled-key", 2),
        (["needs: [1]"], "misplaced-key", 2),
        (["needs: 1, 2"], "misplaced-key", 2),
        (["**Needs**: Phase 1"], "misplaced-key", 2),
        (["depends: [1]"], "misspelled-key", 2),
        (["depends_on: build"], "misspelled-key", 2),
        (["depends-on:", "- 1"], "misspelled-key", 2),
        (["requires_phase: 1"], "misspelled-key", 2),
        (["tests [tests/unit]"], "key-without-colon", 2),
        (["coverage: 80", "**Tests** = [tests/unit]"], "key-without-colon", 3),
        (["dependencies [1]"], "key-without-colon", 2),
        (["coverage = 85", "", "Words."], "key-without-colon", 2),
        (["Build:", "timeout = 5m", *FENCE], "key-without-colon", 3),
        (["### Gate: g", "approvals [me]"], "key-without-colon", 3),
        (["approvals: [me]"], "misplaced-key", 2),
        (["allow_empty: true"], "misplaced-key", 2),
        (["approvals_signers: keys"], "misplaced-key", 2),
        (["### Gate: g", "allow-empty: [1]"], "misspelled-key", 3),
        (["### Gate: g", "approval_signers: keys"], "misspelled-key", 3),
        (["### Gate: g", "approvals_signers: [a, b]"], "not-one-value", 3),
        (["### Gate: g", "approvals: [a, , b]"], "empty-entry", 3),
        (["### Gate: g", 'approvals: [a, " "]'], "empty-entry", 3),
        (["cwd: pkg"], "misplaced-key", 2),
        (["Build: x", "coverage: 85", *FENCE], "misplaced-key", 3),
        (["### Sync: s", "timeout: 10m"], "misplaced-key", 3),
        (["Prose.", "", "coverage: 85"], "late-key", 4),
        (["Prose.", "dependencies: Phase 1"], "late-key", 3),
        (["tests:", "- a.py", "  or b.py"], "continued-entry", 4),
        (["tests:", "- a.py", "Build:", *FENCE], "continued-entry", 4),
        (["- [ ] a", "Testing:", *FENCE], "swallowed-label", 3),
        (["Build: x", "needs: [y]", "", "Prose."], "label-without-fence", 2),
        (["Build: x", "timeout: 5m", "", "Prose."], "label-without-fence", 2),
        (["Build: tables", "They are made here.", "", *FENCE], "label-without-fence", 2),
        (["Tests:", "Two lines", "of prose.", *FENCE], "label-without-fence", 2),
        (["Buidl: tables", *FENCE], "misspelled-label", 2),
        (["Words.", "", "**Tesing**:", "", *FENCE], "misspelled-label", 4),
        (["Testin: x", "timeout: 5m", *FENCE], "misspelled-label", 2),
        (["Build tables", *FENCE], "misspelled-label", 2),
        (["**Testing**", "", *FENCE], "misspelled-label", 2),
        (["Words.", "", "Test end-to-end", *FENCE], "misspelled-label", 4),
        (["### Gate: g", "Delpoy:", *FENCE], "misspelled-label", 3),
        (["Build:", "need: [y]", *FENCE], "misspelled-key", 3),
        (["Build:", "dependencies: [1]", *FENCE], "misplaced-key", 3),
        (["Build:", "```ruby", "make", "```"], "unknown-language", 3),
        (["Build:", "```", "# only this", "", "```"], "empty-stage", 2),
        (["Build:", "```", "x" * 100_001, "```"], "large-stage", 3),
        (["Build:", "```", "make"], "open-fence", 3),
        (["Build: a", *FENCE, "Build: a", *FENCE], "duplicate-stage", 6),
        (["Build: a b", *FENCE, "Build: A-B", *FENCE], "duplicate-stage", 6),
        (["Build:", "needs: [x]", *FENCE], "unknown-need", 3),
        (["Build: a", *FENCE, "Test: a", *FENCE, "Build:", "needs: a", *FENCE], "unknown-need", 11),
        (["Test: a", "```", "pytest", "```", "Build:", "needs: a", *FENCE], "unknown-need", 7),
        (["Build: a", "needs: b", *FENCE, "Build: b", "needs: a", *FENCE], "cyclic-needs", 3),
        (["Build: a", "needs: a", *FENCE], "cyclic-needs", 3),
        (["Test:", "cwd: x", "```", "pytest a.py", "```"], "key-of-selected-tests", 3),
        (["Deploy:", *FENCE], "misplaced-label", 2),
        (["#### Stream A: x", "##### Stream B: y"], "misplaced-stream", 3),
        (["### Stream A: x"], "misplaced-stream", 2),
        (["### Gate: g", "Build:", *FENCE], "misplaced-label", 3),
        (["### Sync: s", "Testing:", *FENCE], "misplaced-label", 3),
        (["### Gate: g", "#### Stream A: x"], "misplaced-stream", 3),
        (["### Gate: g", "### Gate: h"], "second-gate", 3),
        (["### Phase 2/3: x"], "bad-id", 2),
        (["coverage: 0"], "bad-threshold", 2),
        (["coverage: 101"], "bad-threshold", 2),
        (["serial: perhaps"], "bad-boolean", 2),
        (["timeout: soon"], "bad-duration", 2),
        (["timeout: 1m, 2m"], "not-one-value", 2),
        (["tests: [a.py"], "unclosed", 2),
        (["tests: ['a.py]"], "unclosed", 2),
        (["tests: [a.py,, b.py]"], "empty-entry", 2),
        (["tests: [a.py] and more"], "bad-list", 2),
        (["tests: [-x]"], "bad-selector", 2),
        (["tests:", "- a.py", '- "a\\q"'], "bad-string", 4),
        (["locks: [a\x1bb]"], "control-character", 2),
        (["serialise: true"], "misspelled-key", 2),
        (["enforced: true"], "misspelled-key", 2),
        (["serialize: perhaps"], "bad-boolean", 2),
        (["enforce: perhaps"], "bad-boolean", 2),
        (["Prose.", "", "enforce: true"], "late-key", 4),
        (["Prose.", "", "**Serialize**: True"], "late-key", 4),
        (["Prose.", "", "coverage: ratchet"], "late-key", 4),
        (["- serialize: true"], "hidden-key", 2),
        (["enforce = true"], "key-without-colon", 2),
        (["serialize: true", "---"], "key-in-heading", 2),
        (["#### enforce: false"], "key-in-heading", 2),
        (["coverage: ratchets"], "bad-threshold", 2),
        (["### Sync: s", "coverage: ratchet"], "bad-threshold", 3),
        (["### Gate: g", "coverage: ratchet"], "bad-threshold", 3),
        (["### Sync: s", "serialize: true"], "misplaced-key", 3),
        (["### Gate: g", "enforce: true"], "misplaced-key", 3),
        (["Build:", "serialize: true", *FENCE], "misplaced-key", 3),
        (["env: [CC]"], "misplaced-key", 2),
        (["### Gate: g", "locks: [db]"], "misplaced-key", 3),
        (["Build:", "env: [CC, -O2]", *FENCE], "bad-variable", 3),
        (["Build:", "env:", "- CC", "- CFLAGS=-O2", *FENCE], "bad-variable", 5),
        (["Build:", "envs: [CC]", *FENCE], "misspelled-key", 3),
        (["Build:", "modifes: [dist]", *FENCE], "misspelled-key", 3),
        (["Test:", "locks: [db]", "```", "pytest a.py", "```"], "key-of-selected-tests", 3),
        (["Test:", "env: [CC]", "```", "pytest a.py", "```"], "key-of-selected-tests", 3),
    ],
)
def test_a_mistake_has_a_slug_and_a_line(lines: list[str], slug: str, line: int) -> None:
    """Each is told once, where it stands."""
    assert below_heading(*lines) == [(slug, line)]


@pytest.mark.parametrize(
    "lines",
    [
        ["Prose.", "", "Coverage: what we measure"],
        ["Prose.", "", "Tests: all of them"],
        ["- Tests: write more of them"],
        ["- Coverage: as it was"],
        ["Tasks:", "- dependencies: install them"],
        ["Steps: one, two"],
        ["Docs: later"],
        ["Tasks:", "- [ ] one"],
        ["Testing: by hand"],
        ["Build:", "- step"],
        ["#### Coverage: what we measure"],
        ["```python", "tests: list[str] = []", "```"],
        ["https://example.org"],
        ["#### Phase overview"],
        ["## Phase 1 in numbers", "Tests: all of them"],
        ["## Stream A: what came of it"],
        ["Prose", "---"],
        ["Needs: Docker"],
        ["Needs: none"],
        ["Needs:", "- Docker"],
        ["Depends: on the weather"],
        ["Reads [the guide](guide.md)"],
        ["tests == [1]"],
        ["Prose.", "", "tests [tests/unit]"],
        ["Testing: by hand", "", "Words.", "", "```text", "x", "```"],
        ["## Phase 1 in numbers: a table", "Text."],
        ["#### Phase 2 in detail", "Build:", *FENCE],
        ["Env: staging"],
        ["Env:", "- staging"],
        ["Force: none is needed"],
        ["Prose.", "", "Serialize: the results first"],
        ["Prose.", "", "Enforce: the rules"],
        ["Prose.", "", "Coverage: ratchet up"],
        ["- Serialize: the results"],
        ["- Enforce: as always"],
    ],
)
def test_prose_is_left_alone(lines: list[str]) -> None:
    """Words that plans use anyway are no mistakes."""
    assert below_heading(*lines) == []


@pytest.mark.parametrize(
    ("lines", "slug", "line"),
    [
        (["# Title", "enforce: yes"], "bad-boolean", 2),
        (["# Title", "enforce: true or not"], "bad-boolean", 2),
        (["# Title", "enforce: [true, false]"], "not-one-value", 2),
        (["# Title", "enforced: true"], "misspelled-key", 2),
        (["# Title", "Owner: me", "", "enforce: true", "enforce: true"], "duplicate-key", 5),
        (["# Title", "enforce = true"], "key-without-colon", 2),
        (["# Title", "enforce: true", "---"], "key-in-heading", 2),
        (["# Title", "## enforce: true"], "key-in-heading", 2),
        (["# Title", "- enforce: true"], "hidden-key", 2),
        (["# Title", "```yaml", "enforce: true", "```"], "hidden-key", 3),
        (["# Title", "Prose.", "", "enforce: true"], "late-key", 4),
        (["# Title", "", "## Rules", "enforce: true"], "late-key", 4),
        (["enforce: true", "", "# Title"], "late-key", 1),
        (["enforce: true"], "late-key", 1),
    ],
)
def test_a_mistake_below_the_title(lines: list[str], slug: str, line: int) -> None:
    """The one key of the plan as a whole is missed in the same ways as others."""
    found = [
        (problem.slug, problem.place and problem.place.line)
        for problem in problems_of(*lines, "", "### Phase 1: A")
    ]
    assert (slug, line) == found[0]
    assert {slug for slug, _ in found} <= {slug, "late-key"}


@pytest.mark.parametrize(
    "lines",
    [
        ["# Title", "Enforce: the rules of the house"],
        ["# Title", "Enforce:", "- the rules"],
        ["# Title", "Enforce: strictly"],
        ["# Title", "Enforce: no direct pushes"],
        ["# Title", "Enforce: [the rules](rules.md)"],
        ["# Title", "Enforced: by everyone"],
        ["# Title", "Enforce: the rules", "---"],
        ["# Title", "Dependencies: [Docker]", "coverage: 85", "Serial: true", "Timeout: 10m"],
        ["# Title", "**Dependencies**: none", "Depends on: nothing", "Needs: 1"],
        ["# Title", "dependencies [1]"],
        ["# Title", "Build:", *FENCE],
        ["# Title", "Buidl:", *FENCE],
        ["# Title", "Prose.", "", "coverage: 85"],
        ["# Title", "- coverage: 85"],
        ["# Title", "coverage: 85", "---"],
        ["Enforce: the rules", "", "## Overview", "Enforce: them"],
    ],
)
def test_prose_below_the_title_is_left_alone(lines: list[str]) -> None:
    """It has a single key, and whatever else a plan begins with is no mistake."""
    plan, problems = read_markdown("\n".join([*lines, "", "### Phase 1: A"]), "plan.md")
    assert problems == ()
    assert not plan.enforce


@pytest.mark.parametrize(
    "heading",
    ["### Phase 2 Build", "### Phase 2 - Build", "### Phase 2. Build", "### Phase 2", "Phase 2 Build\n---"],
)
def test_a_phase_without_a_colon_that_a_dependency_names(heading: str) -> None:
    """The dependency shows what the heading was meant to be; nothing else is said about it."""
    problems = problems_of("### Phase 1: A", heading, "", "### Phase 3: C", "deps: [1, 2/A]")
    assert [(problem.slug, problem.place and problem.place.line) for problem in problems] == [
        ("missing-colon", 2)
    ]
    assert "Phase 2:" in problems[0].message


def test_a_phase_without_a_colon_that_has_keys() -> None:
    """Keys below it show the same, although no dependency names it."""
    problems = problems_of("## Phase 1: A", "## Phase two (late)", "deps: [1]")
    assert [(problem.slug, problem.place and problem.place.line) for problem in problems] == [
        ("missing-colon", 2)
    ]


@pytest.mark.parametrize(
    "proof",
    [
        ["tests: [a.py]"],
        ["Owner: me", "tests: [a.py]"],
        ["Words.", "", "Build: x", *FENCE],
        ["Testing:", "timeout: 5m", *FENCE],
    ],
)
def test_every_phase_without_a_colon_is_told_at_once(proof: list[str]) -> None:
    """A key or a stage is proof, and what such a phase depends on is proof of another."""
    problems = problems_of(
        "### Phase 0 Plan", "", "### Phase 1 Set-up", "deps: [0]", "### Phase two Build", *proof
    )
    assert [(problem.slug, problem.place and problem.place.line) for problem in problems] == [
        ("missing-colon", 1),
        ("missing-colon", 3),
        ("missing-colon", 5),
    ]


@pytest.mark.parametrize("below", ["tests: [tests/unit]", "\n### Phase 3: Last\ndeps: [unit-tests]"])
def test_an_id_with_a_space_gets_a_hyphen(below: str) -> None:
    """The first word alone would be another id."""
    (problem,) = problems_of("### Phase unit tests: Unit tests", below)
    assert (problem.slug, str(problem.place)) == ("bad-id", "plan.md:1")
    assert "`unit tests` has a space" in problem.message
    assert "write `### Phase unit-tests: Unit tests`" in problem.message


def test_an_id_with_a_space_that_nothing_proves_is_noted() -> None:
    """It may be prose about phases."""
    plan, problems = read_markdown("## Phase 1: A\ntests: [a]\n\n## Phase unit tests: All\n", "plan.md")
    assert problems == ()
    assert [note.place.line for note in plan.notes] == [4]


def test_a_phase_without_a_colon_that_nothing_names_is_noted() -> None:
    """It is prose, as the grammar says, and `check` mentions it."""
    plan, problems = read_markdown("## Phase 1: A\ntests: [a]\n## Phase 2 later\n", "plan.md")
    assert problems == ()
    assert [note.place.line for note in plan.notes] == [3]


@pytest.mark.parametrize("text", ["", "\n\n", "# Only a title\n\nand prose\n", "## Phases\n"])
def test_a_plan_without_a_phase_says_how_to_write_one(text: str) -> None:
    """Nothing would run, and the user meant something to."""
    (problem,) = read_markdown(text, "plan.md")[1]
    assert (problem.slug, str(problem.place)) == ("no-phase", "plan.md:1")
    assert "## Phase 1: Setup" in problem.message


@pytest.mark.parametrize(
    ("lookalike", "instead"),
    [
        ("### 1. Build", "### Phase 1: Build"),
        ("## 2) Build", "## Phase 2: Build"),
        ("### Phase: Build", "### Phase 1: Build"),
        ("### Step 3: Build", "### Phase 3: Build"),
        ("### Phase 1 Build", "### Phase 1: Build"),
        ("### Phase unit tests: All", "### Phase unit-tests: All"),
        ("**Phase 1: Build**", "### Phase 1: Build"),
        ("**Phase 1:** Build", "### Phase 1: Build"),
    ],
)
def test_a_plan_without_a_phase_names_what_looks_like_one(lookalike: str, instead: str) -> None:
    """The first such line is the mistake, more likely than not."""
    (problem,) = problems_of("# Plan", "", lookalike, "", "### 9. Later")
    assert (problem.slug, str(problem.place)) == ("no-phase", "plan.md:3")
    assert problem.message == f"the plan has no phase, and `{lookalike}` is none; write `{instead}`"


def test_a_sync_point_stands_below_a_phase() -> None:
    """Above all phases there is nothing to wait for."""
    problems = problems_of("## Sync: s", "## Phase 1: A")
    assert [(problem.slug, problem.place and problem.place.line) for problem in problems] == [
        ("empty-sync", 1)
    ]


def test_all_mistakes_are_told_at_once() -> None:
    """One look at the plan finds them all."""
    found = below_heading("covrage: 1", "timeout: x", "serial: 2", "Build:", "```ruby", "x", "```")
    assert [slug for slug, _ in found] == [
        "misspelled-key",
        "unknown-language",
        "bad-boolean",
        "bad-duration",
    ]


def test_a_message_names_the_nearest_word() -> None:
    """What to write stands in the message."""
    messages = [
        problem.message
        for problem in problems_of(
            "## Phase 1: A", "requirs: [cmd:npm]", "Build: wheel", *FENCE, "Test:", "needs: [whel]", *FENCE
        )
    ]
    assert "did you mean `requires`?" in messages[0]
    assert "did you mean `wheel`?" in messages[1]


def test_control_characters_of_a_plan_do_not_reach_the_message() -> None:
    """A plan that nobody trusts yet must not steer the terminal."""
    (problem,) = problems_of(
        "## Phase 1: A", "Build: \x1b[2J", "```ruby", "x", "```", "## Phase 2: B", "deps: []"
    )
    assert "\x1b" not in str(problem)
