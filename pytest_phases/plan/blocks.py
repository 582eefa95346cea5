"""A Markdown text as the blocks that matter to a plan, each with its lines.

markdown-it decides what is a paragraph, a list or a fence; the text of lines is taken from the
source, so that `*` and `_` in a path stay what they are. Lines are counted from 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token

_LINE_END = re.compile(r"\r\n?")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a paragraph, or of what stands in another block."""

    text: str
    line: int

    def follows(self, other: Line) -> bool:
        """Whether both are lines of one paragraph."""
        return self.line == other.line + 1


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; `underline` is the line that made a paragraph a heading, if it is one of those."""

    level: int
    lines: tuple[Line, ...]
    underline: int | None

    @property
    def line(self) -> int:
        """The line on which the heading begins."""
        return self.lines[0].line

    @property
    def text(self) -> str:
        """The first line without emphasis."""
        return self.lines[0].text.replace("**", "").strip()


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block between lines of ``` or ~~~."""

    info: str
    content: str
    line: int
    closed: bool = True
    tilde: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """A bullet list with all its lines, those of nested blocks too."""

    lines: tuple[Line, ...]
    fences: tuple[Fence, ...] = ()


@dataclass(frozen=True, slots=True)
class Code:
    """An indented code block."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Other:
    """Any other block: HTML, a quote, a numbered list, a rule."""

    line: int
    comment: bool = False
    fences: tuple[Fence, ...] = ()


Block = Line | Heading | Fence | Bullets | Code | Other


def read_blocks(text: str) -> list[Block]:
    """The blocks of a Markdown text in their order; each line of a paragraph is one of them."""
    # Imported here: without a Markdown plan nobody pays for it.
    from markdown_it import MarkdownIt

    text = _LINE_END.sub("\n", text.removeprefix("\ufeff")).replace("\0", "\ufffd")
    # Nothing here looks inside a line, and what is not parsed takes no time.
    tokens = MarkdownIt("commonmark").disable("inline").parse(text)
    lines = [Line(line, number) for number, line in enumerate(text.split("\n"), 1)]
    return list(_blocks(tokens, lines))


def _blocks(tokens: Sequence[Token], lines: Sequence[Line]) -> Iterator[Block]:
    for at, token in enumerate(tokens):
        if token.level or token.nesting < 0 or token.map is None:
            continue
        start, end = token.map
        own = tuple(lines[start:end])
        if token.type == "paragraph_open":
            yield from own
        elif token.type == "heading_open":
            yield _heading(token, tokens[at + 1], own)
        elif token.type == "fence":
            yield _fence(token, own)
        elif token.type == "bullet_list_open":
            yield Bullets(own, tuple(_fences_within(tokens, at)))
        elif token.type == "code_block":
            yield Code(own)
        else:
            yield Other(start + 1, token.content.startswith("<!--"), tuple(_fences_within(tokens, at)))


def _heading(token: Token, inline: Token, own: tuple[Line, ...]) -> Heading:
    level = int(token.tag[1:])
    if token.markup.startswith("#"):
        return Heading(level, (Line(inline.content, own[0].line),), None)
    return Heading(level, own[:-1], own[-1].line)


def _fence(token: Token, own: Sequence[Line]) -> Fence:
    last = own[-1].text.strip()
    closed = len(own) > 1 and len(last) >= len(token.markup) and set(last) == set(token.markup)
    return Fence(token.info.strip(), token.content, own[0].line, closed, token.markup[0] == "~")


def _fences_within(tokens: Sequence[Token], start: int) -> Iterator[Fence]:
    """The fences in the list or quote that opens at `start`."""
    for token in tokens[start + 1 :]:
        if token.level == 0:
            return
        if token.type == "fence" and token.map:
            yield Fence(token.info.strip(), token.content, token.map[0] + 1)
