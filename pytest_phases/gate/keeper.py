"""Keeping the gate of a run: the tree is looked at before and after, and the decision is written down."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from pytest_phases.events import Decision, GateResult, Reason
from pytest_phases.evidence import DeployRecord, Recorded, RunRecord
from pytest_phases.gate.files import TreeError
from pytest_phases.gate.look import digest_of_file, excluded, look, outputs, signers_of
from pytest_phases.gate.record import Recorder, now
from pytest_phases.gate.statement import write_verdict
from pytest_phases.gate.tree import Tree, differences, snapshot
from pytest_phases.gate.verdict import decide, rules_of
from pytest_phases.model import Plan

DISTRIBUTIONS = ("pytest", "pytest-xdist", "pytest-phases", "coverage")
"""Whose versions are written down."""


def versions() -> tuple[tuple[str, str], ...]:
    """What the run runs on."""
    return (("python", platform.python_version()), *((name, version(name)) for name in DISTRIBUTIONS))


class Keeper:
    """The gate of one run; made before anything is collected.

    `root` is the rootdir, `folder` that of what a run leaves (`.phases`), `tree` the tree before it.
    What cannot be read or written leaves the gate incomplete, with the reason.
    """

    def __init__(self, root: Path, folder: Path, plan_file: str, run_id: str) -> None:
        self._root = root
        self._folder = folder
        self._plan = root / plan_file
        self._problems: list[str] = []
        self.tree = self._snapshot(None)
        self.run = RunRecord(
            run_id=run_id,
            started=now(),
            plan_file=plan_file,
            plan_digest=digest_of_file(self._plan),
            commit=self.tree.commit,
            git_tree=self.tree.git_tree,
            dirty=self.tree.dirty,
            tree=self.tree.digest,
            versions=versions(),
        )

    def _snapshot(self, known: Tree | None) -> Tree:
        try:
            return snapshot(self._root, excluded(self._root, self._folder), known)
        except TreeError as error:
            self._problems.append(str(error))
            return Tree((), "")

    def close(self, recorder: Recorder, plan: Plan, conditions: Iterable[str]) -> GateResult:
        """Everything has ended: look at the tree again, write it all down, and decide."""
        after = self._snapshot(self.tree)
        found = differences(self.tree, after, outputs(plan), recorder.built)
        moved = ("HEAD (moved to another commit)",) if after.commit != self.tree.commit else ()
        run = replace(
            recorder.run,
            ended=now(),
            tree_after=after.digest,
            changed=(*moved, *found.changed),
            made=found.made,
        )
        recorded = recorder.end(run, after.entries, conditions)
        return self.decide(recorder, plan, recorded)

    def decide(self, recorder: Recorder, plan: Plan, recorded: Recorded | None) -> GateResult:
        """The decision by what stands in the database and lies on disk, written beside it."""
        rules = rules_of(plan)
        if recorded is None:
            return _incomplete(rules.name, [f"the evidence could not be written: {recorder.problem}"])
        given = recorder.approvals()
        seen = look(recorded, rules, self._folder, given, signers_of(plan, self._root))
        result = decide(rules, recorded, seen)
        try:
            write_verdict(self._folder, result, recorded, given)
        except OSError as error:
            self._problems.append(f"the verdict could not be written: {error}")
        if self._problems:
            more = _incomplete(rules.name, self._problems)
            decision = Decision.RED if result.decision is Decision.RED else Decision.INCOMPLETE
            return replace(result, decision=decision, reasons=(*result.reasons, *more.reasons))
        return result

    def deployed(self, recorder: Recorder, plan: Plan, deploys: Iterable[DeployRecord]) -> GateResult:
        """Deploy stages were run: that belongs to what is written down."""
        return self.decide(recorder, plan, recorder.deployed(deploys))


def _incomplete(name: str, problems: Iterable[str]) -> GateResult:
    reasons = tuple(Reason(Decision.INCOMPLETE, problem) for problem in problems)
    return GateResult(name, Decision.INCOMPLETE, reasons)
