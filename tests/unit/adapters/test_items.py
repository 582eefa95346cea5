"""The items of a run: numbered once, whatever is collected again."""

from __future__ import annotations

import pytest

from pytest_phases.adapters.items import Items
from pytest_phases.claims import Claim
from pytest_phases.events import Outcome
from pytest_phases.evidence import Expected, ExpectedKind
from pytest_phases.model import Crew, Language, Place, Stage
from pytest_phases.scheduler.protocol import Item, ItemKind
from pytest_phases.table import Table

WHEEL = Stage(
    "build-wheel",
    Crew.BUILD,
    "wheel",
    "make",
    Language.SH,
    Place("p.md", 3),
    modifies=("dist",),
    locks=("x",),
)
SMOKE = Stage("testing-smoke", Crew.TESTING, "smoke", "./s", Language.SH, Place("p.md", 9), ("build-wheel",))
TABLE = Table(
    ("p.md::1::build-wheel", "p.md::1::testing-smoke", "t.py::a", "t.py::a", "u.py::b"),
    ("1", "1", "1", "1", "2"),
    stages=((0, "build-wheel"), (1, "testing-smoke")),
    modules=(("late.py", "2"),),
    locks=((2, "db", False), (2, "schema", True), (4, "db", False)),
)


@pytest.fixture
def items() -> Items:
    """A plan with two stages, of which nothing is collected yet."""
    return Items({("1", stage.id): stage for stage in (WHEEL, SMOKE)}, {})


def test_what_the_core_is_told(items: Items) -> None:
    """Stages with what they need and claim, tests with the locks of their markers, modules by their path."""
    numbers, found = items.add(TABLE)
    assert numbers == [0, 1, 2, 3, 4]
    assert found == [
        Item(
            0, "1", ItemKind.STAGE, name="stage build-wheel", claims=(Claim("dist", is_path=True), Claim("x"))
        ),
        Item(1, "1", ItemKind.STAGE, needs=(0,), name="stage testing-smoke"),
        Item(2, "1", claims=(Claim("db"), Claim("schema", shared=True))),
        Item(3, "1"),
        Item(4, "2", claims=(Claim("db"),)),
        Item(5, "2", ItemKind.MODULE),
    ]


def test_what_is_collected_again_keeps_its_number(items: Items) -> None:
    """Only what is new is told, wherever it stands in the later table."""
    items.add(TABLE)
    numbers, found = items.add(Table(("new.py::c", "u.py::b"), ("2", "2"), modules=(("late.py", "2"),)))
    assert numbers == [6, 4]
    assert found == [Item(6, "2")]


def test_what_was_forgotten_is_new(items: Items) -> None:
    """The same node id may come back with another build."""
    items.add(TABLE)
    items.forget(4)
    numbers, _ = items.add(Table(("u.py::b",), ("2",)))
    assert numbers == [6]


def test_the_second_of_a_node_id_has_a_name_of_its_own(items: Items) -> None:
    """In what is written down, and in what is resumed."""
    resumed = Items(items.stages, {("1", "t.py::a #2"): Outcome.PASSED, ("2", "t.py::a"): Outcome.PASSED})
    _, found = resumed.add(TABLE)
    assert [item.number for item in found if item.outcome is Outcome.PASSED] == [3]
    assert resumed.expected(3) == Expected(ExpectedKind.TEST, "1", "t.py::a #2")
    assert resumed.expected(0) == Expected(ExpectedKind.STAGE, "1", "p.md::1::build-wheel")


def test_the_files_of_a_phase_are_those_of_its_tests(items: Items) -> None:
    """Each once, also of modules that are not collected yet; the plan is no test file."""
    items.add(TABLE)
    assert list(items.test_files("1")) == ["t.py"]
    assert list(items.test_files("2")) == ["u.py", "late.py"]
