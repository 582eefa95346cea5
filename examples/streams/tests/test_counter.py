"""Phase 3: the parts together."""

from parcels.counter import Receipt, send
from parcels.parcel import Parcel

BOX = Parcel(1_500, (33, 20, 12))
BERG = ("A. Berg", "Mill Lane 4", "Lund")


def test_a_parcel_to_the_next_town():
    """It needs an address and nothing else."""
    assert send(BOX, BERG, {"clock": 9_000}) == Receipt(690, BERG)


def test_a_parcel_abroad_carries_its_declaration():
    """Below the address."""
    declared = ("CUSTOMS DECLARATION", "clock: 90.00", "total: 90.00")
    assert send(BOX, BERG, {"clock": 9_000}, "Sweden") == Receipt(690 + 850, (*BERG, "SWEDEN", "", *declared))
