"""A worker's side of the measurement: whose lines are these, and handing them over.

What a worker executes is recorded under the context of the phase whose item runs. When it leaves
a phase, for an item of another one or for none, it hands over everything that is new. That
happens inside the protocol of the phase's last item, so the data has arrived when the controller
hears that the item is done.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, cast

import pytest
from coverage import Coverage, CoverageData

from pytest_phases.coverage import contexts, early
from pytest_phases.coverage.fixtures import WideFixtures
from pytest_phases.coverage.payload import Payload, versioned
from pytest_phases.coverage.subprocesses import Subprocesses
from pytest_phases.evidence import AFTERWARDS

NOT_MEASURED = "coverage is not measured in this process"


@dataclass(frozen=True, slots=True)
class Part:
    """What a worker measured for a phase: `fixtures` are the contexts of wide fixtures it used.

    `payload` holds all that is new in the worker, also what other phases have imported there;
    `problem` says what could not be read.
    """

    phase: str
    payload: Payload
    fixtures: tuple[str, ...]
    problem: str = ""


class Measurement:
    """The plugin of a worker, or of the one process there is.

    `phase_of` gives the phase of an item, None for what is no test or stage; `hand_over` takes the
    parts. `cov` is what measures, or None if pytest-cov does.
    """

    def __init__(
        self,
        config: pytest.Config,
        cov: Coverage | None,
        phase_of: Callable[[pytest.Item], str | None],
        hand_over: Callable[[Part], None],
    ) -> None:
        self._config = config
        self._root = config.rootpath.resolve()
        self._phase_of = phase_of
        self._hand_over = hand_over
        self._cov = cov
        self._before = Payload()
        self._context = contexts.OUTSIDE
        self._new: dict[str, str] = {contexts.OUTSIDE: contexts.OUTSIDE}
        self._fixtures = WideFixtures()
        self._used: dict[str, set[str]] = {}
        self._by_test = getattr(config.option, "cov_context", None) == "test"
        self._subprocesses: Subprocesses | None = None
        self._sent: dict[tuple[str, str], int] = {}
        self._versions: dict[str, str] = {}
        self._has_run = False

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionstart(self) -> Generator[None]:
        """Where pytest-cov measures, its data is what counts; in a worker it begins anew at this moment."""
        plugin = self._config.pluginmanager.getplugin("_cov")
        theirs = plugin.cov_controller if plugin is not None else None
        if theirs is not None:
            theirs.cov.switch_context(contexts.OUTSIDE)
            self._before = Payload.of(_data(theirs.cov)).renamed(self._loaded)
        yield
        if theirs is not None:
            self._cov = plugin.cov_controller.cov
        if self._cov is not None:
            self._subprocesses = Subprocesses(self._cov.config)
            self._config.add_cleanup(self._subprocesses.stop)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self) -> None:
        """Note which version of the sources this process has loaded, before a stage makes another one."""
        if self._cov is not None:
            self._switch(contexts.OUTSIDE)
            for file in _data(self._cov).measured_files():
                self._loaded(file)

    # Whose lines --------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, Any, Any]:
        """Record under the phase of the item, and hand over when the next one is of another."""
        phase = self._phase_of(item)
        if phase is None:
            try:
                return (yield)
            finally:
                if nextitem is None and self._has_run:
                    # Session fixtures were torn down just now; a worker that ran nothing had none.
                    self.leave(AFTERWARDS)
        self._has_run = True
        context = contexts.of_phase(phase)
        if self._by_test:
            # pytest-cov names contexts by these, and will again: they are as good as the phase.
            self._new.update((f"{item.nodeid}|{when}", context) for when in ("setup", "run", "teardown"))
        if self._by_test or self._context != context:
            self._switch(context)
        try:
            return (yield)
        finally:
            if nextitem is None or self._phase_of(nextitem) != phase:
                self.leave(phase)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        """A fixture wider than a function is recorded for itself, from its set-up to its teardown."""
        with self._fixtures.set_up(fixturedef, request) as context:
            if context is None:
                return (yield)
            outer: list[str] = []
            # Finalizers run in reverse: this one is the last of the fixture, and the one below the first.
            fixturedef.addfinalizer(lambda: self._switch(outer.pop()) if outer else None)
            around = self._switch(context)
            try:
                return (yield)
            finally:
                self._switch(around)
                fixturedef.addfinalizer(lambda: outer.append(self._switch(context)))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, Any, Any]:
        """Which wide fixtures the item has used is known now, and forgotten right after.

        A phase ends with the teardown of what it has set up, as far as that is narrower than the session:
        torn down in a later phase, it would come too late for the threshold of this one.
        """
        phase = self._phase_of(item)
        if phase is not None:
            self._used.setdefault(phase, set()).update(self._fixtures.used(item))
        try:
            return (yield)
        finally:
            if nextitem is not None and phase is not None and self._phase_of(nextitem) != phase:
                # As if an item came next that has nothing but the session in common with this one.
                item.session._setupstate.teardown_exact(cast(pytest.Item, item.session))

    def _switch(self, context: str) -> str:
        """Record under another context, and return the one before."""
        before, self._context = self._context, context
        self._new.setdefault(context, context)
        # pytest-cov pauses for tests that are marked `no_cover`.
        if self._cov is not None and self._cov._started:
            self._cov.switch_context(context)
            if self._subprocesses is not None:
                self._subprocesses.belong_to(context)
        return before

    # Handing over -------------------------------------------------------------------------------

    def leave(self, phase: str) -> None:
        """Hand over everything that is new since this was done last."""
        self._switch(contexts.OUTSIDE)
        payload, self._before = self._before, Payload()
        problem = "" if self._cov is not None else self._config.stash.get(early.REFUSED, NOT_MEASURED)
        if self._cov is not None:
            payload.update(self._newly_measured(self._cov))
        if self._subprocesses is not None:
            payload.update(self._subprocesses.take().renamed(lambda file: versioned(file, self._root)))
            unread = self._subprocesses.unread()
            problem = f"a process left unreadable coverage data: {', '.join(unread)}" if unread else ""
        self._hand_over(Part(phase, payload, tuple(sorted(self._used.get(phase, ()))), problem))

    def _newly_measured(self, cov: Coverage) -> Payload:
        """What was recorded under the contexts since, by the names that we give them."""
        static = cov.config.context or ""
        names = {"|".join(filter(None, (static, name))): ours for name, ours in self._new.items()}
        # Modules are imported, outside of phases, at any time.
        self._new = {contexts.OUTSIDE: contexts.OUTSIDE}
        raw = Payload.of(_data(cov), names)
        payload = Payload(raw.arcs, tracers=raw.tracers)
        for context, files in raw.measured.items():
            for file, lines in files.items():
                # Lines are never taken back, so as many as before are the same as before.
                if self._sent.get((context, file)) != len(lines):
                    self._sent[context, file] = len(lines)
                    payload.add(names[context], file, lines)
        return payload.renamed(self._loaded)

    def _loaded(self, file: str) -> str:
        """What a part calls a file that this process has loaded: in the version it had when first seen."""
        if file not in self._versions:
            self._versions[file] = versioned(file, self._root)
        return self._versions[file]


def _data(cov: Coverage) -> CoverageData:
    # `get_data` would also look for every file of the source that was not executed, and warn of it.
    assert cov._data is not None
    return cov._data
