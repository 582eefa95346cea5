"""A threshold that is missed makes its phase red at once; what is judged when, and what is not judged."""

from __future__ import annotations

import sys

import pytest

WORKERS = pytest.mark.parametrize("workers", ["-n0", "-n2"])


def module(executed: int, statements: int) -> str:
    """A module of so many statements; `use()` executes `executed` of them, the head of `rest` among them."""
    used = "\n".join(["    x = 1"] * (executed - 2))
    rest = "\n".join(["    y = 2"] * (statements - executed))
    return f"def use():\n{used}\n\ndef rest():\n{rest}\n"


TWO = """
### Phase 1: Library
tests: [test_library.py]
covers: [library.py]
coverage: 80
### Phase 2: Program
dependencies: [1]
tests: [test_program.py]
### Phase 3: Beside
dependencies: []
tests: [test_beside.py]
"""


@pytest.fixture
def two(pytester, plan, journal):
    """A phase that executes 5 of 10 statements, one that depends on it, and one that does not."""
    plan(TWO)
    pytester.makepyfile(
        library=module(5, 10),
        test_library="import library\ndef test_library(): library.use()",
        test_program="def test_program(): assert False",
        test_beside="from journal import note\ndef test_beside(): note('beside')",
    )
    return pytester


# A shortfall ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workers", "schedule"), [("-n0", "flow"), ("-n2", "waves"), ("-n2", "flow")], ids=str
)
def test_a_shortfall_blocks_what_depends_on_it(
    workers, schedule, two, run, states, phases, outcomes, journal
):
    """The phase is red although every test of it passed, and nothing below it runs."""
    result = run("--phases=plan.md", workers, f"--phases-schedule={schedule}")

    assert result.ret == 1
    assert states() == {"1": "red", "2": "blocked", "3": "green"}
    assert phases()["1"]["reason"] == "coverage reached 50 %, required 80 %"
    assert outcomes().as_dict() == {
        "test_library": "passed",
        "test_program": "skipped",
        "test_beside": "passed",
    }
    assert journal.names == ["beside"]


def test_a_shortfall_is_told_before_others_have_ended(pytester, plan, run, journal, states):
    """What is judged when its own items are done waits for nobody beside it."""
    plan(TWO)
    pytester.makepyfile(
        library=module(5, 10),
        test_library="import library\ndef test_library(): library.use()",
        test_program="def test_program(): assert False",
        test_beside="from journal import wait_for\ndef test_beside(): wait_for('judged 1')",
        conftest="""
            from journal import note
            def pytest_phases_threshold_judged(config, figure): note(f"judged {figure.id}")
        """,
    )

    assert run("--phases=plan.md", "-n2").ret == 1
    assert states() == {"1": "red", "2": "blocked", "3": "green"}


def test_a_shortfall_names_the_least_covered_files(pytester, plan, run, figures):
    """It says what was reached and required, and which files lack what, the worst first."""
    plan("### Phase 1: One\ntests: [test_one.py]\ncovers: [pkg]\ncoverage: 80\n")
    package = pytester.mkpydir("pkg")
    for name, executed in {"good": 9, "bad": 3}.items():
        (package / f"{name}.py").write_text(module(executed, 10))
    (package / "full.py").write_text("def use():\n    return 1\n")
    (package / "never.py").write_text("one = 1\n\ntwo = 2\n")
    pytester.makepyfile(
        test_one="""
            from pkg import bad, full, good
            def test_one():
                for each in (bad, full, good): each.use()
        """
    )

    run("--phases=plan.md", "-n0")

    assert figures()["1"] == {
        "id": "1",
        "kind": "phase",
        "name": "One",
        "required": 80,
        "reached": pytest.approx(100 * 14 / 24),
        "precision": 0,
        "passed": False,
        "text": "coverage reached 58 %, required 80 %",
        "files": [
            "pkg/bad.py  30 %  missing 5-11",
            "pkg/never.py  0 %  missing 1-3",
            "pkg/good.py  90 %  missing 11",
        ],
        "problem": "",
    }


