"""What counts as a change of what a phase depends on, and how it is told."""

from __future__ import annotations

import pytest

from pytest_phases.checkpoint.compare import (
    ABSENT,
    MEANWHILE,
    NOTHING_RECORDED,
    TOLD,
    UNFINISHED,
    Comparison,
    compare,
)
from pytest_phases.checkpoint.decide import Evidence
from pytest_phases.checkpoint.project import NO_INPUTS
from pytest_phases.evidence import Dependency, DependencyKind

K = DependencyKind
BASE = (K.CONFIGURATION, "pyproject.toml", "p")
OLD_PYTHON = "Python 3.11 cannot trace it"
SILENT = "worker gw1 ended before it told"

Row = tuple[DependencyKind, str, str]


def rows(*data: Row) -> list[Dependency]:
    """Rows of one phase."""
    return [Dependency("2", *each) for each in (BASE, *data)]


@pytest.mark.parametrize("kind", [kind for kind in K if kind is not K.UNKNOWN], ids=lambda kind: kind.value)
def test_the_same_rows_are_the_same(kind: DependencyKind) -> None:
    """In whatever order they come."""
    both = rows((kind, "a", "1"), (kind, "b", "2"))
    assert compare(both, both[::-1]) == Comparison(Evidence.SAME)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ((K.EXECUTED, "src/a.py", "1"), (K.EXECUTED, "src/a.py", "2"), "src/a.py changed"),
        ((K.IMPORTED, "src/a.py", "1"), (K.IMPORTED, "src/a.py", "2"), "src/a.py changed"),
        ((K.OPENED, "data.txt", "1"), (K.OPENED, "data.txt", "2"), "data.txt changed"),
        ((K.OPENED, "data.txt", ABSENT), (K.OPENED, "data.txt", "2"), "data.txt is new"),
        ((K.OPENED, "data.txt", "1"), (K.OPENED, "data.txt", ABSENT), "data.txt is gone"),
        ((K.OPENED, "data.txt", ""), (K.OPENED, "data.txt", ABSENT), "data.txt changed while the phase ran"),
        ((K.EXECUTED, "src/x.py", "1"), None, "src/x.py is gone"),
        (None, (K.EXECUTED, "src/x.py", "1"), "src/x.py is new"),
        (None, (K.TEST, "tests/conftest.py", "1"), "tests/conftest.py is new"),
        ((K.TEST, "tests/test_a.py", "1"), (K.TEST, "tests/test_a.py", "2"), "tests/test_a.py changed"),
        ((K.TEST, "t.py", ""), (K.TEST, "t.py", ""), "t.py changed while the phase ran"),
        ((K.EXECUTED, "t.py", ""), (K.EXECUTED, "t.py", "1"), "t.py changed while the phase ran"),
        ((K.IMPORTED, "t.py", ""), None, "t.py changed while the phase ran"),
        ((K.INPUT, "a.csv", MEANWHILE), (K.INPUT, "a.csv", "1"), "input a.csv changed while the phase ran"),
        ((K.INPUT, "data/a.csv", "1"), (K.INPUT, "data/a.csv", "2"), "input data/a.csv changed"),
        ((K.INPUT, "data/a.csv", "1"), (K.INPUT, "data/a.csv", ""), "input data/a.csv is gone"),
        (None, (K.INPUT, "data/b.csv", "1"), "input data/b.csv is new"),
        ((K.OUTPUT, "dist/x.whl", "1"), (K.OUTPUT, "dist/*.whl", ""), "output dist/x.whl is missing"),
        ((K.OUTPUT, "dist/x.whl", "1"), (K.OUTPUT, "dist/x.whl", "2"), "output dist/x.whl changed"),
        ((K.CONFIGURATION, "tox.ini", "1"), (K.CONFIGURATION, "tox.ini", "2"), "tox.ini changed"),
        ((K.DISTRIBUTION, "numpy", "1.26.0"), (K.DISTRIBUTION, "numpy", "2.0.1"), "numpy 1.26.0 -> 2.0.1"),
        ((K.DISTRIBUTION, "numpy", "1.26.0"), None, "numpy 1.26.0 is gone"),
        (None, (K.DISTRIBUTION, "numpy", "2.0.1"), "numpy 2.0.1 is new"),
        ((K.DEFINITION, "deps", "1"), (K.DEFINITION, "deps", "2"), "its dependencies in the plan changed"),
        ((K.DEFINITION, "tests", "1"), (K.DEFINITION, "tests", "2"), "its tests in the plan changed"),
        ((K.DEFINITION, "threshold", "1"), (K.DEFINITION, "threshold", "2"), "coverage threshold changed"),
        ((K.DEFINITION, "stage build", "1"), (K.DEFINITION, "stage build", "2"), "stage build changed"),
        ((K.DEFINITION, "stage build", "1"), None, "stage build is gone"),
        ((K.DEFINITION, "serial", "1"), (K.DEFINITION, "serial", "2"), "`serial` of it in the plan changed"),
        (
            (K.DEFINITION, "environment variable URL", "1"),
            (K.DEFINITION, "environment variable URL", "2"),
            "environment variable URL changed",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_change_is_told_in_words(old: Row | None, new: Row | None, reason: str) -> None:
    """What it was, and what happened to it."""
    comparison = compare(rows(*filter(None, [old])), rows(*filter(None, [new])))
    assert comparison == Comparison(Evidence.CHANGED, (reason,))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((K.OUTPUT, "dist/*", ""), (K.OUTPUT, "dist/*", "")),
        ((K.INPUT, "data/*", ""), None),
        ((K.OPENED, "out.txt", ABSENT), (K.OPENED, "out.txt", ABSENT)),
        ((K.UNKNOWN, UNFINISHED, TOLD), (K.UNKNOWN, UNFINISHED, "tree")),
        (
            (K.UNKNOWN, OLD_PYTHON, "tree"),
            (K.UNKNOWN, OLD_PYTHON, "tree"),
        ),
    ],
    ids=[
        "an output never made",
        "a pattern without files",
        "a file never there",
        "told",
        "unknown, same tree",
    ],
)
def test_what_says_nothing_is_no_change(old: Row | None, new: Row | None) -> None:
    """Unknown dependencies in a tree that is the same are the same."""
    assert compare(rows(*filter(None, [old])), rows(*filter(None, [new]))) == Comparison(Evidence.SAME)


