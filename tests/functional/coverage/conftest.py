"""What tests of coverage share: what was judged, and an environment in which nobody else measures."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

Figures = Callable[[], dict[str, dict]]

# A plugin of the project under test: keeps every figure as it is judged, and all of them as the run has them.
FIGURES_MODULE = """
import dataclasses, json, pytest

def write(kind, figures):
    with open({file!r}, "a") as file:
        file.write("".join(json.dumps([kind, dataclasses.asdict(figure)]) + "\\n" for figure in figures))

@pytest.hookimpl(optionalhook=True)
def pytest_phases_threshold_judged(config, figure):
    write("judged", [figure])

@pytest.hookimpl(optionalhook=True)
def pytest_phases_run_finished(config, result):
    write("result", result.figures)
"""


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The project under test is measured by its own run alone, and by the core that is the default."""
    for name in os.environ:
        if name.startswith("COVERAGE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def run(run, beside: Path) -> Callable[..., pytest.RunResult]:
    """As everywhere, with a plugin that writes down what `figures` reads."""
    file = beside / "figures.jsonl"
    (beside / "figure_recorder.py").write_text(FIGURES_MODULE.format(file=str(file)), encoding="utf-8")

    def start(*args: str, **kwargs: float) -> pytest.RunResult:
        file.unlink(missing_ok=True)
        return run("-p", "figure_recorder", *args, **kwargs)

    return start


@pytest.fixture
def figures(beside: Path) -> Figures:
    """A function that reads the figures of the last run: the fields of `Figure` by its id."""

    def read() -> dict[str, dict]:
        file = beside / "figures.jsonl"
        lines = map(json.loads, file.read_text(encoding="utf-8").splitlines()) if file.exists() else ()
        judged, result = [], []
        for kind, figure in lines:
            (judged if kind == "judged" else result).append(figure)
        assert judged == result, "the hook and the result disagree"
        assert len({figure["id"] for figure in judged}) == len(judged), "something was judged twice"
        return {figure["id"]: figure for figure in judged}

    return read


@pytest.fixture
def reached(figures: Figures) -> Callable[[], dict[str, float | None]]:
    """A function that reads what was reached in the last run, in per cent rounded to two places, by id."""

    def read() -> dict[str, float | None]:
        return {
            name: None if figure["reached"] is None else round(figure["reached"], 2)
            for name, figure in figures().items()
        }

    return read
