"""Whether a plan makes sense, by itself and on a disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_phases.claims import overlap
from pytest_phases.model import Phase, Place, Plan
from pytest_phases.plan.checks import check, check_files
from pytest_phases.plan.markdown import read_markdown

FENCE = ["", "Build:", "```", "make", "```"]


def read(*lines: str) -> Plan:
    """The plan of these lines, which is well written."""
    plan, problems = read_markdown("\n".join(lines), "plan.md")
    assert problems == ()
    return plan


def told(*lines: str) -> list[str]:
    """What is said about the plan of these lines."""
    return [str(problem) for problem in check(read(*lines))]


def slugs(*lines: str) -> list[str]:
    """The kinds of what is said about the plan of these lines."""
    return [problem.slug for problem in check(read(*lines))]


def test_a_sensible_plan() -> None:
    """Nothing is said about it."""
    assert told("## Phase 1: A", "## Phase 2: B", "deps: [1]", "## Gate: G", "phases: [2]") == []


def test_an_id_stands_once() -> None:
    """The second place names the first; streams are told apart by their phases."""
    (message,) = told("## Phase 1: A", "### Stream A: x", "## Phase 2: B", "### Stream A: y", "## Phase 1: C")
    assert message.startswith("plan.md:5: phase 1 is also on line 1;")
    assert slugs("## Phase 1: A", "### Stream A: x", "### Stream A: y") == ["duplicate-id"]


@pytest.mark.parametrize("name", ["unphased", "Unphased", "none"])
def test_some_words_are_no_id(name: str) -> None:
    """They mean something else already."""
    assert slugs(f"## Phase {name}: A") == ["reserved-id"]


def test_an_unknown_dependency_names_the_nearest() -> None:
    """The message stands at the key, not at the heading."""
    (message,) = told("## Phase build: A", "deps: []", "## Phase test: B", "coverage: 80", "deps: [biuld]")
    assert message.startswith(
        "plan.md:5: phase test depends on `biuld`, which is no phase; did you mean `build`?"
    )


@pytest.mark.parametrize(
    ("dep", "advice"),
    [
        ("Build", "which is the name of phase 1; write 1"),
        ("command line", "which is the name of stream 1/A; write 1/A"),
        ("7", "which is no phase; known are `1`, `1/A`, `2`, `3`"),
        ("twice", "which is no phase; known are"),
    ],
)
def test_an_unknown_dependency_may_be_a_name(dep: str, advice: str) -> None:
    """A name is no id, and a number is near no other."""
    lines = ("## Phase 1: Build", "### Stream A: Command line", "## Phase 2: Twice", "## Phase 3: Twice")
    (message,) = told(*lines, f"deps: [{dep}]")
    assert message.startswith(f"plan.md:5: phase 3 depends on `{dep}`, {advice}")


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        (["## Phase 2: A", "deps: [4]", "## Phase 4: B", "deps: [2]"], "2 → 4 → 2"),
        (["## Phase 2: A", "deps: [2]"], "2 → 2"),
        (
            ["## Phase 4: A", "deps: [3]", "## Phase 3: A", "deps: [2]", "## Phase 2: B", "deps: [4]"],
            "4 → 3 → 2 → 4",
        ),
        (["## Phase 1: A", "deps: [2]", "## Sync: S", "## Phase 2: B"], "1 → 2 → Sync: S → 1"),
        (["## Phase 1: A", "deps: [2]", "### Stream A: x", "## Phase 2: B", "deps: [1/A]"], "1/A → 2 → 1/A"),
        (
            ["## Phase 1: A", "### Stream A: x", "deps: [B]", "### Stream B: y", "deps: [A]"],
            "1/A → 1/B → 1/A",
        ),
        (["## Phase 1: A", "### Stream A: x", "deps: [A]"], "1/A → 1/A"),
    ],
)
def test_a_cycle_is_told_as_a_path(lines: list[str], path: str) -> None:
    """Sync points and streams take part; the path begins at what stands first and ends where it began."""
    (problem,) = check(read(*lines))
    assert problem.slug == "cycle"
    assert f": {path};" in problem.message


def test_every_cycle_is_told() -> None:
    """Two that have nothing in common are two mistakes."""
    lines = [
        line
        for one, two in ("ab", "cd")
        for line in (f"## Phase {one}: x", f"deps: [{two}]", f"## Phase {two}: y", f"deps: [{one}]")
    ]
    assert slugs(*lines) == ["cycle", "cycle"]


def test_a_stream_depends_on_its_siblings_alone() -> None:
    """What the whole phase needs is written under the phase."""
    plan = ["## Phase 1: A", "deps: []", "## Phase 2: B", "deps: []", "### Stream A: x", "deps: [1]"]
    (message,) = told(*plan)
    assert message.startswith(
        "plan.md:6: stream 2/A depends on `1`, but a stream depends on its siblings alone"
    )
    assert "write `1` under phase 2" in message
    assert slugs(*plan[:-1], "deps: [C]") == ["unknown-dependency"]
    assert slugs(*plan[:-1], "deps: [2]") == ["unknown-dependency"]


@pytest.mark.parametrize(
    ("lines", "clash"),
    [
        (["## Phase 1: A", "deps: []", "modifies: src", "## Phase 2: B", "modifies: src/a"], True),
        (
            ["## Phase 1: A", "deps: []", "modifies: src", "## Phase 2: B", "deps: [1]", "modifies: src"],
            False,
        ),
        (
            ["## Phase 1: A", "deps: []", "modifies: src", "## Sync: S", "## Phase 2: B", "modifies: src"],
            False,
        ),
        (
            ["## Phase 1: A", "deps: []", "modifies: src", "serial: true", "## Phase 2: B", "modifies: src"],
            False,
        ),
        (["## Phase 1: A", "### Stream A: x", "modifies: a", "### Stream B: y", "modifies: [b, ./a/]"], True),
        (
            ["## Phase 1: A", "### Stream A: x", "modifies: a", "### Stream B: y", "deps: A", "modifies: a"],
            False,
        ),
        (["## Phase 1: A", "modifies: src", "### Stream A: x", "modifies: src/a"], False),
        (["## Phase 1: A", "modifies: src", *FENCE, "### Stream A: x", "modifies: src/a"], True),
    ],
)
def test_two_that_may_run_at_once_modify_different_paths(lines: list[str], clash: bool) -> None:
    """An order, a sync point or `serial` keeps them apart; a phase without items only frames its streams."""
    assert slugs(*lines) == (["overlapping-modifies"] if clash else [])


BESIDE = ("## Phase 1: A", "deps: []", "## Phase 2: B")


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (["modifies: src"], ["modifies: src"], True),
        (["modifies: src", "serialize: true"], ["modifies: src"], False),
        (["modifies: src"], ["modifies: src", "serialize: true"], False),
        (["modifies: src", "serialize: false"], ["modifies: src"], True),
        (["modifies: src"], ["reads: src"], False),
        (["reads: src"], ["reads: src"], False),
        (["locks: db"], ["locks: db"], False),
        (["Build:", "modifies: src", *FENCE[2:]], ["modifies: src"], True),
        (["Build:", "modifies: src", *FENCE[2:]], ["Build:", "modifies: src", *FENCE[2:]], True),
        (["serialize: true", "Build:", "modifies: src", *FENCE[2:]], ["modifies: src"], False),
        (["Build: a", "modifies: x", *FENCE[2:], "Build: b", "modifies: x", *FENCE[2:]], [], False),
        (["modifies: x", "Build:", "modifies: x", *FENCE[2:]], ["modifies: x"], True),
        (["serialize: true", "### Stream A: x", "modifies: x"], ["modifies: x"], False),
        (["### Stream A: x", "modifies: x", "### Stream B: y", "modifies: x"], [], True),
        (["serialize: true", "### Stream A: x", "modifies: x", "### Stream B: y", "modifies: x"], [], False),
        (["modifies: x", "### Stream A: x", "Build:", "modifies: x", *FENCE[2:]], [], False),
    ],
)
def test_who_takes_turns_may_modify_the_same(one: list[str], other: list[str], clash: bool) -> None:
    """`serialize` of either is enough, and of a phase is that of its streams; stages count as their phase."""
    head, middle = BESIDE[:2], BESIDE[2]
    assert slugs(*head, *one, middle, *other) == (["overlapping-modifies"] if clash else [])


def test_an_overlap_of_stages_names_the_lines_of_their_keys() -> None:
    """That is where the path is to be divided."""
    stage = ["Build:", "modifies: [dist]", *FENCE[2:]]
    (message,) = told("## Phase 1: A", "deps: []", *stage, "## Phase 2: B", *stage)
    assert message == (
        "plan.md:10: phase 2 modifies `dist` and may run beside phase 1, which modifies `dist` (plan.md:4); "
        "let one depend on the other, divide the path, or write serialize: true to let them take turns "
        "[overlapping-modifies]"
    )


def test_an_overlap_names_both_lines() -> None:
    """Either of the two may be the one to change."""
    (message,) = told("## Phase 1: A", "deps: []", "modifies: [src]", "## Phase 2: B", "modifies: [src/a]")
    assert message.startswith("plan.md:5: phase 2 modifies `src/a`")
    assert "phase 1, which modifies `src` (plan.md:3)" in message


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("src", "src/", True),
        ("src", "src/a/b.py", True),
        ("src/a", "src/ab", False),
        (".", "anything", True),
        ("./a", "a", True),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/a.c", False),
        ("src/*.py", "src/*.c", False),
        ("src/a*", "src/*b", True),
        ("src/a*", "src/b*", False),
        ("**/x.py", "src/a", True),
        ("src/*/a", "src/x/b", False),
        ("src/[ab].py", "src/[bc].py", True),
    ],
)
def test_when_two_paths_overlap(one: str, other: str, expected: bool) -> None:
    """Folders hold what lies below them, and globs overlap unless their fixed ends differ."""
    assert overlap(one, other) is overlap(other, one) is expected


def test_the_gate_looks_at_known_phases() -> None:
    """The nearest is named, at the key."""
    (message,) = told("## Phase build: A", "## Gate: G", "coverage: 80", "phases: [buid]")
    assert message.startswith("plan.md:4: the gate looks at `buid`, which is no phase; did you mean `build`?")


def test_the_gate_allows_known_phases_to_be_empty() -> None:
    """Streams and the unphased tests are known too; the message stands at the key."""
    plan = ("## Phase build: A", "### Stream X: x", "## Gate: G")
    assert told(*plan, "allow_empty: [build, build/X, unphased]") == []
    (message,) = told(*plan, "coverage: 80", "allow_empty: [buid]")
    assert message.startswith(
        "plan.md:5: the gate allows to be empty `buid`, which is no phase; did you mean `build`?"
    )


def test_an_unknown_phase_of_the_gate_is_told_once() -> None:
    """`true` stands for the phases of the gate, wrong ones among them."""
    assert slugs("## Phase 1: A", "## Gate: G", "phases: [7]", "allow_empty: true") == ["unknown-phase"]


def test_an_approval_is_asked_for_once() -> None:
    """Whoever names one twice would get by with one agreement."""
    (message,) = told("## Phase 1: A", "## Gate: G", "approvals: [me, you, me]")
    assert message == (
        "plan.md:3: the gate asks for the approval `me` 2 times; name each approval once [duplicate-approval]"
    )


def test_prerequisites_are_well_formed() -> None:
    """Their mistakes are told together with all others."""
    assert slugs("## Phase 1: A", "requires: [nothing]", "deps: [2]") == [
        "unknown-dependency",
        "bad-prerequisite",
    ]


def test_a_plan_with_markers_is_checked_as_well() -> None:
    """Phases may come from elsewhere, and a message names their place."""
    plan = read("## Phase 1: A")
    marked = Phase("2", "", Place("tests/test_a.py", 7), deps=("3",), states_deps=True)
    (problem,) = check(replace(plan, phases=(*plan.phases, marked)))
    assert str(problem).startswith("tests/test_a.py:7: phase 2 depends on `3`")


def on_disk(root: Path, *lines: str) -> list[tuple[str, int | None]]:
    """Slug and line of what the plan of these lines misses below a folder."""
    found = check_files(read(*lines), root)
    return [(problem.slug, problem.place.line if problem.place else None) for problem in found]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a package, a test and a folder without files."""
    (tmp_path / "src" / "pkg").mkdir(parents=True)
    (tmp_path / "src" / "pkg" / "a.py").touch()
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "tests: [tests, tests/test_a.py, tests/test_a.py::test_x[a], tests/no_*.py, -m slow]",
        "covers: [src, src/pkg/a.py, src/*/a.py, 's*c/**']",
    ],
)
def test_what_is_there_is_found(root: Path, line: str) -> None:
    """What a node id or a glob of tests matches is known only to collection."""
    assert on_disk(root, "## Phase 1: A", line) == []


