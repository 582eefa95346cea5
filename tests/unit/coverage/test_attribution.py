"""Which lines lie outside of function bodies, and whose execution of a line counts for whom."""

from __future__ import annotations

from textwrap import dedent

import pytest

from pytest_phases.coverage.attribution import Executed, attribute, module_level

# Lines that lie outside of function bodies end in a comment `#o`.
SOURCES = {
    "a function's head and its body": """
        X = 1  #o
        def f():  #o
            'docstring'
            a = 1
            return (
                a
            )
        Y = 2  #o
    """,
    "decorators, defaults and annotations over several lines": """
        @decorate(  #o
            1,  #o
        )  #o
        @other  #o
        def f(  #o
            a=1,  #o
            b: int = (  #o
                2  #o
            ),  #o
        ) -> int:  #o
            return a
    """,
    "a body on the line of its head": """
        def f(): return 1  #o
        def g(a,  #o
              b): return a  #o
        async def h(): pass  #o
    """,
    "a class and its methods": """
        @decorate  #o
        class A:  #o
            'docstring'  #o
            x = 1  #o
            if x:  #o
                y = 2  #o
            def f(self):  #o
                return 1
            async def g(self):  #o
                async with a:
                    await b
            z = 3  #o
    """,
    "everything in a function is inside, classes too": """
        def f():  #o
            @decorate
            class A:
                x = 1
                def g(self): return 1
            def h():
                return 1
            return h
    """,
    "a body that begins with a decorated function": """
        def f():  #o
            @decorate(
                1
            )
            def g():
                pass
            return g
    """,
    "lambdas below their first line": """
        f = lambda x: x  #o
        g = call(  #o
            lambda x:  #o
                x +
                1,
            2,  #o
        )  #o
        def h(a=lambda:  #o
                1
              ):  #o
            pass
    """,
    "blocks and comprehensions of the module": """
        if TYPE_CHECKING:  #o
            import a  #o
        try:  #o
            import b  #o
        except ImportError:  #o
            b = None  #o
        finally:  #o
            c = [  #o
                i for i in range(3)  #o
            ]  #o
        match c:  #o
            case [a]:  #o
                d = 1  #o
            case _:  #o
                d = 2  #o
    """,
    "letters of several bytes": """
        def ä(): ö = 'ü'; return ö  #o
        def ß():  #o
            return 'ü'
    """,
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_lines_outside_of_function_bodies(source: str) -> None:
    """Those that say so; the empty line at the end is one of them."""
    text = dedent(source).lstrip()
    lines = text.split("\n")
    outside = {number for number, line in enumerate(lines, 1) if line.endswith("#o") or not line}

    assert module_level(text) == outside


def test_what_is_no_python_has_no_lines() -> None:
    """The parser's own error says where."""
    with pytest.raises(SyntaxError):
        module_level("def f(:\n")


LINES = {"": {"a.py": {1, 2}}, "one": {"a.py": {3}, "b.py": {1}}, "two": {"a.py": {4}}}
ARCS = {"": {"a.py": {(-1, 1), (1, 2), (2, -1)}}, "one": {"a.py": {(-2, 3), (3, 4), (4, -2)}}}


@pytest.mark.parametrize(
    ("own", "counted"),
    [({"one"}, {1, 2, 3}), ({"two"}, {1, 2, 4}), ({"one", "two"}, {1, 2, 3, 4}), (set(), {1, 2})],
)
def test_lines_of_others_count_outside_of_functions(own: set[str], counted: set[int]) -> None:
    """Inside of them only the contexts that count do."""
    assert attribute(LINES, own).in_file("a.py", {1, 2}) == counted


@pytest.mark.parametrize(
    ("own", "counted"),
    [
        ({"one"}, {*ARCS[""]["a.py"], *ARCS["one"]["a.py"]}),
        ({""}, ARCS[""]["a.py"]),
        ({"three"}, ARCS[""]["a.py"]),
    ],
)
def test_arcs_of_others_count_between_such_lines(own: set[str], counted: set[tuple[int, int]]) -> None:
    """The way in and the way out count with the line at the other end."""
    assert attribute(ARCS, own).in_file("a.py", {1, 2}) == counted


def test_an_arc_into_a_function_is_not_anyones() -> None:
    """Both of its ends must be outside."""
    assert attribute({"": {"a.py": {(1, 3), (3, 1), (1, 2)}}}, {"one"}).in_file("a.py", {1, 2}) == {(1, 2)}


def test_whether_branches_were_measured_is_seen_from_the_data() -> None:
    """Where nothing was measured it cannot be told."""
    assert Executed(LINES, frozenset()).has_arcs is False
    assert Executed({"": {"a.py": set()}, **ARCS}, frozenset()).has_arcs is True
    assert Executed({"": {"a.py": set()}}, frozenset()).has_arcs is None
    assert Executed(LINES, frozenset()).files == {"a.py", "b.py"}
