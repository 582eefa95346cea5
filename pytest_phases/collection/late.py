"""Test modules that cannot be collected before something is built.

A module whose phase stands behind stages may fail to import, or skip itself, only because what
it imports does not exist yet. Its collection error is turned into an empty result, and the module
is collected again when its phase opens. A module with no stage before it fails at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Generator, Iterable
from pathlib import Path

import pytest
from _pytest.config import ConftestImportFailure

from pytest_phases.settings import NO_BUILT_CODE


class LateModules:
    """The modules that are put off, and when they no longer may be.

    `waits_for(path)` gives the phase of a file and the phases with stages that end before it;
    `done` names those that have ended, `blocked` phases whose modules nobody will need.
    """

    def __init__(
        self,
        waits_for: Callable[[str], tuple[str, frozenset[str]]],
        done: Collection[str],
        blocked: Collection[str],
    ) -> None:
        self._waits_for = waits_for
        self._done = frozenset(done)
        self._blocked = frozenset(blocked)
        self._put_off: dict[pytest.File, str] = {}

    @property
    def put_off(self) -> tuple[tuple[str, str], ...]:
        """(path, phase) of each module that waits; a path stands once however often it is collected."""
        return tuple(dict.fromkeys((_path(file), phase) for file, phase in self._put_off.items()))

    def due(self, done: Iterable[str], blocked: Iterable[str]) -> tuple[pytest.File, ...]:
        """Take the modules that can be collected now that these phases have ended."""
        self._done, self._blocked = frozenset(done), frozenset(blocked)
        due = tuple(file for file in self._put_off if self._is_due(*self._waits_for(_path(file))))
        for file in due:
            del self._put_off[file]
        return due

    def _is_due(self, phase: str, stages: frozenset[str]) -> bool:
        return stages <= self._done and phase not in self._blocked

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Put off what may succeed later."""
        report = yield
        if report.outcome == "passed":
            return report
        if not isinstance(collector, pytest.File):
            _explain_conftest(report)
            return report
        phase, stages = self._waits_for(_path(collector))
        if self._is_due(phase, stages):
            return report
        self._put_off[collector] = phase
        _unload(collector.path)
        report.outcome, report.longrepr, report.result = "passed", None, []
        return report


def _explain_conftest(report: pytest.CollectReport) -> None:
    """A conftest belongs to all phases below its folder, so it is not put off."""
    call = getattr(report, "call", None)
    failure = call.excinfo.value if call is not None and call.excinfo is not None else None
    if isinstance(failure, ConftestImportFailure) and isinstance(failure.cause, ImportError):
        report.sections.append(("phases", NO_BUILT_CODE))


def _unload(path: Path) -> None:
    """Forget a module that was not executed to its end.

    Python does, but `--import-mode=importlib` leaves it loaded and would take the half of it for
    the whole.
    """
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) == str(path):
            del sys.modules[name]


def _path(file: pytest.File) -> str:
    return file.nodeid.partition("::")[0]
