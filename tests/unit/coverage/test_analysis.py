"""Figures equal those of coverage.py's own reports, and nothing that cannot be read counts as covered."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import coverage.parser
import pytest
from coverage import Coverage

from pytest_phases.coverage.analysis import ScopeError, Sources, attribute
from pytest_phases.coverage.attribution import Executed

Measure = Callable[..., Any]
Make = Callable[[Mapping[str, str]], Path]
BRANCH = pytest.mark.parametrize("branch", [False, True], ids=["lines", "branches"])
NOTHING = Executed({}, frozenset())


def sources(root: Path, **options: Any) -> Sources:
    """The sources of a project that has no configuration file."""
    return Sources(root, Coverage(data_file=None, config_file=False, **options))


@BRANCH
def test_the_figure_of_everything_is_that_of_coverages_report(branch: bool, measure: Measure) -> None:
    """Omitted and excluded code, pragmas, statements of several lines and modules that nobody imports."""
    run = measure(branch=branch)
    executed = attribute(run.measured, run.measured)
    files = run.sources.files((), executed)
    reached, totals = run.sources.figure(files, executed), run.report["totals"]

    assert set(files) == set(run.report["files"])
    assert reached.percent == totals["percent_covered"]
    assert (reached.statements, reached.missing) == (totals["num_statements"], totals["missing_lines"])
    assert reached.branches == totals.get("num_branches", 0)
    assert reached.missing_branches == totals.get("missing_branches", 0)
    assert 0 < reached.missing < reached.statements


@BRANCH
def test_each_file_alone_has_the_figure_of_coverages_report(branch: bool, measure: Measure) -> None:
    """File by file, but for one that has no statement."""
    run = measure(branch=branch)
    executed = attribute(run.measured, run.measured)

    for file, reported in run.report["files"].items():
        if reported["summary"]["num_statements"]:
            reached = run.sources.figure([file], executed)
            assert reached.percent == reported["summary"]["percent_covered"]


@BRANCH
@pytest.mark.parametrize("own", [["one"], ["two"], ["one", "two"], [""], []], ids="-".join)
def test_a_phase_has_what_it_executed_and_what_anyone_did_outside_of_functions(
    own: list[str], branch: bool, measure: Measure
) -> None:
    """Compared with a count of statements made here, of lines as coverage.py measures them."""
    run = measure(branch=branch)
    files = run.sources.files(["src"])
    reached = run.sources.figure(files, attribute(run.measured, own))
    lines = measure(branch=False)

    assert reached.missing == sum(
        len(_statements(file, run) - _counted(file, own, lines.measured)) for file in files
    )


def _statements(file: str, run: Any) -> set[int]:
    reported = run.report["files"][file]
    return {*reported["executed_lines"], *reported["missing_lines"]}


def _counted(file: str, own: list[str], measured: dict[str, dict[str, set[int]]]) -> set[int]:
    """The first lines of statements that count: outside of functions, whoever ran them."""
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inside = {line for node in functions for line in range(node.body[0].lineno, (node.end_lineno or 0) + 1)}
    simple = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and not hasattr(node, "body")]
    first = {line: node.lineno for node in simple for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    ran = {(context, line) for context, files in measured.items() for line in files.get(file, ())}
    return {first.get(line, line) for context, line in ran if context in own or line not in inside}


ODD = """
import contextlib
def decorate(*args):
    return lambda f: f
@decorate(
    1,
    2,
)
def one(
    a=(
        1
    ),
):
    return [
        a
        for a in range(3)
        if a
    ]
class A(
    object
):
    x = (
        1,
        lambda:
            2,
    )
    def gen(self):
        for i in range(2):
            yield i
    @property
    def p(self): return 1
async def co():
    async with contextlib.AsyncExitStack():
        return 1
def tried(n):
    try:
        return 1 / n
    except ZeroDivisionError:
        pass
    finally:
        n = 2
    with contextlib.suppress(ValueError):
        n = 3
        raise ValueError
    match n:
        case 3:
            n = 4
        case _:
            n = 5
    def inner():
        class B:
            y = 1
        return B
    return inner() if n else None
for i in range(2):
    if i:
        continue
    j = (
        lambda:
            i
    )
with contextlib.suppress(ValueError):
    int("x")
try:
    k = A.x[1]
finally:
    k = 2
