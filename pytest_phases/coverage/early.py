"""Starting to measure before anything of the project is imported.

Every line of a module that stands outside of functions is executed once, when it is imported: a
measurement that begins later never sees it. Where pytest-cov measures, it begins as early as this.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage
from coverage.exceptions import CoverageException

from pytest_phases.coverage.source import inside
from pytest_phases.coverage.subprocesses import is_told_by_us
from pytest_phases.settings import MEASURE

CORE = "COVERAGE_CORE"

# A worker sees but a part of the project.
_QUIET = ("module-not-imported", "module-not-measured", "no-data-collected", "already-imported")

KEY = pytest.StashKey[Coverage]()
"""Where the configuration of pytest keeps the measurement that has begun."""

REFUSED = pytest.StashKey[str]()
"""Where it keeps why none has begun, in words."""

_MEASURED_ALREADY = (
    "this process is measured already, by `coverage run` or the like, and a second measurement would take "
    "its data away; start pytest without it, or let pytest-cov make the report: --cov"
)


def environment(include: tuple[str, ...]) -> dict[str, str]:
    """What a worker finds in its environment to begin early; `include` are patterns of files."""
    return {MEASURE: json.dumps(include)}


def core() -> str:
    """The core that counts a line for every context; sysmon counts it for the first one alone."""
    # Asked for where it cannot be imported, ctrace ends the process.
    return "ctrace" if importlib.util.find_spec("coverage.tracer") is not None else "pytrace"


def start_in_worker(config: pytest.Config) -> None:
    """Begin, as the controller has said."""
    start(config, tuple(json.loads(os.environ.pop(MEASURE))))


def start(config: pytest.Config, include: tuple[str, ...]) -> None:
    """Begin, unless pytest-cov does so right away; `include` counts if the project configures no source.

    Raises UsageError if coverage.py cannot use its configuration.
    """
    options = vars(config.known_args_namespace)
    if options.get("no_cov"):
        return
    if options.get("cov_source"):
        _use_core(config)
        return
    current = Coverage.current()
    if current is not None and not is_told_by_us(current.config):
        config.stash[REFUSED] = _MEASURED_ALREADY
        return
    _use_core(config)
    cov = configured(options, config.rootpath, include)
    with inside(config.rootpath):
        cov.start()
    config.stash[KEY] = cov
    config.add_cleanup(cov.stop)


def _use_core(config: pytest.Config) -> None:
    """Have every measurement use our core, until pytest ends."""
    before = os.environ.get(CORE)

    def restore() -> None:
        if before is None:
            os.environ.pop(CORE, None)
        else:
            os.environ[CORE] = before

    config.add_cleanup(restore)
    os.environ[CORE] = core()


def folder_of(config: pytest.Config) -> Path:
    """Where the configuration of coverage.py is looked for: pytest-cov does so where it was started."""
    return config.invocation_params.dir if getattr(config.option, "cov_source", None) else config.rootpath


def configured(options: Mapping[str, Any], folder: Path, include: tuple[str, ...]) -> Coverage:
    """A coverage object by the configuration in a folder and pytest-cov's options, not started.

    Contexts are ours and data stays in memory, whatever the configuration says of them.

    Raises UsageError if coverage.py cannot use the configuration, or load the plugins that it names.
    """
    with inside(folder):
        cov = _by(options)
        if not (options.get("cov_source") or has_source(cov)):
            cov.set_option("run:include", list(include))
    # Its warnings are meant for a whole run, and the subprocesses are taken care of elsewhere.
    cov.config.disable_warnings = [*cov.config.disable_warnings, *_QUIET]
    cov.config.patch = [name for name in cov.config.patch if name != "subprocess"]
    cov.config.dynamic_context = None
    cov.config.context = None
    return cov


def _by(options: Mapping[str, Any]) -> Coverage:
    """Read the configuration in the current folder, and load its plugins."""
    given: dict[str, Any] = {}
    if options.get("cov_source"):
        named = [source for source in options["cov_source"] if source is not True]
        every = len(named) < len(options["cov_source"])
        given = {
            "source": None if every else named,
            "branch": options.get("cov_branch"),
            "config_file": options.get("cov_config", True),
        }
    try:
        cov = Coverage(data_file=None, **given)
    except CoverageException as error:
        raise pytest.UsageError(f"coverage cannot be measured: {error}") from None
    try:
        # Plugins are loaded on the first use of what needs them.
        cov.get_exclude_list()
    except (CoverageException, ImportError) as error:
        plugins, file = ", ".join(cov.config.plugins), cov.config.config_file
        raise pytest.UsageError(
            f"coverage cannot be measured: {error}; install what `plugins = {plugins}` in {file} names, "
            "or correct it"
        ) from None
    return cov


def has_source(cov: Coverage) -> bool:
    """Whether the configuration says what is measured."""
    config = cov.config
    return bool(config.source or config.source_pkgs or config.source_dirs or config.run_include)
