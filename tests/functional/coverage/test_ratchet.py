"""`coverage: ratchet`: what a phase covers may grow and not shrink."""

from __future__ import annotations

import subprocess

import pytest

PLAN = "### Phase 1: Code\ntests: [test_code.py]\ncovers: [code_.py]\ncoverage: ratchet\n### Gate: Release\n"
CODE = "def used():\n    return 1\n\ndef unused():\n    return 2\n"
HALF = "import code_\n\ndef test_used():\n    assert code_.used() == 1\n"
WHOLE = f"{HALF}\ndef test_unused():\n    assert code_.unused() == 2\n"


@pytest.fixture
def commit(pytester: pytest.Pytester):
    """A function that writes the tests and commits everything, so that the tree is that of its commit."""

    def git(*words: str) -> None:
        who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
        subprocess.run(["git", *who, *words], cwd=pytester.path, check=True, capture_output=True)

    def commit(tests: str) -> None:
        (pytester.path / "test_code.py").write_text(tests, encoding="utf-8")
        git("add", "-A")
        git("commit", "-qm", "tests")

    git("init", "-q", "-b", "main")
    ignored = "junit.xml\nstdout\nstderr\nrunpytest-*\n__pycache__\n"
    (pytester.path / ".gitignore").write_text(ignored, encoding="utf-8")
    (pytester.path / "code_.py").write_text(CODE, encoding="utf-8")
    return commit


def test_coverage_may_grow_and_not_shrink(plan, run, states, figures, commit):
    """The first run sets the floor, a better one raises it, and a worse one is red."""
    plan(PLAN)
    commit(HALF)
    assert run("--phases", "plan.md", "-n1").ret == 0
    assert figures()["1"]["required"] == 0
    half = figures()["1"]["reached"]
    commit(WHOLE)
    assert run("--phases", "plan.md", "-n1").ret == 0
    assert figures()["1"]["required"] == half
    assert figures()["1"]["reached"] == 100
    commit(HALF)
    result = run("--phases", "plan.md", "-n1")
    assert result.ret == 1
    assert states()["1"] == "red"
    assert "coverage reached 75 %, required 100 %" in result.stdout.str()


def test_resuming_does_not_lower_the_floor(plan, run, states, commit):
    """A phase that is resumed is judged by what it has measured, and reaches what it had reached."""
    plan(PLAN)
    commit(WHOLE)
    assert run("--phases", "plan.md", "-n1").ret == 0
    result = run("--phases", "plan.md", "-n1", "--phases-resume")
    assert result.ret == 0
    assert states()["1"] == "green"
    assert "phase 1 resumed from" in result.stdout.str()
    result.stdout.fnmatch_lines(["gate (Release): green"])
