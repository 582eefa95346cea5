"""Judging thresholds by what the workers have handed over: reached, missed, or not to be measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from coverage import Coverage

from pytest_phases.coverage.analysis import Sources
from pytest_phases.coverage.combine import Combined
from pytest_phases.coverage.judge import CoverageJudge
from pytest_phases.coverage.payload import Payload, versioned
from pytest_phases.coverage.scope import judged
from pytest_phases.evidence import AFTERWARDS, PartRecord
from pytest_phases.plan.markdown import read_markdown

PLAN = """
### Phase 1: Library
covers: [library.py]
coverage: 50
#### Stream A: One
covers: [one.py]
### Phase 2: Program
covers: [program.py]
### Sync: Frozen
coverage: 60
### Phase gate: Last
covers: [one.py]
coverage: 90
### Gate: Release
coverage: 70
"""
SOURCE = "def f():\n    a = 1\n    b = 2\n    return a + b\n"
ALL, HEAD = {1, 2, 3, 4}, {1}


@dataclass
class Run:
    """A run whose thresholds are judged; every source has four statements, the first at import."""

    root: Path
    left: Mapping[str, str] = field(default_factory=dict)
    impossible: str = ""
    plan: str = PLAN

    def __post_init__(self) -> None:
        self.records: list[PartRecord] = []
        plan, problems = read_markdown(self.plan, "plan.md")
        assert not problems
        targets = judged(plan)
        self.judge = CoverageJudge(
            targets,
            lambda: Sources(self.root, Coverage(data_file=None, config_file=False)),
            Combined(self.root, self.root / ".phases", "r1", self.records.append),
            {target: self.left[target.id] for target in targets if target.id in self.left},
            impossible=self.impossible,
        )

    def ran(self, phase: str, file: str, lines: set[int], worker: str = "gw0") -> None:
        """A worker has run items of a phase and handed over what they executed."""
        context = f"{'stream' if '/' in phase else 'phase'} {phase}"
        data = Payload(False, {context: {versioned(file, self.root): lines}}).to_bytes()
        self.judge.expect(phase, worker)
        self.judge.take(worker, phase, data, (), "")


Make = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def root(make: Make) -> Path:
    """A project with three sources."""
    return make(dict.fromkeys(["library.py", "one.py", "program.py"], SOURCE))


@pytest.fixture
def run(root: Path) -> Run:
    """A run in which nothing has been measured yet."""
    return Run(root)


# Reached or missed -------------------------------------------------------------------------------


def test_what_is_reached_is_green_and_names_no_file(run: Run) -> None:
    """The figure is of the phase's own files by its own tests, its streams included."""
    run.ran("1", "library.py", {1, 2, 3})
    figure = run.judge.judge("1")
    assert (figure.reached, figure.required, figure.passed, figure.problem) == (75.0, 50.0, True, "")
    assert figure.text == "coverage reached 75 %, required 50 %"
    assert figure.title == "phase 1 (Library)"
    assert figure.files == ()


def test_what_is_missed_names_the_least_covered_files(run: Run) -> None:
    """With the lines that are missing there, the worst file first."""
    run.ran("1", "library.py", {1, 2, 3, 4})
    figure = run.judge.judge("sync:1")
    assert (figure.passed, figure.kind, figure.title) == (False, "sync point", "sync point (Frozen)")
    assert figure.text == "coverage reached 50 %, required 60 %"
    assert [file.split() for file in figure.files] == [["program.py", "0", "%", "missing", "1-4"]]


def test_lines_of_another_phase_do_not_count(run: Run) -> None:
    """But those that are executed at import do, whoever imported first."""
    run.ran("2", "library.py", ALL)
    run.ran("1", "one.py", HEAD)
    assert run.judge.judge("1").reached == 25.0


def test_a_stream_is_judged_for_itself_and_within_its_phase(run: Run) -> None:
    """By the phase's threshold, since it covers files of its own."""
    run.ran("1/A", "one.py", ALL)
    figure = run.judge.judge("1/A")
    assert (figure.required, figure.reached, figure.passed) == (50.0, 100.0, True)
    assert run.judge.judge("1").reached == 0.0


def test_figures_follow_what_comes_later(run: Run) -> None:
    """Nothing of a judgement is kept but the analysis of files."""
    run.ran("1", "library.py", HEAD)
    assert not run.judge.judge("1").passed
    run.ran("1", "library.py", ALL, "gw1")
    assert run.judge.judge("1").passed


# Which are judged, and when ----------------------------------------------------------------------


def test_the_gates_threshold_is_judged_in_the_end(run: Run) -> None:
    """A phase that is called `gate` is judged for itself, as any other one."""
    assert list(run.judge.judged) == ["1/A", "1", "gate", "sync:1"]
    run.ran("gate", "one.py", ALL)
    phase, gate = run.judge.judge("gate"), run.judge.close()
    assert (phase.kind, phase.required, phase.reached, phase.passed) == ("phase", 90.0, 100.0, True)
    assert gate is not None
    assert (gate.kind, gate.id, gate.required, gate.reached) == ("gate", "gate", 70.0, pytest.approx(100 / 3))
    assert not gate.passed


