"""What an unfinished stage leaves is moved aside, and nothing that is somebody else's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_phases.evidence import StageRecord
from pytest_phases.model import Crew, Language, Place, Stage
from pytest_phases.settings import Settings
from pytest_phases.stages.attempt import Attempt
from pytest_phases.stages.files import Site
from pytest_phases.stages.outputs import recover

STAGE = Stage("build", Crew.BUILD, "", "make", Language.BASH, Place("plan.md", 1), outputs=("dist",))
HELD = ("plan.md", "tests/test_a.py")


class Project:
    """A rootdir in which a stage ends badly."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.site = Site(root, root / ".phases")
        self.last: StageRecord | None = None
        for path in HELD:
            self.write(path)

    def write(self, path: str, text: str = "") -> None:
        """Write a file, and the folders above it."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text or path)

    def attempt(self, stage: Stage) -> Attempt:
        """An attempt at a stage, begun."""
        stages = () if self.last is None else (self.last,)
        attempt = Attempt("2", stage, self.site, Settings(stages=stages), {})
        attempt.begin(HELD)
        return attempt

    def succeed(self, stage: Stage, *paths: str) -> None:
        """Let the stage write these files and end well."""
        attempt = self.attempt(stage)
        for path in paths:
            self.write(path)
        self.last = attempt.ended_well()

    def fail(self, stage: Stage, *paths: str) -> str:
        """Let the stage write these files anew and end badly; returns what was said."""
        attempt = self.attempt(stage)
        for path in paths:
            self.write(path, "half")
        return attempt.ended_badly()

    def files(self) -> list[str]:
        """What lies in the rootdir now but the plan, the tests and `.phases`; folders end with a slash."""
        return [path for path in _tree(self.root) if not path.startswith((".phases", "tests/", *HELD))]

    def aside(self) -> list[str]:
        """What was moved aside of the one stage, at the one time."""
        (folder,) = (self.root / ".phases/interrupted/2/build").iterdir()
        return _tree(folder)


def _tree(root: Path) -> list[str]:
    found = (
        path for path in root.rglob("*") if path.is_symlink() or not (path.is_dir() and any(path.iterdir()))
    )
    return sorted(path.relative_to(root).as_posix() + "/" * path.is_dir() for path in found)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A rootdir with a plan and a test."""
    return Project(tmp_path / "project")


MOVED = "outputs of the unfinished stage were moved to .phases/interrupted/2/build/"


@pytest.mark.parametrize(
    ("before", "made", "half", "left", "aside"),
    [
        pytest.param("", "", "dist/x dist/d/y", "", "dist/d/y dist/x", id="new files, in a new folder"),
        pytest.param("dist/a", "", "dist/x", "dist/a", "dist/x", id="beside one that could be a source"),
        pytest.param("dist/a", "", "dist/a", "", "dist/a", id="in place of one that could be a source"),
        pytest.param("", "dist/x dist/y", "dist/y", "", "dist/x dist/y", id="what an earlier run has made"),
        pytest.param("", "dist/x", "", "", "dist/x", id="also if nothing was written this time"),
        pytest.param("dist/a", "dist/x", "", "dist/a", "dist/x", id="but what was there before any run"),
        pytest.param("src/a", "", "src/x", "src/a src/x", None, id="what is not declared"),
    ],
)
def test_what_goes_and_what_stays(
    project: Project, before: str, made: str, half: str, left: str, aside: str | None
) -> None:
    """Files go that are new, changed, or made by an earlier run of the stage; all others could be sources."""
    for path in before.split():
        project.write(path)
    if made:
        project.succeed(STAGE, *made.split())
    said = project.fail(STAGE, *half.split())
    assert project.files() == left.split()
    assert said.startswith(MOVED) if aside is not None else not said
    assert aside is None or project.aside() == aside.split()


def test_an_output_named_itself_goes(project: Project) -> None:
    """Where a stage names a file, nobody else has made it, even before its first run."""
    project.write("dist/x")
    project.write("dist/y")
    project.fail(replace(STAGE, outputs=("dist/x",)))
    assert project.files() == ["dist/y"]


def test_what_is_changed_in_place_stays(project: Project) -> None:
    """The files that a formatter reads and writes are sources, and those go alone that it has changed."""
    formatter = replace(STAGE, inputs=("src",), outputs=("src",))
    project.write("src/a")
    project.write("src/b")
    project.last = project.attempt(formatter).ended_well()
    attempt = project.attempt(formatter)
    project.write("src/b", "formatted")
    project.last = attempt.ended_well()
    project.fail(formatter, "src/a")
    assert project.files() == ["src/b"]