def test_a_failed_test_and_a_shortfall_are_both_told(two, run, figures, phases):
    """A phase that is red already is judged all the same."""
    two.makepyfile(test_library="import library\ndef test_library(): library.use(); assert False")

    assert run("--phases=plan.md", "-n0").ret == 1
    assert figures()["1"]["reached"] == 50
    assert phases()["1"]["state"] == "red"


STATEMENTS = 1000
CASES = [
    # executed of 1000, required, precision, passed
    pytest.param(850, "85", None, True, id="85 of 85"),
    pytest.param(846, "85", None, True, id="84.6 of 85 rounds to 85"),
    pytest.param(846, "85", 1, False, id="84.6 of 85 with one place"),
    pytest.param(844, "85", None, False, id="84.4 of 85"),
    pytest.param(999, "100", None, False, id="99.9 of 100"),
    pytest.param(845, "84.5", None, True, id="84.5 of 84.5"),
]


@pytest.mark.parametrize(("executed", "required", "precision", "passed"), CASES)
def test_what_is_printed_and_the_exit_status_agree(
    executed, required, precision, passed, pytester, plan, run, figures, states
):
    """No run prints a failure and exits 0, or shows a figure that contradicts its verdict."""
    plan(f"### Phase 1: One\ntests: [test_one.py]\ncovers: [library.py]\ncoverage: {required}\n")
    pytester.makepyfile(
        library=module(executed, STATEMENTS), test_one="import library\ndef test_one(): library.use()"
    )
    if precision is not None:
        (pytester.path / ".coveragerc").write_text(f"[report]\nprecision = {precision}\n")

    result = run("--phases=plan.md", "-n0")

    figure = figures()["1"]
    shown = figure["text"].split()
    assert figure["reached"] == pytest.approx(executed / 10)
    assert (figure["passed"], states()["1"], result.ret) == (
        passed,
        *(("green", 0) if passed else ("red", 1)),
    )
    assert (float(shown[2]) >= float(shown[5])) is passed


# Streams --------------------------------------------------------------------------------------


STREAMS = """
### Phase 1: Both
coverage: 60
#### Stream A: One
tests: [test_a.py]
covers: [a.py]
#### Stream B: Two
tests: [test_b.py]
covers: [b.py]
#### Stream C: Without covers
tests: [test_c.py]
### Phase 2: After
dependencies: [1]
tests: [test_after.py]
"""


def test_streams_are_judged_each_and_together(pytester, plan, run, figures, reached, states):
    """A stream with `covers` by its own tests, the phase by those of all; each threshold once."""
    plan(STREAMS)
    pytester.makepyfile(
        a=module(9, 10),
        b=module(4, 10),
        test_a="import a, b\ndef test_a(): a.use()",
        test_b="import b\ndef test_b(): b.use()",
        test_c="import b\ndef test_c(): b.rest()",
        test_after="def test_after(): pass",
    )

    run("--phases=plan.md", "-n2")

    assert reached() == {"1/A": 90, "1/B": 40, "1": 95}
    assert {name for name, figure in figures().items() if not figure["passed"]} == {"1/B"}
    assert states() == {"1": "red", "1/A": "green", "1/B": "red", "1/C": "green", "2": "blocked"}


# What counts ----------------------------------------------------------------------------------


@WORKERS
def test_unphased_tests_count_for_no_phase(workers, two, run, reached, states):
    """What they execute belongs to none of the phases."""
    two.makepyfile(test_unphased="import library\ndef test_unphased(): library.rest()")

    run("--phases=plan.md", workers)

    assert reached() == {"1": 50}
    assert states()["unphased"] == "green"


@WORKERS
def test_functions_that_run_while_tests_are_collected_count_for_all(workers, pytester, plan, run, reached):
    """A decorator runs when its module is imported, before there is any phase."""
    plan("### Phase 1: One\ntests: [test_one.py]\ncovers: [registry.py]\ncoverage: 100\n")
    pytester.makepyfile(
        registry="""
            FOUND = []

            def register(function):
                FOUND.append(function)
                return function

            @register
            def known(): return 1
        """,
        test_one="import registry\ndef test_one(): assert registry.known() == 1",
    )

    assert run("--phases=plan.md", workers).ret == 0
    assert reached() == {"1": 100}


