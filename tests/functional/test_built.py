"""What a stage builds may be imported by the tests behind it, and no test runs on what was there before."""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

WORKERS = pytest.mark.parametrize("workers", ["-n2", "-n0"])

# The stage writes what it makes only if that has changed, as a good build tool does.
GENERATE = """
### Phase 1: Generate
dependencies: []
Build: generate
```python
import os
from pathlib import Path

def write(path, text):
    if not Path(path).exists() or Path(path).read_text() != text:
        Path(path).write_text(text)
        # Always the same second: with the same size, Python's byte code of the last build would do.
        os.utime(path, (1_700_000_000, 1_700_000_000))

value = Path("source").read_text().strip()
write("made.py", f"VALUE = {value}\\n")
write("_fast.py", f"VALUE = {value}\\n")
```
"""

USES = {
    # Imports what is not there on the first run, and is parametrized by it.
    "test_import": """
        import pytest
        from pathlib import Path
        from journal import note
        import made
        @pytest.mark.parametrize("number", range(made.VALUE))
        def test_import(number):
            note(f"import {number}")
            assert made.VALUE == int(Path("source").read_text())
        """,
    # Skips itself where what is built is missing.
    "test_skip": """
        import pytest
        from pathlib import Path
        made = pytest.importorskip("made")
        def test_skip():
            assert made.VALUE == int(Path("source").read_text())
        """,
    # Both a test case and a doctest that cannot be imported yet.
    "test_case": """
        '''
        >>> made.VALUE > 0
        True
        '''
        import unittest
        import made
        class Case(unittest.TestCase):
            def test_case(self):
                self.assertGreater(made.VALUE, 0)
        """,
    "test_beside": """
        from journal import note
        def test_beside():
            note("beside")
        """,
}

# Falls back silently where what is built is missing.
FALLBACK = {
    "library": """
        try:
            from _fast import VALUE
        except ImportError:
            VALUE = None
        """,
    "test_fallback": """
        from pathlib import Path
        from journal import note
        import library
        def test_fallback():
            note("fallback")
            assert library.VALUE == int(Path("source").read_text())
        """,
}
USE = """
### Phase 2: Use
dependencies: [1]
tests: [test_import.py, test_fallback.py, test_skip.py, test_case.py]
"""


def _is_right(result):
    """Whether progress went to 100 per cent and never over it."""
    shown = [int(found) for found in re.findall(r"\[ *(\d+)%\]", result.stdout.str())]
    return shown[-1] == max(shown) == 100


