"""The environment a stage sees."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

NOT_INHERITED = ("PYTEST_CURRENT_TEST", "PYTEST_VERSION", "COVERAGE_FILE", "COVERAGE_RUN")
MEASURES = "COVERAGE_PROCESS_CONFIG"
"""How coverage is told to measure a process; it names the phase whose worker starts the process."""
NOT_INHERITED_PREFIXES = (
    "PYTEST_XDIST_",
    "COVERAGE_PROCESS_",  # coverage 7.10 and later: a Python that finds one measures itself from its start
    "COV_CORE_",  # the same from pytest-cov before 7
)


def stage_environment(  # noqa: PLR0917 - a value for each variable, in the order in which they are documented
    base: Mapping[str, str],
    phase: str,
    stage: str,
    run_id: str,
    phases_dir: Path,
    plan: str,
    executable: str,
    *,
    measured: bool = False,
) -> dict[str, str]:
    """`base` (normally `os.environ`) without what belongs to the worker, and with what belongs to the stage.

    Dropped is what tells a process that it is a test, an xdist worker, or to be measured into the
    worker's coverage data; if the stage is `measured`, for its phase, that is meant. The folder of
    `executable` comes first on PATH, so that `python` and installed commands in a script are those of
    the run; a virtual environment's link is kept.
    """
    meant = {MEASURES} if measured else set()
    kept = {name: value for name, value in base.items() if name in meant or not _belongs_to_worker(name)}
    path = kept.get("PATH") or os.defpath
    return kept | {
        "PATH": os.pathsep.join([str(Path(executable).parent), path]),
        "PHASES_PHASE": phase,
        "PHASES_STAGE": stage,
        "PHASES_RUN_ID": run_id,
        "PHASES_DIR": str(phases_dir),
        "PHASES_PLAN": plan,
    }


def _belongs_to_worker(name: str) -> bool:
    return name in NOT_INHERITED or name.startswith(NOT_INHERITED_PREFIXES)
