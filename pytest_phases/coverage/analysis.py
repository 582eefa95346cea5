"""How far files are covered, in coverage.py's own arithmetic, so that figures equal its reports.

Nearly all the time goes into parsing sources. What is found out of a file is kept for as long as its
content stays the same, so that another threshold over the same files costs next to nothing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias, cast

from coverage import Coverage, CoverageData
from coverage.exceptions import CoverageException
from coverage.plugin import FileReporter
from coverage.python import PythonFileReporter
from coverage.results import Analysis, Numbers, analysis_from_file_reporter
from coverage.types import TArc, TLineNo

from pytest_phases.coverage.attribution import Executed, attribute, module_level
from pytest_phases.coverage.listing import Listing
from pytest_phases.coverage.scope import ScopeError

__all__ = ["Executed", "Reached", "ScopeError", "Sources", "attribute", "module_level"]

LEAST = 5
"""How many of the least covered files are named."""
_WIDTH = 100  # characters of the missing lines of one file


@dataclass(frozen=True, slots=True)
class Reached:
    """How far files are covered: `percent` between 0 and 100, and the counts it is made of.

    `branches` are 0 where they are not measured. `least` names the files that lack most, the worst
    first: `src/a/core.py  62 %  missing 10-14, 20`.
    """

    percent: float
    statements: int
    missing: int
    branches: int
    missing_branches: int
    least: tuple[str, ...]


class Sources:
    """The source files of a project, and what is known of them whatever has been executed.

    `root` is the rootdir. `cov` has read the project's coverage configuration; it is neither started
    nor asked for data. Its settings are relative to `folder`, the rootdir if it is not given.
    """

    def __init__(self, root: Path, cov: Coverage, folder: Path | None = None) -> None:
        self._cov = cov
        self._listing = Listing(root, cov, folder)
        self._kept: dict[str, tuple[_Version, _Kept]] = {}

    @property
    def precision(self) -> int:
        """How many decimal places the project's coverage configuration gives to figures."""
        return int(self._cov.config.precision)

    @property
    def has_source(self) -> bool:
        """Whether the configuration says what is measured."""
        return self._listing.has_source

    def name(self, file: str) -> str:
        """What `files` and `figure` call a file: relative to the rootdir, or absolute if outside."""
        return self._listing.name(file)

    def files(self, covers: Iterable[str], executed: Executed | None = None) -> tuple[str, ...]:
        """The files that `covers` stands for, sorted; no `covers` is the configured source.

        They are listed from the disk, without what the configuration omits. Of what is not plain Python
        those files count that a coverage plugin finds or that `executed` has.

        Raises:
            ScopeError: if the configured source is asked for and there is none, or none to be found.
        """
        return self._listing.files(covers, executed)

    def never_measured(self, covers: Iterable[str]) -> tuple[str, ...]:
        """Those files of `covers` that lie outside of what coverage.py is configured to measure."""
        return self._listing.never_measured(covers)

    def has_statement(self, files: Iterable[str]) -> bool:
        """Whether there is anything to cover; what cannot be read is taken for something."""
        return any(map(self._may_have_statement, files))

    def figure(self, files: Iterable[str], executed: Executed) -> Reached:
        """How far files are covered by what counts for one threshold.

        Raises:
            ScopeError: if a file cannot be read as what it is, or if there is no statement in all of them.
        """
        analyses = {file: self._analysis(file, executed) for file in files}
        numbers = sum((analysis.numbers for analysis in analyses.values()), Numbers(self.precision))
        if not numbers.n_statements:
            raise ScopeError(
                "there is no statement to cover in the files of this threshold; "
                "correct `covers:`, or what the coverage configuration omits"
            )
        return Reached(
            numbers.pc_covered,
            numbers.n_statements,
            numbers.n_missing,
            numbers.n_branches,
            numbers.n_missing_branches,
            _least(analyses),
        )

    def _analysis(self, file: str, executed: Executed) -> Analysis:
        arcs = self._cov.config.branch if executed.has_arcs is None else executed.has_arcs
        try:
            kept = self._know(file, arcs, executed.tracers.get(file))
            data = _Data(arcs, executed.in_file(file, kept.anyones()))
            return analysis_from_file_reporter(
                cast(CoverageData, data), self.precision, cast(FileReporter, kept), file
            )
        except _UNREADABLE as error:
            raise ScopeError(
                f"{file} cannot be judged: {error}; correct it, or omit it under [tool.coverage.run]"
            ) from error

    def _may_have_statement(self, file: str) -> bool:
        try:
            return bool(self._know(file, self._cov.config.branch).lines())
        except _UNREADABLE:
            return True

    def _know(self, file: str, arcs: bool, tracer: str | None = None) -> _Kept:
        """What is known of a file as it is now on the disk."""
        path = self._listing.path(file)
        # Times and sizes of files do not tell every change, and to read is cheap beside to parse.
        version = (sha256(Path(path).read_bytes()).digest(), arcs)
        if file not in self._kept or self._kept[file][0] != version:
            reporter = self._reporter(path, tracer or self._listing.tracer(file))
            self._kept[file] = (version, _Kept(reporter, arcs))
        return self._kept[file][1]

    def _reporter(self, path: str, tracer: str | None) -> FileReporter:
        if tracer is not None:
            reporter = self._cov._plugins.get(tracer).file_reporter(path)
            if isinstance(reporter, FileReporter):
                return reporter
        return PythonFileReporter(path, self._cov)


