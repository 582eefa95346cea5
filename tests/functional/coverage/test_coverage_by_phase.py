"""Each phase is judged by what its own tests execute, whoever runs them and in whatever order."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from textwrap import dedent

import pytest
from coverage import Coverage, CoverageData

# Statements of every kind that may be executed at import, and functions that tests execute.
MODULE = """
    import sys
    from pkg.common import traced

    LIMIT = 3
    if sys.version_info > (3, 0):
        MODE = "new"
    else:
        MODE = "old"
    SQUARES = [number * number for number in range(LIMIT)]

    @traced
    def sign(number):
        if number > 0:
            return 1
        if number < 0:
            return -1
        return 0

    class Counter:
        start = 0
        for step in range(2):
            start += step

        def __init__(self, count=LIMIT):
            self.count = count

        def up(self):
            self.count += 1
            return self

        def down(self):
            if self.count:
                self.count -= 1
            return self

    def numbers(top):
        for number in range(top):
            yield number

    def rare():
        try:
            return 1 / 0
        except ZeroDivisionError:
            return None
        finally:
            numbers(0)
"""

FILES = {
    "pkg/__init__.py": "",
    # Loaded by the conftest, long before any phase.
    "pkg/common.py": """
        WRAPPED = []

        def traced(function):
            WRAPPED.append(function.__name__)
            return function

        def helper(flag):
            if flag:
                return "yes"
            return "no"
        """,
    **{f"pkg/{name}.py": MODULE for name in ("alpha", "beta", "gamma", "delta")},
    # Imported inside of tests of two phases: whoever comes first executes what is not in the function.
    "pkg/lazy.py": """
        FIRST = 1
        SECOND = 2

        def third():
            return FIRST + SECOND
        """,
    "pkg/forgotten.py": "NEVER = 1\nIMPORTED = 2\n",
    "conftest.py": """
        import pytest
        import pkg.common

        @pytest.fixture(scope="session")
        def server():
            from pkg import alpha
            return alpha.Counter(0).down()

        @pytest.fixture(scope="module", params=[0, 2])
        def top(request):
            from pkg import beta
            yield list(beta.numbers(request.param))
            beta.sign(request.param)
        """,
    "test_alpha.py": """
        import pytest
        from pkg import alpha, beta, common, delta, gamma

        @pytest.fixture(scope="class")
        def counter():
            yield alpha.Counter().up()
            alpha.rare()

        class TestCounter:
            def test_up(self, counter): assert counter.count == 4
            def test_again(self, counter): assert counter.count == 4

        @pytest.mark.parametrize("number", [1, -1, 0])
        def test_sign(number): assert alpha.sign(number) == number

        def test_numbers(): assert list(alpha.numbers(2)) == [0, 1]
        def test_server(server): assert server.count == 0
        def test_others():
            # The total is high by this, and it counts for nobody who is answerable for these.
            for module in (beta, gamma, delta):
                module.Counter().up().down()
                list(module.numbers(1))
                assert [module.sign(number) for number in (1, 0, -1)] == [1, 0, -1]
                module.rare()
        """,
    "test_beta.py": """
        import unittest
        from pkg import beta

        def setup_module(): beta.Counter().up()
        def test_top(top): assert top == list(range(len(top)))
        def test_top_again(top): assert top is not None

        class TestClass:
            @classmethod
            def setup_class(cls): cls.counter = beta.Counter(0)
            def test_count(self): assert self.counter.count == 0
            @classmethod
            def teardown_class(cls): cls.counter.down()
        """,
    # Tests of two phases in one file, with a fixture that both use.
    "test_both.py": """
        import pytest
        from pkg import common, gamma

        @pytest.fixture(scope="module")
        def wide():
            yield gamma.Counter().up()
            gamma.rare()

        @pytest.mark.phase(3)
        def test_third(wide):
            from pkg import lazy
            assert lazy.third() == 3

        @pytest.mark.phase(4)
        def test_fourth(wide):
            from pkg import lazy
            assert lazy.FIRST == 1
            common.helper(False)

        @pytest.mark.phase(3)
        def test_third_again(wide, server): assert gamma.sign(1) == 1
        """,
    "test_delta.py": """
        import unittest
        from pkg import delta

        def setUpModule(): delta.Counter().up()
        def tearDownModule(): delta.sign(0)

        class Case(unittest.TestCase):
            @classmethod
            def setUpClass(cls): cls.counter = delta.Counter(0)
            @classmethod
            def tearDownClass(cls): cls.counter.down()
            def setUp(self): list(delta.numbers(0))
            def test_count(self): self.assertEqual(self.counter.count, 0)
            def test_rare(self): self.assertIsNone(delta.rare())
        """,
}

TESTS = {
    "1": ["test_alpha.py"],
    "2": ["test_beta.py"],
    "3": ["test_both.py::test_third", "test_both.py::test_third_again"],
    "4": ["test_both.py::test_fourth", "test_delta.py"],
}
COVERS = {
    "1": ["pkg/alpha.py"],
    "2": ["pkg/beta.py", "pkg/common.py"],
    "3": ["pkg/gamma.py", "pkg/lazy.py"],
    "4": ["pkg/delta.py", "pkg/lazy.py", "pkg/forgotten.py"],
}
UNDER_COVERED = {"3", "4"}

PLAN = """
### Phase 1: Alpha
dependencies: []
tests: [test_alpha.py]
covers: [pkg/alpha.py]
coverage: 85
### Phase 2: Beta
dependencies: [1]
tests: [test_beta.py]
covers: [pkg/beta.py, pkg/common.py]
coverage: 70
### Phase 3: Gamma
dependencies: []
covers: [pkg/gamma.py, pkg/lazy.py]
coverage: 85
### Phase 4: Delta
dependencies: [2]
tests: [test_delta.py]
covers: [pkg/delta.py, pkg/lazy.py, pkg/forgotten.py]
coverage: 85
"""

SETTINGS = {"statements": "[run]\nsource = pkg\n", "branches": "[run]\nsource = pkg\nbranch = true\n"}


def write(folder: Path) -> None:
    """Write the project."""
    for name, text in FILES.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
    (folder / "plan.md").write_text(PLAN, encoding="utf-8")


# The independent computation ------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, CoverageData]]:
    """The project, and what the tests of each phase execute in a plain process of their own."""
    folder = tmp_path_factory.mktemp("alone")
    write(folder)
    (folder / ".coveragerc").write_text(SETTINGS["branches"], encoding="utf-8")
    for phase, tests in TESTS.items():
        command = [sys.executable, "-m", "coverage", "run", "--data-file", f"data.{phase}", "-m", "pytest"]
        quiet = ["-q", "-p", "no:phases", "-p", "no:hypothesispytest", "-p", "no:randomly"]
        subprocess.run([*command, *quiet, *tests], cwd=folder, check=True, capture_output=True, timeout=60)
    data = {phase: CoverageData(basename=str(folder / f"data.{phase}")) for phase in TESTS}
    for each in data.values():
        each.read()
    return folder, data


def lines_of_functions(file: Path) -> set[int]:
    """The lines of all function bodies; none of these functions is written on one line."""
    return {
        line
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        for line in range(node.body[0].lineno, (node.end_lineno or 0) + 1)
    }


def expected(mode: str, folder: Path, data: dict[str, CoverageData]) -> dict[str, float]:
    """The per cent of each phase: its own process, and of the others what lies outside of functions."""
    return {phase: percent(mode, folder, data[phase], data.values(), COVERS[phase]) for phase in TESTS}


def percent(
    mode: str, folder: Path, own: CoverageData, others: Iterable[CoverageData], covers: Iterable[str]
) -> float:
    """What coverage.py itself reports of the files, given what counts for one phase."""
    merged = CoverageData(basename=str(folder / "merged"))
    merged.erase()
    for name in covers:
        file = folder / name
        inside = lines_of_functions(file)
        arcs = set(own.arcs(str(file)) or ())
        for other in others:
            arcs |= {arc for arc in other.arcs(str(file)) or () if not inside.intersection(arc)}
        if mode == "branches":
            merged.add_arcs({str(file): arcs})
        else:
            merged.add_lines({str(file): {line for arc in arcs for line in arc if line > 0}})
    merged.close()
    settings = folder / f"{mode}.ini"
    settings.write_text("[run]\nbranch = true\n" if mode == "branches" else "[run]\n", encoding="utf-8")
    cov = Coverage(data_file=str(folder / "merged"), config_file=str(settings))
    cov.load()
    report = folder / "report.json"
    cov.json_report(morfs=[str(folder / name) for name in covers], outfile=str(report))
    cov.get_data().close()
    return round(json.loads(report.read_text(encoding="utf-8"))["totals"]["percent_covered"], 2)


WAYS = [
    pytest.param("statements", ["-n0"], id="statements, n0"),
    pytest.param("statements", ["-n2", "--phases-schedule=flow"], id="statements, n2, flow"),
    pytest.param("statements", ["-n4"], id="statements, n4"),
    pytest.param("branches", ["-n0"], id="branches, n0"),
    pytest.param("branches", ["-n0", "--phases-schedule=flow"], id="branches, n0, flow"),
    pytest.param("branches", ["-n2"], id="branches, n2"),
    pytest.param("branches", ["-n4", "--phases-schedule=flow"], id="branches, n4, flow"),
]


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """Four phases of which each covers a module, and two test it badly."""
    write(pytester.path)
    return pytester


@pytest.mark.parametrize(("mode", "way"), WAYS)
def test_two_of_four_phases_are_red_by_their_own_tests(mode, way, project, run, alone, reached, states):
    """Exactly those that test their code badly, with the figures of an independent computation."""
    (project.path / ".coveragerc").write_text(SETTINGS[mode], encoding="utf-8")

    result = run("--phases=plan.md", *way)

    assert reached() == expected(mode, *alone)
    assert {name for name, state in states().items() if state == "red"} == UNDER_COVERED
    assert result.ret == 1
    assert "failed" not in result.parseoutcomes()


def test_the_total_of_all_is_high(project, run, reached):
    """What two phases lack is executed by tests of others."""
    (project.path / ".coveragerc").write_text(SETTINGS["statements"], encoding="utf-8")
    (project.path / "pkg/forgotten.py").unlink()
    with (project.path / "plan.md").open("a", encoding="utf-8") as plan:
        plan.write("### Sync: All\ncoverage: 90\n")
    text = (project.path / "plan.md").read_text(encoding="utf-8").replace(", pkg/forgotten.py", "")
    (project.path / "plan.md").write_text(text, encoding="utf-8")

    run("--phases=plan.md", "-n2")

    (total,) = (figure for name, figure in reached().items() if name not in TESTS)
    assert total > 90


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python has sys.monitoring from 3.12 on")
@pytest.mark.parametrize("way", [["-n0"], ["-n2"]], ids=["n0", "n2"])
@pytest.mark.parametrize("mode", SETTINGS)
def test_the_sysmon_core_changes_no_figure(mode, way, project, run, alone, reached, monkeypatch):
    """It would count a line for the first phase alone that executes it, so another core measures."""
    (project.path / ".coveragerc").write_text(SETTINGS[mode], encoding="utf-8")
    monkeypatch.setenv("COVERAGE_CORE", "sysmon")

    run("--phases=plan.md", *way)

    assert reached() == expected(mode, *alone)