def test_inputs_among_the_outputs_stay(project: Project) -> None:
    """What a stage declares to read is not moved, though it lies in a folder that it writes to."""
    project.write("src/api.in")
    project.fail(replace(STAGE, inputs=("src/*.in",), outputs=("src",)), "src/api.in", "src/api.py")
    assert project.files() == ["src/api.in"]


@pytest.mark.parametrize("output", [".", "**/*", "tests", "plan.*", "../beside", ".phases", ".phases/x"])
def test_an_output_that_holds_too_much_is_not_touched(project: Project, output: str) -> None:
    """Nothing is moved below the rootdir, the plan, tests or `.phases`, or outside; the message says so."""
    files = ("tests/x", "plan.txt", "../beside/x", ".phases/x/y")
    said = project.fail(replace(STAGE, outputs=(output, "dist")), *files, "dist/x")
    assert all((project.root / path).exists() for path in files)
    assert project.aside() == ["dist/x"]
    assert f"{output} may hold what the unfinished stage left" in said
    assert "nothing of it was moved" in said


def test_a_test_that_the_stage_has_made_goes(project: Project) -> None:
    """Generated tests are outputs like others."""
    stage = replace(STAGE, outputs=("tests",))
    (project.root / "tests/test_a.py").unlink()
    project.succeed(stage, "tests/test_a.py")
    project.fail(stage)
    assert project.aside() == ["tests/test_a.py"]


def test_folders_go_with_their_files(project: Project) -> None:
    """A script that asks whether its folder exists finds none, byte code and a clone's git included."""
    stage = replace(STAGE, outputs=("venv", "clone"))
    project.succeed(stage, "venv/lib/a.py", "venv/bin/x")
    project.write("venv/lib/__pycache__/a.pyc")
    project.fail(stage, "clone/a", "clone/.git/HEAD")
    assert project.files() == []
    assert (
        project.aside()
        == "clone/.git/HEAD clone/a venv/bin/x venv/lib/__pycache__/a.pyc venv/lib/a.py".split()
    )


def test_folders_stay_that_were_there_first(project: Project) -> None:
    """A folder that was empty, and one with a repository, are not the stage's."""
    (project.root / "dist/empty").mkdir(parents=True)
    project.succeed(STAGE, "dist/pages/index.html")
    project.write("dist/pages/.git/HEAD")
    project.fail(STAGE, "dist/empty/x")
    assert project.files() == ["dist/empty/", "dist/pages/.git/HEAD"]
    assert project.aside() == ["dist/empty/x", "dist/pages/index.html"]


def test_links_are_moved_and_not_followed(project: Project, tmp_path: Path) -> None:
    """A link goes as a link; what lies behind one stays, and the message says that it is unfinished."""
    (tmp_path / "big").mkdir()
    project.write("data")
    (project.root / "out").symlink_to(tmp_path / "big")
    attempt = project.attempt(replace(STAGE, outputs=("out", "dist")))
    project.write("out/x")
    (project.root / "dist").mkdir()
    (project.root / "dist/link").symlink_to("../data")
    said = attempt.ended_badly()
    assert (tmp_path / "big/x").exists()
    assert (project.root / "out").is_symlink()
    assert project.files() == ["data", "out/"]
    assert project.aside() == ["dist/link"]
    assert said.endswith("unfinished, and could not be moved aside: out/x (it lies behind a link)")


