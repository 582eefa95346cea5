"""What was measured, as it travels from a worker to the controller and lies on disk.

It is coverage.py's own serialized data: contexts, files and lines, or arcs where branches are
measured. Paths are relative to the rootdir where they lie below it, because a worker may have a
checkout of its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TypeAlias, cast

from coverage import CoverageData
from coverage.types import TArc, TLineNo

from pytest_phases.errors import PhasesError

Lines: TypeAlias = "set[int] | set[tuple[int, int]]"
Measured: TypeAlias = "dict[str, dict[str, Lines]]"
"""Context, then file, then the lines that were executed, or the arcs between lines."""


# No name ends in this and a digest, so a part needs no other place for the version.
_VERSION = "@sha256:"


# Of SQLite's files, in bytes.
_HEADER = 100


class PayloadError(PhasesError):
    """Coverage data that cannot be read."""


@dataclass(slots=True)
class Payload:
    """Measured lines or arcs, and which files a coverage plugin has traced."""

    arcs: bool = False
    measured: Measured = field(default_factory=dict)
    tracers: dict[str, str] = field(default_factory=dict)

    def add(self, context: str, file: str, lines: Iterable[object]) -> None:
        """Add lines, or arcs, of one file."""
        found = self.measured.setdefault(context, {}).setdefault(file, set())
        cast("set[object]", found).update(lines)

    def update(self, other: Payload) -> None:
        """Add all of another one.

        Raises PayloadError, and adds nothing, if lines were measured in one and branches in the other.
        """
        if self.measured and other.measured and self.arcs != other.arcs:
            raise PayloadError(
                "one process measured lines and another one branches; "
                "measure all in one way, by `branch` under [tool.coverage.run]"
            )
        self.arcs = other.arcs if other.measured else self.arcs
        self.tracers.update(other.tracers)
        for context, files in other.measured.items():
            for file, lines in files.items():
                self.add(context, file, lines)

    def fill(self, data: CoverageData) -> None:
        """Write everything into an empty one of coverage.py's own."""
        for context, files in self.measured.items():
            data.set_context(context)
            if self.arcs:
                data.add_arcs(cast("dict[str, set[TArc]]", files))
            else:
                data.add_lines(cast("dict[str, set[TLineNo]]", files))
        if self.tracers:
            data.add_file_tracers(self.tracers)

    def to_bytes(self) -> bytes:
        """The form that travels."""
        data = CoverageData(no_disk=True)
        self.fill(data)
        packed = data.dumps()
        data.close(force=True)  # which a database in memory needs
        return packed

    @classmethod
    def from_bytes(cls, packed: bytes) -> Payload:
        """The inverse of `to_bytes`.

        Raises PayloadError.
        """
        data = CoverageData(no_disk=True)
        try:
            data.loads(packed)
            return cls.of(data)
        except Exception as error:  # what damaged bytes raise depends on where they are damaged
            raise PayloadError(f"coverage data cannot be read: {error}") from error
        finally:
            data.close(force=True)

    @classmethod
    def from_file(cls, path: Path) -> Payload:
        """What another process has written in coverage.py's own format.

        Raises PayloadError.
        """
        data = CoverageData(basename=os.fspath(path))
        try:
            # A file that is not there, or hardly begun, coverage.py would fill with data of nothing.
            if path.stat().st_size < _HEADER:
                raise PayloadError("the file ends before it has begun")
            data.read()
            return cls.of(data)
        except Exception as error:  # as above
            raise PayloadError(f"{path}: {error}") from error
        finally:
            data.close()

    @classmethod
    def of(cls, data: CoverageData, contexts: Iterable[str] | None = None) -> Payload:
        """What coverage.py holds under these contexts, or all of it."""
        payload = cls(arcs=data.has_arcs())
        files = sorted(data.measured_files())
        for context in data.measured_contexts() if contexts is None else contexts:
            data.set_query_context(context)
            for file in files:
                lines = data.arcs(file) if payload.arcs else data.lines(file)
                if lines:
                    payload.add(context, file, lines)
        data.set_query_contexts(None)
        payload.tracers = {file: tracer for file in files if (tracer := data.file_tracer(file))}
        return payload

    def selected(self, keep: Callable[[str], bool]) -> Payload:
        """The part of it that is about some of the files."""
        return Payload(
            self.arcs,
            {
                context: {file: lines for file, lines in files.items() if keep(file)}
                for context, files in self.measured.items()
            },
            {file: tracer for file, tracer in self.tracers.items() if keep(file)},
        )

    def renamed(self, name: Callable[[str], str]) -> Payload:
        """The same with every file called otherwise."""
        again = Payload(self.arcs, tracers={name(file): tracer for file, tracer in self.tracers.items()})
        for context, files in self.measured.items():
            for file, lines in files.items():
                again.add(context, name(file), lines)
        return again


def versioned(file: str, root: Path) -> str:
    """A file as a part calls it: relative to `root` if it lies below it, and its version at this moment.

    A stage may make a file anew, and what was executed of the former one says nothing of it. `root`
    is free of links, as paths are that coverage.py records.
    """
    path = PurePath(root, file)
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else file
    return f"{name}{_VERSION}{_digest(Path(path))}"


def is_current(name: str, root: Path) -> bool:
    """Whether a file that a part names is still the one that was executed."""
    file, _, version = name.rpartition(_VERSION)
    return _digest(root / file) == version


def unversioned(name: str) -> str:
    """The file that a part names."""
    return name.rpartition(_VERSION)[0]


def _digest(path: Path) -> str:
    """The sha256 of a file; nothing for one that is not there, or that code was only said to be in."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return ""
