"""The lock table: who excludes whom, who stands in line, and who is in whose way."""

from __future__ import annotations

import pytest

from pytest_phases.claims import Claim
from pytest_phases.scheduler.locks import Locks, Wish, exclude, includes

DB, READ_DB, NET = Claim("db"), Claim("db", shared=True), Claim("net")
SRC, READ_A = Claim("src", is_path=True), Claim("src/a", shared=True, is_path=True)


def whole(unit: str, *claims: Claim) -> Wish:
    """The wish of a phase, or of a stream `1/A` of one."""
    return Wish(unit, claims, (unit, unit.partition("/")[0]) if "/" in unit else (unit,))


def item(number: int, unit: str, *claims: Claim, fills: bool = False) -> Wish:
    """The wish of an item of a phase or stream."""
    return Wish(number, claims, whole(unit).within, fills)


def locks(
    *held: Wish,
    line: tuple[Wish, ...] = (),
    demands: dict[str, tuple[Claim, ...]] | None = None,
    at_once: bool = False,
) -> Locks:
    """A table in which these hold, those stand in line, and phases will claim what they will claim."""
    table = Locks(lambda unit: [(demands or {}).get(unit, ())], at_once=at_once)
    for wish in held:
        table.hold(wish)
    table.line.update((wish.holder, wish) for wish in line)
    return table


def in_the_way(table: Locks, wish: Wish) -> object:
    """Who is in the way of a wish, if everybody in line counts."""
    return table.in_the_way(wish, lambda _: True)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param((DB,), (DB,), True, id="the same resource"),
        pytest.param((DB,), (NET,), False, id="two resources"),
        pytest.param((DB,), (READ_DB,), True, id="to itself and shared"),
        pytest.param((READ_DB,), (READ_DB,), False, id="shared by both"),
        pytest.param((SRC,), (READ_A,), True, id="a folder and what is in it"),
        pytest.param((Claim("src"),), (SRC,), False, id="a resource that is called like a path"),
        pytest.param((NET, READ_DB), (DB, SRC), True, id="one of several is enough"),
        pytest.param((), (DB,), False, id="nothing"),
    ],
)
def test_what_excludes_what(one: tuple[Claim, ...], other: tuple[Claim, ...], expected: bool) -> None:
    """Claims of two holders, whoever comes first."""
    assert exclude(one, other) is expected
    assert exclude(other, one) is expected


@pytest.mark.parametrize(
    ("held", "wish", "expected"),
    [
        pytest.param(whole("1", DB), whole("2", DB), "1", id="two phases"),
        pytest.param(whole("1", DB), whole("2", NET), None, id="two phases with nothing in common"),
        pytest.param(whole("1", DB), whole("1/A", DB), None, id="a phase and its stream share"),
        pytest.param(whole("1/A", DB), whole("1", DB), None, id="a stream and its phase share"),
        pytest.param(whole("1/A", DB), whole("1/B", DB), "1/A", id="two streams of a phase do not"),
        pytest.param(whole("1", DB), item(7, "1", DB), None, id="a phase and its item share"),
        pytest.param(whole("1", DB), item(7, "1/A", DB), None, id="a phase and an item of its stream share"),
        pytest.param(
            whole("1/A", DB), item(7, "1", DB), "1/A", id="a stream and an item of its phase do not"
        ),
        pytest.param(whole("1/A", DB), item(7, "1/B", DB), "1/A", id="a stream and an item of its sibling"),
        pytest.param(whole("1", DB), item(7, "2", DB), "1", id="a phase and an item of another"),
        pytest.param(item(6, "1", DB), item(7, "1", DB), 6, id="two items of a phase"),
        pytest.param(item(6, "1", READ_DB), item(7, "1", READ_DB), None, id="two items that share"),
        pytest.param(item(6, "1", DB), whole("2", DB), 6, id="an item that runs and another phase"),
    ],
)
def test_who_holds_what_excludes_a_wish(held: Wish, wish: Wish, expected: object) -> None:
    """Only what belongs to a holder shares what it holds."""
    assert in_the_way(locks(held), wish) == expected


