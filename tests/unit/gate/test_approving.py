"""Giving approvals and taking them back, for the tree as it stands now."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.errors import PhasesError
from pytest_phases.events import Decision
from pytest_phases.evidence import ApprovalRecord
from pytest_phases.gate.approving import approve, revoke
from pytest_phases.state.database import Database

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def pending(copied_shop: Callable[..., Any]) -> Any:
    """A project whose gate waits for two approvals."""
    return copied_shop("approvals: [security, code-review]\n")


def give(
    shop: Any, name: str = "security", by: str | None = "alice", key: Path | None = None
) -> ApprovalRecord:
    """Approve the tree as it stands now."""
    return approve(shop.root, shop.folder, name, by, "looked at it", key)


def given(shop: Any) -> list[tuple[str, str]]:
    """Every approval by its name and who gave it."""
    with Database.open(shop.folder / "phases.db", read_only=True) as database:
        return [(each.name, each.by) for each in database.approvals()]


# Giving ------------------------------------------------------------------------------------------


def test_with_every_approval_the_gate_is_green(pending: Any) -> None:
    """And verdict.json says so at once."""
    assert pending.judge().decision is Decision.PENDING
    give(pending)
    assert pending.reasons() == [
        "approval code-review: not given for this tree; `pytest-phases approve code-review` gives it"
    ]
    record = give(pending, "code-review", "bob")
    assert (record.by, record.note, record.signature) == ("bob", "looked at it", "")
    assert pending.judge().decision is Decision.GREEN
    assert given(pending) == [("security", "alice"), ("code-review", "bob")]


def test_an_approval_is_worthless_once_a_file_changes(pending: Any) -> None:
    """It counts again when the file is what it was."""
    give(pending)
    give(pending, "code-review")
    source = (pending.root / "src" / "library.py").read_text(encoding="utf-8")
    pending.write("src/library.py", "A = 2\n")
    pending.run("r2")
    assert pending.judge().decision is Decision.PENDING
    assert all("was given for another tree" in reason for reason in pending.reasons())
    pending.write("src/library.py", source)
    pending.run("r3")
    assert pending.judge().decision is Decision.GREEN


def test_an_approval_of_another_tree_than_was_tested_does_not_count(pending: Any) -> None:
    """It is for the tree at the moment at which it is given."""
    source = (pending.root / "src" / "library.py").read_text(encoding="utf-8")
    pending.write("src/library.py", "A = 2\n")
    give(pending)
    give(pending, "code-review")
    pending.write("src/library.py", source)
    assert pending.judge().decision is Decision.PENDING
    assert all("was given for another tree" in reason for reason in pending.reasons())


REFUSED = {
    "a name that the gate does not ask for": ("coffee", "known are `security`, `code-review`"),
    "a name that is mistyped": ("securty", "did you mean `security`?"),
    "a name in another case": ("Security", "did you mean `security`?"),
    "no name": ("", "known are `security`, `code-review`"),
}


@pytest.mark.parametrize(("name", "advice"), REFUSED.values(), ids=REFUSED.keys())
def test_what_the_gate_does_not_ask_for_cannot_be_given(pending: Any, name: str, advice: str) -> None:
    """The names that it asks for are said."""
    with pytest.raises(PhasesError, match="asks for no approval") as raised:
        give(pending, name)
    assert str(raised.value) == f"the gate of plan.md asks for no approval `{name}`; {advice}"
    assert given(pending) == []


def test_a_gate_that_asks_for_none_says_where_to_ask(shop: Any) -> None:
    """The key of the plan."""
    shop.run()
    with pytest.raises(PhasesError, match="write `approvals:` under the gate"):
        give(shop)


def test_a_gate_with_signers_takes_no_other_approval(shop: Any) -> None:
    """It is said how to sign."""
    keys = "approvals: [security]\napprovals_signers: signers\n"
    shop.replace("plan.md", "Gate: Release\n", f"Gate: Release\n{keys}")
    shop.write("signers", "alice\n")
    shop.run()
    with pytest.raises(PhasesError, match="name your SSH key with --key PATH"):
        give(shop)
    with pytest.raises(PhasesError, match="no such key; name the file of a private SSH key"):
        give(shop, key=shop.root / "gone")
    assert given(shop) == []


# Who it is ---------------------------------------------------------------------------------------


@needs_git
@pytest.mark.parametrize(
    ("email", "by"),
    [(b"alice@example.org", "alice@example.org"), (b"caf\xe9", "caf\udce9")],
    ids=["UTF-8", "not UTF-8"],
)
def test_git_says_who_it_is_where_nobody_else_does(pending: Any, email: bytes, by: str) -> None:
    """In whatever bytes."""
    pending.git("init", "--quiet")
    with (pending.root / ".git" / "config").open("ab") as file:
        file.write(b'[user]\n\temail = "%s"\n' % email)
    assert give(pending, by=None).by == by


@pytest.fixture
def no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No program is found on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("no_git")
def test_else_the_system_does(pending: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of the user."""
    monkeypatch.setattr("getpass.getuser", lambda: "somebody")
    assert give(pending, by=None).by == "somebody"


