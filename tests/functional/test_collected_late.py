"""Test modules that cannot be collected before something is built are collected when their phase opens."""

from __future__ import annotations

import re

import pytest

WORKERS = pytest.mark.parametrize("workers", ["-n2", "-n0"])


def _is_right(result):
    """Whether progress went to 100 per cent and never over it."""
    shown = [int(found) for found in re.findall(r"\[ *(\d+)%\]", result.stdout.str())]
    return shown[-1] == max(shown) == 100


DATA = """
### Phase 1: Data
dependencies: []
Build: data
```bash
echo "[1, 2]" > data.json
```
### Phase 2: Use
dependencies: [1]
tests: [test_data.py]
"""


@WORKERS
def test_workers_stay_where_nothing_importable_was_built(pytester, plan, run, outcomes, journal, workers):
    """A module that only reads what was built is collected late by the workers that there are."""
    plan(DATA)
    pytester.makepyfile(
        test_data="""
        import json, pytest
        from journal import note
        @pytest.mark.parametrize("number", json.load(open("data.json")))
        def test_data(number):
            note("data")
        """
    )
    result = run("--phases", "plan.md", workers, "-v")
    assert result.ret == 0, result.stdout.str()
    assert set(outcomes().as_dict()) == {"build-data", "test_data[1]", "test_data[2]"}
    assert _is_right(result)
    assert {record["worker"] for record in journal.records} <= {"gw0", "gw1", "master"}


GENERATED = """
### Phase 1: Generate tests
dependencies: []
tests: [tests/test_old.py]
Build: tests
```bash
mkdir -p generated
echo 'def test_named(): pass' > test_named.py
echo 'def test_new(): pass' > tests/test_new.py
for name in a b; do echo "def test_$name(): pass" > generated/test_$name.py; done
```
### Phase 2: Named
dependencies: [1]
tests: [test_named.py]
### Phase 3: Folders
dependencies: [1]
tests: [tests/, "generated/test_*.py"]
"""


@WORKERS
def test_a_stage_may_make_tests(pytester, plan, run, outcomes, phases, workers):
    """Test files that do not exist at the start are collected once a stage has made them."""
    plan(GENERATED)
    pytester.mkdir("tests").joinpath("test_old.py").write_text("def test_old(): pass\n")
    result = run("--phases", "plan.md", workers, "-v")
    assert result.ret == 0, result.stdout.str()
    tests = {"test_old", "test_named", "test_new", "test_a", "test_b"}
    assert set(outcomes().as_dict()) == {"build-tests", *tests}
    assert {name: phase["tests"]["passed"] for name, phase in phases().items()} == {"1": 1, "2": 1, "3": 3}
    assert _is_right(result)


BROKEN = """
### Phase 1: Builds
dependencies: []
Build: works
```bash
echo "VALUE = 1" > made.py
```
### Phase 2: Some of it cannot be imported
dependencies: [1]
tests: [test_still_broken.py, test_fine.py]
### Phase 3: Does not build
dependencies: []
Build: fails
```bash
exit 1
```
### Phase 4: Is never collected
dependencies: [3]
tests: [test_put_off.py]
### Phase 5: Nothing is built for it
dependencies: []
tests: [test_broken.py, test_whole.py]
"""


@pytest.mark.parametrize(("workers", "mode"), [("-n2", "prepend"), ("-n0", "importlib")])
def test_what_cannot_be_imported_is_reported_once(pytester, plan, run, outcomes, phases, workers, mode):
    """A module that no stage could mend fails at once, another when its phase opens, a blocked one never."""
    plan(BROKEN)
    pytester.makepyfile(
        test_still_broken="def test_before(): pass\nimport nowhere\ndef test_still_broken(): pass",
        # `test_before` would be all there is if the half of it were taken for the whole.
        test_fine="def test_before(): pass\nimport made\ndef test_fine(): pass",
        test_marked="import made, pytest\npytestmark = [pytest.mark.phase(2)]\ndef test_marked(): pass",
        test_put_off="import made_by_phase_3\ndef test_put_off(): pass",
        test_broken="import nowhere\ndef test_broken(): pass",
        test_whole="def test_whole(): pass",
    )
    result = run("--phases", "plan.md", workers, "-v", f"--import-mode={mode}")
    assert result.ret == 1
    assert sorted(outcomes().cases) == [
        ("build-fails", "failed", outcomes().message("build-fails")),
        ("build-works", "passed", ""),
        ("test_before", "passed", ""),
        ("test_broken", "error", "collection failure"),
        ("test_fine", "passed", ""),
        ("test_marked", "passed", ""),
        ("test_put_off", "skipped", "blocked by phase 3 (1 failed)"),
        ("test_still_broken", "error", "collection failure"),
        ("test_whole", "passed", ""),
    ]
    assert _is_right(result)
    result.assert_outcomes(passed=5, failed=1, errors=2)
    assert phases()["2"]["tests"]["passed"] == 3
    assert {name: phase["state"] for name, phase in phases().items()} == {
        "1": "green", "2": "red", "3": "red", "4": "blocked", "5": "red",
    }  # fmt: skip
    result.stdout.fnmatch_lines(["test_put_off.py BLOCKED*"])


@WORKERS
def test_a_conftest_cannot_import_what_is_built(pytester, plan, run, phases, workers):
    """A conftest is loaded before any stage runs; the message says so, and what to do."""
    plan(BROKEN)
    (pytester.path / "conftest.py").write_text("import made")
    result = run("--phases", "plan.md", workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = "*a conftest is loaded before any stage runs*"
    result.stderr.fnmatch_lines([f"*conftest.py: {told}", "*No module named 'made'*"])
    (pytester.path / "conftest.py").unlink()
    deep = pytester.mkdir("deep")
    (deep / "conftest.py").write_text("import made")
    (deep / "test_deep.py").write_text("def test_deep(): pass")
    plan(BROKEN.partition("tests:")[0] + "tests: [deep/]\n")
    result = run("--phases", "plan.md", workers)
    assert result.ret == 1
    assert {name: phase["state"] for name, phase in phases().items()} == {"1": "green", "2": "red"}
    result.stdout.fnmatch_lines(["*No module named 'made'*", told])
