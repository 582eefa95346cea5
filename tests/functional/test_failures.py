"""What a failure does: it makes its phase red, blocks what depends on it, and stops nothing else."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

WORKERS = pytest.mark.parametrize("workers", ["-n2", "-n0"])

CHAIN = """
# A chain of three phases beside a chain of two
### Phase 1: First
tests: [test_p1.py]
### Phase 2: Second
dependencies: [1]
tests: [test_p2.py]
### Phase 3: Third
dependencies: [2]
tests: [test_p3.py]
### Phase 4: Other
dependencies: []
tests: [test_p4.py]
### Phase 5: After other
dependencies: [4]
tests: [test_p5.py]
"""

PASSES = "from journal import note\ndef test_{name}(): note({name!r})\n"


@pytest.fixture
def chain(pytester, plan, journal):
    """The plan CHAIN with one passing test a phase and an unphased one; a source replaces a file."""

    def write(**sources: str) -> None:
        plan(CHAIN)
        names = ("p1", "p2", "p3", "p4", "p5", "unphased")
        files = {f"test_{name}": PASSES.format(name=name) for name in names}
        pytester.makepyfile(**files | sources)

    return write


# Blocking ------------------------------------------------------------------------------------

FAILS_THEN_LOOKS = """
import json, time
from journal import note

def test_bad():
    assert False

def status(phase):
    with open(".phases/PARALLEL_STATUS.json") as file:
        tasks = json.load(file)["tasks"]
    return next(task["status"] for task in tasks if task["id"] == phase)

def test_dependents_are_blocked_while_the_phase_still_runs():
    end = time.monotonic() + 20
    while not status("2") == status("3") == "blocked":
        assert time.monotonic() < end
        time.sleep(0.01)
    assert status("1") == "failed"
