"""Items of ours that are no tests: they give a worker something to hold or something to do.

A worker asks for its next item before it runs the one it holds, so a scheduler that withholds
the next wave would wait for an item that never starts. The parking item is what a worker holds
last: the item before it then has a next one and runs. Modules and classes are torn down for it,
session fixtures are not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from _pytest.main import FSHookProxy
from _pytest.runner import runtestprotocol


class ControlItem(pytest.Item):
    """An item that reports nothing and stands in no count."""

    act: Callable[[ControlItem, pytest.Item | None], None]

    @classmethod
    def of(
        cls, session: pytest.Session, name: str, act: Callable[[ControlItem, pytest.Item | None], None]
    ) -> ControlItem:
        """An item of the session itself, so that nothing but the session stays set up for it."""
        item: ControlItem = cls.from_parent(session, name=name)
        item.act = act
        return item

    @property
    def ihook(self) -> Any:
        """The hooks of pytest alone: set-up hooks of conftests and other plugins expect a test."""
        manager = self.config.pluginmanager
        foreign = {plugin for plugin in manager.get_plugins() if not _is_of_pytest(plugin)}
        return FSHookProxy(manager, foreign)

    def runtest(self) -> None:
        """Nothing: what it does is done by its protocol."""

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Nowhere in particular."""
        return self.config.rootpath, None, self.name


class Control:
    """Runs control items, and sees to what the end of a worker's work tears down."""

    def __init__(
        self, report: Callable[[pytest.TestReport], None], between_items: Callable[[], None]
    ) -> None:
        self._report = report
        self._between_items = between_items
        self._last: pytest.Item | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Keep control items from everything that is meant for tests."""
        if isinstance(item, ControlItem):
            item.act(item, nextitem)
            return True
        self._between_items()
        self._last = item
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Where the loop ended before the parking item (`-x`, `pytest.exit`), tear down all the same.

        pytest would do so a little later, and what fails there would be lost on a worker. No item
        can be set up for it here, since the last one may still be.
        """
        if session._setupstate.stack:
            call = pytest.CallInfo.from_call(
                lambda: session._setupstate.teardown_exact(None),
                when="teardown",
                reraise=(KeyboardInterrupt, pytest.exit.Exception),
            )
            parking = ControlItem.of(session, "parking", self.park)
            self._report_failure(pytest.TestReport.from_item_and_call(parking, call))

    def park(self, item: ControlItem, nextitem: pytest.Item | None) -> None:
        """Hold a worker; when nothing comes after it, tear down what is left."""
        if nextitem is None:
            self.tear_down(item)

    def tear_down(self, item: ControlItem) -> None:
        """Tear session fixtures down inside a protocol, as part of the last item that ran."""
        for report in runtestprotocol(item, log=False, nextitem=None):
            self._report_failure(report)

    def _report_failure(self, report: pytest.TestReport) -> None:
        if report.failed and self._last is not None:
            report.nodeid, report.location = self._last.nodeid, self._last.location
            report.when = "teardown"
            self._report(report)


def _is_of_pytest(plugin: object) -> bool:
    module = getattr(plugin, "__name__", None) or type(plugin).__module__
    return str(module).startswith("_pytest.")
