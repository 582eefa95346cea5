"""A database that is cut off anywhere tells less than before, or nothing, and never something else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_phases.evidence import RunRecord
from pytest_phases.state.database import Database, DatabaseError

Rows = frozenset[tuple[str, ...]]
Read = Callable[[Path], Rows]


@contextmanager
def restored(file: Path) -> Iterator[None]:
    """The folder of a file is afterwards as it was before."""
    kept = {each: each.read_bytes() for each in file.parent.iterdir()}
    try:
        yield
    finally:
        for each in set(file.parent.iterdir()) - kept.keys():
            each.unlink()
        for each, data in kept.items():
            each.write_bytes(data)


def lengths(size: int, page: int, step: int = 97) -> Iterable[int]:
    """Where to cut what takes long to look at: at and beside the ends of pages, and here and there."""
    ends = {end + beside for end in range(0, size, page) for beside in (-1, 0, 1)}
    return sorted(length for length in ends | set(range(0, size, step)) | {size - 1} if 0 <= length < size)


@pytest.fixture
def killed(small: Path, tmp_path: Path) -> Path:
    """The same database with a log beside it, a part of which stands in the database by now."""
    path = tmp_path / "killed" / "phases.db"
    with Database.open(small) as database:
        database.begin(RunRecord("r2", "2025", "plan.md", "1a2b"))
        items = database.items("r1")
        database.add_items("r2", items[:4])
        database._connection.execute("PRAGMA wal_checkpoint")
        database.add_phases("r2", database.phases("r1"))
        database.add_items("r2", items[4:])
        shutil.copytree(small.parent, path.parent)
    path.with_name("phases.db-shm").unlink()
    return path


# Reading -----------------------------------------------------------------------------------------


def test_who_reads_notices_every_byte_that_is_missing(small: Path) -> None:
    """Wherever a file without a log is cut off, it cannot be opened."""
    with small.open("r+b") as file:
        for length in range(small.stat().st_size - 1, -1, -1):
            file.truncate(length)
            with pytest.raises(DatabaseError) as caught:
                Database.open(small, read_only=True)
            assert str(caught.value).startswith(f"{small}: is "), length


def test_who_reads_a_log_that_is_cut_off_finds_less(killed: Path, rows: Read) -> None:
    """What stands in the log up to there, as after a loss of power."""
    log, everything = killed.with_name("phases.db-wal"), rows(killed)
    assert len(everything) > 40
    for length in lengths(log.stat().st_size, 512 + 24, step=331):
        with restored(killed):
            log.write_bytes(log.read_bytes()[:length])
            assert rows(killed) <= everything, length


def test_who_reads_a_database_with_a_log_finds_less(killed: Path, rows: Read) -> None:
    """What the log holds may be whole though the database is cut off."""
    everything = rows(killed)
    for length in lengths(killed.stat().st_size, 4 * 512, step=997):
        with restored(killed):
            killed.write_bytes(killed.read_bytes()[:length])
            assert rows(killed) <= everything, length


# Writing -----------------------------------------------------------------------------------------


def opened(path: Path, rows: Read) -> tuple[str, Rows]:
    """What was done with a file when it was opened to write, and what can be read of it now."""
    with Database.open(path) as database:
        return database.set_aside, rows(path)


def test_who_writes_sets_aside_what_is_cut_off(small: Path, rows: Read) -> None:
    """And begins with nothing; to SQLite a file of a single byte is a new one, like one without any."""
    for length in lengths(small.stat().st_size, 10 * 512, step=3001):
        with restored(small):
            small.write_bytes(small.read_bytes()[:length])
            set_aside, found = opened(small, rows)
            assert found == frozenset()
            assert bool(set_aside) is (length > 1), length


@pytest.mark.parametrize("suffix", ["", "-wal"], ids=["the database", "the log"])
def test_who_writes_finds_less_with_a_log(killed: Path, rows: Read, suffix: str) -> None:
    """What could be saved, or nothing and a message that says so."""
    everything, cut = rows(killed), killed.with_name(killed.name + suffix)
    for length in lengths(cut.stat().st_size, 10 * (512 + 24 * bool(suffix)), step=3001):
        with restored(killed):
            cut.write_bytes(cut.read_bytes()[:length])
            set_aside, found = opened(killed, rows)
            assert found <= everything, length
            assert not (set_aside and found), length
