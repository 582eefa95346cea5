"""The parts of all workers: kept on disk, put together, and none of them lost in silence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from coverage import CoverageData

from pytest_phases.coverage.combine import Combined
from pytest_phases.coverage.payload import Payload, versioned
from pytest_phases.evidence import AFTERWARDS, PartRecord

Make = Callable[[dict[str, str]], Path]
LINES, MORE = {1, 2}, {2, 3}


@dataclass
class Parts:
    """The combined data of a project, with what it recorded."""

    root: Path
    records: list[PartRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.combined = Combined(self.root, self.folder, "r1", self.records.append)

    @property
    def folder(self) -> Path:
        """That of the run's files."""
        return self.root / ".phases"

    def pack(self, context: str, lines: set[int] | set[tuple[int, int]], file: str = "a.py") -> bytes:
        """What a worker sends that has executed these lines, or arcs, of a file."""
        arcs = any(isinstance(line, tuple) for line in lines)
        return Payload(arcs, {context: {versioned(file, self.root): lines}}).to_bytes()

    def take(self, phase: str, lines: set[int], worker: str = "gw0", problem: str = "") -> None:
        """A worker hands over lines of a phase."""
        self.combined.take(worker, phase, self.pack(f"phase {phase}", lines), (), problem)

    def stored(self, number: int = -1) -> Payload:
        """What lies on disk for a record, whose digest is right."""
        record = self.records[number]
        content = (self.folder / record.file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == record.sha256
        return Payload.from_bytes(content)

    @property
    def measured(self) -> dict[str, dict[str, set[int]]]:
        """What counts of files as they are now."""
        return self.combined.current().measured


@pytest.fixture
def parts(make: Make) -> Parts:
    """A project with one source in which nothing has been measured."""
    return Parts(make({"a.py": "A = 1\nB = 2\nC = 3\n"}))


# Taking ------------------------------------------------------------------------------------------


def test_workers_are_put_together_by_context_file_and_line(parts: Parts) -> None:
    """Whichever worker executed a line of a phase, it counts."""
    parts.take("1", LINES, "gw0")
    parts.take("1", MORE, "gw1")
    parts.take("2", {3}, "gw1")
    assert parts.measured == {"phase 1": {"a.py": {1, 2, 3}}, "phase 2": {"a.py": {3}}}


def test_a_second_part_of_a_phase_and_worker_adds_to_the_first(parts: Parts) -> None:
    """A worker comes back to a phase and hands over what is new; it stays one part."""
    parts.take("1", LINES)
    parts.combined.write()
    parts.take("1", MORE)
    parts.combined.write()
    assert parts.measured == {"phase 1": {"a.py": {1, 2, 3}}}
    assert len({record.file for record in parts.records}) == 1
    assert list(parts.stored().measured["phase 1"].values()) == [{1, 2, 3}]


def test_lines_of_a_former_version_of_a_file_do_not_count(parts: Parts) -> None:
    """They stay in the part, which says what was executed."""
    parts.take("1", LINES)
    (parts.root / "a.py").write_text("A = 2\n", encoding="utf-8")
    parts.take("1", {1}, "gw1")
    parts.combined.write()
    assert parts.measured == {"phase 1": {"a.py": {1}}}
    assert list(parts.stored(0).measured["phase 1"].values()) == [LINES]


# What is wrong with parts ------------------------------------------------------------------------


def test_a_part_that_nobody_handed_over_is_named(parts: Parts) -> None:
    """With the worker and what it is missing of."""
    parts.take("1", LINES)
    expected = [("1", "gw0"), ("1", "gw1"), ("1/A", "gw0")]
    assert parts.combined.missing(expected) == [
        "worker gw1 handed over no coverage data of phase 1",
        "worker gw0 handed over no coverage data of stream 1/A",
    ]


def test_a_part_of_no_lines_is_no_missing_part(parts: Parts) -> None:
    """A worker that executed nothing of the project has said so."""
    parts.combined.take("gw0", "1", Payload().to_bytes(), (), "")
    assert parts.combined.missing([("1", "gw0")]) == []
    assert parts.measured == {}


def test_what_was_lost_stays_lost_whatever_comes_later(parts: Parts) -> None:
    """A sound second part does not stand for an unreadable first one."""
    parts.combined.take("gw0", "1", b"nonsense", (), "")
    parts.take("1", LINES)
    (problem,) = parts.combined.missing([("1", "gw0")])
    assert problem.startswith("worker gw0: coverage data cannot be read: ")
    parts.combined.write()
    assert f"worker gw0: {parts.records[-1].problem}" == problem
    assert list(parts.stored().measured["phase 1"].values()) == [LINES]


def test_what_was_only_late_is_no_problem_any_more(parts: Parts) -> None:
    """A process that a test started may end, and write, after the item that started it."""
    parts.take("1", LINES, problem="a process left unreadable coverage data: data.1")
    assert parts.combined.missing([("1", "gw0")]) == [
        "worker gw0: a process left unreadable coverage data: data.1"
    ]
    parts.take("1", MORE)
    assert parts.combined.missing([("1", "gw0")]) == []


@pytest.mark.parametrize("worker", ["gw0", "gw1"], ids=["by the same worker", "by another one"])
def test_branches_after_lines_are_a_problem_and_no_crash(parts: Parts, worker: str) -> None:
    """What was measured first stays usable and is written down."""
    parts.take("1", LINES)
    parts.combined.take(worker, "1", parts.pack("phase 1", {(1, 2)}), (), "")
    (problem,) = parts.combined.missing([("1", worker)])
    assert problem.startswith(f"worker {worker}: one process measured lines and another one branches; ")
    parts.combined.write()
    parts.combined.write_data()
    assert parts.measured == {"phase 1": {"a.py": LINES}}


# Contexts ----------------------------------------------------------------------------------------


def test_a_wide_fixture_counts_for_each_phase_that_uses_it(parts: Parts) -> None:
    """And for no other one; what is executed outside of phases counts for all."""
    parts.combined.take("gw0", "1", parts.pack("phase 1", LINES), ["fixture server"], "")
    parts.combined.take("gw1", "1", parts.pack("phase 1", LINES), ["fixture base"], "")
    parts.combined.take("gw0", "2", parts.pack("phase 2", LINES), [], "")
    assert parts.combined.contexts_of(["1"]) == {"", "phase 1", "fixture server", "fixture base"}
    assert parts.combined.contexts_of(["2"]) == {"", "phase 2"}
    assert parts.combined.contexts_of(["1", "2", "3/A"]) > {"phase 1", "phase 2", "stream 3/A"}


# On disk -----------------------------------------------------------------------------------------


def test_parts_are_written_where_they_are_asked_for_and_once(parts: Parts) -> None:
    """What has not changed since is not written again."""
    parts.take("1", LINES)
    parts.take("2", LINES)
    parts.combined.write(["1"])
    assert [record.phase for record in parts.records] == ["1"]
    parts.combined.write()
    parts.combined.write()
    assert [(record.phase, record.worker, record.problem) for record in parts.records] == [
        ("1", "gw0", ""),
        ("2", "gw0", ""),
    ]


NAMES = [
    ("1", "gw0"),
    ("1/A", "gw0"),
    ("1%2FA", "gw0"),
    ("a@b", "c"),
    ("a", "b@c"),
    (AFTERWARDS, "gw0"),
    ("..", "/x"),
]


def test_every_part_has_a_file_of_its_own_below_the_folder(parts: Parts) -> None:
    """No name of a phase or worker leads elsewhere or to the file of another one."""
    for number, (phase, worker) in enumerate(NAMES, 1):
        parts.take(phase, {number}, worker)
    parts.combined.write()
    files = sorted((parts.folder / "coverage" / "parts" / "r1").iterdir())
    assert len(files) == len(NAMES)
    for number, record in enumerate(parts.records):
        assert (record.phase, record.worker) == NAMES[number]
        assert list(parts.stored(number).measured[f"phase {record.phase}"].values()) == [{number + 1}]


@pytest.mark.parametrize("place", [".phases", ".phases/coverage", ".phases/coverage/parts"])
def test_what_cannot_be_written_is_recorded_as_a_problem(make: Make, place: str) -> None:
    """A file stands where a folder must be; the part is no good evidence, and there is no traceback."""
    parts = Parts(make({"a.py": "A = 1\n"}))
    make({place: "in the way"})
    parts.take("1", LINES)
    parts.combined.write()
    parts.combined.write_data()
    (record,) = parts.records
    assert record.problem.startswith("it could not be written: ")
    assert (parts.root / place).read_text(encoding="utf-8") == "in the way"


def test_the_combined_data_is_what_coverage_can_report(parts: Parts) -> None:
    """It has absolute paths, one context for each phase, and nothing of former versions or writings."""
    outside = parts.root / "a.py"
    for phase, lines in (("1", LINES), ("2", MORE)):
        parts.take(phase, lines)
        parts.combined.write()
        parts.combined.write_data()
    data = CoverageData(basename=str(parts.folder / "coverage" / "phases.coverage"))
    data.read()
    assert data.measured_files() == {str(outside)}
    assert data.measured_contexts() == {"phase 1", "phase 2"}
    assert sorted(data.lines(str(outside)) or ()) == [1, 2, 3]
    data.close()
