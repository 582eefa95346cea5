"""Facts 8, 9, 12, 13, 13b and 14: what coverage.py and pytest-cov do."""

from __future__ import annotations

import json
import sys

import pytest

pytest.importorskip("coverage")
pytest.importorskip("pytest_cov")

MODULE = """
    FIRST = 1

    def used():
        return 2
"""


def test_fact_08_a_plan_decides_on_workers_early_enough_for_coverage(pytester, run, monkeypatch):
    """`--phases` without `-n` means `-n auto`, and pytest-cov measures in the workers."""
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "1")
    pytester.makepyfile(
        measured=MODULE, test_one="import measured\ndef test_1(): assert measured.used() == 2"
    )
    pytester.makefile(".md", plan="### Phase 1: Only\ntests: [test_one.py]\n")

    result = run("--phases=plan.md", "--cov=measured", "--cov-fail-under=100")

    assert result.ret == 0
    result.stdout.re_match_lines([r"measured.py +3 +0 +100%"])


def test_fact_08_workers_that_are_asked_for_late_break_pytest_cov(pytester, run):
    """It has chosen how to measure before `pytest_cmdline_main` can set the number of workers."""
    pytester.makepyfile(
        measured=MODULE,
        test_one="import measured\ndef test_1(): assert measured.used() == 2",
        late_workers="""
            import pytest

            @pytest.hookimpl(tryfirst=True)
            def pytest_cmdline_main(config):
                config.option.numprocesses, config.option.dist = 1, "load"
                config.option.tx = ["popen"]
        """,
    )

    result = run("-p", "no:phases", "-p", "late_workers", "--cov=measured")

    assert result.ret != 0
    assert "INTERNALERROR" in result.stdout.str() + result.stderr.str()


TWO_AT_ONCE = """
import coverage

def percent(cov):
    data = cov.get_data()
    (file,) = [name for name in data.measured_files() if name.endswith("measured.py")]
    _, statements, _, missing, _ = cov.analysis2(file)
    return 100 * (len(statements) - len(missing)) // len(statements)

started = [coverage.Coverage(data_file=None, include=["*measured.py"])]
started[0].start()
import measured
{between}
measured.used()
for cov in reversed(started):
    cov.stop()
print(percent(started[0]))
"""


@pytest.mark.parametrize(
    ("between", "percent"),
    [
        pytest.param("", "100", id="alone"),
        pytest.param(
            "started.append(coverage.Coverage(data_file=None)); started[1].start()",
            "66",
            id="beside another",
        ),
    ],
)
def test_fact_09_a_second_coverage_object_takes_the_data_of_the_first(between, percent, pytester, script):
    """From then on the first measures nothing."""
    pytester.makepyfile(measured=MODULE)

    assert script(TWO_AT_ONCE.format(between=between), COVERAGE_CORE="ctrace") == percent


@pytest.mark.parametrize(
    ("call", "remains"),
    [
        pytest.param("Coverage().combine()", ".coverage .other.1", id="combine"),
        pytest.param("Coverage(data_suffix=True).erase()", ".other.1", id="erase"),
    ],
)
def test_fact_09_combine_and_erase_take_every_file_of_their_base(call, remains, pytester, script):
    """What lies there as `.coverage.*` is taken up or removed; another base is left alone."""
    pytester.makepyfile(measured=MODULE)

    left = script(f"""
        import coverage, pathlib

        for name in (".coverage.foreign", ".coverage.mine", ".other.1"):
            coverage.CoverageData(name).add_lines({{"measured.py": [1]}})
        coverage.{call}
        print(*sorted(path.name for path in pathlib.Path().glob(".*")))
    """)

    assert left == remains


COUNTS_PARSES = """
import coverage, coverage.parser, importlib, json, sys

sys.path.insert(0, ".")
cov = coverage.Coverage(data_file=None, source=["."])
cov.start()
for number in range(5):
    importlib.import_module(f"part_{number}").used()
cov.stop()
cov.get_data()

parsed = []
parse = coverage.parser.PythonParser.parse_source
coverage.parser.PythonParser.parse_source = lambda self: (parsed.append(self.filename), parse(self))[1]

cov.analysis2("part_0.py")
one = len(parsed)
cov.report(file=open("report.txt", "w"), include=["part_1.py", "part_2.py"])
two = len(parsed) - one
print(one, two)
"""


