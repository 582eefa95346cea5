"""Processes that tests and stages start: told to measure themselves, and read when they have ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from coverage import Coverage, CoverageData
from coverage.config import CoverageConfig

from pytest_phases.coverage.early import core
from pytest_phases.coverage.payload import Payload
from pytest_phases.coverage.subprocesses import VARIABLE, Subprocesses

Make = Callable[..., Subprocesses]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """A function that makes one with some settings of coverage.py; it is stopped in the end."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    made: list[Subprocesses] = []

    def start(**settings: object) -> Subprocesses:
        cov = Coverage(data_file=None, config_file=False)
        cov.config.data_file = str(tmp_path / ".coverage")
        for name, value in settings.items():
            setattr(cov.config, name, value)
        made.append(Subprocesses(cov.config))
        return made[-1]

    yield start
    for each in made:
        each.stop()


def told() -> CoverageConfig:
    """The configuration that a process finds which is started now."""
    return CoverageConfig.deserialize(os.environ[VARIABLE])


def left(context: str, lines: set[int] | set[tuple[int, int]], suffix: str = ".host.1") -> Path:
    """A process has ended that executed lines, or arcs, and was started when `context` was due."""
    assert told().context == context
    path = Path(f"{told().data_file}{suffix}")
    data = CoverageData(basename=str(path))
    arcs = any(isinstance(line, tuple) for line in lines)
    Payload(arcs, {context: {"/a.py": lines}}).fill(data)
    data.close()
    return path


# What a process is told --------------------------------------------------------------------------


def test_a_process_records_under_the_context_that_is_due(make: Make) -> None:
    """Into a file of its own, in a folder that no other run uses."""
    one, other = make(), make()
    one.belong_to("phase 1")
    first = told()
    one.belong_to("phase 2")
    second = told()
    one.belong_to("phase 1")
    assert (first.context, second.context, told().context) == ("phase 1", "phase 2", "phase 1")
    assert first.data_file == second.data_file
    assert first.parallel
    other.belong_to("phase 1")
    assert told().data_file != first.data_file


def test_the_projects_own_context_stands_in_front(make: Make) -> None:
    """As coverage.py itself joins a static context with others; what is read has ours alone."""
    processes = make(context="ci")
    for context, whole in (("phase 1", "ci|phase 1"), ("", "ci")):
        processes.belong_to(context)
        left(whole, {1})
        assert processes.take().measured == {context: {"/a.py": {1}}}


def test_a_context_that_begins_like_ours_takes_nothing_from_it(make: Make) -> None:
    """The project may call its own context `phase`."""
    processes = make(context="phase")
    processes.belong_to("phase 1")
    left("phase|phase 1", {1})
    assert set(processes.take().measured) == {"phase 1"}


def test_a_process_measures_what_the_configuration_says(make: Make, tmp_path: Path) -> None:
    """Its settings are the project's, and the configuration it was made of stays as it was."""
    processes = make(branch=True, run_omit=["gone.py"])
    processes.belong_to("phase 1")
    assert told().branch
    assert told().run_omit == ["gone.py"]
    assert not Path(told().data_file).is_relative_to(tmp_path / ".coverage")


@pytest.mark.parametrize("before", [None, "somebody's"], ids=["not set", "set"])
def test_the_environment_is_left_as_it_was(
    make: Make, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    """Whoever measures this process goes on to measure those it starts; the folder is gone."""
    if before is not None:
        monkeypatch.setenv(VARIABLE, before)
    processes = make()
    processes.belong_to("phase 1")
    folder = left("phase 1", {1}).parent
    processes.stop()
    processes.stop()
    assert os.environ.get(VARIABLE) == before
    assert not folder.exists()


def test_a_process_that_is_started_measures_itself(make: Make, tmp_path: Path) -> None:
    """Any Python that coverage.py is installed for, without a word in its command."""
    script = tmp_path / "script.py"
    script.write_text("A = 1\nB = 2\n", encoding="utf-8")
    processes = make(core=core())
    processes.belong_to("phase 1")
    subprocess.run([sys.executable, str(script)], check=True, cwd=tmp_path)
    measured = processes.take().measured["phase 1"]
    assert {Path(file).name: lines for file, lines in measured.items()}["script.py"] >= {1, 2}


# What is read ------------------------------------------------------------------------------------


def test_what_was_left_is_read_once(make: Make) -> None:
    """Several processes are put together, and their files are gone."""
    processes = make()
    processes.belong_to("phase 1")
    files = [left("phase 1", {1}, ".host.1"), left("phase 1", {2}, ".host.2")]
    assert processes.take().measured == {"phase 1": {"/a.py": {1, 2}}}
    assert processes.take() == Payload()
    assert not any(file.exists() for file in files)
    assert processes.unread() == ()


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"SQLite format 3\0"], ids=["empty", "no data", "cut short"]
)
def test_what_cannot_be_read_is_left_and_named(make: Make, content: bytes) -> None:
    """The others are read all the same, and this one when its process has written it."""
    processes = make()
    processes.belong_to("phase 1")
    whole = left("phase 1", {1}, ".host.1")
    unfinished = left("phase 1", {2}, ".host.2")
    later = unfinished.read_bytes()
    unfinished.write_bytes(content)
    assert processes.take().measured == {"phase 1": {"/a.py": {1}}}
    assert not whole.exists()
    assert processes.unread() == (unfinished.name,)
    assert unfinished.read_bytes() == content
    unfinished.write_bytes(later)
    assert processes.take().measured == {"phase 1": {"/a.py": {2}}}
    assert processes.unread() == ()


def test_what_sqlite_keeps_beside_a_file_is_nobodys_data(make: Make) -> None:
    """Neither is what is not called as we have told the processes."""
    processes = make()
    processes.belong_to("phase 1")
    folder = left("phase 1", {1}).parent
    for name in ("data.host.9-journal", "data.host.9-wal", "data.host.9-shm", "other"):
        (folder / name).write_bytes(b"nonsense")
    assert processes.take().measured == {"phase 1": {"/a.py": {1}}}
    assert processes.unread() == ()


def test_a_process_that_measured_branches_beside_one_of_lines_is_named(make: Make) -> None:
    """They cannot be put together, and nothing is lost in silence."""
    processes = make()
    processes.belong_to("phase 1")
    left("phase 1", {1}, ".host.1")
    arcs = left("phase 1", {(1, 2)}, ".host.2")
    assert processes.take().measured == {"phase 1": {"/a.py": {1}}}
    assert processes.unread() == (arcs.name,)


def test_where_pytest_cov_measures_processes_it_gets_what_they_left(make: Make, tmp_path: Path) -> None:
    """Under the name by which it looks for the data of its own processes."""
    processes = make(patch=["subprocess"])
    processes.belong_to("phase 1")
    left("phase 1", {1}, ".host.1.xyz")
    assert processes.take().measured == {"phase 1": {"/a.py": {1}}}
    assert Payload.from_file(tmp_path / ".coverage.host.1.xyz").measured == {"phase 1": {"/a.py": {1}}}
