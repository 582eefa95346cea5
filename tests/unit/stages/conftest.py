"""What the tests of stages share: scripts whose processes can be found, and workers that may be killed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.model import Language
from pytest_phases.stages.process import Command, Ending, run

PROJECT = Path(__file__).parents[3]

WORKER = """
import json, os, sys
from pathlib import Path
from pytest_phases.model import Language
from pytest_phases.stages.process import Command, run
fields = json.loads(sys.argv[1])
paths = {name: Path(fields.pop(name)) for name in ("cwd", "log")}
env = {**os.environ, **fields.pop("env")}
print(run(Command(language=Language(fields.pop("language")), env=env, **fields, **paths)).describe())
"""


def eventually_(condition: Callable[[], Any], seconds: float = 30) -> bool:
    """Whether the condition comes to hold; the seconds are for a machine under load, not expected."""
    end = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return bool(holds)


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], bool]:
    """Whether a condition comes to hold within half a minute."""
    return eventually_


class Scene:
    """A folder to run stages in, and a mark by which `ps` tells their processes.

    The mark is a number of seconds that `sleep $MARK` takes for its argument; `$WORKER` is the
    process id of the test.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "logs" / "2" / "build.log"
        self.mark = f"1000.{random.randrange(10**12):012}"
        self.env = {**os.environ, "PYTHONPATH": str(PROJECT), "MARK": self.mark, "WORKER": str(os.getpid())}
        self.workers: list[subprocess.Popen[str]] = []

    def command(
        self, script: str, language: Language = Language.BASH, timeout: float | None = None, **env: str
    ) -> Command:
        """A stage with this script; `env` comes on top of the environment of the test."""
        return Command(script, language, self.folder, {**self.env, **env}, timeout, self.log)

    def run(
        self, script: str, language: Language = Language.BASH, timeout: float | None = None, **env: str
    ) -> Ending:
        """How a stage with this script ends."""
        return run(self.command(script, language, timeout, **env))

    def worker_argv(self, script: str, language: Language = Language.BASH) -> list[str]:
        """The command line of a process that runs a stage with this script and prints how it ended."""
        command = asdict(self.command(script, language)) | {"env": {"MARK": self.mark}}
        paths = {"cwd": str(self.folder), "log": str(self.folder / "worker.log")}
        return [sys.executable, "-c", WORKER, json.dumps({**command, **paths})]

    def worker(self, script: str) -> subprocess.Popen[str]:
        """A process, first of its group, that runs a stage with this script and has begun it."""
        worker = subprocess.Popen(
            self.worker_argv(script),
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.workers.append(worker)
        assert eventually_(self.running), worker.communicate()
        return worker

    def running(self) -> list[str]:
        """The commands of the marked processes that are alive, workers aside."""
        listing = subprocess.run(
            ("ps", "-axww", "-o", "stat=,command="), capture_output=True, text=True, check=True
        )
        marked = (line for line in listing.stdout.splitlines() if self.mark in line)
        return [line for line in marked if not line.startswith("Z") and "import json" not in line]

    def nothing_runs(self) -> bool:
        """Whether no marked process is alive."""
        return not self.running()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A place to run stages; whatever a test does, nothing of a stage is left after it."""
    scene = Scene(tmp_path)
    yield scene
    for worker in scene.workers:
        worker.kill()
        worker.communicate()
    assert eventually_(scene.nothing_runs), scene.running()
