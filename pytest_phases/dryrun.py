"""`--phases-dry-run`: what a run would do, wave by wave, without doing any of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from pytest_phases.model import UNPHASED, Phase, Plan
from pytest_phases.table import Table


class DryRun:
    """Takes the place of the loop that runs tests; `foresee` gives the text of a table, line by line."""

    def __init__(self, table: Callable[[], Table | None], foresee: Callable[[Table], Iterator[str]]) -> None:
        self._table = table
        self._foresee = foresee
        self._lines: list[str] | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> bool:
        """Run nothing; a mistake that only collection could find is told now."""
        table = self._table()
        if table is None:
            self._lines = ["there is neither a plan nor a phase marker"]
        else:
            self._lines = list(self._foresee(table))
        return True

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print it where the summary of a run stands, unless the run ended before there was any."""
        if self._lines is not None:
            terminalreporter.section("dry run, nothing was run")
            for line in self._lines:
                terminalreporter.write_line(line)


def foresee(plan: Plan, waves: Sequence[Sequence[str]], table: Table) -> Iterator[str]:
    """The plan as it would run, with what was selected of it."""
    of_stage = dict(table.stages)
    tests = Counter(phase for index, phase in enumerate(table.phases) if index not in of_stage)
    stages = {(table.phases[index], stage) for index, stage in of_stage.items()}
    later = Counter(phase for _, phase in table.modules)
    by_id = {phase.id: phase for phase in plan.phases}
    for number, wave in enumerate(waves, 1):
        yield f"wave {number}"
        for phase_id in wave:
            for unit in by_id[phase_id].units:
                yield from _unit(unit, "  " if unit.id == phase_id else "    ", tests, stages, later)
        for sync in plan.syncs:
            if _last_wave(sync.above, waves) == number:
                yield f"  then sync point {sync.name}".rstrip()
    if tests[UNPHASED]:
        yield "whenever a worker would idle"
        yield f"  unphased: {_count(tests[UNPHASED], 'test')}"


def _unit(
    unit: Phase, margin: str, tests: Mapping[str, int], stages: set[tuple[str, str]], later: Mapping[str, int]
) -> Iterator[str]:
    kind = "stream" if "/" in unit.id else "phase"
    name = f" ({unit.name})" if unit.name else ""
    needs = f", needs {', '.join(unit.deps)}" if unit.deps else ""
    yield f"{margin}{kind} {unit.id}{name}{needs}{', serial' if unit.serial else ''}"
    if unit.requires:
        yield f"{margin}  requires {', '.join(unit.requires)}"
    if tests.get(unit.id):
        yield f"{margin}  testing crew: {_count(tests[unit.id], 'test')}"
    if later.get(unit.id):
        yield f"{margin}  testing crew: {_count(later[unit.id], 'module')} collected when the phase opens"
    for stage in unit.stages:
        if (unit.id, stage.id) in stages:
            after = f", after {', '.join(stage.needs)}" if stage.needs else ""
            yield f"{margin}  {stage.crew.value} crew: stage {stage.id}{after}"


def _last_wave(phases: Sequence[str], waves: Sequence[Sequence[str]]) -> int:
    return max((number for number, wave in enumerate(waves, 1) if set(wave) & set(phases)), default=0)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