@WORKERS
def test_a_wide_fixture_that_parallel_phases_share_counts_for_both(workers, pytester, plan, run, reached):
    """Its teardown is not put off until the other phase has ended: it would come too late for the first."""
    plan(
        "### Phase 1: One\ndependencies: []\ncovers: [library.py]\ncoverage: 1\n"
        "### Phase 2: Two\ndependencies: []\ncovers: [library.py]\ncoverage: 1\n"
    )
    pytester.makepyfile(
        library=module(8, 10),
        test_both="""
            import library, pytest

            @pytest.fixture(scope="module")
            def wide():
                yield
                library.use()

            @pytest.mark.phase(1)
            def test_1(wide): pass
            @pytest.mark.phase(2)
            def test_2(wide): pass
            @pytest.mark.phase(1)
            def test_3(wide): pass
        """,
    )

    assert run("--phases=plan.md", workers).ret == 0
    assert reached() == {"1": 80, "2": 80}


@WORKERS
def test_a_teardown_that_fails_at_the_end_of_a_phase_belongs_to_it(workers, pytester, plan, run, states):
    """What is torn down there, although a test beside would use it again, is reported at the last test."""
    plan("### Phase 1: One\ndependencies: []\ncovers: [library.py]\ncoverage: 1\n### Phase 2: Two\n")
    pytester.makepyfile(
        library=module(8, 10),
        test_both="""
            import library, pytest

            @pytest.fixture(scope="module")
            def wide():
                yield
                assert not library.use

            @pytest.mark.phase(1)
            def test_1(wide): pass
            @pytest.mark.phase(2, deps=[])
            def test_2(): pass
        """,
    )

    result = run("--phases=plan.md", workers)

    assert result.parseoutcomes() == {"passed": 2, "errors": 1}
    assert states() == {"1": "red", "2": "green"}


# What is left out -----------------------------------------------------------------------------


LEFT_OUT = [
    pytest.param(["-n0", "-k", "not second"], id="-k"),
    pytest.param(["-n2", "-k", "not second"], id="-k with workers"),
    pytest.param(["-n0", "-m", "not slow"], id="-m"),
    pytest.param(["-n0", "test_library.py::test_first"], id="node id"),
    pytest.param(["-n0", "--deselect=test_library.py::test_second"], id="--deselect"),
    pytest.param(["-n0", "--ignore=test_more.py"], id="--ignore"),
    pytest.param(["-n0", "--lf"], id="--lf"),
    pytest.param(["-n2", "--lf"], id="--lf with workers"),
]


@pytest.mark.parametrize("selection", LEFT_OUT)
def test_nothing_is_judged_where_tests_that_count_were_left_out(
    selection, pytester, plan, run, journal, figures, states
):
    """A part of the tests says nothing of what all of them reach; the phase is green by those that ran."""
    plan("### Phase 1: One\ntests: [test_library.py, test_more.py]\ncovers: [library.py]\ncoverage: 100\n")
    pytester.makepyfile(
        library=module(5, 10),
        test_library="""
            import library, pytest
            from pathlib import Path
            def test_first():
                library.use()
                assert Path("mended").exists()
            @pytest.mark.slow
            def test_second(): pass
        """,
        test_more="def test_more(): pass",
    )
    pytester.makeini("[pytest]\nmarkers = slow")
    if "--lf" in selection:
        assert run("-n0").ret == 1
    (pytester.path / "mended").touch()

    result = run("--phases=plan.md", *selection)

    assert (figures(), states()["1"], result.ret) == ({}, "green", 0)


def test_phases_only_judges_what_is_whole(two, run, figures, states):
    """With --phases-only the phases that run whole are judged, and a sync point above the others is not."""
    with (two.path / "plan.md").open("a") as plan:
        plan.write("### Sync: All\ncoverage: 10\n")

    run("--phases=plan.md", "-n0", "--phases-only=3")
    assert figures() == {}
    assert states()["3"] == "green"

    assert run("--phases=plan.md", "-n0", "--phases-only=1").ret == 1
    assert list(figures()) == ["1"]


