"""Who caused an event: the import system, this package, or the project's own code; told by the frames."""

from __future__ import annotations

import importlib
import opcode
from collections.abc import Callable, Iterator
from itertools import islice
from types import FrameType

_PACKAGE = __name__.partition(".")[0]
_IMPORT = "<frozen importlib."
_REWRITER = "_pytest.assertion.rewrite"
_PYTEST_IMPORTS = "_pytest.pathlib"
_HOOKS = "pluggy."
_IMPORT_NAME = opcode.opmap["IMPORT_NAME"]

_HARMLESS = frozenset({"platform", "uuid", "ctypes.util"})
"""Modules of the standard library that ask other programs what machine this is."""


def reads_source(frame: FrameType | None) -> bool:
    """Whether a source is opened by the import system, or by pytest to rewrite its assertions."""
    nearest = list(islice(_frames(frame), 5))
    if len(nearest) > 1 and nearest[1].f_code.co_name == "get_code":
        return nearest[0].f_code.co_filename.startswith(_IMPORT)
    return any(_module(each) == _REWRITER for each in nearest)


def is_ours(frame: FrameType | None, is_project: Callable[[str], bool]) -> bool:
    """Whether this package acts for itself: the innermost hook that runs is one of ours.

    Where the project is this package, one of its tests calls it and stands further out.
    """
    ours = False
    for each in _frames(frame):
        name = _module(each)
        if name.startswith(_HOOKS):
            return ours
        if name.partition(".")[0] == _PACKAGE:
            ours = True
        elif is_project(each.f_code.co_filename):
            return False
    return ours


def is_of_project(frame: FrameType | None, is_project: Callable[[str], bool]) -> bool:
    """Whether code of the project is anywhere among the callers."""
    return any(is_project(each.f_code.co_filename) for each in _frames(frame))


def asks_about_machine(frame: FrameType | None) -> bool:
    """Whether a process is started by what the standard library asks about the machine."""
    return any(_module(each) in _HARMLESS for each in islice(_frames(frame), 8))


def is_found_by_name(frame: FrameType | None) -> bool:
    """Whether the module whose body is about to run is named by no `import` statement.

    `frame` is who executes the body. The modules of tests and conftests are named by pytest itself.
    """
    for each in _frames(frame):
        name = _module(each)
        if each.f_code.co_filename.startswith(_IMPORT) or name in {importlib.__name__, _REWRITER}:
            continue
        if name == _PYTEST_IMPORTS:
            return False
        return each.f_code.co_code[each.f_lasti] != _IMPORT_NAME
    return True


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""
