"""Fix and resume: what was green and has not changed is not run again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

EVERYTHING = ["help", "order", "other", "price", "ship", "total"]


@pytest.mark.parametrize("measured", [False, True], ids=["traced", "measured"])
def test_fix_and_resume(shop, states) -> None:
    """What was red runs again with what needs it, and nothing else; everything is counted."""
    result, ran = shop.run()
    assert result.ret == 1
    assert ran == ["help", "order", "other", "price", "total"]
    assert states() == {"1": "green", "2": "green", "3": "red", "4": "blocked", "5": "green"}

    shop.mend()
    result, ran = shop.run("--phases-resume")
    assert result.ret == 0, result.stdout.str()
    assert ran == ["order", "other", "ship"]
    assert set(states().values()) == {"green"}
    assert shop.lines(result, "phase 1", "resumed from")
    assert shop.lines(result, "phase 3", "was red")
    result.stdout.fnmatch_lines(["*3 passed, 3 resumed in*"])


@pytest.mark.parametrize("measured", [False, True], ids=["traced", "measured"])
def test_what_has_changed_runs_again_with_what_depends_on_it(shop, states) -> None:
    """The reason names the file; what neither executes nor needs it is left alone."""
    shop.mend()
    assert shop.run()[1] == EVERYTHING
    shop.write("prices.py", "def price(number):\n    return number + number\n")
    result, ran = shop.run("--phases-resume")
    assert ran == ["order", "other", "price", "ship", "total"]
    assert shop.lines(result, "phase 1 runs again", "prices.py changed")
    assert shop.lines(result, "phase 2 runs again", "prices.py changed")
    assert shop.lines(result, "phase 4 runs again", "depends on phase 3")
    assert shop.lines(result, "phase 5", "resumed from")
    assert set(states().values()) == {"green"}


def test_nothing_changed(shop) -> None:
    """Nothing runs, and that is success; a second time it is still told which run it was."""
    shop.mend()
    shop.run()
    for _ in range(2):
        result, ran = shop.run("--phases-resume")
        assert ran == []
        assert result.ret == 0
        assert len(shop.lines(result, "resumed from")) >= 5
    runs = {line.split("resumed from ")[1].split(",")[0] for line in shop.lines(result, "resumed from")}
    assert len(runs) == 1


@pytest.mark.parametrize(
    ("name", "text", "ran"),
    [
        pytest.param("test_help.py", "def test_help(): pass\n", [], id="a-test-file"),
        pytest.param("conftest.py", "# new\n", EVERYTHING, id="a-new-conftest"),
        pytest.param("pytest.ini", "[pytest]\npythonpath = . .\n", EVERYTHING, id="the-configuration"),
        pytest.param("notes.txt", "nobody reads this\n", [], id="a-file-nobody-reads"),
    ],
)
def test_what_counts_as_a_change(shop, name: str, text: str, ran: list[str]) -> None:
    """Test files, conftests and the configuration do, what no phase has used does not."""
    shop.mend()
    shop.run()
    shop.write(name, text)
    assert shop.run("--phases-resume")[1] == ran


def test_trust_keeps_what_was_green(shop) -> None:
    """Whatever has changed; the gate says which phases were green in another tree."""
    shop.run()
    shop.mend()
    shop.write("prices.py", "def price(number):\n    return number + number\n")
    result, ran = shop.run("--phases-resume=trust")
    assert ran == ["order", "other", "ship"]
    assert result.ret == 0
    gate = json.loads((shop.root / ".phases" / "verdict.json").read_text(encoding="utf-8"))
    assert gate["decision"] == "incomplete"
    told = json.dumps(gate["reasons"])
    assert "phase 1, phase 2, phase 5 were resumed from run" in told
    assert not any(f"phase {phase}" in told for phase in "34")


def test_tests_leaves_out_what_had_passed(shop, states) -> None:
    """In a phase that is not finished, if nothing of it has changed; what failed runs again."""
    shop.run()
    result, ran = shop.run("--phases-resume=tests")
    assert ran == ["order"]
    assert states()["3"] == "red"
    shop.mend()
    result, ran = shop.run("--phases-resume=tests")
    assert ran == ["order", "other", "ship"]
    assert result.ret == 0


def test_explaining_runs_nothing(shop) -> None:
    """It says what `--phases-resume` would do, and why, and leaves everything as it was."""
    shop.run()
    before = sorted(path.name for path in (shop.root / ".phases").iterdir())
    shop.mend()
    result, ran = shop.run("--phases-explain")
    assert ran == []
    assert shop.lines(result, "phase 1 resumed from")
    assert shop.lines(result, "phase 3", "red")
    assert shop.lines(result, "phase 4")
    assert sorted(path.name for path in (shop.root / ".phases").iterdir()) == before
    assert shop.run("--phases-resume")[1] == ["order", "other", "ship"]


def test_without_an_earlier_run_everything_runs(shop) -> None:
    """And it is said that there is nothing to resume from."""
    shop.mend()
    result, ran = shop.run("--phases-resume")
    assert ran == EVERYTHING
    assert result.ret == 0
    assert shop.lines(result, "no run", "recorded")


def test_new_tests_are_run(shop) -> None:
    """A phase to which a test file was added has not run all of its tests."""
    shop.mend()
    shop.write("plan.md", (shop.root / "plan.md").read_text().replace("[test_help.py]", "[test_help*.py]"))
    shop.run()
    shop.write("test_help_more.py", "from journal import note\n\ndef test_more(): note('more')\n")
    assert shop.run("--phases-resume")[1] == ["help", "more"]


def test_only_some_phases_are_resumed(shop) -> None:
    """Of the phases of `--phases-only` those that were green; the others are not spoken of."""
    shop.mend()
    shop.run()
    shop.write("guide.py", "def guide():\n    return 'read that'\n")
    result, ran = shop.run("--phases-resume", "--phases-only", "1,5")
    assert ran == ["help"]
    assert not [line for line in result.outlines if line.startswith("phase 2 r")]


def test_an_older_green_does_not_outlive_a_newer_dependency(shop) -> None:
    """Phase 4 was green before phase 3 was run anew by itself: it has never seen that one."""
    shop.mend()
    shop.run()
    assert shop.run("--phases-only", "3")[1] == ["order", "other"]
    assert shop.run("--phases-resume")[1] == ["ship"]


def test_the_database_has_every_outcome_once(shop) -> None:
    """The record of a resumed run is whole: the outcomes of both runs together."""
    shop.run()
    shop.mend()
    shop.run("--phases-resume")
    with closing(sqlite3.connect(shop.root / ".phases" / "phases.db")) as connection:
        runs = [run for (run,) in connection.execute("SELECT run_id FROM run ORDER BY rowid")]
        items = connection.execute("SELECT nodeid, outcome FROM item WHERE run = ?", (runs[-1],)).fetchall()
    assert len(items) == len(dict(items)) == 6
    assert {outcome for _, outcome in items} == {"passed"}


def test_an_earlier_verdict_counts_for_the_same_tree(shop) -> None:
    """Where nothing changed since the run that is resumed, the gate is green; and else incomplete."""
    shop.mend()
    shop.run()
    shop.run("--phases-resume")
    verdict = shop.root / ".phases" / "verdict.json"
    assert json.loads(verdict.read_text(encoding="utf-8"))["decision"] == "green"
    shop.write("notes.txt", "another tree\n")
    shop.run("--phases-resume")
    assert json.loads(verdict.read_text(encoding="utf-8"))["decision"] == "incomplete"


def test_what_git_ignores_and_what_pytest_was_told_count_too(shop) -> None:
    """A generated module that is no part of the tree, and an option that may change what tests come to."""
    shop.mend()
    with (shop.root / ".gitignore").open("a", encoding="utf-8") as ignored:
        ignored.write("generated.py\n")
    shop.write("generated.py", "NUMBER = 1\n")
    shop.write("guide.py", "from generated import NUMBER\n\ndef guide():\n    return NUMBER\n")
    shop.run()
    shop.write("generated.py", "NUMBER = 2\n")
    result, ran = shop.run("--phases-resume")
    assert ran == ["help"]
    assert shop.lines(result, "phase 5 runs again: generated.py changed")
    result, ran = shop.run("--phases-resume", "-W", "error::FutureWarning")
    assert ran == EVERYTHING
    assert shop.lines(result, "phase 1 runs again: the options of pytest changed")
