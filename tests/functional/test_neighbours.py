"""Other plugins and xdist's own options beside a plan, and xdist without one."""

from __future__ import annotations

import re

import pytest

PLAN = """
### Phase 1: First
dependencies: []
tests: [test_one.py]
### Phase 2: Second
dependencies: [1]
tests: [test_two.py]
"""

GROUPED = """
import pytest
from journal import note
@pytest.mark.xdist_group("a group")
@pytest.mark.parametrize("number", range(3))
def test_{0}(number): note(f"{0} {{number}}")
class TestScope:
    def test_in_class(self): note("{0} in class")
"""


@pytest.fixture
def project(pytester, plan, journal):
    """Two phases of four tests each."""
    plan(PLAN)
    pytester.makepyfile(test_one=GROUPED.format("one"), test_two=GROUPED.format("two"))
    return pytester


# xdist ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dist", ["loadfile", "loadscope", "loadgroup", "worksteal"])
def test_dist_modes_leave_node_ids_alone(dist, project, run, outcomes, states):
    """Whatever --dist says, phases decide, and node ids are what they are without it."""
    result = run("--phases", "plan.md", "-n2", "--dist", dist, "-v")

    assert result.ret == 0
    assert sorted(name for name, _, _ in outcomes().cases) == sorted(
        ["test_in_class"] * 2 + [f"test_{word}[{number}]" for word in ("one", "two") for number in range(3)]
    )
    assert set(states().values()) == {"green"}
    result.stdout.no_fnmatch_line("*@a group*")


def test_dist_each_is_a_usage_error(project, run, journal):
    """--dist each runs every test on every worker, which no phase can mean."""
    result = run("--phases", "plan.md", "--dist", "each", "--tx", "2*popen")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert journal.names == []
    result.stderr.fnmatch_lines(["ERROR: --dist each *"])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_workers_may_be_named_by_tx(project, run, journal):
    """--tx says which workers there are, and -n auto is not added to them."""
    result = run("--phases", "plan.md", "--tx", "2*popen")

    assert result.parseoutcomes() == {"passed": 8}
    assert {record["worker"] for record in journal.records} <= {"gw0", "gw1"}
    result.stdout.fnmatch_lines(
        ["phases: plan.md, 2 phases in 2 waves, 2 workers, *", "created: 2/2 workers"]
    )


LOOKS_AT_ITEMS = """
from journal import note
def test_items(request): note("items", kinds=sorted({type(item).__name__ for item in request.session.items}))
def test_other(): pass
"""


@pytest.mark.parametrize(
    ("dist", "scheduler"),
    [
        ("load", "LoadScheduling"),
        ("loadscope", "LoadScopeScheduling"),
        ("worksteal", "WorkStealingScheduling"),
    ],
)
def test_without_plan_and_marker_xdist_is_left_alone(dist, scheduler, pytester, run, journal):
    """A run without phases has xdist's own scheduler, no item of ours and no folder of ours."""
    pytester.makepyfile(LOOKS_AT_ITEMS)

    result = run("-n2", "--dist", dist, "-v")

    assert result.ret == 0
    result.stdout.fnmatch_lines([f"scheduling tests via {scheduler}"])
    assert [record["kinds"] for record in journal.records] == [["Function"]]
    assert not (pytester.path / ".phases").exists()
    result.stdout.no_re_match_line(".*phases? .*(opened|green)|.*= phases =")


def test_marker_alone_brings_the_scheduler(pytester, run, journal, phases):
    """With one phase marker and no plan the run has phases, over workers too."""
    pytester.makepyfile(
        """
        import pytest
        from journal import note
        @pytest.mark.phase(2, deps=[1])
        def test_two(): note("two")
        @pytest.mark.phase(1)
        def test_one(): assert False
        def test_free(): note("free")
        """
    )

    result = run("-n2")

    assert result.parseoutcomes() == {"failed": 1, "passed": 1, "blocked": 1}
    assert journal.names == ["free"]
    assert phases()["2"]["reason"] == "blocked by phase 1 (1 failed)"


