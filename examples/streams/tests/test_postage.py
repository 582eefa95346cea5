"""Stream A: prices."""

import pytest

from parcels.parcel import Parcel
from parcels.postage import TooHeavy, postage

BOX = (33, 20, 12)


@pytest.mark.parametrize(("grams", "cents"), [(200, 390), (1_000, 390), (1_001, 690), (20_000, 1_290)])
def test_the_price_goes_by_weight(grams, cents):
    """The limit itself belongs to the lower price."""
    assert postage(Parcel(grams, BOX)) == cents


def test_abroad_costs_more():
    """Whatever the country."""
    assert postage(Parcel(200, BOX), "Norway") == 390 + 850


def test_bulky_parcels_cost_more():
    """They fit no belt."""
    assert postage(Parcel(200, (130, 5, 5))) == 390 + 600


def test_what_nobody_can_carry_is_refused():
    """The message says what to do instead."""
    with pytest.raises(TooHeavy, match="send two"):
        postage(Parcel(25_000, BOX))
