"""The worker's side: sends what it collected, is parked between items, and looks at what was built."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Generator
from typing import Any, Protocol

import pytest

from pytest_phases.adapters.control import Control, ControlItem
from pytest_phases.adapters.messages import (
    Collected,
    Measured,
    Message,
    Refreshed,
    RefreshNow,
    StageEnded,
    TornDown,
    Traced,
    pack,
    unpack,
)
from pytest_phases.table import Table


class Collecting(Protocol):
    """What a worker needs of the plugin that takes part in collection."""

    @property
    def table(self) -> Table | None:
        """What was collected; None without plan and marker."""

    def stale(self) -> tuple[str, ...]:
        """Files that this process has loaded, or would load, and that were built anew."""

    def outdated(self) -> tuple[str, ...]:
        """Of these, what this process has loaded, or looked for in vain, and cannot load any more."""

    def collect_late(
        self, session: pytest.Session, ended: Collection[str], blocked: Collection[str]
    ) -> Table | None:
        """Collect what is due."""

    def between_items(self) -> None:
        """One item has ended and another is about to start."""

    def withdraw(self) -> None:
        """There is neither plan nor marker: leave everything to others."""


class WorkerSide:
    """The plugin of an xdist worker; `gone` is called when the controller is."""

    def __init__(
        self, config: pytest.Config, channel: Any, collection: Collecting, gone: Callable[[], None]
    ) -> None:
        self._config = config
        self._channel = channel
        self._collection = collection
        self._gone = gone
        self._requests: deque[RefreshNow] = deque()
        self._control = Control(self._torn_down, collection.between_items)
        # The receiver's thread calls back; it must not wait for the test that runs.
        channel.setcallback(self._received, endmarker=None)
        config.pluginmanager.register(self._control, "phases-control")

    def _received(self, packed: Any) -> None:
        if packed is None:
            self._gone()
        else:
            message = unpack(packed)
            assert isinstance(message, RefreshNow)
            self._requests.append(message)

    def hand_over(self, message: Measured | Traced | StageEnded) -> None:
        """Tell the controller what was found out while items ran."""
        self._send(message)

    def _send(self, message: Message) -> None:
        if not self._channel.isclosed():
            self._channel.send(pack(message))

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_finish(self, session: pytest.Session) -> Generator[None]:
        """Send the table before xdist sends its ids, and add our items after it has."""
        table = self._collection.table
        self._send(Collected(table))
        yield
        if table is None:
            self._config.pluginmanager.unregister(self._control)
            self._collection.withdraw()
        else:
            session.items.append(ControlItem.of(session, "parking", self._control.park))
            session.items.append(ControlItem.of(session, "refreshing", self._refresh))

    def _refresh(self, item: ControlItem, nextitem: pytest.Item | None) -> None:
        request = self._requests.popleft()
        stale = self._collection.stale()
        table = None if stale else self._collection.collect_late(item.session, request.ended, request.blocked)
        self._send(Refreshed(request.generation, stale, table))

    def _torn_down(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._send(TornDown(data))
