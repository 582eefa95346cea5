"""A run writes itself down: what must exist first, then what happened."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_phases.events import Figure, Outcome, PhaseResult, State, Tally
from pytest_phases.evidence import (
    Dependency,
    DependencyKind,
    DeployRecord,
    Expected,
    ExpectedKind,
    FigureRecord,
    ItemRecord,
    Origin,
    PartRecord,
    Recorded,
    RunRecord,
    StageRecord,
    TreeEntry,
    WaveRecord,
    digest_of,
)
from pytest_phases.gate.definition import definitions
from pytest_phases.gate.record import Recorder, now
from pytest_phases.model import UNPHASED, Plan
from pytest_phases.plan.markdown import read_markdown
from pytest_phases.state.database import NAME, Database
from pytest_phases.table import Table

PLAN = """
### Phase 1: Library
coverage: 85
Build: wheel
```bash
make wheel
```
Testing: smoke
```bash
./smoke
```
#### Stream A: One
covers: [src/one]
"""
PHASE, TEST, STAGE, PART = ExpectedKind.PHASE, ExpectedKind.TEST, ExpectedKind.STAGE, ExpectedKind.PART
RUN = RunRecord("r1", "2025-01-02T03:04:05+00:00", "plan.md", "1a2b")
A_TEST, LATE = Expected(TEST, "1/A", "t.py::test"), Expected(TEST, "1", "late.py::test")
OF_PLAN = {
    Expected(PHASE, "1"),
    Expected(PHASE, "1/A"),
    Expected(STAGE, "1", "plan.md::1::build-wheel"),
    Expected(STAGE, "1", "plan.md::1::testing-smoke"),
}


def plan_of(text: str = PLAN) -> Plan:
    """The plan of a text."""
    plan, problems = read_markdown(text, "plan.md")
    assert not problems
    return plan


def item(expected: Expected, outcome: Outcome = Outcome.PASSED, attempt: int = 1) -> ItemRecord:
    """An item that has ended."""
    return ItemRecord(expected.name, expected.phase, expected.kind, outcome, 0.1, "gw0", attempt)


def begin(recorder: Recorder, plan: Plan, table: Table) -> None:
    """A run begins, and everything is collected."""
    recorder.open()
    recorder.begun(plan, table)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the run's files, which is not there yet."""
    return tmp_path / ".phases"


@pytest.fixture
def recorder(folder: Path) -> Iterator[Recorder]:
    """A recorder of a run of which nothing was written down."""
    made = Recorder(folder, RUN, "plan.md")
    yield made
    made.close()


@pytest.fixture
def read(folder: Path, recorder: Recorder) -> Callable[[], Recorded]:
    """A function that reads what somebody else would find in the database when all that waits is written."""

    def look() -> Recorded:
        recorder.flush()
        assert recorder.problem == ""
        with Database.open(folder / NAME, read_only=True) as database:
            return database.recorded("r1")

    return look


Read = Callable[[], Recorded]


# What must exist ---------------------------------------------------------------------------------


def test_what_must_exist_is_on_disk_before_anything_runs(recorder: Recorder, read: Read) -> None:
    """Every phase, stream and stage of the plan, and every test, the deselected ones too."""
    recorder.found([A_TEST])
    begin(recorder, plan_of(), Table(left_out=(("t.py::other", "1"),)))
    assert read().expected == {*OF_PLAN, A_TEST, Expected(TEST, "1", "t.py::other")}


def test_unphased_tests_are_a_phase_of_their_own(recorder: Recorder, read: Read) -> None:
    """Only where there are some, though they were deselected."""
    begin(recorder, plan_of(), Table(left_out=(("t.py::other", UNPHASED),)))
    assert read().expected - OF_PLAN == {Expected(PHASE, UNPHASED), Expected(TEST, UNPHASED, "t.py::other")}


