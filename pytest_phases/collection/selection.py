"""What of the plan runs when only some of the tests were asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import pytest

from pytest_phases.model import Plan


def is_restricted(config: pytest.Config) -> bool:
    """Whether paths, node ids or `--lf` and its like restrict what is collected at all."""
    return config.args_source is pytest.Config.ArgsSource.ARGS or bool(
        config.getoption("lf", False) or config.getoption("stepwise", False)
    )


def uncollected(config: pytest.Config, named: Iterable[Path]) -> str:
    """Why not every test was even looked for, in words; `named` are the paths that the plan names.

    Empty if what was asked for on the command line holds everything that is collected without.
    """
    given = [arg for arg in config.invocation_params.args if str(arg).startswith("--ignore")]
    asked = [option for option in ("lf", "stepwise") if config.getoption(option, False)]
    if given or asked:
        return f"{', '.join([*map(str, given), *(f'--{option}' for option in asked)])} leaves files out"
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return ""
    folder = config.invocation_params.dir
    whole = [folder / arg for arg in config.args if "::" not in arg]
    wanted = [config.rootpath / path for path in config.getini("testpaths")] or [folder]
    if all(any(path.is_relative_to(other) for other in whole) for path in (*wanted, *named)):
        return ""
    return f"only {', '.join(config.args)} was collected"


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
