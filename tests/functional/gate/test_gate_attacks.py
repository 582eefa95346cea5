"""A run in which something is not as it should be leaves a gate that was green not green any more.

Each begins in a project whose last run was green, so the old evidence lies there to be believed.
"""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import dataclass, field

import pytest

LAST = "test_program.py::test_last"
FIRST_ONLY = "def test_first(): pass\n\n"


@dataclass(frozen=True)
class Attack:
    """What is different in the run, what the gate has to say of it, and the exit status."""

    decision: str
    says: tuple[str, ...]
    files: dict = field(default_factory=dict)
    args: tuple[str, ...] = ("-n0",)
    variables: dict = field(default_factory=dict)
    exit: int = 0


def run_attack(project, attack):
    """Run the project with an attack and assert what the gate says, in all the places where it does."""
    if attack.files:
        project.write(attack.files)
        project.commit()
    ran = project.run(*attack.args, **attack.variables)
    gate = project.gate()

    assert ran.exit == attack.exit, ran.output
    assert f"gate (Release): {attack.decision}" in ran.output, ran.output
    assert (gate.exit, gate.decision) == (1, attack.decision), gate.reasons
    assert gate.says(*attack.says), gate.reasons
    assert all(reason in ran.output for reason in gate.reasons), ran.output
    assert project.verdict == gate.data


def table(attacks):
    """A table of attacks as parameters, by their names."""
    return pytest.mark.parametrize("attack", attacks.values(), ids=attacks)


# Something was left out ---------------------------------------------------------------------------

NOT_LAST = ("phase 2: 1 test was not run: test_program.py::test_last",)
DROPS_LAST = """
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if item.name != "test_last"]
"""
EXTRA_LEFT_OUT = "[pytest]\nnorecursedirs = never\n"

LEFT_OUT = {
    "-k": Attack("incomplete", NOT_LAST, args=("-n2", "-k", "not last")),
    "-k leaves out a stage": Attack(
        "incomplete", ("phase 2: 1 stage was not run",), args=("-n0", "-k", "double")
    ),
    "-k in the environment": Attack(
        "incomplete", NOT_LAST, args=("-n0",), variables={"PYTEST_ADDOPTS": "-k 'not last'"}
    ),
    "-m that selects nothing": Attack(
        "incomplete", ("phase 2: 2 tests were not run",), args=("-n0", "-m", "none"), exit=5
    ),
    "--deselect": Attack("incomplete", NOT_LAST, args=("-n0", f"--deselect={LAST}")),
    "--phases-only": Attack("incomplete", ("phase 2: ",), args=("-n0", "--phases-only=1")),
    "an unphased test": Attack(
        "incomplete",
        ("the unphased tests", "test_extra.py::test_unphased"),
        args=("-n0", "-k", "not unphased"),
    ),
    "a path": Attack(
        "incomplete",
        ("not every test was collected", "only test_library.py"),
        args=("-n1", "test_library.py"),
    ),
    "a node id": Attack("incomplete", ("not every test was collected", LAST), args=("-n0", LAST)),
    "--lf": Attack("incomplete", ("not every test was collected", "--lf"), args=("-n0", "--lf")),
    "--stepwise": Attack(
        "incomplete", ("not every test was collected", "--stepwise"), args=("-n0", "--stepwise")
    ),
    "--ignore": Attack(
        "incomplete", ("not every test was collected", "--ignore"), args=("-n0", "--ignore=test_extra.py")
    ),
    "--ignore-glob": Attack(
        "incomplete",
        ("not every test was collected", "--ignore-glob"),
        args=("-n0", "--ignore-glob=*_extra.py"),
    ),
    "--ignore in the environment": Attack(
        "incomplete",
        ("not every test was collected", "--ignore"),
        args=("-n0",),
        variables={"PYTEST_ADDOPTS": "--ignore=test_extra.py"},
    ),
    "a setting on the command line": Attack(
        "incomplete",
        ("not every test was collected", "python_files"),
        args=("-n0", "-opython_files=test_[lp]*.py"),
    ),
    "a conftest drops a test": Attack("incomplete", NOT_LAST, {"conftest.py": DROPS_LAST}, ("-n2",)),
    "tests are only set up": Attack("red", ("phase 2 ran nothing",), args=("-n0", "--setup-only"), exit=1),
    "tests are only planned": Attack("red", ("phase 2 ran nothing",), args=("-n0", "--setup-plan"), exit=1),
}


