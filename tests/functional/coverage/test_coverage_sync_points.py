"""A sync point is judged by everything above it and nothing else; so is the gate, by all there is."""

from __future__ import annotations

import pytest

LIBRARY = """
    def first():
        return 1

    def second():
        return 2

    def third():
        return 3

    def fourth():
        return 4
"""

# Above it six of the eight statements are executed: 75 per cent.
PLAN = """
### Phase 1: First
dependencies: []
tests: [test_first.py]
covers: [library.py]
### Phase 2: Second
dependencies: []
tests: [test_second.py]
### Sync: Frozen
coverage: {required}
### Phase 3: Below
dependencies: []
tests: [test_below.py]
### Phase 4: Below all
dependencies: [3]
tests: [test_last.py]
"""


@pytest.fixture
def project(pytester, journal):
    """Two phases above a sync point and two below; each executes another function of the library."""
    pytester.makepyfile(
        library=LIBRARY,
        test_first="import library\ndef test_first(): library.first()",
        test_second="import library\ndef test_second(): library.second()",
        test_below="import library\ndef test_below(): library.third()",
        test_last="import library\ndef test_last(): library.fourth()",
        test_unphased="import library\ndef test_unphased(): library.third()",
    )
    return pytester


@pytest.mark.parametrize(
    "way", [["-n0"], ["-n2"], ["-n2", "--phases-schedule=flow"]], ids=["n0", "n2", "n2-flow"]
)
def test_a_missed_threshold_blocks_everything_below(way, project, plan, run, reached, states):
    """The phases above stay green, and nothing below runs; tests that no phase names stand below too."""
    plan(PLAN.format(required=80))

    result = run("--phases=plan.md", *way)

    assert list(reached().values()) == [75]
    assert result.ret == 1
    assert states() == {"1": "green", "2": "green", "3": "blocked", "4": "blocked", "unphased": "blocked"}


def test_a_reached_threshold_opens_what_is_below(project, plan, run, figures, states):
    """What is enough blocks nothing."""
    plan(PLAN.format(required=75))

    assert run("--phases=plan.md", "-n2").ret == 0
    (figure,) = figures().values()
    assert (figure["kind"], figure["reached"], figure["passed"]) == ("sync point", 75, True)
    assert set(states().values()) == {"green"}


def test_sync_points_and_phases_are_judged_by_what_is_above_each(project, plan, run, reached):
    """A second sync point counts what the first does and more; a phase below counts for itself alone."""
    plan(PLAN.format(required=50) + "covers: [library.py]\ncoverage: 10\n### Sync: Ready\ncoverage: 50\n")

    run("--phases=plan.md", "-n2")

    assert sorted(reached().values()) == [62.5, 75, 100]
    assert reached()["4"] == 62.5


def test_a_red_phase_above_does_not_keep_a_sync_point_from_being_judged(project, plan, run, figures, states):
    """A sync point waits until everything above is closed, in whatever state."""
    plan(PLAN.format(required=80))
    project.makepyfile(test_second="def test_second(): assert False")

    run("--phases=plan.md", "-n0")

    (figure,) = figures().values()
    assert (figure["reached"], figure["passed"]) == (62.5, False)
    assert states()["3"] == "blocked"


def test_a_sync_point_is_judged_over_the_covers_of_all_above(project, plan, run, reached):
    """Files that phases above are answerable for count together, whoever executes them."""
    plan(
        PLAN.format(required=10).replace(
            "tests: [test_second.py]", "tests: [test_second.py]\ncovers: [more.py]"
        )
    )
    project.makepyfile(
        more="def one():\n    return 1\n\ndef two():\n    return 2\n",
        test_first="import library, more\ndef test_first(): library.first(); more.two()",
    )

    run("--phases=plan.md", "-n2")

    # Eight statements of which six, and four of which three.
    assert list(reached().values()) == [75]


def test_phases_without_covers_answer_for_the_configured_source(project, plan, run, reached):
    """That is the whole of it, files that nobody imports too."""
    plan("### Phase 1: First\ntests: [test_first.py]\ncoverage: 30\n### Sync: All\ncoverage: 30\n")
    package = project.mkpydir("pkg")
    (package / "used.py").write_text("def used():\n    return 1\n")
    (package / "never.py").write_text("one = 1\ntwo = 2\n")
    (project.path / ".coveragerc").write_text("[run]\nsource = pkg\n")
    project.makepyfile(test_first="from pkg import used\ndef test_first(): used.used()")

    assert run("--phases=plan.md", "-n2").ret == 0
    assert list(reached().values()) == [50, 50]


def test_a_sync_point_is_not_judged_where_tests_above_were_left_out(project, plan, run, figures, states):
    """What is left says nothing, so it holds nobody."""
    plan(PLAN.format(required=100))

    assert run("--phases=plan.md", "-n2", "--deselect=test_second.py::test_second").ret == 0
    assert figures() == {}
    assert states()["4"] == "green"
