"""Looking at what a run left, and at the tree as it stands now."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_phases.evidence import ApprovalRecord, PartRecord, Recorded, RunRecord, TreeEntry
from pytest_phases.gate.approvals import make
from pytest_phases.gate.look import differs_now, digest_of_file, excluded, look, outputs, signers_of
from pytest_phases.gate.rules import Found, Rules
from pytest_phases.gate.tree import Tree
from pytest_phases.plan.markdown import read_markdown

RULES = Rules("", ("1",), True, None, {}, ("security", "review"), ())
RUN = RunRecord("r1", "", "plan.md", "plan", commit="c" * 40, tree="before", tree_after="after")
FILE = "coverage/parts/r1/1@gw0.part"
CONTENT = b"measured"
PART = PartRecord("1", "gw0", FILE, hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run that left one part."""
    path = tmp_path / ".phases" / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return tmp_path / ".phases"


def see(
    folder: Path, *parts: PartRecord, run: RunRecord = RUN, given: Sequence[ApprovalRecord] = ()
) -> Found:
    """What is found of a run with these parts."""
    return look(Recorded(run, parts=parts), RULES, folder, given, None)


# Parts -------------------------------------------------------------------------------------------


def test_a_part_that_is_as_it_was_written_is_sound(folder: Path) -> None:
    """And there is nothing else."""
    assert see(folder, PART) == Found(parts=(("1", "gw0", ""),))


def test_a_problem_that_the_part_came_with_stays(folder: Path) -> None:
    """Though what there is of it is as it was written."""
    assert see(folder, replace(PART, problem="data.1 was lost")).parts == (("1", "gw0", "data.1 was lost"),)


def truncate(path: Path) -> None:
    """Cut the last byte off."""
    path.write_bytes(CONTENT[:-1])


def empty(path: Path) -> None:
    """Leave nothing in it."""
    path.write_bytes(b"")


def make_folder(path: Path) -> None:
    """Put a folder in its place."""
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "deleted": (Path.unlink, "cannot be read (No such file or directory)"),
    "truncated": (truncate, "is not what was written"),
    "emptied": (empty, "is not what was written"),
    "a folder": (make_folder, "cannot be read (Is a directory)"),
}


@pytest.mark.parametrize(("damage", "problem"), DAMAGE.values(), ids=DAMAGE.keys())
def test_a_part_that_is_not_as_it_was_written_is_named(
    folder: Path, damage: Callable[[Path], None], problem: str
) -> None:
    """With what to do."""
    damage(folder / FILE)
    assert see(folder, PART).parts == (("1", "gw0", f"{FILE} {problem}; run again"),)


@pytest.mark.parametrize("name", ["", "nul\0", "half \ud83d a pair", "../..", "x" * 300, "/nowhere"])
def test_a_name_that_no_file_has_is_a_problem_and_no_crash(folder: Path, name: str) -> None:
    """Somebody has altered the record."""
    ((_, _, problem),) = see(folder, replace(PART, file=name)).parts
    assert problem.startswith(f"{name} cannot be read (")


def test_files_that_nobody_recorded_are_named(folder: Path) -> None:
    """In order; those of another run are its business."""
    other = folder / "coverage" / "parts" / "r0"
    other.mkdir()
    (other / "1@gw0.part").write_bytes(b"")
    for name in ("z.part", "a.part"):
        (folder / "coverage" / "parts" / "r1" / name).write_bytes(b"")
    assert see(folder, PART).surplus == ("a.part", "z.part")
    assert see(folder).surplus == ("1@gw0.part", "a.part", "z.part")


def test_what_changed_while_the_run_ran_is_handed_on(folder: Path) -> None:
    """The run has seen it."""
    assert see(folder, run=replace(RUN, changed=("a.py (changed)",))).changed == ("a.py (changed)",)


# Approvals ---------------------------------------------------------------------------------------


def approval(tree: str, name: str = "security") -> ApprovalRecord:
    """An approval for a tree."""
    return make(name, "alice", "", tree, "2025-01-02T03:04:05+00:00", signer=None)


def test_an_approval_is_for_the_tree_that_was_tested_with_or_without_its_outputs(folder: Path) -> None:
    """The outputs of the run are all that differs."""
    for tree in ("before", "after"):
        assert see(folder, given=[approval(tree)]).approvals == (("security", ""),)


def test_an_approval_for_another_tree_is_refused(folder: Path) -> None:
    """And the one that nobody gave is not in the answer."""
    ((name, problem),) = see(folder, given=[approval("other"), approval("after", "coffee")]).approvals
    assert name == "security"
    assert "was given for another tree" in problem


