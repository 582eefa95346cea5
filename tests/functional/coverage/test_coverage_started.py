"""How measuring begins: by which configuration, in which folder and process, and what stands against it."""

from __future__ import annotations

import json
import sys

import pytest

MODULE = "def used():\n    return 1\n"
TEST = "import module\ndef test_it(): assert module.used() == 1\n"
PLAN = "### Phase 1: One\ntests: [test_it.py]\ncovers: [module.py]\ncoverage: 100\n"


@pytest.fixture
def project(pytester, plan):
    """One phase that covers its module wholly."""
    plan(PLAN)
    pytester.makepyfile(module=MODULE, test_it=TEST)
    return pytester


@pytest.mark.parametrize("setting", ['branch = "maybe"', 'plugins = ["nope"]'])
@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_a_mistake_in_the_coverage_configuration_is_a_usage_error(setting, workers, project, run):
    """Told before anything starts, by coverage.py's own message."""
    project.makepyprojecttoml(f"[tool.coverage.run]\n{setting}\n")

    result = run("--phases=plan.md", workers)

    output = result.stdout.str() + result.stderr.str()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert setting.split()[-1].strip('"[]') in output
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output


def test_what_coverage_itself_measures_is_left_to_it(project):
    """`coverage run -m pytest` has its data whole, and the threshold is missed with the reason."""
    coverage = (sys.executable, "-m", "coverage")

    result = project.run(*coverage, "run", "--include=module.py", "-m", "pytest", "--phases=plan.md", "-n0")
    report = project.run(*coverage, "json", "-o", "report.json")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert report.ret == 0
    assert json.loads((project.path / "report.json").read_text())["totals"]["percent_covered"] == 100
    result.stdout.fnmatch_lines(["phase 1 (One): coverage not measured, required 100 %", "*coverage*"])


@pytest.mark.parametrize("folder", [".", "tests"])
def test_the_configuration_means_the_same_from_everywhere(folder, pytester, reached, run, monkeypatch):
    """Its paths begin at the rootdir, wherever pytest is started."""
    pytester.makepyprojecttoml('[tool.coverage.run]\nsource = ["src"]\nomit = ["src/gen.py"]\n')
    pytester.makeini("[pytest]\npythonpath = src\ntestpaths = tests\n")
    for name, text in {
        "src/module.py": MODULE,
        "src/gen.py": "def never():\n    return 1\n" * 5,
        "tests/test_it.py": TEST,
        "plan.md": "### Phase 1: One\ntests: [tests]\ncoverage: 90\n",
    }.items():
        path = pytester.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(pytester.path / folder)

    result = run(f"--rootdir={pytester.path}", f"--phases={pytester.path / 'plan.md'}", "-n0")

    assert result.ret == 0
    assert reached() == {"1": 100}


@pytest.mark.parametrize(
    "args", [("--tx=2*popen", "--phases=plan.md"), ("--phases=plan.md", "--tx=2*popen", "--dist=load")]
)
def test_whoever_runs_the_tests_measures_them(args, project, reached, run):
    """Which options make workers, in which order, changes nothing."""
    assert run(*args).ret == 0
    assert reached() == {"1": 100}


def test_the_environment_is_as_it_was_before(project):
    """A program that calls pytest finds no setting of ours when that returns."""
    script = project.makepyfile(
        program="""
        import os, pytest

        before = dict(os.environ)
        pytest.main(["-q", "-p", "no:cacheprovider", "--phases=plan.md", "-n0"])
        print(sorted(name for name, value in os.environ.items() if before.get(name) != value))
        """
    )

    assert project.run(sys.executable, script).outlines[-1] == "[]"


FIXTURES = """
import module, pytest

@pytest.fixture(scope="session")
def inner():
    return module.inner()

@pytest.fixture(scope="session")
def outer(request):
    module.outer()
    return request.getfixturevalue("inner")

@pytest.fixture(scope="session")
def res():
    return module.base()
"""
OVERRIDES = """
import module, pytest

@pytest.fixture(scope="session")
def res(res):
    return module.more()

def test_outer(outer): pass
def test_res(res): pass
"""


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_what_a_wide_fixture_asks_for_counts_for_whoever_uses_it(workers, pytester, plan, reached, run):
    """Asked for while it runs, or overridden under the same name, whoever was first to set it up."""
    phase = "### Phase {0}: X\ndependencies: []\ntests: [test_{0}.py]\ncovers: [module.py]\ncoverage: 100\n"
    plan(phase.format(1) + phase.format(2))
    names = ("inner", "outer", "base", "more")
    pytester.makepyfile(
        module="".join(f"def {name}():\n    return 1\n" for name in names),
        conftest=FIXTURES,
        test_1=OVERRIDES,
        test_2=OVERRIDES,
    )

    assert run("--phases=plan.md", workers).ret == 0
    assert reached() == {"1": 100, "2": 100}