def test_what_is_found_late_must_exist_too_and_what_is_lost_need_not(recorder: Recorder, read: Read) -> None:
    """A module that could not be imported before its phase opened; a test that a stage has removed."""
    begin(recorder, plan_of(), Table())
    recorder.found([LATE, A_TEST])
    assert read().expected == {*OF_PLAN, LATE, A_TEST}
    recorder.lost([LATE])
    assert read().expected == {*OF_PLAN, A_TEST}
    recorder.found([LATE, A_TEST])
    assert read().expected == {*OF_PLAN, LATE, A_TEST}


def test_a_part_must_exist_of_each_worker_once(recorder: Recorder, read: Read) -> None:
    """Whenever it was that it ran an item of the phase."""
    begin(recorder, plan_of(), Table())
    for worker in ("gw0", "gw1", "gw0"):
        recorder.expect_part("1", worker)
    assert read().expected - OF_PLAN == {Expected(PART, "1", "gw0"), Expected(PART, "1", "gw1")}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (Table(), ""),
        (Table(uncollected="only tests/a.py was asked for"), "only tests/a.py was asked for"),
        (Table(uncollected="one reason", unseen="another"), "one reason; another"),
    ],
    ids=["all were", "some were not", "for two reasons"],
)
def test_tests_that_were_not_even_collected_are_told(recorder: Recorder, table: Table, said: str) -> None:
    """In the words of whoever knows why."""
    begin(recorder, plan_of(), table)
    recorded = recorder.end(recorder.run, (), ())
    assert recorded is not None
    assert recorded.run.restricted == said


# What happened -----------------------------------------------------------------------------------


def test_every_item_is_on_disk_when_its_phase_has_closed(recorder: Recorder, read: Read) -> None:
    """In the order in which they ended, each attempt by itself."""
    ended = [item(A_TEST, Outcome.FAILED), item(A_TEST, attempt=2), item(LATE, Outcome.SKIPPED)]
    begin(recorder, plan_of(), Table())
    for each in ended:
        recorder.ended(each)
    recorder.closed([])
    assert read().items == tuple(ended)


def test_items_do_not_wait_for_anything(recorder: Recorder, folder: Path) -> None:
    """What has ended is on disk a moment later, though nothing else happens and nobody asks for it."""
    begin(recorder, plan_of(), Table())
    end = time.monotonic() + 60  # a bound for what hangs, none for what is slow
    with Database.open(folder / NAME, read_only=True) as database:
        for count in (1, 2):
            recorder.ended(item(A_TEST))
            while len(database.items("r1")) < count:
                assert time.monotonic() < end, "it was never written"
                time.sleep(0.001)


def test_phases_are_recorded_with_what_they_were(recorder: Recorder, read: Read) -> None:
    """Counts by outcome without zeros, the definition, and the threshold that a stream has from its phase."""
    begin(recorder, plan_of(), Table())
    recorder.closed(
        [
            PhaseResult(
                "1", "Library", "phase", State.RED, "why", 2, Tally(passed=3, failed=1), Tally(), 1.5
            ),
            PhaseResult("1/A", "One", "stream", State.GREEN, "", 2, Tally(), Tally(passed=1), 0.5),
            PhaseResult("sync:1", "S", "sync point", State.GREEN, "", 3, Tally(), Tally(), 0.0),
        ]
    )
    phase, stream, sync = read().phases
    assert (phase.state, phase.reason, phase.wave, phase.seconds) == (State.RED, "why", 2, 1.5)
    assert (phase.tests, phase.stages) == ((("passed", 3), ("failed", 1)), ())
    assert (stream.tests, stream.stages) == ((), (("passed", 1),))
    assert sync.definition == ""
    stated = definitions(read())
    assert stated["1"]["threshold"] == stated["1/A"]["threshold"] == 85
    assert json.loads(stream.definition)["covers"] == ["src/one"]