def test_fact_12_only_files_that_are_asked_for_are_parsed(pytester, script):
    """Measuring parses nothing, and a report parses each file that it covers once."""
    pytester.makepyfile(**{f"part_{number}": MODULE for number in range(5)})

    assert script(COUNTS_PARSES) == "1 2"


BY_CONTEXT = """
import coverage, json, sys

cov = coverage.Coverage(data_file=None, include=["*measured.py"])
cov.start()
for phase in ("phase 1", "phase 2"):
    cov.switch_context(phase)
    import measured
    measured.used()
cov.stop()
data = cov.get_data()
(file,) = data.measured_files()
print(json.dumps({line: sorted(names) for line, names in data.contexts_by_lineno(file).items()}))
"""


def test_fact_13_lines_of_an_import_belong_to_whoever_imported_first(pytester, script):
    """The second phase imports too, and nothing outside of functions is executed again."""
    pytester.makepyfile(measured=MODULE)

    contexts = json.loads(script(BY_CONTEXT, COVERAGE_CORE="ctrace"))

    assert contexts == {"1": ["phase 1"], "3": ["phase 1"], "4": ["phase 1", "phase 2"]}


def test_fact_13_lines_of_a_wide_fixture_belong_to_the_tests_at_its_ends(pytester, run, script):
    """With a context for each test, each line of a module fixture is recorded for one alone.

    Its set-up belongs to the first test that uses it, its teardown to the last.
    """
    pytester.makepyfile(
        measured=MODULE,
        test_one="""
            import measured, pytest

            @pytest.fixture(scope="module")
            def wide():
                measured.used()
                yield
                measured.used()

            def test_1(wide): pass
            def test_2(wide): pass
            def test_3(wide): pass
        """,
    )

    assert run("-p", "no:phases", "--cov=measured", "--cov-context=test", "--cov-report=").ret == 0
    contexts = script("""
        import coverage

        data = coverage.CoverageData(".coverage")
        data.read()
        (file,) = data.measured_files()
        print(*sorted(data.contexts_by_lineno(file)[4]))
    """)

    assert contexts == "test_one.py::test_1|setup test_one.py::test_3|teardown"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python has sys.monitoring from 3.12 on")
def test_fact_13b_sysmon_credits_a_line_to_the_first_context_alone(pytester, script):
    """Under that core a line that several phases execute counts for one of them; ctrace counts it for all."""
    pytester.makepyfile(measured=MODULE)

    sysmon = json.loads(script(BY_CONTEXT, COVERAGE_CORE="sysmon"))
    ctrace = json.loads(script(BY_CONTEXT, COVERAGE_CORE="ctrace"))

    assert sysmon["4"] == ["phase 1"]
    assert ctrace["4"] == ["phase 1", "phase 2"]


def test_fact_14_pytest_cov_judges_twice_and_may_contradict_itself(pytester, run):
    """It exits by the rounded figure and prints by the exact one: FAIL, and exit status 0."""
    statements = "\n".join(f"    line_{number} = {number}" for number in range(14))
    pytester.makepyfile(
        measured=f"def unused():\n{statements}\n\nif True:\n" + "\n".join(["    x = 1"] * 100),
        test_one="import measured\ndef test_1(): pass",
    )

    result = run("-p", "no:phases", "--cov=measured", "--cov-fail-under=88")

    if "FAIL Required" not in result.stdout.str():
        pytest.skip("this pytest-cov judges once")
    assert result.ret == 0


BESIDE_ONE_THAT_IS_NOT_STARTED = """
import coverage

cov = coverage.Coverage(data_file=None, include=["*measured.py"])
cov.start()
import measured
other = coverage.Coverage(data_file=None)
other.get_option("run:source"), other.config.precision, other.get_exclude_list()
measured.used()
cov.stop()
data = cov.get_data()
(file,) = data.measured_files()
print(sorted(data.lines(file)), len(other._analyze("measured.py").statements))
"""


