"""A small project that is measured by coverage.py in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from coverage import Coverage, CoverageData

from pytest_phases.coverage.analysis import Sources

CORE = """
import shop.prices
from shop import (
    kinds,
)

TABLE = {
    "one": 1,
    "two": shop.prices.double(
        1,
    ),
}


def used(n: int) -> int:
    \"\"\"A docstring is no statement.\"\"\"
    if n > 1:
        return n
    return max(
        n,
        1,
    )


def unused(n):
    while n:
        n -= 1
    else:
        n = 2
    if n:  # pragma: no branch
        n = 3
    return n


def debug():  # pragma: no cover
    return 1


if __name__ == "__main__":
    used(1)
if TABLE:
    LAST = 1
"""
PROJECT = {
    "src/shop/__init__.py": "",
    "src/shop/core.py": CORE,
    "src/shop/prices.py": "def double(n):\n    if n:\n        return 2 * n\n    return 0\n",
    "src/shop/kinds.py": "from enum import Enum\n\n\nclass Kind(Enum):\n    A = 1\n\n    def name_of(self):\n"
    "        for each in Kind:\n            if each is self:\n                return each.name\n",
    "src/shop/never.py": "A = 1\n\n\ndef f(x):\n    if x:\n        return 1\n    return 2\n",
    "src/shop/made.py": "GENERATED = 1\nimport shop\n",
    "src/shop/old/__init__.py": "B = 1\n",
    "src/shop/notes.txt": "no Python\n",
}
CONFIG = """
[tool.coverage.run]
source = ["src"]
omit = ["*/made.py"]
[tool.coverage.report]
omit = ["src/shop/old/*"]
exclude_also = ["if __name__ == .__main__.:"]
"""
# What each context does, the first at import.
STEPS = {"": "import shop.core, shop.made, shop.old", "one": "shop.core.used(5)", "two": "shop.core.used(0)"}

MEASURE = """
import json, sys
import coverage

steps, options = json.loads(sys.argv[1]), json.loads(sys.argv[2])
sys.path.insert(0, "src")
names = {}
cov = coverage.Coverage(data_file="measured.data", **options)
cov.start()
for context, code in steps.items():
    if context:
        cov.switch_context(context)
    exec(code, names)
cov.stop()
cov.save()
cov.json_report(outfile="report.json")
cov.get_data().close()
"""


@dataclass(frozen=True)
class Run:
    """What coverage.py measured: by context and file (relative, with `/`), and its own JSON report."""

    sources: Sources
    measured: dict[str, dict[str, set[Any]]]
    report: dict[str, Any]


Measure = Callable[..., Run]
Make = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Write files into an empty folder, which becomes the current one."""
    monkeypatch.chdir(tmp_path)

    def write(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def measure(tmp_path: Path, make: Make) -> Measure:
    """Measure steps, each under a context, in a project that is written first."""

    def run(
        files: Mapping[str, str] = PROJECT,
        steps: Mapping[str, str] = STEPS,
        config: str = CONFIG,
        **options: object,
    ) -> Run:
        make({**files, "pyproject.toml": config})
        environment = {**os.environ, "COVERAGE_CORE": "ctrace"}
        # Whoever measures this process would measure that one too.
        environment.pop("COVERAGE_PROCESS_CONFIG", None)
        environment.pop("COVERAGE_PROCESS_START", None)
        arguments = [json.dumps(steps), json.dumps(options)]
        command = [sys.executable, "-c", dedent(MEASURE), *arguments]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
        sources = Sources(tmp_path, Coverage(data_file=None, **options))
        report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
        return Run(sources, _read(tmp_path / "measured.data", sources), report)

    return run


def _read(file: Path, sources: Sources) -> dict[str, dict[str, set[Any]]]:
    data = CoverageData(str(file))
    data.read()
    measured: dict[str, dict[str, set[Any]]] = {}
    for context in data.measured_contexts():
        data.set_query_context(context)
        for path in data.measured_files():
            found = set(data.arcs(path) or ()) if data.has_arcs() else set(data.lines(path) or ())
            measured.setdefault(context, {})[sources.name(path)] = found
    data.close()
    return measured
