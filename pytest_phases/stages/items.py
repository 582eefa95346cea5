"""Stages as pytest knows them: a collector on the plan, and an item for each stage."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.evidence import StageRecord
from pytest_phases.model import Crew, Phase, Stage
from pytest_phases.settings import Settings, below
from pytest_phases.stages.attempt import Attempt
from pytest_phases.stages.environment import stage_environment
from pytest_phases.stages.files import Site
from pytest_phases.stages.log import add_note
from pytest_phases.stages.process import Command, Ending, run

STAGE_ENDED = pytest.StashKey[Callable[[StageRecord], None]]()
"""In the stash of the config: who is told of each stage that has ended well, or is up to date."""

NOT_RECORDED = "phases: not recorded"
"""The key of a user property that says what of a stage could not be written."""

UP_TO_DATE = ("phases", "up to date")
"""Among the `user_properties` of the report of a stage that was not run."""


class StageFailed(Exception):
    """A stage that ended otherwise than with exit status 0; `aside` says what became of its outputs."""

    def __init__(self, ending: Ending, aside: str = "") -> None:
        super().__init__("; ".join(filter(None, (ending.describe(), aside))))
        self.ending = ending
        self.aside = aside


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

    @property
    def plan_file(self) -> PlanFile:
        """The collector of the plan that it stands in."""
        plan_file = self.getparent(PlanFile)
        assert plan_file is not None
        return plan_file

    def runtest(self) -> None:
        """Run the script and wait for it, unless it is up to date.

        Raises StageFailed unless it ends with exit status 0. Its outputs stay where they are after a good
        end alone.
        """
        settings, command = self.plan_file.settings, self.command()
        site = Site(self.config.rootpath, self.config.rootpath / settings.phases_dir)
        attempt = Attempt(self.phase, self.stage, site, settings, command.env)
        if attempt.reasons:
            self._tell(f"runs: {', '.join(attempt.reasons)}")
            self._hand_over(self._run(attempt, command))
        else:
            self._tell("up to date")
            self.user_properties.append(UP_TO_DATE)
            self._not_recorded(add_note(command.log, "up to date; nothing was run (--phases-force runs it)"))
            self._hand_over(attempt.up_to_date())

    def _run(self, attempt: Attempt, command: Command) -> StageRecord:
        attempt.begin(self._held() if self.stage.outputs else set())
        try:
            ending = run(command)
        except BaseException:  # Ctrl-C, the end of the session, the signal of a timeout
            self._abandon(attempt, command)
            raise
        if not ending.ok:
            aside = self._abandon(attempt, command)
            self._not_recorded(ending.unwritten)
            self._warn(ending.warning)
            raise StageFailed(ending, aside)
        record = attempt.ended_well()
        self._not_recorded(ending.unwritten, *attempt.problems)
        self._warn(ending.warning)
        return record

    def _abandon(self, attempt: Attempt, command: Command) -> str:
        """Move the outputs aside and say so, also in the log: after Ctrl-C nothing else tells of it."""
        said = "; ".join(filter(None, (attempt.ended_badly(), *attempt.problems)))
        unwritten = add_note(command.log, said) if said else ""
        return "; ".join(filter(None, (said, unwritten)))

    def _hand_over(self, record: StageRecord) -> None:
        told = self.config.stash.get(STAGE_ENDED, None)
        if told is not None:
            told(record)

    def _held(self) -> set[str]:
        """The plan and the files of tests, which no bad end of a stage moves."""
        paths = {item.path for item in self.session.items if not isinstance(item, StageItem)}
        return {below(path, self.config.rootpath) for path in (self.path, *paths)}

    def _tell(self, what: str) -> None:
        self.add_report_section("call", "phases", f"stage {self.stage.id}: {what}\n")

    def _not_recorded(self, *problems: str) -> None:
        """Let the run say so, in its own words: a warning of Python's might be an error."""
        text = "; ".join(filter(None, problems))
        if text:
            self.user_properties.append((NOT_RECORDED, text))

    def _warn(self, text: str) -> None:
        if text:
            warnings.warn(pytest.PytestWarning(f"{self.nodeid}: {text}"), stacklevel=1)

    def command(self) -> Command:
        """What is run, where and with what around it."""
        settings, root = self.plan_file.settings, self.config.rootpath
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
        lines += [excinfo.value.aside] if excinfo.value.aside else []
        if ending.tail:
            lines += [f"the last it printed (all of it is in {shown}):", "", ending.tail.rstrip()]
        else:
            lines.append("it printed nothing")
        return "\n".join(lines)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The label of the stage in the plan."""
        return self.path, self.stage.place.line - 1, f"stage {self.phase}::{self.stage.id}"
