"""The `pytest-phases` command."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pytest_phases import __version__
from pytest_phases.cli import main

PLAN = """\
# Release

## Phase 1: Build
requires: [cmd:make]

Build: wheel
```bash
# first
make wheel
make docs
```
Testing:
needs: [wheel]
```bash
./smoke
```

## Phase 2: Test
covers: [src]
coverage: 85
serial: true
tests: [tests/a.py, -m slow]

### Stream A: One
modifies: [x]

## Sync: Frozen
coverage: 80

## Phase 3: Last
```bash
prose
```

## Gate: Out
approvals: [me]
Deploy:
```bash
./deploy
```
"""


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plan in the current folder, beside which nothing it names exists."""
    monkeypatch.chdir(tmp_path)
    path = Path("plan.md")
    path.write_text(PLAN, encoding="utf-8")
    return path


def run(*args: str) -> Result:
    """What the command does in this process."""
    # Before click 8.2 the runner mixed the two streams unless told not to.
    mixes = "mix_stderr" in inspect.signature(CliRunner).parameters
    return CliRunner(**({"mix_stderr": False} if mixes else {})).invoke(main, args)


def test_the_version_is_that_of_the_package() -> None:
    """`--version` prints it."""
    assert run("--version").output == f"pytest-phases, version {__version__}\n"


def test_show_prints_waves_stages_tests_and_prose(plan: Path) -> None:
    """One look tells what will run and what will not."""
    assert run("show", str(plan)).output == (
        "plan.md: Release\n"
        "3 phases in 3 waves, 1 stream, 2 stages, 1 sync point, a gate\n"
        "\n"
        "wave 1\n"
        "  phase 1: Build\n"
        "    runs build-wheel: make wheel (and 1 more line)\n"
        "    runs testing (needs build-wheel): ./smoke\n"
        "    requires cmd:make\n"
        "\n"
        "wave 2\n"
        "  phase 2: Test (needs 1; coverage 85 %; nothing runs beside it)\n"
        "    tests tests/a.py\n"
        "    tests -m 'slow'\n"
        "    stream 2/A: One\n"
        "      modifies x\n"
        "\n"
        "sync point: Frozen (after 1, 2; coverage 80 %)\n"
        "\n"
        "wave 3\n"
        "  phase 3: Last (needs 2)\n"
        "\n"
        "gate: Out (phases all; approvals me)\n"
        "  runs deploy: ./deploy\n"
        "\n"
        "worth knowing\n"
        "  plan.md:31: this bash fence has no label and is not run; write Build: or Testing: directly above "
        "it (phase 3 has neither tests nor stages)\n"
        "\n"
        "taken for prose, never run\n"
        "  plan.md:31: ```bash  prose\n"
    )


def test_show_json_has_the_documented_shape(plan: Path) -> None:
    """Programs read ids as strings, waves from 1 and None where a stage has no name."""
    data = json.loads(run("show", str(plan), "--json").output)
    no_claims: dict[str, object] = {"env": [], "modifies": [], "reads": [], "locks": []}
    stages = [
        {
            **no_claims,
            "id": "build-wheel",
            "crew": "build",
            "name": "wheel",
            "needs": [],
            "run": "# first\nmake wheel\nmake docs\n",
            "line": 6,
        },
        {
            **no_claims,
            "id": "testing",
            "crew": "testing",
            "name": None,
            "needs": ["build-wheel"],
            "run": "./smoke\n",
            "line": 12,
        },
    ]
    empty = {
        "name": "",
        "deps": [],
        "streams": [],
        "stages": [],
        "tests": [],
        "requires": [],
        "coverage": None,
        "ratchet": False,
        "covers": [],
        "modifies": [],
        "reads": [],
        "locks": [],
        "serial": False,
        "serialize": False,
        "enforce": None,
    }
    stream = {**empty, "id": "2/A", "name": "One", "wave": 2, "modifies": ["x"], "line": 24}
    assert data == {
        "phases": [
            {
                **empty,
                "id": "1",
                "name": "Build",
                "wave": 1,
                "stages": stages,
                "requires": ["cmd:make"],
                "line": 3,
            },
            {
                **empty,
                "id": "2",
                "name": "Test",
                "deps": ["1"],
                "wave": 2,
                "streams": [stream],
                "tests": ["tests/a.py", "-m 'slow'"],
                "coverage": 85,
                "covers": ["src"],
                "serial": True,
                "line": 18,
            },
            {**empty, "id": "3", "name": "Last", "deps": ["2"], "wave": 3, "line": 30},
        ],
        "waves": [["1"], ["2"], ["3"]],
        "syncs": [{"name": "Frozen", "above": ["1", "2"], "coverage": 80, "line": 27}],
        "gate": {
            "name": "Out",
            "phases": [],
            "coverage": None,
            "allow_empty": [],
            "approvals": ["me"],
            "approvals_signers": None,
            "stages": [
                {
                    **no_claims,
                    "id": "deploy",
                    "crew": "deploy",
                    "name": None,
                    "needs": [],
                    "run": "./deploy\n",
                    "line": 37,
                }
            ],
            "line": 35,
        },
        "enforce": False,
    }


