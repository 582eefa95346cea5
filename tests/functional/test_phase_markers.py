"""`@pytest.mark.phase`: wherever it may stand, with a plan and without."""

from __future__ import annotations

import pytest

WORKERS = pytest.mark.parametrize("workers", ["-n0", "-n2"])

# One test for every place a marker can stand on; each name says the phase that the test is in.
EVERYWHERE = {
    "test_function.py": """
        import pytest

        @pytest.mark.phase(1)
        def test_in_1_function(): pass

        @pytest.mark.phase("second", deps=[1])
        @pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.phase(3, deps=["second"]))])
        def test_in_second_or_3(n): pass
    """,
    "test_class.py": """
        import pytest, unittest

        @pytest.mark.phase(3)
        class TestGroup:
            def test_in_3_class(self): pass

            @pytest.mark.phase(1)
            def test_in_1_closest(self): pass

        @pytest.mark.phase("second")
        class TestCase(unittest.TestCase):
            def test_in_second_unittest(self): pass

            @pytest.mark.phase(3)
            def test_in_3_unittest(self): pass
    """,
    "test_module.py": """
        import pytest

        pytestmark = [pytest.mark.phase(3)]

        def test_in_3_module(): pass

        @pytest.mark.phase("Phase 1")
        def test_in_1_module(): pass

        def documented():
            '''
            >>> 1 + 1
            2
            '''
    """,
    "test_by_conftest.py": "def test_in_4_conftest(): pass",
    "test_doc.txt": ">>> 2 + 2\n4\n",
    "conftest.py": """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if "by_conftest" in item.nodeid or item.nodeid.startswith("test_doc.txt"):
                    item.add_marker(pytest.mark.phase(4, deps=[3]))
    """,
}
PLACED = {
    "test_in_1_function": "1",
    "test_in_1_closest": "1",
    "test_in_1_module": "1",
    "test_in_second_or_3[1]": "second",
    "test_in_second_unittest": "second",
    "test_in_second_or_3[2]": "3",
    "test_in_3_class": "3",
    "test_in_3_unittest": "3",
    "test_in_3_module": "3",
    "test_module.documented": "3",
    "test_in_4_conftest": "4",
    "test_doc.txt": "4",
}


@pytest.fixture
def write(pytester):
    """A function that writes files with the given texts into the project under test."""

    def files(texts: dict[str, str]) -> None:
        for name, text in texts.items():
            stem, _, suffix = name.partition(".")
            pytester.makefile(f".{suffix}", **{stem: text})

    return files


@WORKERS
def test_a_marker_may_stand_anywhere(workers, write, run, journal):
    """Without a plan: functions, classes, modules, parameters, TestCases, doctests, and by a conftest."""
    write(EVERYWHERE)
    result = run(workers, "--doctest-modules", "--strict-markers", "-p", "phase_journal")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    assert journal.placed() == PLACED


def test_markers_and_plan_add_up(write, plan, run, journal, phases):
    """A marker beats every selector, joins a phase of the plan or a stream of it, and adds new phases."""
    plan(
        "### Phase 1: First\ntests: [test_a.py]\n"
        "### Phase 2: Second\ndependencies: [1]\ntests: [-k last]\n"
        "#### Stream A: Part\n#### Stream B: Other\ndependencies: [A]\ntests: [test_b.py::test_b]\n"
        "### Sync: Between\n### Phase 3: Third\ndependencies: [2]\n"
    )
    write(
        {
            "test_a.py": """
                import pytest
                def test_first(): pass
                @pytest.mark.phase(3, serial=True)
                def test_third(): pass
                @pytest.mark.phase("2/A")
                def test_stream(): pass
            """,
            "test_b.py": """
                import pytest
                pytestmark = pytest.mark.phase("new", deps=[3], name="Added")
                def test_new(): pass
                @pytest.mark.phase("2/B")
                def test_b(): pass
            """,
            "test_c.py": "def test_unphased(): pass\ndef test_last(): pass\n",
        }
    )
    result = run("--phases", "plan.md", "-n2", "-p", "phase_journal")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    placed = journal.placed()
    placed.pop("test_unphased")
    placed.pop("test_last")
    assert placed == {
        "test_first": "1",
        "test_third": "3",
        "test_stream": "2/A",
        "test_b": "2/B",
        "test_new": "new",
    }
    ended = phases()
    assert {name: phase["tests"]["passed"] for name, phase in ended.items()} == {
        "1": 1, "2": 3, "2/A": 1, "2/B": 1, "3": 1, "new": 1, "unphased": 1,
    }  # fmt: skip
    assert ended["new"]["name"] == "Added"
    assert [ended[name]["wave"] for name in ("1", "2", "3", "new")] == [1, 2, 3, 4]


