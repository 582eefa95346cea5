"""Which phase a test belongs to when no marker says so: the most specific selector decides.

A selector is ranked by what it names, the highest first:

    node id     the deeper first: t.py::TestA::test_b[x], t.py::TestA::test_b, t.py::TestA
    file        t.py
    folder      the deeper first: tests/unit, tests, and . for the rootdir
    glob        tests/test_*.py, tests/*_unit, **/test_a.py
    expression  -k or -m without a path
    rest        every test that nothing else names

A path with an expression outranks one without. Among selectors of the highest rank a stream
beats its own phase; two other phases are a conflict. Paths are compared as text: nothing here
looks at the file system.
"""

from __future__ import annotations

import difflib
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase
from itertools import combinations
from operator import itemgetter

from pytest_phases.errors import Problem
from pytest_phases.model import UNPHASED, Plan, Selector

_GLOB_CHARACTERS = frozenset("*?[")


class _Kind(IntEnum):
    """What a selector names, from the least to the most specific."""

    REST = 0
    EXPRESSION = 1
    GLOB = 2
    FOLDER = 3
    FILE = 4
    NODE = 5


# The kind, the depth within the kind, and whether an expression restricts it further.
_Rank = tuple[int, int, bool]


@dataclass(frozen=True, slots=True, eq=False)
class _Claim:
    """A selector together with the phase or stream whose tests it names.

    `path` is normalised, and empty without one; `names` is the part of a node id after the file;
    `expression` is an index into `Membership.expressions`. Compared by identity, since two claims
    may read the same.
    """

    unit: str
    selector: Selector
    path: str
    names: str
    expression: int | None

    def rank(self, kind: _Kind, depth: int = 0) -> _Rank:
        """The rank of this claim on a test that it names as `kind`."""
        return (kind, depth, self.expression is not None)


_Ranked = tuple[_Rank, _Claim]


@dataclass(frozen=True, slots=True)
class _File:
    """What the selectors say of one file: `whole` of all its tests, `parts` by node id."""

    whole: Sequence[_Ranked]
    parts: Mapping[str, Sequence[_Ranked]]

    def may_hold(self, claim: _Claim) -> bool:
        """Whether a claim may match a test of this file."""
        return any(known is claim for ranked in (self.whole, *self.parts.values()) for _, known in ranked)


@dataclass(slots=True)
class _Conflict:
    """Two claims of equal rank: the first test they met on, and on how many they did."""

    example: str
    count: int = 0


