"""The verdict derived again: from the evidence alone, and for the tree as it stands now."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.events import Decision, GateResult
from pytest_phases.gate.again import judge_now
from pytest_phases.model import Phase, Place

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def green(copied_shop: Callable[..., Any]) -> Any:
    """A project whose gate is green."""
    return copied_shop()


def verdict(shop: Any) -> dict[str, Any]:
    """What `verdict.json` says."""
    return dict(json.loads((shop.folder / "verdict.json").read_text(encoding="utf-8")))


def rewrite(shop: Any, data: object) -> None:
    """Let `verdict.json` say something else."""
    shop.write(".phases/verdict.json", json.dumps(data))


# Nothing has changed -----------------------------------------------------------------------------


def test_the_verdict_is_derived_as_it_was_written(green: Any) -> None:
    """Its data is what stands in verdict.json, and it is green as often as somebody asks."""
    assert green.run("r2") == GateResult("Release", Decision.GREEN)
    for _ in range(2):
        result, data = judge_now(green.root, green.folder)
        assert result == GateResult("Release", Decision.GREEN)
        assert json.loads(json.dumps(data)) == verdict(green)


@pytest.mark.parametrize("failing", [["1"], ["2/A"], ["1", "2"]], ids=" ".join)
def test_a_red_verdict_is_derived_with_the_same_reasons(shop: Any, failing: list[str]) -> None:
    """In the same order, and nobody is accused of having altered it."""
    written = shop.run(failing=failing)
    assert written.decision is Decision.RED
    assert shop.judge() == written


def test_a_plan_that_markers_extend_is_judged_as_the_run_did(shop: Any) -> None:
    """Their phases and thresholds are known from the evidence, in the order in which the run knew them."""
    marked = [Phase(name, "", Place("t.py", 1), coverage=50.0) for name in ("zebra", "ape")]
    plan = replace(shop.plan, phases=(*shop.plan.phases, *marked))
    assert shop.run("r1", plan).decision is Decision.GREEN
    assert shop.judge().decision is Decision.GREEN
    written = shop.run("r2", plan, failing=["ape", "zebra", "1"])
    assert shop.judge() == written
    shop.sql("DELETE FROM figure WHERE run = 'r2' AND id = 'ape'")
    assert any("phase ape: coverage was not judged" in reason for reason in shop.reasons())


def test_a_file_that_is_only_written_again_is_the_same(green: Any) -> None:
    """A checkout elsewhere has other times."""
    for name in ("plan.md", "src/library.py"):
        green.write(name, (green.root / name).read_text(encoding="utf-8"))
    assert green.judge().decision is Decision.GREEN


# The verdict was edited --------------------------------------------------------------------------

KEYS = (
    "format decision gate reasons run plan tree expected "
    "phases coverage approvals conditions deploys versions"
).split()


def test_the_keys_of_the_verdict_are_these(green: Any) -> None:
    """Each is edited below."""
    assert list(verdict(green)) == KEYS


@pytest.mark.parametrize("value", [{"deep": [[[1]]]}, None], ids=["edited", "null"])
@pytest.mark.parametrize("key", [*KEYS, "one_more"])
def test_an_edit_of_any_key_is_told_by_its_name(green: Any, key: str, value: object) -> None:
    """Somebody else may believe the file."""
    data = verdict(green)
    rewrite(green, {**data, key: value})
    assert green.reasons() == [
        f"{green.folder / 'verdict.json'} says otherwise than the evidence of the last run: {key}; run again"
    ]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_is_gone_is_told_by_its_name(green: Any, key: str) -> None:
    """What was not said before is no less of an edit."""
    data = verdict(green)
    del data[key]
    rewrite(green, data)
    (reason,) = green.reasons()
    assert f"of the last run: {key}; run again" in reason


DAMAGED = {
    "no JSON": b"{",
    "empty": b"",
    "a list": b"[]",
    "no UTF-8": b'"\xff"',
    "nested without end": b"[" * 100_000,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_verdict_that_cannot_be_read_is_a_reason(green: Any, content: bytes) -> None:
    """With what to do."""
    (green.folder / "verdict.json").write_bytes(content)
    (reason,) = green.reasons()
    assert reason.endswith("run pytest with the plan again to have it written")


def test_a_verdict_that_is_gone_is_a_reason(green: Any) -> None:
    """Somebody has taken it away."""
    (green.folder / "verdict.json").unlink()
    assert green.reasons() == [
        f"{green.folder / 'verdict.json'} is missing; run pytest with the plan again to have it written"
    ]


def test_a_green_verdict_does_not_hide_red_evidence(green: Any) -> None:
    """Both are told."""
    written = (green.folder / "verdict.json").read_bytes()
    green.run("r2", failing=["1"])
    (green.folder / "verdict.json").write_bytes(written)
    assert green.judge().decision is Decision.RED
    assert any(
        "says otherwise than the evidence of the last run: decision" in each for each in green.reasons()
    )


# The evidence was altered ------------------------------------------------------------------------

EDITS: dict[str, tuple[str, str]] = {
    "a red run made green": ("UPDATE run SET restricted = 'why'", "not every test was collected: why"),
    "a run that never ended": ("UPDATE run SET ended = NULL", "the run never ended"),
    "nothing expected": ("DELETE FROM expected", "what must exist was altered"),
    "one thing less expected": ("DELETE FROM expected WHERE kind = 'test' AND phase = '1'", "was altered"),
    "an item deleted": ("DELETE FROM item WHERE phase = '2/A'", "stream 2/A: 1 test was not run"),
    "a part deleted": ("DELETE FROM part WHERE phase = '1'", "phase 1: 1 coverage part is missing: gw0"),
    "a part of another file": (
        "UPDATE part SET file = 'coverage/parts/3.part' WHERE phase = '1'",
        "cannot be used",
    ),
    "a part of no file": ("UPDATE part SET file = char(0)", "cannot be used"),
    "a figure deleted": ("DELETE FROM figure", "phase 1: coverage was not judged"),
    "a lower threshold": ("UPDATE figure SET required = 1", "the plan requires 80 %"),
    "a phase deleted": ("DELETE FROM phase WHERE id = '2'", "phase 2: there is no record of how it ended"),
    "another definition": (
        "UPDATE phase SET definition = '{}'",
        "was altered: nobody wrote such a definition",
    ),
    "a word that is none": ("UPDATE item SET outcome = 'fine'", "move it away with its approvals"),
    "another plan": (
        "UPDATE run SET plan_digest = 'x'",
        "the plan plan.md has changed since the run; run again",
    ),
    "no plan": ("UPDATE run SET plan_file = ''", "the last run had no plan, and so no gate; run `pytest"),
    "a plan elsewhere": ("UPDATE run SET plan_file = 'gone.md'", "there is no such plan; correct the path"),
    "another tree": ("UPDATE run SET tree = 'x', tree_after = 'y'", "the tree has changed since the run"),
    "the runs deleted": ("DELETE FROM run", "no run is recorded; run `pytest --phases PLAN` first"),
}


@pytest.mark.parametrize(("statement", "reason"), EDITS.values(), ids=EDITS.keys())
def test_altered_evidence_is_never_green(green: Any, statement: str, reason: str) -> None:
    """Though verdict.json was not touched."""
    green.sql(statement)
    gate = green.judge()
    assert gate.decision is not Decision.GREEN
    assert any(reason in each.text for each in gate.reasons)


def nonsense(path: Path) -> None:
    """It is no database."""
    path.write_bytes(b"nonsense" * 100)


def empty(path: Path) -> None:
    """There is nothing in it."""
    path.write_bytes(b"")


def half(path: Path) -> None:
    """It is cut in the middle."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def folder(path: Path) -> None:
    """It is a folder."""
    path.unlink()
    path.mkdir()


DATABASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "gone": (Path.unlink, "does not exist; run `pytest` with the plan first"),
    "nonsense": (nonsense, "is no database"),
    "empty": (empty, "is empty; run `pytest` with the plan first"),
    "half": (half, "is damaged"),
    "a folder": (folder, "is no file; move it away"),
}


@pytest.mark.parametrize(("damage", "reason"), DATABASES.values(), ids=DATABASES.keys())
def test_a_database_that_cannot_be_read_is_a_reason(
    green: Any, damage: Callable[[Path], None], reason: str
) -> None:
    """There is no evidence, and the gate is incomplete."""
    damage(green.folder / "phases.db")
    gate = green.judge()
    assert gate.decision is Decision.INCOMPLETE
    (told,) = (each.text for each in gate.reasons)
    assert told.startswith(f"{green.folder / 'phases.db'}: ")
    assert reason in told


def test_a_folder_that_is_not_there_is_not_made(shop: Any) -> None:
    """To look leaves nothing behind."""
    assert shop.judge().decision is Decision.INCOMPLETE
    assert not shop.folder.exists()


# Since the run -----------------------------------------------------------------------------------

CHANGES: dict[str, tuple[str, str, str]] = {
    "a source": ("src/library.py", "A = 2\n", "the tree has changed since the run: src/library.py (changed)"),
    "a new file": ("src/new.py", "", "the tree has changed since the run: src/new.py (new)"),
    "the plan's prose": (
        "plan.md",
        "### Phase 1: A\n",
        "the plan plan.md has changed since the run; run again",
    ),
    "a plan that is none": ("plan.md", "### Phase 1: A\ncoverage: many\n", "plan.md:2: "),
}


@pytest.mark.parametrize(("name", "text", "reason"), CHANGES.values(), ids=CHANGES.keys())
def test_what_changed_since_the_run_is_a_reason(green: Any, name: str, text: str, reason: str) -> None:
    """The verdict is of another tree."""
    green.write(name, text)
    gate = green.judge()
    assert gate.decision is Decision.INCOMPLETE
    assert any(each.text.startswith(reason) for each in gate.reasons)


def test_every_problem_of_the_plan_is_a_reason(green: Any) -> None:
    """With its line."""
    green.write("plan.md", "### Phase 1: A\ncoverage: many\n### Phase 1: B\n")
    assert [reason.partition(": ")[0] for reason in green.reasons()] == ["plan.md:2", "plan.md:3"]


# Commits -----------------------------------------------------------------------------------------


@needs_git
def test_the_commit_that_is_expected_must_be_checked_out(shop: Any) -> None:
    """Named in full or by as many digits as git shows; an empty name is that of no commit."""
    sha = shop.commit()
    shop.run()
    for name in (sha, sha[:7], sha.upper()):
        assert shop.reasons(commit=name) == []
    for name in ("", sha[:6], "0" * 40, "HEAD", f"{sha}0"):
        told = f"commit {name} is expected, and this is {sha}; "
        assert shop.reasons(commit=name) == [f"{told}check that one out, or name it by 7 digits or more"]


@needs_git
def test_another_commit_of_the_same_tree_is_another_commit(shop: Any) -> None:
    """The verdict says which one was tested."""
    first = shop.commit()
    shop.run()
    shop.git("commit", "--quiet", "--allow-empty", "--message", "empty")
    second = shop.git("rev-parse", "HEAD")
    assert shop.reasons() == [f"the run was of commit {first[:12]}, and this is {second[:12]}; run again"]


def test_without_git_no_commit_can_be_expected(green: Any) -> None:
    """There is none."""
    (reason,) = green.reasons(commit="0" * 40)
    assert "and this is no commit" in reason
