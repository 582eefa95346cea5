"""Stream B: customs declarations."""

import pytest

from parcels.label import customs


def test_goods_that_stay_are_not_declared():
    """There is no border to cross."""
    assert customs({"clock": 9_000}) == []


def test_goods_of_little_value_are_not_declared():
    """All of them together."""
    assert customs({"socks": 900, "book": 1_900}, "Norway") == []


def test_goods_of_value_are_listed_with_their_total():
    """Sorted by name."""
    lines = customs({"clock": 9_000, "book": 1_900}, "Norway")
    assert lines == ["CUSTOMS DECLARATION", "book: 19.00", "clock: 90.00", "total: 109.00"]


def test_goods_are_worth_something():
    """A debt is not sent by post."""
    with pytest.raises(ValueError, match="bought for"):
        customs({"clock": 9_000, "debt": -1}, "Norway")
