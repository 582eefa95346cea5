"""Markers as plain data, and the plan that they and a plan's file add up to."""

from __future__ import annotations

import json
from enum import Enum, IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_phases.errors import Problem
from pytest_phases.model import Phase, Place, Plan
from pytest_phases.plan.markers import PhaseMark, merge, phase_id

HERE = Place("tests/test_a.py", 7)


def mark(*args: object, **kwargs: object) -> PhaseMark:
    """A marker in line 7 of a test module."""
    return PhaseMark.of(args, kwargs, HERE)


def mark_at(line: int, *args: object, **kwargs: object) -> PhaseMark:
    """A marker in another line."""
    return PhaseMark.of(args, kwargs, Place("tests/test_a.py", line))


def plan_with(*phases: Phase) -> Plan:
    """A plan of the given phases."""
    return Plan("plan.md", phases=phases)


def phase(unit_id: str, **fields: object) -> Phase:
    """A phase in line 3 of the plan."""
    return Phase(unit_id, fields.pop("name", ""), Place("plan.md", 3), **fields)


def messages(problems: tuple[Problem, ...]) -> list[str]:
    """The problems as a user sees them."""
    return [str(problem) for problem in problems]


class Words(str, Enum):
    """Ids as an enum of text."""

    SECURITY = "security"


class Numbers(IntEnum):
    """Ids as an enum of numbers."""

    TWO = 2


