"""pytest's own options beside a plan: they do what they do without one."""

from __future__ import annotations

import re

import pytest

WORKERS = pytest.mark.parametrize("workers", ["-n2", "-n0"])

PLAN = """
### Phase 1: Made first
dependencies: []
tests: [test_p1.py]
Build: it
```bash
echo built >> built.txt
```
### Phase 2: Needs it
dependencies: [1]
tests: [test_p2.py]
### Phase 3: Beside
dependencies: []
tests: [test_p3.py]
Build: other
```bash
echo other >> built.txt
```
"""

PHASE_2 = """
import pathlib, pytest
from journal import note
def test_good(): note("good")
def test_bad():
    note("bad")
    assert pathlib.Path("mended").exists()
@pytest.mark.slow
def test_slow(): note("slow")
"""


@pytest.fixture
def project(pytester, plan, journal):
    """Three phases, two with a stage; one test of phase 2 fails until a file `mended` exists."""
    plan(PLAN)
    pytester.makeini("[pytest]\nmarkers = slow: takes long")
    passes = "from journal import note\ndef test_{0}(): note({0!r})\n"
    pytester.makepyfile(test_p1=passes.format("p1"), test_p3=passes.format("p3"), test_p2=PHASE_2)
    return pytester


def built(pytester) -> list[str]:
    """The stages that have run, in order."""
    file = pytester.path / "built.txt"
    return file.read_text().split() if file.exists() else []


def forget(pytester, journal) -> None:
    """Nothing has run yet."""
    (pytester.path / "built.txt").unlink(missing_ok=True)
    journal.clear()


# How to stop ---------------------------------------------------------------------------------

MANY = """
import pytest
@pytest.mark.parametrize("number", range(200))
def test_many(number): assert number not in (0, 1, 2, 3)
"""


@pytest.mark.parametrize(
    ("workers", "option", "failures"),
    [("-n2", "-x", 1), ("-n2", "--maxfail=2", 2), ("-n0", "--maxfail=2", 2)],
)
def test_exitfirst_stops_dispatch(workers, option, failures, project, run, journal, states):
    """After the last failure that is allowed nothing new starts, and the run ends as failed."""
    project.makepyfile(test_p1=MANY)

    result = run("--phases", "plan.md", workers, option)

    assert result.ret == 1
    counts = result.parseoutcomes()
    assert counts["failed"] >= failures
    assert sum(counts.values()) < 150
    assert not {"good", "bad", "slow"} & set(journal.names)
    assert states()["1"] == "red"
    assert states()["2"] in ("blocked", "interrupted")
    result.stdout.fnmatch_lines(["*= phases =*", "*stopping after ? failures*"])


# What is shown -------------------------------------------------------------------------------


def test_run_without_terminal_is_judged_the_same(project, run, outcomes, states):
    """With -p no:terminal nothing is written, and status and junitxml are the same."""
    result = run("--phases", "plan.md", "-n2", "-p", "no:terminal")

    assert result.ret == 1
    assert result.outlines == []
    assert sorted(outcomes().as_dict().items()) == [
        ("build-it", "passed"), ("build-other", "passed"), ("test_bad", "failed"), ("test_good", "passed"),
        ("test_p1", "passed"), ("test_p3", "passed"), ("test_slow", "passed"),
    ]  # fmt: skip
    assert states() == {"1": "green", "2": "red", "3": "green"}


@pytest.mark.parametrize(("option", "counted"), [("-q", True), ("-qq", False)])
def test_quiet_run_shows_letters_and_the_last_line(option, counted, project, run):
    """With -q no line is written when a phase opens or closes; with -qq the last line goes too."""
    result = run("--phases", "plan.md", "-n0", option)

    assert result.ret == 1
    result.stdout.no_re_match_line(r"phase \d .* (opened|is green)")
    assert bool(re.match(r"1 failed, 6 passed in ", result.outlines[-1])) is counted


def test_progress_ends_at_a_hundred_per_cent(project, run):
    """Items of ours are in no count: the percentage never passes 100 and ends there."""
    project.makepyfile(test_p1=MANY.replace("(0, 1, 2, 3)", "()"), test_p2="def test_it(): pass")

    result = run("--phases", "plan.md", "-n2", "-v")

    shown = [int(number) for line in result.outlines for number in re.findall(r"\[ *(\d+)%\]", line)]
    assert len(shown) == 200 + 4
    assert shown == sorted(shown)
    assert shown[-1] == 100


