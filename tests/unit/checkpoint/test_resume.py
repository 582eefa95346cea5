"""What of earlier runs need not run again, as a story of runs and changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pytest_phases.checkpoint.decide import Mode
from pytest_phases.errors import PhasesError
from pytest_phases.events import Outcome, State
from pytest_phases.evidence import AFTERWARDS, ItemRecord, Origin, PartRecord
from pytest_phases.model import UNPHASED, Place, Plan, Sync
from pytest_phases.table import Table

Make = Callable[..., Any]


@pytest.fixture
def chain(world: Make, one: Make) -> Any:
    """Five phases: 2 needs 1, 4 needs 3, 5 needs 4; 1 and 3 need nothing."""
    return world(one("1"), one("2", "1"), one("3"), one("4", "3"), one("5", "4"))


def units(decided: Any) -> list[str]:
    """What stays green."""
    return list(decided.units)


# The walk-through ----------------------------------------------------------------------------------


def test_after_a_failure_is_fixed_the_red_phase_and_what_needs_it_run(chain: Any) -> None:
    """And nothing else; in the end all is as after one run."""
    chain.failing = {"3:test_1"}
    chain.run()
    chain.failing.clear()
    chain.files["src/3.py"] = "fixed"
    decided = chain.run(Mode.RESUME)
    assert units(decided) == ["1", "2"]
    assert decided.why == (
        "phase 1 resumed from r0, 1 min ago",
        "phase 2 resumed from r0, 1 min ago",
        "phase 3 runs: it was red",
        "phase 4 runs: it was blocked",
        "phase 5 runs: it was blocked",
    )
    assert {record.state for record in chain.logs[-1].phases.values()} == {State.GREEN}
    assert len(chain.logs[-1].items) == 10
    assert units(chain.decide()) == ["1", "2", "3", "4", "5"]


def test_a_change_makes_a_phase_and_what_needs_it_run_again(chain: Any) -> None:
    """Each with its reason."""
    chain.run()
    chain.files["src/3.py"] = "changed"
    assert chain.decide().why == (
        "phase 1 resumed from r0, 1 min ago",
        "phase 2 resumed from r0, 1 min ago",
        "phase 3 runs again: src/3.py changed",
        "phase 4 runs again: it depends on phase 3",
        "phase 5 runs again: it depends on phase 4",
    )


def test_all_reasons_are_counted(chain: Any) -> None:
    """The first is shown."""
    chain.run()
    chain.files |= {"src/4.py": "changed", chain.test_file("4"): "changed", "src/3.py": "changed"}
    assert chain.decide().why[3] == "phase 4 runs again: src/4.py changed (and 2 more)"


def test_a_resumed_phase_brings_its_outcomes_and_its_evidence(chain: Any) -> None:
    """So that the totals add up with those of the first run."""
    chain.run()
    decided = chain.decide()
    assert decided.outcomes["1", "tests/test_1.py::test_1"] is Outcome.PASSED
    assert decided.durations["1", "tests/test_1.py::test_1"] == 0.5
    assert len(decided.outcomes) == 10
    assert set(decided.dependencies) == set(chain.logs[0].rows.values())
    assert decided.from_run == "r0"
    assert decided.foreign == ()


def test_a_test_that_was_skipped_is_resumed_as_skipped(chain: Any) -> None:
    """The counts are those of the first run."""
    chain.skipped = {"1:test_2"}
    chain.run()
    decided = chain.decide()
    assert decided.outcomes["1", "tests/test_1.py::test_2"] is Outcome.SKIPPED
    assert units(decided) == ["1", "2", "3", "4", "5"]


def test_resuming_again_leads_to_the_run_that_made_it_green(chain: Any) -> None:
    """However many runs lie between."""
    chain.run()
    origin = Origin("r0", "2026-01-01T00:00:00+00:00", chain.tree_digest)
    for _ in range(3):
        decided = chain.run(Mode.RESUME)
        assert set(decided.units.values()) == {origin}
    assert chain.decide().why[0] == "phase 1 resumed from r0, 4 min ago"
    assert chain.decide().from_run == "r3"


# Dependencies -------------------------------------------------------------------------------------


def test_a_dependency_that_ran_later_counts_as_news(chain: Any) -> None:
    """What needs it was green with another one."""
    chain.run()
    chain.files["src/3.py"] = "changed"
    chain.run(Mode.RESUME, only=["3"])
    decided = chain.decide()
    assert units(decided) == ["1", "2", "3"]
    assert decided.why[3] == "phase 4 runs again: it depends on phase 3, which has run since"


def test_a_dependency_that_was_not_selected_and_red_stays_in_the_way(chain: Any) -> None:
    """It does not run, and it is not green."""
    chain.run()
    chain.failing = {"3:test_1"}
    chain.run(only=["3"])
    decided = chain.decide(selected=lambda unit: unit != "3")
    assert units(decided) == ["1", "2"]
    assert decided.why[2:4] == ("phase 3 is not selected", "phase 4 runs again: it depends on phase 3")


def test_a_dependency_that_is_not_selected_may_be_as_it_was(chain: Any) -> None:
    """Then what needs it stays green."""
    chain.run()
    assert units(chain.decide(selected=lambda unit: unit in "45")) == ["4", "5"]


def test_other_dependencies_in_the_plan_are_a_change(chain: Any, one: Make) -> None:
    """Even if what is needed now is green."""
    chain.run()
    phases = list(chain.plan.phases)
    phases[1] = one("2", "1", "3")
    chain.plan = replace(chain.plan, phases=tuple(phases))
    assert chain.decide().why[1] == "phase 2 runs again: its dependencies in the plan changed"


def test_a_phase_below_a_sync_point_needs_all_above(chain: Any) -> None:
    """Since everything above was complete when it started."""
    chain.plan = replace(chain.plan, syncs=(Sync("Frozen", Place("plan.md", 9), ("1", "2")),))
    chain.run()
    chain.files["src/1.py"] = "changed"
    assert chain.decide().why == (
        "phase 1 runs again: src/1.py changed",
        "phase 2 runs again: it depends on phase 1",
        "phase 3 runs again: it depends on phase 1, above sync point (Frozen)",
        "phase 4 runs again: it depends on phase 3",
        "phase 5 runs again: it depends on phase 4",
    )


def test_a_phase_with_nothing_to_run_is_as_what_it_needs(world: Make, one: Make) -> None:
    """It is empty for ever, and would keep everything behind it from being resumed."""
    made = world(one("1"), one("2", "1"), one("3", "2"), tests={"2": []})
    made.run()
    decided = made.decide()
    assert units(decided) == ["1", "3"]
    assert decided.why[1] == "phase 2 has nothing to run"
    made.files["src/1.py"] = "changed"
    assert made.decide().why[2] == "phase 3 runs again: it depends on phase 1"


def test_a_long_chain_is_decided_as_a_short_one(world: Make, one: Make) -> None:
    """Of hundreds of phases that need one another."""
    made = world(one("0"), *(one(str(number), str(number - 1)) for number in range(1, 300)))
    made.run()
    assert len(made.decide().units) == 300


def test_a_phase_of_which_everything_was_skipped_proves_nothing(chain: Any) -> None:
    """It runs, and so does what needs it."""
    chain.skipped = {"3:test_1", "3:test_2"}
    chain.run()
    decided = chain.decide()
    assert units(decided) == ["1", "2"]
    assert decided.why[2] == "phase 3 runs: everything was skipped"


# Streams ------------------------------------------------------------------------------------------


@pytest.fixture
def streams(world: Make, one: Make) -> Any:
    """Phase 1 has two streams and tests of its own, and 2 needs it."""
    return world(one("1", streams=(one("1/A"), one("1/B", "1/A"))), one("2", "1"))


def test_streams_stay_green_by_themselves(streams: Any) -> None:
    """A red one makes its phase red, whose own tests need not run again for it."""
    streams.failing = {"1/B:test_1"}
    streams.run()
    assert streams.logs[0].phases["1"].state is State.RED
    decided = streams.decide()
    assert units(decided) == ["1", "1/A"]
    assert decided.why[2:] == ("stream 1/B runs: it was red", "phase 2 runs: it was blocked")


@pytest.mark.parametrize(
    "reason", ["1 failed", "stream 1/B: an error in a teardown after x", "1 failed, 2 errors"]
)
def test_reasons_of_streams_are_not_those_of_their_phase(streams: Any, reason: str) -> None:
    """Counts are of both."""
    streams.failing = {"1/B:test_1"}
    streams.run()
    record = streams.logs[0].phases["1"]
    streams.logs[0].phases["1"] = replace(record, reason=reason)
    assert "1" in units(streams.decide())


@pytest.mark.parametrize(
    "reason", ["an error in a teardown after x", "1 failed, coverage 70 %, required 80 %", "stream 1/B: a; b"]
)
def test_a_phase_with_a_reason_of_its_own_runs(streams: Any, reason: str) -> None:
    """Although none of its items is bad."""
    streams.failing = {"1/B:test_1"}
    streams.run()
    streams.logs[0].phases["1"] = replace(streams.logs[0].phases["1"], reason=reason)
    assert streams.decide().why[0] == "phase 1 runs: it was red"


def test_what_needs_a_phase_needs_its_streams(streams: Any) -> None:
    """One that runs again takes it along, and the phase itself stays."""
    streams.run()
    streams.files["src/1/B.py"] = "changed"
    decided = streams.decide()
    assert units(decided) == ["1", "1/A"]
    assert decided.why[3] == "phase 2 runs again: it depends on stream 1/B"


def test_a_phase_of_streams_alone_has_nothing_to_resume(world: Make, one: Make) -> None:
    """They have."""
    made = world(one("1", streams=(one("1/A"),)), one("2", "1"), tests={"1": []})
    made.run()
    decided = made.decide()
    assert units(decided) == ["1/A", "2"]
    assert decided.why[0] == "phase 1 has nothing to run but its streams"


def test_the_unphased_tests_are_a_unit_of_their_own(world: Make, one: Make) -> None:
    """With words of their own."""
    made = world(one("1"), tests={UNPHASED: ["test_1"]})
    made.run()
    assert made.decide().why[1] == "the unphased tests resumed from r0, 1 min ago"
    made.files["src/unphased.py"] = "changed"
    assert made.decide().why[1] == "the unphased tests run again: src/unphased.py changed"
    assert made.decide(selected=lambda unit: False).why[1] == "the unphased tests are not selected"


# Items --------------------------------------------------------------------------------------------


def test_a_phase_with_new_tests_runs(chain: Any) -> None:
    """Even if the file has not changed, as with other parameters."""
    chain.run()
    chain.tests["1"] += ["test_3", "test_4"]
    decided = chain.decide()
    assert decided.why[0] == "phase 1 runs again: 2 tests have not run yet"
    assert units(decided) == ["3", "4", "5"]


def test_a_phase_with_a_module_that_is_not_collected_yet_runs(chain: Any) -> None:
    """Nobody knows which tests it has."""
    chain.run()
    table = replace(chain.table, modules=(("tests/test_1.py", "1"),))
    decided = chain.decide(table=table)
    assert decided.why[0] == "phase 1 runs again: tests/test_1.py could not be collected yet"


def test_the_second_of_the_same_node_id_is_another_test(chain: Any) -> None:
    """It is known by its number."""
    chain.tests["1"] = ["test_1", "test_1"]
    chain.run()
    items = chain.logs[0].items
    first, second = (index for index, item in enumerate(items) if item.phase == "1")
    assert chain.decide().why[0] == "phase 1 runs again: 1 test has not run yet"
    first = items[first]
    items[second] = replace(first, nodeid=f"{first.nodeid} #2")
    decided = chain.decide()
    assert [key for key in decided.outcomes if key[0] == "1"] == [
        ("1", first.nodeid),
        ("1", f"{first.nodeid} #2"),
    ]


def test_of_several_outcomes_the_last_counts(chain: Any) -> None:
    """An item may have been tried again."""
    chain.run()
    items = chain.logs[0].items
    first = next(item for item in items if item.phase == "1")
    items.insert(0, replace(first, outcome=Outcome.FAILED))
    assert "1" in units(chain.decide())
    items.append(replace(first, outcome=Outcome.FAILED, attempt=2))
    assert chain.decide().why[0] == "phase 1 runs again: 1 test has not passed"


# Without the tests that have passed ---------------------------------------------------------------


def test_a_red_phase_runs_without_the_tests_that_passed(chain: Any) -> None:
    """If nothing else has changed."""
    chain.failing = {"3:test_1"}
    chain.run()
    decided = chain.decide(Mode.TESTS)
    assert decided.why[2] == "phase 3 runs without the 1 test that passed: it was red"
    assert [key for key in decided.outcomes if key[0] == "3"] == [("3", "tests/test_3.py::test_2")]
    assert units(decided) == ["1", "2"]
    chain.files["src/3.py"] = "fixed"
    assert chain.decide(Mode.TESTS).why[2] == "phase 3 runs: it was red"


def test_a_phase_with_new_tests_runs_those_alone(chain: Any) -> None:
    """The others have passed."""
    chain.run()
    chain.tests["1"].append("test_3")
    decided = chain.decide(Mode.TESTS)
    assert decided.why[0] == "phase 1 runs without the 2 tests that passed: 1 test has not run yet"


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_run_that_ended_in_a_phase_goes_on_there(chain: Any, end: str) -> None:
    """Killed or interrupted; without `tests` the whole phase runs."""
    chain.run(**{end: "4"})
    assert chain.decide().why[3] == "phase 4 runs: it was interrupted"
    decided = chain.run(Mode.TESTS)
    assert decided.why[3] == "phase 4 runs without the 1 test that passed: it was interrupted"
    assert units(chain.decide()) == ["1", "2", "3", "4", "5"]


def test_what_a_killed_run_did_not_tell_stays_unknown(chain: Any) -> None:
    """After its tests were not run again, any change of the tree counts."""
    chain.run(kill="4")
    chain.run(Mode.TESTS)
    chain.files["src/new.py"] = "new"
    assert chain.decide().why[3] == (
        "phase 4 runs again: the tree has changed (src/new.py) and what its tests executed is unknown: "
        "an earlier run of it ended before it told"
    )
    assert units(chain.decide()) == ["1", "2", "3"]


def test_stages_of_an_unfinished_phase_run_again(chain: Any) -> None:
    """What they have made may be gone."""
    chain.failing = {"3:test_1"}
    chain.run()
    index = chain.table.nodeids.index("tests/test_3.py::test_2")
    decided = chain.decide(Mode.TESTS, table=replace(chain.table, stages=((index, "build"),)))
    assert [key for key in decided.outcomes if key[0] == "3"] == []


# On trust -----------------------------------------------------------------------------------------


def test_on_trust_every_green_phase_stays_green(chain: Any) -> None:
    """And it is said which were green in another tree."""
    chain.failing = {"5:test_1"}
    chain.run()
    chain.files["src/3.py"] = "changed"
    decided = chain.decide(Mode.TRUST)
    assert units(decided) == ["1", "2", "3", "4"]
    assert decided.foreign == ("1", "2", "3", "4")
    assert decided.why[2:] == (
        "phase 3 resumed from r0, 1 min ago, on trust: src/3.py changed",
        "phase 4 resumed from r0, 1 min ago",
        "phase 5 runs: it was red",
    )


def test_on_trust_in_the_same_tree_nothing_is_foreign(chain: Any) -> None:
    """It would have stayed green anyway."""
    chain.run()
    assert chain.decide(Mode.TRUST).foreign == ()


def test_trust_does_not_last(chain: Any) -> None:
    """Without it the next run finds what has changed, also for what needs a phase that ran since."""
    chain.run()
    chain.files["src/3.py"] = "changed"
    chain.run(Mode.TRUST)
    assert units(chain.decide()) == ["1", "2"]
    chain.run(only=["3"])
    chain.run(Mode.TRUST)
    assert units(chain.decide()) == ["1", "2", "3"]


# Which run is the checkpoint ----------------------------------------------------------------------


def test_a_run_that_never_came_to_a_phase_has_no_news_of_it(chain: Any) -> None:
    """An older one has: for phases that were not selected, and for those after an interruption."""
    chain.run()
    chain.run(only=["5"])
    assert units(chain.decide()) == ["1", "2", "3", "4", "5"]
    chain.run(stop="3")
    decided = chain.decide()
    assert units(decided) == ["1", "2"]
    assert decided.why[2:4] == (
        "phase 3 runs: it was interrupted",
        "phase 4 runs again: it depends on phase 3",
    )


@pytest.mark.parametrize(
    "state", [State.WAITING, State.EMPTY, State.INTERRUPTED], ids=lambda state: state.value
)
def test_a_phase_recorded_without_items_is_no_news(chain: Any, state: State) -> None:
    """The one before counts."""
    chain.run()
    chain.run(only=[])
    record = chain.logs[0].phases["1"]
    chain.logs[1].phases["1"] = replace(record, state=state)
    assert "1" in units(chain.decide())


def test_a_phase_that_was_blocked_runs(chain: Any) -> None:
    """Although it was green before."""
    chain.run()
    chain.failing = {"3:test_1"}
    chain.run()
    assert chain.decide().why[3] == "phase 4 runs: it was blocked"


def test_a_phase_blocked_in_a_killed_run_runs(chain: Any) -> None:
    """Its items say so."""
    chain.run()
    log = chain.logs[0]
    del log.phases["1"]
    log.items[:] = [replace(item, outcome=Outcome.BLOCKED) for item in log.items]
    assert chain.decide().why[0] == "phase 1 runs: it was blocked"


def test_the_run_that_begins_is_no_checkpoint(chain: Any) -> None:
    """It is recorded already, with nothing in it."""
    chain.run()
    chain.run(only=["1"])
    assert chain.decide(run_id="r1").from_run == "r0"


def test_runs_of_another_plan_do_not_count(chain: Any) -> None:
    """They may call other things by the same ids."""
    chain.run()
    chain.logs[0].run = replace(chain.logs[0].run, plan_file="other.md")
    assert chain.decide().why == ("nothing is resumed: no run of plan.md is recorded",)


def test_a_resumed_phase_whose_items_are_recorded_with_its_origin_has_them(chain: Any) -> None:
    """Whoever records a resumed phase need not record its items again."""
    chain.run()
    chain.run(Mode.RESUME)
    chain.logs[1].items.clear()
    assert len(chain.decide().outcomes) == 10


def test_a_resumed_phase_of_which_some_items_were_selected_has_them_all(chain: Any) -> None:
    """`--phases-resume -k one` is no reason to run the others again: they are what they were."""
    chain.run()
    chain.run(Mode.RESUME)
    del chain.logs[1].items[1::2]
    assert units(chain.decide()) == ["1", "2", "3", "4", "5"]
    assert len(chain.decide().outcomes) == 10


def test_what_is_no_longer_recorded_is_older_than_what_is(chain: Any) -> None:
    """Of two origins that are both forgotten nobody knows the order, unless they are one run."""
    chain.run()
    chain.run(Mode.RESUME)
    del chain.logs[0]
    assert units(chain.decide()) == ["1", "2", "3", "4", "5"]
    record = chain.logs[0].phases["4"]
    chain.logs[0].phases["4"] = replace(record, origin=Origin("older", "", ""))
    assert chain.decide().why[3] == "phase 4 runs again: it depends on phase 3, which has run since"
    chain.logs[0].phases["4"] = replace(record, origin=None)
    assert chain.decide().why[3].startswith("phase 4 resumed")


def test_without_a_record_of_what_it_depends_on_a_phase_runs(chain: Any) -> None:
    """It was green, and nobody can say whether it would be."""
    chain.run()
    chain.logs[0].rows.clear()
    assert chain.decide().why[0] == "phase 1 runs again: nothing is recorded of what it depends on"


def test_a_database_that_cannot_be_read_resumes_nothing(chain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one line says so."""
    chain.run()

    def damaged(run_id: str, phase: str | None = None) -> Any:
        raise PhasesError("phases.db: is damaged; move it away")

    monkeypatch.setattr(chain.reader, "dependencies", damaged)
    decided = chain.decide()
    assert (decided.units, decided.outcomes) == ({}, {})
    assert decided.why == ("nothing is resumed: phases.db: is damaged; move it away",)


