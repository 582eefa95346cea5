"""What the runs before it can tell a run, and how many of them are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_phases.events import Outcome, State
from pytest_phases.evidence import (
    Dependency,
    DependencyKind,
    Expected,
    ExpectedKind,
    FigureRecord,
    ItemRecord,
    PartRecord,
    PhaseRecord,
    RunRecord,
    StageRecord,
    TreeEntry,
    WaveRecord,
)
from pytest_phases.state.database import Database, DatabaseError

TEST = ItemRecord("t.py::test", "1", ExpectedKind.TEST, Outcome.PASSED, 0.25, "gw0")
STAGE = StageRecord("1", "build", "c0de")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database without a run."""
    with Database.open(tmp_path / "phases.db") as opened:
        yield opened


def begin(database: Database, *run_ids: str, plan: str = "plan.md", ended: bool = True) -> None:
    """Runs that have begun one after another, and ended unless told otherwise."""
    for run_id in run_ids:
        database.begin(RunRecord(run_id, "2025", plan, "1a2b", ended="2025" if ended else None))


# One run -----------------------------------------------------------------------------------------


def test_each_sort_of_record_can_be_read_alone(database: Database) -> None:
    """Those of one run, in the order in which they were added."""
    begin(database, "r1", "r2")
    phases = (PhaseRecord("2", "phase", "", State.RED), PhaseRecord("1", "phase", "", State.GREEN))
    parts, figures = (PartRecord("1", "gw0", "f", "s"),), (FigureRecord("1", "phase", 80, 90, 0),)
    tree = (TreeEntry("b", "file", "0"), TreeEntry("a", "file", "0"))
    database.add_phases("r1", phases)
    database.add_parts("r1", parts)
    database.add_figures("r1", figures)
    database.add_stages("r1", [STAGE])
    database.add_tree("r1", tree)
    for run_id, found in (("r1", (phases, parts, figures, (STAGE,), tree)), ("r2", ((),) * 5)):
        read = (database.phases, database.parts, database.figures, database.stages_of, database.tree)
        assert tuple(each(run_id) for each in read) == found


def test_items_and_dependencies_can_be_read_by_phase(database: Database) -> None:
    """Those of a stream are not those of its phase."""
    begin(database, "r1")
    items = [replace(TEST, phase=phase) for phase in ("1", "1/A", "2")]
    needed = [Dependency(phase, DependencyKind.EXECUTED, "a.py", "0") for phase in ("1", "1/A", "2")]
    database.add_items("r1", items)
    database.add_dependencies("r1", needed)
    assert database.items("r1") == tuple(items)
    assert database.items("r1", "1") == (items[0],)
    assert database.items("r1", "3") == ()
    assert database.dependencies("r1") == tuple(needed)
    assert database.dependencies("r1", "1/A") == (needed[1],)


def test_a_run_that_is_not_there_is_told(database: Database) -> None:
    """It is no run without phases."""
    with pytest.raises(DatabaseError, match="knows no run 'r9'"):
        database.phases("r9")


# All runs ----------------------------------------------------------------------------------------


def test_runs_of_a_plan_come_newest_first(database: Database) -> None:
    """By when they began and not by what the clock said; those of other plans are none of it."""
    for run_id, started, plan in (("z", "2025", "p"), ("a", "2024", "p"), ("b", "2026", "q"), ("c", "", "p")):
        database.begin(RunRecord(run_id, started, plan, ""))
    database.end(RunRecord("z", "2025", "p", "", ended="2027"))
    assert [run.run_id for run in database.runs("p")] == ["c", "a", "z"]
    assert database.runs("r") == ()


def test_the_last_record_of_each_stage_counts(database: Database) -> None:
    """Whichever run it is of, also if later ones had none of that stage."""
    begin(database, "r1", "r2", "r3")
    other = replace(STAGE, phase="2")
    database.add_stages("r1", [STAGE, other])
    newer = replace(STAGE, command="beef")
    database.add_stages("r2", [newer])
    assert set(database.last_stages()) == {newer, other}


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.ERROR])
def test_a_stage_that_failed_since_has_no_good_end(database: Database, outcome: Outcome) -> None:
    """Until it has ended well again; what others did meanwhile is their business."""
    failed = replace(TEST, nodeid=f"plan.md::{STAGE.phase}::{STAGE.stage}", phase=STAGE.phase)
    failed = replace(failed, kind=ExpectedKind.STAGE, outcome=outcome)
    begin(database, "r1")
    database.add_stages("r1", [STAGE])
    begin(database, "r2")
    database.add_items("r2", [failed])
    assert database.last_stages() == ()
    begin(database, "r3")
    database.add_items("r3", [replace(failed, nodeid="plan.md::9::other", phase="9")])
    database.add_stages("r3", [STAGE])
    assert database.last_stages() == (STAGE,)


def test_stages_are_those_of_a_plan(database: Database) -> None:
    """Two plans may each have a stage of the same name in a phase of the same id."""
    begin(database, "r1")
    begin(database, "r2", plan="other.md")
    database.add_stages("r1", [STAGE])
    database.add_stages("r2", [replace(STAGE, command="beef")])
    assert database.last_stages("plan.md") == (STAGE,)
    assert [stage.command for stage in database.last_stages()] == ["beef"]


