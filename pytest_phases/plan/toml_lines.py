"""On which lines the tables and keys of a TOML document stand; its parser does not say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

Address = tuple[str | int, ...]
"""Where a value stands in the parsed document: `("phase", 0, "stage", 1, "run")`."""

_HEADER = re.compile(r"\s*(?P<open>\[\[?)\s*(?P<name>[\w.\-\"' ]+?)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"\s*(?P<name>[\w.\-]+|\"[^\"]*\"|'[^']*')\s*=(?P<value>.*)")
# A string, a comment or a bracket: what decides whether a value goes on on the next line.
_PIECE = re.compile(
    r"\"\"\"|'''|\"(?:[^\"\\]|\\.)*\"|'[^']*'|#.*|[\[\]{}]",
)
_BRACKETS = {"[": 1, "{": 1, "]": -1, "}": -1}


@dataclass(slots=True)
class Lines:
    """The lines of a document by address; `find` falls back to what an address stands in."""

    known: dict[Address, int] = field(default_factory=dict)

    def find(self, *address: str | int) -> int:
        """The line of a value, or of the nearest table around it, or 1."""
        for length in range(len(address), 0, -1):
            if address[:length] in self.known:
                return self.known[address[:length]]
        return 1


def read_lines(text: str) -> Lines:
    """The lines of a valid TOML document, as far as tables and keys have lines of their own."""
    lines = Lines()
    table: Address = ()
    counts: dict[Address, int] = {}
    for number, line in _top_lines(text):
        header, key = _HEADER.fullmatch(line), _KEY.fullmatch(line)
        if header is not None:
            names = [name.strip().strip("\"'") for name in header["name"].split(".")]
            table = _resolve(names, header["open"] == "[[", counts)
            lines.known[table] = number
            if isinstance(table[-1], int):
                lines.known.setdefault(table[:-1], number)
        elif key is not None:
            lines.known.setdefault((*table, *key["name"].strip("\"'").split(".")), number)
    return lines


def _resolve(names: list[str], is_array: bool, counts: dict[Address, int]) -> Address:
    """The address of a table; each name but the last of an array stands for its latest entry."""
    address: Address = ()
    for at, name in enumerate(names):
        address = (*address, name)
        if is_array and at == len(names) - 1:
            counts[address] = counts.get(address, -1) + 1
        if address in counts:
            address = (*address, counts[address])
    return address


def _top_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that begin neither inside a multi-line string nor inside a multi-line array."""
    quote, depth = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if not quote and not depth:
            yield number, line.rstrip("\r")
            header = _HEADER.fullmatch(line.rstrip("\r"))
            if header is not None:
                continue
        quote, depth = _state_after(line, quote, depth)


def _state_after(line: str, quote: str, depth: int) -> tuple[str, int]:
    """Which multi-line string is open at the end of a line, and how many brackets."""
    at = 0
    while at < len(line):
        if quote:
            end = _closing(line, quote, at)
            if end is None:
                return quote, depth
            quote, at = "", end
            continue
        piece = _PIECE.search(line, at)
        if piece is None:
            break
        if piece[0] in ('"""', "'''"):
            quote = piece[0]
        depth += _BRACKETS.get(piece[0], 0)
        at = piece.end()
    return quote, max(depth, 0)


def _closing(line: str, quote: str, at: int) -> int | None:
    """Where a multi-line string ends on a line, or None; a backslash hides a quote from `\"\"\"` alone."""
    pattern = r"(?:[^\"\\]|\\.|\"(?!\"\"))*\"{3,5}" if quote == '"""' else r".*?'{3,5}"
    match = re.compile(pattern).match(line, at)
    return match.end() if match else None
