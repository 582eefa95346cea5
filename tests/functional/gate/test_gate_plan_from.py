"""A change that loosens the plan is judged by the plan as it was: `pytest-phases gate --plan-from REF`."""

from __future__ import annotations

import pytest

STRICT = """
### Phase 1: Library
tests: [test_library.py]
covers: [library.py, rest.py]
coverage: 60

#### Stream A: Docs
tests: [test_docs.py]

### Phase 2: Program
dependencies: [1]
tests: [test_program.py]
requires: [cmd:git]

Testing: smoke
```bash
python -c "import library"
```

### Sync: Frozen
coverage: 50

### Phase 3: Release
tests: [test_extra.py]

### Gate: Release
coverage: 50
approvals: [security]
"""
FILES = {
    "plan.md": STRICT,
    "rest.py": "def rest():\n    return 3\n",
    "test_docs.py": "def test_docs(): pass\n",
    # What keeps the original from being reached is seen only if nothing of it is left out.
    "test_library.py": "import library, rest\ndef test_double(): assert library.double(rest.rest()) == 6\n\n"
    "def test_zero():\n    assert library.double(0) == 0\n",
}
PHASE_3 = "### Phase 3: Release\ntests: [test_extra.py]\n\n"
PHASE_1 = "covers: [library.py, rest.py]\ncoverage: 60\n"

LOOSENED = {
    # what the change does: what is replaced, by what, and what the gate says by the old plan
    "a phase's threshold is lowered": ("coverage: 60", "coverage: 6", "phase 1: coverage was judged by 6 %"),
    "a phase's threshold is dropped": ("coverage: 60\n", "", "phase 1: coverage was not judged"),
    "a sync point's threshold is lowered": (
        "### Sync: Frozen\ncoverage: 50",
        "### Sync: Frozen\ncoverage: 5",
        "sync point (Frozen): coverage was judged by 5 %",
    ),
    "a sync point is dropped": ("### Sync: Frozen\ncoverage: 50\n", "", "coverage was not judged"),
    "the gate's threshold is lowered": (
        "coverage: 50\napprovals",
        "coverage: 5\napprovals",
        "the gate: coverage was judged by 5 %",
    ),
    "the gate's threshold is dropped": (
        "coverage: 50\napprovals",
        "approvals",
        "the gate: coverage was not judged",
    ),
    "a stage does nothing": (
        'python -c "import library"',
        "true",
        "phase 2: stage testing-smoke ran another script",
    ),
    "a stage is dropped": (
        'Testing: smoke\n```bash\npython -c "import library"\n```\n',
        "",
        "stage of the plan was unknown",
    ),
    "a stage becomes prose": ("Testing: smoke\n", "For example:\n\n", "stage of the plan was unknown"),
    "a selector is narrowed": (
        "tests: [test_library.py]",
        "tests: [test_library.py::test_double]",
        "phase 1: the run did not have `test_library.py` among its tests",
    ),
    "a selector of a stream is narrowed": (
        "tests: [test_docs.py]",
        "tests: ['test_docs.py::test_docs']",
        "stream 1/A: the run did not have `test_docs.py` among its tests",
    ),
    "covers is narrowed": (
        "covers: [library.py, rest.py]",
        "covers: [library.py]",
        "phase 1: the run measured `library.py`",
    ),
    "a prerequisite is dropped": (
        "requires: [cmd:git]\n",
        "",
        "phase 2: the run did not have `cmd:git` among its requires",
    ),
    "a phase is dropped": (PHASE_3, "", "phase 3 of the plan was unknown to the run"),
    "a stream is dropped": (
        "#### Stream A: Docs\ntests: [test_docs.py]\n",
        "",
        "stream 1/A of the plan was unknown to the run",
    ),
    "the gate is dropped": (
        "### Gate: Release\ncoverage: 50\napprovals: [security]\n",
        "",
        "the gate: coverage was not judged",
    ),
    "the approvals are dropped": ("approvals: [security]", "approvals: []", "approval security: not given"),
    "a stage may write the tree": (
        "Testing: smoke\n",
        "Testing: smoke\noutputs: [library.py]\n",
        "library.py (changed)",
    ),
    "a new stage may write the tree": (
        PHASE_3,
        PHASE_3 + "Build: anything\noutputs: [library.py]\n```bash\ntrue\n```\n\n",
        "library.py (changed)",
    ),
}
# While it is tested the tree changes, which the changed plan allows.
WRITES = {"test_extra.py": "def test_unphased(): open('library.py', 'a').write('#')\n"}


