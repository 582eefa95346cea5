"""What one sees of a run in the terminal, at every verbosity."""

from __future__ import annotations

import re

import pytest

PLAN = """\
# Größerer Plan
### Phase 1: Übersicht 構築
dependencies: []
tests: [test_a.py]
covers: [module.py]
coverage: 80
locks: [db]
Build: assets
```bash
touch made
```
### Phase 2: Fails
dependencies: [1]
tests: [test_b.py]
### Phase 3: Follows
dependencies: [2]
tests: [test_c.py]
### Phase 4: Says nothing
tests: [test_d.py]
### Gate: Deployment
"""

OUTPUT = """\
phases: plan.md, 4 phases in 3 waves, *, schedule waves
phases: plan.md:*: phase 4 states no dependencies and starts at once; write dependencies: `[[]]` to say so
phase 1 (Übersicht 構築) opened
phase 1 (Übersicht 構築): coverage reached 100 %, required 80 %
phase 1 (Übersicht 構築) is green: 2 passed
wave 1 closed
phase 2 (Fails) opened
phase 2 (Fails) is failing: 1 failed
phase 3 (Follows) is blocked by phase 2 (1 failed)
phase 2 (Fails) is red: 1 failed
wave 2 closed
wave 3 closed
=* FAILURES *=
=* phases *=
phase *state *passed *failed *skipped *blocked *stages *time
1 Übersicht 構築 *green * 1 * - * - * - *1/1 *s
2 Fails *red * - * 1 * - * - * - *s  1 failed
3 Follows *blocked * - * - * - * 1 * - * -  blocked by phase 2 (1 failed)
4 Says nothing *green * 1 * - * 1 * - * - *s
wave 1 (1, 4): planned 2 in parallel, ran * items at once for *s, workers *% idle
wave 2 (2): planned alone, ran *
wave 3 (3): planned alone, nothing ran
gate (Deployment): red
  red: phase 2 ended red: 1 failed
  red: phase 2: 1 test failed: test_b.py::test_b
  incomplete: phase 3 did not run: blocked by phase 2 (1 failed)
  incomplete: phase 3: 1 test was blocked: test_c.py::test_c
=* 1 failed, 3 passed, 1 skipped, 1 blocked in *
"""


@pytest.fixture
def project(pytester, plan):
    """A plan with one phase that is red, one that it blocks, and two that are green."""
    plan(PLAN)
    pytester.makepyfile(
        module="VALUE = 1",
        test_a="import module\ndef test_a(): pass",
        test_b="def test_b(): assert 0",
        test_c="def test_c(): pass",
        test_d="import pytest\ndef test_d(): pass\n@pytest.mark.skip\ndef test_s(): pass",
    )
    return pytester


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_run_tells_its_story(workers, run):
    """Header, notes, a line when a phase or wave opens or closes, the table, and how parallel it was."""
    result = run("--phases", "plan.md", workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(OUTPUT.replace("`[[]]`", "[[]]").splitlines())
    output = result.stdout.str()
    assert "\x1b" not in output
    assert output.count("phase 2 (Fails) opened") == output.count("wave 2 closed") == 1
    progress = [int(found) for found in re.findall(r"\[ *(\d+)%\]", output)]
    assert progress == sorted(progress)
    assert progress[-1] == 100


OPENED = "phase 1 (Übersicht 構築) opened"
HEADER = "phases: plan.md, 4 phases"
TABLE = "wave 1 (1, 4): planned 2 in parallel"
LAST = "1 failed, 3 passed, 1 skipped, 1 blocked in "


@pytest.mark.parametrize(
    ("options", "seen", "unseen"),
    [
        (["-v"], [HEADER, OPENED, TABLE, LAST, "BLOCKED (blocked by phase 2 (1 failed))"], []),
        (["-q"], [TABLE, LAST], [HEADER, OPENED, "wave 1 closed"]),
        (["-qq"], ["assert 0"], [HEADER, OPENED, "wave 1 closed", TABLE, LAST]),
        (["--no-header"], [OPENED, TABLE, LAST], [HEADER]),
        (["--no-summary"], [HEADER, OPENED, LAST], ["assert 0"]),
        (["-p", "no:terminal"], [], [HEADER, OPENED, TABLE, LAST]),
    ],
    ids=["v", "q", "qq", "no-header", "no-summary", "no-terminal"],
)
@pytest.mark.usefixtures("project")
def test_verbosity_is_pytests_own(options, seen, unseen, run, outcomes):
    """What pytest does not say at a verbosity, we do not say either; the outcomes are the same."""
    result = run("--phases", "plan.md", "-n0", *options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    output = result.stdout.str()
    assert [text for text in seen if text not in output] == []
    assert [text for text in unseen if text in output] == []
    assert outcomes()["test_c"] == "skipped"


@pytest.mark.usefixtures("project")
def test_colours_are_for_terminals(run):
    """Where pytest is in colour our lines are: what is red in red, what is green in green."""
    lines = run("--phases", "plan.md", "-n0", "--color=yes").outlines
    coloured = {re.sub("\x1b.*?m", "", line): line for line in lines if line.startswith("\x1b")}
    assert coloured["phase 2 (Fails) is red: 1 failed"].startswith("\x1b[31m")
    assert coloured["phase 1 (Übersicht 構築) is green: 2 passed"].startswith("\x1b[32m")
    assert any(line.startswith("3 Follows") and "\x1b[33m" in coloured[line] for line in coloured)


def test_a_plan_cannot_steer_the_terminal(pytester, plan, run):
    """Control characters and changes of direction in titles, names and reasons are shown as escapes."""
    plan(
        "# Title \x1b[31m\n### Phase 1: One \x1b]0;owned\x07 \u202e two\ntests: [test_a.py]\n"
        "requires: ['file:\\u202e']\n"
    )
    pytester.makepyfile(test_a="def test_a(): pass")
    shown = pytester.runpytest_subprocess("--phases", "plan.md", "-n0", "--color=no")
    output = shown.stdout.str() + shown.stderr.str()
    assert not {"\x1b", "\x07", "\u202e"} & set(output)
    assert "Traceback" not in output


# How parallel it was ------------------------------------------------------------------------------

PARALLEL = """\
### Phase 1: Left
dependencies: []
tests: [test_a.py]
### Phase 2: Right
dependencies: []
tests: [test_b.py]
"""


@pytest.fixture
def pair(pytester, plan, journal):
    """Two phases planned in parallel; a function says what each test does with the other's name."""
    plan(PARALLEL)

    def make(after: str) -> None:
        text = "from journal import note, wait_for\nimport time\ndef test_{0}():\n    note({0!r})\n    {1}\n"
        pytester.makepyfile(
            test_a=text.format("a", after.format("b")), test_b=text.format("b", after.format("a"))
        )

    return make


def test_what_overlapped_is_told_beside_what_was_planned(pair, run):
    """Two phases that wait for each other on two workers ran more than one item at once."""
    pair("wait_for({!r})")
    result = run("--phases", "plan.md", "-n2")
    assert result.ret == pytest.ExitCode.OK
    (found,) = re.findall(r"wave 1 \(1, 2\): planned 2 in parallel, ran (\S+) items", result.stdout.str())
    assert float(found) >= 1
    assert "one after another" not in result.stdout.str()


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_phases_that_ran_one_after_another_are_named(workers, pair, run):
    """What was planned in parallel, ran in turn and was worth the wait is a warning with the names."""
    pair("time.sleep(0.11)  # the least work that is told of")
    result = run("--phases", "plan.md", workers)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["warning: phase 1 (Left) and phase 2 (Right) were planned in parallel and ran one after another*"]
    )