def test_a_plan_that_markers_extend_is_recorded_as_it_was(recorder: Recorder, read: Read) -> None:
    """What the markers add stands in the definitions beside what the plan says."""
    plan = plan_of()
    marked = replace(plan.phases[0], id="9", coverage=50.0, covers=("src/nine",), streams=(), stages=())
    begin(recorder, replace(plan, phases=(*plan.phases, marked)), Table())
    assert Expected(PHASE, "9") in read().expected
    recorder.closed([PhaseResult("9", "", "phase", State.GREEN, "", 1, Tally(passed=1), Tally(), 0.1)])
    assert definitions(read())["9"]["threshold"] == 50
    assert definitions(read())["9"]["covers"] == ["src/nine"]


def test_figures_and_parts_are_recorded(recorder: Recorder, read: Read) -> None:
    """As they are judged, and in place of what came before."""
    begin(recorder, plan_of(), Table())
    for reached in (None, 90.0):
        recorder.judged(Figure("1", "phase", "Library", 85.0, reached, 1, passed=True, text="", problem=""))
    part = PartRecord("1", "gw0", "coverage/parts/1@gw0.part", "5ea1", "it was lost")
    recorder.part(part)
    assert read().figures == (FigureRecord("1", "phase", 85.0, 90.0, 1),)
    assert read().parts == (part,)


STAGES = {
    "a build stage that passed": ("build-wheel", Outcome.PASSED, True),
    "a build stage that failed": ("build-wheel", Outcome.FAILED, True),
    "a build stage that was blocked": ("build-wheel", Outcome.BLOCKED, False),
    "a testing stage": ("testing-smoke", Outcome.PASSED, False),
}


@pytest.mark.parametrize(("stage", "outcome", "built"), STAGES.values(), ids=STAGES.keys())
def test_a_run_has_built_when_a_build_stage_was_started(
    recorder: Recorder, stage: str, outcome: Outcome, built: bool
) -> None:
    """Only then may it leave new files."""
    begin(recorder, plan_of(), Table())
    recorder.ended(item(Expected(TEST, "1", "t.py::build-wheel")))
    recorder.ended(item(Expected(STAGE, "1/A", "plan.md::1/A::build-wheel")))
    assert not recorder.built
    recorder.ended(item(Expected(STAGE, "1", f"plan.md::1::{stage}"), outcome))
    assert recorder.built is built


# As it happens -----------------------------------------------------------------------------------


def result(phase: str, state: State) -> PhaseResult:
    """How a phase ended."""
    return PhaseResult(phase, "Library", "phase", state, "", 1, Tally(passed=1), Tally(), 1.5)


def test_the_tree_before_the_run_is_there_until_that_after_it(recorder: Recorder, read: Read) -> None:
    """A run that is killed tells which tree it ran on; what it removed is gone at the end."""
    before = (TreeEntry("a.py", "file", "5ea1"), TreeEntry("b.py", "file", "5ea1"))
    recorder.open(before)
    recorder.begun(plan_of(), Table())
    assert read().tree == before
    recorder.end(recorder.run, before[1:], ())
    assert read().tree == before[1:]


def test_a_phase_is_recorded_when_it_closes(recorder: Recorder, read: Read) -> None:
    """With its definition, as it is then; at the end, as it is by then."""
    begin(recorder, plan_of(), Table())
    recorder.phase_closed(result("1", State.GREEN))
    assert [phase.state for phase in read().phases] == [State.GREEN]
    assert definitions(read())["1"]["threshold"] == 85
    recorder.closed([result("1", State.RED)])
    assert [phase.state for phase in read().phases] == [State.RED]


def test_a_phase_is_never_there_without_its_items(recorder: Recorder, folder: Path) -> None:
    """Whenever somebody looks: what had ended before the phase closed is written before it."""
    begin(recorder, plan_of(), Table())
    with Database.open(folder / NAME, read_only=True) as database:
        for number in range(200):
            unit = str(number)
            recorder.ended(item(Expected(TEST, unit, "t.py::test")))
            recorder.phase_closed(result(unit, State.GREEN))
            phases = {phase.id for phase in database.phases("r1")}
            assert phases <= {each.phase for each in database.items("r1")}


