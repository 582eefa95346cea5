"""Whether a process still runs what is on disk: files it has loaded, and files it would load now.

A stage may rewrite a module that this process imported, or make one that it looked for in vain
(`try: import _fast`). Neither can be mended in a running process, so the question is only whether
it happened. Files are compared by their `stat` values, never by the clock.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FrameType, ModuleType

Signature = tuple[int, int, int, int]

_SUFFIXES = tuple(importlib.machinery.all_suffixes())
_METADATA = (".dist-info", ".egg-info", ".pth")
_HELPERS = frozenset({"importlib", "_frozen_importlib", "_frozen_importlib_external", "_pytest"})
_NEVER_IMPORTED = frozenset({"__pycache__", "node_modules"})


class Freshness:
    """What this process has loaded and could have loaded, as of the last look.

    `root` is searched with all its folders; other places of `sys.path` with their own entries and
    those of packages that are loaded. `ignored` holds folders below which nothing counts.
    """

    def __init__(self, root: Path, ignored: Iterable[Path] = ()) -> None:
        self._root = root
        self._project = f"{root}{os.sep}"
        self._ignored = frozenset(map(str, ignored))
        self._loaded: dict[str, Signature | None] = {}
        self._digests: dict[str, bytes] = {}
        self._modules = 0
        self._since = time.time_ns()
        self._missed = Missed()
        sys.meta_path.append(self._missed)
        self._folders: frozenset[str] = frozenset()
        self._importable: frozenset[tuple[str, Signature | None]] = frozenset()
        self.look()

    @property
    def missed(self) -> Missed:
        """The imports that failed in this process."""
        return self._missed

    def look(self) -> None:
        """Take what is on disk now for what this process knows."""
        self._loaded = {}
        for path in _loaded_files():
            self._note(path, signature(path))
        self._modules = len(sys.modules)
        self._folders = _folders()
        self._importable = frozenset(self._list_importable())

    def between_items(self) -> None:
        """Note the modules that the last item has loaded.

        A file that was written after that item began may have been loaded before or after that:
        it counts as changed (a signature of None equals nothing).
        """
        if len(sys.modules) != self._modules:
            self._modules = len(sys.modules)
            for path in _loaded_files():
                if path not in self._loaded:
                    found = signature(path)
                    written_meanwhile = found is not None and found[3] >= self._since
                    self._note(path, None if written_meanwhile else found)
        self._since = time.time_ns()

    def changed(self) -> tuple[str, ...]:
        """Loaded files that are no longer what was loaded; their byte code is removed.

        A file of the project that was written again with the same content is what was loaded.

        Python takes byte code for current when size and second of the source agree, which holds
        for a file that was made twice within a second.
        """
        self.between_items()
        changed = []
        for path, known in self._loaded.items():
            if known is None or (signature(path) != known and not self._holds_the_same(path)):
                changed.append(path)
                _remove_byte_code(path)
        return tuple(sorted(changed))

    def _note(self, path: str, found: Signature | None) -> None:
        self._loaded[path] = found
        # What pip installs is not written again for nothing, and to read it all would take its time.
        if found is not None and path.startswith(self._project):
            self._digests[path] = _digest(path)

    def _holds_the_same(self, path: str) -> bool:
        return path in self._digests and _digest(path) == self._digests[path]

    def appeared(self) -> tuple[str, ...]:
        """Importable files, packages and distributions that were not there at the last look.

        A package of elsewhere that was loaded since has been there before.
        """
        return tuple(sorted({path for path, _ in set(self._list_importable()) - self._importable}))

    def stop(self) -> None:
        """Leave `sys.meta_path` as it was, unless a test has left it otherwise."""
        if self._missed in sys.meta_path:
            sys.meta_path.remove(self._missed)

    def _list_importable(self) -> Iterator[tuple[str, Signature | None]]:
        searched: set[str] = set()
        yield from _importable_below(str(self._root), self._ignored, searched)
        for folder in self._folders - searched:
            yield from _importable_in(folder)


class Missed:
    """A finder that stands last on `sys.meta_path`, finds nothing and remembers who asked for what."""

    def __init__(self) -> None:
        self._misses: set[tuple[str, str]] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Remember that nobody found this module."""
        self._misses.add((name, _importer(sys._getframe(1))))
        return None

    def now_found(self) -> tuple[str, ...]:
        """Modules that were not found when they were asked for, are not loaded, and exist now.

        Whoever asked must still be loaded: a test module that failed by it will be imported anew.
        """
        missed = {name for name, importer in self._misses if importer in sys.modules}
        return tuple(sorted(name for name in missed if name not in sys.modules and _exists(name)))


def signature(path: str) -> Signature | None:
    """What changes when a file is written or replaced; None for a file that is not there."""
    try:
        found = os.stat(path)  # noqa: PTH116 - thousands of files: a Path object each would double the cost
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns)


def _importer(frame: FrameType | None) -> str:
    """The module that asked for an import, whatever helped it to (`importlib`, `pytest.importorskip`)."""
    name = ""
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.partition(".")[0] not in _HELPERS:
            break
        frame = frame.f_back
    return name


def _digest(path: str) -> bytes:
    """What a file holds, or nothing if it cannot be read."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).digest()
    except OSError:
        return b""


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        # The parent package is missing too, or is no package any more.
        return False


def _loaded_files() -> Iterator[str]:
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str):
            yield path


def _folders() -> frozenset[str]:
    """Where this process finds modules: `sys.path`, and the packages that it has loaded."""
    packages = (path for module in list(sys.modules.values()) for path in _package_path(module))
    return frozenset(filter(None, (*sys.path, *packages)))


def _package_path(module: ModuleType) -> tuple[str, ...]:
    found = getattr(module, "__path__", ())
    try:
        return tuple(path for path in found if isinstance(path, str))
    except (TypeError, AttributeError, KeyError):
        # Some packages replace themselves with objects that answer to every attribute.
        return ()


def _importable_in(folder: str) -> Iterator[tuple[str, Signature | None]]:
    """The modules, packages and distributions directly in a folder of `sys.path`."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(_METADATA):
                yield entry.path, signature(entry.path)
            elif entry.name.endswith(_SUFFIXES) or _is_package(entry):
                yield entry.path, None


def _importable_below(
    top: str, ignored: frozenset[str], searched: set[str]
) -> Iterator[tuple[str, Signature | None]]:
    """The same in a folder and all below it; `searched` takes them in. A folder alone is not importable."""
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        searched.add(folder)
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(_METADATA):
                    yield entry.path, signature(entry.path)
                elif entry.name.endswith(_SUFFIXES):
                    yield entry.path, None
                elif entry.is_dir(follow_symlinks=False) and not _is_left_out(entry, ignored):
                    waiting.append(entry.path)


def _is_package(entry: os.DirEntry[str]) -> bool:
    return entry.name.isidentifier() and entry.name not in _NEVER_IMPORTED and entry.is_dir()


def _is_left_out(entry: os.DirEntry[str], ignored: frozenset[str]) -> bool:
    if entry.name.startswith(".") or entry.name in _NEVER_IMPORTED or entry.path in ignored:
        return True
    return Path(entry.path, "pyvenv.cfg").exists()


def _remove_byte_code(path: str) -> None:
    source = Path(path)
    if source.suffix == ".py":
        for cached in source.parent.joinpath("__pycache__").glob(f"{source.stem}.*.pyc"):
            # Where it may not be written, Python could not have cached anything either.
            with suppress(OSError):
                cached.unlink()
