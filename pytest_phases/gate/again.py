"""Deriving the verdict of the last run again, from its evidence and for the tree as it stands now.

`verdict.json` is never believed: it is only compared with what follows from the evidence. Whoever can
write the whole folder can forge both; signed approvals and a signed statement are what stands
against that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_phases.errors import PhasesError, PlanError
from pytest_phases.events import Decision, GateResult, Reason
from pytest_phases.evidence import ApprovalRecord, Recorded
from pytest_phases.gate.baseline import baseline
from pytest_phases.gate.definition import definitions
from pytest_phases.gate.look import differs_now, digest_of_file, excluded, look, signers_of
from pytest_phases.gate.rules import Rules, rules_of
from pytest_phases.gate.statement import (
    VERDICT,
    StatementError,
    read,
    reasons_data,
    verdict_data,
    write_verdict,
)
from pytest_phases.gate.tree import snapshot
from pytest_phases.gate.verdict import decide
from pytest_phases.model import Plan
from pytest_phases.plan.read import read_plan
from pytest_phases.state.database import NAME, Database

SHORTEST = 7
"""The fewest digits that may stand for a commit."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the last run left in `folder` (`.phases`) of the project at `root`."""

    root: Path
    folder: Path
    recorded: Recorded
    plan: Plan
    approvals: tuple[ApprovalRecord, ...]

    @classmethod
    def of(cls, root: Path, folder: Path, database: Database) -> Evidence:
        """Raises PhasesError where something of it cannot be read."""
        run_id = database.latest()
        if run_id is None:
            raise PhasesError(f"{folder}: no run is recorded; run `pytest --phases PLAN` first")
        recorded = database.recorded(run_id)
        if not recorded.run.plan_file:
            raise PhasesError(
                f"{folder}: the last run had no plan, and so no gate; run `pytest --phases PLAN`"
            )
        plan = read_plan(root / recorded.run.plan_file, recorded.run.plan_file)
        return cls(root, folder, recorded, plan, database.approvals())

    @property
    def rules(self) -> Rules:
        """What the plan demands, and what markers did when it ran."""
        rules = rules_of(self.plan)
        stated = definitions(self.recorded)
        required = {unit: each["threshold"] for unit, each in stated.items()}
        of_markers = {unit: threshold for unit, threshold in required.items() if threshold is not None}
        # In the order in which the run knew them: reasons are sorted by it.
        more = [unit for unit in stated if rules.every and "/" not in unit and unit not in rules.phases]
        return replace(rules, phases=(*rules.phases, *more), thresholds={**of_markers, **rules.thresholds})

    @property
    def signers(self) -> Path | None:
        """The file of those who may sign approvals."""
        return signers_of(self.plan, self.root)

    def verdict(self) -> GateResult:
        """The decision as it follows from the evidence alone."""
        return _decide(self, self.rules, self.signers, ())

    def write(self) -> None:
        """Write the verdict anew, now that approvals have changed; raises OSError."""
        write_verdict(self.folder, self.verdict(), self.recorded, self.approvals)


def judge_now(
    root: Path, folder: Path, *, commit: str | None = None, plan_from: str | None = None
) -> tuple[GateResult, dict[str, Any]]:
    """Whether the tree as it stands now may be deployed, and the verdict as data.

    `commit` is the one that is expected, `plan_from` the one by whose plan it is judged. What cannot
    be read is a reason against it.
    """
    try:
        with Database.open(folder / NAME, read_only=True) as database:
            evidence = Evidence.of(root, folder, database)
        return _judge(evidence, commit, plan_from)
    except PhasesError as error:
        texts = [str(problem) for problem in error.problems] if isinstance(error, PlanError) else [str(error)]
        reasons = tuple(Reason(Decision.INCOMPLETE, text) for text in texts)
        result = GateResult("", Decision.INCOMPLETE, reasons)
        return result, {"decision": result.decision.value, "reasons": reasons_data(result)}


def _judge(
    evidence: Evidence, commit: str | None, plan_from: str | None
) -> tuple[GateResult, dict[str, Any]]:
    recorded, rules, signers = evidence.recorded, evidence.rules, evidence.signers
    now = [*_forged(evidence), *_moved(evidence, commit)]
    if plan_from is None:
        result = _decide(evidence, rules, signers, now)
    else:
        with baseline(evidence.root, plan_from, recorded.run.plan_file) as base:
            now += base.loosened(recorded)
            result = _decide(evidence, rules_of(base.plan), base.signers, now)
    return result, verdict_data(result, recorded, evidence.approvals)


def _decide(evidence: Evidence, rules: Rules, signers: Path | None, now: Sequence[str]) -> GateResult:
    found = look(evidence.recorded, rules, evidence.folder, evidence.approvals, signers)
    return decide(rules, evidence.recorded, replace(found, now=tuple(now)))


def _forged(evidence: Evidence) -> Iterator[str]:
    """Whether the verdict that was written is another one than the evidence gives."""
    try:
        written = read(evidence.folder / VERDICT)
    except StatementError as error:
        yield str(error)
        return
    given = json.loads(json.dumps(verdict_data(evidence.verdict(), evidence.recorded, evidence.approvals)))
    differing = [
        key
        for key in {**given, **written}
        if given.get(key) != written.get(key) or not (key in given and key in written)
    ]
    if differing:
        yield (
            f"{evidence.folder / VERDICT} says otherwise than the evidence of the last run: "
            f"{', '.join(differing)}; run again"
        )


def _moved(evidence: Evidence, commit: str | None) -> Iterator[str]:
    """How commit, plan and tree differ by now."""
    run, root = evidence.recorded.run, evidence.root
    now = snapshot(root, excluded(root, evidence.folder))
    if commit is not None and not _is_commit(now.commit, commit):
        yield (
            f"commit {commit} is expected, and this is {now.commit or 'no commit'}; check that one out, "
            f"or name it by {SHORTEST} digits or more"
        )
    yield from differs_now(evidence.recorded, now, digest_of_file(root / run.plan_file))


def _is_commit(commit: str | None, expected: str) -> bool:
    """Whether `expected` names the commit, in full or by as many digits as git itself would show."""
    return commit is not None and len(expected) >= SHORTEST and commit.startswith(expected.lower())