class Unreadable:
    """An object whose repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (2, "2"),
        ("2", "2"),
        (0, "0"),
        ("1.10", "1.10"),
        ("security", "security"),
        ("code-review", "code-review"),
        ("1/A", "1/A"),
        (" 2 ", "2"),
        ("Phase 2", "2"),
        (Words.SECURITY, "security"),
        (Numbers.TWO, "2"),
    ],
)
def test_an_id_is_text(written, text):
    """A number and the same number as text are one phase."""
    assert phase_id(mark(written)) == text


@pytest.mark.parametrize(
    ("written", "slug", "said"),
    [
        (1.5, "float-id", 'quote it: "1.5"'),
        (1.10, "float-id", 'quote it: "1.1"'),
        (float("nan"), "float-id", "is a float"),
        (True, "bad-id", "`True` is no id"),
        (None, "bad-id", "`None` is no id"),
        ("", "empty-entry", "an entry is empty"),
        ("  ", "empty-entry", "an entry is empty"),
        ("-", "bad-id", "`-` is no id"),
        ("1, 2", "bad-id", "one number or word"),
        (-1, "bad-id", "`-1` is no id"),
        ("1/A/B", "bad-id", "`1/A/B` is no id"),
        ("a\x1b[31m", "control-character", r"'a\x1b[31m'"),
        ("unphased", "bad-id", "without a phase"),
        ("Unphased", "bad-id", "without a phase"),
        ([1], "bad-id", "is no id"),
        ({"a": 1}, "bad-id", "`{'a': 1} (dict)` is no id"),
        (b"2", "bad-id", "`b'2' (bytes)` is no id"),
        (object(), "bad-id", "`<object object> (object)` is no id"),
        (Unreadable(), "bad-id", "(Unreadable)` is no id"),
        pytest.param(10**5000, "bad-id", "(int)` is no id", id="too many digits"),
    ],
)
def test_what_is_no_id_is_a_problem_at_the_marker(written, slug, said):
    """Without a traceback, and with what to write."""
    problem = phase_id(mark(written))
    assert isinstance(problem, Problem)
    assert (problem.slug, problem.place) == (slug, HERE)
    assert said in problem.message


@pytest.mark.parametrize(("args", "said"), [((), "this one names no phase"), ((1, 2), "one phase, not 2")])
def test_a_marker_names_exactly_one_phase(args, said):
    """None or two ids are a problem that says so."""
    problem = phase_id(mark(*args))
    assert isinstance(problem, Problem)
    assert said in problem.message
    assert "write @pytest.mark.phase(2)" in problem.message


def test_a_phase_that_markers_alone_know_is_added_with_all_they_say():
    """Every keyword argument is read as the plan reads its key."""
    merged, problems = merge(
        Plan(),
        [
            mark(
                2,
                name="Build",
                deps=[1, "security"],
                covers="src/a",
                coverage=85,
                modifies=["src/a/", "src/b/"],
                reads=("src/c",),
                locks=["db"],
                requires=["env:API_URL", "cmd:npm"],
                serial=True,
                serialize=True,
                enforce=False,
                timeout="10m",
            )
        ],
    )
    assert problems == ()
    assert merged.phases == (
        Phase(
            "2",
            "Build",
            HERE,
            deps=("1", "security"),
            states_deps=True,
            covers=("src/a",),
            coverage=85.0,
            modifies=("src/a/", "src/b/"),
            reads=("src/c",),
            locks=("db",),
            requires=("env:API_URL", "cmd:npm"),
            serial=True,
            serialize=True,
            enforce=False,
            timeout=600.0,
        ),
    )


@pytest.mark.parametrize(
    ("kwargs", "deps", "states"),
    [
        ({}, (), False),
        ({"deps": None}, (), False),
        ({"deps": []}, (), True),
        ({"deps": 1}, ("1",), True),
        ({"deps": "1"}, ("1",), True),
        ({"deps": [1, "2", 1]}, ("1", "2"), True),
        ({"dependencies": ["Phase 1"]}, ("1",), True),
    ],
)
def test_dependencies_are_one_id_or_several(kwargs, deps, states):
    """A phase that states none needs nothing, and is told from one that says nothing."""
    merged, problems = merge(Plan(), [mark(9, **kwargs)])
    assert problems == ()
    assert [(one.deps, one.states_deps) for one in merged.phases] == [(deps, states)]


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("coverage", "85%", 85.0),
        ("coverage", 85.5, 85.5),
        ("timeout", 90, 90.0),
        ("timeout", 1.5, 1.5),
        ("timeout", "1h30m", 5400.0),
        ("serial", "true", True),
        ("serial", False, False),
        ("serial", None, False),
        ("coverage", None, None),
        ("serialize", True, True),
        ("enforce", "false", False),
        ("enforce", None, None),
        ("locks", 5, ("5",)),
        ("name", "Build and test", "Build and test"),
    ],
)
def test_a_value_means_what_it_means_in_the_plan(key, value, field):
    """Text is read as there, and so are the numbers and booleans of Python."""
    merged, problems = merge(Plan(), [mark(1, **{key: value})])
    assert problems == ()
    assert getattr(merged.phases[0], key) == field


@pytest.mark.parametrize("written", ["ratchet", "Ratchet", ["ratchet"]])
def test_a_marker_may_ask_for_what_was_reached_before(written):
    """As the plan does, in place of a number."""
    merged, problems = merge(Plan(), [mark(1, coverage=written), mark(1, coverage="ratchet")])
    assert problems == ()
    assert [(one.coverage, one.ratchet) for one in merged.phases] == [(None, True)]


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"coverage": "ratchets"}, "coverage: `ratchets` is no threshold"),
        ({"serialize": "yes"}, "serialize: `yes` is no boolean; write True or False"),
        ({"enforce": 1}, "enforce: `1` is no boolean; write True or False"),
        ({"serialise": True}, "serialise: a phase marker has no such argument; did you mean `serialize`?"),
        ({"env": ["CC"]}, "env: a phase marker has no such argument"),
        ({"coverage": 101}, "coverage: `101` is no threshold"),
        ({"coverage": True}, "coverage: `true` is no threshold"),
        ({"coverage": [1, 2]}, "coverage: write one value"),
        ({"timeout": "soon"}, "timeout: `soon` is no duration"),
        ({"timeout": -1}, "timeout: `-1` is no duration"),
        ({"serial": 1}, "serial: `1` is no boolean; write True or False"),
        ({"serial": [True, False]}, "serial: write one value"),
        ({"deps": 1.5}, 'deps: 1.5 is a float, which cannot tell 1.1 from 1.10; quote it: "1.5"'),
        ({"deps": [1, 1.5]}, 'deps: 1.5 is a float, which cannot tell 1.1 from 1.10; quote it: "1.5"'),
        ({"deps": [None]}, "deps: `None` is no id"),
        ({"deps": [["1"]]}, "deps: `['1'] (list)` is no id"),
        ({"deps": {"1": 2}}, "deps: `{'1': 2} (dict)` is no id"),
        ({"covers": object()}, "covers: `<object object> (object)` is neither text nor a number"),
        ({"covers": [""]}, "covers: an entry is empty"),
        ({"locks": ["a\nb"]}, r"locks: 'a\nb' holds a control character"),
        ({"requires": ["evn:A"]}, "requires: prerequisite `evn:A` is of no known kind; did you mean `env`?"),
        ({"converage": 85}, "converage: a phase marker has no such argument; did you mean `coverage`?"),
        ({"zz\x1b[31m": 85}, r"zz\x1b[31m: a phase marker has no such argument; known are `name`, `deps`"),
        ({"tests": ["t.py"]}, "tests: a marker places the tests it stands on"),
        ({"deps": [1], "dependencies": [2]}, "dependencies: `deps` and `dependencies` are the same"),
    ],
)
def test_an_argument_that_cannot_be_read_is_a_problem_at_the_marker(kwargs, said):
    """It names the argument, and everything else of the marker still counts."""
    merged, problems = merge(Plan(), [mark(9, **kwargs, reads="src")])
    (problem,) = problems
    assert problem.place == HERE
    assert problem.message.startswith(said)
    assert merged.phases[0].reads == ("src",)


def test_all_problems_of_all_markers_are_told():
    """A bad marker hides neither its other faults nor those of the next."""
    _, problems = merge(Plan(), [mark(1, coverage=0, timeout=0), mark(1.5), mark(2, serial=3)])
    assert [problem.slug for problem in problems] == [
        "bad-threshold",
        "bad-duration",
        "float-id",
        "bad-boolean",
    ]


def test_marker_and_plan_add_up_for_one_phase():
    """Lists are united in order, each entry once, and what is unset is filled."""
    plan = plan_with(phase("1", name="Setup", covers=("a",), locks=("db",)), phase("2"))
    marks = [mark(1, covers=["b", "a"], coverage=80), mark(1, covers="c", timeout="5s", name="Setup")]
    merged, problems = merge(plan, marks)
    assert problems == ()
    assert merged.phases == (
        phase("1", name="Setup", covers=("a", "b", "c"), locks=("db",), coverage=80.0, timeout=5.0),
        phase("2"),
    )


def test_new_phases_come_last_in_the_order_they_first_appear_in():
    """The plan keeps its order, whatever the markers say first."""
    merged, problems = merge(plan_with(phase("1"), phase("2")), [mark("x"), mark(2), mark("a"), mark("x")])
    assert problems == ()
    assert [one.id for one in merged.phases] == ["1", "2", "x", "a"]


def test_a_dependency_in_a_marker_does_not_state_those_of_the_plan():
    """What the plan left unsaid was settled when it was read."""
    merged, _ = merge(plan_with(phase("1"), phase("2", deps=("1",))), [mark(2, deps=["x"])])
    assert (merged.phases[1].deps, merged.phases[1].states_deps) == (("1", "x"), False)


@pytest.mark.parametrize(
    ("field", "in_plan", "in_marker", "said"),
    [
        ("coverage", 85.0, 90, "coverage is 90 here and 85 in plan.md:3"),
        ("serial", True, False, "serial is False here and True in plan.md:3"),
        ("serialize", True, False, "serialize is False here and True in plan.md:3"),
        ("enforce", True, False, "enforce is False here and True in plan.md:3"),
        ("coverage", 85.0, "ratchet", "coverage is 'ratchet' here and 85 in plan.md:3"),
        ("timeout", 60.0, "2m", "timeout is 120 here and 60 in plan.md:3"),
        ("name", "Setup", "Build", "name is 'Build' here and 'Setup' in plan.md:3"),
    ],
)
def test_plan_and_marker_that_say_two_things_contradict_each_other(field, in_plan, in_marker, said):
    """The problem stands at the marker and names the place in the plan, whose value stays."""
    plan = plan_with(phase("1", **{field: in_plan}))
    merged, problems = merge(plan, [mark(1, **{field: in_marker})])
    assert messages(problems) == [f"tests/test_a.py:7: phase 1: {said}; make them one [contradiction]"]
    assert merged == plan


def test_a_number_contradicts_the_ratchet_of_the_plan():
    """A threshold is one or the other; the plan's stays."""
    plan = plan_with(phase("1", ratchet=True))
    merged, problems = merge(plan, [mark(1, coverage=85)])
    assert messages(problems) == [
        "tests/test_a.py:7: phase 1: coverage is 85 here and 'ratchet' in plan.md:3; "
        "make them one [contradiction]"
    ]
    assert merged == plan
    assert merge(plan, [mark(1, coverage="ratchet")]) == (plan, ())