@pytest.mark.parametrize(
    ("line", "slug"),
    [
        ("tests: [tests/test_b.py]", "missing-path"),
        ("tests: [tests/test_b.py::test_x]", "missing-path"),
        (f"tests: [{'x' * 5000}]", "missing-path"),
        ("covers: [source]", "covers-nothing"),
        ("covers: [empty]", "covers-nothing"),
        ("covers: [src/*.c]", "covers-nothing"),
        ("covers: [/nowhere/*.c]", "covers-nothing"),
    ],
)
def test_what_is_missing_is_told(root: Path, line: str, slug: str) -> None:
    """A typo in a path would otherwise run nothing and say nothing."""
    assert on_disk(root, "## Phase 1: A", "deps: []", line) == [(slug, 3)]


def test_a_neighbour_with_nearly_the_same_name_is_named(root: Path) -> None:
    """The usual mistake is a letter."""
    (problem,) = check_files(read("## Phase 1: A", "tests: [tests/tset_a.py]"), root)
    assert "did you mean `tests/test_a.py`?" in problem.message


def test_a_build_stage_before_may_still_make_it(root: Path) -> None:
    """A stage of the phase itself runs beside its tests and is too late."""
    missing = ["tests: [made/test_x.py]", "covers: [made]"]
    stage = ["Build:", "cwd: made", "```", "make", "```"]
    assert on_disk(root, "## Phase 1: A", *FENCE, "## Phase 2: B", *missing, *stage) == []
    assert on_disk(root, "## Phase 1: A", *missing, *stage) == [
        ("missing-path", 2),
        ("covers-nothing", 3),
        ("missing-folder", 5),
    ]
    assert len(on_disk(root, "## Phase 1: A", "deps: []", *FENCE, "## Phase 2: B", *missing)) == 2


