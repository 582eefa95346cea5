"""A parcel: how heavy it is and how large."""

from dataclasses import dataclass

# In centimetres: what the belt takes.
LONGEST, WIDEST = 120, 300


@dataclass(frozen=True)
class Parcel:
    """Its weight in grams, and its three sides in centimetres, in any order."""

    grams: int
    sides: tuple[int, int, int]

    @property
    def girth(self) -> int:
        """The longest side, and once around the parcel across it, in centimetres."""
        *others, longest = sorted(self.sides)
        return longest + 2 * sum(others)

    @property
    def is_bulky(self) -> bool:
        """Whether it fits no belt."""
        return self.girth > WIDEST or max(self.sides) > LONGEST
