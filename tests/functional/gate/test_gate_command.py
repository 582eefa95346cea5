"""The green path from a run to `pytest-phases gate && ./deploy.sh`, and what the command is told."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("pytest-phases")


def pytest_phases(project, *args):
    """Run the command as a CI job would, in the project's folder."""
    return subprocess.run(
        [COMMAND, *args], cwd=project.path, capture_output=True, text=True, check=False, timeout=60
    )


# The green path -----------------------------------------------------------------------------------


def test_a_green_run_may_be_deployed(green):
    """The run prints it, both files say it, and the command exits 0 and says nothing else."""
    ran = green.run("-n2")

    assert (ran.exit, ran.gate) == (0, "gate (Release): green")
    done = pytest_phases(green, "gate")
    assert (done.returncode, done.stdout, done.stderr) == (0, "gate (Release): green\n", "")
    assert (green.verdict["decision"], green.verdict["reasons"]) == ("green", [])
    statement = json.loads((green.evidence / "verdict.intoto.json").read_text())
    assert statement["predicate"]["result"] == "PASSED"
    assert statement["predicate"]["passedTests"] == [
        "plan.md::2::testing-smoke",
        "test_extra.py::test_unphased",
        "test_library.py::test_double",
        "test_library.py::test_zero",
        "test_program.py::test_first",
        "test_program.py::test_last",
    ]
    assert statement["predicate"]["failedTests"] == []
    (subject,) = statement["subject"]
    assert subject["digest"] == {
        "gitCommit": green.git("rev-parse", "HEAD"),
        "gitTree": green.git("rev-parse", "HEAD^{tree}"),
    }


def test_the_verdict_as_json(green):
    """`--json` prints what verdict.json says, and nothing else."""
    done = pytest_phases(green, "gate", "--json")

    assert done.returncode == 0
    assert json.loads(done.stdout) == green.verdict


def test_the_verdict_says_what_it_is_bound_to(green):
    """Commit, tree, plan, versions, times, phases and figures stand in the verdict."""
    verdict = green.verdict

    assert verdict["tree"]["commit"] == green.git("rev-parse", "HEAD")
    assert verdict["tree"]["git_tree"] == green.git("rev-parse", "HEAD^{tree}")
    assert verdict["tree"]["dirty"] is False
    assert verdict["plan"]["file"] == "plan.md"
    assert {"python", "pytest", "pytest-xdist", "pytest-phases", "coverage"} <= set(verdict["versions"])
    assert verdict["run"]["started"] <= verdict["run"]["ended"]
    counts = {phase["id"]: (phase["state"], phase["tests"], phase["stages"]) for phase in verdict["phases"]}
    assert counts == {
        "1": ("green", {"passed": 2}, {}),
        "2": ("green", {"passed": 2}, {"passed": 1}),
        "unphased": ("green", {"passed": 1}, {}),
    }
    figures = {figure["id"]: (figure["required"], figure["reached"]) for figure in verdict["coverage"]}
    assert figures == {"1": (80, 100), "gate": (80, 100)}


def test_the_statement_counts_what_was_expected(green):
    """Beside the lists, which know no skipped tests, stand size and digest of the expected set."""
    statement = json.loads((green.evidence / "verdict.intoto.json").read_text())

    assert statement["predicate"]["pytestPhases_expected"]["items"] == 6
    assert (
        statement["predicate"]["pytestPhases_expected"]["digest"]["sha256"]
        == green.verdict["expected"]["sha256"]
    )


def test_a_fresh_clone_with_the_evidence_is_green(green, tmp_path):
    """The job that deploys needs the commit and `.phases`, nothing else of the job that tested."""
    green.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = type(green)(tmp_path / "clone")
    assert pytest_phases(clone, "gate").returncode == 1
    shutil.copytree(green.evidence, clone.evidence)

    done = pytest_phases(
        clone, "gate", "--expect-commit", green.git("rev-parse", "HEAD"), "--plan-from", "HEAD"
    )

    assert (done.returncode, done.stdout) == (0, "gate (Release): green\n")


