"""What has ended is on disk while the rest still runs, whatever becomes of the run."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pytest_phases.evidence import Recorded
from pytest_phases.state.database import Database

WORKERS = pytest.mark.parametrize("workers", ["-n0", "-n2"])

PLAN = """
### Phase 1: First
tests: [test_first.py]

### Phase 2: Second
tests: [test_second.py]

### Gate: Release
"""
FIRST = """
import pytest
def test_passes(): pass
def test_fails(): assert False
@pytest.mark.skip
def test_skipped(): pass
"""
FIRST_GREEN = "def test_passes(): pass\n"

# Looks for what has ended before while it runs itself.
LOOKING = """
import sqlite3, time

def test_looks():
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with sqlite3.connect(".phases/phases.db") as connection:
            items = connection.execute("SELECT nodeid, outcome FROM item").fetchall()
        connection.close()
        if items:
            break
        time.sleep(0.01)
    assert items == [("test_first.py::test_passes", "passed")]
"""

WAITING = """
import time
from pathlib import Path

def test_waits():
    Path("waiting").touch()
    time.sleep(60)
"""

# A plugin with which every write of the recorder fails from the n-th one on.
FAILING = """
import sqlite3

LEFT, ERROR = {left}, {error!r}
connect = sqlite3.connect

def count():
    global LEFT
    LEFT -= 1
    if LEFT < 0:
        raise sqlite3.OperationalError(ERROR)

class Failing(sqlite3.Connection):
    def execute(self, sql, *values):
        if sql.startswith(("BEGIN IMMEDIATE", "INSERT", "DELETE", "CREATE")):
            count()
        return super().execute(sql, *values)

    def executemany(self, *args):
        count()
        return super().executemany(*args)

sqlite3.connect = lambda *args, **more: connect(*args, **more, factory=Failing)
"""

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    """A project of two phases and a gate, in which one test of the first phase fails."""
    files = {"plan.md": PLAN, "test_first.py": FIRST, "test_second.py": "def test_second(): pass\n"}
    for name, text in files.items():
        (pytester.path / name).write_text(text, encoding="utf-8")
    return pytester.path


def recorded(project: Path) -> Recorded:
    """What the last run wrote down, in a database that is sound."""
    path = project / ".phases" / "phases.db"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with Database.open(path, read_only=True) as database:
        run_id = database.latest()
        assert run_id is not None
        return database.recorded(run_id)


# While it runs -----------------------------------------------------------------------------------


@WORKERS
def test_an_item_is_on_disk_while_the_next_one_runs(project: Path, run: Run, workers: str) -> None:
    """Though nothing else happens meanwhile: in one process the main thread is in the test itself."""
    (project / "test_first.py").write_text(FIRST_GREEN, encoding="utf-8")
    (project / "test_second.py").write_text(LOOKING, encoding="utf-8")
    run("--phases=plan.md", workers).assert_outcomes(passed=2)
    assert [item.outcome.value for item in recorded(project).items] == ["passed", "passed"]


@WORKERS
def test_a_run_that_is_killed_has_written_down_what_was_done(project: Path, workers: str) -> None:
    """Every item that had ended, once; that it has no end; and which tree it was."""
    (project / "test_second.py").write_text(WAITING, encoding="utf-8")
    (project / "plan.md").write_text(PLAN.replace("[test_second.py]", "[test_second.py]\ndeps: []"), "utf-8")
    command = [sys.executable, "-m", "pytest", "--phases=plan.md", workers, "-p", "no:cacheprovider"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV"))}
    with subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.DEVNULL) as process:
        path = project / ".phases" / "phases.db"
        end = time.monotonic() + 50
        while not ((project / "waiting").exists() and count(path) == 3):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    found = recorded(project)
    assert sorted(item.outcome.value for item in found.items) == ["failed", "passed", "skipped"]
    assert found.run.ended is None
    assert len(found.expected) == 6


def count(path: Path) -> int:
    """How many items are recorded by now."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM item").fetchone()[0])
    except sqlite3.OperationalError:  # not begun
        return 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_tests_that_fork_are_not_disturbed(project: Path, run: Run) -> None:
    """In one process too: they see no other thread, and what they fork writes nothing."""
    (project / "test_second.py").write_text(
        """
import os, time, pytest

@pytest.mark.parametrize("number", range(30))
def test_forks(number):
    child = os.fork()
    if not child:
        os._exit(number)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == number
""",
        encoding="utf-8",
    )
    (project / "test_first.py").write_text(FIRST_GREEN, encoding="utf-8")
    run("--phases=plan.md", "-n0", "-Werror").assert_outcomes(passed=31)
    assert len(recorded(project).items) == 31


# What cannot be written --------------------------------------------------------------------------


FULL, READ_ONLY, BROKEN = (
    "database or disk is full",
    "attempt to write a readonly database",
    "disk I/O error",
)


@pytest.mark.parametrize(
    ("left", "error"),
    [
        pytest.param(0, READ_ONLY, id="from the beginning"),
        pytest.param(20, FULL, id="while the tables are made"),
        pytest.param(32, BROKEN, id="before anything runs"),
        pytest.param(36, FULL, id="later"),
        pytest.param(40, BROKEN, id="still later"),
    ],
)
def test_outcomes_do_not_depend_on_writing(project: Path, run: Run, left: int, error: str) -> None:
    """Wherever writing begins to fail; the gate is not green then, and it is said why."""
    (project / "failing.py").write_text(FAILING.format(left=left, error=error), encoding="utf-8")
    result = run("--phases=plan.md", "-n0", "-p", "failing", "--deselect=test_first.py::test_fails")
    result.assert_outcomes(passed=2, skipped=1, deselected=1)
    text = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in text
    assert "INTERNALERROR" not in text
    assert f"({error})" in text
    assert "gate (Release): green" not in text


def a_file(folder: Path) -> None:
    """A file stands where the folder should be."""
    folder.touch()


def a_folder(folder: Path) -> None:
    """A folder stands where the database should be."""
    (folder / "phases.db").mkdir(parents=True)


@WORKERS
@pytest.mark.parametrize("spoil", [a_file, a_folder])
def test_outcomes_do_not_depend_on_the_folder(
    project: Path, run: Run, workers: str, spoil: Callable[[Path], None]
) -> None:
    """Nothing is recorded then, which is said, and everything runs as it would."""
    spoil(project / ".phases")
    result = run("--phases=plan.md", workers)
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    result.stdout.fnmatch_lines(["*.phases*"])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
@WORKERS
def test_outcomes_do_not_depend_on_rights(project: Path, run: Run, workers: str) -> None:
    """A folder that is read-only, or somebody else's."""
    (project / ".phases").mkdir(mode=0o555)
    result = run("--phases=plan.md", workers)
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    result.stdout.fnmatch_lines(["*.phases*cannot be*"])


def test_a_database_that_is_removed_meanwhile_proves_nothing(pytester, plan, run) -> None:
    """A test removes what the run writes to: the outcomes stand, and the gate is not green."""
    plan("### Phase 1: A\ntests: [test_a.py]\n### Gate: G\n")
    pytester.makepyfile(
        test_a="""
        import shutil, time

        def test_a():
            time.sleep(1)
            shutil.rmtree(".phases")
            time.sleep(0.5)

        def test_b(): pass
        """
    )
    result = run("--phases", "plan.md", "-n0")
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["gate (G): incomplete", "*warning: this run is not recorded: *"])