def test_waves_stages_and_dependencies_are_recorded(recorder: Recorder, folder: Path) -> None:
    """As they are known, each once."""
    wave, stage = WaveRecord(1, ("1",), 2.5), StageRecord("1", "build-wheel", "c0de")
    needed = {Dependency("1", DependencyKind.EXECUTED, name, "5ea1") for name in ("a.py", "b.py")}
    begin(recorder, plan_of(), Table())
    recorder.wave_closed(wave)
    recorder.stage_ended(stage)
    recorder.depends(needed)
    recorder.depends(needed)
    recorder.flush()
    with Database.open(folder / NAME, read_only=True) as database:
        assert database.recorded("r1").waves == (wave,)
        assert database.stages_of("r1") == (stage,)
        assert set(database.dependencies("r1", "1")) == needed
        assert len(database.dependencies("r1")) == 2


def test_a_resumed_phase_says_where_it_was_run(recorder: Recorder, read: Read) -> None:
    """And the others say nothing."""
    origin = Origin("r0", "2025-01-01T03:04:05+00:00", "7ree")
    begin(recorder, plan_of(), Table())
    recorder.resumed({"1": origin})
    recorder.closed([result("1", State.GREEN), result("1/A", State.GREEN)])
    assert [phase.origin for phase in read().phases] == [origin, None]


def test_a_database_that_cannot_be_used_is_set_aside(recorder: Recorder, read: Read, folder: Path) -> None:
    """The run is recorded in a new one, and it is said that approvals are gone."""
    folder.mkdir()
    (folder / NAME).write_text("nonsense, and more of it than SQLite's header has" * 9, encoding="utf-8")
    begin(recorder, plan_of(), Table())
    assert read().expected == OF_PLAN
    assert "is no database" in recorder.set_aside
    assert recorder.set_aside.endswith("; approvals in it count no more")


def test_old_runs_are_forgotten_at_the_end(folder: Path) -> None:
    """The newest ten keep everything they wrote."""
    for number in range(12):
        recorder = Recorder(folder, replace(RUN, run_id=f"r{number}"), "plan.md")
        begin(recorder, plan_of(), Table())
        recorder.ended(item(A_TEST))
        recorder.end(replace(recorder.run, ended=now()), (), ())
        recorder.close()
    with Database.open(folder / NAME, read_only=True) as database:
        assert [len(database.items(f"r{number}")) for number in range(12)] == [0, 0, *[1] * 10]


# The end -----------------------------------------------------------------------------------------


def test_the_end_seals_what_must_exist(recorder: Recorder, read: Read) -> None:
    """By its digest and size, and with the tree and what the project says against a green gate."""
    recorder.found([A_TEST])
    begin(recorder, plan_of(), Table(uncollected="why"))
    tree = (TreeEntry("a.py", "file", "5ea1", "stamp"),)
    recorded = recorder.end(replace(recorder.run, ended=now(), made=("dist/x (new)",)), tree, ["too late"])
    assert recorded == read()
    assert recorded is not None
    assert (recorded.tree, recorded.conditions) == (tree, ("too late",))
    assert recorded.run.expected_count == len(recorded.expected) == 5
    assert recorded.run.expected_digest == digest_of(recorded.expected)
    assert (recorded.run.restricted, recorded.run.made) == ("why", ("dist/x (new)",))


def test_deploy_stages_are_added_after_the_end(recorder: Recorder) -> None:
    """Each as it ended."""
    begin(recorder, plan_of(), Table())
    recorder.end(recorder.run, (), ())
    deploy = DeployRecord("deploy", False, "exit status 1", 0.5)
    recorded = recorder.deployed([deploy])
    assert recorded is not None
    assert recorded.deploys == (deploy,)


