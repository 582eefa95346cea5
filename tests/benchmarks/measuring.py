"""Two ways to do the same thing, run in turn: what counts is the ratio of neighbours, pair by pair.

A machine that others use too is faster at one moment than at the next. Two runs that follow each
other see nearly the same machine, and the median of many such ratios sees past the rest.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

Run = Callable[[], "Cost"]
"""Does the thing once and returns what it cost."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the wall clock, and of all processors together, children included."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """What each pair of runs cost: `peer` without this package, `ours` with it."""

    peer: tuple[Cost, ...]
    ours: tuple[Cost, ...]

    def ratios(self) -> list[float]:
        """Wall time with this package over wall time without, for each pair."""
        return [ours.wall / peer.wall for ours, peer in self._each()]

    def cpu_ratios(self) -> list[float]:
        """The same of processor time, which suffers less from what else the machine does."""
        return [ours.cpu / peer.cpu for ours, peer in self._each()]

    def differences(self) -> list[float]:
        """The wall time in seconds that this package adds, for each pair."""
        return [ours.wall - peer.wall for ours, peer in self._each()]

    def _each(self) -> Iterable[tuple[Cost, Cost]]:
        return zip(self.ours, self.peer, strict=True)


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
    costs: dict[Run, list[Cost]] = {peer: [], ours: []}
    for number in range(pairs):
        for run in (peer, ours) if number % 2 == 0 else (ours, peer):
            costs[run].append(run())
    return Pairs(tuple(costs[peer]), tuple(costs[ours]))


def run_pytest(folder: Path, *args: str, expect: int = 0) -> Cost:
    """What one run of pytest in a folder costs.

    Raises RuntimeError with what it printed if its exit status is another than expected.
    """
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args]
    started, used = time.perf_counter(), _cpu_of_children()
    done = subprocess.run(
        command, cwd=folder, env=_environment(folder), capture_output=True, text=True, check=False
    )
    cost = Cost(time.perf_counter() - started, _cpu_of_children() - used)
    if done.returncode != expect:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return cost


def report(benchmark: Benchmark, pairs: Pairs, figures: Sequence[Figure]) -> str:
    """What a benchmark found, in a few lines."""
    peer, ours = [cost.wall for cost in pairs.peer], [cost.wall for cost in pairs.ours]
    ratios = pairs.ratios()
    lines = [
        f"{benchmark.name}: {benchmark.about}",
        f"  {len(ratios)} pairs; without: median {median(peer):.3f}s, fastest {min(peer):.3f}s; "
        f"with: median {median(ours):.3f}s, fastest {min(ours):.3f}s",
        f"  ratios {min(ratios):.3f} to {max(ratios):.3f}; "
        f"of processor time {median(pairs.cpu_ratios()):.3f}",
    ]
    return "\n".join([*lines, *(f"  {figure}" for figure in figures)])


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _environment(folder: Path) -> dict[str, str]:
    """The folder's own plugins can be named by -p, and nothing of this shell changes the run.

    Without byte code on disk, say, every process would compile everything again.
    """
    ours = ("PYTEST_", "PHASES_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONPATH": str(folder)}
