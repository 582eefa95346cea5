"""What this process executes and opens, put down to whoever is at work."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from pytest_phases.watching import audit
from pytest_phases.watching.callers import (
    asks_about_machine,
    is_found_by_name,
    is_of_project,
    is_ours,
)
from pytest_phases.watching.paths import PHASES_DIR, Project, absolute
from pytest_phases.watching.reading import Reading
from pytest_phases.watching.started import Started

PROCESSES = "its tests start other processes"
PROCESSES_EARLY = "other processes are started while tests are collected"

_MODULE = "<module>"
_WITHIN = frozenset({"<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>"})
"""Code that belongs to the code around it."""
_SPAWNS, _SPAWN = ("multiprocessing/util.py", "multiprocessing\\util.py"), "spawnv_passfds"
"""The module and the function by which multiprocessing starts a process without an audit event."""
_PROCESS_EVENTS = (
    *("subprocess.Popen", "pty.spawn"),
    *(f"os.{name}" for name in ("posix_spawn", "exec", "fork", "forkpty", "spawn", "system", "startfile")),
)


@dataclass(slots=True, eq=False)
class Found:
    """What somebody at work has executed and opened, and why there may be more."""

    executed: set[str] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)


class Record:
    """Watches the process from when it is made until `stop`.

    `outside` is what was found outside of phases: there, executed files are those with functions that
    were called, and modules that were imported by name alone. `loaded` are files that this process has
    loaded for good, by name or as extension modules, while a phase ran. `unknown` says why nothing is
    known of executed files. Whoever is at work is set by `enter`; `testing` says whether it is a test.
    """

    def __init__(self, root: Path, apart: Iterable[str] = (PHASES_DIR,)) -> None:
        self.project = Project(root, apart)
        self.outside = Found()
        self.loaded = set(self._extensions())
        self.broken = ""
        self._modules: set[str] = set()
        self.testing = False
        self.collecting: str | None = None
        self._at_work = self.outside
        self._started = Started()
        handlers: dict[str, audit.Handler] = dict.fromkeys(_PROCESS_EVENTS, self._process)
        handlers |= {"exec": self._module_body, "import": self._extension}
        handlers |= Reading(self.project, self._opened).handlers
        self._deaf: Callable[[], None] = audit.listen(handlers, self._failed)

    @property
    def unknown(self) -> str:
        """Why this process cannot tell what is executed; empty if it can."""
        return self._started.problem

    def stop(self) -> None:
        """Watch no longer."""
        self._deaf()
        self._started.stop()

    def enter(self, found: Found) -> Found:
        """Put down to `found` all that is executed and opened from now on; returns who was at work."""
        before = self._at_work
        if found is not before:
            self.back(found)
            self._started.again()
            self.project.look_again()
        return before

    def back(self, found: Found) -> None:
        """As `enter`, for one that depends on all that was found since it was left."""
        self.settle()
        self._at_work = found

    def settle(self) -> None:
        """Find the files of the code that was started until now."""
        codes = self._started.take()
        if self._at_work is self.outside:
            # The bodies of modules and classes are not optimized; those who import them are known.
            codes = [
                code for code in codes if code.co_flags & inspect.CO_OPTIMIZED and code.co_name not in _WITHIN
            ]
        names = {code.co_filename for code in codes}
        self._at_work.executed.update(filter(None, map(self.project.source, names)))
        spawning = self.testing and any(name.endswith(_SPAWNS) for name in names)
        if spawning and any(code.co_name == _SPAWN for code in codes):
            self._at_work.unknown.add(PROCESSES)

    def sources(self) -> set[str]:
        """The files of the project that this process has loaded as modules since this was asked last.

        What an import statement leads to is found by its name, among these too: git may ignore some of them.
        """
        new = {name: module for name, module in list(sys.modules.items()) if name not in self._modules}
        self._modules.update(new)
        files = (file for file in map(_file_of, new.values()) if isinstance(file, str))
        return set(filter(None, map(self.project.source, files)))

    # Events -------------------------------------------------------------------------------------

    def _opened(self, relative: str, frame: FrameType) -> None:
        if self._at_work is self.outside and relative == self.collecting:
            return
        if not is_ours(frame, self._is_project):
            self._at_work.opened.add(relative)

    def _process(self, args: tuple[Any, ...]) -> None:
        frame = sys._getframe(2)
        if asks_about_machine(frame) or is_ours(frame, self._is_project):
            return
        if self.testing:
            self._at_work.unknown.add(PROCESSES)
        elif self._at_work is self.outside and is_of_project(frame, self._is_project):
            self.outside.unknown.add(PROCESSES_EARLY)

    def _module_body(self, args: tuple[Any, ...]) -> None:
        """No import statement leads to a module that is found by its name: it counts for all that follows."""
        code = args[0]
        if code.co_name != _MODULE:
            return
        file = self.project.source(code.co_filename)
        if file is not None and is_found_by_name(sys._getframe(2)):
            self._for_good(file)

    def _extension(self, args: tuple[Any, ...]) -> None:
        """The functions of an extension module cause no events."""
        name = absolute(args[1])
        file = self.project.named(name) if name is not None else None
        if file is not None:
            self._for_good(file)

    def _for_good(self, file: str) -> None:
        (self.outside.executed if self._at_work is self.outside else self.loaded).add(file)

    def _failed(self, error: Exception) -> None:
        self.broken = f"not every event could be followed ({type(error).__name__})"

    def _is_project(self, filename: str) -> bool:
        return self.project.source(filename) is not None

    def _extensions(self) -> Iterable[str]:
        """The extension modules that are loaded already."""
        for module in list(sys.modules.values()):
            # Asked in the ordinary way, a lazy module would load itself.
            file = _file_of(module)
            if isinstance(file, str) and not file.endswith((".py", ".pyc")):
                relative = self.project.named(str(Path.cwd() / file))
                if relative is not None:
                    yield relative


def _file_of(module: Any) -> Any:
    try:
        return object.__getattribute__(module, "__dict__").get("__file__")
    except AttributeError:
        return None
