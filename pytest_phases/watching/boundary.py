"""Keeping the items of a phase to what it may modify: who writes elsewhere fails, and is told where.

A test is watched in its own process, by audit events; a stage, which is a process of its own, by
what has changed under the paths that the plan speaks of.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.plan.selectors import lies_at
from pytest_phases.watching import audit
from pytest_phases.watching.changes import EVENTS, changes
from pytest_phases.watching.paths import PHASES_DIR, Project
from pytest_phases.watching.snapshot import differences, snapshot

_TEMPORARY_ROOT = "PYTEST_DEBUG_TEMPROOT"


class Boundaries:
    """The plugin of a worker, or of the one process there is.

    `allowed` gives the paths and globs that a phase or stream may modify; one that is not in it is not
    watched. `declared` are all that the plan says anything modifies or reads: a stage is checked by them,
    except for what others may modify at the same time, which `beside` gives for each phase.
    `apart` are folders that are free for all. Paths are relative to the rootdir.
    """

    def __init__(
        self,
        config: pytest.Config,
        phase_of: Callable[[pytest.Item], str | None],
        allowed: Mapping[str, tuple[str, ...]],
        declared: tuple[str, ...] = (),
        *,
        is_stage: Callable[[pytest.Item], bool] = lambda item: False,
        beside: Mapping[str, tuple[str, ...]] | None = None,
        apart: Iterable[str] = (PHASES_DIR,),
    ) -> None:
        self._phase_of = phase_of
        self._allowed = allowed
        self._declared = declared
        self._is_stage = is_stage
        self._beside = beside or {}
        self._project = Project(config.rootpath, (*apart, *_temporary(config)))
        self._watched: str | None = None
        self._violations: dict[str, str] = {}
        self._broken: list[str] = []
        config.add_cleanup(
            audit.listen({event: partial(self._changed, event) for event in EVENTS}, self._failed)
        )

    # While an item runs -------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Watch the set-up of a test."""
        return (yield from self._watch(item))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Watch a test, or look at what a stage has done."""
        return (yield from (self._compare(item) if self._is_stage(item) else self._watch(item)))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Watch the teardown of a test."""
        return (yield from self._watch(item))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Whatever the outcome was, expected to fail or skipped too: who left the boundary has failed."""
        report: pytest.TestReport = yield
        phase = self._phase_of(item)
        if not (self._violations or self._broken) or phase is None:
            return report
        text = "\n".join((*_told(phase, self._violations), *self._broken))
        self._violations, self._broken = {}, []
        if report.failed:
            report.sections.append((f"boundary of phase {phase}", text))
            return report
        report.outcome = "failed"
        report.longrepr = _failure(text)
        if hasattr(report, "wasxfail"):
            del report.wasxfail
        return report

    def _watch(self, item: pytest.Item) -> Generator[None, Any, Any]:
        phase = self._phase_of(item)
        if phase not in self._allowed or self._is_stage(item):
            return (yield)
        self._watched = phase
        try:
            return (yield)
        finally:
            self._watched = None

    def _compare(self, item: pytest.Item) -> Generator[None, Any, Any]:
        phase = self._phase_of(item)
        if phase is None or phase not in self._allowed:
            return (yield)
        before = snapshot(self._project, self._declared)
        try:
            return (yield)
        finally:
            free = (*self._allowed[phase], *self._beside.get(phase, ()))
            for verb, path in differences(before, snapshot(self._project, self._declared)):
                if not _lies_in(path, free):
                    self._violations[path] = verb

    # Events -------------------------------------------------------------------------------------

    def _changed(self, event: str, args: tuple[Any, ...]) -> None:
        if self._watched is None:
            return
        for change in changes(event, args):
            path = self._project.touched(change.path, change.itself)
            if path is not None and not _lies_in(path, self._allowed[self._watched]):
                self._violations.setdefault(path, change.verb)

    def _failed(self, error: Exception) -> None:
        self._broken.append(f"what it writes could not be followed: {error!r}")


def _lies_in(path: str, places: Iterable[str]) -> bool:
    return any(lies_at(path, place) for place in places)


def _told(phase: str, violations: Mapping[str, str]) -> Iterable[str]:
    """What was done where, once for a path, and what to write instead."""
    removed = tuple(f"{path}/" for path, verb in violations.items() if verb == "removed")
    listed = 0
    for path, verb in sorted(violations.items()):
        if not path.startswith(removed):
            listed += 1
            yield f"{verb} {path}, outside the boundary of phase {phase}"
    if listed:
        them = "it" if listed == 1 else "them"
        yield f"add {them} to `modifies` of phase {phase}, or write below tmp_path"


def _failure(text: str) -> Any:
    """How pytest shows a failure that speaks for itself."""
    try:
        pytest.fail(text, pytrace=False)
    except pytest.fail.Exception:
        return pytest.ExceptionInfo.from_current().getrepr(style="value")


def _temporary(config: pytest.Config) -> Iterable[str]:
    """The folders for temporary files that lie below the rootdir, as `--basetemp` may have it."""
    given = (getattr(config.option, "basetemp", None), os.environ.get(_TEMPORARY_ROOT), tempfile.gettempdir())
    root = config.rootpath.resolve()
    for place in filter(None, given):
        path = Path(place).resolve()
        if path != root and path.is_relative_to(root):
            yield path.relative_to(root).as_posix()
