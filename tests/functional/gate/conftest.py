"""What tests of the gate share: a small green project, run once, of which each test has a copy."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_phases.cli import main

PLAN = """
# Shop

### Phase 1: Library
tests: [test_library.py]
covers: [library.py]
coverage: 80

### Phase 2: Program
dependencies: [1]
tests: [test_program.py]
{keys}
Testing: smoke
```bash
python -c "import library"
```

### Gate: Release
coverage: 80
{gate}
"""
LAST = "test_program.py::test_last"

FILES = {
    "plan.md": PLAN.format(keys="", gate=""),
    "library.py": "def double(number):\n    return 2 * number\n",
    "test_library.py": """
import library

def test_double():
    assert library.double(2) == 4

def test_zero():
    assert library.double(0) == 0
""",
    "test_program.py": "def test_first(): pass\n\ndef test_last(): pass\n",
    "test_extra.py": "def test_unphased(): pass\n",
    "notes.txt": "Nothing measures or imports this.\n",
    "pytest.ini": "[pytest]\n",
    ".gitignore": "junit.xml\n",
}

# Installed neighbours take part where the arguments speak of them.
NEIGHBOURS = {
    "hypothesispytest": "--hypothesis",
    "pytest_cov": "cov",
    "randomly": "randomly",
    "rerunfailures": "--reruns",
    "timeout": "--timeout",
}

SOMEBODY = {"NAME": "Somebody", "EMAIL": "somebody@example.org"}
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in SOMEBODY.items()},
}


@dataclass(frozen=True)
class Gate:
    """What the gate said: the exit status, the decision and the text of each reason."""

    exit: int
    decision: str
    reasons: tuple[str, ...]
    data: Mapping = field(default_factory=dict, repr=False)

    def says(self, *fragments: str) -> bool:
        """Whether one reason holds all of these."""
        return any(all(fragment in reason for fragment in fragments) for reason in self.reasons)


@dataclass(frozen=True)
class Ran:
    """A run of pytest that has ended: its exit status, its output, and what of it speaks of the gate."""

    exit: int
    output: str

    @property
    def gate(self) -> str:
        """The gate's line and its reasons, which follow it."""
        lines = self.output.splitlines()
        found = [line for line in lines if line.startswith("gate") and ": coverage " not in line][-1:]
        return "\n".join([*found, *filter(_is_reason, lines)])


def _is_reason(line: str) -> bool:
    return line.startswith(("  red: ", "  incomplete: ", "  pending: ", "  deployed: "))


def clean_environment() -> dict[str, str]:
    """An environment that knows nothing of the run around this one, nor of the user's git."""
    ours = ("PYTEST_XDIST_", "PHASES_", "COV", "GIT_", "PYTEST_CURRENT_", "PYTEST_ADDOPTS")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(ours)}, **GIT}


@dataclass(frozen=True)
class Project:
    """A project under test in a folder of its own."""

    path: Path

    @property
    def evidence(self) -> Path:
        """The folder of what its runs leave."""
        return self.path / ".phases"

    @property
    def verdict(self) -> dict:
        """What `verdict.json` says."""
        return json.loads((self.evidence / "verdict.json").read_text(encoding="utf-8"))

    def write(self, files: Mapping[str, str]) -> Project:
        """Write files by their paths."""
        for name, text in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text, encoding="utf-8")
        return self

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace a piece of a file that must be there."""
        text = (self.path / name).read_text(encoding="utf-8")
        assert old in text, text
        self.write({name: text.replace(old, new)})

    def git(self, *words: str) -> str:
        """What git answers."""
        done = subprocess.run(
            ["git", "-c", "init.defaultBranch=main", *words],
            cwd=self.path, env=clean_environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self) -> str:
        """Commit everything; the id of the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD")

    def command(self, *args: str) -> list[str]:
        """The command of a run of the plan."""
        absent = [name for name, word in NEIGHBOURS.items() if not any(word in arg for arg in args)]
        without = [f"-pno:{name}" for name in absent]
        return [sys.executable, "-m", "pytest", "--phases=plan.md", *without, *args]

    def run(self, *args: str, **variables: str) -> Ran:
        """Run the plan in a process of its own, of a minute at most."""
        done = subprocess.run(
            self.command(*args), cwd=self.path, env={**clean_environment(), **variables}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout)

    def started(self, *args: str) -> subprocess.Popen[str]:
        """The same run, while it runs."""
        return subprocess.Popen(
            self.command(*args), cwd=self.path, env=clean_environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def call(self, command: str, *args: str) -> tuple[int, str]:
        """The exit status and the output of `pytest-phases COMMAND` here."""
        result = CliRunner().invoke(main, [command, "--root", str(self.path), *args])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    def gate(self, *args: str) -> Gate:
        """What `pytest-phases gate --json` says here."""
        exit_code, output = self.call("gate", "--json", *args)
        data = json.loads(output)
        return Gate(exit_code, data["decision"], tuple(each["text"] for each in data["reasons"]), data)

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """The database of its runs; what is changed there is committed."""
        with closing(sqlite3.connect(self.evidence / "phases.db")) as connection, connection:
            yield connection


Make = Callable[..., Project]


@pytest.fixture(scope="session")
def make_project() -> Make:
    """A function that writes a project to a folder and, unless told otherwise, commits it."""

    def make(path: Path, files: Mapping[str, str] | None = None, *, git: bool = True) -> Project:
        path.mkdir(parents=True)
        project = Project(path).write(FILES | (files or {}))
        if git:
            project.git("init", "--quiet")
            # As every project has it; what is tracked would count, byte code or not.
            project.write({".git/info/exclude": "__pycache__/\n"})
            project.commit()
        return project

    return make


@pytest.fixture(scope="session")
def shared_green(make_project: Make, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project that every test has a copy of, after a green run."""
    project = make_project(tmp_path_factory.mktemp("gate") / "shop")
    ran = project.run("-n2")
    assert ran.exit == 0, ran.output
    assert ran.gate == "gate (Release): green"
    return project


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[..., Project]:
    """A function that copies a project with all that its run has left."""

    def copy(project: Project, name: str = "project") -> Project:
        return Project(shutil.copytree(project.path, tmp_path / name, symlinks=True))

    return copy


@pytest.fixture
def green(shared_green: Project, copy_of: Callable[..., Project]) -> Project:
    """A project of the test's own whose gate is green."""
    project = copy_of(shared_green)
    assert project.gate() == Gate(0, "green", (), project.verdict)
    return project


@pytest.fixture
def new_project(make_project: Make, tmp_path: Path) -> Make:
    """A function that makes a project of the test's own from the files of the green one and others."""
    return lambda files=None, **more: make_project(tmp_path / "new", files, **more)


@pytest.fixture
def plan_text() -> Callable[..., str]:
    """A function that returns the green project's plan with more keys of phase 2 and of the gate."""
    return lambda keys="", gate="": PLAN.format(keys=keys, gate=gate)
