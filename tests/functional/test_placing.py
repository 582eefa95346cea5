"""Which phase a test belongs to, and what a plan adds to the tests that pytest collects."""

from __future__ import annotations

import pytest


@pytest.fixture
def write(pytester):
    """A function that writes files with the given texts into the project under test."""

    def files(texts: dict[str, str]) -> None:
        for name, text in texts.items():
            file = pytester.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")

    return files


SPECIFIC = """\
### Phase node: Node id
tests: [unit/deep/test_a.py::test_node, 'unit/deep/test_a.py::test_many[x]']
### Phase file: File
tests: [unit/deep/test_a.py]
### Phase deep: Deeper folder
tests: [unit/deep]
### Phase folder: Folder
tests: [unit/]
### Phase glob: Glob
tests: ['**/test_*.py']
### Phase k: Expressions
tests: [-k word, -m slow]
### Phase rest: The rest
Testing:
```bash
# all others
pytest
```
"""


def test_the_most_specific_selector_decides(write, plan, run, journal):
    """A node id beats a file, a file a folder, the deeper folder the other, a folder a glob, a glob `-k`."""
    plan(SPECIFIC)
    marked = "import pytest\n@pytest.mark.slow\ndef test_s(): pass\n"
    many = "import pytest\n@pytest.mark.parametrize('v', 'xy')\ndef test_many(v): pass\n"
    write(
        {
            "unit/deep/test_a.py": f"{many}def test_node(): pass\ndef test_file_word(): pass\n",
            "unit/deep/test_b.py": "def test_deep_word(): pass\n",
            "unit/test_c.py": "def test_folder_word(): pass\n",
            "test_d.py": "def test_glob_word(): pass\n",
            "d_test.py": f"{marked}def test_word(): pass\ndef test_rest(): pass\n",
        }
    )
    result = run("--phases", "plan.md", "-n2", "-p", "phase_journal", "-o", "markers=slow")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    assert journal.placed() == {
        "test_many[x]": "node",
        "test_node": "node",
        "test_many[y]": "file",
        "test_file_word": "file",
        "test_deep_word": "deep",
        "test_folder_word": "folder",
        "test_glob_word": "glob",
        "test_word": "k",
        "test_s": "k",
        "test_rest": "rest",
    }


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_paths_of_the_plan_are_collected_beside_testpaths(workers, write, plan, run, journal):
    """The plan adds its paths to `testpaths`, whatever the file is called, with their conftests' fixtures."""
    plan("### Phase 1: First\ntests: [extra/checks.py, other]\n### Phase 2: Second\ntests: [tests]\n")
    fixture = "import pytest\n@pytest.fixture\ndef {0}(): return '{0}'\n"
    test = "def test_{0}({1}): assert {1} == '{1}'\n"
    write(
        {
            "pytest.ini": "[pytest]\ntestpaths = tests\n",
            "extra/conftest.py": fixture.format("spare"),
            "extra/checks.py": test.format("extra", "spare"),
            "extra/test_not_named.py": "def test_not_named(): pass\n",
            "other/conftest.py": fixture.format("shared"),
            "other/sub/conftest.py": fixture.format("deep"),
            "other/sub/test_o.py": test.format("other", "shared") + test.format("deep", "deep"),
            "tests/test_t.py": "def test_t(): pass\n",
        }
    )
    result = run("--phases", "plan.md", workers, "-p", "phase_journal")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    assert journal.placed() == {"test_extra": "1", "test_other": "1", "test_deep": "1", "test_t": "2"}


TOML = """\
[[phase]]
id = "late"
dependencies = ["soon"]
tests = ["test_a.py"]
[[phase]]
id = "soon"
dependencies = []
tests = ["test_b.py"]
[[phase.stage]]
crew = "build"
name = "x"
run = "touch made"
"""


def test_a_plan_in_toml_runs_like_one_in_markdown(pytester, plan, run, journal, refused):
    """A `.toml` plan has phases, selectors, dependencies and stages, and its mistakes have lines."""
    pytester.makepyfile(test_a="def test_a(): pass", test_b="def test_b(): pass")
    plan(TOML, "plan.toml")
    result = run("--phases", "plan.toml", "-n2", "-p", "phase_journal")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    assert journal.placed() == {"test_a": "late", "test_b": "soon", "build-x": "soon"}
    assert (pytester.path / "made").exists()
    plan(TOML.replace('["soon"]', '["son"]'), "plan.toml")
    (problem,) = refused(run("--phases", "plan.toml", "-n2"))
    assert problem.startswith("plan.toml:3: ")
    assert "did you mean `soon`?" in problem
