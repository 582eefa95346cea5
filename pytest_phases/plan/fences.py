"""What a fence says: which language runs it, and whether it is nothing but plain pytest calls."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pytest_phases.model import Language

LANGUAGES: Mapping[str, Language] = MappingProxyType(
    {
        "": Language.BASH,
        "bash": Language.BASH,
        "shell": Language.BASH,
        "sh": Language.SH,
        "python": Language.PYTHON,
        "python3": Language.PYTHON,
        "py": Language.PYTHON,
    }
)
"""What a fence may name as its language, in lower case."""

LARGEST = 100_000
"""The most bytes a script may have: it is passed to its interpreter as one argument."""

# A word of a shell that means the same to pytest: no variable, redirection or other command.
_WORD = r"""(?:'[^']*'|"[^"$`\\]*"|(?<=\S)[#~]|[^\s'"$`\\|;&<>(){}#~])+"""
_PLAIN_LINE = re.compile(rf"\s*(?P<words>{_WORD}(?:[ \t]+{_WORD})*)?\s*(?:(?<!\S)#.*)?")
_CALLS = (("pytest",), ("python", "-m", "pytest"), ("python3", "-m", "pytest"))
_OPTION = re.compile(r"-(?:v+|q+)|-(?P<letter>[km])=?(?P<value>.*)", re.S)
_PYTEST_INSIDE = re.compile(
    r"(?:^|[;&|(]|\b(?:run|exec|time|then|do|else|env)\b)\s*(?:\w+=\S*\s+)*(?:pytest|py\.test)(?![\w.-])"
    r"|\s-m\s+pytest(?![\w.-])|\bpytest\.main\("
)
_COMMENT = re.compile(r"(?:^|(?<=[ \t]))#.*", re.M)


@dataclass(frozen=True, slots=True)
class Call:
    """A plain pytest call: its line in the fence counted from 0, and what it selects."""

    line: int
    paths: tuple[str, ...]
    keyword: str | None
    mark: str | None


def is_empty(script: str) -> bool:
    """Whether a script holds nothing but blanks and comments."""
    return all(not line.strip() or line.lstrip().startswith("#") for line in script.split("\n"))


def line_of_pytest(script: str) -> int | None:
    """The first line, counted from 0, on which a script calls pytest as a process of its own, or None."""
    lines = _COMMENT.sub("", script).split("\n")
    return next((number for number, line in enumerate(lines) if _PYTEST_INSIDE.search(line)), None)


def plain_calls(script: str) -> tuple[Call, ...] | None:
    """The calls of a script that holds nothing but plain pytest calls, or None for any other.

    Plain is `pytest` or `python -m pytest` with only paths, node ids, `-k`, `-m`, `-v` and `-q`;
    a continued line, a pipe, a variable or an assignment makes it a script.
    """
    calls = []
    for number, words in _commands(script):
        call = _call(number, words)
        if call is None:
            return None
        calls.append(call)
    return tuple(calls) or None


def _commands(script: str) -> Iterator[tuple[int, list[str]]]:
    """The words of each line with its number; none at all where a line is not plain."""
    for number, line in enumerate(script.split("\n")):
        match = _PLAIN_LINE.fullmatch(line)
        if match is None:
            yield number, []
        elif match["words"]:
            yield number, shlex.split(match["words"])


def _call(line: int, words: list[str]) -> Call | None:
    name = next((name for name in _CALLS if tuple(words[: len(name)]) == name), None)
    if name is None:
        return None
    paths: list[str] = []
    expressions: dict[str, str] = {}
    rest = iter(words[len(name) :])
    for word in rest:
        option = _OPTION.fullmatch(word)
        if option is None:
            if word.startswith("-") or not word:
                return None
            paths.append(word)
        elif option["letter"]:
            expression = option["value"] or next(rest, "")
            if not expression.strip():
                return None
            expressions[option["letter"]] = expression
    return Call(line, tuple(paths), expressions.get("k"), expressions.get("m"))