DURATIONS = {
    "one": ([(Outcome.PASSED, 2.0)], 2.0),
    "an outlier": ([(Outcome.PASSED, 2.0), (Outcome.PASSED, 90.0), (Outcome.PASSED, 3.0)], 3.0),
    "an even number": ([(Outcome.PASSED, 2.0), (Outcome.FAILED, 4.0)], 3.0),
    "more than five": ([(Outcome.PASSED, float(n)) for n in range(1, 9)], 6.0),
    "it failed or xfailed": ([(Outcome.FAILED, 1.0), (Outcome.XFAILED, 1.0), (Outcome.PASSED, 9.0)], 1.0),
    "what did not run in full": (
        [(Outcome.PASSED, 4.0), (Outcome.SKIPPED, 0.0), (Outcome.BLOCKED, 0.0), (Outcome.ERROR, 0.0)],
        4.0,
    ),
    "it never ran": ([(Outcome.BLOCKED, 0.0)], None),
}


@pytest.mark.parametrize(("ended", "seconds"), DURATIONS.values(), ids=DURATIONS.keys())
def test_durations_are_medians_of_the_last_five(
    database: Database, ended: list[tuple[Outcome, float]], seconds: float | None
) -> None:
    """One run each; what did not run in full has not shown how long it takes."""
    for number, (outcome, duration) in enumerate(ended):
        begin(database, str(number))
        database.add_items(str(number), [replace(TEST, outcome=outcome, duration=duration)])
    assert database.durations().get(TEST.nodeid) == seconds


# What is kept ------------------------------------------------------------------------------------

LARGE = ("items", "tree", "parts", "dependencies")
SMALL = ("phases", "figures", "stages_of")


def fill(database: Database, run_ids: Iterable[str]) -> None:
    """A record of every sort for each run."""
    for run_id in run_ids:
        database.expect(run_id, [Expected(ExpectedKind.PHASE, "1")])
        database.add_items(run_id, [TEST])
        database.add_tree(run_id, [TreeEntry("a", "file", "0")])
        database.add_parts(run_id, [PartRecord("1", "gw0", "f", "s")])
        database.add_dependencies(run_id, [Dependency("1", DependencyKind.EXECUTED, "a.py", "0")])
        database.add_phases(run_id, [PhaseRecord("1", "phase", "", State.GREEN)])
        database.add_figures(run_id, [FigureRecord("1", "phase", 80, 90, 0)])
        database.add_stages(run_id, [STAGE])
        database.add_waves(run_id, [WaveRecord(1, ("1",), 0.5)])
        database.add_conditions(run_id, ["no"])


def whole(database: Database) -> set[str]:
    """The runs that have everything they wrote."""
    return {run_id for run_id in known(database) if all(getattr(database, name)(run_id) for name in LARGE)}


def known(database: Database) -> set[str]:
    """The runs of which there is at least what is small."""
    runs = {run.run_id for plan in ("plan.md", "other.md") for run in database.runs(plan)}
    assert all(getattr(database, name)(run_id) for name in SMALL for run_id in runs)
    return runs


def test_the_newest_runs_are_kept_whole_and_more_of_them_in_short(database: Database) -> None:
    """Where a phase stood is remembered longer than its items; what is older is gone, with every trace."""
    ids = [f"r{n}" for n in range(6)]
    begin(database, *ids)
    fill(database, ids)
    database.prune("r5", keep=2, remember=4)
    assert (whole(database), known(database)) == ({"r4", "r5"}, {"r2", "r3", "r4", "r5"})
    rows = database._connection.execute("SELECT DISTINCT run FROM condition").fetchall()
    assert rows == [("r2",), ("r3",), ("r4",), ("r5",)]
    assert not any(getattr(database, name)("r3") for name in LARGE)
    assert database.recorded("r3").expected == frozenset()


def test_runs_that_were_killed_drive_out_none_that_ended(database: Database) -> None:
    """And those that ended none that were killed: either may be what the next run goes on from."""
    begin(database, "e1", "e2")
    begin(database, "k1", "k2", "k3", ended=False)
    begin(database, "e3", "e4")
    fill(database, [f"e{n}" for n in (1, 2, 3, 4)] + ["k1", "k2", "k3"])
    database.prune("e4", keep=2, remember=2)
    assert whole(database) == {"e3", "e4", "k2", "k3"}


def test_each_plan_keeps_its_own_runs(database: Database) -> None:
    """One that is run often does not make another one forgotten."""
    begin(database, "o1", plan="other.md")
    begin(database, *"123")
    fill(database, ["o1", *"123"])
    database.prune("3", keep=1, remember=1)
    assert whole(database) == {"o1", "3"}


def test_the_current_run_is_never_forgotten(database: Database) -> None:
    """Though others have begun since."""
    begin(database, "r1", "r2", "r3")
    fill(database, ["r1", "r2", "r3"])
    database.prune("r1", keep=1, remember=1)
    assert whole(database) == {"r1", "r3"}
