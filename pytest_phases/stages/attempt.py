"""One attempt at a stage: is it to be run at all, and what follows from how it ends."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from pytest_phases.evidence import StageRecord
from pytest_phases.model import Stage
from pytest_phases.settings import Settings
from pytest_phases.stages.files import Site
from pytest_phases.stages.outputs import Unfinished, move_aside
from pytest_phases.stages.uptodate import look, record, why_run


class Attempt:
    """A stage before its start: `begin`, then one of `ended_well` and `ended_badly`.

    `env` is the environment that it sees. `reasons` say why it is to be run; without any it is up to
    date. `problems` say what could not be written; none of it makes the stage fail.
    """

    def __init__(
        self, phase: str, stage: Stage, site: Site, settings: Settings, env: Mapping[str, str]
    ) -> None:
        known = {(each.phase, each.stage): each for each in settings.stages}
        self.problems: list[str] = []
        self._phase = phase
        self._stage = stage
        self._site = site
        self._env = env
        self._last = known.get((phase, stage.id))
        self._before = look(stage, site, env)
        self._unfinished: Unfinished | None = None
        self.reasons = why_run(phase, stage, self._before, self._last, settings)

    def up_to_date(self) -> StageRecord:
        """The record of a stage that is not run: that of its last good end, marked as such."""
        assert self._last is not None  # without it there is a reason to run
        return replace(self._last, up_to_date=True)

    def begin(self, held: Collection[str]) -> None:
        """Take it that it starts now; `held` are the plan and the files of tests, relative to the rootdir."""
        if self._stage.outputs:
            self._unfinished = Unfinished.of(
                self._phase, self._stage, self._site, self._before, self._last, held
            )
            self._write(self._unfinished.begin, "should this run be killed, its outputs stay where they are")

    def ended_well(self) -> StageRecord:
        """What is to be known of it, its inputs and outputs read again."""
        self._forget()
        after = look(self._stage, self._site, self._env)
        return record(self._phase, self._stage, self._before, after, self._last)

    def ended_badly(self) -> str:
        """Move its outputs aside, and say in one line what was done; empty if there was nothing."""
        if self._unfinished is None:
            return ""
        said = move_aside(self._unfinished, self._site)
        self._forget()
        return said

    def _forget(self) -> None:
        if self._unfinished is not None:
            self._write(self._unfinished.end, "the next run will take it for one that was cut off")
            self._unfinished = None

    def _write(self, act: Callable[[Site], None], consequence: str) -> None:
        try:
            act(self._site)
        except OSError as error:
            self.problems.append(f"{consequence}: {error}")
