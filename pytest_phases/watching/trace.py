"""A worker's side of tracing: on which files the outcome of a phase depends, as far as it runs here.

What the items of a phase execute and open is put down to the phase. When the worker leaves it, for
an item of another one or for none, it hands over what is new, inside the protocol of the phase's
last item: so it has arrived when the controller hears that the item is done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_phases.watching.paths import PHASES_DIR
from pytest_phases.watching.record import PROCESSES, PROCESSES_EARLY, Found, Record

UNNAMEABLE = "it uses files whose names are not text"

_KEY = pytest.StashKey[Record]()


@dataclass(frozen=True, slots=True)
class Trace:
    """Files that a phase depends on, new since it was told last: relative to the rootdir, with `/`, sorted.

    `early` were executed outside of phases, while tests were collected. `unknown` says why there may be more,
    in words that follow "what its tests execute is unknown:"; it is empty if there are no more. `loaded` are
    modules that this process has, whichever phase has imported them.
    """

    phase: str
    executed: tuple[str, ...] = ()
    early: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    unknown: str = ""
    loaded: tuple[str, ...] = ()


@dataclass(slots=True)
class _Phase:
    """What was found for a phase in this process, and what of it was told; `own` are its test files."""

    found: Found = field(default_factory=Found)
    own: set[str] = field(default_factory=set)
    wide: list[Found] = field(default_factory=list)
    executed: set[str] = field(default_factory=set)
    early: set[str] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)


def begin(config: pytest.Config, apart: Iterable[str] = (PHASES_DIR,)) -> Record:
    """Watch this process until pytest ends; called again, it returns the same.

    What conftests execute and open while they are imported is known only if this is called before.
    """
    if _KEY not in config.stash:
        record = config.stash[_KEY] = Record(config.rootpath, apart)
        config.add_cleanup(record.stop)
    return config.stash[_KEY]


class Tracing:
    """The plugin of a worker, or of the one process there is.

    `phase_of` gives the phase of an item, None for what is no test or stage; `hand_over` takes the traces.
    `is_stage` tells stages, whose processes are theirs to declare. `measured` says that coverage knows what
    is executed where Python cannot tell, `subprocesses_measured` that it knows it of other processes too.
    """

    def __init__(
        self,
        config: pytest.Config,
        phase_of: Callable[[pytest.Item], str | None],
        hand_over: Callable[[Trace], None],
        *,
        is_stage: Callable[[pytest.Item], bool] = lambda item: False,
        measured: bool = False,
        subprocesses_measured: bool = False,
        apart: Iterable[str] = (PHASES_DIR,),
    ) -> None:
        self._config = config
        self._phase_of = phase_of
        self._hand_over = hand_over
        self._is_stage = is_stage
        self._measured = measured
        self._subprocesses_measured = subprocesses_measured
        self._record = begin(config, apart)
        self._phases: dict[str, _Phase] = {}
        self._last: str | None = None
        self._alive: dict[Any, Found] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        """What is executed and opened while tests are collected, late too, counts for every phase.

        But for the file that is collected: it is a test file of whichever phase has its items.
        """
        path = getattr(collector, "path", None)
        around = self._record.collecting
        self._record.collecting = self._record.project.named(str(path)) if path is not None else None
        self._record.enter(self._record.outside)
        try:
            return (yield)
        finally:
            self._record.collecting = around

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, Any, Any]:
        """Put down to the phase of the item what it uses, and hand over when the next one is of another."""
        name = self._phase_of(item)
        if name is None:
            try:
                return (yield)
            finally:
                if nextitem is None and self._last is not None:
                    # Session fixtures were torn down just now; their failure would be that of the last item.
                    self._leave(self._last, only_news=True)
        phase = self._enter(name)
        own = self._record.project.named(str(item.path))
        if own is not None:
            phase.own.add(own)
        self._record.testing = not self._is_stage(item)
        try:
            return (yield)
        finally:
            if nextitem is None or self._phase_of(nextitem) != name:
                self._leave(name)
            self._record.testing = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """What sets up a fixture wider than a function counts for every phase until its teardown."""
        if fixturedef.scope == "function" or self._last is None:
            return (yield)
        found = self._alive[fixturedef] = Found()
        self._phases[self._last].wide.append(found)
        around = self._record.enter(found)
        try:
            return (yield)
        finally:
            self._record.back(around)

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """It is torn down: no later phase can use what it has set up."""
        self._alive.pop(fixturedef, None)

    def _enter(self, name: str) -> _Phase:
        phase = self._phases.setdefault(name, _Phase())
        if name != self._last:
            phase.wide = list(self._alive.values())
        self._last = name
        self._record.enter(phase.found)
        return phase

    # Handing over -------------------------------------------------------------------------------

    def _leave(self, name: str, only_news: bool = False) -> None:
        """Hand over everything that is new since this was done last."""
        self._record.settle()
        phase, outside = self._phases[name], self._record.outside
        parts = (phase.found, *phase.wide)
        lasting = self._record.loaded | self._hooks()
        executed = lasting.union(*(part.executed for part in parts)) - phase.executed
        early = outside.executed - phase.early
        opened = outside.opened.union(*(part.opened for part in parts)) - phase.own - phase.opened
        phase.executed |= executed
        phase.early |= early
        phase.opened |= opened
        if only_news and not (executed or early or opened):
            return
        if not all(map(_is_text, (*executed, *early, *opened))):
            phase.found.unknown.add(UNNAMEABLE)
        unknown = self._reasons(outside.unknown.union(*(part.unknown for part in parts)))
        files = (path for path in opened if not Path(self._record.project.root, path).is_dir())
        loaded = _told(self._record.sources())
        self._hand_over(Trace(name, _told(executed), _told(early), _told(files), unknown, loaded))

    def _hooks(self) -> set[str]:
        """The plugins and conftests of the project that have hooks: those are called for every test."""
        files = (
            str(plugin.__file__)
            for plugin in self._config.pluginmanager.get_plugins()
            if isinstance(plugin, ModuleType) and plugin.__file__ and any(map(_is_hook, vars(plugin)))
        )
        return set(filter(None, map(self._record.project.source, files)))

    def _reasons(self, found: Collection[str]) -> str:
        """Why there may be more files than were found."""
        unable = "" if self._measured else self._record.unknown
        if self._subprocesses_measured:
            found = set(found) - {PROCESSES, PROCESSES_EARLY}
        return " and ".join(filter(None, (unable, self._record.broken, *sorted(found))))


def _is_hook(name: str) -> bool:
    return name.startswith("pytest_") and name != "pytest_plugins"


def _told(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(filter(_is_text, paths)))


def _is_text(path: str) -> bool:
    """Whether a path can be sent and kept: one that is no UTF-8 on disk cannot."""
    return path.encode("utf-8", "replace").decode() == path
