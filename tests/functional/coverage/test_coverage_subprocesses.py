"""Python processes that tests and stages start count for their phase."""

from __future__ import annotations

import pytest

WORKERS = pytest.mark.parametrize("workers", ["-n0", "-n2"])

LIBRARY = """
    def used():
        return 1

    def more():
        return 2

    if __name__ == "__main__":
        used()
"""
OUTSIDE, STATEMENTS = 3, 6

CALL = "import {name}; {name}.used()"
TESTS = {
    "run": """
        import subprocess, sys
        def test_run(): subprocess.run([sys.executable, "-c", "import run_; run_.used()"], check=True)
        """,
    "script": """
        import subprocess, sys
        def test_script(): subprocess.run([sys.executable, "script_.py"], check=True)
        """,
    "spawn": """
        import multiprocessing, spawn_
        def test_spawn():
            process = multiprocessing.get_context("spawn").Process(target=spawn_.used)
            process.start()
            process.join()
            assert process.exitcode == 0
        """,
    "grandchild": """
        import subprocess, sys
        INNER = "import grandchild_; grandchild_.used()"
        OUTER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {INNER!r}])"
        def test_grandchild(): subprocess.run([sys.executable, "-c", OUTER], check=True)
        """,
    "elsewhere": """
        import os, subprocess, sys
        def test_elsewhere(tmp_path):
            path = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
            command = [sys.executable, "-c", "import elsewhere_; elsewhere_.used()"]
            subprocess.run(command, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path})
        """,
    "fixture": """
        import pytest, subprocess, sys
        @pytest.fixture(scope="module")
        def server():
            process = subprocess.Popen(
                [sys.executable, "-u", "-c", "import fixture_; fixture_.used(); print(); input()"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            process.stdout.readline()
            yield
            process.communicate(b"\\n")
        def test_fixture(server): pass
        """,
}
# Nothing that this one's processes execute counts for the others.
OTHER = """
    import subprocess, sys
    def test_other():
        calls = "; ".join(f"import {name}_; {name}_.more()" for name in %r)
        subprocess.run([sys.executable, "-c", calls], check=True)
"""


def percent(executed: int) -> float:
    """Of a library."""
    return round(100 * executed / STATEMENTS, 2)


@WORKERS
def test_processes_that_tests_start_count_for_their_phase(workers, pytester, plan, run, reached):
    """However they are started, and for no other phase."""
    plan(
        "".join(
            f"### Phase {name}: X\ndependencies: []\ntests: [test_{name}.py]\n"
            f"covers: [{name}_.py]\ncoverage: 1\n"
            for name in TESTS
        )
        + "### Phase other: Other\ndependencies: []\ntests: [test_other.py]\n"
    )
    pytester.makepyfile(
        **{f"test_{name}": text for name, text in TESTS.items()},
        **{f"{name}_": LIBRARY for name in TESTS},
        test_other=OTHER % (list(TESTS),),
    )

    result = run("--phases=plan.md", workers)

    expected = dict.fromkeys(TESTS, percent(OUTSIDE + 1)) | {"script": percent(OUTSIDE + 2)}
    assert reached() == expected
    assert result.ret == 0
    assert "Traceback" not in result.stderr.str()


STAGES = {
    "bash": "Build:\n```bash\npython -c 'import bash_; bash_.used()'\n```\n",
    "sh": "Testing:\n```sh\npython -c 'import sh_; sh_.used()'\n```\n",
    "python": "Build:\n```python\nimport python_\npython_.used()\n```\n",
    "both": "Testing:\n```python\nimport both_\nboth_.used()\n```\n"
    "Build:\n```bash\npython -c 'import both_; both_.more()'\n```\n",
}


@WORKERS
def test_processes_of_stages_count_for_their_phase(workers, pytester, plan, run, reached):
    """Of both crews and in each language; a phase of stages alone can have a threshold."""
    plan(
        "".join(
            f"### Phase {name}: X\ndependencies: []\ncovers: [{name}_.py]\ncoverage: 1\n{stage}"
            for name, stage in STAGES.items()
        )
    )
    pytester.makepyfile(**{f"{name}_": LIBRARY for name in STAGES})

    result = run("--phases=plan.md", workers)

    assert reached() == dict.fromkeys(STAGES, percent(OUTSIDE + 1)) | {"both": percent(OUTSIDE + 2)}
    assert result.ret == 0


def test_a_process_that_is_killed_is_no_traceback(pytester, plan, run, figures, states):
    """Its data is lost; the rest is judged, or the phase is red with a reason."""
    plan("### Phase 1: One\ntests: [test_one.py]\ncovers: [library.py]\ncoverage: 1\n")
    pytester.makepyfile(
        library=LIBRARY,
        test_one="""
            import library, subprocess, sys
            def test_one():
                library.used()
                process = subprocess.Popen(
                    [sys.executable, "-u", "-c", "import library; library.more(); print(); input()"],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                process.stdout.readline()
                process.kill()
                process.communicate()
        """,
    )

    result = run("--phases=plan.md", "-n1")

    text = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in text
    assert "INTERNALERROR" not in text
    assert figures()["1"]["reached"] == pytest.approx(percent(OUTSIDE + 1), abs=0.01)


def test_pytest_with_cov_inside_a_stage_is_left_alone(pytester, plan, run, states):
    """It measures for itself and writes its own report."""
    pytest.importorskip("pytest_cov")
    plan(
        "### Phase 1: One\ntests: [test_one.py]\ncovers: [library.py]\ncoverage: 1\nTesting:\n```bash\n"
        "set -x\npytest -p no:cacheprovider --cov=library --cov-report=term inner > inner.txt\n```\n"
    )
    pytester.makepyfile(
        library=LIBRARY, test_one="import library\ndef test_one(): library.used()", conftest=""
    )
    inner = pytester.mkdir("inner")
    (inner / "test_inner.py").write_text("import library\ndef test_inner(): library.more()\n")

    result = run("--phases=plan.md", "-n2")

    assert (result.ret, states()["1"]) == (0, "green")
    report = (pytester.path / "inner.txt").read_text()
    assert "66%" in report or "67%" in report, report


@WORKERS
def test_no_data_files_are_left_in_the_project(workers, pytester, plan, run):
    """Nothing of the measurement stays in the folder of the project but the data under `.phases`."""
    plan("### Phase 1: One\ntests: [test_one.py]\ncovers: [library.py]\ncoverage: 1\n")
    pytester.makepyfile(
        library=LIBRARY,
        test_one="""
            import library, subprocess, sys
            def test_one():
                library.used()
                subprocess.run([sys.executable, "-c", "import library"], check=True)
        """,
    )

    run("--phases=plan.md", workers)

    assert not [path.name for path in pytester.path.glob(".coverage*")]
    assert sorted(path.name for path in (pytester.path / ".phases/coverage").iterdir()) == [
        "parts",
        "phases.coverage",
    ]
