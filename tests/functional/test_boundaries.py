"""Boundaries: who writes, renames or removes outside what its phase may modify fails."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

# The phase of a test stands in its name: `test_2_...` is of phase 2. Phase 1 is not watched.
KEEPER = """
import pytest
from pytest_phases.watching.boundary import Boundaries

def pytest_configure(config):
    options = {options!r}
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.register(
            Boundaries(
                config,
                lambda item: item.name.split("_")[1],
                {{"2": ("src/mine/", "src/*.gen")}},
                is_stage=lambda item: "stage" in item.name,
                **options,
            ),
            "boundaries",
        )
"""

ALONE = [f"-pno:{name}" for name in ("phases", "randomly", "cacheprovider", "hypothesispytest")]
"""Nothing but the boundaries, and what pytest has of its own."""

IMPORTS = "import os, pytest, shutil, sys, tempfile, unittest\nfrom pathlib import Path\n"

Keep = Callable[..., pytest.RunResult]


@pytest.fixture
def keep(pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keep:
    """Run tests of a project with a few files under the boundary."""

    def run(tests: str, *args: str, **options: Any) -> pytest.RunResult:
        (tmp_path / "keeper.py").write_text(KEEPER.format(options=options))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        pytester.makeini("[pytest]\npythonpath = .\n")
        for name in ("src/common/types.py", "src/common/deep/x.py", "src/mine/x.py", "src/a.gen"):
            path = pytester.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
        pytester.makepyfile(test_a=IMPORTS + tests)
        # Workers take the path of the process as it was at its start.
        start = pytester.runpytest_subprocess if "-n1" in args else pytester.runpytest
        return start("-p", "keeper", *ALONE, *args)

    return run


def _told(result: pytest.RunResult) -> list[str]:
    """What the run says of the boundary, without the summary, which repeats all of it in CI."""
    before_summary = takewhile(lambda line: "short test summary" not in line, result.outlines)
    return [line for line in before_summary if "outside the boundary" in line]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Path('src/common/types.py').write_text('')", ["wrote src/common/types.py"]),
        ("open('src/common/types.py', 'a').close()", ["wrote src/common/types.py"]),
        ("open('src/common/types.py', 'r+').close()", ["wrote src/common/types.py"]),
        ("open(b'src/common/new.py', 'x').close()", ["wrote src/common/new.py"]),
        ("os.close(os.open('src/new', os.O_CREAT | os.O_RDONLY))", ["wrote src/new"]),
        ("tempfile.mkstemp(dir='src', prefix='t', suffix='.py')", ["wrote src/t*.py"]),
        ("os.remove('src/common/types.py')", ["removed src/common/types.py"]),
        ("Path('src/common/types.py').unlink()", ["removed src/common/types.py"]),
        ("os.rename('src/common/types.py', 'src/mine/t.py')", ["renamed src/common/types.py"]),
        ("os.replace('src/mine/x.py', 'src/common/x.py')", ["wrote src/common/x.py"]),
        ("os.rename('src/common', 'src/other')", ["renamed src/common", "wrote src/other"]),
        ("os.mkdir('src/new')", ["made src/new"]),
        ("os.makedirs('src/new/deep')", ["made src/new", "made src/new/deep"]),
        ("shutil.rmtree('src/common')", ["removed src/common"]),
        ("shutil.copy('src/mine/x.py', 'src/common/types.py')", ["wrote src/common/types.py"]),
        ("shutil.move('src/common/types.py', tmp_path)", ["renamed src/common/types.py"]),
        ("os.symlink('common/types.py', 'src/link')", ["made src/link"]),
        ("os.link('src/common/types.py', 'src/link')", ["made src/link"]),
        ("os.truncate('src/common/types.py', 0)", ["wrote src/common/types.py"]),
        ("os.chmod('src/common/types.py', 0o600)", ["changed src/common/types.py"]),
        ("os.utime('src/common/types.py')", ["changed src/common/types.py"]),
        ("os.chdir('src'); open('top.py', 'w').close(); os.chdir('..')", ["wrote src/top.py"]),
        (
            "os.symlink(Path.cwd() / 'src/common', tmp_path / 'x'); (tmp_path / 'x/types.py').write_text('')",
            ["wrote src/common/types.py"],
        ),
        (
            "f = os.open('src/common', os.O_RDONLY); os.unlink('types.py', dir_fd=f); os.close(f)",
            ["removed src/common/types.py"],
        ),
        (
            "for name in ('b', 'a', 'b'): Path(f'src/{name}.py').write_text('')",
            ["wrote src/a.py", "wrote src/b.py"],
        ),
    ],
)
def test_a_test_outside_its_boundary_fails(keep: Keep, body: str, expected: list[str]) -> None:
    """Each way of writing, renaming or removing is named with its path, once for a path."""
    result = keep(f"def test_2_a(tmp_path):\n    {body}\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{line}, outside the boundary of phase 2" for line in expected])
    assert len(_told(result)) == len(expected)


@pytest.mark.parametrize(
    "body",
    [
        "Path('src/mine/x.py').write_text(''); os.mkdir('src/mine/sub'); Path('src/mine/sub/y').touch()",
        "Path('src/a.gen').write_text(''); os.remove('src/a.gen')",
        "(tmp_path / 'x').write_text(''); shutil.rmtree(tmp_path)",
        "open('src/common/types.py').close(); os.listdir('src')",
        "os.makedirs('src/common', exist_ok=True); Path('src').mkdir(exist_ok=True)",
        "os.makedirs('.phases/logs'); Path('.phases/logs/x').write_text('')",
        "os.mkdir('.pytest_cache'); Path('.pytest_cache/x').touch(); Path('.coverage.x.1').touch()",
        "os.mkdir('src/__pycache__'); Path('src/__pycache__/x.pyc').touch()",
        "pytest.raises(FileNotFoundError, os.remove, 'src/nothing')",
        "pytest.raises(FileNotFoundError, open, 'nowhere/x', 'w')",
        "pytest.raises(FileNotFoundError, open, 'nothing', 'r+')",
        "pytest.raises(FileExistsError, open, 'src/common/types.py', 'x')",
        "pytest.raises(FileNotFoundError, os.rename, 'nothing', 'src/b')",
        "os.symlink(tmp_path, 'src/mine/out'); Path('src/mine/out/x').write_text('')",
        "sys.dont_write_bytecode = False; import src.common.types",
    ],
)
def test_what_is_free(keep: Keep, body: str) -> None:
    """Own paths, temporary files, caches and byte code are free, and so is what has no effect."""
    keep(f"def test_2_a(tmp_path):\n    {body}\n").assert_outcomes(passed=1)


def test_a_phase_without_a_boundary_is_not_watched(keep: Keep) -> None:
    """A phase of which nothing is said may write anywhere."""
    keep("def test_1_a(): Path('src/common/types.py').write_text('')\n").assert_outcomes(passed=1)


WRITE = "Path('src/common/types.py').write_text('')"


@pytest.mark.parametrize(
    ("tests", "outcomes"),
    [
        (f"def test_2_a():\n    {WRITE}\n    pytest.skip()\n", {"failed": 1}),
        (f"@pytest.mark.xfail\ndef test_2_a():\n    {WRITE}\n    assert 0\n", {"failed": 1}),
        (f"@pytest.mark.xfail(strict=False)\ndef test_2_a():\n    {WRITE}\n", {"failed": 1}),
        (f"def test_2_a():\n    {WRITE}\n    assert 0\n", {"failed": 1}),
        (
            f"@pytest.fixture\ndef f():\n    {WRITE}\ndef test_2_a(f): pass\n",
            {"errors": 1},
        ),
        (
            f"@pytest.fixture\ndef f():\n    yield\n    {WRITE}\ndef test_2_a(f): pass\n",
            {"passed": 1, "errors": 1},
        ),
        (
            f"class TestA(unittest.TestCase):\n    def test_2_a(self):\n        {WRITE}\n",
            {"failed": 1},
        ),
        (
            f"import threading\ndef test_2_a():\n    t = threading.Thread(target=lambda: {WRITE})\n"
            "    t.start(); t.join()\n",
            {"failed": 1},
        ),
        (f"def test_2_a():\n    {WRITE}\ndef test_2_b(): pass\n", {"failed": 1, "passed": 1}),
    ],
    ids="skip xfail xpass failed set-up teardown unittest thread next-test".split(),
)
def test_whatever_the_outcome_was_it_fails(keep: Keep, tests: str, outcomes: dict[str, int]) -> None:
    """A violation is a failure, or an error of the set-up or teardown it happened in."""
    result = keep(tests, "-rA")
    result.assert_outcomes(**outcomes)
    assert "wrote src/common/types.py, outside the boundary of phase 2" in result.stdout.str()


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_the_failure_says_what_to_write(keep: Keep, workers: str) -> None:
    """The message and the summary name path and phase, and what to do about it; on a worker too."""
    result = keep(f"def test_2_a():\n    {WRITE}\n    os.mkdir('src/new')\n", workers)
    result.stdout.fnmatch_lines(
        [
            "wrote src/common/types.py, outside the boundary of phase 2",
            "made src/new, outside the boundary of phase 2",
            "add them to `modifies` of phase 2, or write below tmp_path",
            "FAILED test_a.py::test_2_a - Failed: wrote src/common/types.py*",
        ]
    )


def test_a_doctest_is_a_test(keep: Keep, pytester: pytest.Pytester) -> None:
    """Items of all kinds are watched."""
    text = ">>> with open('src/common/types.py', 'w'): pass\n"
    pytester.maketxtfile(test_2_doc=text)
    result = keep("")
    result.assert_outcomes(failed=1)
    assert _told(result) == ["wrote src/common/types.py, outside the boundary of phase 2"]


def test_temporary_files_below_the_rootdir_are_free(keep: Keep, pytester: pytest.Pytester) -> None:
    """`--basetemp` may name a folder of the project."""
    tests = "def test_2_a(tmp_path): (tmp_path / 'x').write_text('')\n"
    keep(tests, f"--basetemp={pytester.path / 'tmp'}").assert_outcomes(passed=1)


DECLARED = ("src/mine", "src/common", "other/*.py")


@pytest.mark.parametrize(
    ("body", "beside", "expected"),
    [
        ("open('src/common/types.py', 'w').write('x')", {}, ["wrote src/common/types.py"]),
        ("os.remove('src/common/deep/x.py')", {}, ["removed src/common/deep/x.py"]),
        ("os.mkdir('other'); open('other/x.py', 'w')", {}, ["wrote other/x.py"]),
        ("open('src/mine/x.py', 'w').write('x'); open('src/common/types.py')", {}, []),
        ("open('undeclared.py', 'w')", {}, []),
        ("os.mkdir('src/common/__pycache__'); open('src/common/__pycache__/x.pyc', 'w')", {}, []),
        ("open('src/common/types.py', 'w').write('x')", {"2": ("src/common",)}, []),
    ],
    ids="wrote removed made own undeclared byte-code others-at-the-same-time".split(),
)
def test_a_stage_is_checked_by_what_changed(
    keep: Keep, body: str, beside: dict[str, tuple[str, ...]], expected: list[str]
) -> None:
    """A stage fails for what has changed under the paths that others declare, whichever process did it."""
    call = f"subprocess.run([sys.executable, '-c', {f'import os; {body}'!r}], check=True)"
    stage = f"import subprocess\ndef test_2_stage():\n    {call}\n"
    result = keep(stage, declared=DECLARED, beside=beside)
    result.assert_outcomes(failed=1 if expected else 0, passed=0 if expected else 1)
    assert _told(result) == [f"{line}, outside the boundary of phase 2" for line in expected]


def test_a_stage_that_failed_tells_both(keep: Keep) -> None:
    """How a stage ended stays what is told first; what it did outside its boundary is told too."""
    result = keep(f"def test_2_stage():\n    {WRITE}\n    assert 0\n", declared=DECLARED)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert 0*", "*boundary of phase 2*", "wrote src/common/types.py, *"])


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_plan_has_its_boundaries_kept(pytester: pytest.Pytester, plan, run, outcomes, workers: str) -> None:
    """What the plan says a phase may modify it may, and nothing else; the other phases are not watched."""
    plan(
        "### Phase 1: A\ntests: [test_a.py]\nmodifies: [data]\nenforce: true\n"
        "### Phase 2: B\ntests: [test_b.py]\n"
    )
    touch = "import pathlib\n\ndef test_{name}(): pathlib.Path({path!r}).write_text('x')\n"
    inside = touch.format(name="inside", path="data/a.txt")
    pytester.makepyfile(
        test_a=inside + touch.format(name="outside", path="common.txt"),
        test_b=touch.format(name="elsewhere", path="common.txt"),
    )
    (pytester.path / "data").mkdir()
    result = run("--phases", "plan.md", workers, "--phases-only", "1")
    assert result.ret == 1
    assert outcomes().as_dict() == {"test_inside": "passed", "test_outside": "failed"}
    assert "wrote common.txt, outside the boundary of phase 1" in outcomes().message("test_outside")
    assert run("--phases", "plan.md", workers, "--phases-only", "2").ret == 0
