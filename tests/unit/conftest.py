"""A project with the evidence of a run in which everything passed, though nothing was really run."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.events import Figure, GateResult, Outcome, PhaseResult, State, Tally
from pytest_phases.evidence import AFTERWARDS, Expected, ExpectedKind, ItemRecord, PartRecord
from pytest_phases.gate.again import judge_now
from pytest_phases.gate.keeper import Keeper
from pytest_phases.gate.record import Recorder
from pytest_phases.gate.rules import rules_of
from pytest_phases.model import Plan
from pytest_phases.plan.read import read_plan
from pytest_phases.table import Table

PLAN = """\
### Phase 1: Library
tests: [tests/library]
covers: [src]
coverage: 80
requires: [cmd:sh]

Build: wheel
```bash
make wheel
```

### Phase 2: Program
tests: [tests/program]

#### Stream A: One
tests: [tests/one]

### Gate: Release
"""
SOMEBODY = {"NAME": "Somebody", "EMAIL": "somebody@example.org"}
GIT = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in SOMEBODY.items()}


@dataclass(frozen=True)
class Shop:
    """A project in a folder of its own, without git until it is committed."""

    root: Path

    @property
    def folder(self) -> Path:
        """Where its runs leave their evidence."""
        return self.root / ".phases"

    @property
    def plan(self) -> Plan:
        """The plan as it stands now."""
        return read_plan(self.root / "plan.md", "plan.md")

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace a piece of a file that must be there."""
        text = (self.root / name).read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new))

    def run(self, run_id: str = "r1", plan: Plan | None = None, failing: Collection[str] = ()) -> GateResult:
        """Record a run in which each phase and stream had one test, all of one worker; what its gate says.

        `plan` is what the run knew, the plan with its markers; in the phases `failing` everything failed.
        """
        plan = plan or self.plan
        keeper = Keeper(self.root, self.folder, "plan.md", run_id)
        recorder = Recorder(self.folder, keeper.run, "plan.md")
        recorder.open()
        tests = {unit.id: f"tests/test_{unit.id}.py::test" for unit in plan.units()}
        recorder.found(Expected(ExpectedKind.TEST, unit, name) for unit, name in tests.items())
        recorder.begun(plan, Table())
        for unit in plan.units():
            outcome = Outcome.FAILED if unit.id in failing else Outcome.PASSED
            stages = [(f"plan.md::{unit.id}::{stage.id}", ExpectedKind.STAGE) for stage in unit.stages]
            for name, kind in [(tests[unit.id], ExpectedKind.TEST), *stages]:
                recorder.ended(ItemRecord(name, unit.id, kind, outcome, 0.1, "gw0"))
        thresholds = rules_of(plan).thresholds
        for number, unit in enumerate([*tests, AFTERWARDS] if thresholds else []):
            self.part(recorder, unit, f"coverage/parts/{number}.part")
        for unit, required in thresholds.items():
            recorder.judged(Figure(unit, "phase", "", required, 90.0, 0, passed=True, text=""))
        results = (
            PhaseResult(
                unit.id,
                unit.name,
                "phase",
                State.RED if unit.id in failing else State.GREEN,
                "",
                1,
                Tally(passed=1),
                Tally(),
                0.5,
            )
            for unit in plan.units()
        )
        recorder.closed(results)
        gate = keeper.close(recorder, plan, ())
        recorder.close()
        return gate

    def part(self, recorder: Recorder, unit: str, file: str) -> None:
        """Hand over coverage data of a phase."""
        self.write(f".phases/{file}", unit)
        recorder.expect_part(unit, "gw0")
        recorder.part(PartRecord(unit, "gw0", file, hashlib.sha256(unit.encode()).hexdigest()))

    def judge(self, **options: Any) -> GateResult:
        """What the gate says now."""
        return judge_now(self.root, self.folder, **options)[0]

    def reasons(self, **options: Any) -> list[str]:
        """The texts of everything that stands against a green gate now."""
        return [reason.text for reason in self.judge(**options).reasons]

    def sql(self, statement: str, *values: object) -> None:
        """Edit the database by hand."""
        with closing(sqlite3.connect(self.folder / "phases.db")) as connection, connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            assert connection.execute(statement, values).rowcount

    def git(self, *words: str) -> str:
        """What git answers."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        done = subprocess.run(
            ["git", "-c", "init.defaultBranch=main", *words],
            cwd=self.root,
            env={**environment, **quiet, **GIT},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self) -> str:
        """Commit everything but the evidence; the id of the commit."""
        self.git("init", "--quiet")
        self.git("add", "--all", "--", ".", ":!.phases")
        self.git("commit", "--quiet", "--message", "change")
        return self.git("rev-parse", "HEAD")


def _new(root: Path, gate: str = "") -> Shop:
    made = Shop(root)
    made.write("plan.md", f"{PLAN}{gate}")
    made.write("src/library.py", "A = 1\n")
    return made


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A project with a plan of two phases and a stream, which has not been run."""
    return _new(tmp_path / "shop")


Prepare = Callable[[Shop], object]


@pytest.fixture(scope="session")
def prepared_shop(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Prepare], Path]:
    """A function that makes a project with more keys of its gate and prepares it, the same one only once."""

    @cache
    def prepare(gate: str, step: Prepare) -> Path:
        made = _new(tmp_path_factory.mktemp("prepared") / "shop", gate)
        step(made)
        return made.root

    return prepare


@pytest.fixture
def copied_shop(tmp_path: Path, prepared_shop: Callable[[str, Prepare], Path]) -> Callable[..., Shop]:
    """A function that gives the test a prepared project of its own."""
    return lambda gate="", step=Shop.run: Shop(shutil.copytree(prepared_shop(gate, step), tmp_path / "copy"))


@pytest.fixture
def committed_shop(copied_shop: Callable[..., Shop]) -> Shop:
    """A project that was committed and not run."""
    return copied_shop(step=Shop.commit)
