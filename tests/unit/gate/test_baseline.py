"""The plan of another commit: read from git, and what a run did less than it demands."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.errors import PlanError
from pytest_phases.events import Decision
from pytest_phases.evidence import Recorded, RunRecord
from pytest_phases.gate.baseline import Baseline, BaselineError, baseline
from pytest_phases.plan.markdown import read_markdown

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

Judge = Callable[[str, str], list[str]]


@pytest.fixture
def judge(committed_shop: Any) -> Judge:
    """A function that alters the plan, and judges the run by the plan of the commit before."""

    def replace(old: str, new: str) -> list[str]:
        committed_shop.replace("plan.md", old, new)
        committed_shop.run()
        return list(committed_shop.reasons(plan_from="main"))

    return replace


# Which plan --------------------------------------------------------------------------------------

REFS = {"a branch": "main", "HEAD": "HEAD", "a commit before": "HEAD~1", "a tag": "v1"}


@pytest.mark.parametrize("ref", REFS.values(), ids=REFS.keys())
def test_the_plan_is_read_as_it_stands_in_a_commit(committed_shop: Any, ref: str) -> None:
    """Whatever the working tree and the index say; messages name the commit."""
    committed_shop.git("tag", "--annotate", "--message", "one", "v1")
    committed_shop.git("commit", "--quiet", "--allow-empty", "--message", "empty")
    committed_shop.write("plan.md", "### Phase 9: Other\n")
    committed_shop.git("add", "plan.md")
    with baseline(committed_shop.root, ref, "plan.md") as base:
        assert [phase.id for phase in base.plan.phases] == ["1", "2"]
        assert base.plan.file == f"plan.md of {ref}"
        assert base.signers is None


def test_a_folder_of_a_repository_has_a_plan_of_its_own(shop: Any) -> None:
    """Paths are those below the rootdir."""
    shop.write("sub/plan.md", "### Phase 9: Other\n")
    shop.commit()
    with baseline(shop.root / "sub", "HEAD", "plan.md") as base:
        assert [phase.id for phase in base.plan.phases] == ["9"]


def test_signers_are_those_of_the_same_commit(shop: Any) -> None:
    """Who may approve a change is not for the change to say."""
    shop.replace("plan.md", "Gate: Release\n", "Gate: Release\napprovals: [a]\napprovals_signers: signers\n")
    shop.write("signers", "alice\n")
    shop.commit()
    shop.write("signers", "mallory\n")
    with baseline(shop.root, "HEAD", "plan.md") as base:
        assert base.signers is not None
        assert base.signers.read_text(encoding="utf-8") == "alice\n"
    assert not base.signers.exists()


NO_COMMITS = {
    "a name that is none": "nowhere",
    "no name, which git takes for the index": "",
    "the index by its name": ":0",
    "an option": "--output=made",
    "another option": "-p",
    "a tree and no commit": "HEAD^{tree}",
    "a file": "HEAD:plan.md",
    "a range": "HEAD..HEAD",
}


@pytest.mark.parametrize("ref", NO_COMMITS.values(), ids=NO_COMMITS.keys())
def test_what_is_no_commit_is_told_with_what_to_do(committed_shop: Any, ref: str) -> None:
    """The index is the change's own, and an option is nobody's plan."""
    with pytest.raises(
        BaselineError, match=r"plan\.md cannot be read from (.|\n)*; name a commit that has it\Z"
    ):
        baseline(committed_shop.root, ref, "plan.md").__enter__()
    assert sorted(path.name for path in committed_shop.root.iterdir()) == [".git", "plan.md", "src"]


def test_a_commit_without_the_plan_is_told(shop: Any) -> None:
    """So is one without the file of signers, and a folder that is no repository."""
    with pytest.raises(BaselineError, match=r"plan\.md cannot be read from HEAD"):
        baseline(shop.root, "HEAD", "plan.md").__enter__()
    shop.replace("plan.md", "Gate: Release\n", "Gate: Release\napprovals: [a]\napprovals_signers: signers\n")
    shop.commit()
    with pytest.raises(BaselineError, match=r"other\.md cannot be read from HEAD"):
        baseline(shop.root, "HEAD", "other.md").__enter__()
    with pytest.raises(BaselineError, match="signers cannot be read from HEAD"):
        baseline(shop.root, "HEAD", "plan.md").__enter__()


def test_a_plan_with_mistakes_is_told_with_its_commit(shop: Any) -> None:
    """And line."""
    shop.write("plan.md", "### Phase 1: A\ncoverage: many\n")
    shop.commit()
    with pytest.raises(PlanError, match=r"plan\.md of HEAD:2: "):
        baseline(shop.root, "HEAD", "plan.md").__enter__()


def test_without_git_it_is_said_what_is_needed(
    shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No program is found on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BaselineError, match=r"git could not be run .*; --plan-from needs it"):
        baseline(shop.root, "HEAD", "plan.md").__enter__()


# What a run did less -----------------------------------------------------------------------------

LOOSER = {
    "a test less": (
        "tests: [tests/library]\n",
        "",
        "phase 1: the run did not have `tests/library` among its tests",
    ),
    "a stream's test less": (
        "[tests/one]",
        "[]",
        "stream 2/A: the run did not have `tests/one` among its tests",
    ),
    "a prerequisite less": (
        "requires: [cmd:sh]\n",
        "",
        "phase 1: the run did not have `cmd:sh` among its requires",
    ),
    "other files covered": (
        "[src]",
        "[src/library.py]",
        "phase 1: the run measured `src/library.py`, not `src`",
    ),
    "no files covered": ("covers: [src]\n", "", "phase 1: the run measured the configured source, not `src`"),
    "another script": ("make wheel", "true", "phase 1: stage build-wheel ran another script"),
    "a lower threshold": ("coverage: 80", "coverage: 1", "phase 1: coverage was judged by 1 %"),
    "no threshold": ("coverage: 80\n", "", "phase 1: coverage was not judged"),
    "a stage less": ("Build: wheel\n", "Words\n", "phase 1: 1 stage of the plan was unknown to the run"),
    "a stream less": (
        "#### Stream A: One\ntests: [tests/one]\n",
        "",
        "stream 2/A of the plan was unknown to the run",
    ),
}


@pytest.mark.parametrize(("old", "new", "reason"), LOOSER.values(), ids=LOOSER.keys())
def test_a_change_cannot_loosen_the_gate_that_judges_it(
    judge: Judge, old: str, new: str, reason: str
) -> None:
    """By its own plan it would be green."""
    assert any(each.startswith(reason) for each in judge(old, new))


STRICTER = {
    "another name": ("Release", "Other name"),
    "words": ("### Gate", "Words.\n\n### Gate"),
    "a test more": ("[tests/library]", "[tests/library, tests/more]"),
    "a prerequisite more": ("[cmd:sh]", "[cmd:sh, cmd:git]"),
    "a phase more": ("### Gate", "### Phase 3: More\ntests: [tests/three]\n\n### Gate"),
    "a stage more": ("### Phase 2", "Testing:\n```bash\ntrue\n```\n### Phase 2"),
}


@pytest.mark.parametrize(("old", "new"), STRICTER.values(), ids=STRICTER.keys())
def test_more_than_is_demanded_is_welcome(judge: Judge, old: str, new: str) -> None:
    """The gate stays green."""
    assert judge(old, new) == []


def test_a_reason_says_by_which_plan_it_is_one(judge: Judge) -> None:
    """So that nobody looks for it in the wrong one."""
    assert judge("make wheel", "true") == [
        "phase 1: stage build-wheel ran another script; it is judged by the plan of main"
    ]


@pytest.mark.parametrize("definition", ["", "{}"], ids=["none", "an empty one"])
def test_a_phase_of_which_nobody_knows_what_it_was_is_a_reason(committed_shop: Any, definition: str) -> None:
    """Nothing follows from what is not there."""
    committed_shop.run()
    assert committed_shop.reasons(plan_from="HEAD") == []
    committed_shop.sql("UPDATE phase SET definition = ? WHERE id = '1'", definition)
    assert committed_shop.judge(plan_from="HEAD").decision is Decision.INCOMPLETE
    assert any(
        "phase 1" in reason and reason.endswith("run again")
        for reason in committed_shop.reasons(plan_from="HEAD")
    )


BUILDS = "### Phase 1: A\nBuild: wheel\noutputs: [report.txt, out/]\n```bash\nmake\n```\n"
TESTS = BUILDS.replace("Build: wheel", "Testing:")
MADE = {
    "a new file, where the plan builds": (BUILDS, "dist/a.whl (new)", True),
    "a new file, where the plan builds nothing": (TESTS, "conftest.py (new)", False),
    "a changed file": (BUILDS, "src/library.py (changed)", False),
    "a file that is gone": (BUILDS, "src/library.py (removed)", False),
    "a declared file": (TESTS, "report.txt (changed)", True),
    "a declared file with the same content": (TESTS, "report.txt (written and changed back)", True),
    "a declared file that is gone": (TESTS, "report.txt (removed)", True),
    "a file in a declared folder": (TESTS, "out/a (1) b.txt (changed)", True),
}


@pytest.mark.parametrize(("text", "made", "allowed"), MADE.values(), ids=MADE.keys())
def test_a_run_may_leave_what_the_other_plan_allows(text: str, made: str, allowed: bool) -> None:
    """More outputs in its own plan would let it change what it tests."""
    plan, problems = read_markdown(text, "plan.md")
    assert not problems
    told = list(Baseline("main", plan, None).loosened(Recorded(RunRecord("r1", "", "", "", made=(made,)))))
    refusal = (
        f"{made} while the run ran, which the plan of main allows no stage; "
        "run again when that plan declares it in the outputs of one"
    )
    assert told == ([] if allowed else [refusal])