@pytest.fixture(scope="module")
def strict(make_project, tmp_path_factory):
    """A project with a plan that demands much; nothing has run."""
    return make_project(tmp_path_factory.mktemp("strict") / "shop", FILES)


@pytest.mark.parametrize(("old", "new", "said"), LOOSENED.values(), ids=LOOSENED)
def test_a_loosened_plan_does_not_judge_itself(old, new, said, strict, copy_of):
    """By its own plan the change may be deployed, once it is approved; by the plan before it, it may not."""
    project = copy_of(strict)
    project.replace("plan.md", old, new)
    if "outputs" in new:
        project.write(WRITES)
    project.commit()
    ran = project.run("-n0")
    assert ran.exit == 0, ran.output
    if "approvals: [security]" in (project.path / "plan.md").read_text():
        project.call("approve", "security")
    assert project.gate().decision == "green", "the control: nothing but the plan is wrong"

    gate = project.gate("--plan-from", "HEAD^")

    assert gate.exit == 1
    assert gate.decision in ("incomplete", "pending", "red")
    assert gate.says(said), gate.reasons


def test_a_loosened_gate_does_not_judge_itself(green, plan_text):
    """A phase that the gate no longer looks at, or may be empty now, is missed by the old plan."""
    green.write(
        {
            "plan.md": plan_text(gate="phases: [1]"),
            "test_program.py": "def test_first(): assert False\n\ndef test_last(): pass\n",
        }
    )
    green.commit()
    assert green.run("-n0").exit == 1
    assert green.gate().decision == "green"

    gate = green.gate("--plan-from", "HEAD^")

    assert (gate.exit, gate.decision) == (1, "red")
    assert gate.says("phase 2: 1 test failed: test_program.py::test_first")


def test_a_tightened_plan_is_welcome(green):
    """More phases, stages and tests, and the same thresholds, are green by the old plan too."""
    green.replace("plan.md", "tests: [test_program.py]\n", "tests: [test_program.py, test_more.py]\n")
    green.replace("plan.md", "### Gate", "### Phase 3: More\ntests: [test_extra.py]\n\n### Gate")
    green.write({"test_more.py": "def test_more(): pass\n"})
    green.commit()
    assert green.run("-n0").exit == 0

    assert green.gate("--plan-from", "HEAD^").decision == "green"
    assert green.gate("--plan-from", "HEAD").decision == "green"


@pytest.mark.parametrize("ref", ["no-such-branch", "--output=x", ""])
def test_a_commit_without_the_plan_is_refused(ref, green):
    """A ref that git does not know is a reason against, not a way around."""
    gate = green.gate(f"--plan-from={ref}")

    assert (gate.exit, gate.decision) == (1, "incomplete")
    assert gate.says("plan.md cannot be read from")
    assert not list(green.path.glob("x*"))


def test_the_signers_are_those_of_the_old_plan(green):
    """A change that adds its author to those who may sign does not approve itself."""
    # In the old commit nobody may sign; the file itself changes, and the plan does not.
    green.replace(
        "plan.md",
        "### Gate: Release\n",
        "### Gate: Release\napprovals: [security]\napprovals_signers: signers\n",
    )
    green.write({"signers": "nobody@example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 42 + "\n"})
    green.commit()
    green.write({"signers": "# none\n"})
    green.commit()
    assert green.run("-n0").exit == 0

    gate = green.gate("--plan-from", "HEAD^")

    assert (gate.exit, gate.decision) == (1, "pending")