if k: one_line = 1
def last(): return (
    k
)
"""
ODD_STEPS = {
    "": "import odd",
    "one": "odd.one(); list(odd.A().gen()); odd.A().p; odd.A.x[1](); odd.last(); odd.j()",
    "two": "odd.tried(0); odd.tried(1)",
    "three": "import asyncio; asyncio.run(odd.co())",
}


@pytest.mark.parametrize("own", [["one"], ["two"], ["three"], ["one", "two", "three"], []], ids="-".join)
def test_branches_and_lines_agree_on_statements(own: list[str], measure: Measure) -> None:
    """Whether a statement counts does not depend on whether branches are measured, in any kind of code."""
    reached = []
    for branch in (False, True):
        run = measure({"src/odd.py": ODD}, ODD_STEPS, branch=branch)
        reached.append(run.sources.figure(run.sources.files(()), attribute(run.measured, own)))

    assert reached[0].missing == reached[1].missing


def test_what_counts_of_functions_is_exactly_what_its_context_ran(measure: Measure) -> None:
    """All code outside of functions is there; of functions what was called, though others run at import."""
    run = measure({"src/odd.py": ODD}, ODD_STEPS)
    missing = {
        own: run.sources.figure(["src/odd.py"], attribute(run.measured, own.split()))
        .least[0]
        .partition("missing ")[2]
        for own in ("", "one", "three")
    }

    assert missing == {
        "": "4, 14, 28-29, 33-34, 36-54",
        "one": "4, 33-34, 36-54",
        "three": "4, 14, 28-29, 36-54",
    }


def test_files_that_lack_most_are_named_with_what_is_missing(make: Make) -> None:
    """Five of them, the one that lacks most first, and none that lacks nothing."""
    names = [f"m{number}.py" for number in range(1, 8)]
    root = make({name: "a = 1\n" * number for number, name in enumerate(names, 1)})
    done = {"": {"m7.py": set(range(1, 8)), "m4.py": {1, 3}}}
    reached = sources(root, messages=False).figure(names, attribute(done, [""]))

    assert reached.least == (
        "m6.py  0 %  missing 1-6",
        "m5.py  0 %  missing 1-5",
        "m3.py  0 %  missing 1-3",
        "m2.py  0 %  missing 1-2",
        "m4.py  50 %  missing 2, 4",
    )


def test_missing_branches_are_named(make: Make) -> None:
    """As coverage.py's report does."""
    root = make({"a.py": "if a:\n    b = 1\nc = 1\n"})
    reached = sources(root, branch=True).figure(
        ["a.py"], attribute({"": {"a.py": {(-1, 1), (1, 2), (2, 3), (3, -1)}}}, [""])
    )

    assert (reached.branches, reached.missing_branches) == (2, 1)
    assert reached.least == ("a.py  80 %  missing 1->3",)


def test_a_long_list_of_missing_lines_is_cut(make: Make) -> None:
    """At a comma."""
    root = make({"a.py": "a = 1\n" * 200})
    (least,) = sources(root).figure(["a.py"], attribute({"": {"a.py": set(range(1, 200, 2))}}, [""])).least

    assert least.endswith(", ...")
    assert len(least) < 130


@BRANCH
def test_a_file_that_nobody_imported_counts_as_nothing(branch: bool, make: Make) -> None:
    """With nothing measured at all, branches are counted if the configuration says so."""
    root = make({"a.py": "if a:\n    b = 1\n"})
    reached = sources(root, branch=branch).figure(["a.py"], NOTHING)

    assert (reached.percent, reached.statements, reached.branches) == (0, 2, 2 * branch)


def test_without_a_statement_there_is_no_figure(make: Make) -> None:
    """It is not 100 per cent."""
    root = make({"a.py": "# nothing\n", "b.py": "if a:  # pragma: no cover\n    b = 1\n"})

    with pytest.raises(ScopeError, match="no statement"):
        sources(root).figure(["a.py", "b.py"], NOTHING)
    with pytest.raises(ScopeError, match="no statement"):
        sources(root).figure([], NOTHING)


@pytest.mark.parametrize(
    "text", ["def f(:\n", "a = 1\n  b = 2\n", "a = '\0'\n", "# coding: unknown\na = 1\n"]
)
@pytest.mark.parametrize("options", [{}, {"branch": True}], ids=["lines", "branches"])
def test_what_is_no_python_has_no_figure(text: str, options: dict[str, bool], make: Make) -> None:
    """The file is named: it neither counts as covered nor is left out, as coverage.py can be told to do."""
    root = make({"good.py": "a = 1\n", "bad.py": text})
    own = sources(root, **options)
    own._cov.config.ignore_errors = True

    with pytest.raises(ScopeError, match=r"^bad\.py cannot be judged: .*omit it"):
        own.figure(["bad.py", "good.py"], attribute({"": {"good.py": {1}}}, [""]))
    assert own.has_statement(["bad.py"])


def test_a_file_that_has_gone_has_no_figure(make: Make) -> None:
    """It was there when the files were listed."""
    root = make({"a.py": "a = 1\n"})
    own = sources(root)
    files = own.files(["a.py"])
    (root / "a.py").unlink()

    with pytest.raises(ScopeError, match=r"^a\.py cannot be judged"):
        own.figure(files, NOTHING)


@BRANCH
def test_a_file_is_parsed_once_for_as_long_as_it_stays_the_same(
    branch: bool, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change is noticed even if size and times of the file are what they were."""
    parsed: list[str] = []
    parse = coverage.parser.PythonParser.parse_source
    monkeypatch.setattr(
        coverage.parser.PythonParser,
        "parse_source",
        lambda self: (parsed.append(os.path.basename(self.filename)), parse(self))[1],  # noqa: PTH119
    )
    root = make({"a.py": "a = 1\n", "b.py": "b = 1\n"})
    own = sources(root, branch=branch)
    first = own.figure(["a.py", "b.py"], NOTHING)

    assert own.figure(["a.py", "b.py"], NOTHING) == first
    assert parsed == ["a.py", "b.py"]

    status = (root / "b.py").stat()
    (root / "b.py").write_text("#b =1\n", encoding="utf-8")
    os.utime(root / "b.py", ns=(status.st_atime_ns, status.st_mtime_ns))
    (root / "a.py").touch()

    assert own.figure(["a.py", "b.py"], NOTHING).statements == 1
    assert parsed == ["a.py", "b.py", "b.py"]


def test_the_precision_is_that_of_the_configuration(make: Make) -> None:
    """It is asked for by whoever judges."""
    root = make({".coveragerc": "[report]\nprecision = 2\n", "a.py": "a = 1\nb = 1\nc = 1\n"})
    own = Sources(root, Coverage(data_file=None))

    assert own.precision == 2
    assert own.figure(["a.py"], attribute({"": {"a.py": {1}}}, [""])).least == ("a.py  33.33 %  missing 2-3",)