def test_each_time_has_a_folder(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was moved aside at one time never meets what is moved at another, whatever the clock says."""
    monkeypatch.setattr("time.gmtime", lambda: (2026, 1, 2, 3, 4, 5, 0, 0, 0))
    for _ in range(3):
        project.fail(STAGE, "dist/x")
    above = project.root / ".phases/interrupted/2/build"
    assert sorted(folder.name for folder in above.iterdir()) == [
        f"20260102T030405Z{end}" for end in ("", "-2", "-3")
    ]


def test_what_cannot_be_moved_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that refuses costs a part of the message, and what can be moved is."""
    move = shutil.move

    def refuse(source: str, target: Path) -> None:
        if source.endswith("stuck"):
            raise OSError(30, "Read-only file system")
        move(source, target)

    monkeypatch.setattr("shutil.move", refuse)
    said = project.fail(STAGE, "dist/stuck", "dist/x")
    assert said.endswith("unfinished, and could not be moved aside: dist/stuck (Read-only file system)")
    assert project.files() == ["dist/stuck"]
    assert project.aside() == ["dist/x"]


def test_another_file_system(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file cannot be renamed into `.phases`, it is copied there."""

    def across(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    project.write("dist/a")
    attempt = project.attempt(STAGE)
    project.write("dist/x")
    monkeypatch.setattr("os.rename", across)
    assert attempt.ended_badly().startswith(MOVED)
    assert project.files() == ["dist/a"]
    assert project.aside() == ["dist/x"]


def test_without_a_place_for_them_outputs_stay(project: Project) -> None:
    """A file where `.phases` should be costs messages, and neither the stage nor its outputs."""
    (project.root / ".phases").write_text("")
    attempt = project.attempt(STAGE)
    project.write("dist/x")
    said = attempt.ended_badly()
    assert said.startswith("unfinished, and could not be moved aside: dist/x (")
    assert attempt.problems[0].startswith("should this run be killed, its outputs stay where they are: ")
    assert project.files() == ["dist/x"]


@pytest.mark.parametrize("end", [Attempt.ended_well, Attempt.ended_badly])
def test_after_its_end_nothing_is_to_be_recovered(project: Project, end: Callable[[Attempt], object]) -> None:
    """A stage that has ended under the eyes of its worker is none that was cut off."""
    attempt = project.attempt(STAGE)
    project.write("dist/x")
    end(attempt)
    there = project.files()
    assert recover(project.root, project.site.phases_dir) == ()
    assert project.files() == there


def test_what_a_killed_run_left_is_moved_by_the_next(project: Project) -> None:
    """Nobody saw it end: the next run knows what was there before, moves the rest and says so, once."""
    project.write("dist/a")
    stage = replace(STAGE, outputs=("dist", "."))
    project.attempt(stage)
    project.write("dist/x", "half")
    (said,) = recover(project.root, project.site.phases_dir)
    assert said.startswith(f"stage build of phase 2 was cut off: {MOVED}")
    assert ". may hold what the unfinished stage left" in said
    assert project.files() == ["dist/a"]
    assert project.aside() == ["dist/x"]
    assert recover(project.root, project.site.phases_dir) == ()


def test_a_killed_stage_that_wrote_nothing(project: Project) -> None:
    """That is said too."""
    project.attempt(STAGE)
    assert recover(project.root, project.site.phases_dir) == (
        "stage build of phase 2 was cut off: it had left nothing at its outputs",
    )


def test_a_damaged_marker_is_told_of_and_moves_nothing(project: Project) -> None:
    """Cut at any byte, or of another stage, what a killed run left word of is not believed."""
    project.attempt(STAGE)
    marker = project.root / ".phases/running/2/build.json"
    whole = marker.read_text()
    project.write("dist/x")
    others = [
        "[]",
        "{}",
        whole.replace('"2"', '"../.."'),
        whole.replace('"dist"', "1"),
        whole.replace("{}", "1"),
    ]
    others.append(whole.replace('["dist"]', "1"))
    for text in (*(whole[:length] for length in range(len(whole))), *others):
        marker.write_text(text)
        (said,) = recover(project.root, project.site.phases_dir)
        assert ".phases/running/2/build.json is damaged" in said
        assert project.files() == ["dist/x"]
        assert not marker.exists()


NAMES = st.sampled_from(["src/a", "src/b", "src/gen/c", "dist/x", "dist/d/y", "dist/d/__pycache__/z", "top"])
PATTERNS = st.sampled_from(
    ["src", "dist", "dist/**", "src/*", "top", ".", "src/gen", "**/y", "dist/x", "src/a"]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.sets(NAMES),
    made=st.sets(NAMES),
    half=st.sets(NAMES),
    outputs=st.lists(PATTERNS, unique=True, max_size=3),
    inputs=st.lists(PATTERNS, unique=True, max_size=2),
    killed=st.booleans(),
)
def test_nothing_is_ever_lost(
    tmp_path_factory: pytest.TempPathFactory,
    before: set[str],
    made: set[str],
    half: set[str],
    outputs: list[str],
    inputs: list[str],
    killed: bool,
) -> None:
    """However files and patterns lie, each file is afterwards where it was or aside, with what it held."""
    project = Project(tmp_path_factory.mktemp("project"))
    stage = replace(STAGE, inputs=tuple(inputs), outputs=tuple(outputs))
    for path in before:
        project.write(path)
    project.succeed(stage, *made)
    attempt = project.attempt(stage)
    for path in half:
        project.write(path, "half")
    there = {path: (project.root / path).read_text() for path in before | made | half}
    if killed:
        recover(project.root, project.site.phases_dir)
    else:
        attempt.ended_badly()
    folders = [project.root, *(project.root / ".phases/interrupted/2/build").glob("*")]
    for path, text in there.items():
        (found,) = [folder / path for folder in folders if os.path.lexists(folder / path)]
        assert found.read_text() == text
