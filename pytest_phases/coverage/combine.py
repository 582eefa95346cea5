"""The controller's side of the measurement: parts as they come, kept on disk and put together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from contextlib import closing, suppress
from functools import cache, partial
from pathlib import Path
from urllib.parse import quote

from coverage import CoverageData
from coverage.exceptions import CoverageException

from pytest_phases.coverage import contexts
from pytest_phases.coverage.payload import Payload, PayloadError, is_current, unversioned
from pytest_phases.evidence import PartRecord

FOLDER = "coverage"
DATA = "phases.coverage"
"""The combined data, below the folder; no name that `coverage combine` would take up."""


class Combined:
    """What all workers have measured so far, by context, file and line.

    `root` is the rootdir, `folder` that of the run's files (`.phases`); every part is written there,
    and `record` is told of it.
    """

    def __init__(self, root: Path, folder: Path, run_id: str, record: Callable[[PartRecord], None]) -> None:
        self._root = root.resolve()
        self._folder = folder
        self._run_id = run_id
        self._record = record
        self._parts: dict[tuple[str, str], Payload] = {}
        self._problems: dict[tuple[str, str], str] = {}
        self._lost: dict[tuple[str, str], str] = {}
        self._fixtures: dict[str, set[str]] = {}
        self._all = Payload()
        self._unwritten: dict[tuple[str, str], None] = {}

    def current(self) -> Payload:
        """All that was measured of files as they are now, relative to the rootdir."""
        still = cache(partial(is_current, root=self._root))
        return self._all.selected(still).renamed(unversioned)

    def take(self, worker: str, phase: str, packed: bytes, fixtures: Iterable[str], problem: str) -> None:
        """Add what a worker has handed over; what cannot be read is recorded with the reason."""
        key = phase, worker
        part = self._parts.setdefault(key, Payload())
        try:
            payload = Payload.from_bytes(packed)
            self._all.update(payload)
            part.update(payload)
        except PayloadError as error:
            self._lost.setdefault(key, str(error))
        self._fixtures.setdefault(phase, set()).update(fixtures)
        # What a process has not written yet may come with the next part; what was lost never will.
        self._problems[key] = self._lost.get(key, problem)
        self._unwritten[key] = None

    def missing(self, expected: Iterable[tuple[str, str]]) -> list[str]:
        """What is wrong with the parts of these phases and workers, in words."""
        said = []
        for phase, worker in expected:
            if (phase, worker) not in self._parts:
                said.append(f"worker {worker} handed over no coverage data of {contexts.of_phase(phase)}")
            elif self._problems[phase, worker]:
                said.append(f"worker {worker}: {self._problems[phase, worker]}")
        return said

    def contexts_of(self, phases: Collection[str]) -> frozenset[str]:
        """The contexts whose lines count for these phases: their own and those of their wide fixtures.

        What ran outside of phases counts for each of them: functions that are called while modules are
        imported for collection, like decorators.
        """
        own = {contexts.OUTSIDE, *(contexts.of_phase(phase) for phase in phases)}
        return frozenset(own.union(*(self._fixtures.get(phase, ()) for phase in phases)))

    def executed(self, phase: str) -> frozenset[str]:
        """The files that were executed for a phase or stream, by its items and their wide fixtures."""
        own = self.contexts_of([phase]) - {contexts.OUTSIDE}
        found = (self._all.measured.get(context, {}) for context in own)
        return frozenset(unversioned(name) for files in found for name in files)

    def write(self, phases: Collection[str] | None = None) -> None:
        """Write the parts that have changed, of these phases or of all, and have them recorded."""
        for key in [key for key in self._unwritten if phases is None or key[0] in phases]:
            del self._unwritten[key]
            phase, worker = key
            packed = self._parts[key].to_bytes()
            name = f"{FOLDER}/parts/{self._run_id}/{quote(phase, safe='')}@{quote(worker, safe='')}.part"
            digest = hashlib.sha256(packed).hexdigest()
            unwritten = self._store(self._folder / name, packed)
            problem = self._problems[key] or unwritten
            fixtures = tuple(sorted(self._fixtures.get(phase, ())))
            self._record(PartRecord(phase, worker, name, digest, problem, fixtures))

    @staticmethod
    def _store(path: Path, packed: bytes) -> str:
        """Write a part, and say what stands against it."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(packed)
        except OSError as error:
            return f"it could not be written: {error.strerror or error}"
        return ""

    def write_data(self) -> None:
        """Leave everything in coverage.py's own format, with absolute paths, so that it can make reports."""
        data = CoverageData(basename=str(self._folder / FOLDER / DATA))
        # A folder that cannot be written is told by the parts, which lie there as well.
        with suppress(OSError, CoverageException), closing(data):
            data.erase()
            self.current().renamed(lambda name: str(self._root / name)).fill(data)
