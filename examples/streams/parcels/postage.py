"""Stream A: what it costs to send a parcel."""

from parcels.parcel import Parcel

# Up to so many grams, so many cents.
RATES = ((1_000, 390), (5_000, 690), (20_000, 1_290))
ABROAD = 850
BULKY = 600


class TooHeavy(ValueError):
    """Nobody carries this."""


def postage(parcel: Parcel, country: str = "") -> int:
    """The price in cents; a parcel without a country stays in this one. Raises TooHeavy."""
    rates = [cents for grams, cents in RATES if parcel.grams <= grams]
    if not rates:
        raise TooHeavy(f"nobody carries {parcel.grams} g; send two parcels")
    cents = rates[0]
    if country:
        cents += ABROAD
    if parcel.is_bulky:
        cents += BULKY
    return cents