@table(LEFT_OUT)
def test_what_was_left_out_is_missed(attack, green):
    """What was left out leaves the gate incomplete, while the run may well succeed."""
    run_attack(green, attack)


# Something failed or did not end ----------------------------------------------------------------

KILLED = (
    "import os, signal\ndef test_first(): pass\n\ndef test_last(): os.kill(os.getpid(), signal.SIGKILL)\n"
)
SLEEPS = "import time\ndef test_first(): pass\n\ndef test_last(): time.sleep(60)\n"
FAILS = {
    "test_library.py": "import library\ndef test_double(): library.double(1)\ndef test_zero(): assert False\n"
}
RED_LAST = "phase 2: 1 test failed: test_program.py::test_last"

FAILED = {
    "a failure": Attack("red", ("phase 1: 1 test failed: test_library.py::test_zero",), FAILS, exit=1),
    "what the failure blocks": Attack("red", ("phase 2: 2 tests were blocked",), FAILS, ("-n0",), exit=1),
    "a failure with -x": Attack("red", ("phase 1: 1 test failed",), FAILS, ("-n1", "-x"), exit=1),
    "a failure with -x leaves out the rest": Attack(
        "red", ("phase 2: ", "test_last"), FAILS, ("-n0", "-x"), exit=1
    ),
    "an unphased failure": Attack(
        "red",
        ("the unphased tests: 1 test failed",),
        {"test_extra.py": "def test_unphased(): assert False"},
        ("-n0",),
        exit=1,
    ),
    "a failing teardown": Attack(
        "red",
        ("phase 2: 1 test ended in an error: test_program.py::test_last",),
        {
            "test_program.py": "import pytest\n"
            + FIRST_ONLY
            + "@pytest.fixture\ndef bad():\n    yield\n    assert False\n"
            "def test_last(bad): pass\n"
        },
        ("-n0",),
        exit=1,
    ),
    "a killed worker in the last phase": Attack(
        "red", (RED_LAST,), {"test_program.py": KILLED}, ("-n2",), exit=1
    ),
    "a killed worker, the only one": Attack(
        "red", (RED_LAST,), {"test_program.py": KILLED}, ("-n1",), exit=1
    ),
    "a test that was timed out": Attack(
        "red",
        (RED_LAST,),
        {"test_program.py": SLEEPS},
        ("-n0", "--timeout=0.5", "--timeout-method=signal"),
        exit=1,
    ),
    "a test whose worker was timed out": Attack(
        "red",
        (RED_LAST,),
        {"test_program.py": SLEEPS},
        ("-n1", "--timeout=0.5", "--timeout-method=thread"),
        exit=1,
    ),
    "a module that cannot be collected": Attack(
        "red", ("phase 2",), {"test_program.py": "import nothing_of_that_name\n"}, ("-n0",), exit=1
    ),
}


@table(FAILED)
def test_what_failed_is_red(attack, green):
    """A failure, an error, a death or a timeout makes the gate red and names the item."""
    run_attack(green, attack)


@pytest.mark.parametrize(
    ("timeout", "script"),
    [
        pytest.param("1s", "sleep 60", id="timed out"),
        pytest.param("1m", "kill -9 $$", id="killed"),
    ],
)
def test_a_stage_that_was_ended_is_red(timeout, script, green):
    """A stage that ran into its timeout, or that a signal has ended, is no success."""
    green.replace("plan.md", "Testing: smoke\n", f"Testing: smoke\ntimeout: {timeout}\n")
    green.replace("plan.md", 'python -c "import library"', script)

    run_attack(
        green, Attack("red", ("phase 2: 1 stage failed: plan.md::2::testing-smoke",), args=("-n0",), exit=1)
    )


