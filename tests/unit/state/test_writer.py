"""Writing from a thread: in order, whole, from one process alone, and never at the cost of the run."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.events import Outcome, State
from pytest_phases.evidence import ExpectedKind, ItemRecord, PhaseRecord, RunRecord
from pytest_phases.state.database import Database
from pytest_phases.state.writer import Writer

RUN = RunRecord("r1", "2025", "plan.md", "1a2b")


def item(number: int) -> ItemRecord:
    """One of many items."""
    return ItemRecord(f"t.py::test[{number}]", "1", ExpectedKind.TEST, Outcome.PASSED, 0.25, "gw0")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database will be."""
    return tmp_path / "phases.db"


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    """A writer of a run that has begun."""
    made = Writer(path, "r1")
    made.call(lambda database: database.begin(RUN))
    yield made
    made.close()


def threads() -> int:
    """How many threads of writers there are."""
    return sum(thread.name == "phases-writer" for thread in threading.enumerate())


def items(path: Path) -> tuple[ItemRecord, ...]:
    """What another one finds."""
    with Database.open(path, read_only=True) as database:
        return database.items("r1")


# What is written ---------------------------------------------------------------------------------


def test_all_is_written_in_its_order(writer: Writer, path: Path) -> None:
    """However it falls into transactions."""
    for number in range(3000):
        writer.add(Database.add_items, [item(number)])
        if number % 1000 == 0:
            writer.flush()
    writer.close()
    assert items(path) == tuple(map(item, range(3000)))


def test_an_answer_comes_after_what_was_added(writer: Writer) -> None:
    """Who asks sees everything that was handed over before."""
    for number in range(50):
        writer.add(Database.add_items, [item(number)])
        assert writer.call(lambda database: len(database.items("r1"))) == number + 1


def test_records_of_different_sorts_keep_their_order(writer: Writer, path: Path) -> None:
    """What comes later of one sort replaces what came before, whatever stands in between."""
    for number in range(20):
        state = State.GREEN if number % 2 else State.OPEN
        writer.add(Database.add_phases, [PhaseRecord("1", "phase", str(number), state)])
        writer.add(Database.add_items, [item(number)])
    writer.close()
    with Database.open(path, read_only=True) as database:
        assert [phase.name for phase in database.phases("r1")] == ["19"]
        assert len(database.items("r1")) == 20


def test_a_mistake_of_who_asks_is_raised_there(writer: Writer) -> None:
    """And is no problem with the database."""
    with pytest.raises(ZeroDivisionError):
        writer.call(lambda _: 1 / 0)
    assert writer.problem == ""
    assert writer.call(Database.latest) == "r1"


def test_nothing_is_done_after_the_end(writer: Writer, path: Path) -> None:
    """Closing twice does no harm, and no thread is left."""
    before = threads()
    writer.close()
    assert threads() == before - 1
    writer.close()
    writer.add(Database.add_items, [item(1)])
    writer.flush()
    assert threads() == before - 1
    assert items(path) == ()


def test_who_writes_nothing_has_no_thread(path: Path) -> None:
    """And makes no file."""
    before = threads()
    writer = Writer(path, "r1")
    assert threads() == before
    writer.close()
    assert not path.exists()


# What cannot be written --------------------------------------------------------------------------

KINDS = {
    "ENOSPC, in a new database": ("database or disk is full", "has no room to grow", False),
    "EACCES": ("attempt to write a readonly database", "cannot be written", True),
    "EIO": ("disk I/O error", "cannot be used", True),
}


class Failing(sqlite3.Connection):
    """A connection whose writes fail from the `left`-th one on, in all connections together."""

    left = 0
    error = ""

    @classmethod
    def count(cls) -> None:
        """One more write."""
        cls.left -= 1
        if cls.left < 0:
            raise sqlite3.OperationalError(cls.error)

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Reading never fails."""
        if not sql.startswith(("SELECT", "PRAGMA quick", "BEGIN DEFERRED")):
            self.count()
        return super().execute(sql, *values)

    def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Nothing but writing is done so."""
        self.count()
        return super().executemany(sql, *values)

    def __exit__(self, *raised: Any) -> Any:
        """Committing may fail as well: then nothing of it is there."""
        if raised[0] is not None:
            return super().__exit__(*raised)
        try:
            self.count()
        except sqlite3.OperationalError:
            self.rollback()
            raise
        return super().__exit__(*raised)


def run_through(path: Path) -> Writer:
    """Write down a run of three phases, and end it."""
    writer = Writer(path, "r1")
    writer.call(lambda database: database.begin(RUN))
    for phase in "123":
        writer.add(Database.add_items, [item(number) for number in range(3)])
        writer.add(Database.add_phases, [PhaseRecord(phase, "phase", "", State.GREEN)])
        writer.flush()
    writer.call(lambda database: database.end(RunRecord("r1", "2025", "plan.md", "1a2b", ended="2025")))
    writer.call(lambda database: database.prune("r1"))
    writer.close()
    return writer


@pytest.mark.parametrize(("error", "problem", "is_there"), KINDS.values(), ids=KINDS.keys())
def test_whichever_write_fails_is_a_problem_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: str, problem: str, is_there: bool
) -> None:
    """Each in its turn: what was written before is there, and of what came after there is nothing."""
    empty = path.with_name("empty.db")
    Database.open(empty).close()
    connect = sqlite3.connect
    monkeypatch.setattr(Failing, "error", error)
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: connect(*args, **more, factory=Failing))
    found = []
    for fails_at in range(1000):
        path.unlink(missing_ok=True)
        if is_there:
            shutil.copy(empty, path)
        Failing.left = fails_at
        said = run_through(path).problem
        Failing.left = 1000
        if not said:
            break
        assert problem in said
        assert said.startswith(f"{path}: ")
        found.append(done(path))
    assert found == sorted(found)
    assert len(set(found)) == 6  # nothing, begun, three phases, ended
    assert found[-1] == (9, 3, True)


