"""10,000 blocked tests: how long the controller takes, beside pytest logging the same reports."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median

from tests.benchmarks.measuring import Benchmark, Cost, Figure, Pairs, alternate, run_pytest

TESTS = 10_000
TARGET_SECONDS, TARGET_RATIO = 1.0, 1.3

_PLAN = """\
### Phase 1: Fails
tests: [first/test_first.py]

### Phase 2: Is blocked
tests: [second]
"""

_STOPWATCH = '''
"""Measures the controller from the end of the failed test to the last blocked one."""
import os, time
import pytest

class Stopwatch:
    start = stop = None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid):
        self.stop = (time.perf_counter(), time.thread_time())
        if self.start is None:
            self.start = self.stop

    def pytest_unconfigure(self):
        with open("seconds.txt", "w") as file:
            file.write(" ".join(str(b - a) for a, b in zip(self.start, self.stop)))

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Stopwatch())
'''

_LOGGER = f'''
"""Makes and logs reports like those of blocked tests, once the failed test has ended."""
import pytest

REASON = "Skipped: blocked by phase 1 (1 failed)"

class Logger:
    def __init__(self, config):
        self.config, self.hook = config, config.hook
        self.ids = [f"second/test_{{n // 1000}}.py::test_{{n % 1000}}" for n in range({TESTS})]

    def pair(self, nodeid):
        path, _, name = nodeid.partition("::")
        common = dict(nodeid=nodeid, location=(path, None, name), keywords={{}})
        return (
            pytest.TestReport(outcome="skipped", longrepr=(path, 0, REASON), when="setup", **common),
            pytest.TestReport(outcome="passed", longrepr=None, when="teardown", **common),
        )

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid):
        if nodeid.startswith("first"):
            # The progress bar counts up to this.
            self.config.pluginmanager.getplugin("session").testscollected += len(self.ids)
            for setup, teardown in map(self.pair, self.ids):
                self.hook.pytest_runtest_logstart(nodeid=setup.nodeid, location=setup.location)
                self.hook.pytest_runtest_logreport(report=setup)
                self.hook.pytest_runtest_logreport(report=teardown)
                self.hook.pytest_runtest_logfinish(nodeid=setup.nodeid, location=setup.location)

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Logger(config))
'''


def write(folder: Path) -> None:
    """A test that fails, ten modules of tests behind it, and the two plugins that measure."""
    (folder / "first").mkdir()
    (folder / "first" / "test_first.py").write_text("def test_fails():\n    assert False\n")
    (folder / "second").mkdir()
    for file in range(10):
        tests = (f"def test_{number}():\n    pass\n" for number in range(TESTS // 10))
        (folder / "second" / f"test_{file}.py").write_text("\n\n".join(tests))
    (folder / "plan.md").write_text(_PLAN)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "stopwatch.py").write_text(_STOPWATCH)
    (folder / "logger.py").write_text(_LOGGER)


def measure(folder: Path, pairs: int) -> tuple[Pairs, Iterable[Figure]]:
    """The seconds between the failed test and the last blocked one, told by a plugin of the run."""
    write(folder)

    def cost(*args: str) -> Cost:
        run_pytest(folder, "-q", "-n2", "-p", "stopwatch", *args, expect=1)
        wall, cpu = map(float, (folder / "seconds.txt").read_text().split())
        return Cost(wall, cpu)

    found = alternate(
        lambda: cost("-p", "no:phases", "-p", "logger", "first"),
        lambda: cost("--phases=plan.md"),
        pairs,
    )
    return found, [
        Figure("time of the controller", median(cost.wall for cost in found.ours), TARGET_SECONDS, "s"),
        Figure("blocking / logging the same reports", median(found.ratios()), TARGET_RATIO),
    ]


BLOCKED = Benchmark("blocked", "10,000 blocked tests with -q, beside logging the same reports", 7, measure)
