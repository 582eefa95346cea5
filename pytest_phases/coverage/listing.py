"""Which files on the disk a threshold is judged over: what `covers` names, as coverage.py would report it."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from coverage import Coverage
from coverage.files import GlobMatcher, canonical_filename, find_python_files, prep_patterns

from pytest_phases.coverage import source
from pytest_phases.coverage.attribution import Executed
from pytest_phases.coverage.scope import SOURCE, ScopeError
from pytest_phases.plan.selectors import is_glob, lies_at

NO_SOURCE = (
    "coverage.py is not told what to measure; write `covers:` with files or folders to the phase, "
    "or `source` under [tool.coverage.run]"
)


class Listing:
    """The files of a project, named relative to the rootdir with `/`, or absolute if outside of it.

    `cov` has read the project's coverage configuration; it is neither started nor asked for data.
    Its settings are relative to `folder`, the rootdir if it is not given.
    """

    def __init__(self, root: Path, cov: Coverage, folder: Path | None = None) -> None:
        self._cov = cov
        # Coverage reads its plugins on the first use of what needs them.
        cov.get_exclude_list()
        self._config = cov.config
        self._root = Path(canonical_filename(os.fspath(root.absolute())))
        self._folder = folder or root
        # coverage.py itself takes what is relative for relative to the current folder.
        with source.inside(self._folder):
            self._aliases = cov._make_aliases() if self._config.paths else None
            self._omit = _matcher([*(self._config.run_omit or ()), *(self._config.report_omit or ())])
            self._include = _matcher(self._config.run_include)
            self._report_include = _matcher(self._config.report_include)
        self.has_source = source.is_configured(self._config)
        self._tracers: dict[str, str] = {}

    def name(self, file: str) -> str:
        """What a file is called here, be it absolute or relative to the rootdir."""
        path = Path(self._mapped(canonical_filename(self.path(file))))
        return (path.relative_to(self._root) if path.is_relative_to(self._root) else path).as_posix()

    def _mapped(self, path: str) -> str:
        """The same file as `paths` of the configuration have it."""
        if self._aliases is None:
            return path
        with source.inside(self._folder):
            return canonical_filename(self._aliases.map(path))

    def path(self, file: str) -> str:
        """Where a file lies, absolute."""
        return os.fspath(self._root / file)

    def tracer(self, file: str) -> str | None:
        """The coverage plugin that has found a file on the disk."""
        return self._tracers.get(file)

    def files(self, covers: Iterable[str], executed: Executed | None = None) -> tuple[str, ...]:
        """The files that `covers` stands for, sorted: listed from the disk, without what is omitted.

        No `covers` is the configured source. Of what is not plain Python, files count that a coverage
        plugin finds or that `executed` has.

        Raises:
            ScopeError: if the configured source is asked for and there is none, or none to be found.
        """
        entries = tuple(covers) or (SOURCE,)
        if entries == (SOURCE,) and not self.has_source:
            raise ScopeError(NO_SOURCE)
        found = {file for entry in entries for file in self._at(entry)}
        found |= {file for file in executed.files if self._is_in(file, entries)} if executed else set()
        return tuple(sorted(file for file in found if self._is_reported(file)))

    def never_measured(self, covers: Iterable[str]) -> tuple[str, ...]:
        """Those files of `covers` that lie outside of what coverage.py is configured to measure."""
        if self._config.paths:
            return ()  # what it maps is measured elsewhere
        listed = {file for entry in covers if entry != SOURCE for file in self._at(entry)}
        kept = [file for file in listed if not self._is_omitted(file)]
        if self.has_source:
            places = source.places(self._config, self._folder, self._root)
            kept = [file for file in kept if not any((self._root / file).is_relative_to(at) for at in places)]
        elif self._include is not None:
            kept = [file for file in kept if not self._include.match(self.path(file))]
        else:
            kept = []
        return tuple(sorted(kept))

    def _at(self, entry: str) -> Iterator[str]:
        """Every file on the disk that one entry of `covers` stands for, omitted or not."""
        if entry == SOURCE:
            # Beside `covers` of other phases it may well be nothing.
            places = source.places(self._config, self._folder, self._root) if self.has_source else ()
            for place in places:
                yield from self._source_files(place)
            return
        for hit in self._matches(entry):
            place = os.fspath(self._root / hit)
            if os.path.isdir(place):  # noqa: PTH112 - Path.is_dir raises for a path that is too long
                yield from map(self.name, source.python_files(place))
                yield from self._plugin_files(place)
            elif source.is_python(Path(place)):
                yield self.name(place)

    def _matches(self, entry: str) -> Iterable[str]:
        # Path.glob raises for a pattern that begins with a slash.
        return glob.iglob(entry, root_dir=self._root, recursive=True) if is_glob(entry) else (entry,)  # noqa: PTH207

    def _source_files(self, place: str) -> Iterator[str]:
        """What coverage.py itself would report of a folder or module of the configured source."""
        if not os.path.isdir(place):  # noqa: PTH112
            yield self.name(place)
            return
        yield from map(self.name, find_python_files(place, self._config.include_namespace_packages))
        yield from self._plugin_files(place)

    def _plugin_files(self, folder: str) -> Iterator[str]:
        for plugin in self._cov._plugins.file_tracers:
            for path in plugin.find_executable_files(folder):
                file = self.name(path)
                self._tracers[file] = plugin._coverage_plugin_name
                yield file

    def _is_in(self, file: str, entries: Iterable[str]) -> bool:
        """Whether a measured file belongs to an entry and is still there."""
        # Whatever was measured at all lies in the configured source.
        belongs = any(entry == SOURCE or lies_at(file, entry) for entry in entries)
        return belongs and os.path.isfile(self.path(file))  # noqa: PTH113

    def _is_reported(self, file: str) -> bool:
        """Whether coverage.py would report a file if it had been executed."""
        # With a source, coverage.py ignores what is included in the measurement.
        measured = None if self.has_source else self._include
        included = (one for one in (measured, self._report_include) if one is not None)
        return not self._is_omitted(file) and all(one.match(self.path(file)) for one in included)

    def _is_omitted(self, file: str) -> bool:
        return self._omit is not None and self._omit.match(self.path(file))


def _matcher(patterns: Iterable[str] | None) -> GlobMatcher | None:
    return GlobMatcher(prep_patterns(patterns)) if patterns else None
