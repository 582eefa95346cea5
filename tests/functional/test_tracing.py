"""Tracing: on which files of the project the outcome of a phase is seen to depend."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# The phase of a test stands in its name: `test_1_...` is of phase 1. A test without one is of no phase.
TRACER = """
import json, re
from dataclasses import asdict
import pytest
from pytest_phases.watching.trace import Tracing, begin

def phase_of(item):
    found = re.match(r"test_(\\d)_", item.name)
    return found[1] if found else None

def hand_over(trace):
    with open({file!r}, "a") as file:
        file.write(json.dumps(asdict(trace)) + "\\n")

@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config):
    begin(early_config)

def pytest_configure(config):
    options = dict(is_stage=lambda item: "stage" in item.name, **{options!r})
    if hasattr(config, "workerinput") or not config.option.numprocesses:
        config.pluginmanager.register(Tracing(config, phase_of, hand_over, **options), "tracing")
"""

needs_monitoring = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="what is executed is told from Python 3.12 on"
)

ALONE = [f"-pno:{name}" for name in ("phases", "randomly", "cacheprovider", "hypothesispytest")]
"""Nothing but tracing, and what pytest has of its own."""

Traces = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def traced(pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Traces:
    """Make a project of files, run its tests, and give what was handed over for each phase, merged."""

    def run(
        files: dict[str, str], *args: str, raw: bool = False, passed: int | None = None, **options: Any
    ) -> Any:
        handed = tmp_path / "traces"
        (tmp_path / "tracer.py").write_text(TRACER.format(file=str(handed), options=options))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        pytester.makeini("[pytest]\npythonpath = .\n")
        for name, text in files.items():
            path = pytester.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        # Workers take the path of the process as it was at its start.
        start = pytester.runpytest_subprocess if "-n2" in args else pytester.runpytest
        result = start("-p", "tracer", *ALONE, *args)
        if passed is not None:
            result.assert_outcomes(passed=passed)
        traces = [json.loads(line) for line in handed.read_text().splitlines()]
        return traces if raw else _merged(traces)

    return run


def _merged(traces: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    merged: dict[str, dict[str, Any]] = {}
    for trace in traces:
        phase = merged.setdefault(trace["phase"], {"unknown": ""})
        for key in ("executed", "early", "opened"):
            phase[key] = phase.get(key, set()) | set(trace[key])
        phase["unknown"] = trace["unknown"]
    return merged


ONE_AND_TWO = {
    "src/one.py": "def value():\n    return 1\n",
    "src/two.py": "def value():\n    return 2\n",
    "test_a.py": """
from src import one, two

def test_1_a():
    assert one.value() == 1

def test_2_a():
    assert two.value() == 2
""",
}


@needs_monitoring
@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_phase_depends_on_what_its_tests_execute(traced: Traces, workers: str) -> None:
    """A file counts for the phase whose tests start its functions, on workers and in one process."""
    found = traced(ONE_AND_TWO, workers, passed=2)
    assert found["1"]["executed"] == {"src/one.py", "test_a.py"}
    assert found["2"]["executed"] == {"src/two.py", "test_a.py"}
    assert found["1"]["unknown"] == found["2"]["unknown"] == ""


@needs_monitoring
def test_a_function_of_two_phases_counts_for_both(traced: Traces) -> None:
    """Phases that take turns on a worker each have all that they execute, also what the other had before."""
    files = {
        "src/common.py": "def value(x):\n    return x\n",
        "test_a.py": """
import pytest
from src.common import value

@pytest.mark.parametrize("n", range(3))
class TestTurns:
    def test_1_a(self, n):
        pass
    def test_2_a(self, n):
        assert n < 2 or value(n)
    def test_3_a(self, n):
        value(n)
""",
    }
    found = traced(files, "-n0", passed=9)
    with_common = {phase for phase, trace in found.items() if "src/common.py" in trace["executed"]}
    assert with_common == {"2", "3"}


def test_what_was_told_is_not_told_again(traced: Traces) -> None:
    """A phase is handed over each time its worker leaves it, with what is new since the last time."""
    files = {
        "data.txt": "",
        "test_a.py": """