def test_without_a_plan_there_is_nothing_to_decide(world: Make) -> None:
    """No phase, no line."""
    made = world()
    made.run()
    assert made.decide(table=Table()).why == ()
    assert made.plan == Plan(file="plan.md")


# Whatever else may be in the way ------------------------------------------------------------------


def test_a_stage_that_is_not_up_to_date_makes_its_phase_run(chain: Any) -> None:
    """Whoever knows says why."""
    chain.run()
    decided = chain.decide(stages=lambda unit: ["stage build has no record"] if unit == "1" else [])
    assert decided.why[:2] == (
        "phase 1 runs again: stage build has no record",
        "phase 2 runs again: it depends on phase 1",
    )


def test_coverage_data_is_kept_under_a_name_of_its_own(chain: Any) -> None:
    """This run has a worker of the same name, and session fixtures are torn down in it too."""
    chain.measured = True
    chain.run()
    chain.logs[0].parts.append(PartRecord(AFTERWARDS, "gw0", "r0-afterwards", "s"))
    decided = chain.run(Mode.RESUME)
    assert {part.worker for part in decided.parts} == {"gw0@r0"}
    assert sorted(part.phase for part in decided.parts) == ["", "1", "2", "3", "4", "5"]
    assert chain.decide().parts == decided.parts