@pytest.mark.parametrize(
    ("required", "decision", "said", "exit_status"),
    [
        pytest.param("phases: [2]", "incomplete", "phase 2: 2 tests were blocked", 1, id="required by name"),
        pytest.param("", "red", "phase 2: 2 tests were blocked", 1, id="required like all"),
    ],
)
def test_what_was_blocked_is_missed(required, decision, said, exit_status, green, plan_text):
    """A test that a phase which the gate does not even look at has blocked was not run: that is not green."""
    attack = Attack(
        decision, (said,), FAILS | {"plan.md": plan_text(gate=required)}, ("-n0",), exit=exit_status
    )

    run_attack(green, attack)


# Killed from outside ------------------------------------------------------------------------------


@pytest.mark.parametrize(("workers", "victim"), [("-n2", "os.getppid()"), ("-n0", "os.getpid()")])
def test_a_run_that_was_killed_is_incomplete(workers, victim, green):
    """The evidence of a killed run says that it never ended, whatever the run before has left."""
    green.write({"test_program.py": f"import os\n{FIRST_ONLY}def test_last(): os.kill({victim}, 9)\n"})
    green.commit()

    ran = green.run(workers)

    assert ran.exit == -signal.SIGKILL
    gate = green.gate()
    assert (gate.exit, gate.decision) == (1, "incomplete")
    assert gate.says("the run never ended")


def test_a_run_that_was_interrupted_is_incomplete(green):
    """Ctrl-C leaves a gate that says what did not finish."""
    green.write({"test_program.py": f"{FIRST_ONLY}def test_last(): raise KeyboardInterrupt\n"})
    green.commit()

    ran = green.run("-n0")

    assert ran.exit == pytest.ExitCode.INTERRUPTED
    gate = green.gate()
    assert (gate.exit, gate.decision) == (1, "incomplete")


# Nothing ran --------------------------------------------------------------------------------------

EMPTY_PLAN = """
### Phase 1: Library
tests: [test_library.py]

### Phase 2: Program
tests: [test_program.py]

### Gate: Release
"""
ALL_SKIPPED = "import pytest\npytestmark = pytest.mark.skip('some day')\ndef test_last(): pass\n"


@pytest.mark.parametrize(
    ("allowed", "decision"),
    [
        pytest.param("", "incomplete", id="not allowed"),
        pytest.param("allow_empty: [1]", "incomplete", id="another phase is allowed"),
        pytest.param("allow_empty: [2]", "green", id="allowed"),
        pytest.param("allow_empty: true", "green", id="all are allowed"),
    ],
)
def test_an_empty_phase_proves_nothing(allowed, decision, green):
    """A phase whose tests were all skipped leaves the gate incomplete, unless its plan allows it by name."""
    green.write({"plan.md": f"{EMPTY_PLAN}{allowed}\n", "test_program.py": ALL_SKIPPED})
    green.commit()

    ran = green.run("-n0")
    gate = green.gate()

    assert ran.exit == 0
    assert f"gate (Release): {decision}" in ran.output
    assert gate.decision == decision
    assert gate.says("phase 2 ran nothing, or skipped everything") == (decision != "green")


# Coverage -----------------------------------------------------------------------------------------

UNUSED = "def double(number):\n    return 2 * number\n\ndef unused():\n" + "    x = 1\n" * 20

COVERAGE = {
    "--no-cov": Attack(
        "red", ("phase 1: ", "--no-cov"), args=("-n2", "--no-cov", "-p", "pytest_cov"), exit=1
    ),
    "a missed threshold": Attack(
        "red", ("phase 1 ended red: coverage reached",), {"library.py": UNUSED}, exit=1
    ),
}


@table(COVERAGE)
def test_coverage_that_is_missed_is_red(attack, green):
    """A threshold that is missed, or cannot be measured, makes the gate red."""
    run_attack(green, attack)


# What the project itself demands ------------------------------------------------------------------


def hook(body):
    """A conftest that has a condition of its own."""
    return {"conftest.py": f"import pytest\ndef pytest_phases_gate_check(config, result): {body}\n"}


