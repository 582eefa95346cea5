"""What one run was asked to do, the same for the controller and every worker."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path

from pytest_phases.evidence import StageRecord
from pytest_phases.model import Plan

NO_BUILT_CODE = (
    "a conftest is loaded before any stage runs, so it cannot import what a stage builds; "
    "import that inside the fixtures that need it, or in test modules"
)
"""Said wherever a conftest fails to import in a run with a plan."""

LATER_WORKER = "PHASES_LATER_WORKER"
"""In the environment of a worker that takes the place of another one, until it has read it."""

MEASURE = "PHASES_MEASURE"
"""In the environment of a worker that is to measure coverage, until it has read it: what, as JSON."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The plan and the options of a run.

    `plan_path` and `phases_dir` are relative to the rootdir where they lie below it, because a
    worker may have a checkout of its own. `only` holds the ids of `--phases-only`; `ended` and
    `blocked` the phases that had run to their end, or never will, when this worker was started,
    `generation` how often something was built by then. `measured` holds the patterns of files to
    measure where the project's configuration names none; None says that nothing is measured.
    `stages` are the last good ends of stages, by which one is up to date, unless `force` runs it.
    """

    plan: Plan = field(default_factory=Plan)
    plan_path: str = ""
    run_id: str = ""
    phases_dir: str = ".phases"
    schedule: str = "waves"
    only: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    generation: int = 0
    measured: tuple[str, ...] | None = None
    stages: tuple[StageRecord, ...] = ()
    force: bool = False

    def to_data(self) -> bytes:
        """For the input of a worker, which runs the code that the controller tells it to anyway."""
        return pickle.dumps(self)

    @classmethod
    def from_data(cls, data: bytes) -> Settings:
        """The inverse of `to_data`."""
        settings = pickle.loads(data)
        assert isinstance(settings, cls)
        return settings


def below(path: Path, root: Path) -> str:
    """A path as settings carry it: relative to the rootdir if it lies below it."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