def test_a_contradiction_names_the_line_of_the_key():
    """Where the reader of the plan knows it; so an explicit `serial: false` counts too."""
    plan = plan_with(phase("1", key_places=(("serial", Place("plan.md", 5)),)))
    _, problems = merge(plan, [mark(1, serial=True)])
    assert [problem.message for problem in problems] == [
        "phase 1: serial is True here and False in plan.md:5; make them one"
    ]


@pytest.mark.parametrize(
    ("field", "one", "two"),
    [
        ("coverage", 85, 90),
        ("coverage", "ratchet", 90),
        ("coverage", 85, "ratchet"),
        ("serial", False, True),
        ("serialize", True, False),
        ("enforce", False, True),
        ("name", "a", "b"),
    ],
)
def test_two_markers_that_say_two_things_contradict_each_other(field, one, two):
    """The first one counts, and the problem names its place."""
    _, problems = merge(Plan(), [mark_at(1, 1, **{field: one}), mark_at(2, 1), mark_at(3, 1, **{field: two})])
    (problem,) = problems
    assert (problem.slug, problem.place.line) == ("contradiction", 3)
    assert "in tests/test_a.py:1;" in problem.message


def test_two_markers_that_say_the_same_agree():
    """However they write it."""
    _, problems = merge(Plan(), [mark(1, coverage=85, timeout=60), mark(1, coverage="85%", timeout="1m")])
    assert problems == ()