CONDITIONS = {
    "raises": Attack("red", ("pytest_phases_gate_check raised ZeroDivisionError",), hook("1 / 0")),
    "fails": Attack("red", ("pytest_phases_gate_check raised Failed: no",), hook("pytest.fail('no')")),
    "skips": Attack("red", ("pytest_phases_gate_check raised Skipped: no",), hook("pytest.skip('no')")),
    "exits": Attack("red", ("pytest_phases_gate_check raised SystemExit",), hook("raise SystemExit(0)")),
    "returns a text": Attack("red", ("the moon is full",), hook("return 'the moon is full'")),
    "returns a list": Attack("red", ("two",), hook("return ['one', 'two']")),
    "returns False": Attack("red", ("returned False, which is no text",), hook("return False")),
    "returns True": Attack("red", ("returned True, which is no text",), hook("return True")),
    "returns 0": Attack("red", ("returned 0, which is no text",), hook("return 0")),
    "returns no text": Attack("red", ("pytest_phases_gate_check returned ''",), hook("return ''")),
    "returns a list with nothing": Attack("red", ("returned None, which is no text",), hook("return [None]")),
    "returns what cannot be shown": Attack(
        "red",
        ("pytest_phases_gate_check raised OSError",),
        {
            "conftest.py": "class Bad:\n    def __repr__(self): raise OSError\n"
            "def pytest_phases_gate_check(): return [Bad()]\n"
        },
    ),
}


@pytest.mark.parametrize(
    ("name", "workers"),
    [
        *((name, "-n0") for name in CONDITIONS),
        ("raises", "-n2"),
    ],
)
def test_a_condition_of_the_project_makes_the_gate_red(name, workers, green):
    """Whatever pytest_phases_gate_check returns or raises stands against the gate, and the run fails."""
    attack = CONDITIONS[name]

    run_attack(green, Attack(attack.decision, attack.says, attack.files, (workers,), exit=1))


@pytest.mark.parametrize("body", ["return None", "return []", "return ()", "pass"])
def test_a_condition_that_is_met_changes_nothing(body, green):
    """A hook that returns nothing, or a list of nothing, leaves a green gate green."""
    green.write(hook(body))
    green.commit()

    ran = green.run("-n0")

    assert (ran.exit, ran.gate) == (0, "gate (Release): green")
    assert green.gate().decision == "green"


# Nothing can be written ---------------------------------------------------------------------------


def a_file(project):
    """The folder's name is taken."""
    project.evidence.rename(project.path / "old.txt")
    project.evidence.write_text("")
    (project.path / ".gitignore").write_text("old.txt\n.phases\n")
    project.commit()


def read_only(project):
    """Nothing can be written to the folder; older evidence, which would still be true, is gone."""
    for path in project.evidence.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    project.evidence.chmod(0o555)


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
@pytest.mark.parametrize(
    "block",
    [
        pytest.param(a_file, id="a file"),
        pytest.param(
            read_only,
            id="read-only",
            marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere"),
        ),
    ],
)
def test_evidence_that_cannot_be_written_is_not_green(workers, block, green):
    """A run that cannot write its evidence down says so, and that of the run before does not count."""
    block(green)

    ran = green.run(workers)

    assert "gate (Release): green" not in ran.output
    assert "INTERNALERROR" not in ran.output
    assert ".phases" in ran.output
    assert green.gate().exit == 1


def test_a_database_of_something_else_is_told(green):
    """It is kept under another name, which the run says; the gate is of what this run has recorded."""
    (green.evidence / "phases.db").write_bytes(b"text " * 999)

    ran = green.run("-n0")

    assert "moved to" in ran.output
    (aside,) = green.evidence.glob("phases.db.aside-*")
    assert aside.read_bytes() == b"text " * 999
    assert green.gate().decision == "green"


# The tree while it runs ---------------------------------------------------------------------------

