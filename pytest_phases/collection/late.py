"""Test modules that cannot be collected before something is built.

A module whose phase stands behind stages may fail to import, or skip itself, only because what
it imports does not exist yet. Its collection error is turned into an empty result, and the module
is collected again when its phase opens. A module with no stage before it fails at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable

import pytest

from pytest_phases.collection.freshness import Missed


class LateModules:
    """The modules that are put off, and when they no longer may be.

    `waits_for(path)` gives the phase of a file and the phases with stages that end before it;
    `done` names those that have ended.
    """

    def __init__(
        self,
        waits_for: Callable[[str], tuple[str, frozenset[str]]],
        done: Collection[str],
        missed: Missed,
    ) -> None:
        self._waits_for = waits_for
        self._done = frozenset(done)
        self._missed = missed
        self._put_off: dict[pytest.File, str] = {}

    @property
    def put_off(self) -> tuple[tuple[str, str], ...]:
        """(path, phase) of each module that waits; a path stands once however often it is collected."""
        return tuple(dict.fromkeys((_path(file), phase) for file, phase in self._put_off.items()))

    def due(self, done: Iterable[str]) -> tuple[pytest.File, ...]:
        """Take the modules that can be collected now that these phases have ended."""
        self._done = frozenset(done)
        due = tuple(file for file in self._put_off if self._waits_for(_path(file))[1] <= self._done)
        for file in due:
            del self._put_off[file]
        return due

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Put off what may succeed later."""
        report = yield
        if report.outcome == "passed" or not isinstance(collector, pytest.File):
            return report
        phase, stages = self._waits_for(_path(collector))
        if stages <= self._done:
            return report
        self._put_off[collector] = phase
        call = getattr(report, "call", None)
        self._missed.forgive(_cause(call.excinfo.value) if call is not None and call.excinfo else None)
        report.outcome, report.longrepr, report.result = "passed", None, []
        return report


def _cause(error: BaseException) -> BaseException:
    # pytest wraps an ImportError of a test module into an error of its own, chained to it.
    return error.__cause__ or error


def _path(file: pytest.File) -> str:
    return file.nodeid.partition("::")[0]
