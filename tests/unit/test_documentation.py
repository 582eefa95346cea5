"""What README.md and docs/ say is so: links lead somewhere, plans are read, names are those of the code."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_phases import cli, events, hookspecs
from pytest_phases.evidence import Recorded, RunRecord
from pytest_phases.gate.statement import statement_data, verdict_data
from pytest_phases.plan.keys import ALIASES, KEYS

PROJECT = Path(__file__).parent.parent.parent
PAGES = sorted([PROJECT / "README.md", PROJECT / "CHANGELOG.md", *(PROJECT / "docs").rglob("*.md")])
PLAN_FENCE = re.compile(r"^````markdown\n(.*?)^````$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


def _named(page: Path) -> str:
    return page.relative_to(PROJECT).as_posix()


def _text(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def _first_column(page: str, begins: str) -> set[str]:
    """Return the words in code type in the first column of a page's tables that begin as given."""
    cells = re.findall(r"^\| (`.*?) \|", _text(page), flags=re.MULTILINE)
    return {word for cell in cells for word in re.findall(rf"`({begins}[\w-]*)", cell)}


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link of a page names a file that exists."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(match[1], id=f"{_named(page)}-{number}")
        for page in PAGES
        for number, match in enumerate(PLAN_FENCE.finditer(page.read_text(encoding="utf-8")), start=1)
    ],
)
def test_plans_in_the_documentation_are_read(example: str, tmp_path: Path) -> None:
    """Each example of a plan is a plan without problems."""
    plan = tmp_path / "plan.md"
    plan.write_text(example, encoding="utf-8")
    result = CliRunner().invoke(cli.main, ["show", str(plan)])
    assert result.exit_code == 0, result.output


def test_the_toml_example_is_read(tmp_path: Path) -> None:
    """The plan in TOML of docs/plan.md is a plan without problems."""
    (example,) = re.findall(r"^```toml\n(.*?)^```$", _text("docs/plan.md"), flags=re.MULTILINE | re.DOTALL)
    plan = tmp_path / "plan.toml"
    plan.write_text(example, encoding="utf-8")
    result = CliRunner().invoke(cli.main, ["show", str(plan)])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("page", ["README.md", "docs/options.md"])
def test_the_options_are_those_that_pytest_offers(page: str, tmp_path: Path) -> None:
    """The table of options names every option and every ini setting of the plugin, and no other."""
    command = [sys.executable, "-m", "pytest", "--help", f"--rootdir={tmp_path}"]
    offered = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"^ +(--phases[\w-]*)", offered, flags=re.MULTILINE))
    settings = set(re.findall(r"^ +(phases_\w+) \(", offered, flags=re.MULTILINE))
    assert _first_column(page, "--phases") == options
    assert set(re.findall(r"\| `(phases_\w+)` \|", _text(page))) == settings


def test_every_key_of_a_plan_is_in_the_reference() -> None:
    """The table of keys in docs/plan.md names what the reader knows, and nothing else."""
    section = _text("docs/plan.md").partition("\n## Keys\n")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
    documented = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert documented == {*ALIASES, *(key for keys in KEYS.values() for key in keys)}


def test_every_hook_is_documented_with_its_arguments() -> None:
    """docs/hooks.md has a section for each hook of the package, under its name and arguments."""
    hooks = [
        f"{name}({', '.join(inspect.signature(hook).parameters)})"
        for name, hook in inspect.getmembers(hookspecs, inspect.isfunction)
        if name.startswith("pytest_phases_")
    ]
    assert sorted(re.findall(r"^## (pytest_phases_.+)$", _text("docs/hooks.md"), re.MULTILINE)) == hooks


@pytest.mark.parametrize(
    "described",
    [
        events.RunStarted,
        events.PhaseChanged,
        events.WaveClosed,
        events.Figure,
        events.RunResult,
        events.WaveResult,
        events.GateResult,
        events.Reason,
    ],
)
def test_every_field_of_what_hooks_are_given_is_documented(described: type) -> None:
    """docs/hooks.md names each field of an event in code type."""
    words = set(re.findall(r"`(\w+)`", _text("docs/hooks.md")))
    assert {field.name for field in dataclasses.fields(described)} <= words


# The command and the gate ---------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(cli.main.commands))
def test_every_command_is_in_the_reference_with_its_options(name: str) -> None:
    """docs/options.md has a row for each command and speaks of each of its options."""
    section = _text("docs/options.md").partition("\n## The command")[2].partition("\n## ")[0]
    options = [param.opts[-1] for param in cli.main.commands[name].params if param.opts[-1].startswith("--")]
    assert f"| `pytest-phases {name}" in section
    assert [option for option in options if option not in section] == []


@pytest.mark.parametrize("option", [param.opts[-1] for param in cli.main.commands["gate"].params])
def test_every_option_of_the_gate_is_on_its_page(option: str) -> None:
    """The table of docs/gate.md has a row for it."""
    assert re.search(rf"^\| `{option}\b", _text("docs/gate.md"), re.MULTILINE)


def test_every_decision_is_on_the_page_of_the_gate() -> None:
    """The table at the top says what each means, and knows no other."""
    section = _text("docs/gate.md").partition("\n## What the decision means\n")[2].partition("\n## ")[0]
    decisions = [decision.value for decision in events.Decision]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == decisions


NOTHING = Recorded(RunRecord("run", "2026-01-01T00:00:00+00:00", "plan.md", "0" * 64, tree="0" * 64))
GATE = events.GateResult("Deployment", events.Decision.GREEN)


def test_every_field_of_the_verdict_is_documented() -> None:
    """docs/gate.md has a row for each field of verdict.json, in the same order."""
    section = _text("docs/gate.md").partition("\n### verdict.json\n")[2].partition("\n### ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(verdict_data(GATE, NOTHING, ()))


def test_every_field_of_the_statement_is_documented() -> None:
    """docs/gate.md speaks of each field of the statement's predicate."""
    statement = statement_data(GATE, NOTHING)
    assert statement is not None
    section = _text("docs/gate.md").partition("\n### verdict.intoto.json\n")[2].partition("\n## ")[0]
    assert re.findall(r"`predicate\.(\w+)`", section) == list(statement["predicate"])
