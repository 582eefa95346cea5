"""What a dry run prints of a plan and of what was collected."""

from __future__ import annotations

from pytest_phases.dryrun import foresee
from pytest_phases.model import Crew, Language, Phase, Place, Plan, Stage, Sync
from pytest_phases.table import Table

PLACE = Place("plan.md", 1)


def stage(stage_id: str, *needs: str, crew: Crew = Crew.BUILD) -> Stage:
    """A stage whose script plays no part here."""
    return Stage(stage_id, crew, "", "true", Language.SH, PLACE, needs)


PLAN = Plan(
    phases=(
        Phase("1", "Build", PLACE, stages=(stage("build"), stage("build-2", "build", crew=Crew.TESTING))),
        Phase("2", "", PLACE, deps=("1",), serial=True, requires=("cmd:sh", "env:HOME"),
              streams=(Phase("2/A", "Part", PLACE), Phase("2/B", "", PLACE, deps=("2/A",)))),
        Phase("3", "Last", PLACE, deps=("1", "2")),
    ),
    syncs=(Sync("Frozen", PLACE, ("1",)), Sync("", PLACE, ("1", "2"))),
)  # fmt: skip
WAVES = (("1",), ("2",), ("3",))


def shown(table: Table) -> str:
    """The lines of a dry run as one text."""
    return "\n".join(foresee(PLAN, WAVES, table)) + "\n"


def test_everything_that_was_collected_is_shown_in_its_wave():
    """Dependencies, prerequisites, crews, stages and what they need, tests, and what is collected later."""
    table = Table(
        nodeids=tuple("abcdefg"),
        phases=("1", "1", "2", "2/A", "2/A", "unphased", "unphased"),
        stages=((0, "build"), (1, "build-2")),
        modules=(("test_late.py", "3"),),
    )
    assert shown(table) == (
        "wave 1\n"
        "  phase 1 (Build)\n"
        "    build crew: stage build\n"
        "    testing crew: stage build-2, after build\n"
        "  then sync point Frozen\n"
        "wave 2\n"
        "  phase 2, needs 1, serial\n"
        "    requires cmd:sh, env:HOME\n"
        "    testing crew: 1 test\n"
        "    stream 2/A (Part)\n"
        "      testing crew: 2 tests\n"
        "    stream 2/B, needs 2/A\n"
        "  then sync point\n"
        "wave 3\n"
        "  phase 3 (Last), needs 1, 2\n"
        "    testing crew: 1 module collected when the phase opens\n"
        "whenever a worker would idle\n"
        "  unphased: 2 tests\n"
    )


def test_a_stage_that_was_not_selected_is_not_shown():
    """The plan has two stages, the run one of them."""
    text = shown(Table(nodeids=("a",), phases=("1",), stages=((0, "build-2"),)))
    assert "stage build-2" in text
    assert "stage build\n" not in text
    assert "unphased" not in text
