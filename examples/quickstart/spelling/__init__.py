"""Spelling suggestions: the nearest words by edit distance, in C where the extension is built."""

try:
    from spelling._distance import SOURCE_DIGEST, distance
except ImportError:  # the package also works where nothing can be compiled
    from spelling._slow import distance

    SOURCE_DIGEST = ""

__all__ = ["SOURCE_DIGEST", "distance", "suggest"]


def suggest(word: str, words: list[str], count: int = 3) -> list[str]:
    """Return the `count` words nearest to `word`, nearest first, equal ones in alphabetical order."""
    return sorted(words, key=lambda other: (distance(word, other), other))[:count]