def test_evidence_in_another_folder(new_project):
    """`--phases-dir` is the same for the run and for the command, and nothing of it is part of the tree."""
    project = new_project()

    assert project.run("-n0", "--phases-dir=build/evidence").exit == 0

    assert pytest_phases(project, "gate", "--phases-dir", "build/evidence").returncode == 0
    assert pytest_phases(project, "gate").returncode == 1


def test_a_project_without_git(new_project):
    """All files are the tree, the commit is null, and a change is found out all the same."""
    project = new_project(git=False)
    assert project.run("-n0").exit == 0
    assert project.verdict["tree"]["commit"] is None
    assert project.verdict["tree"]["git_tree"] is None
    gate = project.gate()
    assert (gate.exit, gate.decision) == (0, "green")

    refused = project.gate("--expect-commit", "a" * 40)
    project.write({"new.py": ""})
    changed = project.gate()

    assert refused.exit == changed.exit == 1
    assert refused.says("this is no commit")
    assert changed.says("the tree has changed since the run: new.py (new)")


def test_a_plan_without_a_gate(new_project, plan_text):
    """It has a gate that requires every phase, and no name."""
    text = plan_text()
    project = new_project({"plan.md": text[: text.index("### Gate")]})

    ran = project.run("-n0")

    assert (ran.exit, ran.gate) == (0, "gate: green")
    assert project.gate().decision == "green"


# What may differ by now ---------------------------------------------------------------------------


def dirty(project):
    """A file is changed and not committed."""
    project.write({"library.py": "def double(number): return 0\n"})
    return "the tree has changed since the run: library.py (changed)"


def another_file(project):
    """A new file that git does not ignore."""
    project.write({"conftest.py": ""})
    return "the tree has changed since the run: conftest.py (new)"


def removed(project):
    """A file is removed."""
    (project.path / "test_extra.py").unlink()
    return "the tree has changed since the run: test_extra.py (removed)"


def executable(project):
    """A file can be executed now."""
    (project.path / "library.py").chmod(0o755)
    return "the tree has changed since the run: library.py (changed)"


def another_commit(project):
    """The same tree in another commit."""
    project.commit()
    return "the run was of commit"


def commit_that_changes(project):
    """Another commit with another tree."""
    project.write({"library.py": "def double(number): return 0\n"})
    project.commit()
    return "the tree has changed since the run: library.py (changed)"


def another_plan(project):
    """The plan is changed."""
    project.replace("plan.md", "coverage: 80", "coverage: 10")
    return "the plan plan.md has changed since the run"


def broken_plan(project):
    """The plan cannot be read any more."""
    project.replace("plan.md", "dependencies: [1]", "dependencies: [7]")
    return "depend"


def no_plan(project):
    """The plan is removed."""
    (project.path / "plan.md").unlink()
    return "plan.md"


def hidden(project):
    """git is told not to look at a file that is changed."""
    project.git("update-index", "--assume-unchanged", "library.py")
    return dirty(project)


@pytest.mark.parametrize(
    "change",
    [
        dirty,
        another_file,
        removed,
        executable,
        another_commit,
        commit_that_changes,
        another_plan,
        broken_plan,
        no_plan,
        hidden,
    ],
)
def test_a_tree_that_has_changed_since_is_not_green(change, green):
    """What was tested is not what is there now, and the gate names what differs."""
    said = change(green)

    gate = green.gate()

    assert (gate.exit, gate.decision) == (1, "incomplete")
    assert gate.says(said), gate.reasons


def test_a_change_that_is_taken_back_is_green_again(green):
    """The verdict is of a tree, not of a moment."""
    old = (green.path / "library.py").read_text()
    dirty(green)
    assert green.gate().decision == "incomplete"

    green.write({"library.py": old})

    assert green.gate().decision == "green"