def test_fact_09_one_that_is_not_started_takes_nothing(pytester, script):
    """A second object may read the configuration and analyse sources while the first one measures."""
    pytester.makepyfile(measured=MODULE)

    assert script(BESIDE_ONE_THAT_IS_NOT_STARTED) == "[1, 3, 4] 3"


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_fact_09_the_object_of_pytest_cov_is_there_when_the_session_starts(workers, pytester, run, notes):
    """In the one process and in each worker, started; on a controller of workers there is one as well."""
    pytester.makepyfile(
        measured=MODULE,
        test_one="import measured\ndef test_1(): measured.used()",
        conftest="""
            from notes import note

            def pytest_collection_finish(session):
                cov = session.config.pluginmanager.getplugin("_cov").cov_controller.cov
                note(type(cov).__module__.split(".")[0], cov._started)
        """,
    )

    assert run("-p", "no:phases", "--cov=measured", "--cov-report=", workers).ret == 0

    places = ["main"] if workers == "-n0" else ["gw0", "gw1"]
    assert all(notes.of(place) == ["coverage True"] for place in places)


SWITCHES = """
import coverage, measured

cov = coverage.Coverage(data_file=None, include=["*measured.py"])
cov.start()
cov.switch_context("phase 1")
measured.used()
print(len(cov._data.measured_files()), end=" ")
cov.switch_context("")
print(len(cov._data.measured_files()), sorted(cov._data.measured_contexts()))
cov.stop()
"""


def test_fact_13_switching_the_context_hands_over_what_was_measured(pytester, script):
    """From then on it is in the data, under the context before, without `get_data` and what that warns of."""
    pytester.makepyfile(measured=MODULE)

    assert script(SWITCHES, COVERAGE_CORE="ctrace") == "0 1 ['phase 1']"


def test_fact_13_contexts_that_are_the_projects_own_conflict(pytester, script):
    """With a dynamic context of its own coverage.py warns of every switch, and names no phase."""
    pytester.makepyfile(measured=MODULE)
    (pytester.path / ".coveragerc").write_text("[run]\ndynamic_context = test_function\n")

    said = script("""
        import coverage, measured, warnings

        cov = coverage.Coverage(data_file=None, include=["*measured.py"])
        cov.start()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            cov.switch_context("phase 1")
        cov.stop()
        print(*(warning.message for warning in warned))
    """)

    assert "dynamic-conflict" in said


CHILD = """
import coverage, os, pathlib, subprocess, sys

pathlib.Path("data").mkdir()
config = coverage.Coverage(include=["*measured.py"]).config.copy()
config.data_file, config.parallel, config.context = os.path.abspath("data/part"), True, "phase 1"
os.environ["COVERAGE_PROCESS_CONFIG"] = config.serialize()
subprocess.run([sys.executable, "-c", "import measured; measured.used()"], check=True, cwd={cwd!r})
for path in pathlib.Path("data").iterdir():
    data = coverage.CoverageData(str(path))
    data.read()
    (file,) = data.measured_files()
    print(sorted(data.measured_contexts()), sorted(data.lines(file)))
    data.close()
"""


def test_fact_13_coverage_has_installed_a_file_that_measures_subprocesses(pytester, script, monkeypatch):
    """A Python that finds a configuration in its environment measures itself, wherever it is started."""
    pytester.makepyfile(measured=MODULE)
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))

    said = script(CHILD.format(cwd=str(pytester.mkdir("elsewhere"))), COVERAGE_CORE="ctrace")

    assert said == "['phase 1'] [1, 3, 4]"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python has sys.monitoring from 3.12 on")
def test_fact_13b_the_core_is_chosen_by_the_environment_when_measuring_starts(pytester, script):
    """What is set before wins over what the environment of the run had."""
    pytester.makepyfile(measured=MODULE)

    chosen = 'import os\nos.environ["COVERAGE_CORE"] = "ctrace"\n'
    contexts = json.loads(script(chosen + BY_CONTEXT, COVERAGE_CORE="sysmon"))

    assert contexts["4"] == ["phase 1", "phase 2"]
