"""Beside pytest-cov, and by whatever the project's own configuration of coverage says."""

from __future__ import annotations

import json
import os

import pytest

pytest.importorskip("pytest_cov")

PLAN = """
### Phase 1: First
dependencies: []
tests: [tests/test_first.py]
covers: [pkg]
coverage: 10
### Phase 2: Second
dependencies: [1]
tests: [tests/test_second.py]
covers: [pkg/used.py]
coverage: 10
"""

FILES = {
    "plan.md": PLAN,
    "pkg/__init__.py": "",
    "pkg/used.py": """
import os

def first(flag):
    if flag:
        return 1
    return 0

def second():
    return 2

def third():
    raise NotImplementedError
""",
    "pkg/never.py": "ONE = 1\nTWO = 2\n",
    "pkg/omitted.py": "ONE = 1\nTWO = 2\nTHREE = 3\n",
    "pytest.ini": "[pytest]\n",
    "conftest.py": """
import pytest

@pytest.fixture(scope="module")
def wide():
    from pkg import used
    yield used.first(True)
""",
    "tests/test_first.py": """
from pkg import used

def test_first(wide): assert wide == 1
def test_child():
    import subprocess, sys
    subprocess.run([sys.executable, "-c", "from pkg import used; used.first(False)"], check=True)
""",
    "tests/test_second.py": """
from pkg import used

def test_second(wide): assert used.second() == 2
def test_again(): assert used.second() == 2
""",
}


@pytest.fixture
def project(pytester, beside, monkeypatch):
    """A package of three modules, and two phases that use one of them."""
    monkeypatch.setenv("PYTHONPATH", str(pytester.path), prepend=os.pathsep)
    for name, text in FILES.items():
        file = pytester.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return pytester


def configure(project, text, name=".coveragerc"):
    """Write the configuration of coverage."""
    (project.path / name).write_text(text, encoding="utf-8")


# used.py has 9 statements, 4 of them outside of functions. Both phases execute 2 more in a fixture, phase 1
# another one in a child, phase 2 another one in its tests. never.py has 2 and omitted.py 3.
FULL = {"1": round(100 * 7 / 14, 2), "2": round(100 * 7 / 9, 2)}
# Without omitted.py and without `third`, which has 2.
NARROWED = {"1": round(100 * 6 / 9, 2), "2": round(100 * 6 / 7, 2)}


# pytest-cov -----------------------------------------------------------------------------------


