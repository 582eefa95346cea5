"""The names under which lines are recorded."""

from __future__ import annotations

import pytest

from pytest_phases.coverage.contexts import OUTSIDE, of_fixture, of_phase
from pytest_phases.model import UNPHASED

PHASES = {
    "2": "phase 2",
    "1.10": "phase 1.10",
    "security": "phase security",
    "2/A": "stream 2/A",
    UNPHASED: UNPHASED,
}
FIXTURES = {
    "in a folder": (("tests", "server", None), "fixture tests::server"),
    "in a module": (("tests/test_a.py", "server", None), "fixture tests/test_a.py::server"),
    "of a plugin": (("", "server", None), "fixture server"),
    "the first parameter": (("tests", "server", 0), "fixture tests::server[0]"),
    "the second parameter": (("tests", "server", 1), "fixture tests::server[1]"),
}


@pytest.mark.parametrize(("phase", "context"), PHASES.items(), ids=PHASES.keys())
def test_a_phase_is_called_as_people_do(phase: str, context: str) -> None:
    """Contexts stand in the reports of coverage.py."""
    assert of_phase(phase) == context


@pytest.mark.parametrize(("fixture", "context"), FIXTURES.values(), ids=FIXTURES.keys())
def test_a_fixture_is_called_by_where_it_is_and_its_parameter(
    fixture: tuple[str, str, int | None], context: str
) -> None:
    """Two fixtures of one name are two, and so are two parameters of one fixture."""
    assert of_fixture(*fixture) == context


def test_no_two_contexts_are_the_same() -> None:
    """What is executed outside of phases is recorded under none of these names."""
    every = [OUTSIDE, *map(of_phase, PHASES), *(of_fixture(*fixture) for fixture, _ in FIXTURES.values())]
    assert len(set(every)) == len(every)