def test_an_empty_phase_is_not_judged_as_covered(pytester, plan, run, states, figures):
    """Where every test was skipped nothing was covered, and that is no success."""
    plan("### Phase 1: One\ntests: [test_one.py]\ncovers: [library.py]\ncoverage: 50\n")
    pytester.makepyfile(
        library=module(5, 10), test_one="import pytest\n@pytest.mark.skip\ndef test_one(): pass"
    )

    run("--phases=plan.md", "-n0")

    assert not any(figure["passed"] for figure in figures().values())
    assert states()["1"] in ("empty", "red")


# What goes wrong ------------------------------------------------------------------------------


def test_a_worker_that_crashes_makes_its_phase_red(two, run, figures, states):
    """What it measured is lost with it, and the reason says whose data is missing."""
    two.makepyfile(
        test_library="""
            import os, library
            def test_first(): library.use()
            def test_crash(): os._exit(3)
            def test_last(): pass
        """
    )

    result = run("--phases=plan.md", "-n1")

    assert result.ret == 1
    assert states() == {"1": "red", "2": "blocked", "3": "green"}
    assert figures()["1"]["reached"] is None
    assert figures()["1"]["problem"] == "worker gw0 handed over no coverage data of phase 1"
    result.stdout.fnmatch_lines(["*worker gw0 handed over no coverage data of phase 1*"])


def test_a_worker_that_crashes_elsewhere_costs_nothing(two, run, figures, states):
    """What it has handed over before counts."""
    two.makepyfile(
        test_beside="""
            import os
            from journal import wait_for
            def test_beside():
                wait_for("judged 1")
                os._exit(3)
        """,
        conftest="""
            from journal import note
            def pytest_phases_threshold_judged(config, figure): note(f"judged {figure.id}")
        """,
    )

    assert run("--phases=plan.md", "-n2").ret == 1
    assert figures()["1"]["reached"] == 50
    assert states()["3"] == "red"


# The data -------------------------------------------------------------------------------------


@WORKERS
def test_the_data_is_left_in_the_format_of_coverage(workers, two, run):
    """One context per phase, and coverage's own commands report it, the same total as the threshold."""
    run("--phases=plan.md", workers)

    report = two.run(
        sys.executable,
        "-m",
        "coverage",
        "report",
        "--data-file=.phases/coverage/phases.coverage",
        "--include=library.py",
    )
    report.stdout.re_match_lines([r"library\.py +10 +5 +50%"])
    own = ["--contexts=^phase 1$", "--data-file=.phases/coverage/phases.coverage", "-m"]
    two.run(sys.executable, "-m", "coverage", "report", *own).stdout.re_match_lines(
        [r"library\.py +10 +7 .*"]
    )
    assert (
        two.run(sys.executable, "-m", "coverage", "html", "--data-file=.phases/coverage/phases.coverage").ret
        == 0
    )


NOT_IMPORTED = """
    import sys
    from journal import note

    def pytest_sessionfinish(session):
        note("end", coverage="coverage" in sys.modules)
"""


@WORKERS
@pytest.mark.parametrize("threshold", ["coverage: 50\n", ""], ids=["threshold", "no threshold"])
def test_coverage_is_imported_for_a_threshold_alone(
    workers, threshold, pytester, plan, run, journal, monkeypatch
):
    """Without any in the plan neither the controller nor a worker imports it."""
    plan(f"### Phase 1: One\ntests: [test_one.py]\ncovers: [library.py]\n{threshold}")
    pytester.makepyfile(
        library=module(5, 10),
        test_one="import library\ndef test_one(): library.use()",
        conftest=NOT_IMPORTED,
    )
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    assert run("-p", "xdist", "-p", "pytest_phases.plugin", "--phases=plan.md", workers).ret == 0
    assert {record["coverage"] for record in journal.records} == {bool(threshold)}
    assert len(journal.records) == (1 if workers == "-n0" else 3)