BOUNDED = """\
# Bounded
enforce: true

## Phase 1: Build
coverage: ratchet
serialize: true
modifies: [src/a, src/b]
reads: [common]
locks: [db]
Build:
env: [CC, CFLAGS]
modifies: [dist]
locks: [cc]
```
make
```
### Stream A: One
enforce: false
tests: [a.py]
"""


def test_show_tells_what_is_used_and_what_is_watched(plan: Path) -> None:
    """Paths, locks and variables of phases and stages, who takes turns, and where writes are watched."""
    plan.write_text(BOUNDED, encoding="utf-8")
    assert run("show", str(plan)).output == (
        "plan.md: Bounded\n"
        "1 phase in 1 wave, 1 stream, 1 stage\n"
        "what is written outside `modifies` fails\n"
        "\n"
        "wave 1\n"
        "  phase 1: Build (coverage not below that of its last green run; takes turns with what modifies the "
        "same)\n"
        "    runs build (depends on the variables CC, CFLAGS; modifies dist; locks cc): make\n"
        "    modifies src/a, src/b\n"
        "    reads common\n"
        "    locks db\n"
        "    stream 1/A: One (what is written is not watched)\n"
        "      tests a.py\n"
    )
    data = json.loads(run("show", str(plan), "--json").output)
    (phase,) = data["phases"]
    (stage,) = phase["stages"]
    assert data["enforce"] is True
    assert (phase["coverage"], phase["ratchet"], phase["serialize"], phase["enforce"]) == (
        None,
        True,
        True,
        None,
    )
    assert phase["streams"][0]["enforce"] is False
    assert {key: stage[key] for key in ("env", "modifies", "reads", "locks")} == {
        "env": ["CC", "CFLAGS"],
        "modifies": ["dist"],
        "reads": [],
        "locks": ["cc"],
    }
    Path("plan.toml").write_text(run("show", "--toml", "plan.md").output, encoding="utf-8")
    shown = run("show", "plan.toml").output
    assert shown.partition("\n")[2] == run("show", "plan.md").output.partition("\n")[2]


def test_check_points_out_a_boundary_that_watches_nothing(plan: Path) -> None:
    """A phase that says `enforce: true` itself and never what it may modify."""
    plan.write_text("# T\nenforce: true\n\n## Phase 1: A\nenforce: true\ntests: [.]\n", encoding="utf-8")
    assert run("check", "plan.md").output.splitlines()[0] == (
        "plan.md:5: note: enforce has no effect here, since nothing says what may be written; "
        "write modifies: [PATH] beside it"
    )
    plan.write_text("# T\nenforce: true\n\n## Phase 1: A\ntests: [.]\n", encoding="utf-8")
    assert "note" not in run("check", "plan.md").output


def test_show_tells_what_the_gate_allows_and_who_signs(plan: Path) -> None:
    """Which phases may be empty, and the file of those who may sign an approval."""
    text = plan.read_text(encoding="utf-8")
    more = "approvals: [me]\nallow_empty: [1, 2/A]\napprovals_signers: keys/signers\n"
    plan.write_text(text.replace("approvals: [me]\n", more), encoding="utf-8")
    shown = run("show", str(plan)).output
    gate = "gate: Out (phases all; may be empty: 1, 2/A; approvals me; signed as keys/signers allows)"
    assert gate in shown.splitlines()
    data = json.loads(run("show", str(plan), "--json").output)["gate"]
    assert (data["allow_empty"], data["approvals_signers"]) == (["1", "2/A"], "keys/signers")


def test_check_looks_for_the_file_of_signers(plan: Path) -> None:
    """`show` reads the plan alone; `check` tells that the file is not there, and with what to do."""
    plan.write_text(
        "## Phase 1: A\n## Gate: G\napprovals: [me]\napprovals_signers: signers\n", encoding="utf-8"
    )
    assert run("show", str(plan)).exit_code == 0
    assert run("check", str(plan)).stderr.splitlines() == [
        "plan.md:4: the gate: approvals_signers: there is no file `signers`; name the file of those who may "
        "sign [missing-signers]"
    ]
    Path("signers").touch()
    assert run("check", str(plan)).exit_code == 0


