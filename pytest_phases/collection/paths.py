"""Paths that a plan names and that pytest's own arguments did not lead to."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from _pytest.pathlib import fnmatch_ex
from _pytest.runner import collect_one_node

from pytest_phases.model import Plan, Selector
from pytest_phases.plan.selectors import is_glob


def collect_missing(
    session: pytest.Session, paths: Iterable[Path], collected: Iterable[str]
) -> Iterator[pytest.Item]:
    """The tests at those paths where nothing was collected.

    `collected` holds the paths (relative to the rootdir) of everything that was.
    """
    files = set(collected)
    known: dict[Path, pytest.Collector] | None = None
    for path in paths:
        relative = path.relative_to(session.config.rootpath).as_posix()
        if relative in files or any(_lies_below(file, relative) for file in files):
            continue
        files.add(relative)
        known = _folders(session.items) if known is None else known
        for collector in _collectors_at(session, path, known):
            yield from session.genitems(collector)


def _folders(items: Iterable[pytest.Item]) -> dict[Path, pytest.Collector]:
    """The folders of these items as pytest knows them."""
    return {
        node.path: node
        for item in items
        for node in item.iter_parents()
        if isinstance(node, pytest.Directory)
    }


def test_modules(config: pytest.Config, path: str) -> tuple[str, ...]:
    """What a report of collection speaks of: a module, or for a folder the modules below it."""
    folder = config.rootpath / path
    if not folder.is_dir():
        return (path,)
    found = {file for pattern in config.getini("python_files") for file in folder.rglob(pattern)}
    return tuple(sorted(file.relative_to(config.rootpath).as_posix() for file in found))


def new_modules(config: pytest.Config, appeared: Iterable[str]) -> Iterator[str]:
    """Which of these files are test modules below the rootdir, relative to it."""
    patterns = config.getini("python_files")
    for file in map(Path, appeared):
        if file.is_relative_to(config.rootpath) and any(fnmatch_ex(pattern, file) for pattern in patterns):
            yield file.relative_to(config.rootpath).as_posix()


def paths_of(plan: Plan, root: Path) -> Iterator[Path]:
    """What the plan's selectors name below the rootdir and what is there, each once."""
    selectors = (selector for unit in plan.units() for selector in unit.tests)
    for path in dict.fromkeys(found for selector in selectors for found in on_disk(selector, root)):
        if path.is_relative_to(root):
            yield path


def on_disk(selector: Selector, root: Path) -> Iterable[Path]:
    """The files and folders that the path of a selector names."""
    if selector.path is None:
        return ()
    name = selector.path.partition("::")[0]
    if is_glob(name):
        # Path.glob raises for a pattern that begins with a slash, and a plan may say anything.
        return sorted(root / path for path in glob.iglob(name, root_dir=root, recursive=True))  # noqa: PTH207
    path = (root / name).resolve() if ".." in Path(name).parts else root / name
    return (path,) if path.exists() else ()


def _collectors_at(
    session: pytest.Session, path: Path, known: dict[Path, pytest.Collector]
) -> Iterable[pytest.Collector]:
    """Go down from the nearest node that exists, so that what conftests have registered holds."""
    if session.gethookproxy(path.parent).pytest_ignore_collect(collection_path=path, config=session.config):
        return ()
    above = next((known[folder] for folder in (path, *path.parents) if folder in known), None)
    if above is None:
        above = session.ihook.pytest_collect_directory(path=session.config.rootpath, parent=session)
    if above is None or above.path == path:
        return () if above is None else (above,)
    while True:
        step = above.path / path.relative_to(above.path).parts[0]
        children = _children_at(above, step)
        if step == path or not children:
            return children
        above = known[step] = children[0]


def _children_at(parent: pytest.Collector, path: Path) -> list[pytest.Collector]:
    # Collecting a folder also loads its conftest, as on pytest's own way down.
    report = collect_one_node(parent)
    if not report.passed:
        parent.ihook.pytest_collectreport(report=report)
        return []
    found = [node for node in report.result if isinstance(node, pytest.Collector) and node.path == path]
    if found or path.suffix != ".py":
        return found
    # Named by the plan, a file counts as an argument: its name need not fit `python_files`.
    return [parent.session.gethookproxy(path).pytest_pycollect_makemodule(module_path=path, parent=parent)]


def _lies_below(file: str, folder: str) -> bool:
    return folder == "." or file.startswith(folder + "/")