def test_all_mistakes_of_markers_are_told_together(write, plan, run, refused, journal):
    """What is wrong with markers comes as one usage error, each with its line, and nothing has run."""
    plan(
        "### Phase 1: First\ntimeout: 5m\nserialize: true\nenforce: false\ncoverage: ratchet\n"
        "covers: [code.py]\n"
        "### Phase 2: Second\ntests: [test_ok.py]\n"
    )
    write(
        {
            "test_bad.py": """
                import pytest

                @pytest.mark.phase(1.5)
                def test_float(): pass

                @pytest.mark.phase(1, colour="red")
                def test_keyword(): pass

                @pytest.mark.phase(1, timeout="6m")
                def test_contradiction(): pass

                @pytest.mark.phase
                def test_without_id(): pass

                @pytest.mark.phase("2/X")
                def test_stream(): pass

                @pytest.mark.phase(1, deps=object)
                def test_object(): pass

                @pytest.mark.phase(1, serialize=False)
                def test_serialize(): pass

                @pytest.mark.phase(1, enforce=True)
                def test_enforce(): pass

                @pytest.mark.phase(1, coverage=85)
                def test_coverage(): pass

                @pytest.mark.phase(1, locks=[object])
                def test_lock(): pass
            """,
            "code.py": "NUMBER = 1\n",
            "test_ok.py": "from journal import note\ndef test_ok(): note('ok')\n",
        }
    )
    problems = refused(run("--phases", "plan.md", "-n2"))
    assert [problem.partition(": ")[0] for problem in problems] == [
        f"test_bad.py:{line}" for line in range(3, 31, 3)
    ]
    assert 'quote it: "1.5"' in problems[0]
    assert "`colour`" in problems[1] or "colour:" in problems[1]
    assert "in plan.md:2" in problems[2]
    assert "serialize is False here and True in plan.md:3" in problems[6]
    assert "enforce is True here and False in plan.md:4" in problems[7]
    assert "coverage is 85 here and 'ratchet' in plan.md:5" in problems[8]
    assert "neither text nor a number" in problems[9]
    assert journal.names == []


@pytest.mark.parametrize(
    ("markers", "problem"),
    [
        pytest.param(
            "phase('build'), phase('unit', deps=['biuld'])",
            "depends on `biuld`, which is no phase; did you mean `build`?",
            id="unknown",
        ),
        pytest.param("phase(1, deps=[2]), phase(2, deps=[1])", "1 → 2 → 1", id="cycle"),
    ],
)
def test_dependencies_of_markers_are_checked(markers, problem, write, run, refused):
    """A dependency on nothing and a cycle through markers alone are usage errors at the marker's place."""
    first, second = markers.split(", phase")
    write(
        {
            "test_a.py": f"""
                import pytest
                @pytest.mark.{first}
                def test_a(): pass
                @pytest.mark.phase{second}
                def test_b(): pass
            """
        }
    )
    (told,) = refused(run("-n0"))
    assert told.startswith("test_a.py:")
    assert problem in told


def test_dependencies_order_marked_phases_under_both_schedules(write, run, journal):
    """Without a plan the schedule is an option all the same, and phases wait for what they name."""
    write(
        {
            "test_a.py": """
                import pytest
                @pytest.mark.phase("b", deps="a")
                def test_b(): pass
                @pytest.mark.phase("a")
                def test_a(): pass
            """
        }
    )
    result = run("-n2", "--phases-schedule", "flow", "-p", "phase_journal")
    assert result.ret == pytest.ExitCode.OK
    assert journal.placed() == {"test_a": "a", "test_b": "b"}


@WORKERS
def test_without_plan_and_marker_nothing_changes(workers, write, run, pytester):
    """The output has not a word of ours, no folder is made, and xdist's own schedulers run the tests."""
    write({"test_a.py": "def test_a(): pass\n", "test_b.py": "def test_b(): pass\n"})
    dist = [] if workers == "-n0" else ["--dist", "loadgroup"]
    result = run(workers, *dist, "-v")
    assert result.ret == pytest.ExitCode.OK
    output = result.stdout.str().replace("plugins: ", "")
    assert "phase" not in "\n".join(line for line in output.splitlines() if "phases-" not in line)
    result.assert_outcomes(passed=2)
    assert not (pytester.path / ".phases").exists()


def test_the_marker_is_declared(run, write):
    """`--markers` describes it, so that `--strict-markers` accepts it."""
    result = run("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.phase(id, deps=[[]...], ...): *"])
