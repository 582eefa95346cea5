"""`@pytest.mark.lock`: where it may stand, what it adds up to, and what is told of a bad one."""

from __future__ import annotations

import pytest

from pytest_phases.collection.lock_marks import has_lock_mark, read_locks

WORKERS = pytest.mark.parametrize("workers", ["-n0", "-n2"])

# A plugin of the project under test: notes each lock of each item table, under the name of the test.
LOCK_JOURNAL_MODULE = """
import pytest
from journal import note

def note_locks(table):
    for index, name, shared in table.locks if table is not None else ():
        note(table.nodeids[index].rpartition("::")[2], lock=name, shared=shared)

@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session):
    collection = session.config.pluginmanager.get_plugin("phases-collection")
    if collection is None:
        return
    note_locks(collection.table)
    collect_late = collection.collect_late

    def noted(*args):
        table = collect_late(*args)
        note_locks(table)
        return table

    collection.collect_late = noted
"""

EVERYWHERE = {
    "conftest": """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if "by_conftest" in item.name:
                    item.add_marker(pytest.mark.lock("conftest"))
    """,
    "test_module": """
        import pytest, unittest

        pytestmark = [pytest.mark.lock("module", shared=True)]

        def test_module(): pass

        @pytest.mark.lock("b")
        @pytest.mark.lock("a", "c", shared=True)
        def test_function(): pass

        @pytest.mark.lock("class")
        class TestGroup:
            @pytest.mark.lock("module")
            def test_in_class(self): pass

            def test_by_conftest(self): pass

        @pytest.mark.lock("case", shared=True)
        class TestCase(unittest.TestCase):
            def test_unittest(self): pass

        @pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.lock("two"))])
        def test_parameter(n): pass

        def documented():
            '''
            >>> 1 + 1
            2
            '''
    """,
}
ASKED = {
    "test_module": {"module": True},
    "test_function": {"a": True, "b": False, "c": True, "module": True},
    "test_in_class": {"class": False, "module": False},
    "test_by_conftest": {"class": False, "conftest": False, "module": True},
    "test_unittest": {"case": True, "module": True},
    "test_parameter[1]": {"module": True},
    "test_parameter[2]": {"module": True, "two": False},
    "test_module.documented": {"module": True},
}

BAD = """
    import pytest

    @pytest.mark.lock
    def test_bare(): pass

    @pytest.mark.lock("db", share=True)
    def test_keyword(): pass

    @pytest.mark.lock("", 5, ["a", "b"])
    def test_names(): pass

    @pytest.mark.lock("db", shared="no")
    class TestGroup:
        def test_one(self): pass
        def test_two(self): pass
"""
MISTAKES = [
    "test_bad.py:3: a lock marker says what it locks;",
    "test_bad.py:6: share: a lock marker has no such argument; did you mean `shared`?",
    "test_bad.py:9: an entry is empty;",
    "test_bad.py:9: `5` is no name of a lock; write names as text",
    "test_bad.py:9: `('a', 'b')` is no name of a lock; write names as text",
    "test_bad.py:12: shared: `no` is no boolean; write shared=True, or leave it out",
]


@pytest.fixture
def locks(beside, journal):
    """A function that reads the locks that the last run with `-p lock_journal` noted, by the tests' names."""
    (beside / "lock_journal.py").write_text(LOCK_JOURNAL_MODULE, encoding="utf-8")

    def read() -> dict[str, dict[str, bool]]:
        found: dict[str, dict[str, bool]] = {}
        for record in journal.records:
            if "lock" in record:
                found.setdefault(record["name"], {})[record["lock"]] = record["shared"]
        return found

    return read


def _starts(problems, expected):
    """Whether each problem begins as expected, in this order, and names the same slug."""
    assert len(problems) == len(expected), problems
    assert [problem[: len(start)] for problem, start in zip(problems, expected, strict=True)] == expected
    assert {problem.rpartition(" ")[2] for problem in problems} == {"[bad-lock]"}


@WORKERS
def test_lock_markers_may_stand_anywhere_and_add_up(workers, pytester, plan, run, locks):
    """Functions, classes, modules, TestCases, parameters, doctests and conftests; alone beats shared."""
    plan("### Phase 1: All\ntests: [test_module.py]\n")
    pytester.makepyfile(**EVERYWHERE)
    result = run("--phases=plan.md", workers, "--doctest-modules", "--strict-markers", "-p", "lock_journal")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    assert locks() == ASKED


