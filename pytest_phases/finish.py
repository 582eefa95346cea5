"""The end of a run: the last figures, the gate, and deploying if it was asked for and the gate is green."""

from __future__ import annotations

import codecs
from collections.abc import Generator
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from pytest_phases.events import Decision, GateResult, RunResult, State

if TYPE_CHECKING:
    from pytest_phases.adapters.run import Run
    from pytest_phases.gate.keeper import Keeper
    from pytest_phases.gate.record import Recorder
    from pytest_phases.model import Plan, Stage

_HOOK = "pytest_phases_gate_check"


class Finish:
    """Ends the run when pytest ends the session, before the summary is written.

    `keeper` is None where there is no plan: then there is no gate. `workers` is how many there were.
    """

    workers = 1

    def __init__(self, config: pytest.Config, run: Run, recorder: Recorder, keeper: Keeper | None) -> None:
        self._config = config
        self._run = run
        self._recorder = recorder
        self._keeper = keeper
        self._deployed = False

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Innermost of the wrappers: after every teardown, and before the terminal's summary.

        A phase may be red, or cut short, for something that no report of a test speaks of: that is
        no success, and neither is a plan of which nothing could be collected.
        """
        try:
            return (yield)
        finally:
            result = self._run.finish(self.workers)
            if result is not None:
                result = self._close(result)
                self._config.hook.pytest_phases_run_finished(config=self._config, result=result)
            nothing_said = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
            if self._failed(result) and session.exitstatus in nothing_said:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self._recorder.close()

    def _failed(self, result: RunResult | None) -> bool:
        if result is None:
            return bool(self._run.settings.plan.file)
        red = any(phase.state in (State.RED, State.INTERRUPTED) for phase in result.phases)
        missed = any(not figure.passed for figure in result.figures)
        decision = result.gate.decision if result.gate is not None else None
        refused = self._asked_to_deploy and not (decision is Decision.GREEN and self._deployed)
        return red or missed or decision is Decision.RED or refused

    # The gate -----------------------------------------------------------------------------------

    def _close(self, result: RunResult) -> RunResult:
        self._recorder.closed(result.phases)
        figure = self._run.close_coverage()
        if figure is not None:
            result = replace(result, figures=(*result.figures, figure))
        if self._keeper is None:
            return result
        plan = self._run.plan
        gate = self._keeper.close(self._recorder, plan, self._conditions(result))
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
        writer = self._config.get_terminal_writer()
        decoder = codecs.getincrementaldecoder("utf-8")("replace")

        def echo(output: bytes) -> None:
            writer.write(decoder.decode(output), flush=True)

        writer.line()
        deploys = []
        for stage in stages:
            writer.line(f"deploying: stage {stage.id}")
            deploys.append(deploy(stage, root, root / settings.phases_dir, settings.run_id, plan.file, echo))
            writer.line(f"stage {stage.id}: {deploys[-1].ending}")
            if not deploys[-1].ok:
                break
        self._deployed = all(each.ok for each in deploys)
        return keeper.deployed(self._recorder, plan, deploys)


def _condition(text: object) -> str:
    says_something = isinstance(text, str) and text.strip()
    return str(text) if says_something else f"{_HOOK} returned {text!r}, which is no text"