@pytest.mark.usefixtures("no_git")
@pytest.mark.parametrize("error", [KeyError, OSError, ImportError])
def test_where_nobody_knows_it_is_asked_for(
    pending: Any, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """A container may run as a user without a name; Pythons tell that in different ways."""

    def getuser() -> str:
        raise error

    monkeypatch.setattr("getpass.getuser", getuser)
    with pytest.raises(PhasesError, match="name yourself with --by WHO"):
        give(pending, by=None)
    assert given(pending) == []


# Taking back -------------------------------------------------------------------------------------


def test_what_is_taken_back_is_missing_again(pending: Any) -> None:
    """Whoever gave it, and verdict.json says so at once."""
    for by in ("alice", "bob"):
        give(pending, by=by)
    give(pending, "code-review")
    revoke(pending.root, pending.folder, "security")
    assert given(pending) == [("code-review", "alice")]
    assert pending.judge().decision is Decision.PENDING
    assert pending.reasons() == [
        "approval security: not given for this tree; `pytest-phases approve security` gives it"
    ]


def test_what_was_not_given_cannot_be_taken_back(pending: Any) -> None:
    """The names that were given are said."""
    with pytest.raises(PhasesError, match="there is no approval `security` to take back; none was given"):
        revoke(pending.root, pending.folder, "security")
    give(pending)
    with pytest.raises(PhasesError, match=r"take back; did you mean `security`\?"):
        revoke(pending.root, pending.folder, "secutity")
    assert given(pending) == [("security", "alice")]


# What is in the way ------------------------------------------------------------------------------


def take(shop: Any) -> None:
    """Take an approval back."""
    revoke(shop.root, shop.folder, "security")


@pytest.mark.parametrize("command", [give, take], ids=["approve", "revoke"])
def test_without_a_run_there_is_nothing_to_approve(shop: Any, command: Callable[[Any], object]) -> None:
    """And nothing is made: perhaps this is the wrong folder."""
    with pytest.raises(PhasesError, match="does not exist; run `pytest` with the plan first"):
        command(shop)
    assert not shop.folder.exists()


@pytest.mark.parametrize("command", [give, take], ids=["approve", "revoke"])
def test_a_verdict_that_cannot_be_written_is_told(pending: Any, command: Callable[[Any], object]) -> None:
    """With what was done and what to do; the gate does not believe the old one."""
    give(pending)
    verdict = pending.folder / "verdict.json"
    verdict.unlink()
    verdict.mkdir()
    with pytest.raises(
        PhasesError, match=r"the verdict could not be written .*; make .* writable and run again"
    ):
        command(pending)
    assert pending.judge().decision is not Decision.GREEN


def test_a_plan_that_cannot_be_read_gives_no_approval(pending: Any) -> None:
    """Nobody knows what its gate asks for."""
    pending.write("plan.md", "### Phase 1: A\ncoverage: many\n")
    with pytest.raises(PhasesError, match=r"plan\.md:2: "):
        give(pending)
    assert given(pending) == []
