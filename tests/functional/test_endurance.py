"""Whatever ends a run, nothing is lost; `python -m tests.endurance` tries the same two hundred times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found by /proc")
@pytest.mark.parametrize("trial", ["controller", "workers", "starts"])
def test_nothing_is_lost(trial: str, project: Path) -> None:
    """A few trials, at moments that chance picks anew each time; what broke can be repeated by its seed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.endurance", trial, "--times", "2"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert "every promise was kept" in done.stdout, done.stdout + done.stderr