BOTH = "; measure coverage for it (coverage: N), or run on Python 3.12 or later"


@pytest.mark.parametrize(
    ("name", "digest", "changed", "reason"),
    [
        (
            OLD_PYTHON,
            "old",
            ("src/x.py",),
            f"the tree has changed (src/x.py) and what its tests executed is unknown: {OLD_PYTHON}{BOTH}",
        ),
        (
            OLD_PYTHON,
            "old",
            (*"abcde",),
            "the tree has changed (a, b, c and 2 more) and what its tests executed is unknown: "
            f"{OLD_PYTHON}{BOTH}",
        ),
        (
            "its tests start other processes",
            "old",
            (),
            "the tree has changed and what its tests executed is unknown: its tests start other processes; "
            "measure coverage for it (coverage: N)",
        ),
        (SILENT, "old", (), f"the tree has changed and what its tests executed is unknown: {SILENT}"),
        (UNFINISHED, "old", (), f"the tree has changed and what its tests executed is unknown: {UNFINISHED}"),
        (
            SILENT,
            MEANWHILE,
            (),
            f"the tree changed while it ran and what its tests executed is unknown: {SILENT}",
        ),
        (
            NO_INPUTS.format("build-wheel"),
            "",
            (),
            "stage build-wheel states no inputs, so nobody can tell whether it would do the same; "
            "write inputs: [..] (and outputs: [..]) below its label",
        ),
    ],
    ids=[
        "python",
        "many files",
        "processes",
        "silent worker",
        "unfinished",
        "changed meanwhile",
        "no inputs",
    ],
)
def test_what_is_unknown_is_told_with_what_to_write(
    name: str, digest: str, changed: tuple[str, ...], reason: str
) -> None:
    """Which is never the same, even beside what has changed."""
    old, new = rows((K.UNKNOWN, name, digest)), rows((K.UNKNOWN, name, "new"))
    assert compare(old, new, changed) == Comparison(Evidence.UNKNOWN, (reason,))
    new[0] = Dependency("2", K.CONFIGURATION, "pyproject.toml", "q")
    assert compare(old, new, changed) == Comparison(Evidence.CHANGED, ("pyproject.toml changed", reason))


def test_a_stage_without_inputs_is_unknown_in_the_same_tree_too() -> None:
    """Nobody can tell what it reads."""
    both = rows((K.UNKNOWN, NO_INPUTS.format("build"), ""))
    assert compare(both, both).evidence is Evidence.UNKNOWN


def test_without_any_record_nothing_is_known() -> None:
    """A green phase of which nothing was written down proves nothing."""
    assert compare([], rows()) == Comparison(Evidence.UNKNOWN, (NOTHING_RECORDED,))


def test_other_reasons_stand_in_front() -> None:
    """They make it a change; no reasons make nothing of it."""
    same = Comparison(Evidence.SAME)
    assert same.against(()) == same
    unknown = Comparison(Evidence.UNKNOWN, ("a",))
    assert unknown.against(["b", "c"]) == Comparison(Evidence.CHANGED, ("b", "c", "a"))
