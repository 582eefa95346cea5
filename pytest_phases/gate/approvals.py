"""Approvals: each is bound to the digest of one tree, sealed, and signed with an SSH key where asked for.

The seal shows that an approval was altered by mistake. Only a signature, checked against a file of
allowed signers, shows who gave it: whoever can write the database can make a seal.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_phases.errors import PhasesError
from pytest_phases.evidence import ApprovalRecord

NAMESPACE = "pytest-phases-approval"
"""What signatures are made for; a file of allowed signers may permit a key for this alone."""


class ApprovalError(PhasesError):
    """An approval cannot be given: what is wrong, and what to do."""


def text_of(name: str, by: str, note: str, tree: str, time: str) -> bytes:
    """What is sealed and signed: JSON with sorted keys in UTF-8, different for any two approvals.

    Characters stand for themselves, so that a surrogate pair is not the character it would stand for.
    """
    fields = {"name": name, "by": by, "note": note, "tree": tree, "time": time}
    return json.dumps(fields, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")


def make(name: str, by: str, note: str, tree: str, time: str, *, signer: Path | None) -> ApprovalRecord:
    """An approval that is given at `time` (ISO 8601, UTC) for the tree with digest `tree`.

    `signer` is the path of a private key, or of a public key whose private half an ssh-agent holds;
    ApprovalError if it cannot sign.
    """
    text = text_of(name, by, note, tree, time)
    signature = _sign(text, signer) if signer is not None else ""
    return ApprovalRecord(name, by, note, tree, time, signature, hashlib.sha256(text).hexdigest())


def problem_with(record: ApprovalRecord, tree: str, signers: Path | None) -> str:
    """Why an approval does not count for exactly this tree, as a sentence; empty if it does.

    With `signers`, an OpenSSH file of allowed signers, it must be signed by a key that the file lists
    for `record.by`.
    """
    text = text_of(record.name, record.by, record.note, record.tree, record.time)
    who = f"the approval by {record.by!r}"
    if record.seal != hashlib.sha256(text).hexdigest():
        return f"{who} was altered after it was given; it must be given anew"
    if not tree or record.tree != tree:
        return (
            f"{who} was given for another tree ({record.tree[:12]!r}, this one is {tree[:12]!r}); "
            "this one needs an approval of its own"
        )
    problem = _problem_with_signature(record, text, signers) if signers is not None else ""
    return f"{who} {problem}" if problem else ""


def check(
    required: Sequence[str], records: Sequence[ApprovalRecord], tree: str, signers: Path | None
) -> tuple[tuple[str, str], ...]:
    """Each required name under which an approval was given, with the problem with it.

    The problem is empty if one of them counts for this tree, else that with the latest. A name under
    which none was given is not in the answer.
    """
    return tuple(
        (name, _problem_with_all(given, tree, signers))
        for name in dict.fromkeys(required)
        if (given := [record for record in records if record.name == name])
    )


def _problem_with_all(records: Sequence[ApprovalRecord], tree: str, signers: Path | None) -> str:
    first = ""
    for record in sorted(records, key=lambda each: each.time, reverse=True):
        problem = problem_with(record, tree, signers)
        if not problem:
            return ""
        first = first or problem
    return first


def _sign(text: bytes, signer: Path) -> str:
    if not signer.is_file():
        raise ApprovalError(
            f"{signer}: no such key; name the file of a private SSH key, "
            "or of a public one whose private half an ssh-agent holds"
        )
    try:
        done = _ssh_keygen("sign", "-f", str(signer), text=text)
    except OSError as error:
        raise ApprovalError(
            f"ssh-keygen cannot be started ({error.strerror}); install OpenSSH 8.2 or later, "
            "or approve without a key"
        ) from error
    if done.returncode != 0:
        raise ApprovalError(
            f"{signer}: the key cannot sign: {_said(done)}; name a private SSH key that only you can read, "
            "with its passphrase, or a public one whose private half an ssh-agent holds"
        )
    return done.stdout.decode("ascii", "replace")


def _problem_with_signature(record: ApprovalRecord, text: bytes, signers: Path) -> str:
    if not record.signature:
        return "is not signed; the project asks for a signature, so it must be given with a key"
    try:
        signers.read_bytes()
    except OSError as error:
        return (
            f"cannot be verified: {signers}, the file of allowed signers, cannot be read ({error.strerror})"
        )
    try:
        with TemporaryDirectory(prefix="pytest-phases-") as folder:
            file = Path(folder) / "signature"
            file.write_bytes(record.signature.encode("utf-8", "surrogatepass"))
            return _verified(record.by, text, file, signers)
    except OSError as error:
        return f"cannot be verified ({error}); that takes OpenSSH 8.2 or later and a temporary folder"


def _verified(by: str, text: bytes, file: Path, signers: Path) -> str:
    if not by.isprintable():
        return f"names nobody whom {signers} could list"
    listed = _ssh_keygen("verify", "-f", str(signers), "-I", by, "-s", str(file), text=text)
    if listed.returncode == 0:
        return ""
    # Why it was refused is asked of a command of its own, whatever the words of this version.
    intact = _ssh_keygen("check-novalidate", "-s", str(file), text=text)
    if intact.returncode != 0:
        return "has a signature that is not of its text; it must be given and signed anew"
    return f"is signed with a key that {signers} does not list for {by!r} and {NAMESPACE}: {_said(listed)}"


def _ssh_keygen(command: str, *arguments: str, text: bytes) -> subprocess.CompletedProcess[bytes]:
    line = ["ssh-keygen", "-Y", command, "-n", NAMESPACE, *arguments]
    return subprocess.run(line, input=text, capture_output=True, check=False)


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    """What ssh-keygen printed as an error, in one line and without frames."""
    lines = (done.stderr or done.stdout).decode("utf-8", "replace").splitlines()
    return (
        " ".join(line.strip() for line in lines if line.strip() and not line.startswith("@"))
        or "it gives no reason"
    )