STREAMED = plan_with(phase("1", streams=(phase("1/A"), phase("1/B"))))


def test_a_marker_may_name_a_stream_of_the_plan():
    """It adds to the stream, whose dependencies name siblings in full."""
    merged, problems = merge(STREAMED, [mark("1/A", deps=["B"], locks="db"), mark(1, locks="disk")])
    assert problems == ()
    assert merged.phases == (
        phase("1", locks=("disk",), streams=(phase("1/A", deps=("1/B",), locks=("db",)), phase("1/B"))),
    )


def test_a_stream_that_no_heading_makes_is_a_problem():
    """With the nearest stream of the plan."""
    merged, problems = merge(STREAMED, [mark("1/C"), mark("2/A")])
    assert messages(problems) == [
        "tests/test_a.py:7: stream `1/C` is not in the plan; did you mean `1/A`? [unknown-stream]",
        "tests/test_a.py:7: stream `2/A` is not in the plan; did you mean `1/A`? [unknown-stream]",
    ]
    assert merged == STREAMED


basic = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
anything = st.recursive(
    basic | st.binary() | st.builds(object) | st.builds(Unreadable),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
keys = st.sampled_from(
    "name deps covers coverage requires serial serialize enforce locks timeout zzz".split()
)


@given(st.lists(anything, max_size=3), st.dictionaries(keys, anything, max_size=4))
def test_any_arguments_pass_the_wire_and_become_a_plan_or_problems(args, kwargs):
    """A marker is the same after a trip as JSON, can be hashed, and never raises."""
    written = PhaseMark.of(args, kwargs, HERE)
    received = PhaseMark.from_data(json.loads(json.dumps(written.to_data())))
    assert received == written
    assert hash(received) == hash(written)
    merged, problems = merge(STREAMED, [received])
    assert all(problem.place == HERE and problem.slug for problem in problems)
    assert merged.phases[0].id == "1"
