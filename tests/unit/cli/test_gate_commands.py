"""`pytest-phases gate`, `approve` and `revoke`: exit statuses, messages, and never a traceback."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pytest_phases.cli import main

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

COMMANDS = {"gate": (), "approve": ("security", "--by", "alice"), "revoke": ("security",)}
GATE = "approvals: [security]\n"
NOT_GREEN, USAGE_ERROR, WRONG_CALL = 1, 4, 2


def call(*args: str) -> Result:
    """What the command does in this process; anything but an exit is a traceback."""
    # Before click 8.2 the runner mixed the two streams unless told not to.
    mixes = "mix_stderr" in inspect.signature(CliRunner).parameters
    result = CliRunner(**({"mix_stderr": False} if mixes else {})).invoke(main, args)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def run_and_approve(shop: Any) -> None:
    """Run the project and give the approval that its gate asks for."""
    shop.run()
    assert call("approve", "security", "--by", "alice", "--root", str(shop.root)).exit_code == 0


@pytest.fixture
def pending(copied_shop: Callable[..., Any]) -> Any:
    """A project whose gate waits for one approval."""
    return copied_shop(GATE)


@pytest.fixture
def green(copied_shop: Callable[..., Any]) -> Any:
    """A project whose gate is green."""
    return copied_shop(GATE, run_and_approve)


@pytest.fixture
def run(green: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """A function that calls a command in the folder of a project whose gate is green."""
    monkeypatch.chdir(green.root)
    return call


# Help --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_the_exit_status(command: str) -> None:
    """Nobody has to look elsewhere."""
    result = call(command, "--help")
    assert result.exit_code == 0
    assert "Example:\n" in result.output
    assert f"  pytest-phases {command} " in result.output.partition("Example:")[2]
    assert "Exit status: 0" in result.output


def test_the_list_of_commands_says_what_each_is_for() -> None:
    """In one line."""
    output = call("--help").output
    for words in ("Say whether this tree may be deployed.", "Approve the tree", "Take an approval back."):
        assert words in output


WRONG = {
    "an approval without a name": ("approve",),
    "a name too many": ("revoke", "one", "two"),
    "an option that is none": ("gate", "--force"),
    "a rootdir that is not there": ("gate", "--root", "/nowhere/at/all"),
    "an option without its value": ("gate", "--plan-from"),
}


@pytest.mark.parametrize("args", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_call_is_neither_yes_nor_no(args: tuple[str, ...]) -> None:
    """It has an exit status of its own, and nothing is printed to standard output."""
    result = call(*args)
    assert (result.exit_code, result.stdout) == (WRONG_CALL, "")
    assert "Error: " in result.stderr


# The gate ----------------------------------------------------------------------------------------


def test_a_green_gate_is_exit_status_0(run: Callable[..., Result]) -> None:
    """And one line."""
    result = run("gate")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "gate (Release): green\n", "")


def test_a_gate_that_is_not_green_is_exit_status_1_with_every_reason(pending: Any) -> None:
    """Each with what it makes of the decision."""
    pending.write("src/library.py", "A = 2\n")
    result = call("gate", "--root", str(pending.root))
    assert result.exit_code == NOT_GREEN
    assert result.stdout.splitlines() == [
        "gate (Release): incomplete",
        "  incomplete: the tree has changed since the run: src/library.py (changed); run again",
        "  pending: approval security: not given for this tree; `pytest-phases approve security` gives it",
    ]


def test_json_is_the_verdict_in_the_form_of_its_file(run: Callable[..., Result], green: Any) -> None:
    """With the same exit status."""
    result = run("gate", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads(
        (green.folder / "verdict.json").read_text(encoding="utf-8")
    )
    green.write("src/new.py", "")
    result = run("gate", "--json")
    assert result.exit_code == NOT_GREEN
    data = json.loads(result.stdout)
    assert data["decision"] == "incomplete"
    assert {"decision": "incomplete", "text": data["reasons"][0]["text"]} == data["reasons"][0]


def test_json_of_what_cannot_be_read_is_a_decision_with_its_reason(shop: Any) -> None:
    """Scripts find both where they always are."""
    result = call("gate", "--json", "--root", str(shop.root))
    assert result.exit_code == NOT_GREEN
    data = json.loads(result.stdout)
    assert data["decision"] == "incomplete"
    (reason,) = data["reasons"]
    assert "run `pytest` with the plan first" in reason["text"]


@needs_git
def test_the_gate_may_be_asked_of_a_commit_and_a_plan(shop: Any) -> None:
    """Both are git's words for it."""
    sha = shop.commit()
    shop.run()
    root = ("--root", str(shop.root))
    assert call("gate", "--expect-commit", sha, "--plan-from", "main", *root).exit_code == 0
    for args in (
        ("--expect-commit", "0" * 40),
        ("--expect-commit", ""),
        ("--plan-from", "gone"),
        ("--plan-from", ""),
    ):
        result = call("gate", *args, *root)
        assert result.exit_code == NOT_GREEN
        assert result.stdout.startswith("gate")
        assert "incomplete: " in result.stdout


def test_another_folder_of_evidence_may_be_named(green: Any) -> None:
    """Below the rootdir, or wherever it was brought."""
    elsewhere = green.root.parent / "artifacts"
    shutil.move(green.folder, elsewhere)
    root = ("--root", str(green.root))
    assert call("gate", *root).exit_code == NOT_GREEN
    assert call("gate", *root, "--phases-dir", str(elsewhere)).exit_code == 0
    assert call("revoke", "security", *root, "--phases-dir", str(elsewhere)).exit_code == 0
    assert not green.folder.exists()


