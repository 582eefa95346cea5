"""What the project says of itself in pyproject.toml, README.md and .ci/run is so."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOP_LEVEL = set("CHANGELOG.md LICENSE README.md docs examples pyproject.toml pytest_phases tests".split())
INSTALLED_BY = {
    "_pytest": "pytest",
    "importlinter": "import-linter",
    "markdown_it": "markdown-it-py",
    "pytest_cov": "pytest-cov",
    "pytest_phases": "pytest-phases",
    "pytest_timeout": "pytest-timeout",
    "xdist": "pytest-xdist",
}
"""Which distribution a module comes from, where the two differ in name."""
STDLIB = sys.stdlib_module_names | {"tomllib"}
"""The standard library of the newest supported Python."""


@pytest.fixture(scope="module")
def pyproject(project: Path) -> dict[str, Any]:
    """pyproject.toml as data."""
    return tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))


def _bounds(requirements: Iterable[str], operator: str) -> dict[tuple[str, str], str]:
    """Map (name, marker) to the version that stands behind `operator`, the only one allowed."""
    parsed = [Requirement(text) for text in requirements]
    stated = {(r.name, str(r.marker or "")): list(r.specifier) for r in parsed}
    assert all([s.operator for s in specs] == [operator] for specs in stated.values()), stated
    return {key: specs[0].version for key, specs in stated.items()}


def test_the_floor_pins_the_lowest_stated_version_of_every_dependency(pyproject: dict[str, Any]) -> None:
    """The environment `floor` installs exactly what `dependencies` promises to work."""
    promised = _bounds(pyproject["project"]["dependencies"], ">=")
    assert _bounds(pyproject["tool"]["tox"]["env"]["floor"]["deps"], "==") == promised


def _names(requirements: Iterable[str]) -> set[str]:
    """Return the names of the distributions that requirements ask for."""
    return {Requirement(text).name for text in requirements}


def _imported(folder: Path) -> dict[str, str]:
    """Map each distribution that the Python files below a folder import from to one such file."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            tops = {module.partition(".")[0] for module in modules} - STDLIB
            found.update({INSTALLED_BY.get(top, top): path.name for top in tops})
    return found


def test_the_package_imports_its_dependencies_and_no_others(project: Path, pyproject: dict[str, Any]) -> None:
    """What the package imports is declared, and what is declared is imported."""
    imported = _imported(project / "pytest_phases").keys() - {"pytest-phases"}
    assert imported == _names(pyproject["project"]["dependencies"])


def test_the_tests_import_only_what_the_extra_test_installs(project: Path, pyproject: dict[str, Any]) -> None:
    """Who installs the extra `test` can run every test."""
    table = pyproject["project"]
    stated = _names(table["dependencies"] + table["optional-dependencies"]["test"])
    # The benchmarks import one another, as parts of the folder they lie in.
    stated |= {"pytest-phases", "tests"}
    assert {name: file for name, file in _imported(project / "tests").items() if name not in stated} == {}


def test_the_installed_package_offers_the_plugin_and_the_command() -> None:
    """`-p no:phases` and `pytest-phases` find what they name."""
    (plugin,) = entry_points(group="pytest11", name="phases")
    (command,) = entry_points(group="console_scripts", name="pytest-phases")
    assert (plugin.value, command.value) == ("pytest_phases.plugin", "pytest_phases.cli:main")


def test_the_rooms_import_only_what_they_may(project: Path) -> None:
    """The import contracts of pyproject.toml hold."""
    linter = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", linter, "--no-cache"]
    run = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_top_level_holds_what_it_should_and_nothing_else(project: Path) -> None:
    """Of what git would keep, the top folder holds the named files and dotfiles."""
    if not (project / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout
    visible = {name.partition("/")[0] for name in listed.splitlines() if not name.startswith(".")}
    assert visible == TOP_LEVEL


def test_continuous_integration_runs_the_test_command_of_the_readme(project: Path) -> None:
    """`.ci/run` sets up and tests with the very command that README.md tells a newcomer."""
    readme = (project / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^python3 -m venv .*-m pytest -n auto$", readme, flags=re.MULTILINE)
    script = project / ".ci" / "run"
    if not script.exists():
        pytest.skip("an unpacked distribution has no .ci/run")
    assert any(line.startswith(command) for line in script.read_text(encoding="utf-8").splitlines())


def test_the_own_plan_runs_every_static_check(project: Path, pyproject: dict[str, Any]) -> None:
    """What the environment `lint` runs stands line by line in examples/self/plan.md."""
    plan = (project / "examples" / "self" / "plan.md").read_text(encoding="utf-8").splitlines()
    checks = [" ".join(command) for command in pyproject["tool"]["tox"]["env"]["lint"]["commands"]]
    assert [check for check in checks if check not in plan] == []


def test_the_own_plan_runs_every_test(project: Path, pyproject: dict[str, Any]) -> None:
    """Each folder below tests/ is named by a phase of examples/self/plan.md or runs on request alone."""
    plan = (project / "examples" / "self" / "plan.md").read_text(encoding="utf-8")
    on_request = set(pyproject["tool"]["pytest"]["ini_options"]["norecursedirs"])
    files = (project / "tests").rglob("test_*.py")
    folders = {file.relative_to(project / "tests").parts[0] for file in files} - on_request
    selected = set(re.findall(r"\btests/(\w+)", " ".join(re.findall(r"^pytest .*$", plan, re.MULTILINE))))
    assert folders <= selected