def test_show_toml_is_a_plan_that_shows_the_same(plan: Path) -> None:
    """The output can be saved and used in place of the Markdown."""
    Path("plan.toml").write_text(run("show", "--toml", str(plan)).output, encoding="utf-8")
    first, second = (json.loads(run("show", "--json", name).output) for name in ("plan.md", "plan.toml"))
    assert second["waves"] == first["waves"]
    assert [phase["stages"][0]["run"] for phase in second["phases"] if phase["stages"]] == [
        phase["stages"][0]["run"] for phase in first["phases"] if phase["stages"]
    ]


@pytest.mark.parametrize("command", ["show", "check"])
def test_problems_go_to_standard_error_with_exit_status_4(plan: Path, command: str) -> None:
    """All of them at once, each with file, line and slug, and nothing on standard output."""
    plan.write_text("## Phase 1: A\ncovrage: 1\n## Phase 2: B\ndeps: [3]\n")
    result = run(command, "plan.md")
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.splitlines() == [
        "plan.md:2: `covrage` is no key of a phase; did you mean `coverage`? [misspelled-key]",
        "plan.md:4: phase 2 depends on `3`, which is no phase; known are `1`, `2` [unknown-dependency]",
    ]


@pytest.mark.parametrize("command", ["show", "check"])
def test_a_plan_that_is_not_there(plan: Path, command: str) -> None:
    """It is a problem like any other, without a traceback."""
    result = run(command, "plam.md")
    assert (result.exit_code, result.stderr) == (
        4,
        "plam.md: there is no such plan; correct the path [unreadable-plan]\n",
    )


def test_check_looks_at_the_disk(plan: Path) -> None:
    """`show` did not; what a build stage before may make is no problem."""
    plan.write_text("## Phase 1: A\ntests: [a.py]\n")
    assert run("check", "plan.md").exit_code == 4
    Path("below").mkdir()
    Path("below/a.py").touch()
    result = run("check", "plan.md", "--root", "below")
    assert (result.exit_code, result.output) == (
        0,
        "plan.md: 1 phase in 1 wave, 0 stages; no problem found\n",
    )


def test_check_prints_what_is_worth_knowing(plan: Path) -> None:
    """A note is no mistake and leaves the exit status 0."""
    plan.write_text("## Phase 1: A\n## Phase 2: B\ndeps: [1]\n")
    result = run("check", "plan.md")
    assert result.exit_code == 0
    assert "plan.md:1: note: phase 1 states no dependencies and starts at once;" in result.output


@pytest.mark.parametrize("command", ["show", "check"])
def test_the_help_of_a_command_has_an_example_and_the_exit_statuses(command: str) -> None:
    """Nobody needs the documentation for a first call."""
    told = run(command, "--help").output
    assert f"pytest-phases {command} plan.md" in told
    assert "Exit status: 0, or 4 if the plan has problems" in " ".join(told.split())


@pytest.mark.parametrize("columns", [60, 80])
def test_the_list_of_commands_says_each_in_full(columns: int) -> None:
    """No line ends in three dots."""
    told = CliRunner().invoke(main, ["--help"], terminal_width=columns).output
    assert "show" in told
    assert "..." not in told.partition("Commands:")[2]


@pytest.mark.parametrize("form", [[], ["--json"], ["--toml"]])
def test_a_plan_does_not_steer_the_terminal(plan: Path, form: list[str]) -> None:
    """Escape sequences in names and scripts are printed as text."""
    plan.write_text(
        "# \x1b[2J\n## Phase 1: \x1b[2J\nBuild: \x1b[2J\n```\necho \x1b[2J\n```\n", encoding="utf-8"
    )
    result = run("show", "plan.md", *form)
    assert result.exit_code == 0
    assert "\x1b" not in result.output


def test_a_poor_terminal_is_no_reason_to_fail(plan: Path) -> None:
    """Letters that its encoding lacks are written as escapes."""
    plan.write_text("## Phase 1: Grüße → 漢字\n", encoding="utf-8")
    code = "from pytest_phases.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "show", "plan.md"],
        env={"PYTHONIOENCODING": "latin-1", "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        encoding="latin-1",
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert r"phase 1: Grüße \u2192 \u6f22\u5b57" in result.stdout


def test_the_command_starts_without_pytest(plan: Path) -> None:
    """Showing a plan costs little: neither pytest nor what only a prerequisite needs is imported."""
    code = (
        "import sys; from pytest_phases.cli import main; main(standalone_mode=False); "
        "print([name for name in ('pytest', '_pytest', 'xdist', 'packaging') if name in sys.modules])"
    )
    plan.write_text("## Phase 1: A\n")
    result = subprocess.run(
        [sys.executable, "-c", code, "show", "plan.md"],
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.endswith("\n[]\n")
