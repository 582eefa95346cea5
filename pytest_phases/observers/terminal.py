"""What people see in the terminal: header, a line when a phase opens or closes, a closing table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest
from _pytest._io.wcwidth import wcswidth
from _pytest.terminal import TerminalReporter

from pytest_phases.events import (
    Decision,
    Figure,
    PhaseChanged,
    PhaseResult,
    RunResult,
    RunStarted,
    State,
    WaveClosed,
    WaveResult,
    gate_line,
    gate_lines,
)
from pytest_phases.model import UNPHASED, Plan

_COLORS = {
    State.GREEN: "green",
    State.RED: "red",
    State.FAILING: "red",
    State.BLOCKED: "yellow",
    State.EMPTY: "yellow",
    State.INTERRUPTED: "yellow",
}
_GATE_COLORS = {
    Decision.GREEN: "green",
    Decision.RED: "red",
    Decision.INCOMPLETE: "yellow",
    Decision.PENDING: "yellow",
}
_COLUMNS = ("phase", "state", "passed", "failed", "skipped", "blocked", "stages", "time", "")
_NAMES = ("phase", "state")
_STATUS = {
    "phases_blocked": ("blocked", "b", "BLOCKED"),
    "phases_resumed": ("resumed", "r", "RESUMED"),
}
_WIDEST_NAME = 40
_NAMED_PAIRS = 3
_UP_TO_DATE = ("phases", "up to date")
# From -qq on pytest leaves out its own last line.
_QUIET = -1


class TerminalObserver:
    """Writes through pytest's own terminal reporter, and only what its verbosity allows."""

    def __init__(self, config: pytest.Config, plan: Plan, schedule: str, workers: int, waves: int) -> None:
        self._config = config
        self._plan = plan
        self._schedule = schedule
        self._workers = workers
        self._waves = waves
        self._result: RunResult | None = None
        self._waves_with_items: set[int] = set()
        self._resumed: Mapping[str, str] = {}
        reporter = config.pluginmanager.getplugin("terminalreporter")
        assert isinstance(reporter, TerminalReporter)
        self._reporter = reporter
        self._writer = config.get_terminal_writer()

    # While it runs --------------------------------------------------------------------------

    @pytest.hookimpl
    def pytest_report_header(self) -> list[str]:
        """The plan, its phases and waves, and the workers."""
        plan = self._plan
        if not plan.file:
            return []
        counted = f"{_count(len(plan.phases), 'phase')} in {_count(self._waves, 'wave')}"
        workers = _count(self._workers, "worker")
        lines = [f"phases: {plan.file}, {counted}, {workers}, schedule {self._schedule}"]
        return lines + [f"phases: {note.place}: {note.text}" for note in plan.notes]

    @pytest.hookimpl
    def pytest_phases_run_started(self, event: RunStarted) -> None:
        """What of the plan this run cannot do, and what it need not do again."""
        self._resumed = dict(event.resumed)
        for note in event.notes:
            self._line(f"phases: {note}", "yellow")
        for line in event.decisions:
            self._line(line, least=_QUIET)

    @pytest.hookimpl
    def pytest_phases_threshold_judged(self, figure: Figure) -> None:
        """A line for each threshold, and where most is missing if it is missed."""
        self._line(f"{figure.title}: {figure.text}", "green" if figure.passed else "red")
        for line in (figure.problem, *figure.files):
            if line:
                self._line(f"  {line}", "red")

    @pytest.hookimpl
    def pytest_phases_phase_changed(self, event: PhaseChanged) -> None:
        """A line when a phase opens, turns red or closes; none for a phase without an item."""
        if event.id == UNPHASED:
            return
        if event.items:
            self._waves_with_items.add(event.wave)
        opened = event.new is State.OPEN
        closed = event.new.closed and event.old is not State.WAITING
        if event.kind == "sync point":
            if event.new is State.GREEN:
                self._line(f"{event.title} reached")
        elif not event.items and event.new is not State.FAILING:
            return
        elif event.id in self._resumed and (opened or event.new is State.GREEN):
            return  # said at the start
        elif opened:
            self._line(f"{event.title} opened")
        elif event.new is State.FAILING or event.new is State.BLOCKED:
            self._line(f"{event.title} {_said(event)}", _COLORS[event.new])
        elif closed:
            self._line(f"{event.title} {_said(event)}", _COLORS.get(event.new))

    @pytest.hookimpl
    def pytest_phases_wave_closed(self, event: WaveClosed) -> None:
        """A line when a wave is complete."""
        if event.number in self._waves_with_items:
            self._line(f"wave {event.number} closed")

    @pytest.hookimpl
    def pytest_phases_run_finished(self, result: RunResult) -> None:
        """Keep the result for the summary."""
        self._result = result

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Blocked and resumed items have a letter and a count of their own."""
        for mark, status in _STATUS.items():
            if getattr(report, mark, False) and report.skipped:
                return status
        return None

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A line for each stage that need not run."""
        if _UP_TO_DATE in report.user_properties and report.when == "call":
            _, phase, stage = report.nodeid.rsplit("::", 2)
            self._line(f"phase {phase}: stage {stage} is up to date")

    def _line(self, text: str, color: str | None = None, least: int = 0) -> None:
        if self._reporter.verbosity >= least:
            self._reporter.ensure_newline()
            # Under xdist pytest does not know that its dots have left the line unfinished.
            if self._writer.width_of_current_line:
                self._writer.line()
            self._reporter.write_line(text, **({color: True} if color else {}))

    # When it is over --------------------------------------------------------------------------

    @pytest.hookimpl
    def pytest_terminal_summary(self) -> None:
        """The table of phases, and how parallel each wave was."""
        result = self._result
        if result is None or not result.phases or self._reporter.verbosity < _QUIET:
            return
        self._reporter.section("phases")
        for line, state in table(result.phases):
            color = _COLORS.get(state) if state is not None else None
            self._reporter.write_line(line, **({color: True} if color else {}))
        for wave in result.waves:
            self._reporter.write_line(wave_line(wave))
        for warning in sequential_warnings(result):
            self._reporter.write_line(warning, yellow=True)
        if result.gate is not None:
            color = _GATE_COLORS[result.gate.decision]
            # Nobody has asked for a gate that the plan does not state, so it is not argued about.
            shown = gate_lines(result.gate) if self._plan.gate is not None else [gate_line(result.gate)]
            for line in shown:
                self._reporter.write_line(line, **{color: True})


