"""The source that coverage.py is configured to measure, and the Python files of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from coverage.config import CoverageConfig
from coverage.files import canonical_filename

from pytest_phases.coverage.scope import ScopeError

_SUFFIXES = (".py", ".pyw")


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """With another current folder: that is where the configuration of coverage.py and its paths begin."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def is_configured(config: CoverageConfig) -> bool:
    """Whether there is a configured source at all."""
    return bool(config.source or config.source_pkgs or config.source_dirs)


def places(config: CoverageConfig, folder: Path, root: Path) -> tuple[str, ...]:
    """The folders and single modules of the configured source, absolute.

    Settings are relative to `folder`; packages are looked for where this process would import them
    from, and then there and in the rootdir. Nothing of them is imported.

    Raises:
        ScopeError: if an entry is neither a folder nor a package that can be found.
    """
    stated = [*(config.source or ()), *(config.source_dirs or ())]
    folders = [entry for entry in stated if (folder / entry).is_dir()]
    packages = [*(entry for entry in stated if entry not in folders), *(config.source_pkgs or ())]
    found = [os.fspath(folder / entry) for entry in folders]
    found += [place for package in packages for place in _package(package, folder, root)]
    return tuple(map(canonical_filename, found))


def python_files(folder: str) -> Iterator[str]:
    """Every Python file below a folder; hidden folders and virtual environments are passed over.

    A folder without `__init__.py` counts, unlike where coverage.py looks for files that were never
    imported: what a plan names is to be tested whether or not it is a package.
    """
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_passed_over(Path(place, name))]
        yield from (
            os.path.join(place, name)  # noqa: PTH118
            for name in names
            if name.endswith(_SUFFIXES) and not name.startswith(".")
        )


def is_python(path: Path) -> bool:
    """Whether a file is Python by its suffix, or by its first line if it has none."""
    if path.suffix:
        return path.suffix in _SUFFIXES and path.is_file()
    try:
        with path.open("rb") as file:
            start = file.readline(200)
    except (OSError, ValueError):
        return False
    return start.startswith(b"#!") and b"python" in start


def _is_passed_over(folder: Path) -> bool:
    return folder.name.startswith(".") or (folder / "pyvenv.cfg").exists()


def _package(name: str, folder: Path, root: Path) -> list[str]:
    """Where a package or module lies, in several places if it is a namespace package."""
    top, *below = name.split(".")
    spec = _find(top, [os.fspath(folder), os.fspath(root)])
    if spec is not None and not below and not spec.submodule_search_locations:
        # An extension module has no lines.
        return [spec.origin] if spec.origin is not None and spec.origin.endswith(_SUFFIXES) else []
    # To ask for the spec of what stands behind a dot would import what stands before it.
    inside = [Path(place, *below) for place in (spec and spec.submodule_search_locations) or ()]
    modules = [place.with_suffix(".py") for place in inside]
    found = [place for place in inside if place.is_dir()] or [place for place in modules if place.is_file()]
    if not found:
        raise ScopeError(
            f"the coverage configuration names the source `{name}`, which is neither a folder nor a package "
            "that can be found; correct `source` under [tool.coverage.run]"
        )
    return list(map(os.fspath, found))


def _find(name: str, more: list[str]) -> ModuleSpec | None:
    """The spec of a package or module that is in no other."""
    try:
        spec = find_spec(name)
    except ValueError:  # raised for what was put into sys.modules by hand
        spec = None
    return spec or PathFinder.find_spec(name, more)