# Approvals ---------------------------------------------------------------------------------------


def test_an_approval_says_who_gave_it_for_which_tree(pending: Any) -> None:
    """The beginning of the digest is enough for people."""
    result = call("approve", "security", "--by", "alice", "--note", "fine", "--root", str(pending.root))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("security: approved by alice for tree ")
    assert len(result.stdout.split()[-1]) == 12


def test_what_was_given_can_be_taken_back_once(run: Callable[..., Result]) -> None:
    """The second time there is none."""
    result = run("revoke", "security")
    assert (result.exit_code, result.stdout) == (0, "security: taken back\n")
    result = run("revoke", "security")
    assert (result.exit_code, result.stdout) == (USAGE_ERROR, "")
    assert result.stderr == "there is no approval `security` to take back; none was given\n"


def test_what_the_gate_does_not_ask_for_is_exit_status_4(run: Callable[..., Result]) -> None:
    """With the nearest name, on standard error."""
    result = run("approve", "securty", "--by", "alice")
    assert (result.exit_code, result.stdout) == (USAGE_ERROR, "")
    assert "did you mean `security`?" in result.stderr


def test_what_steers_a_terminal_is_spelled_out(pending: Any) -> None:
    """Names and reasons come from files and people."""
    result = call("approve", "security", "--by", "al\x1b[31mice", "--root", str(pending.root))
    assert "approved by al\\x1b[31mice" in result.stdout
    pending.sql("UPDATE run SET restricted = ?", "why\x1b[31m")
    assert "\\x1b[31m" in call("gate", "--root", str(pending.root)).stdout


# Damage ------------------------------------------------------------------------------------------


def remove(path: Path) -> None:
    """It is gone."""
    path.unlink()


def empty(path: Path) -> None:
    """Nothing is left in it."""
    path.write_bytes(b"")


def nonsense(path: Path) -> None:
    """It is of no format."""
    path.write_bytes(b"\xff\x00nonsense" * 100)


def half(path: Path) -> None:
    """It is cut in the middle."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def turn_into_folder(path: Path) -> None:
    """It is a folder."""
    path.unlink()
    path.mkdir()


FILES = ["phases.db", "verdict.json", "coverage/parts/0.part", "../plan.md", "../src/library.py"]
DAMAGES = [remove, empty, nonsense, half, turn_into_folder]
TO_DO = ("run ", "move it away", "correct", "save it", "write ", "name ")


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("file", FILES)
def test_no_damaged_file_leaves_the_gate_green_or_is_a_traceback(
    green: Any, file: str, damage: Callable[[Path], None]
) -> None:
    """Every reason says what to do."""
    damage(green.folder / file)
    result = call("gate", "--root", str(green.root))
    assert result.exit_code == NOT_GREEN
    reasons = [line for line in result.stdout.splitlines() if line.startswith("  ")]
    assert reasons
    for reason in reasons:
        assert any(words in reason for words in TO_DO), reason


@pytest.mark.parametrize(
    "damage", [remove, empty, nonsense, turn_into_folder], ids=lambda damage: damage.__name__
)
@pytest.mark.parametrize("command", ["approve", "revoke"])
@pytest.mark.parametrize("file", ["phases.db", "../plan.md"])
def test_no_damaged_file_is_a_traceback_of_an_approval(
    green: Any, file: str, command: str, damage: Callable[[Path], None]
) -> None:
    """It is exit status 4 with a message, on standard error, that names the file and what to do."""
    damage(green.folder / file)
    result = call(command, *COMMANDS[command], "--root", str(green.root))
    assert (result.exit_code, result.stdout) == (USAGE_ERROR, "")
    assert Path(file).name in result.stderr
    assert any(words in result.stderr for words in TO_DO), result.stderr


# No text, no name of a file, half a pair of surrogates, and numbers out of every range.
VALUES = ("", "\0", b"\xed\xa0\xbd", -1, 1e300)
COLUMNS = (
    "run.run_id run.plan_file run.commit run.tree run.expected_count run.versions run.changed run.made "
    "expected.name expected.kind phase.id phase.state phase.wave phase.seconds phase.tests phase.definition "
    "item.nodeid item.outcome item.attempt part.phase part.file part.sha256 figure.id figure.required "
    "figure.reached tree.path tree.stamp approval.name approval.tree approval.time approval.seal"
).split()


HARMLESS = ("tree.path", "tree.stamp", "item.attempt")
"""What only says which files have changed, where some have, and what attempts are called."""


@pytest.mark.parametrize("column", COLUMNS)
def test_no_value_in_the_database_is_a_traceback(green: Any, column: str) -> None:
    """Whoever put it there; most are never green either."""
    table, _, name = column.partition(".")
    database = green.folder / "phases.db"
    whole = database.read_bytes()
    for value in VALUES:
        green.sql(f'UPDATE OR REPLACE "{table}" SET "{name}" = ?', value)
        result = call("gate", "--root", str(green.root))
        assert result.stdout.startswith("gate")
        assert result.exit_code == NOT_GREEN or column in HARMLESS, (value, result.stdout)
        database.write_bytes(whole)