@pytest.fixture
def source(pytester, monkeypatch):
    """A function that changes the source of what GENERATE builds; byte code is written as it normally is."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    return lambda value: (pytester.path / "source").write_text(f"{value}\n")


def test_tests_see_what_was_built(pytester, plan, run, outcomes, journal, source):
    """On the first run, after a change and without one, tests see the build as it is; counts are right."""
    plan(GENERATE + USE)
    pytester.makepyfile(**USES, **FALLBACK)
    args = ("--phases", "plan.md", "-n2", "-v", "--doctest-modules")
    for value in (3, 2):
        source(value)
        journal.clear()
        result = run(*args)
        assert result.ret == 0, result.stdout.str()
        result.assert_outcomes(passed=value + 6)
        assert len(outcomes().cases) == value + 6
        assert _is_right(result)
        imports = [f"import {number}" for number in range(value)]
        assert sorted(journal.names) == ["beside", "fallback", *imports]
    journal.clear()
    result = run(*args)
    result.assert_outcomes(passed=8)
    # Nothing was built anew, so no worker was replaced.
    assert {record["worker"] for record in journal.records} <= {"gw0", "gw1"}


def test_one_process_collects_late_and_does_not_run_old_code(
    pytester, plan, run, outcomes, phases, journal, source
):
    """With -n0 modules are collected late; what is loaded cannot be replaced, so its phase is red."""
    plan(GENERATE + USE.replace("test_fallback.py, ", ""))
    pytester.makepyfile(**USES)
    args = ("--phases", "plan.md", "-n0", "-v", "--doctest-modules")
    source(3)
    result = run(*args)
    assert result.ret == 0, result.stdout.str()
    assert len(outcomes().cases) == 8
    assert _is_right(result)
    source(4)
    journal.clear()
    result = run(*args)
    assert result.ret == 1
    assert journal.names == ["beside"]
    assert phases()["2"]["state"] == "red"
    result.stdout.fnmatch_lines(["*made.py*run with -n1 or more*"])


def test_one_process_does_not_run_a_fallback(pytester, plan, run, phases, journal, source):
    """With -n0 a module that fell back before the build makes its phase red; it is not tested."""
    plan(GENERATE + "### Phase 2: Use\ndependencies: [1]\ntests: [test_fallback.py]\n")
    pytester.makepyfile(**FALLBACK)
    source(3)
    result = run("--phases", "plan.md", "-n0")
    assert result.ret == 1
    assert journal.names == []
    assert phases()["2"]["state"] == "red"
    result.stdout.fnmatch_lines(["*_fast*run with -n1 or more*"])
    assert run("--phases", "plan.md", "-n1").ret == 0


EDITABLE = """
### Phase 1: Install
dependencies: []
Build: wheel
```bash
python -m pip install -q --no-index --no-deps --upgrade --target site library-1-py3-none-any.whl
```
Build: editable
```python
# What `pip install -e` leaves where the build backend writes a `.pth` file.
import sysconfig
from pathlib import Path
Path(sysconfig.get_path("purelib"), "_editable.pth").write_text(str(Path("src").absolute()))
```
### Phase 2: Use
dependencies: [1]
tests: [test_installed.py, test_editable.py]
"""


@WORKERS
def test_what_a_stage_installs_can_be_imported(pytester, plan, journal, monkeypatch, tmp_path, workers):
    """A wheel installed by pip and an editable install through a `.pth` file are there for the next phase."""
    plan(EDITABLE)
    with ZipFile(pytester.path / "library-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("library.py", "VALUE = 1\n")
        wheel.writestr("library-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: library\nVersion: 1\n")
        wheel.writestr("library-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        wheel.writestr("library-1.dist-info/RECORD", "")
    pytester.makepyfile(
        test_installed="""
        from importlib.metadata import version
        import library
        def test_installed(): assert (library.VALUE, version("library")) == (1, "1")
        """,
        test_editable="import edited\ndef test_editable(): assert edited.VALUE == 2",
    )
    pytester.mkdir("src").joinpath("edited.py").write_text("VALUE = 2\n")
    monkeypatch.setenv("PYTHONPATH", str(pytester.mkdir("site")), prepend=":")
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    (packages,) = tmp_path.glob("env/lib/python*/site-packages")
    packages.joinpath("here.pth").write_text("\n".join(path for path in sys.path if path))
    result = pytester.run(python, "-m", "pytest", "--phases", "plan.md", workers, timeout=60)
    result.assert_outcomes(passed=4)
    assert result.ret == 0


TORN_DOWN = """
### Phase 1: Builds
dependencies: []
tests: [test_beside.py]
Build: module
needs: []
```python
from journal import wait_for
wait_for("beside")
open("made.py", "w").write("VALUE = 1")
```
### Phase 2: Uses
dependencies: [1]
tests: [test_use.py]
### Phase 3: Only phase 1 before it
dependencies: [2]
tests: [test_more.py]
"""


def test_replaced_workers_are_torn_down(pytester, plan, run, phases, journal):
    """Session fixtures of a replaced worker are torn down; what fails there is an error of its last item."""
    plan(TORN_DOWN)
    pytester.makeconftest(
        """
        import pytest
        from journal import note
        @pytest.fixture(scope="session")
        def database(worker_id):
            note("set up")
            yield
            note("torn down")
            assert worker_id not in ("gw0", "gw1"), "the workers that the run begins with"
        """
    )
    pytester.makepyfile(
        test_beside="from journal import note\ndef test_beside(database): note('beside')",
        test_use="import made\ndef test_use(database): pass",
        test_more="def test_more(database): pass",
    )
    result = run("--phases", "plan.md", "-n2")
    assert result.ret == 1
    assert journal.names.count("set up") == journal.names.count("torn down") >= 2
    result.assert_outcomes(passed=4, errors=1)
    assert {name: phase["state"] for name, phase in phases().items()} == {
        "1": "red",
        "2": "green",
        "3": "green",
    }


def test_a_worker_may_crash_behind_a_build(pytester, plan, run, outcomes, phases, source):
    """The worker that takes the place of one that crashed can import what was built before."""
    plan(GENERATE + "### Phase 2: Use\ndependencies: [1]\ntests: [test_crash.py, test_rest.py]\n")
    source(1)
    pytester.makepyfile(
        test_crash="import made, os\ndef test_crash(): os._exit(7)",
        test_rest="import made, pytest\n@pytest.mark.parametrize('n', range(5))\ndef test_rest(n): pass",
    )
    result = run("--phases", "plan.md", "-n1", "-v")
    assert result.ret == 1
    result.assert_outcomes(passed=6, failed=1)
    assert outcomes()["test_crash"] == "error"
    assert phases()["2"]["tests"]["passed"] == 5
    assert _is_right(result)


def test_what_was_built_may_crash_every_worker(plan, run, phases, pytester):
    """Where no worker survives the import of what was built, the run ends, and it is no success."""
    plan(
        """
