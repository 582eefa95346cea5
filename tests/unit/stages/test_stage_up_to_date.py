"""Whether a stage is up to date: for each thing that may change, whether it counts."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_phases.evidence import StageRecord
from pytest_phases.model import Crew, Language, Place, Stage
from pytest_phases.settings import Settings
from pytest_phases.stages.files import Site
from pytest_phases.stages.uptodate import command_digest, differences, look, record, why_run

STAGE = Stage(
    "build-wheel",
    Crew.BUILD,
    "wheel",
    "make wheel",
    Language.BASH,
    Place("plan.md", 3),
    inputs=("src", "conf/*.toml", "absent.lock"),
    outputs=("dist",),
    env=("API_URL", "UNSET"),
)
ENV = {"API_URL": "https://one", "OTHER": "1"}


class Project:
    """A rootdir with a stage that has ended well there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.site = Site(root, root / ".phases")
        for path in ("src/a.py", "src/deep/b.py", "conf/x.toml", "elsewhere.py"):
            self.write(path)
        self.last = self.run(STAGE)

    def write(self, path: str, text: str | None = None) -> Path:
        """Write a file that holds its own path, or a text."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path if text is None else text)
        return file

    def run(self, stage: Stage, last: StageRecord | None = None) -> StageRecord:
        """What is recorded of a stage that makes a wheel and a folder of documents."""
        before = look(stage, self.site, ENV)
        self.write("dist/x.whl")
        self.write("dist/docs/index.html")
        return record("2", stage, before, look(stage, self.site, ENV), last)

    def reasons(
        self, stage: Stage = STAGE, env: dict[str, str] | None = None, **settings: object
    ) -> tuple[str, ...]:
        """Why the stage would run now."""
        now = look(stage, self.site, ENV if env is None else env)
        return why_run("2", stage, now, self.last, replace(Settings(), **settings))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose stage is up to date."""
    return Project(tmp_path)


def _touch_an_hour_ahead(project: Project) -> None:
    """As after a clock was stepped by an hour, and everything was checked out again."""
    for file in project.root.rglob("*"):
        times = file.stat()
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns + 3_600_000_000_000))


def _change_and_set_back(project: Project) -> None:
    file = project.root / "src/a.py"
    times = file.stat()
    file.write_text("src/A.py")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def _retarget(project: Project) -> None:
    file = project.root / "src/a.py"
    file.unlink()
    file.symlink_to("deep/b.py")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda _: None, (), id="nothing"),
        pytest.param(_touch_an_hour_ahead, (), id="all times"),
        pytest.param(lambda p: p.write("src/a.py"), (), id="an input written with the same content"),
        pytest.param(lambda p: p.write("elsewhere.py", "new"), (), id="a file that is not declared"),
        pytest.param(lambda p: p.write("src/__pycache__/a.pyc"), (), id="byte code of an input"),
        pytest.param(lambda p: p.write(".phases/logs/2/log"), (), id="the log of a run"),
        pytest.param(lambda p: (p.root / "src/empty").mkdir(), (), id="an empty folder"),
        pytest.param(_change_and_set_back, ("src/a.py changed",), id="an input, its time set back"),
        pytest.param(
            lambda p: (p.root / "src/a.py").chmod(0o755), ("src/a.py changed",), id="an executable bit"
        ),
        pytest.param(_retarget, ("src/a.py changed",), id="an input that is a link now"),
        pytest.param(lambda p: p.write("src/new.py"), ("src/new.py is new",), id="an input added"),
        pytest.param(lambda p: p.write("conf/y.toml"), ("conf/y.toml is new",), id="one that a glob names"),
        pytest.param(lambda p: p.write("absent.lock"), ("absent.lock is new",), id="one that was missing"),
        pytest.param(
            lambda p: (p.root / "src/deep/b.py").unlink(), ("src/deep/b.py is gone",), id="an input removed"
        ),
        pytest.param(
            lambda p: (p.root / "src/a.py").rename(p.root / "src/c.py"),
            ("src/a.py is gone", "src/c.py is new"),
            id="an input renamed",
        ),
        pytest.param(
            lambda p: (p.root / "dist/x.whl").unlink(), ("dist/x.whl is missing",), id="an output removed"
        ),
        pytest.param(lambda p: p.write("dist/x.whl", "new"), ("dist/x.whl changed",), id="an output altered"),
        pytest.param(
            lambda p: p.write("dist/y.whl"), ("dist/y.whl is new",), id="another file among the outputs"
        ),
    ],
)
def test_what_counts_as_a_change(
    project: Project, change: Callable[[Project], object], said: tuple[str, ...]
) -> None:
    """Content, names, links and the executable bit of inputs and outputs count, and times never."""
    change(project)
    assert project.reasons() == said


CHANGED_COMMAND = ("its command, its keys or the Python changed",)


