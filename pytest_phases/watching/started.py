"""Which code was started, from `sys.monitoring`: each code object says so once and is switched off."""

from __future__ import annotations

import sys
from types import CodeType
from typing import Any

# A debugger has 0, coverage 1, a profiler 2.
_TOOL_IDS = (3, 4, 5)
_NAME = "pytest-phases"


class Started:
    """Tells which code objects were started or resumed since it was asked last.

    `problem` says in words why it cannot, and is empty if it can.
    """

    def __init__(self) -> None:
        self._codes: list[CodeType] = []
        self._monitoring: Any = getattr(sys, "monitoring", None)
        self._tool: int | None = None
        self.problem = ""
        if self._monitoring is None:
            self.problem = f"Python {sys.version_info.major}.{sys.version_info.minor} cannot trace it"
            return
        self._tool = next(filter(self._taken, _TOOL_IDS), None)
        if self._tool is None:
            self.problem = f"other tools have all of {_TOOL_IDS} among the tool ids of sys.monitoring"
            return
        append, disable = self._codes.append, self._monitoring.DISABLE

        # Called for everything that starts: a code object is slow to hash, so nothing is looked up here.
        def started(code: CodeType, offset: int) -> Any:
            append(code)
            return disable

        events = self._monitoring.events
        for event in (events.PY_START, events.PY_RESUME):
            self._monitoring.register_callback(self._tool, event, started)
        self._monitoring.set_events(self._tool, events.PY_START | events.PY_RESUME)

    def take(self) -> list[CodeType]:
        """What was started since this was asked last, each at least once since `again`."""
        # Another thread may append meanwhile.
        codes = self._codes[:]
        del self._codes[: len(codes)]
        return codes

    def again(self) -> None:
        """From now on, have also those tell that have told already."""
        if self._tool is not None:
            self._monitoring.restart_events()

    def stop(self) -> None:
        """Give the tool id back."""
        if self._tool is None:
            return
        events = self._monitoring.events
        self._monitoring.set_events(self._tool, 0)
        for event in (events.PY_START, events.PY_RESUME):
            self._monitoring.register_callback(self._tool, event, None)
        self._monitoring.free_tool_id(self._tool)
        self._tool = None

    def _taken(self, tool: int) -> bool:
        """Take a tool id, unless somebody else has it."""
        try:
            self._monitoring.use_tool_id(tool, _NAME)
        except ValueError:
            return False
        return True
