"""Words as people mistype them, and text as a terminal may see it."""

from __future__ import annotations

import pytest

from pytest_phases.plan.words import did_you_mean, edits, nearest, printable


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("covers", "covers", 0),
        ("", "abc", 3),
        ("covres", "covers", 1),
        ("dependancies", "dependencies", 1),
        ("dependecies", "dependencies", 1),
        ("ca", "abc", 3),
        ("tasks", "tests", 2),
    ],
)
def test_edits_count_letters_and_swaps(one: str, other: str, distance: int) -> None:
    """A swap of neighbours is one edit, and the order of the words does not matter."""
    assert edits(one, other) == edits(other, one) == distance


def test_the_nearest_word_has_the_fewest_edits() -> None:
    """In any case of the letters; what is too far away is no candidate."""
    assert nearest("Secrity", ["security", "serial"]) == "security"
    assert nearest("xyz", ["security"]) is None


@pytest.mark.parametrize(("word", "known"), [("7", "1"), ("x", "a"), ("12", "13"), ("1.2", "1.1")])
def test_a_letter_or_a_number_is_near_nothing(word: str, known: str) -> None:
    """One edit makes any other of it, so that to guess would mislead."""
    assert nearest(word, [known]) is None
    assert did_you_mean(word, [known, "b"]) == f"known are `{known}`, `b`"


def test_a_letter_is_near_itself_in_another_case() -> None:
    """That is no guess."""
    assert nearest("a", ["b", "A"]) == "A"


def test_without_a_near_word_all_are_listed() -> None:
    """The message always says what could be written."""
    assert did_you_mean("zz", ["build", "unit"]) == "known are `build`, `unit`"
    assert did_you_mean("zz", []) == "there is none"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße → 漢字 👩‍💻\n\t", "Grüße → 漢字 👩‍💻\n\t"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b\x7f\r", r"\x9b\x7f\r"),
        ("\u202eabc\u2028", r"\u202eabc\u2028"),
    ],
)
def test_what_steers_a_terminal_is_escaped(text: str, shown: str) -> None:
    """Letters of any language stay as they are."""
    assert printable(text) == shown
