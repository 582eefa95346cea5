"""What a run may do to the tree: what Build stages make and what stages declare, and nothing else."""

from __future__ import annotations

import pytest

BUILDS = """
### Phase 1: Build
Build: wheel
{outputs}
```bash
{script}
```

### Phase 2: Program
dependencies: [1]
tests: [test_program.py]

### Gate: Release
"""


def plan(script="true", outputs=""):
    """A plan whose first phase has a Build stage."""
    return {"plan.md": BUILDS.format(script=script, outputs=outputs)}


MAY = {
    "a new file": (plan("mkdir -p dist && echo 1 > dist/shop.whl"), ["dist/shop.whl (new)"]),
    "a file of its outputs that is tracked": (
        plan("echo new > notes.txt", "outputs: [notes.txt]"),
        ["notes.txt (changed)"],
    ),
    "a file of its outputs that is removed": (
        plan("rm notes.txt", "outputs: ['note?.*']"),
        ["notes.txt (removed)"],
    ),
    "what git ignores": (plan("echo 1 > junit.xml"), []),
}


@pytest.mark.parametrize(("files", "made"), MAY.values(), ids=MAY)
def test_what_a_build_stage_may_do(files, made, new_project):
    """New files and declared outputs are listed as made, and the gate is green with them in the tree."""
    project = new_project(files)

    ran = project.run("-n0")

    assert ran.exit == 0, ran.output
    assert ran.gate == "gate (Release): green"
    assert project.verdict["tree"]["made"] == made
    assert project.verdict["tree"]["changed"] == []
    gate = project.gate()
    assert (gate.exit, gate.decision) == (0, "green"), gate.reasons


def test_a_clone_without_what_was_built_is_green(new_project, tmp_path):
    """The tree of the commit is the one that was tested, whether what the run has made lies in it or not."""
    project = new_project(plan("mkdir -p dist && echo 1 > dist/shop.whl"))
    assert project.run("-n0").exit == 0
    project.git("clean", "-qfd", "dist")
    assert project.gate().decision == "green"

    project.write({"dist/shop.whl": "another wheel"})

    gate = project.gate()
    assert (gate.exit, gate.decision) == (1, "incomplete")
    assert gate.says("dist/shop.whl (changed)")


NEW_FILE = "def test_last(): open('new.txt', 'w').close()\n"
MAY_NOT = {
    "a tracked file that a build stage changes": (plan("echo new > notes.txt"), ["notes.txt (changed)"]),
    "a tracked file beside its outputs": (
        plan("echo new > notes.txt", "outputs: [dist/]"),
        ["notes.txt (changed)"],
    ),
    "a tracked file that it removes": (plan("rm notes.txt"), ["notes.txt (removed)"]),
    "a new file of a test where nothing is built": ({"test_program.py": NEW_FILE}, ["new.txt (new)"]),
    "a new file of a Testing stage": (
        {
            "plan.md": BUILDS.format(script="echo 1 > new.txt", outputs="").replace(
                "Build: wheel", "Testing: wheel"
            )
        },
        ["new.txt (new)"],
    ),
    "files by their names": (
        {"test_program.py": "def test_last():\n    for n in range(12): open(f'n{n:02}.txt', 'w').close()\n"},
        [f"n{number:02}.txt (new)" for number in range(12)],
    ),
}


@pytest.mark.parametrize(("files", "changed"), MAY_NOT.values(), ids=MAY_NOT)
def test_what_a_run_may_not_do(files, changed, new_project):
    """Any other difference is named and leaves the gate incomplete; the run itself succeeds."""
    project = new_project(files)

    ran = project.run("-n0")

    assert ran.exit == 0, ran.output
    assert "gate (Release): incomplete" in ran.output
    assert project.verdict["tree"]["changed"] == changed
    gate = project.gate()
    assert (gate.exit, gate.decision) == (1, "incomplete")
    named = changed[:10] + [f"and {len(changed) - 10} more"] * (len(changed) > 10)
    assert gate.says("while the run ran", *named), gate.reasons


def test_what_a_run_may_not_do_without_git(new_project):
    """All files but caches count where there is no git."""
    project = new_project({"test_program.py": NEW_FILE}, git=False)

    assert project.run("-n0").exit == 0

    assert project.gate().says("while the run ran", "new.txt (new)")


def test_another_run_in_the_same_tree_is_green(new_project):
    """What the first run has built is part of the tree of the second, which changes nothing in it."""
    project = new_project(plan("test -e new.txt || echo 1 > new.txt"))
    assert project.run("-n0").exit == 0
    assert project.verdict["tree"]["made"] == ["new.txt (new)"]

    assert project.run("-n0").exit == 0

    assert project.verdict["tree"]["made"] == []
    assert project.gate().decision == "green"
