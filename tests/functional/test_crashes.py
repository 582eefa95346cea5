"""A worker that dies takes the item it ran with it, and nothing else: the run always ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from textwrap import dedent

import pytest

PASSES = "from journal import note\ndef test_{name}(): note({name!r})\n"

TWO = """
# Two phases that need nothing, and one that needs the first
### Phase 1: First
dependencies: []
tests: [test_p1.py]
### Phase 2: Second
dependencies: [1]
tests: [test_p2.py]
### Phase 3: Beside
dependencies: []
tests: [test_p3.py]
"""


@pytest.fixture
def two(pytester, plan, journal):
    """The plan TWO with one passing test a phase; a source replaces a file."""

    def write(**sources: str) -> None:
        plan(TWO)
        files = {f"test_{name}": PASSES.format(name=name) for name in ("p1", "p2", "p3")}
        pytester.makepyfile(**files | sources)

    return write


def states() -> dict[str, str]:
    """The state of each phase at the end of the last run."""
    return states()


# In an item ----------------------------------------------------------------------------------

CRASHES = {
    "only": """
        def test_crash_only():
            note("crash_only")
            os._exit(3)
        """,
    "first": """
        def test_crash_first():
            note("crash_first")
            os._exit(0)
        def test_first_b(): note("first_b")
        def test_first_c(): note("first_c")
        """,
    "middle": """
        def test_middle_a(): note("middle_a")
        def test_crash_middle():
            note("crash_middle")
            os.kill(os.getpid(), signal.SIGKILL)
        def test_middle_c(): note("middle_c")
        """,
    "last": """
        def test_last_a(): note("last_a")
        def test_crash_last():
            note("crash_last")
            os.kill(os.getpid(), signal.SIGSEGV)
        """,
    "setup": """
        @pytest.fixture
        def deadly(): os._exit(3)
        def test_crash_setup(deadly): pass
        def test_setup_b(): note("setup_b")
        """,
    "teardown": """
        @pytest.fixture
        def deadly():
            yield
            os._exit(3)
        def test_teardown_a(): note("teardown_a")
        def test_crash_teardown(deadly): note("crash_teardown")
        """,
    "module-teardown": """
        @pytest.fixture(scope="module")
        def deadly():
            yield
            os._exit(3)
        def test_crash_module_teardown(deadly): note("crash_module_teardown")
        """,
}


def test_crash_fails_the_item_that_ran_and_makes_just_its_phase_red(
    pytester, plan, run, outcomes, journal, states
):
    """However a worker dies in an item: this item has failed, once, and every other one runs once."""
    text = ["# Every way to die"]
    for kind, source in CRASHES.items():
        name = kind.replace("-", "_")
        pytester.makepyfile(
            **{
                f"test_{name}": f"import os, signal, pytest\nfrom journal import note\n{dedent(source)}",
                f"test_after_{name}": PASSES.format(name=f"after_{name}"),
            }
        )
        text += [f"### Phase {kind}: it", "dependencies: []", f"tests: [test_{name}.py]"]
        text += [f"### Phase after-{kind}: it", f"dependencies: [{kind}]", f"tests: [test_after_{name}.py]"]
    plan("\n".join(text))

    result = run("--phases", "plan.md", "-n2", timeout=120)

    assert result.ret == 1
    assert states() == dict.fromkeys(CRASHES, "red") | {f"after-{kind}": "blocked" for kind in CRASHES}
    reported = Counter((name, outcome) for name, outcome, _ in outcomes().cases)
    crashed = {name for name, outcome in reported if "crash" in name}
    assert len(crashed) == len(CRASHES)
    assert all(reported[name, "error"] == 1 for name in crashed)
    others = {name: outcome for name, outcome in reported if "crash" not in name}
    assert {name for name, outcome in others.items() if outcome == "passed"} == {
        "test_first_b", "test_first_c", "test_middle_a", "test_middle_c", "test_last_a", "test_setup_b",
        "test_teardown_a",
    }  # fmt: skip
    assert {outcome for name, outcome in others.items() if "after" in name} == {"skipped"}
    assert set(Counter(journal.names).values()) == {1}
    # What died in its teardown had passed its call.
    assert result.parseoutcomes() == {"failed": len(CRASHES), "passed": 7 + 2, "blocked": len(CRASHES)}
    result.stdout.fnmatch_lines(["*[[]100%[]]*"])


def test_all_workers_crash_at_once(two, run, journal, states):
    """Where every worker dies in the same moment, others take their place and finish the rest."""
    dies = """
        import os
        from journal import note, wait_for
        def test_{0}():
            note("{0}")
            wait_for("{1}")
            os._exit(1)
        def test_{0}_more(): note("{0}_more")
        """
    two(test_p1=dies.format("p1", "p3"), test_p3=dies.format("p3", "p1"))

    result = run("--phases", "plan.md", "-n2")

    assert result.ret == 1
    assert sorted(journal.names) == ["p1", "p1_more", "p3", "p3_more"]
    assert states() == {"1": "red", "2": "blocked", "3": "red"}
    assert result.parseoutcomes() == {"failed": 2, "passed": 2, "blocked": 1}


@pytest.mark.parametrize("workers", ["-n1", "-n2"])
def test_no_worker_is_replaced_where_the_user_forbids_it(workers, two, run, states):
    """With --max-worker-restart=0 a crash ends the run: what did not start is interrupted, not lost."""
    two(test_p1="import os\ndef test_crash(): os._exit(1)")

    result = run("--phases", "plan.md", workers, "--max-worker-restart=0")

    assert result.ret != 0
    assert states()["1"] == "red"
    assert states()["2"] in ("blocked", "interrupted")
    result.stdout.fnmatch_lines(["*worker 'gw?' crashed while running*test_crash*", "* 1 failed*"])


# Between items -------------------------------------------------------------------------------


def test_crash_in_the_teardown_of_the_session_fails_the_last_item(pytester, two, run, states):
    """A worker that dies while its session is torn down makes the phase of its last item red."""
    pytester.makeconftest(
        """
        import os, pytest
        @pytest.fixture(scope="session")
        def deadly():
            yield
            os._exit(3)
        """
    )
    two(test_p1="def test_p1(deadly): pass", test_p2="def test_p2(deadly): pass")

    result = run("--phases", "plan.md", "-n1")

    assert result.ret == 1
    assert states() == {"1": "green", "2": "red", "3": "green"}
    assert result.parseoutcomes() == {"passed": 3, "errors": 1}
    result.stdout.fnmatch_lines(["*worker 'gw0' crashed after 'test_p2.py::test_p2'*"])


def test_worker_that_dies_once_while_it_collects_is_replaced(pytester, two, run, states):
    """A worker that never got to its first item costs nothing but a new worker."""
    pytester.makeconftest("import os\nif os.environ.get('PYTEST_XDIST_WORKER') == 'gw1': os._exit(1)")
    two()

    result = run("--phases", "plan.md", "-n2")

    assert states() == {"1": "green", "2": "green", "3": "green"}
    assert result.parseoutcomes() == {"passed": 3}


def test_run_ends_where_every_worker_dies_while_it_collects(two, run):
    """Workers that cannot collect are replaced a limited number of times, and the run is no success."""
    two(test_p1="import os\nos._exit(1)")

    result = run("--phases", "plan.md", "-n2", "--max-worker-restart=2")

    assert result.ret not in (0, 5)
    result.stdout.fnmatch_lines(["*maximum crashed workers reached: 2*"])


# Hangs and signals ---------------------------------------------------------------------------


def test_hang_ended_by_timeout_is_a_crash_of_its_item(two, run, journal, outcomes, states):
    """The thread method of pytest-timeout ends the whole worker: only the item that hung has failed."""
    pytest.importorskip("pytest_timeout")
    two(
        test_p1="""
        import time
        from journal import note
        def test_hangs():
            note("hangs")
            time.sleep(300)
        def test_more(): note("more")
        """
    )

    result = run("--phases", "plan.md", "-n2", "--timeout=2", "--timeout-method=thread")

    assert result.ret == 1
    assert outcomes().as_dict() == {
        "test_hangs": "error", "test_more": "passed", "test_p2": "skipped", "test_p3": "passed",
    }  # fmt: skip
    assert sorted(journal.names) == ["hangs", "more", "p3"]
    assert states() == {"1": "red", "2": "blocked", "3": "green"}


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
@pytest.mark.parametrize("workers", ["-n2", "-n0"])
def test_ctrl_c_ends_the_run_and_every_worker(workers, pytester, two, journal, beside):
    """An interrupt of the process group ends the run with exit status 2 and leaves no process."""
    sleeps = """
        import time
        from journal import note
        def test_sleeps():
            note("{0}")
            time.sleep(300)
        def test_never(): note("never")
        """
    two(test_p1=sleeps.format("p1"), test_p3=sleeps.format("p3"))
    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "--phases", "plan.md", workers]
    with subprocess.Popen(
        command, cwd=pytester.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        expected = {"p1", "p3"} if workers == "-n2" else {"p1"}
        _until(lambda: set(journal.names) >= expected or process.poll() is not None)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=30)

    assert process.returncode == 2, output
    assert "never" not in journal.names
    assert "KeyboardInterrupt" in output
    assert "= phases =" in output
    _until(lambda: not any(_is_alive(record["pid"]) for record in journal.records))


def _until(condition) -> None:
    """Wait for a condition; a minute is far more than it ever takes."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(("workers", "code"), [("-n2", 2), ("-n2", 7), ("-n0", 2)])
def test_pytest_exit_in_a_test_ends_the_run(workers, code, two, run, journal, states):
    """`pytest.exit` stops everything, wherever it is called; what called it does not run again."""
    two(
        test_p1=f"""
        import pytest
        from journal import note
        def test_exits():
            note("exits")
            pytest.exit("enough", returncode={code})
        """
    )

    result = run("--phases", "plan.md", workers)

    assert result.ret == 2
    assert journal.names.count("exits") == 1
    assert "p2" not in journal.names
    assert states()["2"] in ("blocked", "interrupted")
    result.stdout.fnmatch_lines(["*= phases =*"])


def test_internal_error_of_a_worker_ends_the_run(pytester, two, run, journal):
    """A plugin that fails outside any test ends the run, and the run is no success."""
    pytester.makeconftest(
        """
        def pytest_runtest_protocol(item):
            if item.name == "test_p1": raise RuntimeError("a broken plugin")
        """
    )
    two()

    result = run("--phases", "plan.md", "-n2")

    assert result.ret not in (0, 5)
    assert "p2" not in journal.names
    result.stdout.fnmatch_lines(["INTERNALERROR*a broken plugin*"])
