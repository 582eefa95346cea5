"""Stream B: what is printed on a parcel."""

WIDTH = 32
# Goods of less than this many cents need no declaration.
FREE = 4_500


def address(name: str, street: str, town: str, country: str = "") -> list[str]:
    """The lines of an address; the country, in capitals, stands last."""
    lines = [name, street, town]
    if country:
        lines.append(country.upper())
    for line in lines:
        if len(line) > WIDTH:
            raise ValueError(f"`{line}` is longer than {WIDTH} letters; shorten it")
    return lines


def customs(goods: dict[str, int], country: str = "") -> list[str]:
    """The declaration of goods and their values in cents; empty where none is needed."""
    if not country:
        return []
    total = sum(goods.values())
    if total < FREE:
        return []
    lines = ["CUSTOMS DECLARATION"]
    for name, cents in sorted(goods.items()):
        if cents < 0:
            raise ValueError(f"{name} cannot be worth {cents} cents; write what it was bought for")
        lines.append(f"{name}: {cents / 100:.2f}")
    lines.append(f"total: {total / 100:.2f}")
    return lines
