"""The counter: takes a parcel, says the price and prints the label."""

from dataclasses import dataclass

from parcels.label import address, customs
from parcels.parcel import Parcel
from parcels.postage import postage


@dataclass(frozen=True)
class Receipt:
    """What the customer pays in cents, and the lines that go on the parcel."""

    cents: int
    label: tuple[str, ...]


def send(parcel: Parcel, to: tuple[str, str, str], goods: dict[str, int], country: str = "") -> Receipt:
    """Take a parcel `to` a name, a street and a town, perhaps in another country."""
    label = address(*to, country)
    declaration = customs(goods, country)
    if declaration:
        label += ["", *declaration]
    return Receipt(postage(parcel, country), tuple(label))