def test_locks_are_sorted_and_each_stands_once(pytester):
    """A row has the index of its item, the name and whether it is shared."""
    items = pytester.getitems(
        """
        import pytest

        def test_free(): pass

        @pytest.mark.lock("b", "a", " b ", shared=True)
        @pytest.mark.lock("b", shared=False)
        @pytest.mark.lock("a", shared=True)
        def test_locking(): pass
        """
    )
    read = read_locks(items)
    assert (read.rows, read.problems) == (((1, "a", True), (1, "b", False)), ())
    assert has_lock_mark(items)
    assert not has_lock_mark(items[:1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "a lock marker says what it locks; write a name"),
        ("shared=True", "a lock marker says what it locks; write a name"),
        ("'  '", "an entry is empty"),
        ("'a\\x1b[31m'", r"'a\x1b[31m' holds a control character"),
        ("None", "`None` is no name of a lock; write names as text"),
        ("object()", "`<object object> (object)` is no name of a lock"),
        ("'db', shared=None", "shared: `None` is no boolean"),
        ("'db', shared=1", "shared: `1` is no boolean"),
        ("'db', exclusive=True", "exclusive: a lock marker has no such argument; known are `shared`"),
    ],
)
def test_what_cannot_be_read_is_a_problem_at_the_marker(arguments, said, pytester):
    """It says what is wrong and what to write, and is told once however many tests it stands on."""
    items = pytester.getitems(
        f"""
        import pytest

        @pytest.mark.parametrize("n", [1, 2])
        @pytest.mark.lock({arguments})
        def test_a(n): pass
        """
    )
    (problem,) = read_locks(items).problems
    assert (problem.slug, problem.place.line) == ("bad-lock", 3)
    assert problem.message.startswith(said)
    assert "\x1b" not in problem.message


def test_what_can_be_read_of_a_bad_marker_counts(pytester):
    """A typo in one name hides no other."""
    items = pytester.getitems(
        """
        import pytest

        @pytest.mark.lock("db", 1, sharde=True)
        def test_a(): pass
        """
    )
    read = read_locks(items)
    assert read.rows == ((0, "db", False),)
    assert len(read.problems) == 2


@WORKERS
def test_all_mistakes_are_told_together(workers, pytester, plan, run, refused, journal):
    """They come as one usage error, each with its line, before anything has run."""
    plan("### Phase 1: All\ntests: [test_bad.py]\n")
    pytester.makepyfile(test_bad=BAD, test_ok="from journal import note\ndef test_ok(): note('ok')\n")
    _starts(refused(run("--phases=plan.md", workers)), MISTAKES)
    assert journal.names == []


def test_mistakes_of_phase_and_lock_markers_are_told_together(pytester, run, refused):
    """Neither hides the other, with no plan at all."""
    pytester.makepyfile(
        test_a="""
        import pytest

        @pytest.mark.phase(1.5)
        @pytest.mark.lock(1)
        def test_a(): pass
        """
    )
    problems = refused(run("-n2"))
    assert [problem.rpartition(" ")[2] for problem in problems] == ["[float-id]", "[bad-lock]"]
    assert all(problem.startswith("test_a.py:3: ") for problem in problems)


def test_a_mistake_on_a_deselected_test_is_told_too(pytester, plan, run, refused):
    """As those of phase markers: what is wrong does not depend on what was asked for."""
    plan("### Phase 1: All\ntests: [test_bad.py]\n")
    pytester.makepyfile(test_bad=BAD, test_ok="def test_ok(): pass\n")
    _starts(refused(run("--phases=plan.md", "-n0", "-k", "test_ok")), MISTAKES)


LATE = """
### Phase 1: Data
Build: data
```bash
echo '[1, 2]' > data.json
```
### Phase 2: Use
tests: [test_data.py]
"""


def test_locks_of_what_is_collected_late(pytester, plan, run, locks):
    """A module that can be imported only after a stage brings its locks with it."""
    plan(LATE)
    pytester.makepyfile(
        test_data="""
        import json, pytest

        @pytest.mark.lock("data", shared=True)
        @pytest.mark.parametrize("number", json.load(open("data.json")))
        def test_data(number): pass
        """
    )
    result = run("--phases=plan.md", "-n0", "-p", "lock_journal")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    assert locks() == {"test_data[1]": {"data": True}, "test_data[2]": {"data": True}}


@WORKERS
def test_a_mistake_in_what_is_collected_late(workers, pytester, plan, run, states):
    """The run has begun by then, so the phase is red and says why."""
    plan(LATE)
    pytester.makepyfile(
        test_data="""
        import json, pytest

        @pytest.mark.lock("data", shared="no")
        @pytest.mark.parametrize("number", json.load(open("data.json")))
        def test_data(number): pass
        """
    )
    result = run("--phases=plan.md", workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED, result.stdout.str()
    result.stdout.fnmatch_lines(["*test_data.py:3: shared: `no` is no boolean;*[[]bad-lock]*"])
    assert states() == {"1": "green", "2": "red"}


LOCKED = {
    "test_a": """
        import pytest

        @pytest.mark.lock("db")
        @pytest.mark.parametrize("n", range(3))
        def test_a(n): pass
    """,
    "test_b": "def test_b(): pass\n",
}


def test_lock_markers_alone_are_kept_by_workers(pytester, run, locks):
    """Without a plan and a phase marker the tests are unphased, and their locks are known."""
    pytester.makepyfile(**LOCKED)
    result = run("-n2", "-p", "lock_journal")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    result.assert_outcomes(passed=4)
    assert locks() == {f"test_a[{n}]": {"db": False} for n in range(3)}


def test_lock_markers_alone_change_nothing_in_one_process(pytester, run):
    """Tests of one process never overlap, so nothing of ours takes part."""
    pytester.makepyfile(**LOCKED, test_bad=BAD)
    result = run("-n0", "-v")
    assert result.ret == pytest.ExitCode.OK
    assert not (pytester.path / ".phases").exists()


def test_the_marker_is_declared(run):
    """`--markers` describes it, so that `--strict-markers` accepts it."""
    result = run("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.lock(name, ..., shared=False): *"])
