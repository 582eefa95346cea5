"""The quick start does what its page says: it builds, tests what it built, and is never stale."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

HEADERS = Path(sysconfig.get_path("include"), "Python.h")
pytestmark = [
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler `cc`"),
    pytest.mark.skipif(not HEADERS.exists(), reason=f"no {HEADERS}"),
]


@pytest.fixture
def quickstart(project: Path, tmp_path: Path) -> Path:
    """A copy of the quick start in which nothing has been built."""
    built = shutil.ignore_patterns("build", "*.so", ".phases", "__pycache__", ".pytest_cache")
    return Path(shutil.copytree(project / "examples" / "quickstart", tmp_path / "quickstart", ignore=built))


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the plan in a process of its own, on two workers, and return what it printed."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--phases",
        "plan.md",
        "-n2",
        "-p",
        "no:cacheprovider",
        *arguments,
    ]
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PHASES_"))}
    return subprocess.run(command, cwd=folder, env=alone, capture_output=True, text=True, check=False)


def test_the_quick_start_is_green(quickstart: Path) -> None:
    """All four phases pass, and the extension was compiled by the run itself."""
    run = _run(quickstart)
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(list((quickstart / "spelling").glob("_distance*.so"))) == 1


def test_a_change_of_the_c_source_is_what_the_tests_see(quickstart: Path) -> None:
    """On a second run the tests see the C code as it is now, not the extension that the first run left."""
    source = quickstart / "spelling" / "_distance.c"
    right = source.read_text(encoding="utf-8")
    assert _run(quickstart).returncode == 0
    source.write_text(right.replace("row[j - 1]) + 1)", "row[j - 1]) + 2)"), encoding="utf-8")
    wrong = _run(quickstart)
    assert wrong.returncode == 1, wrong.stdout
    assert "test_known_distances" in wrong.stdout
    assert "blocked by phase" in _run(quickstart, "-rs").stdout
    source.write_text(right, encoding="utf-8")
    assert _run(quickstart).returncode == 0


def test_a_build_that_fails_blocks_every_test(quickstart: Path) -> None:
    """If the extension does not compile, nothing is tested against the one of the run before."""
    assert _run(quickstart).returncode == 0
    source = quickstart / "spelling" / "_distance.c"
    source.write_text(source.read_text(encoding="utf-8") + "no C at all\n", encoding="utf-8")
    run = _run(quickstart)
    assert run.returncode == 1, run.stdout
    assert "no C at all" in run.stdout
    assert "blocked by phase 1" in run.stdout
    assert "test_known_distances" not in run.stdout
