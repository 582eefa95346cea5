"""What the tests of established facts share: a clean environment, runs of pytest, and notes.

Each fact has the number that it has in the design. Most tests look at pytest, pytest-xdist, execnet
or coverage alone (`-p no:phases`), so that a version that breaks one is noticed here first.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

NOTES_MODULE = '''
import os

def note(*words):
    """Append a line, with the process in front; short appends do not mix."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    with open({file!r}, "a") as file:
        file.write(" ".join(map(str, (worker, *words))) + "\\n")
'''

# They take no part in any fact: one shuffles tests, and importing the other is most of what a process costs.
WITHOUT = ("-p", "no:randomly", "-p", "no:hypothesispytest")

KEPT_OUT = ("PYTEST_XDIST_", "PHASES_", "COV_", "COVERAGE_")


@dataclass(frozen=True)
class Notes:
    """What code under test wrote with `from notes import note`: `worker word word ...`, in order."""

    file: Path

    @property
    def lines(self) -> list[str]:
        """All lines."""
        return self.file.read_text().splitlines() if self.file.exists() else []

    def of(self, process: str) -> list[str]:
        """What one process wrote: `main` or a worker's name."""
        return [line.partition(" ")[2] for line in self.lines if line.startswith(f"{process} ")]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the run around this one reaches the runs inside."""
    for name in [name for name in os.environ if name.startswith(KEPT_OUT) or name == "PYTEST_ADDOPTS"]:
        monkeypatch.delenv(name)


@pytest.fixture
def notes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Notes:
    """The notes of the code under test, which lie outside of its folder."""
    folder = tmp_path_factory.mktemp("notes")
    (folder / "notes.py").write_text(NOTES_MODULE.format(file=str(folder / "notes.txt")))
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    return Notes(folder / "notes.txt")


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """A function that runs pytest in a process of its own; 60 seconds at most."""

    def start(*args: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess(*WITHOUT, "--junitxml=junit.xml", *args, timeout=60)

    return start


@pytest.fixture
def run_inside(pytester: pytest.Pytester) -> Callable[..., pytest.HookRecorder]:
    """A function that runs pytest alone in the process of the test, where `plugins` take part."""

    def start(*args: str, plugins: tuple[object, ...] = ()) -> pytest.HookRecorder:
        return pytester.inline_run("-p", "no:phases", *WITHOUT, *args, plugins=plugins)

    return start


@pytest.fixture
def verdicts(pytester: pytest.Pytester) -> Callable[[], list[tuple[str, str]]]:
    """A function that reads every `(name, outcome)` from the last run's junitxml, sorted."""

    def read() -> list[tuple[str, str]]:
        cases = ElementTree.parse(pytester.path / "junit.xml").iter("testcase")
        return sorted((case.get("name", ""), case[0].tag if len(case) else "passed") for case in cases)

    return read


@pytest.fixture
def script(pytester: pytest.Pytester) -> Callable[..., str]:
    """A function that runs a script with this Python and returns what it printed."""

    def start(text: str, **environment: str) -> str:
        file = pytester.makepyfile(script=text)
        done = subprocess.run(
            [sys.executable, str(file)],
            cwd=pytester.path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    return start