def table(phases: Sequence[PhaseResult]) -> Iterator[tuple[str, State | None]]:
    """The rows of the closing table as text, each with the state that gives its color."""
    rows = [(_COLUMNS, None), *((_row(phase), phase.state) for phase in phases)]
    # A letter may be two columns wide, or none.
    widths = [max(map(wcswidth, column)) for column in zip(*(cells for cells, _ in rows), strict=True)]
    for cells, state in rows:
        # Names stand left, figures right, the reason runs free at the end.
        aligned = []
        for column, cell, width in zip(_COLUMNS[:-1], cells[:-1], widths[:-1], strict=True):
            blank = " " * (width - wcswidth(cell))
            aligned.append(cell + blank if column in _NAMES else blank + cell)
        yield "  ".join([*aligned, cells[-1]]).rstrip(), state


def _row(phase: PhaseResult) -> tuple[str, ...]:
    tests, stages = phase.tests, phase.stages
    ran = sum((stages.passed, stages.bad, stages.skipped, stages.blocked))
    name = phase.id if phase.id == UNPHASED else " ".join(filter(None, (phase.id, phase.name)))
    return (
        ("  " if phase.kind == "stream" else "") + _short(name),
        phase.state.value,
        _figure(tests.passed + tests.xfailed),
        _figure(tests.bad),
        _figure(tests.skipped),
        _figure(tests.blocked),
        f"{stages.passed}/{ran}" if ran else "-",
        f"{phase.seconds:.2f}s" if phase.seconds else "-",
        phase.reason or (f"resumed from {phase.resumed}" if phase.resumed else ""),
    )


def wave_line(wave: WaveResult) -> str:
    """What a wave planned in parallel and what overlapped in fact."""
    planned = f"{len(wave.phases)} in parallel" if len(wave.phases) > 1 else "alone"
    line = f"wave {wave.number} ({', '.join(wave.phases)}): planned {planned}"
    if not wave.seconds:
        return f"{line}, nothing ran"
    return (
        f"{line}, ran {wave.concurrency:.1f} items at once for {wave.seconds:.2f}s, "
        f"workers {wave.idle:.0%} idle"
    )


def sequential_warnings(result: RunResult) -> Iterator[str]:
    """Phases that were planned in parallel and ran one after another, by name."""
    titles = {phase.id: phase.title for phase in result.phases}
    why = ", with one worker" if result.workers == 1 else ""
    for wave in result.waves:
        for first, second in wave.sequential[:_NAMED_PAIRS]:
            both = f"{titles[first]} and {titles[second]}"
            yield f"warning: {both} were planned in parallel and ran one after another{why}"
        more = len(wave.sequential) - _NAMED_PAIRS
        if more > 0:
            yield f"warning: so did {_count(more, 'more pair')} of wave {wave.number}"


def _said(event: PhaseChanged) -> str:
    if event.new is State.FAILING:
        return f"is failing: {event.reason}"
    if event.new is State.BLOCKED:
        return f"is {event.reason}"
    return f"is {event.new.value}: {event.tally}"


def _short(name: str) -> str:
    return name if len(name) <= _WIDEST_NAME else name[: _WIDEST_NAME - 1] + "…"


def _figure(count: int) -> str:
    return str(count) if count else "-"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
