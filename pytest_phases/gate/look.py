"""Looking at what is there: the evidence on disk, the approvals, and the tree as it stands now."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_phases.evidence import ApprovalRecord, PartRecord, Recorded, RunRecord, TreeEntry
from pytest_phases.gate import approvals
from pytest_phases.gate.rules import Found, Rules
from pytest_phases.gate.statement import STATEMENT, VERDICT
from pytest_phases.gate.tree import Tree, differences
from pytest_phases.model import Plan
from pytest_phases.state.database import NAME
from pytest_phases.state.live import LOCKS, STATUS
from pytest_phases.state.runlock import HOLDER, LOCK

PARTS = "coverage/parts"
"""Where the parts of coverage data lie, below `.phases`, in a folder for each run."""

COVERAGE_DATA = "coverage/phases.coverage"
"""Where the combined coverage data lies, below `.phases`."""

LEFT_BY_RUNS = (
    *(".gitignore", STATUS, LOCKS, LOCK, HOLDER, f"{HOLDER}.new", "logs", "nested", "interrupted", "running"),
    *(PARTS, COVERAGE_DATA),
    *(NAME, f"{NAME}-wal", f"{NAME}-shm", f"{NAME}-journal", VERDICT, STATEMENT),
)
"""What runs write below `.phases`; what else lies in a folder like `reports` is a part of the project."""


def look(
    recorded: Recorded, rules: Rules, folder: Path, given: Sequence[ApprovalRecord], signers: Path | None
) -> Found:
    """What there is of a run: `folder` is `.phases`, `given` are all approvals there are."""
    expected = {folder / part.file for part in recorded.parts}
    own = (folder / PARTS / recorded.run.run_id).glob("*")
    surplus = sorted(path.name for path in own if path not in expected)
    return Found(
        parts=tuple((part.phase, part.worker, _problem_with(part, folder)) for part in recorded.parts),
        surplus=tuple(surplus),
        changed=recorded.run.changed,
        approvals=_approvals(rules, recorded.run, given, signers),
    )


def _problem_with(part: PartRecord, folder: Path) -> str:
    try:
        content = (folder / part.file).read_bytes()
    except (OSError, ValueError) as error:  # not every text can be the name of a file
        return f"{part.file} cannot be read ({getattr(error, 'strerror', None) or error}); run again"
    if hashlib.sha256(content).hexdigest() != part.sha256:
        return f"{part.file} is not what was written; run again"
    return part.problem


def _approvals(
    rules: Rules, run: RunRecord, given: Sequence[ApprovalRecord], signers: Path | None
) -> tuple[tuple[str, str], ...]:
    """With the run's own outputs in it or without, it is the same tree that was tested."""
    with_outputs = approvals.check(rules.approvals, given, run.tree_after, signers)
    if run.tree == run.tree_after or run.changed:
        return with_outputs
    pure = dict(approvals.check(rules.approvals, given, run.tree, signers))
    return tuple((name, problem and pure[name]) for name, problem in with_outputs)


def outputs(plan: Plan) -> tuple[str, ...]:
    """What the stages of a plan declare to write."""
    return tuple(output for unit in plan.units() for stage in unit.stages for output in stage.outputs)


def differs_now(recorded: Recorded, now: Tree, plan_digest: str) -> Iterator[str]:
    """How commit, plan and tree of this moment differ from those of the run, in sentences."""
    run = recorded.run
    if now.commit != run.commit:
        yield f"the run was of commit {_short(run.commit)}, and this is {_short(now.commit)}; run again"
    if plan_digest != run.plan_digest:
        yield f"the plan {run.plan_file} has changed since the run; run again"
    if now.digest not in (run.tree, run.tree_after):
        changes = differences(_unstamped(recorded.tree), _unstamped(now.entries), (), built=False).changed
        yield f"the tree has changed since the run: {_listed(changes)}; run again"


def _unstamped(entries: Iterable[TreeEntry]) -> Tree:
    """Stamps tell only within one run whether a file was written."""
    return Tree(tuple(replace(entry, stamp="") for entry in entries), "")


def _short(commit: str | None) -> str:
    return commit[:12] if commit is not None else "none"


def _listed(changes: Sequence[str]) -> str:
    shown = 10
    more = f" and {len(changes) - shown} more" if len(changes) > shown else ""
    return ", ".join(changes[:shown]) + more


def digest_of_file(path: Path) -> str:
    """The sha256 of a file, empty if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def signers_of(plan: Plan, root: Path) -> Path | None:
    """The file of those who may sign approvals, if the plan has one."""
    signers = plan.gate.approvals_signers if plan.gate is not None else None
    return root / signers if signers is not None else None


def excluded(root: Path, folder: Path) -> tuple[str, ...]:
    """What is no part of the tree: what runs leave, and all of a folder of their own like `.phases`."""
    if not folder.is_relative_to(root):
        return ()
    below = folder.relative_to(root)
    if below.name.startswith("."):
        return (below.as_posix(),)
    return tuple((below / name).as_posix() for name in LEFT_BY_RUNS)
