"""The end of a run: the last figures, the gate, and deploying if it was asked for and the gate is green."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import pytest
from _pytest._io import TerminalWriter

from pytest_phases.events import Decision, GateResult, RunResult, State
from pytest_phases.evidence import DeployRecord
from pytest_phases.occupying import left_behind
from pytest_phases.stages.items import NOT_RECORDED

if TYPE_CHECKING:
    from pytest_phases.adapters.run import Run
    from pytest_phases.gate.keeper import Keeper
    from pytest_phases.gate.record import Recorder
    from pytest_phases.model import Plan, Stage
    from pytest_phases.occupying import Occupied

_HOOK = "pytest_phases_gate_check"


class Finish:
    """Ends the run when pytest ends the session, before the summary is written.

    `keeper` is None where there is no plan: then there is no gate. `workers` is how many there were,
    `occupied` is what to tell of the folder that the run is written down in, `unrecorded` asks others
    what they could not write.
    """

    workers = 1

    def __init__(
        self,
        config: pytest.Config,
        run: Run,
        recorder: Recorder,
        keeper: Keeper | None,
        occupied: Occupied,
    ) -> None:
        self._config = config
        self._run = run
        self.recorder = recorder
        self._keeper = keeper
        self.unrecorded: Callable[[], tuple[str, ...]] = tuple
        self._unwritten: list[str] = []
        self._left: tuple[str, ...] = ()
        self._occupied = occupied
        self._deployed = False

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what could not be written of a stage."""
        self._unwritten += [str(text) for key, text in report.user_properties if key == NOT_RECORDED]

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What was moved aside, and in one line what is not written down: a warning might be an error."""
        for line in filter(None, (*self._occupied.notes, self.recorder.set_aside, *self._left)):
            terminalreporter.write_line(line, yellow=True)
        own = (self.recorder.problem, self._occupied.problem, self._run.problem)
        problems = [text for text in (*own, *self.unrecorded(), *self._unwritten) if text]
        if problems:
            what = "this run is not recorded" if self.recorder.problem else "not all of this run is recorded"
            more = f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else ""
            terminalreporter.write_line(f"warning: {what}: {problems[0]}{more}", yellow=True)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Innermost of the wrappers: after every teardown, and before the terminal's summary.

        A phase may be red, or cut short, for something that no report of a test speaks of: that is
        no success, and neither is a plan of which nothing could be collected.
        """
        raised = True
        try:
            answer = yield
            raised = False
            return answer
        finally:
            with closing(self.recorder):
                self._finish(session, raised=raised)

    def _finish(self, session: pytest.Session, *, raised: bool) -> None:
        nothing_said = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        result = self._run.finish(self.workers)
        if result is not None:
            result = self._close(result, failed=raised or not nothing_said)
            self._config.hook.pytest_phases_run_finished(config=self._config, result=result)
        if nothing_said and self._failed(result):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _failed(self, result: RunResult | None) -> bool:
        if result is None:
            return bool(self._run.settings.plan.file)
        red = any(phase.state in (State.RED, State.INTERRUPTED) for phase in result.phases)
        missed = any(not figure.passed for figure in result.figures)
        decision = result.gate.decision if result.gate is not None else None
        refused = self._asked_to_deploy and not (decision is Decision.GREEN and self._deployed)
        # Else the evidence of an earlier run would be all there is.
        lost = bool(self.recorder.problem) and self._run.plan.gate is not None
        return red or missed or decision is Decision.RED or refused or lost

    # The gate -----------------------------------------------------------------------------------

    def _close(self, result: RunResult, *, failed: bool) -> RunResult:
        self.recorder.closed(result.phases)
        if self._keeper is None:
            return result
        self._left = left_behind(self._config.rootpath, self._config.rootpath / self._run.settings.phases_dir)
        plan = self._run.plan
        conditions = self._conditions(result)
        if failed and all(phase.state.satisfies for phase in result.phases):
            conditions.append(
                "pytest failed for something that is the doing of no phase; see what it printed"
            )
        gate = self._keeper.close(self.recorder, plan, conditions)
        if gate.decision is Decision.GREEN and self._asked_to_deploy and plan.gate is not None:
            gate = self._deploy(self._keeper, plan, plan.gate.stages)
        return replace(result, gate=gate)

    def _conditions(self, result: RunResult) -> list[str]:
        """What the project's own hooks have against a green gate; one that raises has something too."""
        try:
            answers = self._config.hook.pytest_phases_gate_check(config=self._config, result=result)
            lists = (answer if isinstance(answer, (list, tuple)) else (answer,) for answer in answers)
            return [_condition(text) for text in chain.from_iterable(lists)]
        # By these a test ends itself, or a program: neither is an Exception.
        except (Exception, SystemExit, pytest.fail.Exception, pytest.skip.Exception) as error:
            return [f"{_HOOK} raised {type(error).__name__}: {error}"]

    # Deploying ------------------------------------------------------------------------------------

    @property
    def _asked_to_deploy(self) -> bool:
        return bool(self._config.option.phases_deploy)

    def _deploy(self, keeper: Keeper, plan: Plan, stages: tuple[Stage, ...]) -> GateResult:
        from pytest_phases.gate.deploy import deploy

        settings, root = self._run.settings, self._config.rootpath
        shown = self._config.pluginmanager.hasplugin("terminalreporter")
        writer = self._config.get_terminal_writer() if shown else TerminalWriter(sys.stdout)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")

        def echo(output: bytes) -> None:
            writer.write(decoder.decode(output), flush=True)

        writer.line()
        deploys: list[DeployRecord] = []
        try:
            for stage in stages:
                writer.line(f"deploying: stage {stage.id}")
                # Until it has ended: what interrupts it is raised on, and nobody hears of it again.
                deploys.append(DeployRecord(stage.id, ok=False, ending="interrupted", seconds=0.0))
                deploys[-1] = deploy(
                    stage, root, root / settings.phases_dir, settings.run_id, plan.file, echo
                )
                writer.line(f"stage {stage.id}: {deploys[-1].ending}")
                if not deploys[-1].ok:
                    break
        finally:
            gate = keeper.deployed(self.recorder, plan, deploys)
        self._deployed = all(each.ok for each in deploys)
        return gate


def _condition(text: object) -> str:
    says_something = isinstance(text, str) and text.strip()
    return str(text) if says_something else f"{_HOOK} returned {text!r}, which is no text"
