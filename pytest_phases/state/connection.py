"""A connection to `phases.db`, and what goes wrong with one in words that say what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_phases.errors import PhasesError
from pytest_phases.state.columns import UnreadableRow

PATIENCE = 5.0
"""How many seconds a process waits for another one that is writing."""

JOURNALS = ("-wal", "-shm", "-journal")
"""How the names of the files end that SQLite keeps beside a database."""

ANEW = "move it away with its approvals, and the next run begins a new one"
WRITABLE = "make the file and its folder readable and writable, or name another folder with --phases-dir"
RUN_FIRST = "run `pytest` with the plan first"

# What SQLite says, what that means, and what to do; the first that fits.
_PROBLEMS = (
    ("not a database", "is no database", ANEW),
    ("malformed", "is damaged", ANEW),
    ("could not decode", "is damaged", ANEW),
    ("no such", "is damaged", ANEW),
    ("readonly", "cannot be written", WRITABLE),
    ("unable to open", "cannot be opened", WRITABLE),
    ("locked", f"is held by another process for more than {PATIENCE:g} s", "try again when that has ended"),
    ("full", "has no room to grow", "make room on its disk"),
    ("FOREIGN KEY", "knows no such run", "record the beginning of a run before its evidence"),
    ("UNIQUE", "knows this run already", "give every run an id of its own"),
    ("", "cannot be used", "see whether the disk is sound; " + ANEW),
)


class DatabaseError(PhasesError):
    """The database cannot be used: which file, what is wrong, and what to do."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}; {remedy}")


class UnusableFile(DatabaseError):
    """The file itself is what is wrong: damaged, foreign, or of another version; a new one would do."""

    def __init__(self, path: Path, problem: str, remedy: str = ANEW) -> None:
        super().__init__(path, problem, remedy)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Raise what goes wrong with the file as DatabaseError."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        _, problem, remedy = next(row for row in _PROBLEMS if row[0].lower() in text.lower())
        kind = UnusableFile if remedy is ANEW else DatabaseError
        raise kind(path, f"{problem} ({text})", remedy) from error
    except (UnreadableRow, ValueError) as error:
        raise DatabaseError(path, f"cannot be understood ({error})", ANEW) from error
    except OSError as error:
        raise DatabaseError(path, f"cannot be opened ({error.strerror})", WRITABLE) from error


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Connect to the file, made with its folder unless `read_only`; raises sqlite3.Error and OSError.

    The connection begins no transaction of its own, and may be used in one thread after another.
    """
    file = path.resolve()
    if not read_only:
        file.parent.mkdir(parents=True, exist_ok=True)
    mode = "rwc" if not read_only else "ro" if has_journal(file) else "ro&immutable=1"
    return sqlite3.connect(
        f"{file.as_uri()}?mode={mode}",
        uri=True,
        timeout=PATIENCE,
        isolation_level=None,
        check_same_thread=False,
    )


def has_journal(file: Path) -> bool:
    """Whether part of what was written stands in a file of SQLite's beside it.

    Without one the file is whole, and calling it immutable keeps SQLite from making journals to read
    a database in WAL mode, which it can do in no folder that is read-only. A process that begins to
    write meanwhile writes to a journal of its own.
    """
    return any(size(file.with_name(file.name + suffix)) > 0 for suffix in ("-wal", "-journal"))


def size(file: Path) -> int:
    """How many bytes a file has; 0 if it is not there."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
