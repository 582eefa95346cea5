"""A database that cannot be used is set aside, with all that belongs to it, and a new one begins."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from pytest_phases.events import Outcome
from pytest_phases.evidence import ApprovalRecord, ExpectedKind, ItemRecord, RunRecord
from pytest_phases.state.database import Database, DatabaseError
from pytest_phases.state.schema import VERSION

RUN = RunRecord("r1", "2025", "plan.md", "1a2b")
APPROVAL = ApprovalRecord("security", "alice", "", "1f2e", "2025")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with an approval and a run that has ended."""
    path = tmp_path / ".phases" / "phases.db"
    with Database.open(path) as database:
        database.begin(RUN)
        database.end(RunRecord("r1", "2025", "plan.md", "1a2b", ended="2025"))
        database.approve(APPROVAL)
    return path


def replaced(data: bytes) -> Callable[[Path], None]:
    """Put something else in its place."""
    return lambda path: path.write_bytes(data) and None  # type: ignore[func-returns-value]


def executed(*statements: str) -> Callable[[Path], None]:
    """Edit it by hand."""

    def spoil(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    return spoil


def foreign(path: Path, *statements: str) -> None:
    """Put another program's database in its place."""
    path.unlink()
    executed(*(statements or ["CREATE TABLE run (kilometres)"]))(path)


def altered(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Change its bytes."""
    return lambda path: path.write_bytes(change(path.read_bytes())) and None  # type: ignore[func-returns-value]


SPOILED = {
    "something else": (replaced(b"minutes of the meeting\n" * 100), "is no database (file is not"),
    "a newer version": (
        executed(f"PRAGMA user_version = {VERSION + 1}"),
        f"was written by a newer version of pytest-phases (schema {VERSION + 1}, not {VERSION})",
    ),
    "an older version": (
        executed("PRAGMA user_version = 1", "DROP TABLE wave"),
        f"was written by an older version of pytest-phases (schema 1, not {VERSION})",
    ),
    "another program's": (foreign, "is a database of something else"),
    "another program's, with a version": (
        lambda path: foreign(path, "CREATE TABLE kilometres (run)", "PRAGMA user_version = 1"),
        "is a database of something else",
    ),
    "a byte is missing": (altered(lambda data: data[:-1]), "is damaged (cut off after "),
    "a page is missing": (altered(lambda data: data[:-4096]), "is damaged ("),
    "half is missing": (altered(lambda data: data[: len(data) // 2]), "is damaged ("),
    "only a header": (altered(lambda data: data[:100]), "is "),
    "zeros": (altered(lambda data: data[:100] + bytes(len(data) - 100)), "is damaged ("),
    "noise": (altered(lambda data: data[:4096] + b"\xff" * (len(data) - 4096)), "is damaged ("),
    "a page of something else": (
        altered(lambda data: data[:8192] + b"\x05" * 4096 + data[12288:]),
        "is damaged (",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "problem"), SPOILED.values(), ids=SPOILED.keys())
def test_what_cannot_be_used_is_set_aside(path: Path, spoil: Callable[[Path], None], problem: str) -> None:
    """All of its bytes stay, under another name; the new one knows of no run and no approval."""
    spoil(path)
    before = path.read_bytes()
    with Database.open(path) as database:
        assert (database.latest(), database.approvals()) == (None, ())
        database.begin(RUN)
    message = re.fullmatch(
        re.escape(f"{path} {problem}")
        + r".*: moved to (phases\.db\.aside-\d{8}T\d{6}); approvals in it count no more",
        database.set_aside,
    )
    assert message is not None, database.set_aside
    assert path.with_name(message[1]).read_bytes() == before
    with Database.open(path) as database:
        assert database.set_aside == ""
        assert database.latest() == "r1"


@pytest.mark.parametrize(("spoil", "problem"), SPOILED.values(), ids=SPOILED.keys())
def test_who_reads_or_wants_this_very_file_sets_nothing_aside(
    path: Path, spoil: Callable[[Path], None], problem: str
) -> None:
    """What is wrong is an error where it is found, and the file stays as it is."""
    spoil(path)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with pytest.raises(DatabaseError, match=re.escape(problem)):
        Database.open(path, anew=False)
    with suppress(DatabaseError), Database.open(path, read_only=True) as database:
        assert set(database.approvals()) <= {APPROVAL}  # what can be read of it is what was there
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_what_is_sound_is_not_set_aside(path: Path) -> None:
    """It is used, and nothing is said."""
    with Database.open(path) as database:
        assert database.set_aside == ""
        assert database.approvals() == (APPROVAL,)


def test_several_are_set_aside_in_one_second(path: Path) -> None:
    """None takes the place of another one."""
    for number in range(3):
        replaced(b"nonsense %d" % number * 200)(path)
        Database.open(path).close()
    kept = {file.read_bytes()[:10] for file in path.parent.glob("phases.db.aside-*")}
    assert kept == {b"nonsense 0", b"nonsense 1", b"nonsense 2"}


def test_an_empty_file_with_a_log_is_no_new_one(path: Path) -> None:
    """SQLite would delete the log, and with it what was written."""
    with Database.open(path) as database:
        database.begin(RunRecord("r2", "", "", ""))
        log = path.with_name("phases.db-wal").read_bytes()
    path.write_bytes(b"")
    path.with_name("phases.db-wal").write_bytes(log)
    with Database.open(path) as database:
        assert "is damaged (empty, though there is a log beside it)" in database.set_aside
        assert database.latest() is None
    assert log in [file.read_bytes() for file in path.parent.iterdir()]


def test_large_files_are_looked_through_only_after_a_kill(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever closed it in order has left it whole; that is believed of what takes long to look through."""
    monkeypatch.setattr("pytest_phases.state.aside.SMALL", 0)
    with Database.open(path) as database:
        database.add_items("r1", [ItemRecord("t", "1", ExpectedKind.TEST, Outcome.PASSED, 0.1, "gw0")])
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'item'").fetchone()
    altered(lambda data: data[: (page - 1) * 4096] + b"\x05" * 4096 + data[page * 4096 :])(path)
    with Database.open(path) as database:
        assert database.set_aside == ""
        with pytest.raises(DatabaseError, match="is damaged"):
            database.items("r1")
        database.begin(RunRecord("r2", "", "", ""))
    with Database.open(path) as database:
        assert "is damaged" in database.set_aside


def test_what_cannot_be_moved_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder that cannot be written, for one."""
    replaced(b"nonsense" * 200)(path)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(DatabaseError, match=r"cannot be opened \(Permission denied\)"):
        Database.open(path)
