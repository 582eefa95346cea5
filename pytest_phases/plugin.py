"""The pytest plugin: hooks hand over to options and wiring, which is imported only when needed."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from _pytest.config import ConftestImportFailure

from pytest_phases import hookspecs, options


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare our hooks."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare our options."""
    options.add(parser)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Generator[None]:
    """Before pytest-cov looks at the number of workers."""
    options.use_workers_for_ini_plan(early_config, args)
    options.keep_coverage_data(early_config)
    options.measure_early(early_config)
    options.trace_early(early_config)
    try:
        return (yield)
    except ConftestImportFailure as failure:
        options.explain_conftest(early_config, failure)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    """Before xdist counts its workers."""
    options.settle_workers(config)
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Take part in this run as far as it has phases."""
    config.addinivalue_line(
        "markers",
        "phase(id, deps=[...], ...): the phase a test belongs to; keyword arguments are the keys of a plan.",
    )
    config.addinivalue_line(
        "markers",
        "lock(name, ..., shared=False): what a test must have to itself, or with shared=True may share with "
        "others that share it.",
    )
    worker = hasattr(config, "workerinput")
    has_plan = options.plan_path(config, config.option.phases) is not None
    option = config.option
    resumes = option.phases_explain or option.phases_resume is not None
    asked = option.phases_dry_run or option.phases_deploy or resumes
    if worker or has_plan or asked or options.has_workers(config):
        from pytest_phases import wiring

        wiring.configure(config)
    else:
        config.pluginmanager.register(_MarkerWatch(config), "phases-marker-watch")


class _MarkerWatch:
    """Waits for phase markers in a run without a plan and without workers."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, Any, Any]:
        """Place the items in phases if any of them says so."""
        if not self._config.option.phases_only and not any(
            item.get_closest_marker("phase") or isinstance(item, pytest.DoctestItem) for item in items
        ):
            return (yield)
        from pytest_phases import wiring

        collection = wiring.configure(self._config)
        assert collection is not None
        return (yield from collection.pytest_collection_modifyitems(session, config, items))