# What parsers raise: null bytes are a ValueError to some Pythons.
_UNREADABLE = (CoverageException, OSError, SyntaxError, ValueError, RecursionError)


# The digest of a file's content, and whether branches are looked at.
_Version: TypeAlias = tuple[bytes, bool]


class _Kept:
    """A file reporter that has found out already what depends on the source alone."""

    def __init__(self, reporter: FileReporter, arcs: bool) -> None:
        self.lines = cache(reporter.lines)
        self.excluded_lines = cache(reporter.excluded_lines)
        self.arcs = cache(reporter.arcs)
        self.exit_counts = cache(reporter.exit_counts)
        self.no_branch_lines = cache(reporter.no_branch_lines)
        self.anyones = cache(partial(_anyones, reporter))
        self.translate_lines = reporter.translate_lines
        self.translate_arcs = reporter.translate_arcs
        branches = (self.arcs, self.exit_counts, self.no_branch_lines) if arcs else ()
        for find_out in (self.lines, self.excluded_lines, self.anyones, *branches):
            find_out()
        if isinstance(reporter, PythonFileReporter):
            # By far the largest part of it; nothing above asks for it again.
            reporter.parser._ast_root = None


def _anyones(reporter: FileReporter) -> frozenset[int]:
    """The lines of a file that count whoever has executed them: of statements outside of functions."""
    if not isinstance(reporter, PythonFileReporter):
        return frozenset()
    source = reporter.source()
    outside = module_level(source)
    # coverage.py knows statements by their first lines: one of several lines is outside as a whole.
    first = reporter.multiline_map()
    return frozenset(line for line in range(1, source.count("\n") + 2) if first.get(line, line) in outside)


class _Data:
    """What coverage.py asks of its data, for one file: lines that were executed, or arcs."""

    def __init__(self, arcs: bool, marks: set[int] | set[TArc]) -> None:
        self._arcs = arcs
        self._marks = marks

    def has_arcs(self) -> bool:
        return self._arcs

    def arcs(self, filename: str) -> list[TArc]:
        return cast("list[TArc]", list(self._marks))

    def lines(self, filename: str) -> list[TLineNo]:
        if not self._arcs:
            return cast("list[TLineNo]", list(self._marks))
        return list({end for arc in self.arcs(filename) for end in arc if end > 0})


def _least(analyses: Mapping[str, Analysis]) -> tuple[str, ...]:
    """The files that lack most statements and branches, in words."""

    def lacks(file: str) -> int:
        numbers = analyses[file].numbers
        return numbers.n_missing + numbers.n_missing_branches

    worst = sorted(filter(lacks, analyses), key=lambda file: (-lacks(file), file))
    return tuple(_in_words(file, analyses[file]) for file in worst[:LEAST])


def _in_words(file: str, analysis: Analysis) -> str:
    missing = textwrap.shorten(analysis.missing_formatted(branches=True), _WIDTH, placeholder=" ...")
    return f"{file}  {analysis.numbers.pc_covered_str} %  missing {missing}"
