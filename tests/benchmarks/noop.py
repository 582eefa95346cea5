"""10,000 tests that do nothing, in five phases in a row, against `--dist load` on the same files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median

from tests.benchmarks.measuring import Benchmark, Figure, Pairs, alternate, run_pytest

PHASES, FILES, TESTS = 5, 5, 400
TARGET = 1.05


def write(folder: Path) -> None:
    """Five folders of five modules of 400 tests, and a plan in which each needs the one before."""
    plan = ["# Nothing, five times", ""]
    for phase in range(1, PHASES + 1):
        plan += [f"### Phase {phase}: Part {phase}", f"tests: [part_{phase}]", ""]
        part = folder / f"part_{phase}"
        part.mkdir()
        for file in range(FILES):
            tests = (f"def test_{number}():\n    pass\n" for number in range(TESTS))
            (part / f"test_{phase}_{file}.py").write_text("\n\n".join(tests))
    (folder / "plan.md").write_text("\n".join(plan))
    (folder / "pytest.ini").write_text("[pytest]\n")


def measure(folder: Path, pairs: int) -> tuple[Pairs, Iterable[Figure]]:
    """Whole runs with two workers."""
    write(folder)
    found = alternate(
        lambda: run_pytest(folder, "-p", "no:phases", "-n2", "--dist", "load"),
        lambda: run_pytest(folder, "--phases=plan.md", "-n2"),
        pairs,
    )
    return found, [Figure("wall time with a plan / with --dist load", median(found.ratios()), TARGET)]


NOOP = Benchmark("noop", "10,000 no-op tests in 5 phases with -n2, beside --dist load", 15, measure)
