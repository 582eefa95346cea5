"""Stages as a user meets them: items of the plan with an order, a log, an end and a place in reports."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

WORKERS = pytest.mark.parametrize("workers", ["-n2", "-n0"])

EVERYTHING = """
# A plan with stages of every kind
### Phase 1: Base
Build:
```python
from journal import note, wait_for
note("build")
wait_for("other stage")
```
Build: other
```python
from journal import note, wait_for
note("other stage")
wait_for("build")
wait_for("test beside")
```
Build: facts
needs: [other]
cwd: sub
```bash
python -c 'import sys; print("interpreter", sys.executable)'
echo "folder $(pwd)"
echo "phase $PHASES_PHASE stage $PHASES_STAGE run ${#PHASES_RUN_ID} dir $PHASES_DIR"
echo "stdin <$(cat)>"
echo "of the worker: $(env | grep -c PYTEST_XDIST)" || true
echo "standard error" >&2
```
#### Stream A: Native
Build:
```sh
echo made > made-by-stream
```
### Phase 2: Use
dependencies: [1]
tests: [test_use.py]
```bash
echo this is prose > prose-was-run
```
Test: what was made
```bash
pytest test_plain.py
```
Testing: script
needs: [testing-late]
```bash
grep made made-by-stream
test -e late
```
Testing: late
```sh
touch late
```
### Gate: Deployment
Deploy:
```bash
touch deployed
```
"""


def _log(pytester, stage):
    return (pytester.path / ".phases" / "logs" / f"{stage}.log").read_text(encoding="utf-8")


def test_stages_are_items_that_workers_run(pytester, plan, run, journal):
    """Stages have node ids, run in parallel and beside tests, in the order of `needs`, each with a log."""
    plan(EVERYTHING)
    (pytester.path / "sub").mkdir()
    pytester.makepyfile(
        test_beside="""
        import pytest
        from journal import note, wait_for
        pytestmark = pytest.mark.phase(1)
        def test_beside():
            wait_for("other stage")
            note("test beside")
        """,
        test_use="def test_use(): assert open('made-by-stream').read() == 'made\\n'",
        test_plain="def test_plain(): pass",
    )
    result = run("--phases", "plan.md", "-n3", "-v")
    assert result.ret == 0, result.stdout.str()
    stages = (
        "1::build 1::build-other 1::build-facts 1/A::build 2::testing-script 2::testing-late".split()
    )  # what `pytest test_plain.py` selects is a test and no stage
    for stage in stages:
        result.stdout.fnmatch_lines([f"*PASSED plan.md::{stage} *"])
    cases = [
        (case.get("classname"), case.get("name"))
        for case in ElementTree.parse(pytester.path / "junit.xml").iter("testcase")
    ]
    assert ("plan.md.1/A", "build") in cases
    assert len(cases) == len(set(cases)) == len(stages) + 3
    assert _log(pytester, "1/build-facts").splitlines() == [
        f"interpreter {Path(sys.executable).parent / 'python'}",
        f"folder {pytester.path / 'sub'}",
        f"phase 1 stage build-facts run 32 dir {pytester.path / '.phases'}",
        "stdin <>",
        "of the worker: 0",
        "standard error",
    ]
    assert not (pytester.path / "prose-was-run").exists()
    assert not (pytester.path / "deployed").exists()


def test_stages_are_collected_with_the_tests(plan, run, pytester):
    """`--collect-only` lists stages by their node ids, and runs none."""
    plan(EVERYTHING)
    pytester.makepyfile(test_use="def test_use(): pass", test_plain="def test_plain(): pass")
    result = run("--phases", "plan.md", "--collect-only", "-q")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["plan.md::1::build", "plan.md::1::build-other", "plan.md::1/A::build"])
    assert "deploy" not in result.stdout.str()
    assert not (pytester.path / ".phases" / "logs").exists()


BAD_ENDS = """
### Phase 1: Bad ends
dependencies: []
timeout: 1s
tests: [test_beside.py]
Build: status
```bash
echo "a long story about $DEPLOY_TOKEN"
echo "its last line"
exit 3
```
Build: after
needs: [status]
```bash
touch after-was-run
```
Build: afterwards
needs: [after]
```bash
touch after-was-run
```
Build: signal
```bash
kill -TERM $$
```
Build: own time
timeout: 0.5s
```bash
sleep 60
```
Build: time of the phase
```bash
sleep 60
```
Build: pipe
```bash
false | true
```
Build: silent
```python
raise SystemExit(4)
```
### Phase 2: Blocked
dependencies: [1]
tests: [test_blocked.py]
Build: blocked
```bash
touch after-was-run
```
### Phase 3: Independent
dependencies: []
Build: leaves one
```bash
sleep 60 &
echo started
```
### Phase 4: Without the folder that phase 3 should have made
dependencies: [3]
Build: folder
cwd: nowhere
```bash
true
```
"""


@WORKERS
def test_how_a_stage_ends_is_told(pytester, plan, run, outcomes, phases, monkeypatch, workers):
    """A stage that ends badly makes its phase red and says how; what needs it is blocked, and only that."""
    monkeypatch.setenv("DEPLOY_TOKEN", "hunter2hunter2")
    plan(BAD_ENDS)
    pytester.makepyfile(test_beside="def test_beside(): pass", test_blocked="def test_blocked(): pass")
    result = run("--phases", "plan.md", workers)
    assert result.ret == 1
    ends = {
        "build-status": "exit status 3",
        "build-signal": "ended by signal SIGTERM",
        "build-own-time": "timed out after 0.5 s",
        "build-time-of-the-phase": "timed out after 1 s",
        "build-pipe": "exit status 1",
        "build-silent": "exit status 4",
    }
    report = outcomes()
    for stage, end in ends.items():
        assert report[stage] == "failed"
        begin = f"{end}: stage {stage} of phase 1 (plan.md:"
        assert report.message(stage).startswith(begin), report.message(stage)
        assert end in result.stdout.str()
    assert report.message("build-status").endswith(
        "the last it printed (all of it is in .phases/logs/1/build-status.log):\n\n"
        "a long story about ***\nits last line"
    )
    assert report.message("build-silent").endswith("it printed nothing")
    assert report.message("build-after") == "blocked by stage build-status (failed)"
    assert report.message("build-afterwards") == "blocked by stage build-status (failed)"
    for blocked in ("build-blocked", "test_blocked"):
        assert report.message(blocked) == "blocked by phase 1 (1 failed)"
    assert "nowhere" in report.message("build-folder")
    assert report["test_beside"] == report["build-leaves-one"] == "passed"
    assert {name: phase["state"] for name, phase in phases().items()} == {
        "1": "red", "2": "blocked", "3": "green", "4": "red",
    }  # fmt: skip
    junit = (pytester.path / "junit.xml").read_text(encoding="utf-8")
    for told in (_log(pytester, "1/build-status"), result.stdout.str(), junit):
        assert "hunter2" not in told
    log = _log(pytester, "3/build-leaves-one")
    assert log.startswith("started\npytest-phases: ended 1 process that the stage left running:")
    assert not (pytester.path / "after-was-run").exists()


def test_a_stage_that_calls_pytest_is_no_fork_bomb(pytester, plan, run, outcomes):
    """Inside a stage the ini file's plan is not run again, and `--phases` of the same plan is refused."""
    pytester.makeini("[pytest]\nphases_plan = plan.md\n")
    plan(
        """
### Phase 1: Nested
tests: [test_plain.py]
Testing: ini
```bash
python -m pytest -p no:cacheprovider -q test_plain.py | grep '1 passed'
python -m pytest -p no:cacheprovider --phases other.md -n0 -q | grep '1 passed'
python -m pytest --phases ./plan.md && false || test $? = 4
```
"""
    )
    plan("### Phase 1: Other\ntests: [test_plain.py]\n", "other.md")
    pytester.makepyfile(test_plain="def test_plain(): pass")
    result = run("-n2")
    assert result.ret == 0, result.stdout.str()
    assert outcomes().as_dict() == {"testing-ini": "passed", "test_plain": "passed"}
    refused = "--phases ./plan.md: this pytest was started by stage testing-ini"
    assert refused in _log(pytester, "1/testing-ini")


