"""Phase 4, by a marker: the whole thing, as a user calls it."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.phase(4)

HERE = Path(__file__).parent.parent


def test_the_command_prints_suggestions():
    """`python -m spelling` prints the nearest words, one a line."""
    command = [sys.executable, "-m", "spelling", "shedule", "words.txt"]
    printed = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[0] == "schedule"