@pytest.mark.parametrize(
    ("demands", "expected"),
    [
        pytest.param({}, None, id="they claim nothing else"),
        pytest.param({"2": (DB,)}, "1", id="an item of the second claims what the first holds"),
        pytest.param({"1": (NET,)}, "1", id="an item of the first claims what the second wishes"),
        pytest.param({"1": (NET,), "2": (DB,)}, "1", id="both, crosswise"),
        pytest.param({"1": (SRC,), "2": (SRC,)}, None, id="their items alone exclude one another"),
    ],
)
def test_phases_that_would_wait_for_each_other_are_apart_as_wholes(
    demands: dict[str, tuple[Claim, ...]], expected: object
) -> None:
    """Phase 1 holds db and 2 wishes net; what their items will claim counts as well."""
    assert in_the_way(locks(whole("1", DB), demands=demands), whole("2", NET)) == expected


@pytest.mark.parametrize(
    ("held", "line", "wish", "expected"),
    [
        pytest.param((), whole("1", DB), whole("2", DB), "1", id="nobody overtakes"),
        pytest.param((), whole("1", DB), whole("2", NET), None, id="but for what excludes nobody"),
        pytest.param((), item(6, "1", DB), item(7, "1", READ_DB), 6, id="readers do not starve a writer"),
        pytest.param((), whole("1", DB), item(7, "1", DB), None, id="an item has the place of its phase"),
        pytest.param(
            (whole("2", NET),), whole("1", DB), item(7, "2", DB), None, id="what holds is over the sooner"
        ),
        pytest.param(
            (whole("2", NET),), item(6, "2", DB), item(7, "2", DB), 6, id="inside it nobody overtakes"
        ),
        pytest.param(
            (whole("1", NET),), whole("1/A", DB), whole("1/B", DB), "1/A", id="nor among its streams"
        ),
        pytest.param(
            (), item(6, "u", DB, fills=True), item(7, "1", DB), None, id="what fills gaps comes last"
        ),
        pytest.param(
            (), item(6, "u", DB, fills=True), item(7, "u", DB, fills=True), 6, id="in its own order"
        ),
    ],
)
def test_who_stands_in_line_before_a_wish(
    held: tuple[Wish, ...], line: Wish, wish: Wish, expected: object
) -> None:
    """First come, first served, unless that would make a circle."""
    assert in_the_way(locks(*held, line=(line,)), wish) == expected


def test_only_those_before_it_are_in_its_way() -> None:
    """Each waits for those who came earlier."""
    table = locks(line=(whole("1", DB), whole("2", DB), whole("3", DB)))
    assert [in_the_way(table, wish) for wish in table.line.values()] == [None, "1", "1"]


def test_who_could_not_run_is_in_nobodys_way() -> None:
    """Whether somebody in line counts is asked each time."""
    table = locks(line=(whole("1", DB),))
    assert table.in_the_way(whole("2", DB), lambda _: False) is None


def test_who_holds_no_longer_stands_in_line() -> None:
    """It is in the way now because it holds."""
    table = locks(line=(whole("1", DB),))
    table.hold(whole("1", DB))
    assert not table.line
    assert in_the_way(table, whole("2", DB)) == "1"


@pytest.mark.parametrize(
    ("claims", "wanted", "expected"),
    [
        pytest.param((DB, NET), (NET,), True, id="one of them"),
        pytest.param((DB,), (READ_DB,), True, id="shared, of what it has to itself"),
        pytest.param((READ_DB,), (DB,), False, id="to itself, of what it shares"),
        pytest.param((DB,), (DB, NET), False, id="more than it has"),
    ],
)
def test_who_needs_nothing_more(claims: tuple[Claim, ...], wanted: tuple[Claim, ...], expected: bool) -> None:
    """Across runs a holder asks for everything at once."""
    assert includes(claims, wanted) is expected
    table = locks(whole("1", *claims), at_once=True)
    assert in_the_way(table, item(7, "1", *wanted)) == (None if expected else "1")
