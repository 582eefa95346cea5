"""Approvals: given for one tree, worthless for another, and signed where the plan says so."""

from __future__ import annotations

import shutil
import subprocess

import pytest

needs_ssh_keygen = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed"
)


@pytest.fixture(scope="module")
def shared_pending(make_project, tmp_path_factory):
    """The green project with a gate that wants an approval, after its run."""
    folder = tmp_path_factory.mktemp("approvals")
    project = make_project(folder / "shop")
    project.replace("plan.md", "### Gate: Release\n", "### Gate: Release\napprovals: [security]\n")
    project.commit()
    ran = project.run("-n0")
    assert ran.exit == 0
    assert "gate (Release): pending" in ran.output
    return project


@pytest.fixture
def pending(shared_pending, copy_of):
    """A project of the test's own of which only the approval is missing."""
    project = copy_of(shared_pending)
    gate = project.gate()
    assert (gate.exit, gate.decision) == (1, "pending")
    assert gate.reasons == (
        "approval security: not given for this tree; `pytest-phases approve security` gives it",
    )
    return project


@pytest.fixture
def approved(pending):
    """A project of the test's own whose gate is green with an approval."""
    assert pending.call("approve", "security", "--by", "alice", "--note", "looked at it")[0] == 0
    gate = pending.gate()
    assert (gate.exit, gate.decision) == (0, "green")
    return pending


def test_an_approval_is_given_and_taken_back(pending):
    """Pending, green, pending: the verdict on disk follows."""
    exit_status, said = pending.call("approve", "security", "--by", "alice", "--note", "looked at it")

    assert exit_status == 0
    assert said.startswith("security: approved by alice for tree ")
    assert pending.gate().decision == pending.verdict["decision"] == "green"
    (approval,) = pending.verdict["approvals"]
    assert (approval["by"], approval["note"], approval["signed"]) == ("alice", "looked at it", False)

    assert pending.call("revoke", "security") == (0, "security: taken back\n")
    assert pending.gate().decision == pending.verdict["decision"] == "pending"
    exit_status, said = pending.call("revoke", "security")
    assert exit_status == 4
    assert "there is no approval `security`" in said


def test_an_approval_of_the_same_tree_stays(approved):
    """The next run of the same tree needs no other approval."""
    ran = approved.run("-n0")

    assert (ran.exit, ran.gate) == (0, "gate (Release): green")
    assert approved.gate().decision == "green"


def test_an_approval_of_a_run_with_outputs(new_project):
    """An approval of the tree is good before and after the run has put its outputs there."""
    project = new_project()
    project.replace("plan.md", "### Gate: Release\n", "### Gate: Release\napprovals: [security]\n")
    project.replace("plan.md", "Testing: smoke\n", "Build: smoke\n")
    project.replace("plan.md", 'python -c "import library"', "echo built > built.txt")
    project.commit()
    assert project.run("-n0").exit == 0
    assert project.call("approve", "security")[0] == 0
    assert project.gate().decision == "green"

    project.git("clean", "-qf")

    assert project.gate().decision == "green"


def test_an_approval_of_another_tree_is_worthless(approved):
    """When a file has changed, even a complete run of the new tree waits for an approval of its own."""
    approved.replace("library.py", "2 * number", "number * 2")
    approved.commit()

    ran = approved.run("-n0")

    assert ran.exit == 0
    assert "gate (Release): pending" in ran.output
    gate = approved.gate()
    assert (gate.exit, gate.decision) == (1, "pending")
    assert gate.says("approval security: the approval by 'alice' was given for another tree")


def test_an_approval_of_a_tree_that_was_not_tested(approved):
    """Approving what has changed since the run does not make it tested."""
    approved.replace("library.py", "2 * number", "number * 2")
    assert approved.call("approve", "security", "--by", "alice")[0] == 0

    gate = approved.gate()

    assert (gate.exit, gate.decision) == (1, "incomplete")
    assert gate.says("the tree has changed since the run: library.py (changed)")


EDITED = {
    "who": "UPDATE approval SET by = 'bob'",
    "note": "UPDATE approval SET note = 'rejected'",
    "when": "UPDATE approval SET time = '2030-01-01T00:00:00+00:00'",
    "the seal": "UPDATE approval SET seal = 'x'",
    "the name": "UPDATE approval SET name = 'other'",
    "all of it": "DELETE FROM approval",
}


@pytest.mark.parametrize("statement", EDITED.values(), ids=EDITED)
def test_an_approval_that_was_edited_is_worthless(statement, approved):
    """An approval counts as it was given."""
    with approved.database() as connection:
        assert connection.execute(statement).rowcount == 1

    gate = approved.gate()

    assert gate.exit == 1
    assert gate.decision in ("pending", "incomplete")
    assert gate.says("approval security: ")


