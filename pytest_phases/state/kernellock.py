"""A lock of the kernel's on a file: whoever holds it and dies has let go of it.

The files are never deleted. Were one removed on unlocking, who had opened it before would lock a file that is
gone, and who comes after that a new one: two would hold the lock. filelock removes it in its versions 3.21 to
3.29.4, knows no shared locks on such files, and where the system has none falls back to a file that a dead
process leaves locked; so this is `flock` itself, which is all that is needed.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path


class KernelLock:
    """A lock on `path`, whose folder must be there; two of them exclude each other, in one process too.

    A process that is forked does not hold it, and one that is started does not get it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._process = os.getpid()

    @property
    def held(self) -> bool:
        """Whether this process has it."""
        return self._file is not None and os.getpid() == self._process

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Take the lock, or return False if somebody else has it; never waits.

        Raises OSError where the file cannot be made or the file system has no locks.
        """
        while self._file is None:
            file = _open(self.path)
            try:
                if not _lock(file, shared):
                    return False
                if self._is_there(file):
                    self._file, file = file, -1
                    _OPEN.add(self._file)
            finally:
                if file >= 0:
                    os.close(file)
        return True

    def release(self) -> None:
        """Let go of the lock, if this process has it."""
        if self._file is not None and self.held:
            _OPEN.discard(self._file)
            os.close(self._file)
            self._file = None

    def _is_there(self, file: int) -> bool:
        """Whether it is still the file of that name, which somebody may have removed with its folder."""
        try:
            return os.path.samestat(os.fstat(file), self.path.stat())
        except FileNotFoundError:
            return False


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError:  # another user's, who shares the folder: reading it will do
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _lock(file: int, shared: bool) -> bool:
    try:
        import fcntl
    except ImportError as error:
        raise OSError(errno.ENOSYS, "this system has no locks on files") from error
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


_OPEN: set[int] = set()


def _forget_all() -> None:
    """In a new process: what stays open there would hold the lock as long as that lives."""
    for file in _OPEN:
        os.close(file)
    _OPEN.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
