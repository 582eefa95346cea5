"""Two ways to do the same thing, run in turn: what counts is the ratio of neighbours, pair by pair.

A machine that others use too is faster at one moment than at the next. Two runs that follow each
other see nearly the same machine, and the median of many such ratios sees past the rest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

Run = Callable[[], float]
"""Does the thing once and returns how long it took, in seconds."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """The seconds of each pair of runs: `peer` without this package, `ours` with it."""

    peer: tuple[float, ...]
    ours: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of the ratios, pair by pair."""
        return median(ours / peer for ours, peer in zip(self.ours, self.peer, strict=True))

    @property
    def difference(self) -> float:
        """The median of the differences in seconds, pair by pair."""
        return median(ours - peer for ours, peer in zip(self.ours, self.peer, strict=True))

    @property
    def medians(self) -> tuple[float, float]:
        """The median seconds of the peer and of ours."""
        return median(self.peer), median(self.ours)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure beside the most that it may be."""

    what: str
    value: float
    target: float
    unit: str = ""

    def __str__(self) -> str:
        verdict = "reached" if self.value <= self.target else "MISSED"
        return f"{self.what}: {self.value:.3f}{self.unit}, target <= {self.target:g}{self.unit}: {verdict}"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What is measured, over how many pairs unless told otherwise, and how."""

    name: str
    about: str
    pairs: int
    measure: Callable[[Path, int], tuple[Pairs, Iterable[Figure]]]


def alternate(peer: Run, ours: Run, pairs: int) -> Pairs:
    """Run both `pairs` times in turn, after one of each that does not count.

    Every other pair begins with ours, so that neither is always the one that comes second.
    """
    peer(), ours()
    seconds: dict[Run, list[float]] = {peer: [], ours: []}
    for number in range(pairs):
        for run in (peer, ours) if number % 2 == 0 else (ours, peer):
            seconds[run].append(run())
    return Pairs(tuple(seconds[peer]), tuple(seconds[ours]))


def run_pytest(folder: Path, *args: str, expect: int = 0) -> float:
    """One run of pytest in a folder, in seconds of the wall clock.

    Raises RuntimeError with what it printed if its exit status is another than expected.
    """
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=_environment(folder), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode != expect:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return seconds


def report(benchmark: Benchmark, pairs: Pairs, figures: Sequence[Figure]) -> str:
    """What a benchmark found, in a few lines."""
    peer, ours = pairs.medians
    lines = [
        f"{benchmark.name}: {benchmark.about}",
        f"  {len(pairs.ours)} pairs, medians {peer:.3f}s without and {ours:.3f}s with, "
        f"ratios {min(_ratios(pairs)):.3f} to {max(_ratios(pairs)):.3f}",
    ]
    return "\n".join([*lines, *(f"  {figure}" for figure in figures)])


def _ratios(pairs: Pairs) -> list[float]:
    return [ours / peer for ours, peer in zip(pairs.ours, pairs.peer, strict=True)]


def _environment(folder: Path) -> dict[str, str]:
    """The folder's own plugins can be named by -p, and nothing of this shell changes the run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PHASES_"))}
    return {**kept, "PYTHONPATH": str(folder)}
