"""Locks: what excludes each other never runs at the same time, and everything else goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import combinations

import pytest

SPAN = "from journal import note, span, wait_for\nimport pytest, time\n"


@pytest.fixture
def write(pytester: pytest.Pytester) -> Callable[..., None]:
    """A function that writes test modules which use the journal."""

    def write(**modules: str) -> None:
        pytester.makepyfile(**{name: f"{SPAN}{text}" for name, text in modules.items()})

    return write


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two spans have a moment in common."""
    return one[0] < other[1] and other[0] < one[1]


LOCKED = """
@pytest.mark.lock("db")
@pytest.mark.parametrize("number", range(4))
def test_{name}(number):
    with span(f"{name} {{number}}"):
        time.sleep(0.02)
"""


BESIDE = (
    "### Phase 1: A\ntests: [test_a.py]\n{first}\n### Phase 2: B\ndeps: []\ntests: [test_b.py]\n{second}\n"
)
TWO = BESIDE.format(first="", second="")


@pytest.mark.parametrize("plan_text", ["", TWO], ids=["without-a-plan", "with-a-plan"])
def test_marked_tests_take_turns(plan, write, run, journal, plan_text):
    """Within a module, across phases, and in a run that has no plan at all."""
    write(test_a=LOCKED.format(name="a"), test_b=LOCKED.format(name="b"))
    if plan_text:
        plan(plan_text)
    result = run(*(["--phases", "plan.md"] if plan_text else []), "-n2")
    assert result.ret == 0, result.stdout.str()
    spans = sorted(journal.span(f"{name} {number}") for name in "ab" for number in range(4))
    assert len(spans) == 8
    assert not any(overlap(one, other) for one, other in combinations(spans, 2))


def test_who_shares_a_lock_runs_together(plan, write, run, journal):
    """Two readers wait for one another, and a writer keeps from both."""
    write(
        test_a='@pytest.mark.lock("db", shared=True)\ndef test_a():\n    note("a")\n    wait_for("b")\n',
        test_b='@pytest.mark.lock("db", shared=True)\ndef test_b():\n    note("b")\n    wait_for("a")\n',
    )
    plan(TWO)
    result = run("--phases", "plan.md", "-n2")
    assert result.ret == 0, result.stdout.str()


def test_nobody_idles_for_a_lock(plan, write, run, journal):
    """While one test has the lock, the other worker does what needs none, and leaves the second for later."""
    write(
        test_a='@pytest.mark.lock("db")\ndef test_a():\n    with span("a"):\n        wait_for("free")\n',
        test_b=(
            '@pytest.mark.lock("db")\ndef test_b():\n    with span("b"):\n        pass\n\n'
            'def test_free():\n    note("free")\n'
        ),
    )
    plan(TWO)
    result = run("--phases", "plan.md", "-n2")
    assert result.ret == 0, result.stdout.str()
    assert not overlap(journal.span("a"), journal.span("b"))


TURNS = """
def test_{name}():
    with span("{name}"):
        time.sleep(0.05)
def test_{name}_too():
    with span("{name} too"):
        time.sleep(0.05)
"""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param("modifies: [data]\nserialize: true", "modifies: [data/b]", id="modifies"),
        pytest.param("modifies: [data]", "reads: [data/b]", id="modifies-and-reads"),
        pytest.param("locks: [db]", "locks: [db, api]", id="locks"),
    ],
)
@pytest.mark.parametrize("schedule", ["waves", "flow"])
def test_phases_take_turns(plan, write, run, journal, first, second, schedule):
    """A phase has what it states to itself from its first item until it is closed."""
    write(test_a=TURNS.format(name="a"), test_b=TURNS.format(name="b"))
    plan(BESIDE.format(first=first, second=second))
    result = run("--phases", "plan.md", "-n2", "--phases-schedule", schedule)
    assert result.ret == 0, result.stdout.str()
    spans = {name: journal.span(name) for name in ("a", "a too", "b", "b too")}
    whole = [(min(spans[n][0], spans[f"{n} too"][0]), max(spans[n][1], spans[f"{n} too"][1])) for n in "ab"]
    assert not overlap(*whole)


def test_phases_that_only_read_run_together(plan, write, run, journal):
    """What several read is shared by all of them."""
    write(
        test_a='def test_a():\n    note("a")\n    wait_for("b")\n',
        test_b='def test_b():\n    note("b")\n    wait_for("a")\n',
    )
    plan(BESIDE.format(first="reads: [data]", second="reads: [data]"))
    assert run("--phases", "plan.md", "-n2").ret == 0


