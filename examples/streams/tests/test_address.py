"""Stream B: addresses."""

import pytest

from parcels.label import address


def test_an_address_has_three_lines():
    """Without a country."""
    assert address("A. Berg", "Mill Lane 4", "Lund") == ["A. Berg", "Mill Lane 4", "Lund"]


def test_a_country_stands_last_in_capitals():
    """As sorting machines want it."""
    assert address("A. Berg", "Mill Lane 4", "Lund", "Sweden")[-1] == "SWEDEN"


def test_a_line_that_does_not_fit_is_refused():
    """Rather than cut off."""
    with pytest.raises(ValueError, match="shorten"):
        address("A. Berg", "Mill Lane 4, second door on the left", "Lund")
