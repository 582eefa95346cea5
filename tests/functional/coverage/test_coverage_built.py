"""Code that a stage generates is judged as it is when its phase ends, whatever was there before."""

from __future__ import annotations

import pytest

PLAN = """
### Phase 1: Generate
dependencies: []
Build: generate
outputs: [made.py]
```python
from pathlib import Path

unused = int(Path("source").read_text())
lines = ["def used():", "    return 1", "", "def unused():", *["    x = 0"] * unused]
Path("made.py").write_text("\\n".join(lines) + "\\n")
```
### Phase 2: Use
dependencies: [1]
tests: [test_made.py]
covers: [made.py, kept.py]
coverage: 10
### Phase 3: Use again
dependencies: [2]
tests: [test_again.py]
covers: [made.py]
coverage: 10
"""

# Three statements that are executed: `def used`, what is in it, and `def unused`.
EXECUTED = 3
KEPT = 2


@pytest.fixture
def project(pytester, plan, journal):
    """A phase that generates a module from a number, and two that use it."""
    plan(PLAN)
    pytester.makepyfile(
        kept="def kept():\n    return 1\n",
        conftest="import kept",
        test_made="""
            import pytest
            from journal import note

            made = pytest.importorskip("made")
            import kept

            @pytest.mark.parametrize("number", range(4))
            def test_made(number):
                kept.kept()
                note("made", number=number)
                assert made.used() == 1
        """,
        test_again="""
            import subprocess, sys
            def test_again():
                import made
                assert made.used() == 1
                subprocess.run([sys.executable, "-c", "import made; made.unused()"], check=True)
        """,
    )
    return pytester


def write(project, unused: int) -> None:
    """How many statements the generated module has that nothing executes in its own process."""
    (project.path / "source").write_text(str(unused))


def expected(unused: int) -> dict[str, float]:
    """The figures of the phases that use it; the last one executes all of it."""
    return {"2": round(100 * (EXECUTED + KEPT) / (EXECUTED + KEPT + unused), 2), "3": 100}


@pytest.mark.parametrize("workers", ["-n0", "-n1", "-n2"])
def test_generated_code_is_covered_on_the_first_run(workers, project, run, reached):
    """It was not there when the run began, neither to list nor to measure."""
    write(project, 5)

    assert run("--phases=plan.md", workers).ret == 0
    assert reached() == expected(5)


def test_generated_code_is_covered_as_it_was_made_last(project, run, reached, journal):
    """Workers that had loaded what the run before had left are replaced."""
    write(project, 5)
    run("--phases=plan.md", "-n2")
    write(project, 15)
    journal.clear()

    result = run("--phases=plan.md", "-n2")

    assert result.ret == 0
    assert reached() == expected(15)
    assert len(journal.records) == 4


def test_lines_of_a_former_version_are_not_counted(project, run, reached):
    """A line that was executed when it was another statement is not covered by that."""
    write(project, 5)
    run("--phases=plan.md", "-n2")
    plan = project.path / "plan.md"
    # Now what stood first stands behind many other functions.
    more = '"def before():", *["    y = 0"] * 10, *[line for line in ["def used():", "    return 1"]]'
    plan.write_text(plan.read_text().replace('"def used():", "    return 1"', more))

    assert run("--phases=plan.md", "-n2").ret == 0
    # `def before` is executed and its ten lines are not.
    executed, unused = EXECUTED + KEPT + 1, 10 + 5
    assert reached()["2"] == round(100 * executed / (executed + unused), 2)