def test_junitxml_counts_every_item_once(project, run):
    """The totals of junitxml are those of the last line, stages and blocked tests included."""
    project.makepyfile(
        test_p1="import pytest\ndef test_p1(): assert False\n@pytest.mark.skip\ndef test_s(): pass"
    )

    result = run("--phases", "plan.md", "-n2")

    assert result.parseoutcomes() == {"failed": 1, "passed": 3, "skipped": 1, "blocked": 3}
    (suite,) = re.findall(r"<testsuite .*?>", (project.path / "junit.xml").read_text())
    totals = dict(re.findall(r'(errors|failures|skipped|tests)="(\d+)"', suite))
    assert totals == {"errors": "0", "failures": "1", "skipped": "4", "tests": "8"}


@WORKERS
def test_collect_only_lists_items_and_runs_nothing(workers, project, run, journal):
    """--collect-only shows tests and stages, and neither runs them nor leaves files."""
    result = run("--phases", "plan.md", workers, "--collect-only", "-q")

    assert result.ret == 0
    listed = [line for line in result.outlines if "::" in line]
    assert sorted(listed) == [
        "plan.md::1::build-it", "plan.md::3::build-other", "test_p1.py::test_p1", "test_p2.py::test_bad",
        "test_p2.py::test_good", "test_p2.py::test_slow", "test_p3.py::test_p3",
    ]  # fmt: skip
    assert journal.names == built(project) == []
    assert not (project.path / ".phases").exists()


# What is selected ----------------------------------------------------------------------------


@WORKERS
def test_last_failed_runs_that_test_behind_its_stages(workers, project, run, journal):
    """After a failure --lf runs what failed, and the stages of what its phase depends on."""
    run("--phases", "plan.md", workers)
    forget(project, journal)
    (project.path / "mended").touch()

    result = run("--phases", "plan.md", workers, "--lf")

    assert result.ret == 0
    assert journal.names == ["bad"]
    assert built(project) == ["built"]
    assert result.parseoutcomes()["passed"] == 2


def test_failed_first_and_stepwise_keep_to_the_phases(project, run, journal):
    """--ff starts a phase with what failed in it; --sw stops at a failure and goes on from there."""
    run("--phases", "plan.md", "-n0")
    forget(project, journal)

    run("--phases", "plan.md", "-n0", "--ff")
    assert [name for name in journal.names if name in ("good", "bad", "slow")] == ["bad", "good", "slow"]
    assert journal.names.index("p1") < journal.names.index("bad")

    forget(project, journal)
    result = run("--phases", "plan.md", "-n0", "--sw")
    assert result.ret != 0
    assert "slow" not in journal.names
    (project.path / "mended").touch()
    forget(project, journal)
    result = run("--phases", "plan.md", "-n0", "--sw")
    assert result.ret == 0
    assert {"bad", "slow"} <= set(journal.names)
    assert "good" not in journal.names


SELECTIONS = [
    (["-k", "good"], ["good"], ["built"]),
    (["-m", "slow"], ["slow"], ["built"]),
    (["--deselect", "test_p2.py", "--deselect", "test_p1.py"], ["p3"], ["other"]),
    (["test_p3.py"], ["p3"], ["other"]),
    (["test_p2.py::test_good"], ["good"], ["built"]),
    (["--phases-only", "3"], ["p3"], ["other"]),
    (["--ignore", "test_p2.py", "-k", "p1 or p3"], ["p1", "p3"], ["built", "other"]),
]


@pytest.mark.parametrize(("arguments", "tests", "stages"), SELECTIONS, ids=" ".join)
def test_selection_takes_tests_and_the_stages_they_need(arguments, tests, stages, project, run, journal):
    """What selects tests takes these tests alone, with the stages of their phases and of what these need."""
    result = run("--phases", "plan.md", "-n0", *arguments)

    assert result.ret == 0
    assert sorted(journal.names) == tests
    assert sorted(built(project)) == stages


@WORKERS
def test_selection_of_nothing_is_said_as_always(workers, project, run, journal):
    """Where -k matches nothing, the exit status is 5 and no stage runs."""
    result = run("--phases", "plan.md", workers, "-k", "nothing_is_called_so")

    assert result.ret == 5
    assert journal.names == built(project) == []


def test_stage_is_selected_by_its_name(project, run, journal):
    """A stage is an item: -k finds it by its name, and its node id names it."""
    result = run("--phases", "plan.md", "-n2", "plan.md::3::build-other")

    assert result.ret == 0
    assert built(project) == ["other"]
    assert journal.names == []
