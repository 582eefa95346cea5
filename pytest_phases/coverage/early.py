"""Starting to measure before anything of the project is imported.

Every line of a module that stands outside of functions is executed once, when it is imported: a
measurement that begins later never sees it. Where pytest-cov measures, it begins as early as this.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

from pytest_phases.settings import MEASURE

CORE = "COVERAGE_CORE"

# A worker sees but a part of the project.
_QUIET = ("module-not-imported", "module-not-measured", "no-data-collected", "already-imported")


KEY = pytest.StashKey[Coverage]()
"""Where the configuration of pytest keeps the measurement that has begun."""


def environment(include: tuple[str, ...]) -> dict[str, str]:
    """What a worker finds in its environment to begin early; `include` are patterns of files."""
    return {MEASURE: json.dumps(include), CORE: core()}


def core() -> str:
    """The core that counts a line for every context; sysmon counts it for the first one alone."""
    # Asked for where it cannot be imported, ctrace ends the process.
    return "ctrace" if importlib.util.find_spec("coverage.tracer") is not None else "pytrace"


def start_in_worker(config: pytest.Config) -> None:
    """Begin, as the controller has said."""
    start(config, tuple(json.loads(os.environ.pop(MEASURE))))


def start(config: pytest.Config, include: tuple[str, ...]) -> None:
    """Begin, unless pytest-cov does so right away; `include` counts if the project configures no source."""
    os.environ[CORE] = core()
    options = vars(config.known_args_namespace)
    if options.get("no_cov") or options.get("cov_source"):
        return
    cov = configured(options, config.rootpath, include)
    with _folder(config.rootpath):
        cov.start()
    config.stash[KEY] = cov
    config.add_cleanup(cov.stop)


def configured(options: Mapping[str, Any], root: Path, include: tuple[str, ...]) -> Coverage:
    """A coverage object by the project's configuration and pytest-cov's options, not started.

    Contexts are ours and data stays in memory, whatever the configuration says of them.
    """
    with _folder(root):
        if options.get("cov_source"):
            named = [source for source in options["cov_source"] if source is not True]
            every = len(named) < len(options["cov_source"])
            cov = Coverage(
                data_file=None,
                source=None if every else named,
                branch=options.get("cov_branch"),
                config_file=options.get("cov_config", True),
            )
        else:
            cov = Coverage(data_file=None)
            if not has_source(cov):
                cov.set_option("run:include", list(include))
    # Its warnings are meant for a whole run, and the subprocesses are taken care of elsewhere.
    cov.config.disable_warnings = [*cov.config.disable_warnings, *_QUIET]
    cov.config.patch = [name for name in cov.config.patch if name != "subprocess"]
    cov.config.dynamic_context = None
    cov.config.context = None
    return cov


def has_source(cov: Coverage) -> bool:
    """Whether the configuration says what is measured."""
    config = cov.config
    return bool(config.source or config.source_pkgs or config.source_dirs or config.run_include)


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """The configuration is looked for, and its paths begin, in the current folder."""
    before = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)