def test_what_git_ignores_is_no_part_of_the_tree(green):
    """Ignored files, caches and byte code come and go."""
    green.write({"junit.xml": "<xml/>", "__pycache__/library.pyc": "", ".pytest_cache/README.md": ""})

    assert green.gate().decision == "green"


def test_uncommitted_changes_are_a_tree_too(green):
    """What was tested with uncommitted changes may be deployed with them, as the tree of no commit."""
    green.write({"library.py": "def double(number):\n    return number + number\n"})
    assert green.run("-n0").exit == 0

    assert green.gate().decision == "green"
    assert green.verdict["tree"]["dirty"] is True
    green.commit()
    gate = green.gate()
    assert (gate.exit, gate.decision) == (1, "incomplete")
    assert gate.says("the run was of commit")


# The commit that is expected ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        pytest.param(40, 0, id="in full"),
        pytest.param(7, 0, id="as many digits as git shows"),
        pytest.param(6, 1, id="too few digits"),
        pytest.param(0, 1, id="no digits"),
    ],
)
def test_the_expected_commit_may_be_shortened(digits, expected, green):
    """As many digits as git itself would show stand for a commit, and fewer do not."""
    gate = green.gate("--expect-commit", green.git("rev-parse", "HEAD")[:digits])

    assert gate.exit == expected
    assert gate.says("is expected, and this is") == bool(expected)


@pytest.mark.parametrize("commit", ["0" * 40, "HEAD", "main"])
def test_another_commit_than_the_expected_one_is_refused(commit, green):
    """What is no prefix of the commit's id is not this commit."""
    gate = green.gate("--expect-commit", commit)

    assert (gate.exit, gate.decision) == (1, "incomplete")
    assert gate.says(f"commit {commit} is expected")


# What is not there --------------------------------------------------------------------------------


def test_before_any_run(new_project):
    """Without evidence the command says what to do, as JSON too."""
    project = new_project()

    done = pytest_phases(project, "gate")

    assert done.returncode == 1
    assert "does not exist; run `pytest` with the plan first" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not project.evidence.exists()
    assert project.gate().decision == "incomplete"


def test_a_run_without_a_plan_has_no_gate(new_project):
    """Markers alone make phases, and no gate: a run of theirs is not the run of a plan."""
    marked = "import pytest\npytestmark = pytest.mark.phase(1)\ndef test_last(): pass\n"
    project = new_project({"test_program.py": marked})
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0"], cwd=project.path, check=True, capture_output=True
    )

    assert project.gate().exit == 1


# The exit status of a run -------------------------------------------------------------------------

THRESHOLD_OF_THE_GATE = """
### Phase 1: Library
tests: [test_library.py]
covers: [library.py]
### Gate: Release
{}
"""
EXITS = {
    "red by its own threshold": (
        {"library.py": "def double(n):\n    return 2 * n\n" + "def f():\n    return 1\n" * 9},
        "coverage: 100",
        (),
        "red",
        1,
    ),
    "incomplete": ({}, "", ("-k", "not last"), "incomplete", 0),
    "pending": ({}, "approvals: [security]", (), "pending", 0),
    "incomplete and pending": ({}, "approvals: [security]", ("-k", "not last"), "incomplete", 0),
}


@pytest.mark.parametrize(("files", "gate", "args", "decision", "exit_status"), EXITS.values(), ids=EXITS)
def test_the_exit_status_of_a_run(files, gate, args, decision, exit_status, new_project):
    """A run fails if something failed; that something else is missing is for the command to say."""
    project = new_project({**files, "plan.md": THRESHOLD_OF_THE_GATE.format(gate)})

    ran = project.run("-n0", *args)

    assert ran.exit == exit_status, ran.output
    assert f"gate (Release): {decision}" in ran.output
    done = pytest_phases(project, "gate")
    assert done.returncode == 1
    assert done.stdout.startswith(f"gate (Release): {decision}\n")
