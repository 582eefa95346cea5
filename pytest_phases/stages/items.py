"""Stages as pytest knows them: a collector on the plan, and an item for each stage."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.model import Crew, Phase, Stage
from pytest_phases.settings import Settings
from pytest_phases.stages.environment import stage_environment
from pytest_phases.stages.process import Command, Ending, run


class StageFailed(Exception):
    """A stage that ended otherwise than with exit status 0."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.describe())
        self.ending = ending


class PlanFile(pytest.File):
    """The plan as a file that pytest collects stages from."""

    settings: Settings

    @classmethod
    def of(cls, parent: Any, path: Path, settings: Settings) -> PlanFile:
        """The collector of the plan at `path`."""
        file: PlanFile = cls.from_parent(parent, path=path)
        file.settings = settings
        return file

    def collect(self) -> Iterator[UnitCollector]:
        """One collector for each phase and stream that has stages."""
        for phase in self.settings.plan.phases:
            for unit in phase.units:
                if unit.stages:
                    yield UnitCollector.of(self, unit, unit.timeout or phase.timeout)


class UnitCollector(pytest.Collector):
    """A phase or stream of the plan: `plan.md::2`."""

    unit: Phase
    timeout: float | None

    @classmethod
    def of(cls, parent: PlanFile, unit: Phase, timeout: float | None) -> UnitCollector:
        """The collector of one phase or stream; `timeout` is the default of its stages."""
        collector: UnitCollector = cls.from_parent(parent, name=unit.id)
        collector.unit, collector.timeout = unit, timeout
        return collector

    def collect(self) -> Iterable[StageItem]:
        """Its stages, in the order of the plan."""
        return [StageItem.of(self, stage) for stage in self.unit.stages if stage.crew is not Crew.DEPLOY]


class StageItem(pytest.Item):
    """One stage: `plan.md::2::build-wheel`."""

    stage: Stage
    parent: UnitCollector

    @classmethod
    def of(cls, parent: UnitCollector, stage: Stage) -> StageItem:
        """The item of one stage."""
        item: StageItem = cls.from_parent(parent, name=stage.id)
        item.stage = stage
        return item

    @property
    def phase(self) -> str:
        """The id of the phase or stream it belongs to."""
        return self.parent.unit.id

    def runtest(self) -> None:
        """Run the script and wait for it.

        Raises StageFailed unless it ends with exit status 0.
        """
        ending = run(self.command())
        if ending.warning:
            warnings.warn(pytest.PytestWarning(f"{self.nodeid}: {ending.warning}"), stacklevel=1)
        if not ending.ok:
            raise StageFailed(ending)

    def command(self) -> Command:
        """What is run, where and with what around it."""
        plan_file = self.getparent(PlanFile)
        assert plan_file is not None
        settings, root = plan_file.settings, self.config.rootpath
        phases_dir = root / settings.phases_dir
        env = stage_environment(
            os.environ,
            self.phase,
            self.stage.id,
            settings.run_id,
            phases_dir,
            str(self.path),
            sys.executable,
            measured=settings.measured is not None,
        )
        return Command(
            script=self.stage.run,
            language=self.stage.language,
            cwd=root / (self.stage.cwd or "."),
            env=env,
            timeout=self.stage.timeout or self.parent.timeout,
            log=phases_dir / "logs" / self.phase / f"{self.stage.id}.log",
        )

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> Any:
        """How it ended, where all its output is, and the last of it."""
        if not isinstance(excinfo.value, StageFailed):
            return super().repr_failure(excinfo, *args, **kwargs)
        ending, log = excinfo.value.ending, self.command().log
        shown = log.relative_to(self.config.rootpath) if log.is_relative_to(self.config.rootpath) else log
        lines = [f"{ending.describe()}: stage {self.stage.id} of phase {self.phase} ({self.stage.place})"]
        if ending.tail:
            lines += [f"the last it printed (all of it is in {shown}):", "", ending.tail.rstrip()]
        else:
            lines.append("it printed nothing")
        return "\n".join(lines)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The label of the stage in the plan."""
        return self.path, self.stage.place.line - 1, f"stage {self.phase}::{self.stage.id}"
