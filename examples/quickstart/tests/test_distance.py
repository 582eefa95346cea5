"""Phase 2, by path: the compiled distance is today's, and it is right."""

import hashlib
import itertools
from pathlib import Path

import pytest

import spelling
from spelling import _slow

HERE = Path(__file__).parent.parent
WORDS = (HERE / "words.txt").read_text(encoding="utf-8").split()


def test_the_extension_was_built_from_the_source_as_it_is_now():
    """What is tested is neither the fallback nor what an earlier run left behind."""
    source = (HERE / "spelling" / "_distance.c").read_bytes()
    built_from = spelling.SOURCE_DIGEST
    assert built_from == hashlib.sha256(source).hexdigest()


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [("", "", 0), ("", "wave", 4), ("kitten", "sitting", 3), ("crew", "screw", 1), ("größe", "grosse", 3)],
)
def test_known_distances(left, right, expected):
    """Distances that can be counted by hand come out as counted."""
    assert spelling.distance(left, right) == expected


@pytest.mark.parametrize("letter", sorted({word[0] for word in WORDS}))
def test_c_and_python_agree(letter):
    """The extension and the fallback give the same distance for every pair of words."""
    words = [word for word in WORDS if word[0] == letter]
    for left, right in itertools.product(words, WORDS):
        assert spelling.distance(left, right) == _slow.distance(left, right)