AND_BACK = """
import os
def test_first(): pass
def test_last():
    before = os.stat("notes.txt")
    old = open("notes.txt").read()
    with open("notes.txt", "w") as file: file.write("new")
    with open("notes.txt", "w") as file: file.write(old)
    {more}
"""
WITH_ITS_TIME = AND_BACK.format(more="os.utime('notes.txt', ns=(before.st_atime_ns, before.st_mtime_ns))")
LEAVES = FIRST_ONLY + "def test_last(): open('{}', 'a').write('#')\n"
TREE = {
    # what a test does, its module, and what is said of the file
    "changed": (LEAVES.format("notes.txt"), "changed"),
    "changed and changed back": (AND_BACK.format(more=""), "written and changed back"),
    "changed back, with its old time": (WITH_ITS_TIME, "written and changed back"),
    "removed": (f"import os\n{FIRST_ONLY}def test_last(): os.remove('notes.txt')\n", "removed"),
}


@pytest.mark.parametrize(("name", "workers"), [*((name, "-n0") for name in TREE), ("changed", "-n2")])
def test_a_tracked_file_that_changes_meanwhile_is_named(name, workers, green):
    """Some tests saw another tree than others did, even if it is the same again at the end."""
    module, what = TREE[name]
    said = ("1 file changed while the run ran", f"notes.txt ({what})")

    run_attack(green, Attack("incomplete", said, {"test_program.py": module}, (workers,)))


def test_a_measured_file_that_changes_meanwhile_is_named(green):
    """What was measured of its former version says nothing of it, so that the gate may well be red."""
    green.write({"test_program.py": LEAVES.format("library.py")})
    green.commit()

    green.run("-n0")

    gate = green.gate()
    assert gate.exit == 1
    assert gate.says("1 file changed while the run ran", "library.py (changed)")


def test_another_commit_that_is_checked_out_meanwhile_is_named(green):
    """A test that moves HEAD leaves nobody to say which commit was tested."""
    commits = (
        "import subprocess\ndef test_first(): pass\ndef test_last():\n    subprocess.run([{}], check=True)\n"
    )
    words = ["git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "--allow-empty", "-m", "x"]
    green.write({"test_program.py": commits.format(", ".join(map(repr, words)))})
    green.commit()

    ran = green.run("-n0")

    assert "gate (Release): incomplete" in ran.output
    gate = green.gate()
    assert (gate.exit, gate.decision) == (1, "incomplete")
    assert gate.says("HEAD (moved to another commit)")


# Controls -----------------------------------------------------------------------------------------


def test_a_complete_run_after_an_attack_is_green(green):
    """What was left out is run, and the gate is green again, with the old evidence beside the new."""
    assert green.run("-n0", "-k", "not last").exit == 0
    assert green.gate().decision == "incomplete"

    ran = green.run("-n2")

    assert (ran.exit, ran.gate) == (0, "gate (Release): green")
    assert "warning" not in ran.output.lower()
    assert (green.gate().exit, green.gate().decision) == (0, "green")


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(("--phases-schedule=flow",), id="the other schedule"),
        pytest.param((".",), id="the whole folder by name"),
        pytest.param(("-k", "test or smoke"), id="-k that selects everything"),
        pytest.param(("-x",), id="-x and nothing fails"),
        pytest.param(("--cov=library", "-p", "pytest_cov"), id="pytest-cov beside"),
    ],
)
def test_a_complete_run_is_green(args, green):
    """Options that leave nothing out do no harm."""
    ran = green.run("-n0", *args)

    assert (ran.exit, ran.gate) == (0, "gate (Release): green")
    assert (green.gate().exit, green.gate().decision) == (0, "green")


def test_a_flaky_test_that_passes_in_the_end_is_green(green):
    """An item that is run again counts as it ended the last time."""
    flaky = "runs = []\n{}def test_last():\n    runs.append(1)\n    assert len(runs) == 2\n"
    green.write({"test_program.py": flaky.format(FIRST_ONLY)})
    green.commit()

    ran = green.run("-n0", "--reruns=1")

    assert (ran.exit, ran.gate) == (0, "gate (Release): green")
    assert green.gate().decision == "green"
