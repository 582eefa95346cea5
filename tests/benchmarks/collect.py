"""The plugin installed but unused: `pytest --collect-only` of an empty folder with and without it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median

from tests.benchmarks.measuring import Benchmark, Cost, Figure, Pairs, alternate, run_pytest

NOTHING_COLLECTED = 5
TARGET_MILLISECONDS = 5.0


def measure(folder: Path, pairs: int) -> tuple[Pairs, Iterable[Figure]]:
    """Whole runs."""
    (folder / "pytest.ini").write_text("[pytest]\n")

    def cost(*args: str) -> Cost:
        return run_pytest(folder, "--collect-only", *args, expect=NOTHING_COLLECTED)

    found = alternate(lambda: cost("-p", "no:phases"), cost, pairs)
    return found, [
        Figure("added by the plugin", median(found.differences()) * 1000, TARGET_MILLISECONDS, "ms")
    ]


COLLECT = Benchmark("collect", "--collect-only of an empty folder, plugin installed but unused", 60, measure)