def done(path: Path) -> tuple[int, int, bool]:
    """How many items and phases are recorded, and whether the run has ended."""
    with Database.open(path) as database:
        if database.latest() is None:
            return (-1, 0, False)
        recorded = database.recorded("r1")
    assert len(recorded.items) == 3 * len(recorded.phases)
    return len(recorded.items), len(recorded.phases), recorded.run.ended is not None


def test_a_disk_that_is_full_in_fact(writer: Writer, path: Path) -> None:
    """What SQLite itself says then; what stands there can be read."""
    writer.add(Database.add_items, [item(1)])
    writer.call(lambda database: database._connection.execute("PRAGMA max_page_count = 1"))
    writer.add(Database.add_items, map(item, range(10_000)))
    writer.flush()
    assert "has no room to grow (database or disk is full); make room on its disk" in writer.problem
    assert items(path) == (item(1),)


def test_a_bug_is_a_problem_too(writer: Writer) -> None:
    """What is no record ends the thread; who waits is not left waiting."""
    caught: list[type[BaseException]] = []
    before, threading.excepthook = threading.excepthook, lambda args: caught.append(args.exc_type)
    try:
        writer.add(Database.add_items, [None])
        writer.flush()
        writer.close()
    finally:
        threading.excepthook = before
    assert caught == [AttributeError]
    assert "AttributeError: " in writer.problem


def test_who_asks_while_a_bug_comes_out_gets_an_answer(writer: Writer) -> None:
    """The question stood in line already when the thread met what is no record."""
    asked, reached, answers = threading.Event(), threading.Event(), []

    def no_records() -> Iterator[ItemRecord]:
        reached.set()
        asked.wait()
        yield None  # type: ignore[misc]

    before, threading.excepthook = threading.excepthook, lambda args: None
    try:
        writer.add(Database.add_items, no_records())
        reached.wait()
        asking = threading.Thread(target=lambda: answers.append(writer.call(Database.latest)), daemon=True)
        asking.start()
        while not writer._waiting:
            asking.join(0.001)
        asked.set()
        asking.join(30)
        writer.close()
    finally:
        threading.excepthook = before
    assert answers == [None]


# Other processes ---------------------------------------------------------------------------------

FORKING = """
import os, sys, warnings
from pathlib import Path
from pytest_phases.state.database import Database
from pytest_phases.state.writer import Writer
from tests_of_writer import RUN, item

warnings.simplefilter("error")
writer = Writer(Path(sys.argv[1]), "r1")
writer.call(lambda database: database.begin(RUN))
for number in range(20):
    writer.add(Database.add_items, [item(number)])
    child = os.fork()
    if not child:
        writer.add(Database.add_items, [item(-1)])
        writer.flush()
        assert writer.call(Database.latest) is None
        writer.close()
        os._exit(0 if not writer.problem else 1)
    assert os.waitpid(child, 0) == (child, 0)
writer.close()
assert not writer.problem, writer.problem
"""

WRITING = """
import sys
from pathlib import Path
from pytest_phases.evidence import PhaseRecord, RunRecord
from pytest_phases.events import State
from pytest_phases.state import writer as module
from pytest_phases.state.database import Database
from tests_of_writer import item

module.EVERY = 0.0
run = sys.argv[2]
writer = module.Writer(Path(sys.argv[1]), run)
writer.call(lambda database: database.begin(RunRecord(run, "", "plan.md", "")))
for number in range(1_000_000):
    writer.add(Database.add_items, [item(3 * number), item(3 * number + 1), item(3 * number + 2)])
    writer.add(Database.add_phases, [PhaseRecord(str(number), "phase", "", State.GREEN)])
    if number % 10 == 0:
        writer.flush()
        print(number, flush=True)
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., list[str]]:
    """A function that returns the command of a script with arguments; it can import from this module."""
    (tmp_path / "tests_of_writer.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")

    def command(text: str, *args: object) -> list[str]:
        start = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        return [sys.executable, "-c", start + text, *map(str, args)]

    return command


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_process_that_is_forked_writes_nothing(script: Callable[..., list[str]], path: Path) -> None:
    """Nor is anybody warned of threads, or left waiting for one that the child does not have."""
    subprocess.run(script(FORKING, path), check=True, timeout=60)
    assert items(path) == tuple(map(item, range(20)))


def test_a_process_that_is_killed_has_lost_nothing(script: Callable[..., list[str]], path: Path) -> None:
    """Whenever that was: what it had written is there, whole and once, and the database is sound."""
    chance = random.Random(4)
    for number in range(6):
        run_id = f"r{number}"
        process = subprocess.Popen(script(WRITING, path, run_id), stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(chance.randrange(1, 40)):
            written = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        written = max([written, *map(int, process.stdout.read().split())])
        process.wait()
        process.stdout.close()
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with Database.open(path) as database:
            assert database.set_aside == ""
            phases = [phase.id for phase in database.phases(run_id)]
            assert phases == [str(number) for number in range(len(phases))]
            assert len(phases) > written
            assert database.items(run_id) == tuple(map(item, range(3 * len(phases))))