### Phase 1: Builds
dependencies: []
Build: deadly
```bash
echo "import os; os._exit(3)" > made.py
```
### Phase 2: Uses
dependencies: [1]
tests: [test_use.py]
"""
    )
    pytester.makepyfile(test_use="import made\ndef test_use(): pass")
    assert run("--phases", "plan.md", "-n1", "--max-worker-restart=1").ret == 1
    assert {name: phase["state"] for name, phase in phases().items()} == {"1": "green", "2": "interrupted"}
    assert run("--phases", "plan.md", "-n1", "--max-worker-restart=1").ret == 1


MEASURED = """
### Phase 1: Builds
dependencies: []
tests: [test_before.py]
Build: module
```bash
echo "def made(): return 1" > library/made.py
```
### Phase 2: Uses
dependencies: [1]
tests: [test_after.py]
"""


def test_replaced_workers_keep_what_they_measured(pytester, plan, run):
    """With pytest-cov the lines that only a replaced worker has executed are in the report."""
    pytest.importorskip("pytest_cov")
    plan(MEASURED)
    library = pytester.mkpydir("library")
    (library / "before.py").write_text("def before():\n    return 1\n")
    pytester.makepyfile(
        test_before="from library.before import before\ndef test_before(): assert before()",
        test_after="from library.made import made\ndef test_after(): assert made()",
    )
    result = run("--phases", "plan.md", "-n2", "--cov=library", "--cov-fail-under=100")
    assert result.ret == 0, result.stdout.str()


FLOW = """
### Phase 1: First build
dependencies: []
Build: first
```python
open("first.py", "w").write(f"VALUE = {open('source').read()}")
```
### Phase 2: Second build
dependencies: []
Build: second
```python
from journal import wait_for
wait_for("first is used")
open("second.py", "w").write(f"VALUE = {open('source').read()}")
```
### Phase 3: Uses the first
dependencies: [1]
tests: [test_first.py]
### Phase 4: Uses the second
dependencies: [2]
tests: [test_second.py]
"""


def test_two_builds_in_flow(pytester, plan, run, outcomes, phases, journal, source):
    """In `flow` each dependent sees its own build, the earlier before the later build has ended."""
    plan(FLOW)
    pytester.makepyfile(
        test_first="""
        import first
        from journal import note
        def test_first():
            assert first.VALUE == int(open("source").read())
            note("first is used")
        """,
        test_second="import second\ndef test_second(): assert second.VALUE == int(open('source').read())",
    )
    for value in (1, 2):
        source(value)
        journal.clear()
        result = run("--phases", "plan.md", "-n2", "--phases-schedule=flow", "-v")
        assert result.ret == 0, result.stdout.str()
        assert set(outcomes().as_dict()) == {"build-first", "build-second", "test_first", "test_second"}
        assert _is_right(result)


EXTENSION = """
### Phase 1: Compile
dependencies: []
Build: extension
```bash
cc -shared -fPIC -I "$(python -c 'import sysconfig; print(sysconfig.get_path("include"))')" \\
    $(test "$(uname)" = Darwin && echo -undefined dynamic_lookup) -DVALUE="$(cat source)" \\
    -o "_native$(python -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')" native.c
```
### Phase 2: Use
dependencies: [1]
tests: [test_native.py]
"""
NATIVE = """
#include <Python.h>
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_native", NULL, -1, NULL};
PyMODINIT_FUNC PyInit__native(void) {
    PyObject *module = PyModule_Create(&definition);
    PyModule_AddIntConstant(module, "VALUE", VALUE);
    return module;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler `cc`")
@pytest.mark.skipif(not Path(sysconfig.get_path("include"), "Python.h").exists(), reason="no Python.h")
def test_a_recompiled_extension_is_what_tests_see(pytester, plan, run, phases, source):
    """A C extension that was compiled anew is loaded anew; one process says that it cannot."""
    plan(EXTENSION)
    (pytester.path / "native.c").write_text(NATIVE)
    pytester.makepyfile(
        test_native="import _native\ndef test_native(): assert _native.VALUE == int(open('source').read())"
    )
    for value, workers, state in ((1, "-n0", "green"), (2, "-n2", "green"), (3, "-n0", "red")):
        source(value)
        result = run("--phases", "plan.md", workers)
        result.assert_outcomes(passed=2 if state == "green" else 1, errors=int(state == "red"))
        assert phases()["2"]["state"] == state
