"""Plans in TOML: the same model as Markdown, mistakes with their lines, and there and back again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pytest_phases.errors import Problem
from pytest_phases.model import UNPHASED, Plan
from pytest_phases.plan.markdown import read_markdown
from pytest_phases.plan.toml import read_toml
from pytest_phases.plan.toml_lines import read_lines
from pytest_phases.plan.toml_write import write_toml

SHARED = Path(__file__).parents[4] / "shared" / "plans"

MARKDOWN = r"""
# Everything
enforce: true
## Phase 1: Build \ "it"
dependencies: []
requires: [cmd:make]
timeout: 1h5s

**Objective**: ümlaut
- [ ] one
- [x] two

Build: wheel
cwd: pkg
outputs: [dist]
env: [CC, CFLAGS]
modifies: [dist]
reads: [src]
locks: [cc]
```bash
printf '%s' "a\b"
```
Testing:
needs: [wheel]
~~~python
assert '''x''' == "x"
~~~
## Sync: Built
## Phase 1.10: Test
dependencies: [1]
tests: [tests/a.py, -m "not slow", tests/b -k 'x or y']
covers: [src]
coverage: 99.5
### Stream A: One
modifies: ["a, b"]
reads: [c]
locks: [db]
coverage: Ratchet
serialize: true
enforce: false
Test:
```
pytest "with -k inside.py"
pytest
```
### Stream B: Two
dependencies: [A]
serial: true
enforce: true
modifies: [d]
## Sync: Tested
coverage: 80
## Gate: Out
phases: [1]
coverage: 70
approvals: [me]
allow_empty: [1.10/A, unphased]
approvals_signers: keys/signers
Deploy:
```sh
true
```
"""


def essence(part: object) -> object:
    """What a plan says, without where it says it."""
    if isinstance(part, tuple):
        return tuple(map(essence, part))
    if not dataclasses.is_dataclass(part) or isinstance(part, type):
        return part
    left_out = {"place", "key_places", "notes", "prose", "file"}
    return {
        field.name: essence(getattr(part, field.name))
        for field in dataclasses.fields(part)
        if field.name not in left_out
    }


def problems_of(*lines: str) -> list[tuple[str, int | None]]:
    """Slug and line of everything that is wrong with these lines."""
    return [(problem.slug, line_of(problem)) for problem in read_toml("\n".join(lines), "plan.toml")[1]]


def line_of(problem: Problem) -> int | None:
    """The line of a problem."""
    return problem.place.line if problem.place else None


def sound(plan_and_problems: tuple[Plan, tuple[Problem, ...]]) -> Plan:
    """The plan of a reader that found nothing wrong."""
    plan, problems = plan_and_problems
    assert problems == ()
    return plan


def test_there_and_back_again() -> None:
    """A Markdown plan written as TOML is read as the same plan."""
    plan = sound(read_markdown(MARKDOWN, "plan.md"))
    assert essence(sound(read_toml(write_toml(plan), "plan.toml"))) == essence(plan)


@pytest.mark.parametrize("name", ["parallel-example.md", "streams-example.md"])
def test_plans_that_people_already_have_convert(name: str) -> None:
    """So does a plan that nobody wrote for this."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    plan = sound(read_markdown(path.read_text(encoding="utf-8"), name))
    assert essence(sound(read_toml(write_toml(plan), "plan.toml"))) == essence(plan)


def test_a_toml_plan_by_hand() -> None:
    """Numbers may be ids, `deps` is `dependencies`, and tables may be written in any order."""
    plan = sound(
        read_toml(
            """
            enforce = true
            [gate]
            coverage = 85
            [[gate.stage]]
            run = "./deploy.sh"

            [[sync]]
            name = "S"
            after = 1

            [[phase]]
            id = 1
            deps = []
            timeout = 90
            coverage = 1e1
            serial = true
            tests = "tests/a.py"

            [[phase]]
            id = "two"
            dependencies = [1]
            [[phase.stage]]
            crew = "Tests"
            run = '''
# only plain calls
pytest x.py
'''
            """,
            "plan.toml",
        )
    )
    one, two = plan.phases
    assert (one.id, one.timeout, one.coverage, one.serial, one.states_deps) == ("1", 90, 10, True, True)
    assert [str(selector) for selector in (*one.tests, *two.tests)] == ["tests/a.py", "x.py"]
    assert two.tests[0].place.line == 27
    assert plan.enforce
    assert [sync.above for sync in plan.syncs] == [("1",)]
    assert plan.gate is not None
    assert [stage.id for stage in plan.gate.stages] == ["deploy"]


PHASE = ["[[phase]]", 'id = "1"']


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("true", ("1", UNPHASED)),
        ("false", ()),
        ("[]", ()),
        ('"Phase 1"', ("1",)),
        ('[1, "unphased"]', ("1", UNPHASED)),
    ],
)
def test_allow_empty_is_a_word_or_a_list(value: str, ids: tuple[str, ...]) -> None:
    """It may be `true`, `false`, an id or several."""
    text = "\n".join([*PHASE, "[gate]", f"allow_empty = {value}"])
    plan = sound(read_toml(text, "plan.toml"))
    assert plan.gate is not None
    assert plan.gate.allow_empty == ids
    again = sound(read_toml(write_toml(plan), "plan.toml"))
    assert essence(again.gate) == essence(plan.gate)


