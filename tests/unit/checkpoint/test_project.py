"""What is there of all that a phase can depend on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.checkpoint.compare import ABSENT
from pytest_phases.checkpoint.files import Patterns, files_at
from pytest_phases.checkpoint.project import NO_INPUTS, Project
from pytest_phases.evidence import Dependency, DependencyKind, TreeEntry
from pytest_phases.plan.read import read_plan

K = DependencyKind
Files = dict[str, str]


def rows_of(project: Project, unit: str, kind: DependencyKind, tests: tuple[str, ...] = ()) -> dict[str, str]:
    """The rows of one kind that are known without running a unit."""
    return {row.name: row.digest for row in project.declared(unit, tests) if row.kind is kind}


# Files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "held"),
    [
        ("src", ["src/a.py", "src/deep/b.py"]),
        ("src/", ["src/a.py", "src/deep/b.py"]),
        ("./src/a.py", ["src/a.py"]),
        ("src/*.py", ["src/a.py"]),
        ("**/*.py", ["src/a.py", "src/deep/b.py", "srcs.py"]),
        (".", ["src/a.py", "src/deep/b.py", "srcs.py"]),
        ("../src", []),
        ("/src", []),
    ],
)
def test_a_pattern_holds_files_and_what_is_below_folders(pattern: str, held: list[str]) -> None:
    """And nothing that only begins like it."""
    patterns = Patterns([pattern])
    assert [path for path in ("src/a.py", "src/deep/b.py", "srcs.py") if patterns.hold(path)] == held


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("data", ["data/.hidden", "data/a.csv", "data/deep/b.csv"]),
        ("data/a.csv", ["data/a.csv"]),
        ("data/*.csv", ["data/a.csv"]),
        ("data/**/*.csv", ["data/a.csv", "data/deep/b.csv"]),
        ("da*", ["data/.hidden", "data/a.csv", "data/deep/b.csv"]),
        ("data/.hidden", ["data/.hidden"]),
        ("nothing", []),
        ("no\0thing", []),
        ("no\0thing/*", []),
    ],
    ids=ascii,
)
def test_files_are_found_at_paths_and_globs(tmp_path: Path, pattern: str, found: list[str]) -> None:
    """What is hidden counts too; byte code is no input of anything."""
    for name in ("data/a.csv", "data/deep/b.csv", "data/.hidden", "data/__pycache__/c.pyc", "data/d.pyc"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert list(files_at(tmp_path, pattern)) == found


def test_a_file_with_its_old_stamp_is_not_read(shop: Any) -> None:
    """And one that was written is, with the same content too."""
    shop.write("a.py", "x = 1")
    known = shop.entry("a.py")
    kept = shop.project(tree=[TreeEntry("a.py", "file", "as it was", known.stamp)])
    assert kept.digest("a.py") == "as it was"
    os.utime(shop.root / "a.py", ns=(1, 1))
    assert kept.digest("a.py") == known.sha256
    assert not kept.steady("a.py")
    assert shop.project(tree=[known]).steady("a.py")


@pytest.mark.parametrize("path", ["nothing.py", "folder", "no\0thing", "a.py/b.py"])
def test_what_is_no_file_has_no_digest(shop: Any, path: str) -> None:
    """And is no error."""
    shop.write("a.py", "")
    (shop.root / "folder").mkdir()
    assert shop.project().digest(path) == ""
    assert shop.project().imported(path) == ""
    assert list(shop.project().imports(path)) == []


# Rows --------------------------------------------------------------------------------------------


def test_a_phase_without_a_run_is_known_by_what_declares_it(shop: Any) -> None:
    """Its definition key by key, its test files and conftests, configuration and distributions."""
    shop.write("tests/test_a.py", "")
    shop.write("tests/conftest.py", "")
    shop.write("pytest.ini", "")
    project = shop.project(
        configuration=["pytest.ini"],
        distributions={"numpy": "1.0"},
        definitions={"1": '{"deps": [], "threshold": null, "stages": {"build": "d"}}'},
    )
    kinds = [(row.kind, row.name) for row in project.declared("1", ["tests/test_a.py"])]
    assert kinds == [
        (K.DEFINITION, "deps"),
        (K.DEFINITION, "threshold"),
        (K.DEFINITION, "stage build"),
        (K.CONFIGURATION, "pytest.ini"),
        (K.DISTRIBUTION, "numpy"),
        (K.TEST, "tests/test_a.py"),
        (K.TEST, "tests/conftest.py"),
    ]


def test_each_key_of_a_definition_has_a_digest_of_its_own(shop: Any) -> None:
    """One that changes leaves the others as they were."""
    old = rows_of(shop.project(definitions={"1": '{"deps": ["2"], "tests": ["t.py"]}'}), "1", K.DEFINITION)
    new = rows_of(shop.project(definitions={"1": '{"tests": ["t.py"], "deps": ["3"]}'}), "1", K.DEFINITION)
    assert old["tests"] == new["tests"]
    assert old["deps"] != new["deps"]


def test_the_unphased_tests_have_no_definition(shop: Any) -> None:
    """They have test files all the same."""
    shop.write("t.py", "")
    assert list(rows_of(shop.project(), "unphased", K.TEST, ("t.py",))) == ["t.py"]


STAGE = """\
### Phase 1: A
{keys}
Build: wheel
{stage}
```bash
make
```
"""


def test_a_stage_depends_on_what_it_declares(shop: Any) -> None:
    """Its files, and variables of the environment by the digest of their value."""
    shop.plan(STAGE.format(keys="", stage="inputs: [src, data/*.csv]\noutputs: [dist]\nenv: [URL]"))
    shop.write("src/a.c", "1")
    shop.write("dist/a.o", "2")
    project = shop.project(environ={"URL": "secret"})
    assert rows_of(project, "1", K.INPUT) == {"src/a.c": project.digest("src/a.c"), "data/*.csv": ""}
    assert rows_of(project, "1", K.OUTPUT) == {"dist/a.o": project.digest("dist/a.o")}
    digests = [
        rows_of(shop.project(environ=environ), "1", K.DEFINITION)["environment variable URL"]
        for environ in ({"URL": "secret"}, {"URL": "other"}, {})
    ]
    assert len(set(digests)) == 3
    assert not any("secret" in digest for digest in digests)
    assert rows_of(project, "1", K.UNKNOWN) == {}


def test_a_stage_that_states_no_inputs_is_unknown(shop: Any) -> None:
    """By a row that says what to write."""
    shop.plan(STAGE.format(keys="", stage="outputs: [dist]"))
    assert rows_of(shop.project(), "1", K.UNKNOWN) == {NO_INPUTS.format("build-wheel"): ""}


COVERS = """\
### Phase 1: A
{}
#### Stream A: One
{}
"""


@pytest.mark.parametrize(
    ("phase", "stream", "unit", "covered"),
    [
        ("covers: [src/a]\ncoverage: 80", "", "1", ["src/a/new.txt", "src/a/x.py"]),
        ("covers: [src/*/*.py]\ncoverage: 80", "", "1", ["src/a/x.py", "src/b/y.py"]),
        ("covers: [src/a]\ncoverage: ratchet", "", "1", ["src/a/new.txt", "src/a/x.py"]),
        ("coverage: 80", "", "1", ["src/a/x.py", "src/b/y.py"]),
        ("coverage: 80", "covers: [src/b]", "1", ["src/b/y.py"]),
        ("covers: [src/b]", "coverage: 80", "1/A", ["src/b/y.py"]),
        ("covers: [src/b]", "coverage: 80", "1", []),
        ("covers: [src/a]", "", "1", []),
    ],
    ids=[
        "folder",
        "glob",
        "ratchet",
        "no covers",
        "covers of streams",
        "stream",
        "phase of a stream",
        "no threshold",
    ],
)
def test_a_threshold_depends_on_every_file_that_it_covers(
    shop: Any, phase: str, stream: str, unit: str, covered: list[str]
) -> None:
    """So that a new file without tests is judged too."""
    shop.plan(COVERS.format(phase, stream))
    for name in ("src/a/x.py", "src/a/new.txt", "src/b/y.py"):
        shop.write(name, "")
    entries = [shop.entry(name) for name in ("src/a/new.txt", "src/a/x.py", "src/b/y.py")]
    assert list(rows_of(shop.project(tree=entries), unit, K.EXECUTED)) == covered


# Today -------------------------------------------------------------------------------------------

BODY = "def f():\n    return {}\n"


@pytest.mark.parametrize(
    ("kind", "content", "same"),
    [
        (K.EXECUTED, BODY.format(1), True),
        (K.EXECUTED, BODY.format(2), False),
        (K.EXECUTED, None, None),
        (K.IMPORTED, BODY.format(1), True),
        (K.IMPORTED, f"{BODY.format(1)}X = 1\n", False),
        (K.IMPORTED, None, None),
        (K.OPENED, BODY.format(2), False),
        (K.TEST, None, None),
    ],
)
def test_a_recorded_row_is_looked_up_again(
    shop: Any, kind: DependencyKind, content: str | None, same: bool | None
) -> None:
    """A file that is gone has none."""
    shop.write("a.py", BODY.format(1))
    project = shop.project()
    digest = project.imported("a.py") if kind is K.IMPORTED else project.digest("a.py")
    row = Dependency("1", kind, "a.py", digest)
    if content is None:
        (shop.root / "a.py").unlink()
    else:
        shop.write("a.py", content)
    today = project.today(row)
    assert (today if today is None else today == row) is same


def test_of_an_imported_file_only_what_importing_executes_is_looked_at(shop: Any) -> None:
    """Its digest has that in front, so a changed body leaves it the same."""
    shop.write("a.py", BODY.format(1))
    old = shop.project().imported("a.py")
    shop.write("a.py", BODY.format(2))
    today = shop.project().today(Dependency("1", K.IMPORTED, "a.py", old))
    assert today is not None
    assert today.digest == old


def test_a_file_that_was_not_there_is_still_not_there(shop: Any) -> None:
    """That is something to depend on too."""
    row = Dependency("1", K.OPENED, "config.json", ABSENT)
    assert shop.project().today(row) == row


def test_the_digest_of_the_tree_leaves_out_what_stages_make(shop: Any) -> None:
    """That has rows of its own, and would differ after every first run."""
    shop.plan(STAGE.format(keys="", stage="outputs: [dist]"))
    source, made = TreeEntry("a.py", "file", "1"), TreeEntry("dist/a.whl", "file", "2")
    digest: Callable[..., str] = lambda *tree: shop.project(tree=tree).tree_digest  # noqa: E731
    assert digest(source) == digest(source, made)
    assert digest(source) != digest(TreeEntry("a.py", "executable", "1"))
    assert digest(source) != digest(TreeEntry("a.py", "file", "2"))


def test_the_plan_of_these_tests_is_read_as_any_other(shop: Any) -> None:
    """A project without a plan of its own has one of two phases."""
    assert [unit.id for unit in read_plan(shop.root / "plan.md", "plan.md").units()] == ["1", "2"]