SELECTION = """
### Phase 1: Base
Build: base
```bash
test ! -e broken
```
### Phase 2: One
dependencies: [1]
tests: [test_one.py]
Build: one
```bash
true
```
Build: other
needs: [one]
```bash
true
```
### Phase 3: Two
dependencies: [1]
tests: [test_two.py]
Build: two
```bash
true
```
"""


@pytest.mark.parametrize(
    ("args", "ran"),
    [
        (["-k", "test_one"], ["build-base", "build-one", "build-other", "test_one"]),
        (["-m", "slow"], ["build-base", "build-two", "test_two"]),
        (["test_two.py::test_two"], ["build-base", "build-two", "test_two"]),
        (["plan.md::2::build-one"], ["build-base", "build-one"]),
        (["plan.md::2::build-other"], ["build-base", "build-one", "build-other"]),
        (["plan.md::1::build-base", "-n2"], ["build-base"]),
        (["plan.md::3"], ["build-base", "build-two"]),
        (["--phases-only=3"], ["build-two", "test_two"]),
    ],
    ids=" ".join,
)
def test_stages_follow_the_selection(pytester, plan, run, outcomes, args, ran):
    """What is selected selects the stages of its phase and of what that depends on; a node id names one."""
    plan(SELECTION)
    pytester.makeini("[pytest]\nmarkers = slow\n")
    pytester.makepyfile(
        test_one="def test_one(): pass",
        test_two="import pytest\n@pytest.mark.slow\ndef test_two(): pass",
    )
    result = run("--phases", "plan.md", *(args if "-n2" in args else ("-n0", *args)))
    assert result.ret == 0, result.stdout.str()
    assert sorted(outcomes().as_dict()) == ran


@WORKERS
def test_last_failed_after_a_stage_failed(pytester, plan, run, outcomes, workers):
    """What a failed stage has blocked has not been tested, so `--lf` after it runs everything."""
    plan(SELECTION)
    pytester.makepyfile(test_one="def test_one(): pass", test_two="def test_two(): pass")
    (pytester.path / "broken").touch()
    assert run("--phases", "plan.md", workers).ret == 1
    assert set(outcomes().as_dict().values()) == {"failed", "skipped"}
    (pytester.path / "broken").unlink()
    result = run("--phases", "plan.md", workers, "--lf")
    assert result.ret == 0, result.stdout.str()
    assert set(outcomes().as_dict().values()) == {"passed"}
    assert len(outcomes().cases) == 6