def test_1_a(): open("data.txt").close()
def test_2_a(): pass
def test_1_b(): open("data.txt").close()
""",
    }
    traces = traced(files, "-n0", raw=True, passed=3)
    assert [(trace["phase"], trace["opened"]) for trace in traces] == [
        ("1", ["data.txt"]),
        ("2", []),
        ("1", []),
    ]


@needs_monitoring
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("import src.late\n    src.late.X", {"src/late.py"}),
        ("list(src.gen.numbers())", {"src/gen.py"}),
        ("import asyncio; asyncio.run(src.gen.coroutine())", {"src/gen.py"}),
        ("import threading; t = threading.Thread(target=src.gen.f); t.start(); t.join()", {"src/gen.py"}),
        ("exec(compile('1', 'src/late.py', 'exec'))", {"src/late.py"}),
        ("assert src.gen.Point(1).x == 1; src.gen.lam()", {"src/gen.py"}),
        ("pass", set()),
    ],
    ids="lazy-import generator coroutine thread compiled lambda nothing".split(),
)
def test_every_way_of_executing_counts(traced: Traces, body: str, expected: set[str]) -> None:
    """Imports inside of a test, generators, coroutines, threads and compiled code count as functions do."""
    files = {
        "src/late.py": "X = 1\n",
        "src/gen.py": """
import dataclasses
@dataclasses.dataclass
class Point:
    x: int
def f(): pass
def numbers(): yield 1
async def coroutine(): pass
lam = lambda: 1
""",
        "test_a.py": f"import src.gen\n\ndef test_1_a():\n    {body}\n",
    }
    assert traced(files, "-n0", passed=1)["1"]["executed"] - {"test_a.py"} == expected


@needs_monitoring
def test_a_generator_counts_where_it_is_resumed(traced: Traces) -> None:
    """A generator that one phase has started is executed by the one that goes on with it."""
    files = {
        "src/gen.py": "def numbers():\n    yield 1\n    yield 2\n",
        "test_a.py": """
from src.gen import numbers
RUNNING = []
def test_1_a():
    RUNNING.append(numbers())
    next(RUNNING[0])
def test_2_a():
    next(RUNNING[0])
""",
    }
    assert "src/gen.py" in traced(files, "-n0", passed=2)["2"]["executed"]


@needs_monitoring
def test_a_module_found_by_name_counts_for_what_comes_after(traced: Traces) -> None:
    """No import statement leads to it and later phases find it loaded, so it counts for them too."""
    files = {
        "src/plugin.py": "X = 1\n",
        "src/lazy.py": "X = 1\n",
        "test_a.py": """
import importlib
def test_1_a(): pass
def test_2_a():
    assert importlib.import_module("src.plugin").X == 1
    import src.lazy
def test_3_a():
    assert importlib.import_module("src.plugin").X == 1
""",
    }
    found = traced(files, "-n0", passed=3)
    assert [found[phase]["executed"] - {"test_a.py"} for phase in "123"] == [
        set(),
        {"src/plugin.py", "src/lazy.py"},
        {"src/plugin.py"},
    ]


@needs_monitoring
def test_early_is_what_runs_before_any_phase(traced: Traces) -> None:
    """Functions that run while tests are collected count as early for every phase; mere bodies do not."""
    files = {
        "conftest.py": "import src.base\nsrc.base.VALUE\n",
        "src/base.py": "VALUE = [x for x in range(3)]\nclass A:\n    y = sum(x for x in VALUE)\n",
        "src/decorators.py": "def same(function):\n    return function\n",
        "src/registered.py": "X = 1\n",
        "src/hooks.py": "def order(items):\n    pass\n",
        "sub/conftest.py": """
import importlib
import src.hooks
importlib.import_module("src.registered")
def pytest_collection_modifyitems(items):
    src.hooks.order(items)