"""


@WORKERS
def test_red_phase_blocks_its_dependents_and_nothing_else(
    workers, chain, run, outcomes, journal, phases, states
):
    """A failure blocks dependents at once and transitively; other phases and unphased tests go on."""
    chain(test_p1=FAILS_THEN_LOOKS)

    result = run("--phases", "plan.md", workers, "-v")

    assert result.ret == 1
    assert outcomes().as_dict() == {
        "test_bad": "failed",
        "test_dependents_are_blocked_while_the_phase_still_runs": "passed",
        "test_p2": "skipped",
        "test_p3": "skipped",
        "test_p4": "passed",
        "test_p5": "passed",
        "test_unphased": "passed",
    }
    assert outcomes().message("test_p2") == "blocked by phase 1 (1 failed)"
    assert outcomes().message("test_p3") == "blocked by phase 1 (1 failed)"
    assert sorted(journal.names) == ["p4", "p5", "unphased"]
    assert states() == {
        "1": "red", "2": "blocked", "3": "blocked", "4": "green", "5": "green", "unphased": "green",
    }  # fmt: skip
    assert phases()["3"]["blocked_by"] == ["1"]
    result.stdout.fnmatch_lines(["*test_p2.py::test_p2 BLOCKED*", "*test_p3.py::test_p3 BLOCKED*"])
    assert result.parseoutcomes() == {"failed": 1, "passed": 4, "blocked": 2}
    result.stdout.no_fnmatch_line("*[[]gw?[]]*BLOCKED*")


def test_blocked_test_has_a_letter_of_its_own(chain, run):
    """Among the dots a blocked test is a `b`, and with -q the last line counts the blocked."""
    chain(test_p1="def test_bad(): assert False")

    result = run("--phases", "plan.md", "-n2", "-q")

    result.stdout.re_match_lines([r"[.Fb]*b[.Fb]* +\[100%\]$"])
    assert "1 failed, 3 passed, 2 blocked in " in result.outlines[-1]


# Every way to fail ---------------------------------------------------------------------------

KINDS = {
    "call": ("def test_kind(): assert False", "1 failed"),
    "setup": (
        """
        import pytest
        @pytest.fixture
        def broken(): raise OSError
        def test_kind(broken): pass
        """,
        "1 error",
    ),
    "teardown": (
        """
        import pytest
        @pytest.fixture
        def broken():
            yield
            raise OSError
        def test_kind(broken): pass
        """,
        "1 error",
    ),
    "class-teardown": (
        """
        import pytest
        class TestIt:
            @pytest.fixture(scope="class")
            def broken(self):
                yield
                raise OSError
            def test_kind(self, broken): pass
        """,
        "1 error",
    ),
    "module-teardown": (
        """
        def teardown_module(): raise OSError
        def test_kind(): pass
        """,
        "1 error",
    ),
    "failed-and-teardown": (
        """
        import pytest
        @pytest.fixture
        def broken():
            yield
            raise OSError
        def test_kind(broken): assert False
        """,
        "1 error",
    ),
    "strict-xpass": (
        """
        import pytest
        @pytest.mark.xfail(strict=True)
        def test_kind(): pass
        """,
        "1 failed",
    ),
    "unittest": (
        """
        import unittest
        class TestIt(unittest.TestCase):
            def test_kind(self): self.assertTrue(False)
        """,
        "1 failed",
    ),
    "unittest-subtest": (
        """
        import unittest
        class TestIt(unittest.TestCase):
            def test_kind(self):
                for number in (1, 2, 3):
                    with self.subTest(number=number): self.assertNotEqual(number, 2)
        """,
        "1 failed",
    ),
    "assertion-in-thread": (
        """
        import pytest
        pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
        import threading
        def test_kind():
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
        """,
        "1 failed",
    ),
    "system-exit": ("def test_kind(): raise SystemExit(0)", "1 failed"),
    "recursion": ("def test_kind(): test_kind()", "1 failed"),
    "unpicklable": (
        """
        class Odd(Exception):
            def __init__(self): super().__init__(lambda: None)
            def __reduce__(self): raise TypeError("cannot be pickled")
            def __repr__(self): raise RuntimeError("cannot be shown")
            __str__ = __repr__
        def test_kind(): raise Odd
        """,
        "1 failed",
    ),
}

if find_spec("_pytest.subtests") or find_spec("pytest_subtests"):
    KINDS["subtests-fixture"] = (
        """
        def test_kind(subtests):
            for number in (1, 2, 3):
                with subtests.test(number=number): assert number != 2
        """,
        "1 failed",
    )

HARMLESS = {
    "passes": "def test_kind(): pass",
    "xfail": "import pytest\n@pytest.mark.xfail\ndef test_kind(): assert False",
    "xpass": "import pytest\n@pytest.mark.xfail\ndef test_kind(): pass",
    "some-skipped": "import pytest\ndef test_kind(): pass\ndef test_skip(): pytest.skip('no')",
}

EMPTY = {
    "skipped": "import pytest\ndef test_kind(): pytest.skip('no')",
    "module-skipped": "import pytest\npytest.skip('no', allow_module_level=True)",
    "importorskip": "import pytest\npytest.importorskip('no_such_module')",
}


@WORKERS
def test_every_kind_of_failure_makes_just_its_phase_red(workers, pytester, plan, run, phases):
    """Each phase of a table fails in its own way (or does not): its dependent is blocked (or runs)."""
    sources = {kind: source for kind, (source, _) in KINDS.items()} | HARMLESS | EMPTY
    text = ["# Every way to fail"]
    for kind, source in sources.items():
        name = kind.replace("-", "_")
        text += [f"### Phase {kind}: it", "dependencies: []", f"tests: [test_{name}.py]"]
        text += [f"### Phase after-{kind}: next", f"dependencies: [{kind}]", f"tests: [test_after_{name}.py]"]
        pytester.makepyfile(**{f"test_{name}": source, f"test_after_{name}": "def test_it(): pass"})
    plan("\n".join(text))

    result = run("--phases", "plan.md", workers)

    assert result.ret == 1
    found = {name: (phase["state"], phase["reason"]) for name, phase in phases().items()}
    expected = {kind: ("red", reason) for kind, (_, reason) in KINDS.items()}
    expected |= {
        f"after-{kind}": ("blocked", f"blocked by phase {kind} ({reason})")
        for kind, (_, reason) in KINDS.items()
    }
    expected |= dict.fromkeys(HARMLESS, ("green", "")) | dict.fromkeys(EMPTY, ("empty", ""))
    expected |= {f"after-{kind}": ("green", "") for kind in (*HARMLESS, *EMPTY)}
    assert found == expected
    assert all(sum(phase["tests"].values()) == 1 for kind, phase in phases().items() if kind in KINDS)


# Session fixtures ----------------------------------------------------------------------------

SESSION_FIXTURE = """
import pytest