def test_an_approval_that_is_copied_from_another_tree_is_worthless(approved):
    """A row that is bound to another tree by hand was altered."""
    approved.replace("library.py", "2 * number", "number * 2")
    approved.commit()
    assert approved.run("-n0").exit == 0
    with approved.database() as connection:
        connection.execute("UPDATE approval SET tree = ?", (approved.verdict["tree"]["sha256"],))

    gate = approved.gate()

    assert gate.exit == 1
    assert gate.says("approval security: the approval by 'alice' was altered")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("securty", "asks for no approval `securty`", id="misspelled"),
        pytest.param("", "asks for no approval ``", id="empty"),
    ],
)
def test_an_approval_that_nobody_asks_for_is_refused(name, said, pending):
    """A name that the gate does not know is a mistake."""
    exit_status, output = pending.call("approve", name)

    assert exit_status == 4
    assert said in output
    assert pending.gate().decision == "pending"


def test_nothing_can_be_approved_before_a_run(new_project):
    """Without a run there is nothing to approve, and no traceback."""
    project = new_project()

    for command in ("approve", "revoke"):
        exit_status, output = project.call(command, "security")
        assert exit_status == 4
        assert output


# Signed -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared_signed(make_project, tmp_path_factory):
    """A project that takes signatures of alice's key alone, after its run; the keys lie beside it."""
    folder = tmp_path_factory.mktemp("signed")
    for who in ("alice", "mallory"):
        line = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / who)]
        subprocess.run(line, check=True)
    project = make_project(folder / "shop")
    keys = "### Gate: Release\napprovals: [security]\napprovals_signers: allowed_signers\n"
    project.replace("plan.md", "### Gate: Release\n", keys)
    project.write({"allowed_signers": f"alice {(folder / 'alice.pub').read_text()}"})
    project.commit()
    assert project.run("-n0").exit == 0
    return project


@pytest.fixture
def signed(shared_signed, copy_of):
    """A project of the test's own that waits for alice's signature."""
    project = copy_of(shared_signed)
    assert project.gate().decision == "pending"
    return project


@pytest.fixture
def keys(shared_signed):
    """The folder of the keys."""
    return shared_signed.path.parent


@needs_ssh_keygen
def test_a_signed_approval_is_green(signed, keys):
    """Alice signs with the key that the file lists for her."""
    exit_status, said = signed.call("approve", "security", "--by", "alice", "--key", str(keys / "alice"))

    assert exit_status == 0
    assert said.endswith(", signed\n")
    gate = signed.gate()
    assert (gate.exit, gate.decision) == (0, "green")
    assert gate.data["approvals"][0]["signed"] is True


REFUSED = {
    "unsigned": (("--by", "alice"), "takes signed approvals alone"),
    "signed with another key": (("--by", "alice", "--key", "mallory"), "does not list for 'alice'"),
    "signed by somebody who is not listed": (
        ("--by", "mallory", "--key", "mallory"),
        "does not list for 'mallory'",
    ),
    "signed in another name": (("--by", "bob", "--key", "alice"), "does not list for 'bob'"),
    "signed with no key": (("--by", "alice", "--key", "nobody"), "no such key"),
}


@needs_ssh_keygen
@pytest.mark.parametrize(("args", "said"), REFUSED.values(), ids=REFUSED)
def test_an_approval_that_is_not_rightly_signed_is_refused(args, said, signed, keys):
    """The command refuses it with the reason, and nothing is written."""
    words = [
        str(keys / word) if before == "--key" else word
        for before, word in zip(("", *args), args, strict=False)
    ]

    exit_status, output = signed.call("approve", "security", *words)

    assert exit_status == 4
    assert said in output
    assert signed.gate().decision == "pending"
    with signed.database() as connection:
        assert connection.execute("SELECT count(*) FROM approval").fetchone() == (0,)


SLIPPED_IN = {
    "unsigned": ("UPDATE approval SET signature = ''", "is not signed"),
    "in another name": ("UPDATE approval SET by = 'bob'", "was altered"),
    "with a signature of nothing": (
        "UPDATE approval SET signature = 'x'",
        "has a signature that is not of its text",
    ),
}


@needs_ssh_keygen
@pytest.mark.parametrize(("statement", "said"), SLIPPED_IN.values(), ids=SLIPPED_IN)
def test_a_signed_approval_that_was_altered_is_refused(statement, said, signed, keys):
    """Whoever can write the database cannot sign."""
    assert signed.call("approve", "security", "--by", "alice", "--key", str(keys / "alice"))[0] == 0
    assert signed.gate().decision == "green"
    with signed.database() as connection:
        connection.execute(statement)

    gate = signed.gate()

    assert gate.exit == 1
    assert gate.says("approval security: the approval by", said), gate.reasons


@needs_ssh_keygen
def test_another_file_of_signers_is_another_tree(signed, keys):
    """Whoever adds a key of their own to the file changes the tree that was tested."""
    signed.write({"allowed_signers": f"mallory {(keys / 'mallory.pub').read_text()}"})
    assert signed.call("approve", "security", "--by", "mallory", "--key", str(keys / "mallory"))[0] == 0

    gate = signed.gate()

    assert (gate.exit, gate.decision) == (1, "incomplete")
    assert gate.says("the tree has changed since the run: allowed_signers (changed)")