# Other plugins -------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", ["-n2", "-n0"])
def test_reruns_are_not_final(workers, pytester, plan, run, journal, phases, states):
    """With pytest-rerunfailures a phase is judged by the last attempt, and each item counts once."""
    pytest.importorskip("pytest_rerunfailures")
    plan(PLAN + "### Phase 3: Always fails\ndependencies: []\ntests: [test_three.py]\n")
    pytester.makepyfile(
        test_one="""
        from journal import names, note
        def test_flaky():
            note("attempt")
            assert names().count("attempt") == 2
        """,
        test_two="def test_two(): pass",
        test_three="def test_three(): assert False",
    )

    result = run("--phases", "plan.md", workers, "--reruns", "1")

    assert result.ret == 1
    assert result.parseoutcomes() == {"failed": 1, "passed": 2, "rerun": 2}
    assert states() == {"1": "green", "2": "green", "3": "red"}
    assert all(sum(phase["tests"].values()) == 1 for phase in phases().values())


def test_crash_with_reruns_is_a_failure(pytester, plan, run, states):
    """An item that took its worker down is not run again, whatever --reruns says."""
    pytest.importorskip("pytest_rerunfailures")
    plan(PLAN)
    pytester.makepyfile(test_one="import os\ndef test_dies(): os._exit(1)", test_two="def test_two(): pass")

    result = run("--phases", "plan.md", "-n2", "--reruns", "1")

    assert result.ret == 1
    assert states() == {"1": "red", "2": "blocked"}
    assert result.parseoutcomes() == {"failed": 1, "blocked": 1}


def test_timeout_fails_a_test_in_its_phase(pytester, plan, run, states):
    """Where pytest-timeout ends a test by a signal, that test has failed."""
    pytest.importorskip("pytest_timeout")
    plan(PLAN)
    pytester.makepyfile(
        test_one="import time\ndef test_hangs(): time.sleep(60)\ndef test_more(): pass",
        test_two="def test_two(): pass",
    )

    result = run("--phases", "plan.md", "-n2", "--timeout=1", "--timeout-method=signal")

    assert result.ret == 1
    assert states() == {"1": "red", "2": "blocked"}
    assert result.parseoutcomes() == {"failed": 1, "passed": 1, "blocked": 1}


def test_coverage_is_the_same_with_and_without_phases(pytester, plan, run):
    """pytest-cov reports the same lines under a plan, over workers and in one process, as without."""
    pytest.importorskip("pytest_cov")
    plan(PLAN)
    pytester.makepyfile(
        code="def one():\n    return 1\n\ndef two():\n    return 2\n\ndef three():\n    return 3\n",
        test_one="import code_under_test as code\ndef test_one(): assert code.one() == 1",
        test_two="import code_under_test as code\ndef test_two(): assert code.two() == 2",
    )
    (pytester.path / "code.py").rename(pytester.path / "code_under_test.py")

    def report(*args: str) -> list[str]:
        result = run("--cov=code_under_test", "--cov-report=term-missing", *args)
        assert result.ret == 0
        return [line for line in result.outlines if re.match(r"code_under_test|TOTAL", line)]

    plain = report("-p", "no:phases", "-n0")
    assert plain[0].split()[1:] == ["6", "1", "83%", "8"]
    assert report("--phases", "plan.md", "-n2") == plain
    assert report("--phases", "plan.md", "-n0") == plain


def test_shuffled_tests_keep_to_their_phases(project, run, journal):
    """pytest-randomly shuffles within phases; every worker shuffles alike."""
    pytest.importorskip("pytest_randomly")

    result = run("--phases", "plan.md", "-n2", "-p", "randomly")

    assert result.parseoutcomes() == {"passed": 8}
    assert [name.split()[0] for name in journal.names] == ["one"] * 4 + ["two"] * 4


def test_plugin_is_switched_off_by_name(project, run, journal):
    """With -p no:phases nothing of it takes part, and its option is unknown."""
    assert run("-p", "no:phases", "-n0").parseoutcomes() == {"passed": 8}
    result = run("-p", "no:phases", "--phases", "plan.md")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_plan_works_without_xdist(project, run, journal):
    """Where xdist is not there, the same plan runs in one process."""
    result = run("--phases", "plan.md", "-p", "no:xdist")

    assert result.parseoutcomes()["passed"] == 8
    assert [name.split()[0] for name in journal.names] == ["one"] * 4 + ["two"] * 4
