"""The audit hook of the process: one, since Python never takes one back, and idle when nobody listens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, TypeAlias

Handler: TypeAlias = Callable[[tuple[Any, ...]], None]
"""Is given the arguments of an event; `sys._getframe(2)` in it is who caused the event."""

Failed: TypeAlias = Callable[[Exception], None]

_handlers: dict[str, tuple[tuple[Handler, Failed], ...]] = {}
_installed: list[Callable[[str, tuple[Any, ...]], None]] = []
_changing = Lock()


def listen(handlers: Mapping[str, Handler], failed: Failed) -> Callable[[], None]:
    """Have events handled, by their names, until the function that is returned is called.

    An error in a handler would come out of the `open()` of whoever caused the event: it goes to
    `failed` instead, which must not raise.
    """
    with _changing:
        if not _installed:
            _installed.append(_hook)
            sys.addaudithook(_hook)
        for event, handler in handlers.items():
            _handlers[event] = (*_handlers.get(event, ()), (handler, failed))

    def stop() -> None:
        with _changing:
            for event, handler in handlers.items():
                left = tuple(each for each in _handlers.get(event, ()) if each != (handler, failed))
                if left:
                    _handlers[event] = left
                else:
                    _handlers.pop(event, None)

    return stop


def _hook(event: str, args: tuple[Any, ...]) -> None:
    handlers = _handlers.get(event)
    if handlers is None:
        return
    # Whatever goes wrong here, the code that is watched must not see it.
    for handler, failed in handlers:
        try:
            handler(args)
        except Exception as error:  # noqa: PERF203 - one handler must not stop the next
            failed(error)