def test_where_more_than_outputs_changed_only_the_tree_at_the_end_counts(folder: Path) -> None:
    """Nobody has approved what somebody wrote meanwhile."""
    run = replace(RUN, changed=("a.py (changed)",))
    assert see(folder, run=run, given=[approval("before")]).approvals[0][1] != ""
    assert see(folder, run=run, given=[approval("after")]).approvals == (("security", ""),)


# The tree now ------------------------------------------------------------------------------------

ENTRY = TreeEntry("a.py", "file", "5ea1", "stamp")


def differences(now: Tree, plan: str = "plan") -> list[str]:
    """How a moment differs from the run, whose tree had one file."""
    return list(differs_now(Recorded(RUN, tree=(ENTRY,)), now, plan))


@pytest.mark.parametrize("digest", ["before", "after"])
def test_the_tree_before_and_the_one_after_are_both_that_of_the_run(digest: str) -> None:
    """A fresh checkout has none of its outputs."""
    assert differences(Tree((), digest, commit=RUN.commit)) == []


def test_what_differs_now_is_told_with_what_to_do() -> None:
    """Commit, plan and tree, each by itself."""
    entries = (replace(ENTRY, sha256="0"), TreeEntry("b.py", "file", "1"))
    assert differences(Tree(entries, "other", commit=None), "another plan") == [
        f"the run was of commit {'c' * 12}, and this is none; run again",
        "the plan plan.md has changed since the run; run again",
        "the tree has changed since the run: a.py (changed), b.py (new); run again",
    ]


def test_a_file_that_was_only_written_again_has_not_changed() -> None:
    """A checkout writes every file."""
    entries = (replace(ENTRY, stamp="another"), TreeEntry("b.py", "file", "1"))
    (told,) = differences(Tree(entries, "other", commit=RUN.commit))
    assert told == "the tree has changed since the run: b.py (new); run again"


def test_of_many_changes_the_first_are_named() -> None:
    """And the others counted."""
    entries = tuple(TreeEntry(f"{number:02}.py", "file", "1") for number in range(13))
    (told,) = differences(Tree((ENTRY, *entries), "other", commit=RUN.commit))
    assert told.endswith("09.py (new) and 3 more; run again")


# Small things ------------------------------------------------------------------------------------


def test_outputs_are_those_of_all_stages() -> None:
    """Of phases and of streams."""
    stage = "Build: {0}\noutputs: [{0}/]\n```bash\nmake\n```\n"
    text = f"### Phase 1: A\n{stage.format('dist')}#### Stream A: B\n{stage.format('docs')}"
    plan, problems = read_markdown(text, "plan.md")
    assert not problems
    assert [output.rstrip("/") for output in outputs(plan)] == ["dist", "docs"]


def test_signers_are_named_from_the_rootdir(tmp_path: Path) -> None:
    """A gate without a file of them, and no gate, have none."""
    found = []
    for gate in ("### Gate: G\napprovals: [a]\napprovals_signers: keys/signers\n", "### Gate: G\n", ""):
        plan, problems = read_markdown(f"### Phase 1: A\n{gate}", "plan.md")
        assert not problems
        found.append(signers_of(plan, tmp_path))
    assert found == [tmp_path / "keys" / "signers", None, None]


def test_the_digest_of_a_file_that_cannot_be_read_is_that_of_none(tmp_path: Path) -> None:
    """A plan that is gone has changed."""
    (tmp_path / "plan.md").write_bytes(b"plan")
    assert digest_of_file(tmp_path / "plan.md") == hashlib.sha256(b"plan").hexdigest()
    assert digest_of_file(tmp_path / "gone.md") == digest_of_file(tmp_path) == ""


def test_what_runs_leave_is_no_part_of_the_tree(tmp_path: Path) -> None:
    """What else lies in that folder is, and so is everything of a folder outside of the rootdir."""
    found = excluded(tmp_path, tmp_path / "out" / "phases")
    assert {f"out/phases/{name}" for name in ("phases.db", "verdict.json", "logs", "coverage/parts")} <= set(
        found
    )
    assert not {"out", "out/phases", "out/phases/coverage"} & set(found)
    assert excluded(tmp_path / "project", tmp_path / "elsewhere") == ()


def test_a_folder_of_their_own_is_left_out_whole(tmp_path: Path) -> None:
    """Signatures and reports that somebody adds to `.phases` are no part of the project."""
    assert excluded(tmp_path, tmp_path / ".phases") == (".phases",)
