"""What each phase of a run has depended on, gathered while it runs and written down when it closes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial

from pytest_phases.checkpoint.compare import ABSENT, MEANWHILE, TOLD, UNFINISHED
from pytest_phases.checkpoint.project import Project
from pytest_phases.checkpoint.sources import closure
from pytest_phases.evidence import AFTERWARDS, Dependency, DependencyKind

_WHOLE = (DependencyKind.TEST, DependencyKind.EXECUTED)
_SILENT = "worker {} ended before it told"


@dataclass(slots=True)
class _Seen:
    """What was told of one phase so far; `test_files` is None until it closes."""

    ran: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    executed: set[str] = field(default_factory=set)
    measured: set[str] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    test_files: tuple[str, ...] | None = None


class Dependencies:
    """The dependencies of every phase and stream of a run; `write` keeps rows, in place of older ones.

    Sources are parsed in a thread, and `write` is called there, unless `threaded` is false: in a process
    that runs tests itself, because what is odd in a source must not become a warning of a test. Paths
    are relative to the rootdir, `/` between the parts.
    """

    def __init__(
        self, project: Project, write: Callable[[Iterable[Dependency]], None], *, threaded: bool = True
    ) -> None:
        self._project = project
        self._write = write
        self._phases: dict[str, _Seen] = {}
        self._early: set[str] = set()
        self._loaded: set[str] = set()
        self._problems: dict[str, None] = {}
        self._tasks: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        if threaded:
            self._thread = threading.Thread(target=self._work, name="pytest-phases dependencies", daemon=True)
            self._thread.start()

    # What happens -------------------------------------------------------------------------------

    def ran(self, phase: str, worker: str) -> None:
        """A worker has run an item of a phase: it will tell what that was."""
        seen = self._seen(phase)
        if not seen.ran and seen.test_files is None:
            # From now on a run that is killed leaves behind what can be known of this phase.
            self._do(lambda: self._write(tuple(self._begun(phase))))
        seen.ran.add(worker)

    def traced(  # noqa: PLR0917 - the fields of a message
        self,
        worker: str,
        phase: str,
        executed: Iterable[str],
        early: Iterable[str],
        opened: Iterable[str],
        unknown: str,
        loaded: Iterable[str] = (),
    ) -> None:
        """A worker tells what was executed and opened for a phase; `unknown` says why there may be more.

        `early` are files with functions that ran while tests were collected: what imports them has used them.
        `loaded` are files of modules, where an import may lead that leads to no file of the tree.
        """
        self._early.update(early)
        self._loaded.update(loaded)
        if phase == AFTERWARDS:
            return
        seen = self._seen(phase)
        seen.told.add(worker)
        seen.executed.update(executed)
        seen.opened.update(opened)
        seen.unknown.update(filter(None, [unknown]))
        self._queue_if_closed(phase)

    def measured(self, phase: str, files: Iterable[str]) -> None:
        """Coverage was measured for a phase: these files were executed."""
        self._seen(phase).measured.update(files)
        self._queue_if_closed(phase)

    def gone(self, phase: str, worker: str) -> None:
        """A worker has ended while it ran an item of a phase: what it has not told yet is lost."""
        self._seen(phase).lost.add(worker)
        self._queue_if_closed(phase)

    def closed(self, phase: str, test_files: Iterable[str]) -> None:
        """A phase has closed; `test_files` hold its tests."""
        self._seen(phase).test_files = tuple(test_files)
        self._queue_if_closed(phase)

    def finish(self) -> str:
        """Wait until everything is written; what went wrong, in words, empty if nothing did."""
        if self._thread is not None:
            self._tasks.put(None)
            self._thread.join()
            self._thread = None
        return "; ".join(self._problems)

    def _seen(self, phase: str) -> _Seen:
        return self._phases.setdefault(phase, _Seen())

    # Doing it -----------------------------------------------------------------------------------

    def _queue_if_closed(self, phase: str) -> None:
        seen = self._phases[phase]
        if seen.test_files is not None:
            # What is told later is added later: the thread gets a copy of what is known now.
            rows = _Rows(
                self._project, phase, deepcopy(seen), frozenset(self._early), frozenset(self._loaded)
            )
            self._do(lambda: self._write(tuple(rows)))

    def _do(self, task: Callable[[], None]) -> None:
        if self._thread is not None:
            self._tasks.put(task)
        else:
            self._try(task)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._try(task)

    def _try(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception as error:  # a phase without rows runs again, and `finish` says why
            self._problems[f"what phases depend on was not recorded ({type(error).__name__}: {error})"] = None

    def _begun(self, phase: str) -> Iterator[Dependency]:
        yield Dependency(phase, DependencyKind.UNKNOWN, UNFINISHED, self._project.tree_digest)
        for row in self._project.declared(phase, ()):
            if row.kind not in (DependencyKind.OUTPUT, DependencyKind.EXECUTED):
                yield row


@dataclass(frozen=True)
class _Rows:
    """The rows of a phase that has closed, as the disk is now."""

    project: Project
    phase: str
    seen: _Seen
    early: frozenset[str]
    loaded: frozenset[str]

    def __iter__(self) -> Iterator[Dependency]:
        row = partial(Dependency, self.phase)
        yield row(DependencyKind.UNKNOWN, UNFINISHED, TOLD)
        declared = tuple(self.project.declared(self.phase, self.seen.test_files or ()))
        for each in declared:
            yield self._checked(each)
        known = {each.name for each in declared if each.kind in _WHOLE}
        yield from self._sources(known)
        yield from self._opened(known)
        yield from self._unknown()

    def _checked(self, row: Dependency) -> Dependency:
        """A row as it is, or as one that is never the same again if its file changed meanwhile."""
        if row.kind in _WHOLE and not self._steady(row.name):
            return Dependency(row.phase, row.kind, row.name, "")
        if row.kind in (DependencyKind.INPUT, DependencyKind.CONFIGURATION) and not self._steady(row.name):
            return Dependency(row.phase, row.kind, row.name, MEANWHILE)
        return row

    def _steady(self, path: str) -> bool:
        return self.project.steady(path)

    def _sources(self, known: set[str]) -> Iterator[Dependency]:
        """What was executed, and what may have been executed when the tests were imported."""
        executed = self.seen.executed | self.seen.measured
        test_files = self.seen.test_files or ()
        start = {*self.project.tests(test_files), *executed}
        resolver = self.project.resolver({*executed, *self.early, *self.loaded})
        # Only a trace tells that a file was not executed: coverage looks at its own source alone. Where
        # Python traces, it has seen the test files first of all.
        traced = not self._doubts() and not self.seen.executed.isdisjoint(test_files)
        for path in sorted(closure(start, resolver, self.project.imports) - known):
            whole = path in executed or path in self.early or not traced
            kind = DependencyKind.EXECUTED if whole else DependencyKind.IMPORTED
            digest = self.project.digest(path) if whole else self.project.imported(path)
            yield Dependency(self.phase, kind, path, digest if self._steady(path) else "")

    def _opened(self, known: set[str]) -> Iterator[Dependency]:
        for path in sorted(self.seen.opened - known):
            digest = self.project.digest(path) if self._steady(path) else ""
            if path not in self.project.tree:
                digest = digest or ABSENT
            yield Dependency(self.phase, DependencyKind.OPENED, path, digest)

    def _doubts(self) -> tuple[str, ...]:
        """Why it is not known what else was executed."""
        silent = sorted((self.seen.ran - self.seen.told) | self.seen.lost)
        return (*map(_SILENT.format, silent), *sorted(self.seen.unknown))

    def _unknown(self) -> Iterator[Dependency]:
        doubts = self._doubts()
        if doubts:
            digest = self.project.tree_digest if self.project.all_steady else MEANWHILE
            for reason in doubts:
                yield Dependency(self.phase, DependencyKind.UNKNOWN, reason, digest)
