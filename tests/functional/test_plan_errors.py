"""What is wrong with a plan is told at once, as a usage error, and nothing has run by then."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def refused_at_once(refused):
    """As `refused`, of a run that ended before it started a worker."""

    def problems(result: pytest.RunResult) -> list[str]:
        assert "test session starts" not in result.stdout.str()
        return refused(result)

    return problems


@pytest.fixture
def one_test(pytester):
    """A project of one test, which notes that it ran."""
    pytester.makepyfile(test_a="from journal import note\ndef test_a(): note('a')\n")


# What the plan alone shows --------------------------------------------------------------------

BAD = """\
# A plan with a mistake of every kind
### Phase 1: First
dependencis: []
tests: [test_b.py, -k "a and", test_a.py]
requires: [bogus]
### Phase 2: Second
dependencies: [7]
tests: [-m "("]

Build: x
```perl
print
```
### Phase 2: Second again
dependencies: [3]
coverage: 185
### Phase 3: Third
dependencies: [2]
"""


@pytest.mark.usefixtures("one_test")
def test_all_problems_are_told_together(plan, run, refused_at_once, journal):
    """Mistakes of every kind come as one usage error, each with its line, before a worker starts."""
    plan(BAD)
    problems = refused_at_once(run("--phases", "plan.md", "-n2"))
    lines = [int(problem.split(":")[1]) for problem in problems]
    assert lines == sorted(lines)
    assert {3, 4, 5, 7, 8, 11, 14, 16} <= set(lines)
    assert "did you mean `dependencies`?" in problems[0]
    assert "'a and'" in problems[1]
    assert all(problem.startswith("plan.md:") for problem in problems)
    assert journal.names == []


@pytest.mark.usefixtures("one_test")
def test_a_test_path_that_does_not_exist_is_an_error(plan, run, refused_at_once):
    """A misspelled path is told before a worker starts, with the nearest that exists."""
    plan("### Phase 1: First\ntests: [test_b.py, /no/test_*.py]\n")
    (problem,) = refused_at_once(run("--phases", "plan.md", "-n2"))
    assert problem.startswith("plan.md:2: phase 1: tests: `test_b.py` does not exist; did you mean `test_a")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        pytest.param("plans.md", None, "plans.md: there is no such plan; correct the path", id="missing"),
        pytest.param("folder.md", os.mkdir, "folder.md: this is a folder", id="folder"),
        pytest.param("plan.md", b"# T\n\xff\xfe\x00", "plan.md:2: this line is not UTF-8", id="binary"),
        pytest.param("plan.txt", b"### Phase 1: A\n", "plan.txt: a plan ends in .md", id="suffix"),
        pytest.param("plan.md", b"", "plan.md:1: the plan has no phase", id="empty"),
        pytest.param("plan.toml", b"[[phase]\n", "plan.toml:1: ", id="toml"),
    ],
)
def test_what_is_no_plan_is_refused(name, content, problem, pytester, run, refused_at_once):
    """A file that cannot be read as a plan is named in a usage error."""
    if callable(content):
        content(pytester.path / name)
    elif content is not None:
        (pytester.path / name).write_bytes(content)
    (told,) = refused_at_once(run("--phases", name, "-n2"))
    assert told.startswith(problem)


def test_an_escape_sequence_in_a_mistake_does_not_reach_the_terminal(plan, run, refused_at_once):
    """What steers a terminal is shown as an escape, wherever in the plan it stands."""
    plan(
        "### Phase \x1b[31m1: \x1b]0;owned\x07\ndependencies: ['\x1b[2J']\n"
        "locks: ['\\u001b[2J']\ntest\x1b: a\n"
    )
    problems = refused_at_once(run("--phases", "plan.md", "-n2", "--color=no"))
    assert not {"\x1b", "\x07"} & set("".join(problems))


# What a stage may still make ------------------------------------------------------------------

MAKES = """\
### Phase 1: Make
Build:
```python
import sys
open("test_made.{suffix}", "w").write({text!r})
```
### Phase 2: Test
tests: [test_made.{suffix}]
### Phase 3: After
tests: [test_a.py]
"""


@pytest.mark.parametrize(
    ("workers", "suffix", "text"),
    [
        ("-n0", "py", "def test_made(): pass"),
        ("-n2", "py", "def test_made(): pass"),
        ("-n2", "txt", ">>> 1 + 1\n2\n"),
    ],
    ids=["one-py", "two-py", "two-txt"],
)
@pytest.mark.usefixtures("one_test")
def test_a_test_path_may_be_made_by_a_stage_before(workers, suffix, text, plan, run, journal, phases):
    """What a phase names and an earlier build stage makes is collected when the phase opens."""
    plan(MAKES.format(suffix=suffix, text=text))
    result = run("--phases", "plan.md", workers)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    assert phases()["2"]["tests"]["passed"] == 1
    assert journal.names[-1] == "a"


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
@pytest.mark.usefixtures("one_test")
def test_a_test_path_that_no_stage_makes_is_red_in_the_end(workers, plan, run, journal, phases):
    """A path that is still missing when its phase opens makes that phase red and blocks what follows."""
    plan(MAKES.format(suffix="py", text="").replace("test_made.py", "made.py", 1))
    result = run("--phases", "plan.md", workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert {name: phase["state"] for name, phase in phases().items()} == {
        "1": "green",
        "2": "red",
        "3": "blocked",
    }
    result.stdout.fnmatch_lines(["test_made.py does not exist; phase 2 names it, *"])
    result.assert_outcomes(passed=1, errors=1)
    assert journal.names == []


# What only collection shows -------------------------------------------------------------------


@pytest.mark.parametrize("how", ["-n2", "--phases-dry-run"])
@pytest.mark.usefixtures("one_test")
def test_selectors_that_match_nothing_are_told_after_collection(how, plan, run, refused, journal):
    """Node ids, globs and expressions without a test, and conflicts, are told together; nothing has run."""
    plan(
        "### Phase 1: First\ntests: [test_a.py::test_b, -k nowhere, other/test_*.py, test_a.py]\n"
        "### Phase 2: Second\ntests: [./test_a.py]\n"
    )
    result = run("--phases", "plan.md", how)
    conflict, *others = sorted(refused(result), key=lambda problem: "selects" not in problem)
    assert conflict.startswith("plan.md:4: phase 2 selects test_a.py::test_a by `./test_a.py`")
    assert "phase 1 (plan.md:2)" in conflict
    assert [problem.partition("; ")[0] for problem in others] == [
        "plan.md:2: phase 1: no test matches `test_a.py::test_b`",
        "plan.md:2: phase 1: no test matches `-k 'nowhere'`",
        "plan.md:2: phase 1: no test matches `other/test_*.py`",
    ]
    assert "did you mean `test_a.py::test_a`?" in others[0]
    assert "neither a plan" not in result.stdout.str()
    assert journal.names == []


@pytest.mark.parametrize(
    "restriction",
    [["test_b.py"], ["test_b.py::test_b"], ["--lf"], ["--ignore=test_a.py"], ["-k", "test_b"]],
    ids=["path", "node id", "lf", "ignore", "k"],
)
def test_a_selector_need_not_match_what_the_user_left_out(restriction, pytester, plan, run, outcomes):
    """A run that the user restricted takes what it finds and makes no mistake of the rest."""
    pytester.makepyfile(test_a="def test_a(): pass", test_b="def test_b(): assert True")
    plan("### Phase 1: First\ntests: [test_a.py::test_a]\n### Phase 2: Second\ntests: [test_b.py]\n")
    if restriction == ["--lf"]:
        cache = pytester.path / ".pytest_cache" / "v" / "cache"
        cache.mkdir(parents=True)
        (cache / "lastfailed").write_text('{"test_b.py::test_b": true}')
    result = run("--phases", "plan.md", "-n0", *restriction)
    assert result.ret == pytest.ExitCode.OK, result.stderr.str()
    assert outcomes().as_dict() == {"test_b": "passed"}