OPTIONS = {
    "alone": ["-n0"],
    "alone with workers": ["-n2"],
    "branches": ["-n0", "--cov-branch"],
    "contexts": ["-n2", "--cov-context=test"],
    "missed": ["-n0", "--cov-fail-under=90"],
    "all of them": ["-n2", "--cov-fail-under=40", "--cov-branch", "--cov-context=test"],
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_pytest_cov_reports_what_it_reports_without_phases(options, project, run, figures, reached):
    """The same total, the same lines of each file, and the same verdict of its own."""
    args = ["--cov=pkg", "--cov-report=json", *options]
    alone = run("-p", "no:phases", *args)
    report = json.loads((project.path / "coverage.json").read_text())
    (project.path / "coverage.json").unlink()

    beside = run("--phases=plan.md", *args)

    again = json.loads((project.path / "coverage.json").read_text())
    assert again["totals"] == report["totals"]
    assert {name: file["executed_lines"] for name, file in again["files"].items()} == {
        name: file["executed_lines"] for name, file in report["files"].items()
    }
    assert beside.ret == alone.ret
    assert all(figure["passed"] for figure in figures().values())
    if "--cov-branch" not in options:
        assert reached() == FULL


def test_pytest_cov_appends_to_what_is_there(project, run):
    """With --cov-append the data of an earlier run stays, as it does without us."""
    run("-p", "no:phases", "--cov=pkg", "--cov-report=", "-n0", "tests/test_first.py")

    run("--phases=plan.md", "--cov=pkg", "--cov-append", "--cov-report=json", "-n2", "--phases-only=2")

    report = json.loads((project.path / "coverage.json").read_text())
    used = report["files"]["pkg/used.py"]
    # `return 0` is executed by a child that pytest-cov does not measure.
    assert used["missing_lines"] == [7, 13]


@pytest.mark.parametrize(
    ("workers", "mode"), [("-n0", "branch = true\n"), ("-n2", "")], ids=["branches", "statements"]
)
def test_figures_are_the_same_with_and_without_pytest_cov(workers, mode, project, run, reached):
    """Thresholds use its measurement if there is one, and their own otherwise."""
    configure(project, f"[run]\nsource = pkg\n{mode}")
    run("--phases=plan.md", workers)
    without = reached()

    run("--phases=plan.md", workers, "--cov", "--cov-report=")

    assert reached() == without
    assert set(without) == {"1", "2"}
    assert None not in without.values()


@pytest.mark.parametrize(
    "given",
    [["-n2", "--no-cov", "--cov-report="], ["-n0", "--no-cov", "--cov=pkg"]],
    ids=["alone", "with --cov"],
)
def test_no_cov_is_no_way_around_a_threshold(given, project, run, figures, states):
    """What is not measured is not reached, and the reason names the option."""
    result = run("--phases=plan.md", *given)

    assert result.ret == 1
    assert states() == {"1": "red", "2": "blocked"}
    assert figures()["1"]["reached"] is None
    assert "--no-cov" in figures()["1"]["problem"]
    result.stdout.fnmatch_lines(["*--no-cov*"])


def test_a_dynamic_context_beside_pytest_cov_is_told(project, run, figures, states):
    """It takes the contexts, and the phase is red with a reason that names the setting.

    With workers pytest-cov itself refuses it.
    """
    configure(project, "[run]\nsource = pkg\ndynamic_context = test_function\n")

    result = run("--phases=plan.md", "-n0", "--cov", "--cov-report=")

    assert result.ret == 1
    assert states()["1"] == "red"
    assert figures()["1"]["reached"] is None
    assert "dynamic_context = test_function" in figures()["1"]["problem"]
    result.stdout.fnmatch_lines(["*dynamic_context = test_function*"])


# The project's configuration ------------------------------------------------------------------

OMIT = "omit = */omitted.py"
EXCLUDE = "def third"

CONFIGURATIONS = {
    # name of the file, its text, the figures
    "nothing": (".coveragerc", "", FULL),
    "source": (".coveragerc", "[run]\nsource = pkg\n", FULL),
    "source of a package": (".coveragerc", "[run]\nsource_pkgs = pkg\n", FULL),
    "static context": (".coveragerc", "[run]\ncontext = static\n", FULL),
    "relative files": (".coveragerc", "[run]\nsource = pkg\nrelative_files = true\n", FULL),
    "parallel": (".coveragerc", "[run]\nparallel = true\ndata_file = data/cov\n", FULL),
    "subprocesses": (".coveragerc", "[run]\nsource = pkg\npatch = subprocess\n", FULL),
    "dynamic context": (".coveragerc", "[run]\ndynamic_context = test_function\n", FULL),
    "threads": (".coveragerc", "[run]\nconcurrency = thread, multiprocessing\n", FULL),
    ".coveragerc": (".coveragerc", f"[run]\n{OMIT}\n[report]\nexclude_also = {EXCLUDE}\n", NARROWED),
    "setup.cfg": (
        "setup.cfg",
        f"[coverage:run]\n{OMIT}\n[coverage:report]\nexclude_also = {EXCLUDE}\n",
        NARROWED,
    ),
    "pyproject": (
        "pyproject.toml",
        '[tool.coverage]\nrun.omit = ["*/omitted.py"]\nreport.exclude_also = ["def third"]\n',
        NARROWED,
    ),
    "omitted from reports": (
        ".coveragerc",
        f"[report]\n{OMIT}\nexclude_also = {EXCLUDE}\nprecision = 2\n",
        NARROWED,
    ),
}


@pytest.mark.parametrize(("name", "text", "expected"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_the_projects_configuration_says_what_is_measured(name, text, expected, project, run, reached):
    """Wherever it stands; what it omits or excludes counts for nobody."""
    configure(project, text, name)

    result = run("--phases=plan.md", "-n1" if "source" in text else "-n0")

    assert result.ret == 0
    assert reached() == expected
    assert not list(project.path.glob(".coverage.*"))


BESIDE = {
    "subprocesses": "patch = subprocess\n",
    "others": "context = static\nrelative_files = true\nparallel = true\n",
}


@pytest.mark.parametrize("settings", BESIDE.values(), ids=BESIDE)
def test_settings_beside_pytest_cov(settings, project, run, reached):
    """They change no figure, whoever measures."""
    configure(project, f"[run]\nsource = pkg\n{settings}")

    result = run("--phases=plan.md", "-n2", "--cov", "--cov-report=json")

    assert result.ret == 0
    assert reached() == FULL
    report = json.loads((project.path / "coverage.json").read_text())
    # The child counts for its report only where it is asked to measure such.
    child = 1 if "subprocess" in settings else 0
    assert report["totals"]["covered_lines"] == 7 + child


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_run_from_a_subfolder_measures_the_same(workers, project, run, reached, monkeypatch):
    """Settings of coverage are those of the rootdir, wherever pytest is started."""
    configure(project, f"[run]\nsource = pkg\n{OMIT}\n[report]\nexclude_also = {EXCLUDE}\n")
    monkeypatch.chdir(project.path / "tests")

    result = run("--phases=../plan.md", "--rootdir=..", "-c", "../pytest.ini", workers)

    assert result.ret == 0
    assert reached() == NARROWED


def test_a_plan_in_another_folder_covers_the_same(project, run, reached):
    """Paths of a plan are those of the rootdir."""
    docs = project.mkdir("docs")
    (project.path / "plan.md").rename(docs / "plan.md")

    result = run("--phases=docs/plan.md", "-n2")

    assert result.ret == 0
    assert reached() == FULL
