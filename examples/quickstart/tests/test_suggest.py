"""Phase 3, by a pytest call in the plan: suggestions."""

import itertools
from pathlib import Path

import pytest

from spelling import suggest

WORDS = (Path(__file__).parent.parent / "words.txt").read_text(encoding="utf-8").split()


def test_nearest_first():
    """The nearest word comes first, and words that are equally near in alphabetical order."""
    assert suggest("fase", ["wave", "phase", "gate", "base"]) == ["base", "gate", "phase"]


def test_no_more_than_asked_for():
    """`count` limits the suggestions."""
    assert suggest("plan", WORDS, count=1) == ["plan"]


@pytest.mark.parametrize("word", WORDS)
def test_swapped_letters_are_found(word):
    """A word with two neighbouring letters swapped still finds the word."""
    for first, second in itertools.pairwise(range(len(word))):
        letters = list(word)
        letters[first], letters[second] = letters[second], letters[first]
        assert word in suggest("".join(letters), WORDS)