@pytest.mark.parametrize(
    ("stage", "env", "said"),
    [
        pytest.param(replace(STAGE, run="make dist"), ENV, CHANGED_COMMAND, id="script"),
        pytest.param(replace(STAGE, language=Language.SH), ENV, CHANGED_COMMAND, id="language"),
        pytest.param(replace(STAGE, cwd="src"), ENV, CHANGED_COMMAND, id="cwd"),
        pytest.param(replace(STAGE, crew=Crew.TESTING), ENV, CHANGED_COMMAND, id="crew"),
        pytest.param(replace(STAGE, inputs=(*STAGE.inputs, "dist2")), ENV, CHANGED_COMMAND, id="inputs"),
        pytest.param(
            replace(STAGE, outputs=("dist", "out")),
            ENV,
            (*CHANGED_COMMAND, "out is missing"),
            id="outputs",
        ),
        pytest.param(replace(STAGE, cwd="."), ENV, (), id="the same cwd in other words"),
        pytest.param(replace(STAGE, outputs=("./dist/",)), ENV, (), id="the same outputs in other words"),
        pytest.param(replace(STAGE, timeout=9.0, needs=("x",), place=Place("p", 1)), ENV, (), id="timeout"),
        pytest.param(STAGE, {**ENV, "OTHER": "2"}, (), id="a variable that is not named"),
        pytest.param(STAGE, {**ENV, "API_URL": "https://two"}, ("API_URL changed",), id="a variable"),
        pytest.param(STAGE, {}, ("API_URL is not set any more",), id="a variable unset"),
        pytest.param(STAGE, {**ENV, "UNSET": ""}, ("UNSET is set now",), id="a variable set to nothing"),
    ],
)
def test_what_is_run_counts(
    project: Project, stage: Stage, env: dict[str, str], said: tuple[str, ...]
) -> None:
    """The command, where it runs and the variables that it names count; what limits or orders it does not."""
    assert project.reasons(stage, env) == said


def test_the_python_is_part_of_the_command() -> None:
    """Another Python makes something else of the same stage, in whatever language it starts it."""
    assert command_digest(STAGE, "3.11.1 (main)") != command_digest(STAGE, "3.12.0 (main)")


@pytest.mark.parametrize(
    ("stage", "settings", "said"),
    [
        pytest.param(replace(STAGE, inputs=()), {}, ("it declares no inputs",), id="no inputs"),
        pytest.param(STAGE, {"force": True}, ("--phases-force",), id="asked for"),
        pytest.param(STAGE, {"measured": ()}, (), id="coverage is measured, and it builds"),
        pytest.param(
            replace(STAGE, crew=Crew.TESTING),
            {"measured": ()},
            ("the run measures coverage, and it may execute what is measured",),
            id="coverage is measured, and it tests",
        ),
    ],
)
def test_when_a_stage_runs_whatever_is_there(
    project: Project, stage: Stage, settings: dict[str, object], said: tuple[str, ...]
) -> None:
    """Without inputs, when asked to, and where it may be what coverage is measured of, a stage runs."""
    assert project.reasons(stage, **settings) == said


def test_a_stage_of_which_nothing_is_known_runs(project: Project) -> None:
    """The first time there is nothing to compare with."""
    now = look(STAGE, project.site, ENV)
    assert why_run("2", STAGE, now, None, Settings()) == ("no good end of it is known",)


def test_a_stage_without_outputs_can_be_up_to_date(project: Project) -> None:
    """A check, like a linter, need not look at the same files again."""
    linter = replace(STAGE, outputs=())
    now = look(linter, project.site, ENV)
    assert differences(record("2", linter, now, now, None), record("2", linter, now, now, None)) == ()


def test_an_input_that_changes_meanwhile_is_noted(project: Project) -> None:
    """Nobody knows whether the stage has read it before or after, so it is not up to date next time."""
    before = look(STAGE, project.site, ENV)
    project.write("src/a.py", "edited meanwhile")
    project.write("src/new.py")
    (project.root / "src/deep/b.py").unlink()
    found = record("2", STAGE, before, look(STAGE, project.site, ENV), None)
    assert found.changed == ("src/a.py", "src/deep/b.py", "src/new.py")
    assert dict(found.inputs)["src/a.py"] == before.inputs["src/a.py"].sha256
    project.write("src/a.py")
    (project.root / "src/new.py").unlink()
    project.write("src/deep/b.py")
    project.last = found
    assert project.reasons() == tuple(f"{path} changed while it ran" for path in found.changed)


def test_an_output_that_was_never_made_keeps_a_stage_running(project: Project) -> None:
    """What a stage declares and does not make is missing, now and the next time."""
    stage = replace(STAGE, outputs=("dist", "report/*.xml"))
    project.last = project.run(stage)
    assert project.reasons(stage) == ("report/*.xml is missing",)


def test_files_that_were_there_first_are_no_outputs(project: Project) -> None:
    """What a stage finds in a folder it writes to could be a source: it counts, but as an input."""
    project.write("dist/README")
    project.last = project.run(STAGE)
    assert "dist/README" in dict(project.last.inputs)
    assert [path for path, _ in project.last.outputs] == ["dist/docs/index.html", "dist/x.whl"]
    assert project.reasons() == ()
    project.write("dist/README", "new")
    assert project.reasons() == ("dist/README changed",)


def test_outputs_stay_outputs(project: Project) -> None:
    """An incremental build that leaves its files alone has made them all the same."""
    before = look(STAGE, project.site, ENV)
    again = record("2", STAGE, before, look(STAGE, project.site, ENV), project.last)
    assert again == project.last
    named = replace(STAGE, outputs=("dist/x.whl",))
    before = look(named, project.site, ENV)
    assert dict(record("2", named, before, before, None).outputs).keys() == {"dist/x.whl"}


def test_many_differences_are_counted(project: Project) -> None:
    """The first few are named, and how many more there are."""
    for number in range(8):
        project.write(f"src/new{number}.py")
    assert project.reasons()[-2:] == ("src/new4.py is new", "3 more")


def test_what_cannot_be_read_is_no_reason_to_trust(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage whose input cannot be read runs, though it could not be read the last time either."""

    def fail(_: str) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pytest_phases.stages.files._digest", fail)
    project.last = project.run(STAGE)
    assert project.reasons()[0] == "conf/x.toml cannot be read"
