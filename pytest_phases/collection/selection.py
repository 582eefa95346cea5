"""What of the plan runs when only some of the tests were asked for."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterable
from pathlib import Path

import pytest

from pytest_phases.model import Plan

_COLLECTION = frozenset(
    "norecursedirs testpaths python_files python_classes python_functions collect_imported_tests".split()
)
"""Settings that decide what is collected."""


def is_restricted(config: pytest.Config) -> bool:
    """Whether paths, node ids or `--lf` and its like restrict what is collected at all."""
    return config.args_source is pytest.Config.ArgsSource.ARGS or bool(
        config.getoption("lf", False) or config.getoption("stepwise", False)
    )


def what_is_uncollected(config: pytest.Config, named: Iterable[Path]) -> str:
    """Why not every test was even looked for, in words; `named` are the paths that the plan names.

    Empty if what was asked for holds everything that is collected without.
    """
    given = [arg for arg in _asked(config) if arg.startswith("--ignore")]
    given += [f"-o {setting}" for setting in config.option.override_ini or () if _is_about_files(setting)]
    given += [f"--{option}" for option in ("lf", "stepwise") if config.getoption(option, False)]
    if given:
        return f"{', '.join(given)} leaves tests out"
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return ""
    whole = [config.invocation_params.dir / arg for arg in config.args if "::" not in arg]
    return (
        ""
        if _all_lie_in(whole, (*_usual(config), *named))
        else f"only {', '.join(config.args)} was collected"
    )


def what_is_unseen(config: pytest.Config) -> str:
    """Where tests that the plan does not name may lie unseen, in words."""
    if config.args_source is not pytest.Config.ArgsSource.INVOCATION_DIR:
        return ""
    folder = config.invocation_params.dir
    return (
        ""
        if _all_lie_in([folder], _usual(config))
        else f"beside what the plan names, only {folder} was collected"
    )


def _asked(config: pytest.Config) -> list[str]:
    """What was asked for beyond the project's own configuration."""
    more = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    return [*more, *map(str, config.invocation_params.args)]


def _is_about_files(setting: str) -> bool:
    return setting.partition("=")[0].strip() in _COLLECTION


def _usual(config: pytest.Config) -> list[Path]:
    """Where the project's tests lie."""
    return [config.rootpath / path for path in config.getini("testpaths")] or [config.rootpath]


def _all_lie_in(folders: Iterable[Path], paths: Iterable[Path]) -> bool:
    places = tuple(folders)
    return all(any(path.is_relative_to(place) for place in places) for path in paths)


def failed_before(config: pytest.Config) -> set[str]:
    """The node ids that `--lf` asks for, stages among them; none without `--lf`."""
    if not config.getoption("lf", False) or config.cache is None:
        return set()
    return set(config.cache.get("cache/lastfailed", {}))


def leaves_out(config: pytest.Config) -> bool:
    """Whether the user leaves out paths that the plan may well name."""
    return bool(config.option.ignore or config.option.ignore_glob)


def selected(unit: str, only: Collection[str]) -> bool:
    """Whether `--phases-only` takes this phase or stream; a phase takes its streams with it."""
    return not only or unit in only or unit.partition("/")[0] in only


def needed_units(plan: Plan, units: Collection[str]) -> set[str]:
    """These phases and streams and all they depend on: the ones whose stages must run.

    A phase stands for its streams where something depends on it. Sync points are no dependency.
    """
    by_id = {unit.id: unit for unit in plan.units()}
    needed: set[str] = set()
    waiting = [unit for unit in units if unit in by_id]
    while waiting:
        unit = by_id[waiting.pop()]
        if unit.id in needed:
            continue
        needed.add(unit.id)
        parent = by_id[unit.id.partition("/")[0]]
        needed.add(parent.id)
        for other in (*unit.deps, *parent.deps):
            # A dependency on nothing is a problem of the plan and told elsewhere.
            waiting.extend(part.id for part in (by_id[other].units if other in by_id else ()))
    return needed
