"""Paths that a plan names and that pytest's own arguments did not lead to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from _pytest.runner import collect_one_node

from pytest_phases.model import Plan, Selector


def collect_missing(session: pytest.Session, plan: Plan, collected: Iterable[str]) -> Iterator[pytest.Item]:
    """The tests at paths of the plan where nothing was collected, although something is there.

    `collected` holds the paths (relative to the rootdir) of everything that was.
    """
    files = set(collected)
    known: dict[Path, pytest.Collector] = {
        node.path: node
        for item in session.items
        for node in item.listchain()
        if isinstance(node, pytest.Directory)
    }
    for path in _paths(plan, session.config.rootpath):
        relative = path.relative_to(session.config.rootpath).as_posix()
        if relative in files or any(_lies_below(file, relative) for file in files):
            continue
        files.add(relative)
        for collector in _collectors_at(session, path, known):
            yield from session.genitems(collector)


def _paths(plan: Plan, root: Path) -> Iterator[Path]:
    selectors = (selector for unit in plan.units() for selector in unit.tests)
    for path in dict.fromkeys(found for selector in selectors for found in _on_disk(selector, root)):
        if path.is_relative_to(root):
            yield path


def _on_disk(selector: Selector, root: Path) -> Iterable[Path]:
    if selector.path is None:
        return ()
    name = selector.path.partition("::")[0]
    if any(character in name for character in "*?["):
        return sorted(root.glob(name))
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
