"""Approvals count for one tree, as they were given, and where signers are named, by those alone."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pytest_phases.evidence import ApprovalRecord
from pytest_phases.gate.approvals import NAMESPACE, ApprovalError, check, make, problem_with, text_of

TREE, OTHER = "1f" * 32, "2e" * 32
TIME = "2025-01-02T03:04:05Z"
QUEER = "a 'name' with \"quotes\",\nlines, \0, 😀 and \udce9"

needs_ssh_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is missing")


@dataclass(frozen=True)
class Keys:
    """SSH keys in a folder, and a file that allows alice to sign with hers."""

    folder: Path

    @property
    def signers(self) -> Path:
        """The file of allowed signers."""
        return self.folder / "allowed_signers"

    def new(self, name: str, passphrase: str = "") -> Path:
        """Make a key; the path of its private half."""
        file = self.folder / name
        line = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(file)]
        subprocess.run(line, check=True)
        return file

    def allow(self, key: Path, who: str = "alice", options: str = "") -> None:
        """Let the file of allowed signers name this key alone."""
        public = key.with_suffix(".pub").read_text(encoding="utf-8")
        self.signers.write_text(f"{who} {options} {public}", encoding="utf-8")


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """A folder for keys."""
    return Keys(tmp_path)


@pytest.fixture
def alice(keys: Keys) -> Path:
    """The key that the file of allowed signers lists for alice."""
    key = keys.new("alice")
    keys.allow(key)
    return key


@pytest.fixture
def no_tty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask nobody for a passphrase, whoever runs the tests."""
    monkeypatch.setenv("SSH_ASKPASS", "false")
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")


