"""What is there now of all that the outcome of a phase can depend on."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from pytest_phases.checkpoint.compare import ABSENT
from pytest_phases.checkpoint.files import Patterns, content_digest, files_at, stamp_of
from pytest_phases.checkpoint.sources import Parsed, Resolver, conftests
from pytest_phases.evidence import Dependency, DependencyKind, TreeEntry
from pytest_phases.model import Phase, Plan, Stage

NO_INPUTS = (
    "stage {} states no inputs, so nobody can tell whether it would do the same; "
    "write inputs: [..] (and outputs: [..]) below its label"
)

_PYTHON = (".py", ".pyw")
_FILES = ("file", "executable")

_Row = Callable[[DependencyKind, str, str], Dependency]


class Project:
    """A project as a run finds it; `tree` is that of before the run.

    `configuration` names files like `pytest.ini` that count for every phase. `distributions` are
    versions by name; `definitions` are phases and streams as stated, in JSON, by id. `source` are the
    files that a threshold without `covers` is judged over, all of Python if empty. Paths are relative to
    `root`.
    """

    def __init__(
        self,
        root: Path,
        tree: Iterable[TreeEntry],
        plan: Plan,
        *,
        configuration: Iterable[str] = (),
        distributions: Mapping[str, str],
        definitions: Mapping[str, str],
        source: Iterable[str] = (),
        environ: Mapping[str, str] | None = None,
        parsed: Parsed | None = None,
    ) -> None:
        self.tree: Mapping[str, TreeEntry] = {entry.path: entry for entry in tree}
        self._root = root
        self._units = {unit.id: unit for unit in plan.units()}
        self._outputs = Patterns(
            path for unit in plan.units() for stage in unit.stages for path in stage.outputs
        )
        self._configuration = tuple(configuration)
        self._distributions = distributions
        self._definitions = definitions
        self._source = tuple(source)
        self._environ = os.environ if environ is None else environ
        self._parsed = parsed if parsed is not None else Parsed()
        self._covered: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._resolver: tuple[frozenset[str], Resolver] | None = None
        self.tree_digest = self._digest_of_tree()

    # Rows ---------------------------------------------------------------------------------------

    def declared(self, unit: str, test_files: Iterable[str]) -> Iterator[Dependency]:
        """What is known of a phase or stream without running it, as it is now."""
        row = partial(Dependency, unit)
        yield from self._defined(unit, row)
        yield from (
            row(DependencyKind.CONFIGURATION, path, self.digest(path)) for path in self._configuration
        )
        for name, version in self._distributions.items():
            yield row(DependencyKind.DISTRIBUTION, name, version)
        for path in self.tests(test_files):
            yield row(DependencyKind.TEST, path, self.digest(path))
        yield from (row(DependencyKind.EXECUTED, path, self.digest(path)) for path in self.covered(unit))
        for stage in self._units[unit].stages if unit in self._units else ():
            yield from self._of_stage(row, stage)

    def today(self, recorded: Dependency) -> Dependency | None:
        """The same row as it is now; None for a file that is gone."""
        kind, path = recorded.kind, recorded.name
        if kind is DependencyKind.UNKNOWN:
            return replace(recorded, digest=self.tree_digest if recorded.digest else "")
        digest = self.digest(path)
        if kind is DependencyKind.IMPORTED and digest:
            digest = recorded.digest if self._imports_alike(path, recorded.digest) else self.imported(path)
        if kind is DependencyKind.OPENED:
            digest = digest or ABSENT
        return replace(recorded, digest=digest) if digest else None

    def tests(self, test_files: Iterable[str]) -> tuple[str, ...]:
        """Test files with every conftest that pytest loads for them."""
        files = dict.fromkeys(test_files)
        above = dict.fromkeys(path for file in files for path in conftests(file))
        return (*files, *(path for path in above if path not in files and self.digest(path)))

    def covered(self, unit: str) -> tuple[str, ...]:
        """The files of the tree that a threshold of a phase or stream is judged over; none without one."""
        found = self._units.get(unit)
        stated = json.loads(self._definitions.get(unit, "{}")).get("threshold")
        if found is None or not (found.ratchet or found.coverage is not None or stated is not None):
            return ()
        covers = found.covers or _covers(self._units[unit.partition("/")[0]]) or self._source
        if covers not in self._covered:
            holds = Patterns(covers).hold if covers else lambda path: path.endswith(_PYTHON)
            self._covered[covers] = tuple(filter(holds, self.tree))
        return self._covered[covers]

    def _defined(self, unit: str, row: _Row) -> Iterator[Dependency]:
        for key, value in json.loads(self._definitions.get(unit, "{}")).items():
            if key == "stages":
                for stage, digest in value.items():
                    yield row(DependencyKind.DEFINITION, f"stage {stage}", _digest(digest))
            else:
                yield row(DependencyKind.DEFINITION, key, _digest(value))

    def _of_stage(self, row: _Row, stage: Stage) -> Iterator[Dependency]:
        if not stage.inputs:
            yield row(DependencyKind.UNKNOWN, NO_INPUTS.format(stage.id), "")
        yield from self._matching(row, DependencyKind.INPUT, stage.inputs)
        yield from self._matching(row, DependencyKind.OUTPUT, stage.outputs)
        for name in stage.env:
            yield row(
                DependencyKind.DEFINITION, f"environment variable {name}", _digest(self._environ.get(name))
            )

    def _matching(self, row: _Row, kind: DependencyKind, patterns: Iterable[str]) -> Iterator[Dependency]:
        for pattern in patterns:
            files = tuple(files_at(self._root, pattern))
            yield from (row(kind, path, self.digest(path)) for path in files)
            if not files:
                yield row(kind, pattern, "")

    # Files --------------------------------------------------------------------------------------

    def digest(self, path: str) -> str:
        """The sha256 of a file as it is now, empty if it is none or cannot be read."""
        try:
            found = (self._root / path).stat()
            known = self.tree.get(path)
            if known is not None and known.mode in _FILES and known.stamp == stamp_of(found):
                return known.sha256
            return content_digest(self._root / path) if stat.S_ISREG(found.st_mode) else ""
        except (OSError, ValueError):
            return ""

    def imported(self, path: str) -> str:
        """The digest of what importing a file depends on, and that of all of it; empty if it is gone."""
        content = self._content(path)
        if content is None:
            return ""
        return f"{self._parsed.skeleton(path, content)} {hashlib.sha256(content).hexdigest()}"

    def _imports_alike(self, path: str, recorded: str) -> bool:
        """Whether importing a file depends on the same as recorded; one that is unchanged is not parsed."""
        skeleton, _, whole = recorded.partition(" ")
        return self.digest(path) == whole or self.imported(path).partition(" ")[0] == skeleton

    def imports(self, path: str) -> Iterable[str]:
        """The names of what a file may import."""
        content = self._content(path)
        return self._parsed.imports(path, content) if content is not None else ()

    def resolver(self, others: Iterable[str]) -> Resolver:
        """Finds modules in the tree and among `others`: files that are built, or that git ignores."""
        extra = frozenset(others) - self.tree.keys()
        if self._resolver is None or not extra <= self._resolver[0]:
            extra |= self._resolver[0] if self._resolver is not None else frozenset()
            self._resolver = extra, Resolver((*self.tree, *sorted(extra)))
        return self._resolver[1]

    def steady(self, path: str) -> bool:
        """Whether a file is as it was before the run; what a stage declares to make may change."""
        known = self.tree.get(path)
        if known is None or known.mode not in _FILES or self._outputs.hold(path):
            return True
        return self.digest(path) == known.sha256

    @property
    def all_steady(self) -> bool:
        """Whether every file of the tree is."""
        return all(map(self.steady, self.tree))

    def _content(self, path: str) -> bytes | None:
        try:
            return (self._root / path).read_bytes()
        except (OSError, ValueError):
            return None

    def _digest_of_tree(self) -> str:
        """The sha256 of the tree but for what stages declare to make, which has rows of its own."""
        whole = hashlib.sha256()
        for path, entry in sorted(self.tree.items()):
            if not self._outputs.hold(path):
                whole.update(f"{entry.mode}\0{entry.sha256}\0".encode() + os.fsencode(path) + b"\0")
        return whole.hexdigest()


def _covers(phase: Phase) -> tuple[str, ...]:
    """What a phase answers for; empty if neither it nor a stream of it says so."""
    return phase.covers or tuple(entry for stream in phase.streams for entry in stream.covers)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()
