"""What happens rarely: markers that come too late, plugins that reorder, workers that die at a bad moment."""

from __future__ import annotations

import pytest


@pytest.fixture
def project(plan, pytester: pytest.Pytester):
    """A function that writes a plan and test modules, named by their keywords."""

    def write(text: str, **modules: str) -> None:
        plan(text)
        pytester.makepyfile(**modules)

    return write


@pytest.mark.parametrize("workers", ["-n2", "-n0"])
@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ('pytest.mark.phase("later")', "makes phase later, which the plan lacks"),
        ("pytest.mark.phase(3, deps=[2])", "says more of phase 3 than the plan"),
    ],
)
def test_a_marker_that_comes_too_late_is_told(project, run, states, workers, mark, message) -> None:
    """It could be read only after a stage had run, so its module's phase is red and says what to write."""
    project(
        """
### Phase 1: Build
Build:
```python
open("made.py", "w").write("")
```

### Phase 2: Use
dependencies: [1]
tests: [test_use.py]

### Phase 3: Other
dependencies: [1]
tests: [test_other.py]
""",
        test_use=f"""
            import made, pytest
            @{mark}
            def test_marked(): pass
            """,
        test_other="def test_other(): pass",
    )

    result = run("--phases", "plan.md", workers)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert states() == {"1": "green", "2": "red", "3": "green"}
    result.stdout.re_match_lines([rf".*test_use\.py:2: .*{message}; write it into the plan \[late-marker\]"])


@pytest.mark.parametrize("workers", ["-n2", "-n0"])
def test_items_keep_their_phase_whatever_reorders_them(project, run, states, pytester, workers) -> None:
    """A plugin that has the last word on the order of items does not move them to another phase."""
    project(
        "### Phase 1: One\ntests: [sub/test_a.py]\n\n### Phase 2: Two\ntests: [sub/test_b.py]",
        **{"sub/test_a": "def test_a(): assert 0", "sub/test_b": "def test_b(): pass"},
    )
    pytester.path.joinpath("sub", "conftest.py").write_text(
        "import pytest\n"
        "@pytest.hookimpl(wrapper=True, tryfirst=True)\n"
        "def pytest_collection_modifyitems(items):\n"
        "    yield\n"
        "    items.reverse()\n"
    )

    run("--phases", "plan.md", workers)

    assert states() == {"1": "red", "2": "blocked"}


def test_a_worker_that_dies_after_its_last_report(project, run, states, outcomes, pytester) -> None:
    """Its item keeps its outcome, the death is an error of that phase, and the run goes on to its end."""
    project(
        "### Phase 1: One\ndependencies: []\ntests: [test_one.py]\n\n"
        "### Phase 2: Two\ndependencies: []\ntests: [test_two.py]",
        test_one="def test_last(): pass",
        test_two="import pytest\n@pytest.mark.parametrize('n', range(6))\ndef test_two(n): pass",
    )
    pytester.makeconftest(
        "import os, time\n"
        "def pytest_runtest_logfinish(nodeid):\n"
        "    if 'PYTEST_XDIST_WORKER' in os.environ and nodeid.endswith('test_last'):\n"
        "        time.sleep(0.2)  # so that the reports are sent\n"
        "        os._exit(3)\n"
    )

    result = run("--phases", "plan.md", "-n2")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert states() == {"1": "red", "2": "green"}
    assert [outcomes()[f"test_two[{number}]"] for number in range(6)] == ["passed"] * 6


def test_blocked_stages_hold_up_nothing_below_a_sync_point(project, run, states) -> None:
    """A module is collected when all stages above are closed, those that never ran included."""
    project(
        """
### Phase 1: Build
dependencies: []
Build:
```python
open("made.py", "w").write("")
```

### Phase 2: Fails
dependencies: []
Build:
```bash
false
```

### Phase 3: Blocked
dependencies: [2]
Build:
```bash
true
```

### Sync: All of it

### Phase 4: Use
dependencies: [1]
tests: [test_use.py]
""",
        test_use="import made\ndef test_use(): pass",
    )

    run("--phases", "plan.md", "-n2")

    assert states() == {"1": "green", "2": "red", "3": "blocked", "4": "green"}


@pytest.mark.parametrize("workers", ["-n1", "-n0"])
def test_what_is_built_with_the_same_content_is_not_new(
    project, run, states, journal, pytester, workers
) -> None:
    """A file that is written again as it was neither replaces a worker nor makes one process stale."""
    project(
        """
### Phase 1: Build
Build:
```python
open("made.py", "w").write("WORD = 1")
```

### Phase 2: Use
tests: [test_use.py]
""",
        test_use="import made\nfrom journal import note\ndef test_use(): note('use')",
    )
    # Exactly what the stage will write; `makepyfile` may end the line.
    pytester.path.joinpath("made.py").write_text("WORD = 1", encoding="utf-8")

    run("--phases", "plan.md", workers)

    assert states() == {"1": "green", "2": "green"}
    assert journal["use"]["worker"] in ("gw0", "master")
