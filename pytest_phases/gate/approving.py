"""Giving and taking back approvals, for the tree as it stands now."""

from __future__ import annotations

import getpass
import os
import subprocess
from pathlib import Path

from pytest_phases.errors import PhasesError
from pytest_phases.evidence import ApprovalRecord
from pytest_phases.gate import approvals
from pytest_phases.gate.again import Evidence
from pytest_phases.gate.approvals import ApprovalError
from pytest_phases.gate.look import excluded
from pytest_phases.gate.record import now
from pytest_phases.gate.tree import snapshot
from pytest_phases.plan.words import did_you_mean
from pytest_phases.state.database import NAME, Database


def approve(  # noqa: PLR0917 - each is an option of the command
    root: Path, folder: Path, name: str, by: str | None, note: str, key: Path | None
) -> ApprovalRecord:
    """Approve the tree at `root` as it stands now, signed if the gate asks for it.

    Raises PhasesError where that is not possible.
    """
    with _existing(folder) as database:
        evidence = Evidence.of(root, folder, database)
        required = evidence.rules.approvals
        if name not in required:
            asked = did_you_mean(name, required) if required else "write `approvals:` under the gate"
            raise ApprovalError(f"the gate of {evidence.plan.file} asks for no approval `{name}`; {asked}")
        if evidence.signers is not None and key is None:
            raise ApprovalError("this gate takes signed approvals alone; name your SSH key with --key PATH")
        tree = snapshot(root, excluded(root, folder)).digest
        record = approvals.make(name, by or _whoever(root), note, tree, now(), signer=key)
        problem = approvals.problem_with(record, tree, evidence.signers)
        if problem:
            raise ApprovalError(f"{problem}; nothing was written")
        database.approve(record)
        _write(root, folder, database)
    return record


def revoke(root: Path, folder: Path, name: str) -> None:
    """Take back every approval of this name; raises PhasesError if there is none."""
    with _existing(folder) as database:
        if not database.revoke(name):
            given = [record.name for record in database.approvals()]
            known = did_you_mean(name, given) if given else "none was given"
            raise ApprovalError(f"there is no approval `{name}` to take back; {known}")
        _write(root, folder, database)


def _existing(folder: Path) -> Database:
    """The database of a run; nothing is made where there was none."""
    Database.open(folder / NAME, read_only=True).close()
    return Database.open(folder / NAME, anew=False)


def _write(root: Path, folder: Path, database: Database) -> None:
    try:
        Evidence.of(root, folder, database).write()
    except OSError as error:
        raise PhasesError(
            f"the approvals have changed, but the verdict could not be written ({error}); "
            f"make {folder} writable and run again"
        ) from error


def _whoever(root: Path) -> str:
    """Who git says this is, else who the system says."""
    command = ["git", "-C", str(root), "config", "user.email"]
    try:
        found = os.fsdecode(subprocess.run(command, capture_output=True, check=False).stdout).strip()
    except OSError:
        found = ""
    try:
        return found or getpass.getuser()
    except (OSError, KeyError, ImportError) as error:  # a user that the system has no name for
        raise ApprovalError("nobody knows who you are; name yourself with --by WHO") from error
