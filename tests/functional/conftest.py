"""What functional tests share: a plan, a run of pytest with real workers, and the tests' own clock."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

Run = Callable[..., pytest.RunResult]

# What a test of a project under test writes with; it lies outside the project, so nothing collects it.
JOURNAL_MODULE = '''
import contextlib, json, os, time

FILE = {file!r}

def note(name, **more):
    """Append one record with the time, the process and the worker; short appends do not mix."""
    record = dict(name=name, at=time.monotonic_ns(), pid=os.getpid(),
                  worker=os.environ.get("PYTEST_XDIST_WORKER", "master"), **more)
    handle = os.open(FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, (json.dumps(record) + "\\n").encode())
    os.close(handle)

@contextlib.contextmanager
def span(name):
    """Note when something begins and when it ends."""
    note(name)
    yield
    note(name + " ended")

def wait_for(name, seconds=30):
    """Wait until a record of this name is in the journal, whoever wrote it."""
    end = time.monotonic() + seconds
    while name not in names():
        assert time.monotonic() < end, f"{{name}} was never noted"
        time.sleep(0.01)

def names():
    """The names noted so far, in order."""
    if not os.path.exists(FILE):
        return []
    with open(FILE) as lines:
        return [json.loads(line)["name"] for line in lines]
'''


# A plugin of the project under test: keeps what the run's own hook says of each phase at the end.
RECORDER_MODULE = """
import dataclasses, json, pytest

@pytest.hookimpl(optionalhook=True)
def pytest_phases_run_finished(result):
    with open({file!r}, "w") as file:
        json.dump({{phase.id: dataclasses.asdict(phase) for phase in result.phases}}, file)
"""

# The plugin behind `Journal.placed`; it tells the truth where phases follow one another.
PHASE_JOURNAL_MODULE = """
from journal import note

def pytest_phases_phase_changed(event):
    if event.new == "open" and event.kind != "unphased":
        note(event.id, kind="phase")

def pytest_runtest_setup(item):
    note(item.name, kind="test")
"""


# Plugins by the names of their entry points, and the word of an argument that asks for them.
NEIGHBOURS = {
    "hypothesispytest": "--hypothesis",
    "pytest_cov": "--cov",
    "randomly": "randomly",
    "rerunfailures": "--reruns",
    "timeout": "--timeout",
}


@dataclass(frozen=True)
class Journal:
    """What the tests under test noted with `from journal import note`, in the order they did."""

    file: Path

    @property
    def records(self) -> list[dict]:
        """All records: `name`, `at` (nanoseconds), `pid`, `worker` and what else was noted."""
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []

    @property
    def names(self) -> list[str]:
        """The names alone, in the order they were noted."""
        return [record["name"] for record in self.records]

    def __getitem__(self, name: str) -> dict:
        """The one record of that name."""
        (record,) = [record for record in self.records if record["name"] == name]
        return record

    def span(self, name: str) -> tuple[int, int]:
        """When what was noted with `span` began and ended, in nanoseconds."""
        return self[name]["at"], self[name + " ended"]["at"]

    def clear(self) -> None:
        """Forget everything, for a second run."""
        self.file.unlink(missing_ok=True)

    def placed(self) -> dict[str, str]:
        """The phase of each test that ran under `-p phase_journal`: the one that opened last before it."""
        found, phase = {}, ""
        for record in self.records:
            if record.get("kind") == "phase":
                phase = record["name"]
            elif record.get("kind") == "test":
                found[record["name"]] = phase
        return found


@dataclass(frozen=True)
class Outcomes:
    """What a run's junitxml says: one entry a test case, `(outcome, message)`."""

    cases: list[tuple[str, str, str]]

    def __getitem__(self, name: str) -> str:
        """The outcome of the test of that name: passed, failed, error or skipped."""
        (outcome,) = [outcome for case, outcome, _ in self.cases if case == name]
        return outcome

    def message(self, name: str) -> str:
        """What the test case's failure, error or skip says."""
        (message,) = [message for case, _, message in self.cases if case == name]
        return message

    def as_dict(self) -> dict[str, str]:
        """Name to outcome; a name that is there twice is an error."""
        assert len({name for name, _, _ in self.cases}) == len(self.cases), self.cases
        return {name: outcome for name, outcome, _ in self.cases}