def test_without_a_threshold_of_the_gate_the_end_judges_nothing(root: Path) -> None:
    """A phase that is called `gate` is no gate."""
    run = Run(root, plan=PLAN.partition("### Gate")[0])
    run.ran("1", "library.py", ALL)
    assert run.judge.close() is None
    assert [record.phase for record in run.records] == ["1"]


def test_what_is_left_out_is_told_once_for_each_reason(root: Path) -> None:
    """It is not judged; what it would have been judged by counts for nobody."""
    some = "some of its tests were deselected"
    run = Run(root, left={"1": some, "sync:1": some, "gate": "only some files were asked for"})
    assert list(run.judge.judged) == ["1/A"]
    assert run.judge.close() is None
    assert run.judge.notes == (
        f"coverage of phase 1 (Library), sync point (Frozen) is not judged: {some}",
        "coverage of phase gate (Last), gate (Release) is not judged: only some files were asked for",
    )


def test_what_is_left_out_late_is_not_judged_any_more(run: Run) -> None:
    """Tests that were found when their phase opened may be deselected as others are."""
    for phase in ("1", "1/A"):
        run.ran(phase, "library.py", ALL)
    run.judge.leave_out(["1"])
    assert run.judge.judge("1") is None
    assert run.judge.judge("sync:1") is None
    assert run.judge.close() is None
    assert run.judge.judge("1/A") is not None


def test_nothing_left_out_is_nothing_to_tell(run: Run) -> None:
    """Every threshold is judged."""
    assert run.judge.notes == ()


# What cannot be measured -------------------------------------------------------------------------


def test_each_worker_must_hand_over_a_part_for_each_phase_it_ran_items_of(run: Run) -> None:
    """And one for the teardown of session fixtures; each is expected once."""
    assert list(run.judge.expect("1", "gw0")) == [("1", "gw0"), (AFTERWARDS, "gw0")]
    assert list(run.judge.expect("2", "gw0")) == [("2", "gw0")]
    assert list(run.judge.expect("1", "gw0")) == []


def test_a_missing_part_is_no_figure_whatever_the_others_reach(run: Run) -> None:
    """The threshold is missed with the reason, for those that need the part and for no other."""
    run.ran("1", "library.py", ALL)
    run.ran("1/A", "one.py", ALL)
    run.judge.expect("1", "gw1")
    figure = run.judge.judge("1")
    assert (figure.reached, figure.passed) == (None, False)
    assert figure.text == "coverage not measured, required 50 %"
    assert figure.problem == "worker gw1 handed over no coverage data of phase 1"
    assert run.judge.judge("1/A").passed


def test_damaged_data_is_no_figure(run: Run) -> None:
    """Every problem is told, with the worker."""
    run.ran("1", "library.py", ALL)
    for worker, data, problem in (("gw1", b"nonsense", ""), ("gw2", Payload().to_bytes(), "data.1 was lost")):
        run.judge.expect("1", worker)
        run.judge.take(worker, "1", data, (), problem)
    figure = run.judge.judge("1")
    assert (figure.reached, figure.passed) == (None, False)
    assert figure.problem.startswith("worker gw1: coverage data cannot be read")
    assert figure.problem.endswith("; worker gw2: data.1 was lost")


def test_where_nothing_can_be_measured_every_threshold_is_missed(root: Path) -> None:
    """With the reason, and no part is expected of any worker."""
    run = Run(root, impossible="--no-cov was given; leave it out")
    assert list(run.judge.expect("1", "gw0")) == []
    gate = run.judge.close()
    assert gate is not None
    for figure in (run.judge.judge("1"), gate):
        assert (figure.passed, figure.reached) == (False, None)
        assert figure.problem == "--no-cov was given; leave it out"


def test_a_file_that_cannot_be_judged_is_no_figure(run: Run, root: Path) -> None:
    """It is named with what to do."""
    run.ran("1", "library.py", ALL)
    (root / "library.py").write_text("def f(:\n", encoding="utf-8")
    figure = run.judge.judge("1")
    assert (figure.reached, figure.passed) == (None, False)
    assert figure.problem.startswith("library.py cannot be judged: ")
    assert "omit it under [tool.coverage.run]" in figure.problem


def test_a_file_that_is_gone_is_no_figure_of_nothing(run: Run, root: Path) -> None:
    """Where nothing is left to cover there is no 100 %."""
    run.ran("1/A", "one.py", ALL)
    (root / "one.py").unlink()
    figure = run.judge.judge("1/A")
    assert (figure.reached, figure.passed) == (None, False)
    assert figure.problem


def test_parts_are_on_disk_when_a_threshold_is_judged(run: Run) -> None:
    """Those of its own phases, so that a run that is killed has them; the others follow in the end."""
    run.ran("1", "library.py", ALL)
    run.ran("2", "program.py", ALL)
    run.judge.judge("1")
    assert [record.phase for record in run.records] == ["1"]
    run.judge.close()
    assert [record.phase for record in run.records] == ["1", "2"]
    assert (run.root / ".phases" / "coverage" / "phases.coverage").is_file()
