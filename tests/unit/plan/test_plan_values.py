"""The values of keys: entries, ids, numbers and selectors."""

from __future__ import annotations

import pytest

from pytest_phases.plan import values
from pytest_phases.plan.values import BadValue


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("a", ("a",)),
        ("[a, b]", ("a", "b")),
        ("a, b", ("a", "b")),
        ("[ a ,b, ]", ("a", "b")),
        ("[]", ()),
        ("[ ]", ()),
        ("none", ()),
        ("None", ()),
        ("-", ()),
        ("python:numpy>=1.26,<3", ("python:numpy>=1.26", "<3")),
        ('["python:numpy>=1.26,<3"]', ("python:numpy>=1.26,<3",)),
        ("[t.py::test[a-b], t.py::test[a,b]]", ("t.py::test[a-b]", "t.py::test[a,b]")),
        (r'["tab\u0041", ' + r"'C:\new']", ("tabA", r"C:\new")),
        ('-k "a, b", c', ('-k "a, b"', "c")),
        ("bob's, anne's", ("bob's", "anne's")),
        ("`src/*_a.py`", ("src/*_a.py",)),
        ("[`a`, `b`]", ("a", "b")),
        ("f(a, b)", ("f(a, b)",)),
        ("a) b, c", ("a) b", "c")),
    ],
)
def test_entries_are_split_at_commas_outside_quotes_and_brackets(text: str, entries: tuple[str, ...]) -> None:
    """A quoted entry is a TOML string, an unquoted one is taken literally."""
    assert values.split_entries(text) == entries


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("[a", "unclosed"),
        ("[a, 'b]", "unclosed"),
        ('"a', "unclosed"),
        ("[a] b", "bad-list"),
        ("[a,,b]", "empty-entry"),
        ("['']", "empty-entry"),
        ('"a" b', "bad-string"),
        (r'"\q"', "bad-string"),
        (r'"\u001b"', "control-character"),
    ],
)
def test_what_is_no_list_says_why(text: str, slug: str) -> None:
    """A value that cannot be read is an error and never half a value."""
    with pytest.raises(BadValue) as raised:
        values.split_entries(text)
    assert raised.value.slug == slug


def test_ids_may_be_written_as_headings_write_them() -> None:
    """`Phase 1` means `1`, and each id counts once; `1.10` and `1.1` are two."""
    assert values.ids(("Phase 1", "1", "stream A", "1.10", "1.1", "phase")) == (
        "1",
        "A",
        "1.10",
        "1.1",
        "phase",
    )


@pytest.mark.parametrize(
    ("text", "threshold"),
    [("85 %", 85.0), ("ratchet", values.RATCHET), ("Ratchet", values.RATCHET), ("none", None)],
)
def test_a_threshold_of_a_phase_is_a_number_or_the_ratchet(text: str, threshold: float | str | None) -> None:
    """The word is read in any case."""
    assert values.threshold(values.split_entries(text)) == threshold


@pytest.mark.parametrize("text", ["ratchets", "ratchet 85", "0"])
def test_what_is_neither_a_number_nor_the_ratchet(text: str) -> None:
    """Nothing else is taken for one."""
    with pytest.raises(BadValue, match="write a number above 0"):
        values.threshold(values.split_entries(text))


@pytest.mark.parametrize("name", ["A", "_", "CFLAGS_2", "path"])
def test_a_variable_has_a_name(name: str) -> None:
    """Letters, digits and `_`, with no digit first."""
    assert values.variable(name) == name


@pytest.mark.parametrize(
    ("entry", "advice"),
    [
        ("A=1", "write `A`"),
        ("$HOME", "write `HOME`"),
        ("staging area", "write letters, digits and `_` alone"),
        ("API-URL", "write letters, digits and `_` alone"),
        ("1A", "write letters, digits and `_` alone"),
        ("ä", "write letters, digits and `_` alone"),
    ],
)
def test_what_is_no_variable_says_what_to_write(entry: str, advice: str) -> None:
    """An assignment and a shell's spelling name the variable they mean."""
    with pytest.raises(BadValue) as raised:
        values.variable(entry)
    assert raised.value.slug == "bad-variable"
    assert str(raised.value) == f"`{entry}` is no name of an environment variable; {advice}"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1H 2M 3S", 3723),
        ("0.5", 0.5),
    ],
)
def test_durations_are_in_seconds(text: str, seconds: float) -> None:
    """A bare number counts seconds."""
    assert values.seconds((text,)) == seconds


@pytest.mark.parametrize("text", ["0", "soon", "-1", "1h30", "10 minutes", "9" * 400, "1d"])
def test_what_is_no_duration(text: str) -> None:
    """Nothing lasts no time, and no time without a unit follows one with a unit."""
    with pytest.raises(BadValue):
        values.seconds((text,))


@pytest.mark.parametrize(("text", "percent"), [("85", 85), ("85%", 85), ("99.5 %", 99.5), ("100", 100)])
def test_thresholds_are_in_per_cent(text: str, percent: float) -> None:
    """The sign may be written or not."""
    assert values.percent((text,)) == percent


@pytest.mark.parametrize("text", ["0", "100.1", "-5", "high", "8 5", "nan", "0x10"])
def test_what_is_no_threshold(text: str) -> None:
    """A threshold of nothing would always be reached, and one above 100 never."""
    with pytest.raises(BadValue):
        values.percent((text,))


def test_nothing_given_is_nothing() -> None:
    """`none` takes a scalar back to its default."""
    assert (values.percent(()), values.seconds(()), values.single(()), values.boolean(())) == (
        None,
        None,
        None,
        False,
    )


@pytest.mark.parametrize(
    ("entry", "path", "keyword", "mark"),
    [
        ("tests/unit", "tests/unit", None, None),
        ("-m slow", None, None, "slow"),
        ('-m "not slow"', None, None, "not slow"),
        ("-m not slow", None, None, "not slow"),
        ("tests -k 'a or b' -m=x", "tests", "a or b", "x"),
        ("my tests/t.py", "my tests/t.py", None, None),
        ("t.py::test[a -x]", "t.py::test[a -x]", None, None),
    ],
)
def test_an_entry_of_tests(entry: str, path: str | None, keyword: str | None, mark: str | None) -> None:
    """A path, an expression, or a path that expressions restrict."""
    assert values.selection(entry) == (path, keyword, mark)


@pytest.mark.parametrize("entry", ["-k", "-m ''", "-x", "--lf", "-k a -k b"])
def test_what_selects_nothing(entry: str) -> None:
    """Other options of pytest are no selectors."""
    with pytest.raises(BadValue):
        values.selection(entry)