def test_stages_have_locks_of_their_own(plan, write, run, journal, beside):
    """A stage keeps out the tests of its phase that need the same; the others run beside it."""
    locked = '@pytest.mark.lock("db")\ndef test_locked():\n    note("locked")\n'
    write(test_a=f'{locked}\ndef test_free():\n    note("free")\n')
    script = "from journal import span, wait_for\nwith span('stage'):\n    wait_for('free')\n"
    plan(f"### Phase 1: A\ntests: [test_a.py]\nBuild: db\nlocks: [db]\n```python\n{script}```\n")
    result = run("--phases", "plan.md", "-n2")
    assert result.ret == 0, result.stdout.str()
    begin, end = journal.span("stage")
    assert not begin < journal["locked"]["at"] < end


def test_the_locks_file_says_who_has_what(pytester, plan, write, run, journal):
    """While a test runs its lock stands there, and after the run none does."""
    look = """
import json, pathlib

@pytest.mark.lock("db")
def test_a():
    end = time.monotonic() + 30
    while time.monotonic() < end:
        data = json.loads(pathlib.Path(".phases/RESOURCE_LOCKS.json").read_text())
        if any("db" in lock["locked_paths"] for lock in data["locks"]):
            return
        time.sleep(0.02)
    raise AssertionError(data)
"""
    write(test_a=look)
    plan("### Phase 1: A\ntests: [test_a.py]\n")
    result = run("--phases", "plan.md", "-n2")
    assert result.ret == 0, result.stdout.str()
    left = json.loads((pytester.path / ".phases" / "RESOURCE_LOCKS.json").read_text(encoding="utf-8"))
    assert left["locks"] == left["waiting"] == []


# Across runs ---------------------------------------------------------------------------------------


@pytest.fixture
def neighbour(tmp_path_factory: pytest.TempPathFactory, pytester, journal, beside) -> subprocess.Popen[str]:
    """Another run, in a project of its own, that has the lock `db` until `let go` is noted."""
    folder = tmp_path_factory.mktemp("neighbour")
    locks = folder / "locks"
    held = '@pytest.mark.lock("db")\ndef test_held():\n    with span("theirs"):\n        wait_for("let go")\n'
    (folder / "test_held.py").write_text(f"{SPAN}{held}", encoding="utf-8")
    ini = f"[pytest]\nlock_dir = {locks}\n"
    (folder / "pytest.ini").write_text(ini, encoding="utf-8")
    (pytester.path / "pytest.ini").write_text(ini, encoding="utf-8")
    (folder / "plan.md").write_text("### Phase 1: A\ntests: [test_held.py]\n", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--phases", "plan.md", "-n1", "-pno:randomly"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + 60
    while "theirs" not in journal.names:
        assert time.monotonic() < end, process.communicate()[0]
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_another_run_is_waited_for(plan, write, run, journal, neighbour, workers):
    """What needs no lock runs meanwhile; what needs it runs when the other run has let it go."""
    write(
        test_a='@pytest.mark.lock("db")\ndef test_ours():\n    with span("ours"):\n        pass\n',
        test_b='def test_free():\n    note("let go")\n',
    )
    plan(TWO)
    result = run("--phases", "plan.md", workers)
    output, _ = neighbour.communicate(timeout=60)
    assert neighbour.returncode == 0, output
    assert result.ret == 0, result.stdout.str()
    assert not overlap(journal.span("ours"), journal.span("theirs"))


def test_a_dead_run_holds_nothing(plan, write, run, journal, neighbour):
    """Its locks are the system's, which has taken them back."""
    neighbour.kill()
    neighbour.communicate()
    (journal.file.parent / "noted").touch()
    write(test_a='@pytest.mark.lock("db")\ndef test_ours():\n    note("ours")\n')
    plan("### Phase 1: A\ntests: [test_a.py]\n")
    assert run("--phases", "plan.md", "-n1").ret == 0
    assert "ours" in journal.names


def test_a_folder_that_cannot_be_used_is_refused(plan, write, run, refused, pytester):
    """Who asks for locks across runs does not want to run without them."""
    (pytester.path / "locks").touch()
    (pytester.path / "pytest.ini").write_text("[pytest]\nlock_dir = locks\n", encoding="utf-8")
    write(test_a="def test_a(): pass\n")
    plan("### Phase 1: A\ntests: [test_a.py]\n")
    (problem,) = refused(run("--phases", "plan.md", "-n1"))
    assert problem.startswith("lock_dir = locks: ")
    assert "name another one" in problem