@pytest.fixture(scope="session")
def broken():
    yield
    raise OSError("the session fixture broke")
"""


@WORKERS
def test_broken_teardown_of_the_session_makes_the_last_phase_red(
    workers, pytester, chain, run, outcomes, phases
):
    """What fails when a worker ends belongs to the phase of the last item that this worker ran."""
    pytester.makeconftest(SESSION_FIXTURE)
    chain(test_p1="def test_p1(broken): pass")

    result = run("--phases", "plan.md", workers)

    assert result.ret == 1
    (last,) = [name for name, outcome, _ in outcomes().cases if outcome == "error"]
    red = {name: phase["reason"] for name, phase in phases().items() if phase["state"] == "red"}
    assert list(red) == [last.removeprefix("test_p").removeprefix("test_")]
    assert "an error in a teardown" in red.popitem()[1]
    assert result.parseoutcomes() == {"passed": 6, "errors": 1}
    result.stdout.fnmatch_lines(["*the session fixture broke*"])


@WORKERS
def test_session_is_torn_down_and_judged_after_exitfirst(workers, pytester, chain, run, outcomes, states):
    """With -x the session fixtures of a worker are torn down too, and what breaks there is reported."""
    pytester.makeconftest(SESSION_FIXTURE)
    chain(test_p1="def test_p1(broken): assert False")

    result = run("--phases", "plan.md", workers, "-x")

    assert result.ret == 1
    assert [(name, outcome) for name, outcome, _ in outcomes().cases if outcome in ("failed", "error")] == [
        ("test_p1", "failed"), ("test_p1", "error"),
    ]  # fmt: skip
    assert states()["1"] == "red"
    assert {"failed": 1, "errors": 1}.items() <= result.parseoutcomes().items()
    result.stdout.fnmatch_lines(["*the session fixture broke*"])


# Collection ----------------------------------------------------------------------------------


BROKEN = """
### Phase syntax: A module that does not parse
dependencies: []
tests: [tests/test_syntax.py]
### Phase import: A module that imports what is not there
dependencies: []
tests: [tests/test_import.py]
### Phase in: Tests in a folder whose conftest fails
dependencies: []
tests: [tests/broken/test_in.py]
### Phase all: The rest of that folder
dependencies: []
tests: [tests/broken]
### Phase sound: Tests beside all of these
dependencies: []
tests: [tests/test_sound.py]
### Phase next: What needs a sound phase
dependencies: [sound]
tests: [tests/test_next.py]
### Phase after: What needs a broken module
dependencies: [syntax]
tests: [tests/test_after.py]
### Phase later: What needs a broken folder
dependencies: [in]
tests: [tests/test_later.py]
"""


@WORKERS
def test_collection_error_makes_just_its_phase_red(workers, pytester, plan, run, outcomes, phases, states):
    """What cannot be collected makes its phases red: a module its own, a conftest all of its folder."""
    plan(BROKEN)
    passing = ("sound", "next", "after", "later", "unphased")
    pytester.makepyfile(
        **{f"tests/test_{name}": f"def test_{name}(): pass" for name in passing},
        **{f"tests/broken/test_{name}": "def test_it(): pass" for name in ("in", "too")},
        **{
            "tests/test_syntax": "def test_it(:",
            "tests/test_import": "import no_such_module",
            "tests/broken/conftest": "raise OSError('a broken conftest')",
        },
    )

    result = run("--phases", "plan.md", workers)

    assert result.ret == 1
    assert states() == {
        "syntax": "red", "import": "red", "in": "red", "all": "red", "sound": "green", "next": "green",
        "after": "blocked", "later": "blocked", "unphased": "green",
    }  # fmt: skip
    assert phases()["import"]["reason"] == "collection error in tests/test_import.py"
    assert (
        outcomes().message("test_after")
        == "blocked by phase syntax (collection error in tests/test_syntax.py)"
    )
    assert {"passed": 3, "blocked": 2}.items() <= result.parseoutcomes().items()
    result.stdout.fnmatch_lines_random(["*no_such_module*", "*a broken conftest*", "*SyntaxError*"])
    if workers == "-n0":
        assert result.parseoutcomes()["errors"] == 3
