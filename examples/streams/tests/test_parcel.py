"""Phase 1: parcels are measured."""

import pytest

from parcels.parcel import Parcel


@pytest.mark.parametrize(("sides", "girth"), [((10, 50, 20), 110), ((50, 20, 10), 110), ((5, 5, 5), 25)])
def test_the_girth_goes_around_the_longest_side(sides, girth):
    """The order of the sides does not matter."""
    assert Parcel(1, sides).girth == girth


def test_a_long_parcel_is_bulky():
    """One side is enough."""
    assert Parcel(1, (130, 5, 5)).is_bulky


def test_a_thick_parcel_is_bulky():
    """No side is too long, but all are together."""
    assert Parcel(1, (100, 60, 50)).is_bulky


def test_a_shoe_box_is_not_bulky():
    """It goes on the belt."""
    assert not Parcel(1, (33, 20, 12)).is_bulky