@pytest.fixture
def plan(pytester: pytest.Pytester) -> Callable[[str], Path]:
    """A function that writes `plan.md` into the project under test."""

    def write(text: str, name: str = "plan.md") -> Path:
        file = pytester.path / name
        file.write_text(text, encoding="utf-8")
        return file

    return write


@pytest.fixture
def beside(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside the project under test, from which it can import helpers.

    What the run around this one left in the environment is kept from the project under test.
    """
    for name in os.environ:
        if name.startswith(("PYTEST_XDIST_", "PHASES_", "COV_")) or name == "PYTEST_ADDOPTS":
            monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("beside")
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    return folder


@pytest.fixture
def journal(beside: Path) -> Journal:
    """The journal of the project under test; its tests write with `from journal import note`."""
    file = beside / "journal.jsonl"
    (beside / "journal.py").write_text(JOURNAL_MODULE.format(file=str(file)), encoding="utf-8")
    (beside / "phase_journal.py").write_text(PHASE_JOURNAL_MODULE, encoding="utf-8")
    return Journal(file)


@pytest.fixture
def run(pytester: pytest.Pytester, beside: Path) -> Run:
    """A function that runs pytest in a process of its own and returns the result; 60 seconds at most.

    Every run writes what `outcomes` and `phases` read. Neighbours that are installed by chance take
    part only where the arguments speak of them.
    """
    file = beside / "phases.json"
    (beside / "run_recorder.py").write_text(RECORDER_MODULE.format(file=str(file)), encoding="utf-8")

    def start(*args: str, timeout: float = 60) -> pytest.RunResult:
        file.unlink(missing_ok=True)
        (pytester.path / "junit.xml").unlink(missing_ok=True)
        absent = [name for name, word in NEIGHBOURS.items() if not any(word in arg for arg in args)]
        return pytester.runpytest_subprocess(
            *(f"-pno:{name}" for name in absent),
            "-p", "run_recorder", "--junitxml=junit.xml", *args, timeout=timeout,
        )  # fmt: skip

    return start


@pytest.fixture
def refused() -> Callable[[pytest.RunResult], list[str]]:
    """A function that returns the problems a run ended with, as a usage error and without a traceback."""

    def problems(result: pytest.RunResult) -> list[str]:
        text = result.stdout.str() + result.stderr.str()
        assert result.ret == pytest.ExitCode.USAGE_ERROR, text
        assert "Traceback" not in text
        assert "INTERNALERROR" not in text
        return [line.removeprefix("ERROR: ") for line in result.errlines if line.startswith("ERROR: ")]

    return problems


@pytest.fixture
def phases(beside: Path) -> Callable[[], dict[str, dict]]:
    """A function that reads how each phase of the last run ended: the fields of `PhaseResult` by id."""
    return lambda: json.loads((beside / "phases.json").read_text(encoding="utf-8"))


@pytest.fixture
def states(phases: Callable[[], dict[str, dict]]) -> Callable[[], dict[str, str]]:
    """A function that reads the state in which each phase of the last run ended, by id."""
    return lambda: {name: phase["state"] for name, phase in phases().items()}


@pytest.fixture
def outcomes(pytester: pytest.Pytester) -> Callable[[], Outcomes]:
    """A function that reads what the last run's junitxml says about each test."""

    def read() -> Outcomes:
        cases = []
        for case in ElementTree.parse(pytester.path / "junit.xml").iter("testcase"):
            verdicts = [part for part in case if part.tag in ("failure", "error", "skipped")]
            outcome = verdicts[0].tag.replace("failure", "failed") if verdicts else "passed"
            message = verdicts[0].get("message", "") if verdicts else ""
            cases.append((case.get("name", ""), outcome, message))
        return Outcomes(cases)

    return read