""",
        "sub/test_a.py": """
from src.decorators import same
@same
def test_1_a(): pass
def test_2_a(): pass
""",
    }
    found = traced(files, "-n0", passed=2)
    assert found["1"]["early"] == {
        "src/decorators.py",
        "src/registered.py",
        "src/hooks.py",
        "sub/conftest.py",
    }
    assert found["2"]["early"] == found["1"]["early"]


@needs_monitoring
def test_wide_fixtures_count_while_they_are_set_up(traced: Traces) -> None:
    """What sets up a fixture counts for every phase until its teardown, and for none after."""
    files = {
        "src/session.py": "def make():\n    open('session.txt').close()\n",
        "src/module.py": "def make():\n    pass\n",
        "session.txt": "",
        "conftest.py": """
import pytest, src.session, src.module
@pytest.fixture(scope="session")
def session():
    src.session.make()
@pytest.fixture(scope="module")
def module():
    src.module.make()
""",
        "test_a.py": """
import src.session, src.module
def test_1_a():
    src.module.make()
def test_1_b(session, module): pass
def test_2_a(): pass
""",
        "test_b.py": "def test_3_a(): pass\n",
    }
    found = traced(files, "-n0", passed=4)
    used = {"src/session.py", "src/module.py"}
    assert {phase: found[phase]["executed"] & used for phase in found} == {
        "1": used,
        "2": used,
        "3": {"src/session.py"},
    }
    assert all(found[phase]["opened"] == {"session.txt"} for phase in found)


@needs_monitoring
def test_the_teardown_of_the_session_counts_for_the_last_phase(traced: Traces) -> None:
    """Its failure would be that of the last item, so what it executes is told for the phase of that one."""
    files = {
        "src/end.py": "def clean():\n    pass\n",
        "conftest.py": """
import pytest, src.end
@pytest.fixture(scope="session")
def server():
    yield
    src.end.clean()
""",
        "test_a.py": "def test_1_a(server): pass\ndef test_of_no_phase(): pass\n",
    }
    traces = traced(files, "-n0", raw=True, passed=2)
    assert [trace["executed"] for trace in traces] == [["conftest.py", "test_a.py"], ["src/end.py"]]


DATA = {"data/a.txt": "", "data/b.txt": "", "conftest.py": ""}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("open('data/a.txt').close()", {"data/a.txt"}),
        ("open(b'data/a.txt').close()", {"data/a.txt"}),
        ("Path('data', '..', 'data', 'a.txt').read_text()", {"data/a.txt"}),
        ("os.close(os.open('data/a.txt', os.O_RDONLY))", {"data/a.txt"}),
        ("os.chdir('data'); open('a.txt').close(); os.chdir('..')", {"data/a.txt"}),
        ("open('data/a.txt', 'r+').close()", {"data/a.txt"}),
        ("shutil.copy('data/a.txt', tmp_path)", {"data/a.txt"}),
        (
            "(tmp_path / 'x').symlink_to(Path.cwd() / 'data'); (tmp_path / 'x/a.txt').read_text()",
            {"data/a.txt"},
        ),
        ("Path('new.txt').write_text(''); Path('new.txt').read_text()", set()),
        ("Path('n').write_text(''); os.replace('n', 'm'); Path('m').read_text()", set()),
        ("os.replace('data/a.txt', 'm'); Path('m').read_text()", {"data/a.txt"}),
        ("open('data/a.txt', 'a').close()", set()),
        ("open('data/a.txt', 'a').close(); open('data/a.txt').close()", {"data/a.txt"}),
        ("(tmp_path / 'x').write_text(''); (tmp_path / 'x').read_text()", set()),
        ("sqlite3.connect('data/a.txt').close()", {"data/a.txt"}),
        ("sqlite3.connect('file:data/a.txt?mode=ro', uri=True).close()", {"data/a.txt"}),
        ("sqlite3.connect('new.db').close(); Path('new.db').read_bytes()", set()),
        ("pkgutil.get_data('src', 'x.py')", {"src/x.py"}),
        ("import src.x", set()),
        ("Path('test_a.py').read_text()", set()),
        (
            "Path('.phases').mkdir(); Path('.phases/x').touch(); open('.phases/x').close()",
            set(),
        ),
        ("os.close(os.open('data', os.O_RDONLY))", set()),
        ("os.dup(0); open(os.dup(1), 'w').close()", set()),
        ("pytest.raises(FileNotFoundError, open, 'missing.txt')", {"missing.txt"}),
        ("os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); pytest.raises(OSError, open, 'x')", set()),
        ("pytest.raises(ValueError, open, 'a\\0b')", set()),
    ],
)
def test_what_a_test_opens_counts(traced: Traces, body: str, expected: set[str]) -> None:
    """A file counts that is read and not made in this process, unless it is imported or the test itself."""
    imports = "import os, pkgutil, pytest, shutil, sqlite3\nfrom pathlib import Path\n"
    test = (
        f"{imports}\ndef test_1_a(tmp_path, request):\n    request.addfinalizer(lambda: os.chdir({{!r}}))\n"
    )
    folder = os.fspath(Path.cwd())
    files = {
        **DATA,
        "src/__init__.py": "",
        "src/x.py": "",
        "test_a.py": f"{test.format(folder)}    {body}\n",
    }
    found = traced(files, "-n0", passed=1)
    assert found["1"]["opened"] - {"src/__init__.py"} == expected


def test_a_file_opened_by_a_fixture_for_one_test_counts_for_its_phase(traced: Traces) -> None:
    """Set-up, call and teardown of a test alike count for its phase and no other."""
    files = {
        "before.txt": "",
        "after.txt": "",
        "test_a.py": """