@pytest.fixture
def no_ssh_keygen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A function after which no program is found on the PATH."""
    return lambda: monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))


def given(signer: Path | None = None, **changed: str) -> ApprovalRecord:
    """An approval by alice for TREE."""
    fields = {"name": "security", "by": "alice", "note": "looked", "tree": TREE, "time": TIME}
    return make(**(fields | changed), signer=signer)


# The text --------------------------------------------------------------------------------------


def test_the_text_is_stable() -> None:
    """What is signed today is verified by later versions: the text is written here once and for all."""
    assert text_of("security", "alice", 'a "note"\n', TREE, TIME) == (
        b'{"by": "alice", "name": "security", "note": "a \\"note\\"\\n", '
        b'"time": "2025-01-02T03:04:05Z", "tree": "' + TREE.encode() + b'"}'
    )


def test_different_approvals_have_different_texts() -> None:
    """No choice of fields looks like another, whatever separators and odd characters they contain."""
    words = ["", "a", "b", 'a", "name": "b', "a\nb", "a\\nb", "\0", "😀", "\ud83d\ude00", "\udce9", "\\udce9"]
    texts = {text_of(*fields, TREE, TIME) for fields in itertools.product(words, repeat=3)}
    assert len(texts) == len(words) ** 3


# Without signers -------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["plain", QUEER, ""], ids=["plain", "queer", "empty"])
def test_an_approval_counts_for_its_tree(words: str) -> None:
    """An approval as it was given has no problem, whatever its texts contain."""
    approval = given(name=words, by=words, note=words)
    assert (approval.name, approval.by, approval.note, approval.signature) == (words, words, words, "")
    assert problem_with(approval, TREE, None) == ""


def test_an_approval_is_worthless_for_another_tree() -> None:
    """Once a file has changed, the approval is for another tree, and both are named."""
    problem = problem_with(given(), OTHER, None)
    assert problem == (
        "the approval by 'alice' was given for another tree ('1f1f1f1f1f1f', this one is '2e2e2e2e2e2e'); "
        "this one needs an approval of its own"
    )


def test_a_tree_without_digest_cannot_be_approved() -> None:
    """An approval for nothing does not count for a tree of which nothing is known."""
    assert "another tree" in problem_with(given(tree=""), "", None)


@pytest.mark.parametrize("field", ["name", "by", "note", "tree", "time", "seal"])
def test_an_altered_approval_is_refused(field: str) -> None:
    """Whichever field was edited, the seal does not fit; above all not if the tree was."""
    altered = replace(given(tree=OTHER), **{field: TREE})
    assert problem_with(altered, TREE, None) == (
        f"the approval by {altered.by!r} was altered after it was given; it must be given anew"
    )


# With signers ----------------------------------------------------------------------------------


@needs_ssh_keygen
class TestSigned:
    """Approvals that must be signed."""

    @pytest.mark.parametrize("words", ["plain", QUEER], ids=["plain", "queer"])
    def test_a_signed_approval_counts(self, keys: Keys, alice: Path, words: str) -> None:
        """A signature of a listed key is accepted, whatever name and note contain."""
        assert problem_with(given(alice, name=words, note=words), TREE, keys.signers) == ""

    def test_a_public_key_beside_its_private_half_signs(self, keys: Keys, alice: Path) -> None:
        """The public half may be named instead of the private one."""
        assert problem_with(given(alice.with_suffix(".pub")), TREE, keys.signers) == ""

    @pytest.mark.parametrize(
        ("who", "options"),
        [
            ("alice", f'namespaces="{NAMESPACE}"'),
            ("alice", f'namespaces="git,{NAMESPACE}"'),
            ("bob,alice", ""),
            ("ali*", 'valid-after="20200101"'),
        ],
    )
    def test_the_file_may_restrict_its_signers(self, keys: Keys, alice: Path, who: str, options: str) -> None:
        """Namespaces, lists, patterns and times that admit alice's key do so."""
        keys.allow(alice, who, options)
        assert problem_with(given(alice), TREE, keys.signers) == ""

    @pytest.mark.parametrize(
        ("who", "options"),
        [
            ("alice", 'namespaces="git"'),
            ("alice", 'valid-before="20200101"'),
            ("bob", ""),
            ("!alice,*", ""),
            ("alic", ""),
        ],
    )
    def test_restrictions_that_exclude_refuse(self, keys: Keys, alice: Path, who: str, options: str) -> None:
        """A key that is listed for another purpose, time or person is refused."""
        keys.allow(alice, who, options)
        problem = problem_with(given(alice), TREE, keys.signers)
        assert problem.startswith("the approval by 'alice' is signed with a key that ")
        assert f"{keys.signers} does not list for 'alice' and {NAMESPACE}: " in problem

    def test_an_unsigned_approval_is_refused(self, keys: Keys, alice: Path) -> None:
        """A seal without a signature is not enough."""
        assert problem_with(given(), TREE, keys.signers) == (
            "the approval by 'alice' is not signed; the project asks for a signature, "
            "so it must be given with a key"
        )

    def test_a_foreign_key_is_refused(self, keys: Keys, alice: Path) -> None:
        """Whoever says to be alice and signs with another key is refused."""
        problem = problem_with(given(keys.new("mallory")), TREE, keys.signers)
        assert "does not list for 'alice'" in problem

    @pytest.mark.parametrize("by", ["bob", "", "*", "-n", "alice,bob", "alice\n", "\0", "\udce9", "ali?e"])
    def test_a_listed_key_speaks_for_nobody_else(self, keys: Keys, alice: Path, by: str) -> None:
        """Alice's key cannot approve as somebody else, nor as a pattern or an option."""
        assert problem_with(given(alice, by=by), TREE, keys.signers) != ""

    @pytest.mark.parametrize("field", ["name", "by", "note", "tree", "time"])
    def test_a_sealed_forgery_is_refused(self, keys: Keys, alice: Path, field: str) -> None:
        """Who edits a field and makes a fitting seal still lacks the signature."""
        keys.allow(alice, "*")
        forged = given(**{field: TREE})
        signed = given(alice, **({"tree": OTHER} if field == "tree" else {}))
        assert "has a signature that is not of its text" in problem_with(
            replace(forged, signature=signed.signature), TREE, keys.signers
        )

    @pytest.mark.parametrize(
        "alter",
        [
            pytest.param(lambda text: text.replace(text[100:104], "AAAA", 1), id="edited"),
            pytest.param(lambda text: text[: len(text) // 2], id="cut off"),
            pytest.param(lambda text: "yes", id="a word"),
            pytest.param(lambda text: "\udce9\0", id="noise"),
        ],
    )
    def test_an_altered_signature_is_refused(
        self, keys: Keys, alice: Path, alter: Callable[[str], str]
    ) -> None:
        """What is no signature of the text is refused."""
        approval = given(alice)
        altered = replace(approval, signature=alter(approval.signature))
        assert altered != approval
        assert "has a signature that is not of its text" in problem_with(altered, TREE, keys.signers)

    def test_a_signature_for_another_purpose_is_refused(self, keys: Keys, alice: Path) -> None:
        """What alice signed for another program, even the same text, is no approval."""
        text = text_of("security", "alice", "looked", TREE, TIME)
        line = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", str(alice)]
        signature = subprocess.run(line, input=text, capture_output=True, check=True).stdout.decode()
        assert "not of its text" in problem_with(replace(given(), signature=signature), TREE, keys.signers)

    def test_a_signed_approval_is_worthless_for_another_tree(self, keys: Keys, alice: Path) -> None:
        """A signature does not carry over to a tree that changed."""
        assert "another tree" in problem_with(given(alice), OTHER, keys.signers)

    def test_no_program_no_approval(self, keys: Keys, alice: Path, no_ssh_keygen: Callable[[], None]) -> None:
        """Where nothing can verify, nothing is accepted, and the message says what is missing."""
        approval = given(alice)
        no_ssh_keygen()
        problem = problem_with(approval, TREE, keys.signers)
        assert problem.startswith("the approval by 'alice' cannot be verified (")
        assert "ssh-keygen" in problem

    @pytest.mark.parametrize("name", ["missing", "."])
    def test_a_list_that_cannot_be_read_allows_nobody(self, keys: Keys, alice: Path, name: str) -> None:
        """A file of allowed signers that is missing, or a folder, refuses every approval."""
        signers = keys.folder / name
        problem = problem_with(given(alice), TREE, signers)
        assert problem.startswith(f"the approval by 'alice' cannot be verified: {signers}, ")
        assert "cannot be read (" in problem

    def test_an_empty_list_allows_nobody(self, keys: Keys, alice: Path) -> None:
        """A file of allowed signers without a line refuses every approval."""
        keys.signers.write_text("# nobody yet\n", encoding="utf-8")
        assert "does not list" in problem_with(given(alice), TREE, keys.signers)


# Keys that cannot sign -------------------------------------------------------------------------


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    """The path of a key must name a file."""
    with pytest.raises(ApprovalError, match=r"nokey: no such key; name the file of a private SSH key"):
        given(tmp_path / "nokey")


def test_signing_needs_the_program(tmp_path: Path, no_ssh_keygen: Callable[[], None]) -> None:
    """Without ssh-keygen the message says to install it or to approve without a key."""
    (tmp_path / "key").touch()
    no_ssh_keygen()
    with pytest.raises(ApprovalError, match=r"ssh-keygen cannot be started .*; install OpenSSH"):
        given(tmp_path / "key")


@needs_ssh_keygen
class TestRefusedKeys:
    """Keys that ssh-keygen does not sign with."""

    def test_others_can_read_it(self, alice: Path) -> None:
        """A private key with loose permissions is refused with the reason in one line."""
        alice.chmod(0o644)
        with pytest.raises(ApprovalError, match=r"alice: the key cannot sign: .*Permissions 0644") as caught:
            given(alice)
        assert "\n" not in str(caught.value)
        assert "@@" not in str(caught.value)

    def test_it_is_no_key(self, keys: Keys) -> None:
        """A file that is no key is refused."""
        (keys.folder / "letter").write_text("Dear Bob", encoding="utf-8")
        (keys.folder / "letter").chmod(0o600)
        with pytest.raises(ApprovalError, match=r"letter: the key cannot sign: "):
            given(keys.folder / "letter")

    def test_nobody_knows_its_passphrase(self, keys: Keys, no_tty: None) -> None:
        """A key that cannot be opened is refused."""
        with pytest.raises(ApprovalError, match=r"locked: the key cannot sign: "):
            given(keys.new("locked", "secret"))

    def test_no_agent_holds_its_private_half(
        self, keys: Keys, alice: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A public key alone cannot sign."""
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        alice.unlink()
        with pytest.raises(ApprovalError, match=r"alice\.pub: the key cannot sign: "):
            given(alice.with_suffix(".pub"))


@pytest.fixture
def agent(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A running ssh-agent without keys."""
    if not (shutil.which("ssh-agent") and shutil.which("ssh-add")):
        pytest.skip("ssh-agent is missing")
    socket = tmp_path_factory.mktemp("a") / "s"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it listens
        monkeypatch.setenv("SSH_AUTH_SOCK", os.fspath(socket))
        yield
        process.terminate()


@needs_ssh_keygen
@pytest.mark.usefixtures("agent")
def test_an_agent_signs_for_a_public_key(keys: Keys, alice: Path) -> None:
    """The private half may be with an agent and nowhere else."""
    subprocess.run(["ssh-add", "-q", str(alice)], check=True)
    alice.unlink()
    assert problem_with(given(alice.with_suffix(".pub")), TREE, keys.signers) == ""


# Which names are approved ----------------------------------------------------------------------


def test_names_without_an_approval_are_left_out() -> None:
    """Only required names under which something was given are answered, in the order required, once."""
    records = [given(name="review"), given(name="security"), given(name="unasked")]
    required = ["security", "legal", "review", "security"]
    assert check(required, records, TREE, None) == (("security", ""), ("review", ""))


def test_a_revoked_approval_is_missing() -> None:
    """An approval that is no more there is as if it had not been given."""
    records = [given()]
    assert check(["security"], records, TREE, None) == (("security", ""),)
    records.clear()
    assert check(["security"], records, TREE, None) == ()


@pytest.mark.parametrize("newest_first", [False, True])
def test_one_approval_that_counts_is_enough(newest_first: bool) -> None:
    """A worthless approval hides no good one, whichever was given later."""
    good = given(by="bob", time="2025-01-01T00:00:00Z")
    bad = given(tree=OTHER)
    records = [bad, good] if newest_first else [good, bad]
    assert check(["security"], records, TREE, None) == (("security", ""),)


def test_of_several_problems_the_latest_is_told() -> None:
    """If none counts, the problem is that of the approval given last, wherever it stands."""
    latest = given(by="bob", tree=OTHER, time="2025-06-01T00:00:00Z")
    records = [latest, replace(given(), note="edited")]
    ((name, problem),) = check(["security"], records, TREE, None)
    assert (name, problem) == ("security", problem_with(latest, TREE, None))


@needs_ssh_keygen
def test_signers_are_asked_for_every_name(keys: Keys, alice: Path) -> None:
    """With a file of allowed signers, each name needs a signature of its own."""
    records = [given(alice), given(name="review")]
    answer = dict(check(["security", "review"], records, TREE, keys.signers))
    assert answer["security"] == ""
    assert "is not signed" in answer["review"]