def test_without_its_coverage_data_a_phase_runs(chain: Any) -> None:
    """Nobody could judge a threshold."""
    chain.measured = True
    chain.run()
    decided = chain.decide(part_ok=lambda part: part.phase != "1")
    assert decided.why[0] == "phase 1 runs again: its coverage data is gone"
    assert {part.phase for part in decided.parts} == {"3", "4", "5"}


def test_a_phase_that_was_not_measured_and_is_now_runs(chain: Any) -> None:
    """Another one does not."""
    chain.run()
    decided = chain.decide(measured=lambda unit: unit == "3")
    assert decided.why[2] == "phase 3 runs again: its coverage was not measured"
    assert units(decided) == ["1", "2"]


def test_where_nothing_is_known_a_phase_stays_green_in_the_same_tree(world: Make, one: Make) -> None:
    """And runs after any change of it, which is named."""
    made = world(one("1"), known=False)
    made.run()
    assert units(made.decide()) == ["1"]
    made.files["README"] = "new"
    assert made.decide().why == (
        "phase 1 runs again: the tree has changed (README) and what its tests executed is unknown: "
        "Python 3.11 cannot trace it; measure coverage for it (coverage: N), or run on Python 3.12 or later",
    )


def test_a_test_file_that_is_only_not_asked_for_is_not_gone(chain: Any) -> None:
    """Its tests were collected then and are not now."""
    chain.run()
    table = chain.table
    chosen = [(nodeid, unit) for nodeid, unit in zip(table.nodeids, table.phases, strict=True) if unit != "2"]
    other = ItemRecord(
        "tests/test_4.py::test_1", "2", chain.logs[0].items[0].kind, Outcome.PASSED, 0.0, "gw0"
    )
    chain.logs[0].items.append(other)
    narrow = Table(
        nodeids=(*(nodeid for nodeid, _ in chosen), other.nodeid),
        phases=(*(unit for _, unit in chosen), "2"),
    )
    assert chain.decide(table=narrow).why[1] == "phase 2 runs again: tests/test_4.py is new (and 1 more)"
