"""Edit distance in Python, for where the extension is not built."""


def distance(left: str, right: str) -> int:
    """Return how many letters must be put in, taken out or replaced to turn `left` into `right`."""
    above = list(range(len(right) + 1))
    for row, a in enumerate(left, start=1):
        here = [row]
        for column, b in enumerate(right, start=1):
            here.append(min(above[column] + 1, here[-1] + 1, above[column - 1] + (a != b)))
        above = here
    return above[-1]
