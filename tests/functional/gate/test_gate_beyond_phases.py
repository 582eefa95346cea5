"""What no phase knows of stands against the gate too: pytest's own failures, and runs that never began."""

from __future__ import annotations

import signal
import time

import pytest

BUILT = """
### Phase 1: Make
Build: module
```bash
echo "VALUE = 1" > made.py
```
### Phase 2: Use
dependencies: [1]
tests: [test_made.py]
### Gate: Release
"""
USES = "import made\n\ndef test_good(): pass\n\ndef test_bad(): assert False\n"


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_a_test_that_is_found_late_and_deselected_is_missed(workers, new_project):
    """Its module can be imported only after a stage, when what must exist was written down long ago."""
    project = new_project({"plan.md": BUILT, "test_made.py": USES, ".gitignore": "made.py\njunit.xml\n"})

    ran = project.run(workers, "-k", "not bad")

    assert "phase 2: 1 test was not run: test_made.py::test_bad" in ran.gate
    assert project.gate().decision == "incomplete"


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_a_threshold_says_nothing_where_late_tests_were_deselected(workers, new_project):
    """The figure would be that of the others."""
    plan = BUILT.replace(
        "tests: [test_made.py]", "tests: [test_made.py]\ncovers: [library.py]\ncoverage: 100"
    )
    project = new_project({"plan.md": plan, "test_made.py": USES, ".gitignore": "made.py\njunit.xml\n"})

    ran = project.run(workers, "-k", "not bad")

    assert "phase 2: coverage was not judged, and the plan requires 100 %" in ran.gate
    assert ran.exit == 0


def test_a_run_from_a_folder_below_does_not_see_everything(green):
    """Tests that the plan does not name may lie elsewhere."""
    (green.path / "docs").mkdir()

    done = green.run("-n0", "--rootdir=.", "--phases=plan.md")
    assert done.exit == 0
    here = type(green)(green.path / "docs")
    ran = here.run("-n0", "--rootdir=..", "--phases=../plan.md")

    assert ran.exit == 0
    assert "not every test was collected" in ran.gate
    assert green.gate().decision == "incomplete"


EXITS = """
import pytest

@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    {0}
"""


@pytest.mark.parametrize(
    ("conftest", "args"),
    [
        pytest.param(EXITS.format("session.exitstatus = 1"), (), id="a status"),
        pytest.param(EXITS.format("raise RuntimeError('too late')"), (), id="an exception"),
        pytest.param("", ("--cov=.", "--cov-fail-under=100", "-p", "pytest_cov"), id="pytest-cov"),
    ],
)
def test_a_failure_of_pytest_itself_is_not_green(conftest, args, green):
    """It is no failure of any phase, and yet the run has failed."""
    unused = "def unused():\n    return 1\n"
    green.write({"conftest.py": conftest, "unused.py": unused, ".gitignore": "junit.xml\n.coverage\n"})
    green.commit()

    ran = green.run("-n0", *args)

    assert ran.exit != 0
    assert green.gate().decision == "red"
    assert green.gate().says("pytest failed for something that is the doing of no phase")


def test_a_run_that_fails_before_it_begins_is_the_last_one(green):
    """The green run before it, of the same tree, is not what was asked for last."""
    green.write({"conftest.py": "import os\nassert 'BROKEN' not in os.environ, 'no service'\n"})
    green.commit()
    assert green.run("-n0").exit == 0
    assert green.gate().decision == "green"

    assert green.run("-n0", "--phases-only=nothing").exit != 0

    assert green.gate().says("the run never ended")


def test_an_interrupted_deploy_stage_is_recorded(new_project):
    """Nobody knows how far it came, so it is told."""
    plan = (
        "### Phase 1: Library\ntests: [test_library.py]\n### Gate: Release\n"
        "Deploy: slow\n```bash\ntouch started.log\nsleep 30\n```\n"
    )
    project = new_project({"plan.md": plan, ".gitignore": "*.log\njunit.xml\n"})
    process = project.started("-n0", "--phases-deploy")
    while not (project.path / "started.log").exists() and process.poll() is None:
        time.sleep(0.05)

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)

    assert process.returncode != 0
    (deploy,) = project.verdict["deploys"]
    assert (deploy["stage"], deploy["ok"], deploy["ending"]) == ("deploy-slow", False, "interrupted")


def test_what_else_lies_in_the_folder_stays(green):
    """A folder for what runs leave may hold other things, which are a part of the tree."""
    green.write({"out/coverage/mine.txt": "kept\n"})
    green.commit()

    assert green.run("-n0", "--phases-dir=out").exit == 0
    assert (green.path / "out/coverage/mine.txt").read_text() == "kept\n"
    assert green.gate("--phases-dir=out").decision == "green"

    green.write({"out/coverage/mine.txt": "changed\n"})

    assert green.gate("--phases-dir=out").says("the tree has changed", "out/coverage/mine.txt (changed)")


def test_a_run_inside_a_stage_leaves_the_evidence_alone(new_project):
    """A stage may start pytest with markers, which has phases of its own."""
    plan = (
        "### Phase 1: Library\ntests: [test_library.py]\ncovers: [library.py]\ncoverage: 100\n"
        "Testing: inner\n```bash\npython -m pytest -q -p no:cacheprovider inner/test_inner.py\n```\n"
        "### Gate: Release\n"
    )
    inner = "import pytest\n\n@pytest.mark.phase(7)\ndef test_inner(): pass\n"
    project = new_project({"plan.md": plan, "inner/test_inner.py": inner})

    ran = project.run("-n2")

    assert ran.gate == "gate (Release): green", ran.output
    assert project.gate().decision == "green"


def test_deploying_without_a_terminal(new_project):
    """The output of the stage goes where pytest's own would."""
    plan = (
        "### Phase 1: Library\ntests: [test_library.py]\n### Gate: Release\n"
        "Deploy: now\n```bash\necho deployed it\n```\n"
    )
    project = new_project({"plan.md": plan})

    ran = project.run("-n0", "--phases-deploy", "-p", "no:terminal")

    assert ran.exit == 0, ran.output
    assert "deployed it" in ran.output
