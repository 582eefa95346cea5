"""A fast project of which every outcome is known, and what a run of it left behind."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

PLAN = """
# Endurance

### Phase 1: Build
Build: early
outputs: [made/early.txt]
```sh
mkdir -p made
sleep 0.1
echo early > made/early.txt
```
Testing: background
```sh
(setsid sh -c 'sleep 300 & sleep 300' &) ; sleep 0.1
```

### Phase 2: Units
dependencies: [1]
tests: [test_units.py]

### Phase 3: Parts
dependencies: [1]
tests: [test_parts.py]

### Phase 4: Whole
dependencies: [2]
tests: [test_whole.py]

### Phase 5: Never
dependencies: [3]
tests: [test_never.py]
"""
FILES = {
    "plan.md": PLAN,
    "pytest.ini": "[pytest]\n",
    "test_units.py": """
import time, pytest

@pytest.mark.parametrize("number", range(20))
def test_unit(number):
    time.sleep(0.01)
    if number == 7:
        pytest.skip("not today")
""",
    "test_parts.py": """
import time, pytest

@pytest.mark.parametrize("number", range(20))
def test_part(number):
    time.sleep(0.01)
    assert number != 13

@pytest.mark.xfail
def test_expected():
    assert False
""",
    "test_whole.py": "import time\n\ndef test_whole():\n    time.sleep(0.05)\n",
    "test_never.py": "def test_never(): pass\n",
    "test_unphased.py": "def test_unphased(): pass\n",
}
MARK = "PHASES_ENDURANCE"
"""The environment variable by which every process of a run is found."""


@dataclass(frozen=True)
class Project:
    """A copy of the project in `folder`; `mark` is that of all processes that its runs start."""

    folder: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def make(cls, folder: Path) -> Project:
        """Write it anew."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, text in FILES.items():
            (folder / name).write_text(text, encoding="utf-8")
        return cls(folder)

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start a run on two workers."""
        ours = ("PYTEST_", "PHASES_", "COV")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", "--phases", "plan.md", "-n2", "-pno:randomly", "-q", *args],
            cwd=self.folder,
            env={**inherited, MARK: self.mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *args: str) -> tuple[int, str]:
        """Run it to its end: the exit status and what it printed."""
        process = self.start(*args)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output

    def outcomes(self) -> dict[str, list[str]]:
        """Every outcome of each item that the last run wrote down; empty if there is no database yet."""
        found: dict[str, list[str]] = {}
        database = self.folder / ".phases" / "phases.db"
        if not database.exists():
            return found
        with closing(sqlite3.connect(database)) as connection:
            sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
            assert sound == "ok", f"the database is damaged: {sound}"
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return found
            query = (
                "SELECT nodeid, outcome FROM item WHERE run = "
                "(SELECT run_id FROM run ORDER BY rowid DESC LIMIT 1)"
            )
            for nodeid, outcome in connection.execute(query):
                found.setdefault(nodeid, []).append(outcome)
        return found

    def left_running(self, seconds: float = 5.0) -> list[str]:
        """What of its runs still runs when all of it should have ended."""
        end = time.monotonic() + seconds
        while left := list(self._running()):
            if time.monotonic() > end:
                return left
            time.sleep(0.05)
        return []

    def workers(self, controller: int) -> list[int]:
        """The processes of the workers of a run, by its own."""
        return [int(entry.name) for entry in _processes() if _parent(entry) == controller]

    def _running(self) -> list[str]:
        wanted = f"{MARK}={self.mark}".encode()
        return [f"{entry.name}: {_command(entry)}" for entry in _processes() if wanted in _environ(entry)]


def _processes() -> list[Path]:
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


def _environ(entry: Path) -> list[bytes]:
    return _read(entry / "environ").split(b"\0")


def _command(entry: Path) -> str:
    return os.fsdecode(_read(entry / "cmdline").replace(b"\0", b" ")).strip()


def _parent(entry: Path) -> int:
    _, _, rest = _read(entry / "stat").rpartition(b")")
    fields = rest.split()
    return int(fields[1]) if len(fields) > 1 and fields[0] != b"Z" else -1
