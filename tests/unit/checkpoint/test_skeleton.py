"""What of a module its import depends on."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from pytest_phases.checkpoint.skeleton import skeleton

MODULE = dedent(
    '''
    """The module."""
    import os

    LIMIT = 3
    KEY = lambda pair: pair[0]


    @decorate
    def price(count: int, tax=0.2) -> float:
        """The price."""
        return count * LIMIT


    async def fetch(url):
        return await get(url)


    class Cart:
        """A cart."""

        size = 0

        def add(self, what):
            self.size += 1


    def table():
        return [cell() for _ in range(3)]


    def cell():
        return 1


    TABLE = table()

    if __name__ == "__main__":
        price(1)
    '''
).lstrip()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return count * LIMIT", "return count + LIMIT"),
        ("return await get(url)", "return None"),
        ("self.size += 1", "self.size += 2"),
        ("The price.", "What it costs."),
        ("The module.", "Another text."),
        ("A cart.", "A basket."),
        ("LIMIT = 3\n", "LIMIT = 3  # a comment\n\n\n"),
        ("    return count * LIMIT", "    def inner(): ...\n    return inner"),
        ("size = 0", "size  =  (0)"),
    ],
    ids=[
        "body", "async body", "method body", "docstring of a function", "docstring of the module",
        "docstring of a class", "comment and lines", "function in a function", "layout",
    ],
)  # fmt: skip
def test_what_importing_does_not_execute_is_no_change(old: str, new: str) -> None:
    """Bodies of functions that nobody calls, and what is no code."""
    assert old in MODULE
    assert skeleton(MODULE.replace(old, new)) == skeleton(MODULE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("import os", "import sys"),
        ("pair[0]", "pair[1]"),
        ("@decorate", "@another"),
        ("tax=0.2", "tax=0.3"),
        ("count: int", "count: str"),
        ("-> float", "-> int"),
        ("size = 0", "size = 1"),
        ("def fetch", "def get"),
        ("async def", "def"),
        ("class Cart", "class Cart(Base)"),
        ("def add(self, what)", "def add(self)"),
        ("range(3)", "range(4)"),
        ("    return 1", "    return 2"),
        ("TABLE = table()", "TABLE = None"),
    ],
    ids=[
        "constant", "import", "lambda", "decorator", "default value", "annotation", "returned annotation",
        "class variable", "name", "coroutine", "base class", "signature of a method",
        "a function called at import", "a function that calls", "a call at import",
    ],
)  # fmt: skip
def test_what_importing_executes_is_a_change(old: str, new: str) -> None:
    """Constants, signatures, class bodies, and functions that the module calls itself."""
    assert old in MODULE
    assert skeleton(MODULE.replace(old, new, 1)) != skeleton(MODULE)


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("class A:\n    def __init__(self): self.x = 1\nONE = A()", "self.x = 2"),
        (
            "def register(f):\n    def inner(): return f\n    return inner\n@register\ndef a(): ...",
            "return 2",
        ),
        ("def make(x):\n    def on(f): return 1\n    return on\n@make(1)\ndef a(): ...", "return 2"),
        ("class P:\n    def of(self): return 1\nTABLE = helper.of()", "return 2"),
    ],
    ids=["a class", "a decorator", "a decorator with arguments", "a method by its name"],
)
def test_what_a_module_calls_while_it_is_imported_counts(source: str, changed: str) -> None:
    """With all that is defined inside."""
    old = {"self.x = 2": "self.x = 1"}.get(changed, "return f" if "return f" in source else "return 1")
    assert old in source
    assert skeleton(source.replace(old, changed, 1)) != skeleton(source)


@pytest.mark.parametrize(
    "source",
    [b"def (:", b"\xff\xfe", b"a\0b", "é".encode("latin-1")],
    ids=["syntax", "bytes", "null", "encoding"],
)
def test_of_what_does_not_parse_everything_counts(source: bytes) -> None:
    """It may be meant for another Python."""
    assert skeleton(source) == skeleton(source)
    assert skeleton(source) != skeleton(source + b"\n")


def test_an_expression_too_deep_to_walk_counts_as_a_whole() -> None:
    """Without a traceback."""
    source = "x = " + "-" * 3000 + "1"
    assert skeleton(source) != skeleton(source + "0")


def test_odd_sources_warn_nobody(recwarn: pytest.WarningsRecorder) -> None:
    """Whoever imports them has been warned."""
    assert skeleton("x = '\\d'") != skeleton("x = 1")
    assert not recwarn.list


def test_text_and_bytes_are_the_same_source() -> None:
    """However it was read."""
    text = Path(__file__).read_text(encoding="utf-8")
    assert skeleton(text) == skeleton(text.encode())
