"""A database that cannot be used: found out when it is opened, and set aside for a new one."""

from __future__ import annotations

import sqlite3
import struct
from datetime import datetime, timezone
from itertools import count
from pathlib import Path

from pytest_phases.state.connection import JOURNALS, DatabaseError, UnusableFile, has_journal, size

SMALL = 20_000_000
"""A file of so many bytes is looked through whenever it is opened to write: that takes 0.1 s at most."""

_HEADER = 100


def check_beginning(path: Path) -> None:
    """Raise UnusableFile if the database is empty though something is written in a log beside it.

    SQLite would take it for a new one and delete the log, which only begins when a file has its header.
    """
    has_log = size(path.with_name(path.name + "-wal")) > 0
    if has_log and path.exists() and not size(path):
        raise UnusableFile(path, "is damaged (empty, though there is a log beside it)")


def check_length(path: Path, connection: sqlite3.Connection) -> None:
    """Raise UnusableFile if a part of the file is missing at its end.

    SQLite itself does not notice when less than a page is missing. With a journal beside it a file
    may be shorter than it says, since part of it stands in there.
    """
    with connection:
        # While somebody reads nobody else can be halfway through writing to the file itself.
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if has_journal(path):
            return
        with path.open("rb") as file:
            header = file.read(_HEADER)
        page_size, changes, pages, valid_for = struct.unpack(
            "> 16x H 6x I I 60x I", header.ljust(_HEADER, b"\0")[:96]
        )
        # A page of 65536 bytes is written as 1; the number of pages holds if the last change has set it.
        expected = pages * (65536 if page_size == 1 else page_size)
        found = size(path)
        if changes == valid_for and found < expected:
            raise UnusableFile(path, f"is damaged (cut off after {found} of {expected} bytes)")


def check_content(path: Path, connection: sqlite3.Connection, *, suspect: bool) -> None:
    """Raise UnusableFile if what stands in the file does not hold together.

    Looking through a large file takes long, so that is done only if it is `suspect`: the process that
    wrote it last did not close it, or the last run has not ended.
    """
    if not (suspect or size(path) < SMALL or _was_killed(connection)):
        return
    (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise UnusableFile(path, f"is damaged ({' '.join(str(answer).split())})")


def _was_killed(connection: sqlite3.Connection) -> bool:
    row = connection.execute('SELECT "ended" FROM "run" ORDER BY rowid DESC LIMIT 1').fetchone()
    return row is not None and row[0] is None


def set_aside(path: Path, error: DatabaseError) -> str:
    """Rename the file and its journals; what was done, in words. Raises OSError.

    The database goes first: were this process killed now, what is left of its journals would be found
    beside no file or a new one, and SQLite deletes those.
    """
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    base = f"{path.name}.aside-{stamp}"
    names = (base if number == 1 else f"{base}-{number}" for number in count(1))
    target = path.with_name(next(name for name in names if not path.with_name(name).exists()))
    path.rename(target)
    for suffix in JOURNALS:
        journal = path.with_name(path.name + suffix)
        if journal.exists():
            journal.rename(target.with_name(target.name + suffix))
    return f"{path} {error.problem}: moved to {target.name}; approvals in it count no more"
