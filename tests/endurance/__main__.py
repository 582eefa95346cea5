"""Runs that are ended in the worst way, again and again: `python -m tests.endurance --help`.

It prints one line for each trial that broke a promise, and ends with exit status 1 if any did.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.endurance.project import Project

Complaints = Iterator[str]


def controller(folder: Path, chance: random.Random) -> Complaints:
    """Kill the controller at a random moment, and resume: nothing is missing, twice there or left running."""
    undisturbed = _undisturbed(folder)
    project = Project.make(folder / "trial")
    process = project.start()
    time.sleep(chance.uniform(0, undisturbed.seconds))
    process.kill()
    process.communicate()
    if left := project.left_running():
        yield f"still running five seconds after kill -9: {left}"
    for nodeid, outcomes in project.outcomes().items():
        if outcomes != undisturbed.outcomes[nodeid]:
            yield f"{nodeid} was {outcomes} before the kill"
    status, output = project.run("--phases-resume=tests")
    if status != 1:
        yield f"the resumed run ended with exit status {status}:\n{output}"
    yield from _differences(project.outcomes(), undisturbed.outcomes, output)


def workers(folder: Path, chance: random.Random) -> Complaints:
    """Kill a worker at a random moment: the run ends by itself, and every item is told exactly once.

    Not before all are up: where one dies while it starts, xdist itself ends in an internal error.
    """
    undisturbed = _undisturbed(folder)
    project = Project.make(folder / "trial")
    process = project.start()
    while not (project.folder / ".phases" / "PARALLEL_STATUS.json").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(chance.uniform(0, undisturbed.seconds / 2))
    running = project.workers(process.pid)
    if running and process.poll() is None:
        _kill(chance.choice(running))
    try:
        output, _ = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        yield f"the run did not end:\n{process.communicate()[0]}"
        return
    if "INTERNALERROR" in output:
        yield f"internal error:\n{output}"
    told = project.outcomes()
    for nodeid in undisturbed.outcomes.keys() | told.keys():
        if len(told.get(nodeid, [])) != 1 and told:
            yield f"{nodeid} was told {told.get(nodeid, [])}:\n{output}"
    if left := project.left_running():
        yield f"still running five seconds after the end: {left}"


def starts(folder: Path, chance: random.Random) -> Complaints:
    """Start two, four or eight runs at once: one runs, the others say so."""
    project = Project.make(folder / "trial")
    go = project.folder / "go"
    wait = (
        "import os, time\n\ndef test_wait():\n    while not os.path.exists('go'):\n        time.sleep(0.02)\n"
    )
    (project.folder / "test_units.py").write_text(wait, encoding="utf-8")
    started = [project.start() for _ in range(chance.choice((2, 4, 8)))]
    end = time.monotonic() + 120
    while sum(run.poll() is None for run in started) > 1 and time.monotonic() < end:
        time.sleep(0.02)
    go.touch()
    ended = [(run.communicate(timeout=120)[0], run.returncode) for run in started]
    statuses = sorted(status for _, status in ended)
    if statuses != [1] + [4] * (len(started) - 1):
        yield f"{len(started)} runs ended with {statuses}"
    for output, status in ended:
        if status == 4 and "another run is active" not in output:
            yield f"a run that could not start said:\n{output}"


TRIALS: dict[str, Callable[[Path, random.Random], Complaints]] = {
    "controller": controller,
    "workers": workers,
    "starts": starts,
}


class _Undisturbed:
    """What a run comes to that nobody kills, and how long it takes."""

    def __init__(self, folder: Path) -> None:
        project = Project.make(folder / "undisturbed")
        began = time.monotonic()
        status, output = project.run()
        self.seconds = time.monotonic() - began
        self.outcomes = project.outcomes()
        assert status == 1, output


_KNOWN: dict[Path, _Undisturbed] = {}


def _undisturbed(folder: Path) -> _Undisturbed:
    if folder not in _KNOWN:
        _KNOWN[folder] = _Undisturbed(folder)
    return _KNOWN[folder]


def _differences(found: dict[str, list[str]], wanted: dict[str, list[str]], output: str) -> Complaints:
    if found != wanted:
        different = {
            nodeid: (found.get(nodeid), wanted.get(nodeid))
            for nodeid in sorted(found.keys() | wanted.keys())
            if found.get(nodeid) != wanted.get(nodeid)
        }
        yield f"outcomes differ from those of an undisturbed run: {different}\n{output}"


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it has ended by itself


def main() -> int:
    """Run the trials that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance", description=__doc__)
    parser.add_argument(
        "trial", choices=TRIALS, nargs="*", default=list(TRIALS), help="which; all by default"
    )
    parser.add_argument("--times", type=int, default=200, help="how often each is tried (default: 200)")
    parser.add_argument("--seed", type=int, default=None, help="what a former call printed, to repeat it")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    print(f"seed {seed}", flush=True)
    broken = 0
    with tempfile.TemporaryDirectory(prefix="endurance-") as folder:
        for name in options.trial or TRIALS:
            for number in range(options.times):
                complaints = list(TRIALS[name](Path(folder), random.Random(f"{seed} {name} {number}")))
                broken += bool(complaints)
                for complaint in complaints:
                    print(f"{name} {number}: {complaint}", flush=True)
            print(f"{name}: {options.times} trials", flush=True)
    print("every promise was kept" if not broken else f"{broken} trials broke a promise")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
