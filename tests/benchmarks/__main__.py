"""`python -m tests.benchmarks [NAME ...] [--pairs N]`: what this package costs, measured here and now.

Takes some minutes. The exit status is 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.blocked import BLOCKED
from tests.benchmarks.collect import COLLECT
from tests.benchmarks.measuring import report
from tests.benchmarks.noop import NOOP

BENCHMARKS = {benchmark.name: benchmark for benchmark in (NOOP, BLOCKED, COLLECT)}


def main() -> int:
    """Measure what was asked for, print what was found, and say whether every target is reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; all if none is given"
    )
    parser.add_argument(
        "--pairs", type=int, help="how many pairs of runs, instead of each benchmark's own number"
    )
    given = parser.parse_args()
    unknown = set(given.names) - set(BENCHMARKS)
    if unknown:
        parser.error(
            f"there is no benchmark {', '.join(sorted(unknown))}; write one of {', '.join(BENCHMARKS)}"
        )
    reached = True
    for name in given.names or BENCHMARKS:
        benchmark = BENCHMARKS[name]
        with tempfile.TemporaryDirectory() as folder:
            pairs, found = benchmark.measure(Path(folder), given.pairs or benchmark.pairs)
            figures = tuple(found)
        print(report(benchmark, pairs, figures), flush=True)
        reached &= all(figure.value <= figure.target for figure in figures)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