import pytest
@pytest.fixture
def files():
    open("before.txt").close()
    yield
    open("after.txt").close()
def test_1_a(files): pass
def test_2_a(): pass
""",
    }
    found = traced(files, "-n0", passed=2)
    assert [found[phase]["opened"] for phase in "12"] == [{"before.txt", "after.txt"}, set()]


def test_what_is_opened_while_tests_are_imported_counts_for_every_phase(traced: Traces) -> None:
    """Data read by conftests and test modules is there for all; files that are collected are none of it."""
    files = {
        "conftest.py": "open('conftest.txt').close()\n",
        "conftest.txt": "",
        "table.csv": "",
        "test_a.py": "open('table.csv').close()\ndef test_1_a(): pass\n",
        "test_b.py": "def test_2_a(): pass\n",
        "test_doc.txt": ">>> 1\n1\n",
    }
    found = traced(files, "-n0", passed=3)
    assert all(found[phase]["opened"] >= {"conftest.txt", "table.csv"} for phase in "12")
    assert all("test_doc.txt" not in found[phase]["opened"] for phase in "12")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a file name is always text")
def test_a_name_that_is_no_text_leaves_the_rest_unknown(traced: Traces) -> None:
    """Such a name can be neither sent nor kept."""
    files = {"test_a.py": "def test_1_a():\n    name = b'\\xff.txt'\n    open(name, 'w').close()\n"}
    assert "not text" not in traced(files, "-n0", passed=1)["1"]["unknown"]
    files["test_a.py"] = "def test_1_a():\n    open(b'\\xff.txt').close()\n"
    found = traced(files, "-n2", passed=1)["1"]
    assert found["unknown"].endswith("it uses files whose names are not text")
    assert found["opened"] == set()


PROCESS = "subprocess.run([sys.executable, '-c', ''], check=True)"


@pytest.mark.parametrize(
    ("body", "is_unknown"),
    [
        (PROCESS, True),
        ("os.system('true')", True),
        ("multiprocessing.get_context('spawn').Process(target=print).start()", sys.version_info >= (3, 12)),
        ("platform.processor()", False),
        ("pass", False),
    ],
    ids="subprocess system spawn platform none".split(),
)
def test_another_process_leaves_a_phase_unknown(traced: Traces, body: str, is_unknown: bool) -> None:
    """What another process executes is not traced, and that is said for the phase that started it."""
    files = {
        "test_a.py": f"""