def test_a_run_adds_to_those_before_and_changes_none(recorder: Recorder, read: Read, folder: Path) -> None:
    """Each has its own evidence."""
    begin(recorder, plan_of(), Table())
    recorder.end(recorder.run, (), ())
    before = read()
    recorder.close()
    other = Recorder(folder, replace(RUN, run_id="r2"), "plan.md")
    begin(other, plan_of("### Phase 7: Seven\n"), Table())
    assert other.recorded() is not None
    other.close()
    assert read() == before


def test_a_run_is_the_last_one_from_its_beginning(recorder: Recorder, read: Read) -> None:
    """Were it killed before anything is collected, no earlier run would pass for the last one."""
    recorder.open()
    assert read().run == RUN
    assert read().expected == frozenset()


def test_what_an_earlier_run_measured_stays_until_the_run_is_forgotten(
    recorder: Recorder, folder: Path
) -> None:
    """A later run may resume from it; combined data is of the last run alone."""
    parts = folder / "coverage" / "parts"
    kept, forgotten = parts / RUN.run_id / "1@gw0.part", parts / "r0" / "1@gw0.part"
    combined, report = folder / "coverage" / "phases.coverage", folder / "coverage" / "html" / "index.html"
    for file in (kept, forgotten, combined, report):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"old")
    recorder.open()
    assert [file.exists() for file in (kept, forgotten, combined, report)] == [True, True, False, True]
    recorder.part(PartRecord("1", "gw0", kept.relative_to(folder).as_posix(), "5ea1"))
    recorder.close()
    assert [file.exists() for file in (kept, forgotten, report)] == [True, False, True]


def test_a_run_without_a_plan_writes_nothing(folder: Path) -> None:
    """It has no gate, and must not pass for the last run of one that has."""
    recorder = Recorder(folder, replace(RUN, plan_file=""), "")
    begin(recorder, Plan(), Table())
    recorder.closed([])
    assert recorder.end(recorder.run, (), ()) is None
    assert recorder.problem == ""
    recorder.close()
    assert not (folder / NAME).exists()


# What cannot be written --------------------------------------------------------------------------


def spoil_folder(folder: Path) -> None:
    """A file stands where the folder must be."""
    folder.write_text("in the way", encoding="utf-8")


def replace_database(folder: Path) -> None:
    """A folder stands where the database must be."""
    (folder / NAME).mkdir(parents=True)


@pytest.mark.parametrize("spoil", [spoil_folder, replace_database])
def test_what_cannot_be_written_is_a_problem_and_no_success(
    recorder: Recorder, folder: Path, spoil: Callable[[Path], None]
) -> None:
    """The run goes on without a traceback; in the end there is no evidence, and it is said what to do."""
    spoil(folder)
    recorder.found([A_TEST])
    begin(recorder, plan_of(), Table())
    recorder.ended(item(A_TEST))
    recorder.expect_part("1", "gw0")
    recorder.lost([A_TEST])
    recorder.closed([])
    assert recorder.end(recorder.run, (), ()) is None
    assert recorder.recorded() is None
    assert recorder.deployed([]) is None
    assert recorder.approvals() == ()
    assert str(folder / NAME) in recorder.problem
    assert "; " in recorder.problem


def test_a_run_that_is_there_already_is_not_overwritten(recorder: Recorder, read: Read, folder: Path) -> None:
    """Its evidence stays, and the other run has none."""
    begin(recorder, plan_of(), Table())
    before = read()
    other = Recorder(folder, RUN, "plan.md")
    begin(other, plan_of("### Phase 7: Seven\n"), Table())
    assert other.end(other.run, (), ()) is None
    assert "give every run an id of its own" in other.problem
    other.close()
    assert read() == before


def test_times_are_in_utc() -> None:
    """To the second, in the form that everybody reads."""
    assert now().endswith("+00:00")
    assert len(now()) == len("2025-01-02T03:04:05+00:00")
