"""The closing table, the line of a wave and the warnings, as text."""

from __future__ import annotations

import pytest

from pytest_phases.events import PhaseResult, RunResult, State, Tally, WaveResult
from pytest_phases.observers.terminal import sequential_warnings, table, wave_line


def phase(phase_id: str, state: State = State.GREEN, *, name: str = "", **more: object) -> PhaseResult:
    """A phase that has nothing but what a case is about."""
    kind = "stream" if "/" in phase_id else "phase"
    given = {
        "kind": kind,
        "reason": "",
        "wave": 1,
        "tests": Tally(),
        "stages": Tally(),
        "seconds": 0.0,
        **more,
    }
    return PhaseResult(id=phase_id, name=name, state=state, **given)


ROWS = """\
phase      state    passed  failed  skipped  blocked  stages    time
1 Build    green         -       -        -        -     2/2  61.50s
2 Test     red           3       2        1        -     1/3   0.25s  2 failed; 1 error
  2/A One  empty         -       -        1        -       -   0.10s
3          blocked       -       -        -        4     0/1       -  blocked by phase 2 (2 failed)
unphased   green         1       -        -        -       -   0.01s
"""


def test_the_table_has_a_row_for_each_phase_and_stream():
    """Expected failures count as passed and errors as failed; stages are those that passed of all."""
    rows = table(
        [
            phase("1", name="Build", stages=Tally(passed=2), seconds=61.5),
            phase("2", State.RED, name="Test", reason="2 failed; 1 error", seconds=0.25,
                  tests=Tally(passed=2, xfailed=1, skipped=1, failed=1, error=1),
                  stages=Tally(passed=1, failed=1, blocked=1)),
            phase("2/A", State.EMPTY, name="One", tests=Tally(skipped=1), seconds=0.1),
            phase("3", State.BLOCKED, reason="blocked by phase 2 (2 failed)", tests=Tally(blocked=4),
                  stages=Tally(blocked=1)),
            phase("unphased", kind="unphased", tests=Tally(passed=1), seconds=0.01),
        ]
    )  # fmt: skip
    lines, states = zip(*rows, strict=True)
    assert "\n".join(lines) + "\n" == ROWS
    assert states == (None, State.GREEN, State.RED, State.EMPTY, State.BLOCKED, State.GREEN)


def test_a_long_name_does_not_push_the_figures_away():
    """The table shows the first forty letters of a name."""
    _, (line, _) = table([phase("1", name="x" * 60)])
    assert line.split("  ")[0] == "1 " + "x" * 37 + "…"


def test_columns_stand_under_one_another_in_every_script():
    """A letter that takes two columns of a terminal, or none, is counted as what it takes."""
    rows = table([phase("1", name="構築"), phase("2", name="e\u0301"), phase("3", name="abcd")])
    assert [line for line, _ in rows][1:] == [
        "1 構築  green       -       -        -        -       -     -",
        "2 e\u0301     green       -       -        -        -       -     -",
        "3 abcd  green       -       -        -        -       -     -",
    ]


@pytest.mark.parametrize(
    ("wave", "line"),
    [
        (
            WaveResult(1, ("1",), 2.0, 1.5, 0.25, ()),
            "wave 1 (1): planned alone, ran 1.5 items at once for 2.00s, workers 25% idle",
        ),
        (
            WaveResult(2, ("2", "3"), 0.004, 1.96, 0.0, ()),
            "wave 2 (2, 3): planned 2 in parallel, ran 2.0 items at once for 0.00s, workers 0% idle",
        ),
        (WaveResult(3, ("4", "5"), 0.0, 0.0, 0.0, ()), "wave 3 (4, 5): planned 2 in parallel, nothing ran"),
    ],
)
def test_a_wave_is_told_in_one_line(wave, line):
    """What was planned in parallel, how many items ran at once, and how idle the workers were."""
    assert wave_line(wave) == line


@pytest.mark.parametrize(
    ("sequential", "workers", "warnings"),
    [
        ((), 2, []),
        (
            (("1", "2"),),
            2,
            ["warning: phase 1 (A) and phase 2 were planned in parallel and ran one after another"],
        ),
        (
            (("1", "2"), ("1", "3"), ("2", "3")),
            1,
            [
                f"warning: {pair} were planned in parallel and ran one after another, with one worker"
                for pair in ("phase 1 (A) and phase 2", "phase 1 (A) and phase 3", "phase 2 and phase 3")
            ],
        ),
        (
            (("1", "2"),) * 5,
            2,
            ["warning: phase 1 (A) and phase 2 were planned in parallel and ran one after another"] * 3
            + ["warning: so did 2 more pairs of wave 1"],
        ),
    ],
    ids=["none", "a pair", "three on one worker", "more than are named"],
)
def test_what_ran_in_turn_is_named(sequential, workers, warnings):
    """A warning for each pair, up to three in a wave, that was planned in parallel and ran in turn."""
    phases = (phase("1", name="A"), phase("2"), phase("3"))
    wave = WaveResult(1, ("1", "2", "3"), 1.0, 1.0, 0.5, sequential)
    result = RunResult("run", "waves", workers, phases, (wave,), 1.0)
    assert list(sequential_warnings(result)) == warnings