import multiprocessing, os, platform, subprocess, sys
def test_1_a():
    {body}
    for child in multiprocessing.active_children():
        child.join()
def test_2_a(): pass
"""
    }
    found = traced(files, "-n0", passed=2, measured=True)
    assert found["1"]["unknown"] == ("its tests start other processes" if is_unknown else "")
    assert found["2"]["unknown"] == ""


@pytest.mark.parametrize(
    ("files", "options", "expected"),
    [
        ({"test_a.py": f"import subprocess, sys\ndef test_1_stage():\n    {PROCESS}\n"}, {}, ""),
        (
            {"test_a.py": f"import subprocess, sys\ndef test_1_a():\n    {PROCESS}\n"},
            {"subprocesses_measured": True},
            "",
        ),
        (
            {"conftest.py": f"import subprocess, sys\n{PROCESS}\n", "test_a.py": "def test_1_a(): pass\n"},
            {},
            "other processes are started while tests are collected",
        ),
        (
            {
                "test_a.py": f"""
import pytest, subprocess, sys
@pytest.fixture(scope="session")
def server():
    {PROCESS}
def test_2_a(server): pass
def test_1_a(): pass
"""
            },
            {},
            "its tests start other processes",
        ),
    ],
    ids="stage measured conftest fixture".split(),
)
def test_whose_processes_count(
    traced: Traces, files: dict[str, str], options: dict[str, Any], expected: str
) -> None:
    """A stage's and measured ones do not; those of conftests and of fixtures that are set up do, for all."""
    assert traced(files, "-n0", measured=True, **options)["1"]["unknown"] == expected


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="from Python 3.12 on it can be told")
@pytest.mark.parametrize("measured", [False, True])
def test_an_old_python_says_that_it_cannot_tell(traced: Traces, measured: bool) -> None:
    """Before Python 3.12 nothing is known of what is executed, unless coverage knows it."""
    found = traced(ONE_AND_TWO, "-n0", passed=2, measured=measured)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert found["1"]["unknown"] == ("" if measured else f"Python {version} cannot trace it")
    assert found["1"]["executed"] == set()


@needs_monitoring
def test_another_tool_may_take_any_id_but_one(traced: Traces, pytester: pytest.Pytester) -> None:
    """With every tool id taken a phase is unknown; ids are given back at the end of the run."""
    free = [number for number in range(6) if sys.monitoring.get_tool(number) is None]
    for number in free:
        sys.monitoring.use_tool_id(number, "test")
    try:
        found = traced(ONE_AND_TWO, "-n0", passed=2)
    finally:
        for number in free:
            sys.monitoring.free_tool_id(number)
    assert "sys.monitoring" in found["1"]["unknown"]
    traced(ONE_AND_TWO, "-n0", passed=2)
    assert [number for number in range(6) if sys.monitoring.get_tool(number) is None] == free


@needs_monitoring
def test_coverage_by_the_same_means_is_not_disturbed(
    pytester: pytest.Pytester, traced: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Coverage's own use of sys.monitoring measures the same with tracing as without."""
    monkeypatch.setenv("COVERAGE_CORE", "sysmon")
    monkeypatch.setenv("COVERAGE_FILE", str(pytester.path.parent / "coverage-data"))
    traced(ONE_AND_TWO, "-n0", passed=2)
    arguments = (*ALONE, "-n0", "--cov=src", "--cov-report=term-missing")
    alone = pytester.runpytest_subprocess(*arguments)
    together = pytester.runpytest_subprocess("-p", "tracer", *arguments)
    totals = [
        [line for line in result.outlines if ".py  " in line or "TOTAL" in line]
        for result in (alone, together)
    ]
    assert totals[0] == totals[1]
    assert any("TOTAL" in line and "100%" in line for line in totals[0])
