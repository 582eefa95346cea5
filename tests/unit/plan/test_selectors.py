"""Which phase a test belongs to, and what is wrong with the selectors that say so."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_phases.model import UNPHASED, Phase, Place, Plan, Selector
from pytest_phases.plan.selectors import Membership, is_glob, lies_at


def nothing_matches(_: int) -> bool:
    """No expression holds."""
    return False


def plan_of(**tests: str | Selector | list[str | Selector]) -> Plan:
    """A plan of the phases named by keyword, `p1` or the stream `p1_A`, each on a line of its own."""
    phases: dict[str, Phase] = {}
    for line, (name, entries) in enumerate(tests.items(), start=1):
        place = Place("plan.md", line)
        unit_id = name.removeprefix("p").replace("_", "/")
        listed = entries if isinstance(entries, list) else [entries]
        selectors = tuple(Selector(place, one) if isinstance(one, str) else one for one in listed)
        unit = Phase(unit_id, "", place, tests=selectors)
        parent, _, stream = unit_id.partition("/")
        if stream:
            above = phases.get(parent, Phase(parent, "", place))
            unit = Phase(parent, "", above.place, tests=above.tests, streams=(*above.streams, unit))
        phases[parent] = unit
    return Plan("plan.md", phases=tuple(phases.values()))


def at(line: int, path: str | None = None, keyword: str | None = None, mark: str | None = None) -> Selector:
    """A selector on a line of the plan."""
    return Selector(Place("plan.md", line), path, keyword, mark)


# The rules by number; the cases below name the ones they show.
# 1 node id > file > folder > glob > expression > rest   2 deeper folder, deeper node id
# 3 an expression restricts further   4 a stream beats its own phase   5 the rest is the lowest
PRECEDENCE = [
    pytest.param("t.py::test_a", "t.py", "t.py::test_a", "1", id="1 node id beats file"),
    pytest.param("tests/t.py", "tests", "tests/t.py::test_a", "1", id="1 file beats folder"),
    pytest.param("tests/", "tests/*.py", "tests/t.py::test_a", "1", id="1 folder beats glob"),
    pytest.param(".", "**/t.py", "tests/t.py::test_a", "1", id="1 the rootdir beats a glob"),
    pytest.param("*", at(2, keyword="a"), "t.py::test_a", "1", id="1 glob beats expression"),
    pytest.param(at(1, keyword="a"), at(2), "t.py::test_a", "1", id="5 expression beats the rest"),
    pytest.param("tests/unit", "tests", "tests/unit/t.py::test_a", "1", id="2 deeper folder"),
    pytest.param("tests", ".", "tests/t.py::test_a", "1", id="2 any folder beats the rootdir"),
    pytest.param("t.py::TestA::test_b", "t.py::TestA", "t.py::TestA::test_b", "1", id="2 deeper node id"),
    pytest.param("t.py::test_a[x]", "t.py::test_a", "t.py::test_a[x]", "1", id="2 exact beats prefix"),
    pytest.param(at(1, "t.py", keyword="a"), "t.py", "t.py::test_a", "1", id="3 file and expression"),
    pytest.param(at(1, "tests", mark="a"), "tests", "tests/t.py::test_a", "1", id="3 folder and expression"),
    pytest.param(
        "tests/unit", at(2, "tests", mark="a"), "tests/unit/t.py::test_a", "1", id="2 depth beats 3"
    ),
]


@pytest.mark.parametrize(("first", "second", "nodeid", "phase"), PRECEDENCE)
def test_the_most_specific_selector_decides(first, second, nodeid, phase):
    """Whichever of the two phases stands first in the plan, and without a conflict."""
    for plan in (plan_of(p1=first, p2=second), plan_of(p2=second, p1=first)):
        membership = Membership(plan)
        assert membership.phase_of(nodeid, lambda _: True) == phase
        assert membership.problems == ()


MATCHES = [
    ("t.py", "t.py::test_a", True),
    ("./t.py", "t.py::test_a", True),
    ("tests/../t.py", "t.py::test_a", True),
    ("t.py", "t.pyx::test_a", False),
    ("tests", "tests/unit/t.py::test_a", True),
    ("tests/", "tests/t.py::test_a", True),
    ("tests", "tests_more/t.py::test_a", False),
    (".", "t.py::test_a", True),
    ("..", "t.py::test_a", False),
    ("../other", "../other/t.py::test_a", False),
    (".", "../other/t.py::test_a", False),
    ("/tests", "tests/t.py::test_a", False),
    ("t.py::test_a", "t.py::test_a", True),
    ("./t.py::test_a", "t.py::test_a", True),
    ("t.py::test_a", "t.py::test_a[x-1]", True),
    ("t.py::test_a", "t.py::test_a[x::y]", True),
    ("t.py::test_a[x::y]", "t.py::test_a[x::y]", True),
    ("t.py::test_a[x", "t.py::test_a[x::y]", False),
    ("t.py::test_a", "t.py::test_ab", False),
    ("t.py::test_a[x]", "t.py::test_a[y]", False),
    ("t.py::test_a[x]", "t.py::test_a", False),
    ("t.py::TestA", "t.py::TestA::test_b", True),
    ("t.py::TestA", "t.py::TestA::test_b[x]", True),
    ("t.py::TestA", "t.py::TestAB::test_b", False),
    ("t.py::TestA::TestB", "t.py::TestA::TestB::test_c[a/b]", True),
    ("tests::test_a", "tests/t.py::test_a", False),
    ("tests/test_*.py", "tests/test_a.py::test_a", True),
    ("tests/test_?.py", "tests/test_ab.py::test_a", False),
    ("tests/test_[ab].py", "tests/test_b.py::test_a", True),
    ("tests/test_[!ab].py", "tests/test_b.py::test_a", False),
    ("tests/*", "tests/unit/t.py::test_a", True),
    ("tests/*.py", "tests/unit/t.py::test_a", False),
    ("tests/*_unit", "tests/core_unit/deep/t.py::test_a", True),
    ("tests/*_unit/", "tests/core_unit/t.py::test_a", True),
    ("**/t.py", "t.py::test_a", True),
    ("**/t.py", "tests/unit/t.py::test_a", True),
    ("tests/**/t.py", "tests/t.py::test_a", True),
    ("tests/**", "tests/unit/t.py::test_a", True),
    ("tests/**", "other/t.py::test_a", False),
    ("*/t.py::test_a", "tests/t.py::test_a[x]", True),
    ("*::test_a", "tests/t.py::test_a", False),
    ("../*.py", "../t.py::test_a", False),
]


@pytest.mark.parametrize(("path", "nodeid", "selected"), MATCHES)
def test_a_path_selects_by_its_text_alone(path, nodeid, selected):
    """A file, what lies in a folder, what a glob fits, and what a node id holds; else unphased."""
    membership = Membership(plan_of(p1=path))
    assert membership.phase_of(nodeid, nothing_matches) == ("1" if selected else UNPHASED)
    assert [selector.path for selector in membership.unmatched] == ([] if selected else [path])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/*.py", True),
        ("t?.py::test_a", True),
        ("t[ab].py", True),
        ("t.py::test[a*]", False),
        ("t.py", False),
    ],
)
def test_only_what_stands_before_the_colons_makes_a_glob(path, expected):
    """The brackets of a parametrization are no pattern."""
    assert is_glob(path) is expected


def test_a_glob_can_be_held_to_the_path_itself():
    """Without `or_below` a pattern that names a folder does not name what lies in it."""
    assert lies_at("dist/a/b", "dist/*")
    assert not lies_at("dist/a/b", "dist/*", or_below=False)
    assert lies_at("dist/a", "dist/*", or_below=False)


@pytest.mark.parametrize("path", ["/dist", "../dist", "a/../../dist"])
def test_what_is_outside_lies_nowhere(path):
    """Not even in the rootdir, or at a pattern that reads the same."""
    assert not lies_at(path, ".")
    assert not lies_at(path, path)


def test_a_stream_beats_its_own_phase():
    """For one and the same path, without a conflict."""
    membership = Membership(plan_of(p1="tests", p1_A="tests"))
    assert membership.phase_of("tests/t.py::test_a", nothing_matches) == "1/A"
    assert membership.problems == ()


@pytest.mark.parametrize(
    ("units", "pairs"),
    [
        ({"p1": "tests", "p2": "tests"}, {(1, 2)}),
        ({"p1": "tests", "p2": "./tests/"}, {(1, 2)}),
        ({"p1": "tests/*", "p2": "tests/t*"}, {(1, 2)}),
        ({"p1": at(1, keyword="a"), "p2": at(2, mark="b")}, {(1, 2)}),
        ({"p1": at(1), "p2": at(2)}, {(1, 2)}),
        ({"p1_A": "t.py", "p1_B": "t.py"}, {(1, 2)}),
        ({"p1": "t.py", "p1_A": "t.py", "p2": "t.py"}, {(2, 3)}),
        ({"p1": "t.py", "p2": "t.py", "p3": "t.py"}, {(1, 2), (1, 3), (2, 3)}),
        ({"p1": ["t.py", "./t.py"]}, set()),
        ({"p1": "t.py", "p2": at(2, "t.py", keyword="a")}, set()),
    ],
)
def test_two_phases_of_equal_rank_are_an_error_at_both_lines(units, pairs):
    """Each pair of selectors is told once, whatever the number of tests."""
    membership = Membership(plan_of(**units))
    for nodeid in ("tests/t.py::test_a", "tests/t.py::test_b", "t.py::test_a", "t.py::test_b"):
        membership.phase_of(nodeid, lambda _: True)
    told = [problem for problem in membership.problems if problem.slug == "selector-conflict"]
    assert {(int(p.message.split("plan.md:")[1][0]), p.place.line) for p in told} == pairs
    assert len(told) == len(pairs)


def test_a_conflict_names_one_test_and_counts_the_others():
    """The message shows both selectors, both places and what to do."""
    membership = Membership(plan_of(p1="tests/t.py", p2=["docs", "tests/t.py"]))
    for name in "abc":
        membership.phase_of(f"tests/t.py::test_{name}", nothing_matches)
    membership.phase_of("docs/x.md::x.md", nothing_matches)
    (problem,) = membership.problems
    assert str(problem) == (
        "plan.md:2: phase 2 selects tests/t.py::test_a and 2 more by `tests/t.py`, and so does phase 1 "
        "(plan.md:1) by `tests/t.py`, which is no less specific; leave the tests to one of them, "
        "or name them more closely in one [selector-conflict]"
    )


def test_a_marker_beats_every_selector_without_error():
    """The marked phase is the answer, no conflict arises, and the selectors have matched."""
    membership = Membership(plan_of(p1="t.py::test_a", p2="t.py::test_a", p3=at(3)))
    assert membership.phase_of("t.py::test_a", nothing_matches, marked="4") == "4"
    assert membership.problems == ()


def test_the_rest_takes_what_nothing_else_names_and_may_be_nothing():
    """A phase of the rest gets the unnamed tests; without any it is no mistake."""
    membership = Membership(plan_of(p1="t.py", p2=at(2)))
    assert membership.phase_of("t.py::test_a", nothing_matches) == "1"
    assert membership.unmatched == ()
    assert membership.phase_of("u.py::test_a", nothing_matches) == "2"
    assert membership.phase_of("../u.py::test_a", nothing_matches) == "2"


def test_equal_expressions_are_evaluated_once():
    """Selectors share an expression; the order is that of the plan."""
    plan = plan_of(p1=[at(1, keyword="a"), at(1, "t.py", keyword="a")], p2=at(2, keyword="a", mark="b"))
    assert Membership(plan).expressions == (("a", None), ("a", "b"))


def test_expressions_are_asked_for_only_where_they_may_decide():
    """Once its selector has matched, an expression below the highest rank is not evaluated again."""
    membership = Membership(plan_of(p1="t.py", p2=at(2, keyword="a")))
    asked: list[str] = []

    def asking(nodeid: str) -> Callable[[int], bool]:
        return lambda _: asked.append(nodeid) is None

    for nodeid in ("t.py::test_a", "t.py::test_b", "u.py::test_a"):
        membership.phase_of(nodeid, asking(nodeid))
    assert asked == ["t.py::test_a", "u.py::test_a"]


def test_a_selector_that_is_always_outranked_still_matches():
    """A folder whose files are all named by another phase is no mistake, nor is an expression."""
    membership = Membership(plan_of(p1="tests", p2="tests/t.py", p3=at(3, mark="slow")))
    membership.phase_of("tests/t.py::test_a", lambda _: True)
    assert membership.unmatched == ()


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("tests/test_modul_a.py", "did you mean `tests/test_module_a.py`?"),
        ("tests/test_modul_a.py::test_one", "did you mean `tests/test_module_a.py::test_one`?"),
        ("tests/test_module_a.py::test_on", "did you mean `tests/test_module_a.py::test_one`?"),
        ("tests/test_module_a.py::zzz", "correct it or take it out"),
        ("test", "did you mean `tests`?"),
        ("nowhere/*", "correct it or take it out"),
    ],
)
def test_a_selector_that_matches_nothing_is_told_with_the_nearest(path, advice):
    """The problem stands at the selector and offers a path or node id that was collected."""
    membership = Membership(plan_of(p1=path))
    membership.phase_of("tests/test_module_a.py::test_one[x]", nothing_matches)
    assert [str(problem) for problem in membership.problems] == [
        f"plan.md:1: phase 1: no test matches `{path}`; {advice} [selector-matches-nothing]"
    ]


def test_an_expression_that_matches_nothing_is_told():
    """By its text, at its line."""
    membership = Membership(plan_of(p1=at(1, keyword="a", mark="b")))
    membership.phase_of("t.py::test_a", nothing_matches)
    (problem,) = membership.problems
    assert problem.message == "phase 1: no test matches `-k 'a' -m 'b'`; correct it or take it out"


UNREAD = [
    pytest.param({"p1": "tests/t.py", "p2": "tests"}, "1", id="file beats folder"),
    pytest.param({"p1": "tests/*.py", "p2": "tests"}, "2", id="folder beats glob"),
    pytest.param({"p1": "tests", "p2": "tests/t.py::test_a"}, "1", id="the whole beats a part"),
    pytest.param({"p1": at(1), "p2": "tests/t.py::test_a"}, "2", id="a part beats the rest"),
    pytest.param({"p1": at(1, "tests/t.py", keyword="a"), "p2": "tests"}, "2", id="plain beats restricted"),
    pytest.param(
        {"p1": "tests/t.py::test_a", "p2": at(2, "tests", keyword="a")}, "2", id="restricted beats part"
    ),
    pytest.param({"p1": at(1)}, "1", id="the rest takes what nothing names"),
    pytest.param({"p1": at(1, keyword="a")}, UNPHASED, id="an expression alone names no file"),
    pytest.param({"p1": "other"}, UNPHASED, id="nothing names it"),
    pytest.param({"p1": "tests", "p1_A": "tests"}, "1/A", id="a stream beats its phase"),
]


@pytest.mark.parametrize(("units", "phase"), UNREAD)
def test_a_module_that_cannot_be_imported_belongs_where_its_path_says(units, phase):
    """Its tests are not known, so paths alone decide."""
    membership = Membership(plan_of(**units))
    assert membership.phase_of_file("tests/t.py") == phase
    assert [problem for problem in membership.problems if problem.slug == "selector-conflict"] == []


def test_a_module_in_two_phases_is_a_conflict_before_it_can_be_imported():
    """The file stands for its tests."""
    membership = Membership(plan_of(p1="tests", p2="tests"))
    membership.phase_of_file("tests/t.py")
    assert [problem.place.line for problem in membership.problems] == [2]


def test_what_a_module_not_yet_imported_may_hold_is_no_mistake_until_it_is():
    """A node id and an expression are told once the file was collected without them."""
    plan = plan_of(p1="tests/t.py::test_gone", p2=at(2, keyword="gone"), p3="other")
    membership = Membership(plan)
    membership.phase_of_file("tests/t.py")
    assert [selector.path for selector in membership.unmatched] == ["other"]
    membership.phase_of("tests/t.py::test_a", nothing_matches)
    assert len(membership.unmatched) == 3


FOLDERS = ["", "a/", "a/b/", "ab/"]
FILES = [f"{folder}{name}.py" for folder in FOLDERS for name in ("t", "u")]
NAMES = ["test_a", "test_a[x]", "test_a[x::y]", "TestA::test_a", "TestA::test_b[x]"]
PATTERNS = ["*", "a/*", "**/t.py", "a/**", "a*", "*/t.py::test_a", "a/*.py", "*/b"]
PATHS = [".", "..", "../a", "a", "a/", "./a/b", "ab", *FILES, *PATTERNS]
NODES = [f"{file}::{name}" for file in FILES for name in ["TestA", *NAMES]]
EXPRESSIONS = ["t.py", "test_a", "x", "nowhere"]

selectors = st.builds(
    Selector,
    place=st.builds(Place, st.just("plan.md"), st.integers(1, 500)),
    path=st.none() | st.sampled_from(PATHS) | st.sampled_from(NODES),
    keyword=st.none() | st.sampled_from(EXPRESSIONS),
)
units = st.lists(st.tuples(st.sampled_from(["1", "2", "3", "3/A", "3/B"]), selectors), max_size=12)
nodeids = st.lists(st.sampled_from([f"{file}::{name}" for file in FILES for name in NAMES]), max_size=15)


def holds(selector: Selector, nodeid: str) -> bool:
    """The meaning of an expression in these tests: a part of the node id."""
    return selector.keyword is None or selector.keyword in nodeid


def plain_globs(path: str, pattern: str) -> bool:
    """Whether a pattern fits a path or a folder above it, by trying every way `**` may be filled."""
    parts, wanted = path.split("/"), pattern.split("/")
    if "**" in wanted:
        index = wanted.index("**")
        filled = (wanted[:index] + ["*"] * n + wanted[index + 1 :] for n in range(len(parts) + 1))
        return any(not one or plain_globs(path, "/".join(one)) for one in filled)
    return len(wanted) <= len(parts) and all(map(fnmatchcase, parts, wanted))


def plain_rank(selector: Selector, nodeid: str) -> tuple[int, int, bool] | None:
    """The rank of a selector on a test, straight from the rules; None if it does not select it."""
    restricted = selector.keyword is not None
    if not holds(selector, nodeid):
        return None
    if selector.path is None:
        return (1 if restricted else 0, 0, restricted)
    path, _, inner = selector.path.partition("::")
    path = posixpath.normpath(path)
    file, names = nodeid.split("::", 1)
    depth = len(inner.split("[")[0].split("::")) + ("[" in inner) if inner else 0
    if path.startswith("..") or (
        inner and names != inner and not names.startswith((inner + "::", inner + "["))
    ):
        return None
    if is_glob(path):
        return (2, depth, restricted) if plain_globs(file, path) else None
    if path == file:
        return (5 if inner else 4, depth, restricted)
    folder = 0 if path == "." else len(path.split("/"))
    return (3, folder, restricted) if not inner and (path == "." or file.startswith(path + "/")) else None


def plan_from(drawn: list[tuple[str, Selector]]) -> Plan:
    """A plan of three phases, the third with two streams, that hold the drawn selectors."""
    tests = {name: tuple(s for unit, s in drawn if unit == name) for name in ("1", "2", "3", "3/A", "3/B")}
    units = {name: Phase(name, "", Place("plan.md", 1), tests=own) for name, own in tests.items()}
    third = Phase("3", "", Place("plan.md", 1), tests=tests["3"], streams=(units["3/A"], units["3/B"]))
    return Plan("plan.md", phases=(units["1"], units["2"], third))


@given(units, nodeids)
def test_membership_agrees_with_the_rules_read_one_by_one(drawn, asked):
    """For any plan and any tests: the phase, the conflicts and what matched nothing."""
    plan = plan_from(drawn)
    membership = Membership(plan)
    claims = [(unit.id, selector) for unit in plan.units() for selector in unit.tests]
    in_conflict, matched = False, set()
    for nodeid in asked:
        ranks = [(plain_rank(selector, nodeid), unit, selector) for unit, selector in claims]
        selecting = [(rank, unit, selector) for rank, unit, selector in ranks if rank is not None]
        matched |= {(unit, selector) for _, unit, selector in selecting}
        best = max((rank for rank, _, _ in selecting), default=None)
        winners = {unit for rank, unit, _ in selecting if rank == best}
        if {"3/A", "3/B"} & winners:
            winners.discard("3")
        in_conflict |= len(winners) > 1
        phase = membership.phase_of(nodeid, lambda i, n=nodeid: (membership.expressions[i][0] or "") in n)
        assert phase in (winners or {UNPHASED})
    unmatched = [s for unit, s in claims if (unit, s) not in matched and not s.is_rest]
    assert list(membership.unmatched) == unmatched
    assert in_conflict == any(problem.slug == "selector-conflict" for problem in membership.problems)