class Membership:
    """Which phase or stream each test belongs to, and what is wrong with the selectors.

    Built once from a plan and asked once for every test; `unmatched` and `problems` speak of the
    tests asked for so far.
    """

    def __init__(self, plan: Plan) -> None:
        self._expressions: dict[tuple[str | None, str | None], int] = {}
        self._claims = [self._claim(unit.id, selector) for unit in plan.units() for selector in unit.tests]
        self._by_path: dict[str, list[_Claim]] = defaultdict(list)
        self._globs: list[_Claim] = []
        self._pathless: list[_Ranked] = []
        for claim in self._claims:
            self._index(claim)
        self._files: dict[str, _File] = {}
        # The tests of those files alone that a node id names: what it may have meant.
        self._names: dict[str, set[str]] = defaultdict(set)
        self._unread: set[str] = set()
        # The rest may well be nothing, so it is never reported as unmatched.
        self._unmatched = {claim for claim in self._claims if not claim.selector.is_rest}
        self._conflicts: dict[tuple[_Claim, _Claim], _Conflict] = {}

    @property
    def expressions(self) -> tuple[tuple[str | None, str | None], ...]:
        """The distinct pairs of `-k` and `-m` that pytest must evaluate for each test."""
        return tuple(self._expressions)

    def phase_of(self, nodeid: str, matches: Callable[[int], bool], marked: str | None = None) -> str:
        """The id of the phase or stream that a test belongs to, or UNPHASED.

        `matches(i)` says whether `expressions[i]` holds for the test; it is called only where it
        may decide, or where its selector has matched nothing yet. `marked` is the id that the
        test's closest marker says, if it has one: it wins, and makes no conflict.
        """
        path, _, names = nodeid.partition("::")
        file = self._file(path)
        self._unread.discard(path)
        if names and file.parts:
            self._names[path].add(names.partition("[")[0])
        highest = self._highest(_claims_on(file, names), matches)
        if marked is not None:
            return marked
        return self._decide(highest, nodeid)

    def phase_of_file(self, path: str) -> str:
        """The id of the phase or stream of a module that could not be imported, or UNPHASED.

        Its tests are not known. What names the whole file without an expression decides, by rank;
        else what names it with one, else what names a part of it, else the rest. No selector that
        may still match a test of the file counts as unmatched.
        """
        self._unread.add(path)
        file = self._file(path)
        plain = [(rank, claim) for rank, claim in file.whole if claim.path and claim.expression is None]
        if plain:
            return self._decide([claim for rank, claim in plain if rank == plain[0][0]], path)
        restricted = [claim for _, claim in file.whole if claim.path]
        parts = [claim for claim in self._claims if claim.names and file.may_hold(claim)]
        rest = [claim for _, claim in file.whole if claim.selector.is_rest]
        return next((claim.unit for claim in (*restricted, *parts, *rest)), UNPHASED)

    @property
    def unmatched(self) -> tuple[Selector, ...]:
        """The selectors that matched no test, in the order of the plan."""
        return tuple(claim.selector for claim in self._without_test())

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Conflicts of equal rank and selectors that matched no test.

        The latter are mistakes only if everything the plan names was collected.
        """
        return self.problems_where(lambda unit, selector: True)

    def problems_where(self, mistaken: Callable[[str, Selector], bool]) -> tuple[Problem, ...]:
        """Conflicts of equal rank, and selectors that matched no test if `mistaken` calls them a mistake.

        It is asked with the id of a phase or stream and one of its selectors.
        """
        conflicts = (_conflict(one, two, met) for (one, two), met in self._conflicts.items())
        unmatched = (claim for claim in self._without_test() if mistaken(claim.unit, claim.selector))
        return (*conflicts, *map(self._matches_nothing, unmatched))

    def _claim(self, unit: str, selector: Selector) -> _Claim:
        """The claim that a selector makes for a phase or stream."""
        pair = (selector.keyword, selector.mark)
        restricted = pair != (None, None)
        expression = self._expressions.setdefault(pair, len(self._expressions)) if restricted else None
        if selector.path is None:
            return _Claim(unit, selector, "", "", expression)
        path, _, names = selector.path.partition("::")
        return _Claim(unit, selector, posixpath.normpath(path), names, expression)

    def _index(self, claim: _Claim) -> None:
        """Put a claim where `_look_up` finds it."""
        if not claim.path:
            kind = _Kind.REST if claim.selector.is_rest else _Kind.EXPRESSION
            self._pathless.append((claim.rank(kind), claim))
        elif is_glob(claim.path):
            self._globs.append(claim)
        else:
            self._by_path[claim.path].append(claim)

    def _file(self, path: str) -> _File:
        """What the selectors say of a file, looked up once for each file."""
        if path not in self._files:
            self._files[path] = self._look_up(path)
        return self._files[path]

    def _look_up(self, path: str) -> _File:
        """Every claim on a file, the highest rank first, and in the order of the plan within a rank."""
        whole = list(self._pathless)
        parts: dict[str, list[_Ranked]] = defaultdict(list)
        for rank, claim in self._claims_by_path(path):
            if claim.names:
                parts[claim.names].append((rank, claim))
            else:
                whole.append((rank, claim))
        return _File(_by_rank(whole), dict(parts))

    def _claims_by_path(self, path: str) -> Iterator[_Ranked]:
        """The claims whose path names a file, a folder above it or a part of it."""
        if not _is_inside(path):
            return
        for claim in self._by_path.get(path, ()):
            node = _Kind.NODE if claim.names else _Kind.FILE
            yield claim.rank(node, len(_node_ids(claim.names))), claim
        for depth, folder in enumerate(_folders(path)):
            for claim in self._by_path.get(folder, ()):
                if not claim.names:
                    yield claim.rank(_Kind.FOLDER, depth), claim
        for claim in self._globs:
            if lies_at(path, claim.path, or_below=not claim.names):
                yield claim.rank(_Kind.GLOB, len(_node_ids(claim.names))), claim

    def _highest(self, claims: Iterable[_Ranked], matches: Callable[[int], bool]) -> list[_Claim]:
        """The claims of the highest rank that hold; notes on the way which claims match something."""
        highest: list[_Claim] = []
        best: _Rank | None = None
        for rank, claim in claims:
            if best is not None and rank < best and claim not in self._unmatched:
                continue
            if claim.expression is None or matches(claim.expression):
                self._unmatched.discard(claim)
                best = rank if best is None else best
                if rank == best:
                    highest.append(claim)
        return highest

    def _decide(self, highest: Sequence[_Claim], test: str) -> str:
        """The phase or stream that claims of equal rank give a test to; notes a conflict."""
        if not highest:
            return UNPHASED
        if len(highest) == 1:
            return highest[0].unit
        firsts: dict[str, _Claim] = {}
        for claim in highest:
            firsts.setdefault(claim.unit, claim)
        with_stream = {unit.partition("/")[0] for unit in firsts if "/" in unit}
        contenders = [claim for unit, claim in firsts.items() if unit not in with_stream]
        for pair in combinations(contenders, 2):
            self._conflicts.setdefault(pair, _Conflict(test)).count += 1
        return contenders[0].unit

    def _without_test(self) -> Iterator[_Claim]:
        """The claims that matched nothing and that no module not yet imported may still match."""
        unread = [self._files[path] for path in self._unread]
        for claim in self._claims:
            if claim in self._unmatched and not any(file.may_hold(claim) for file in unread):
                yield claim

    def _matches_nothing(self, claim: _Claim) -> Problem:
        """The problem of a selector that matched no test, with the nearest that would."""
        nearest = self._nearest(claim) if claim.path and not is_glob(claim.path) else None
        advice = f"did you mean `{nearest}`?" if nearest else "correct it or take it out"
        message = f"phase {claim.unit}: no test matches `{claim.selector}`; {advice}"
        return Problem("selector-matches-nothing", claim.selector.place, message)

    def _nearest(self, claim: _Claim) -> str | None:
        """The path or node id among those asked for that reads most like the one of a claim."""
        # Not `words.nearest`, which takes seconds for ten thousand paths.
        if claim.path in self._names:
            nearest = difflib.get_close_matches(claim.names, sorted(self._names[claim.path]), n=1)
            return f"{claim.path}::{nearest[0]}" if nearest else None
        paths = {place for file in self._files for place in (file, *_folders(file))}
        nearest = difflib.get_close_matches(claim.path, sorted(paths - {claim.path}), n=1)
        return "::".join(filter(None, [nearest[0], claim.names])) if nearest else None


def is_glob(path: str) -> bool:
    """Whether the file or folder of a path is a pattern; what follows `::` may hold brackets."""
    return not _GLOB_CHARACTERS.isdisjoint(path.partition("::")[0])


def lies_at(path: str, pattern: str, or_below: bool = True) -> bool:
    """Whether a path is what a pattern names or, if `or_below`, lies in a folder that it names.

    The pattern is a path or a glob. Both are relative to the rootdir with `/` between the parts.
    In a glob `**` stands for any number of folders, and nothing else crosses a `/`. A path that
    leaves the rootdir lies nowhere.
    """
    if not (_is_inside(pattern) and _is_inside(path)):
        return False
    return _fits(_parts(pattern), _parts(path), or_below)


def _fits(pattern: Sequence[str], parts: Sequence[str], or_below: bool) -> bool:
    """Whether the parts of a path begin as the pattern says, and end there unless `or_below`."""
    if not pattern:
        return or_below or not parts
    head, *rest = pattern
    if head == "**":
        return any(_fits(rest, parts[skipped:], or_below) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], head) and _fits(rest, parts[1:], or_below)


def _parts(path: str) -> list[str]:
    """The folders and the file of a path; none for the rootdir."""
    normal = posixpath.normpath(path)
    return [] if normal == "." else normal.split("/")


def _is_inside(path: str) -> bool:
    """Whether a path stays in the rootdir."""
    return not path.startswith("/") and _parts(path)[:1] != [".."]


def _folders(path: str) -> list[str]:
    """The folders above a path, the rootdir first."""
    parts = _parts(path)
    return [".", *("/".join(parts[:depth]) for depth in range(1, len(parts)))]


def _node_ids(names: str) -> list[str]:
    """A node id without its file, after what holds it: TestA, TestA::test_b, TestA::test_b[x::y]."""
    base, bracket, _ = names.partition("[")
    parts = base.split("::") if base else []
    holders = ["::".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    return [*holders, names] if bracket else holders


def _claims_on(file: _File, names: str) -> Sequence[_Ranked]:
    """The claims on one test of a file, the highest rank first; their expressions are still open."""
    if not file.parts:
        return file.whole
    parts = [ranked for node in _node_ids(names) for ranked in file.parts.get(node, ())]
    return _by_rank([*parts, *file.whole])


def _by_rank(claims: Iterable[_Ranked]) -> list[_Ranked]:
    """Claims with the highest rank first, in the given order within a rank."""
    return sorted(claims, key=itemgetter(0), reverse=True)


def _conflict(one: _Claim, two: _Claim, met: _Conflict) -> Problem:
    """The problem of two selectors of equal rank, at the later one."""
    others = f" and {met.count - 1} more" if met.count > 1 else ""
    message = (
        f"phase {two.unit} selects {met.example}{others} by `{two.selector}`, and so does phase {one.unit} "
        f"({one.selector.place}) by `{one.selector}`, which is no less specific; "
        "leave the tests to one of them, or name them more closely in one"
    )
    return Problem("selector-conflict", two.selector.place, message)
