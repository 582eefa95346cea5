"""Python processes that tests and stages start: measured by coverage.py itself, at their start.

coverage.py installs a file that every Python reads when it starts. If it finds a configuration in
the environment, the process measures itself and leaves a data file when it ends.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from coverage.config import CoverageConfig

from pytest_phases.coverage.payload import Payload, PayloadError

VARIABLE = "COVERAGE_PROCESS_CONFIG"

_FOLDER = "pytest-phases-"

# What SQLite keeps beside a file that is being written.
_UNFINISHED = ("-journal", "-wal", "-shm")


def is_told_by_us(config: CoverageConfig) -> bool:
    """Whether a process measures itself because a test or stage of a run has started it."""
    return Path(config.data_file).parent.name.startswith(_FOLDER)


class Subprocesses:
    """Puts the configuration into the environment, with the context that is due, and reads what is left.

    Where pytest-cov measures subprocesses for its own report (`patch = subprocess`), it finds what
    was read where it looks for it.
    """

    def __init__(self, config: CoverageConfig) -> None:
        self._config = config.copy()
        self._static = config.context or ""
        self._folder = Path(tempfile.mkdtemp(prefix=_FOLDER))
        self._pass_on = Path(config.data_file).absolute() if "subprocess" in config.patch else None
        self._config.data_file = str(self._folder / "data")
        self._config.parallel = True
        self._before = os.environ.get(VARIABLE)
        self._serialized: dict[str, str] = {}

    def belong_to(self, context: str) -> None:
        """What is started from now on is recorded under this context."""
        if context not in self._serialized:
            self._config.context = "|".join(filter(None, (self._static, context)))
            self._serialized[context] = self._config.serialize()
        os.environ[VARIABLE] = self._serialized[context]

    def take(self) -> Payload:
        """What processes that have ended left; one that still writes is left for the next time."""
        payload = Payload()
        for path in self._files():
            try:
                payload.update(self._unprefixed(Payload.from_file(path)))
            except PayloadError:
                continue
            if self._pass_on is not None:
                shutil.move(path, f"{self._pass_on}{path.name.removeprefix('data')}")
            else:
                path.unlink()
        return payload

    def unread(self) -> tuple[str, ...]:
        """The names of files that could not be read: their processes were killed, or still run."""
        return tuple(path.name for path in self._files())

    def _files(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("data.*") if not path.name.endswith(_UNFINISHED))

    def _unprefixed(self, payload: Payload) -> Payload:
        """The same without the project's own static context in front of ours."""
        again = Payload(payload.arcs, tracers=payload.tracers)
        for context, files in payload.measured.items():
            for file, lines in files.items():
                again.add(context.removeprefix(self._static).removeprefix("|"), file, lines)
        return again

    def stop(self) -> None:
        """Leave the environment as it was."""
        if self._before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = self._before
        shutil.rmtree(self._folder, ignore_errors=True)