def test_a_stream_inherits_who_may_make_it(root: Path) -> None:
    """What its phase waits for has run before it."""
    plan = ["## Phase 1: A", *FENCE, "## Phase 2: B", "### Stream A: x", "tests: [made.py]"]
    assert on_disk(root, *plan) == []


def test_a_needed_build_stage_may_make_the_folder(root: Path) -> None:
    """`cwd` is entered after what the stage needs, whether directly or not."""
    first = ["Build: a", "```", "make", "```", "Build: b", "needs: a", "```", "make", "```"]
    last = ["Test: c", "needs: b", "cwd: made", "```", "./run", "```"]
    assert on_disk(root, "## Phase 1: A", *first, *last) == []


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("keys/singers", "did you mean `keys/signers`?"),
        ("keys", "name the file of those who may sign"),
        ("other", "name the file of those who may sign"),
    ],
)
def test_the_file_of_signers_is_there_from_the_start(root: Path, path: str, advice: str) -> None:
    """No stage may make it, and a folder is none."""
    (root / "keys").mkdir()
    (root / "keys/signers").touch()
    gate = ["## Gate: G", "approvals: [me]"]
    plan = read("## Phase 1: A", *FENCE, *gate, f"approvals_signers: {path}")
    (problem,) = check_files(plan, root)
    assert str(problem) == (
        f"plan.md:9: the gate: approvals_signers: there is no file `{path}`; {advice} [missing-signers]"
    )
    assert on_disk(root, "## Phase 1: A", *gate, "approvals_signers: keys/signers") == []


def test_the_gate_may_use_what_any_phase_makes(root: Path) -> None:
    """`Deploy:` comes after everything."""
    gate = ["## Gate: G", "Deploy:", "cwd: made", "```", "./go", "```"]
    assert on_disk(root, "## Phase 1: A", *FENCE, *gate) == []
    assert on_disk(root, "## Phase 1: A", *gate) == [("missing-folder", 4)]
