"""Which fences select tests and which are scripts."""

from __future__ import annotations

import pytest

from pytest_phases.plan import fences
from pytest_phases.plan.fences import Call


@pytest.mark.parametrize(
    "line",
    [
        "pytest -x",
        "pytest --verbose",
        "pytest a.py && make",
        "pytest a.py | tee log",
        "pytest a.py > log",
        "pytest $TESTS",
        'pytest "$TESTS"',
        "pytest `ls`",
        "pytest a.py \\",
        "CI=1 pytest a.py",
        "pytest {a,b}.py",
        "pytest ~/a.py",
        "pytest a.py; make",
        "pytest a.py &",
        "pytest 'a.py",
        "pytest -k",
        "pytest ''",
        "python -m pytest.foo",
        "py.test a.py",
        "coverage run -m pytest",
        "make",
        "set -e\npytest a.py",
        "pytest-phases show plan.md",
    ],
)
def test_anything_but_a_plain_call_makes_a_script(line: str) -> None:
    """A shell does more with it than hand words to pytest, or pytest is told more than what to select."""
    assert fences.plain_calls(line) is None


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("pytest", Call(0, (), None, None)),
        ("  pytest  a.py\tb.py ", Call(0, ("a.py", "b.py"), None, None)),
        ("python3 -m pytest a#b.py # c", Call(0, ("a#b.py",), None, None)),
        ("pytest -vv -qq 't.py::test[a $b]'", Call(0, ("t.py::test[a $b]",), None, None)),
        ('pytest -k=a -m "x and (y)"', Call(0, (), "a", "x and (y)")),
        ("pytest -k a -k b", Call(0, (), "b", None)),
        ("pytest a~b.py", Call(0, ("a~b.py",), None, None)),
    ],
)
def test_a_plain_call(line: str, call: Call) -> None:
    """The words are those that a shell would hand over."""
    assert fences.plain_calls(line) == (call,)


@pytest.mark.parametrize("script", ["", "# pytest a.py", "\n \n"])
def test_no_call_is_no_selection(script: str) -> None:
    """Comments alone select nothing."""
    assert fences.plain_calls(script) is None


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("make\npytest a.py", 1),
        ("CI=1 pytest", 0),
        ("cd x && python -m pytest", 0),
        ("coverage run -m pytest", 0),
        ("uv run pytest", 0),
        ("import pytest\npytest.main()", 1),
        ("pip install pytest", None),
        ("pytest-phases check plan.md", None),
        ("npm test\n# Or: pytest tests/", None),
        ("echo pytest", None),
    ],
)
def test_where_a_script_calls_pytest(script: str, line: int | None) -> None:
    """Only a call counts, not the word."""
    assert fences.line_of_pytest(script) == line