@pytest.mark.parametrize(
    ("lines", "slug", "line"),
    [
        (["[[phase]]", "x = "], "bad-toml", 2),
        (["[[phase]]", 'x = "'], "bad-toml", 2),
        (["x = " + "[" * 20_000], "bad-toml", 1),
        ([*PHASE, "[phases]"], "unknown-key", 3),
        ([*PHASE, 'dependancies = ["1"]'], "unknown-key", 3),
        ([*PHASE, "[[phase.stage]]", 'crew = "build"', 'run = "x"', 'need = ["1"]'], "unknown-key", 6),
        ([*PHASE, "[[phase.stage]]", 'run = "x"'], "bad-crew", 3),
        ([*PHASE, "[[phase.stage]]", 'crew = "bild"', 'run = "x"'], "bad-crew", 4),
        ([*PHASE, "[[phase.stage]]", 'crew = "build"'], "empty-stage", 3),
        (
            [*PHASE, "[[phase.stage]]", 'crew = "build"', 'run = "x"', 'language = "ruby"'],
            "unknown-language",
            6,
        ),
        ([*PHASE, "[[phase.stage]]", 'crew = "build"', r'run = "a\u0000"'], "bad-value", 5),
        ([*PHASE, "[[phase.stage]]", 'crew = "deploy"', 'run = "x"'], "misplaced-label", 3),
        ([*PHASE, "[phase.stage]", 'crew = "build"'], "bad-table", 3),
        ([*PHASE, "dependencies = [1.10]"], "bad-value", 3),
        ([*PHASE, "tests = [{}]"], "bad-value", 3),
        ([*PHASE, "name = 3"], "bad-value", 3),
        ([*PHASE, "coverage = 101"], "bad-threshold", 3),
        ([*PHASE, "coverage = nan"], "bad-threshold", 3),
        ([*PHASE, 'coverage = ["ratchet", "ratchet"]'], "not-one-value", 3),
        ([*PHASE, "[[sync]]", 'after = "1"', 'coverage = "ratchet"'], "bad-threshold", 5),
        ([*PHASE, "[gate]", 'coverage = "ratchet"'], "bad-threshold", 4),
        ([*PHASE, "enforce = 1"], "bad-boolean", 3),
        ([*PHASE, 'serialize = "no"'], "bad-boolean", 3),
        (["enforce = 1", *PHASE], "bad-boolean", 1),
        (["enforced = true", *PHASE], "unknown-key", 1),
        (["serialize = true", *PHASE], "unknown-key", 1),
        ([*PHASE, "[[sync]]", 'after = "1"', "enforce = true"], "unknown-key", 5),
        (
            [*PHASE, "[[phase.stage]]", 'crew = "build"', 'run = "x"', 'env = ["A", "B=1"]'],
            "bad-variable",
            6,
        ),
        ([*PHASE, f"timeout = 0x{'f' * 9000}"], "bad-value", 3),
        ([*PHASE, 'locks = ["", "a"]'], "empty-entry", 3),
        ([*PHASE, "deps = []", "dependencies = []"], "duplicate-key", 4),
        (["[[phase]]", "id = 1.10"], "bad-id", 2),
        (["[[phase]]", 'id = "a b"'], "bad-id", 2),
        (["[[phase]]", 'name = "x"'], "bad-id", 1),
        ([*PHASE, "[[sync]]", 'name = "s"'], "no-after", 3),
        ([*PHASE, "[[sync]]", 'after = "2"'], "unknown-phase", 4),
        ([*PHASE, "[[gate]]"], "bad-table", 3),
        ([*PHASE, "[gate]", "allow_empty = [1.10]"], "bad-value", 4),
        ([*PHASE, "[gate]", 'approvals = [""]'], "empty-entry", 4),
        ([*PHASE, "[gate]", 'approvals_signers = ["a", "b"]'], "not-one-value", 4),
        (["title = 'x'"], "no-phase", 1),
    ],
)
def test_a_mistake_has_a_slug_and_a_line(lines: list[str], slug: str, line: int) -> None:
    """The parser gives no lines for values, and messages have them all the same."""
    assert problems_of(*lines) == [(slug, line)]


def test_lines_are_found_behind_strings_and_arrays() -> None:
    """What looks like a header or a key inside a value is none."""
    text = "\n".join(
        [
            'a = """',
            "[[phase]]",
            'id = \\"""" # """',
            "b = [ # [",
            '  "]", [1],',
            "  'x', ]",
            "[[phase]]",
            "run = '''it's",
            "[x]'''",
            '"quoted" = {c = 1} # = {',
            "d.e = 2",
            "[[phase.stage]]",
            "[[phase]]",
            "[[phase.stage]]",
            "x = 1",
        ]
    )
    assert read_lines(text).known == {
        ("a",): 1,
        ("b",): 4,
        ("phase",): 7,
        ("phase", 0): 7,
        ("phase", 0, "run"): 8,
        ("phase", 0, "quoted"): 10,
        ("phase", 0, "d", "e"): 11,
        ("phase", 0, "stage"): 12,
        ("phase", 0, "stage", 0): 12,
        ("phase", 1): 13,
        ("phase", 1, "stage"): 14,
        ("phase", 1, "stage", 0): 14,
        ("phase", 1, "stage", 0, "x"): 15,
    }


def test_a_value_without_a_line_has_that_of_its_table() -> None:
    """An inline table has no lines of its own inside."""
    lines = read_lines('\n[[phase]]\nid = "1"\nstage = [{crew = "x"}]')
    assert lines.find("phase", 0, "stage", 0, "crew") == 4
    assert lines.find("gate") == 1


def test_no_text_steers_the_terminal() -> None:
    """`show --toml` prints what anyone may have written."""
    plan = sound(
        read_markdown(
            "## Phase 1: \x9b2J\nBuild: \u202e\n```\na \x1b\n```\nBuild: b\n```\na\n'\x7f\n```", "p"
        )
    )
    written = write_toml(plan)
    assert not {"\x9b", "\u202e", "\x1b", "\x7f"} & set(written)
    assert essence(sound(read_toml(written, "p"))) == essence(plan)
