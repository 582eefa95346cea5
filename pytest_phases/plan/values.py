"""The values of keys, from text to entries and from entries to what they mean.

A value is read in two steps. `split_entries` cuts text such as `[a, "b, c"]` into entries (the
TOML reader has them already); the others turn entries into numbers, ids and the like. All of
them raise `BadValue` with what to write instead.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence

from pytest_phases.errors import PhasesError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_EMPTY = frozenset({"none", "-", "[]"})
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_PREFIX = re.compile(r"^(?:phase|stream)\s+(?=\S)", re.I)
_BEFORE_QUOTE = frozenset(" \t,=[({")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_SECONDS = re.compile(r"\d+(?:\.\d+)?")
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?\s*(?:(\d+(?:\.\d+)?)m)?\s*(?:(\d+(?:\.\d+)?)s)?", re.I)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXPRESSION = re.compile(r"(?:^|\s+)-([km])(?:\s+|=|(?=[\"']))")
_FULL = 100.0

RATCHET = "ratchet"
"""The threshold that is whatever the last green run of a phase has reached."""


class BadValue(PhasesError):
    """A value that cannot be read: a slug for the problem, and what is wrong with it."""

    def __init__(self, slug: str, message: str) -> None:
        self.slug = slug
        super().__init__(message)


def split_entries(text: str) -> tuple[str, ...]:
    """The entries of `[a, b]`, `a, b` or `a`; none of `none`, `-` and `[]`.

    Entries are split at commas outside quotes and brackets. A quoted entry is a TOML string, an
    unquoted one is taken literally.
    """
    text = _without_backticks(text)
    if text.lower() in _EMPTY:
        return ()
    if text.startswith("["):
        end = next(at for at, _, depth in _bare(text) if depth == 0)
        if end != len(text) - 1:
            raise BadValue("bad-list", f"`{text[end + 1 :].strip()}` follows the bracket; take it out")
        text = text[1:-1].strip().removesuffix(",")
        if not text.strip():
            return ()
    commas = [at for at, character, depth in _bare(text) if character == "," and depth == 0]
    starts, ends = [0, *(at + 1 for at in commas)], [*commas, len(text)]
    return tuple(unquote(text[start:end]) for start, end in zip(starts, ends, strict=True))


def unquote(entry: str) -> str:
    """One entry: a TOML string if it begins with a quote, else the text itself."""
    entry = _without_backticks(entry)
    return checked(_toml_string(entry) if entry[:1] in ("'", '"') else entry)


def checked(entry: str) -> str:
    """An entry that says something and steers no terminal."""
    if not entry.strip():
        raise BadValue("empty-entry", "an entry is empty; fill it or take a comma out")
    if _CONTROL.search(entry):
        raise BadValue("control-character", f"{entry!r} holds a control character; take it out")
    return entry


def single(entries: Sequence[str]) -> str | None:
    """The only entry, or None if there is none."""
    if len(entries) > 1:
        raise BadValue("not-one-value", f"write one value, not the {len(entries)} of `{', '.join(entries)}`")
    return entries[0] if entries else None


def ids(entries: Sequence[str]) -> tuple[str, ...]:
    """Ids, each once; `Phase 1` means `1` and `Stream A` means `A`."""
    return tuple(
        dict.fromkeys(entry[match.end() :] if (match := _PREFIX.match(entry)) else entry for entry in entries)
    )


def ids_or_all(entries: Sequence[str], every: Sequence[str]) -> tuple[str, ...]:
    """Ids as in `ids`; `true` alone is `every` one of them, `false` none, unless one is called so."""
    word = entries[0].lower() if len(entries) == 1 and entries[0] not in every else ""
    if word in ("true", "false"):
        return tuple(every) if word == "true" else ()
    return ids(entries)


def percent(entries: Sequence[str]) -> float | None:
    """A threshold above 0 and up to 100 per cent, written `85`, `85.5` or `85%`."""
    text = single(entries)
    if text is None:
        return None
    if text.lower() == RATCHET:
        raise BadValue(
            "bad-threshold", f"`{RATCHET}` is a threshold of phases and streams alone; write a number here"
        )
    match = _PERCENT.fullmatch(text)
    if match is None or not 0 < float(match[1]) <= _FULL:
        raise BadValue("bad-threshold", f"`{text}` is no threshold; write a number above 0 and up to 100")
    return float(match[1])


def threshold(entries: Sequence[str]) -> float | str | None:
    """What a phase or stream may have as its threshold: one in per cent, or `RATCHET` in any case."""
    return RATCHET if [entry.lower() for entry in entries] == [RATCHET] else percent(entries)


def seconds(entries: Sequence[str]) -> float | None:
    """A duration in seconds, written `90`, `90s`, `10m` or `1h30m`."""
    text = single(entries)
    if text is None:
        return None
    match = _DURATION.fullmatch(f"{text}s" if _SECONDS.fullmatch(text) else text)
    parts = [float(part or 0) for part in match.groups()] if match else [0.0]
    total = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not 0 < total < float("inf"):
        raise BadValue("bad-duration", f"`{text}` is no duration; write `90s`, `10m` or `1h30m`")
    return total


def boolean(entries: Sequence[str]) -> bool:
    """`true` or `false`, in any case; nothing is false."""
    text = single(entries)
    if text is None:
        return False
    if text.lower() not in ("true", "false"):
        raise BadValue("bad-boolean", f"`{text}` is neither `true` nor `false`; write one of them")
    return text.lower() == "true"


def optional_boolean(entries: Sequence[str]) -> bool | None:
    """`true` or `false`, in any case; nothing leaves it open."""
    return boolean(entries) if entries else None


def variable(entry: str) -> str:
    """The name of an environment variable."""
    if not _VARIABLE.fullmatch(entry):
        name = entry.partition("=")[0].strip().removeprefix("$")
        advice = f"write `{name}`" if _VARIABLE.fullmatch(name) else "write letters, digits and `_` alone"
        raise BadValue("bad-variable", f"`{entry}` is no name of an environment variable; {advice}")
    return entry


def selection(entry: str) -> tuple[str | None, str | None, str | None]:
    """The path, `-k` and `-m` of an entry of `tests:`, each None if it is not there."""
    path, *rest = _EXPRESSION.split(entry)
    given = dict(zip(rest[::2], map(_without_quotes, rest[1::2]), strict=True))
    if len(given) < len(rest) // 2 or not all(given.values()):
        raise BadValue("bad-selector", f'`{entry}` needs one expression after `-k` or `-m`: `-m "not slow"`')
    if path.startswith("-"):
        raise BadValue("bad-selector", f"`{entry}` is neither a path, a glob, a node id, `-k` nor `-m`")
    return path.strip() or None, given.get("k"), given.get("m")


def _bare(text: str) -> Iterator[tuple[int, str, int]]:
    """Each character outside quotes with its index and the depth of brackets it leaves behind."""
    open_brackets: list[str] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character in "\"'" and (at == 0 or text[at - 1] in _BEFORE_QUOTE):
            at = _end_of_quote(text, at) + 1
            continue
        if character in _CLOSING:
            open_brackets.append(_CLOSING[character])
        elif open_brackets and character == open_brackets[-1]:
            open_brackets.pop()
        yield at, character, len(open_brackets)
        at += 1
    if open_brackets:
        raise BadValue("unclosed", f"a bracket in `{text}` is never closed; write `{open_brackets[-1]}`")


def _end_of_quote(text: str, start: int) -> int:
    """The index of the quote that closes the one at `start`."""
    quote = text[start]
    inside = r"(?:[^\"\\]|\\.)*" if quote == '"' else "[^']*"
    match = re.compile(inside + quote).match(text, start + 1)
    if match is None:
        raise BadValue("unclosed", f"the quote in `{text[start:]}` is never closed; close it with {quote}")
    return match.end() - 1


def _without_backticks(text: str) -> str:
    text = text.strip()
    inner = text[1:-1]
    # Markdown writers protect * and _ that way; no path begins and ends with a backtick.
    return inner.strip() if text.startswith("`") and text.endswith("`") and "`" not in inner else text


def _without_quotes(expression: str) -> str:
    text = expression.strip()
    quoted = len(text) > 1 and text[0] in "\"'" and text[0] == text[-1] and text[0] not in text[1:-1]
    return text[1:-1].strip() if quoted else text


def _toml_string(entry: str) -> str:
    try:
        value = tomllib.loads(f"value = {entry}")["value"]
    except tomllib.TOMLDecodeError:
        value = None
    if not isinstance(value, str) or not entry.endswith(entry[0]):
        raise BadValue(
            "bad-string", f"{entry} is no TOML string; write it as \"text\" or 'text', or without quotes"
        )
    return value
