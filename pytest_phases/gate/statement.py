"""The verdict as data: for people and scripts, and as a statement for supply-chain tools.

The statement follows in-toto's Statement v1 with the predicate `test-result` v0.1. That format has no
list for tests that were skipped: they are in none. So a reader compares with the set of what had to
exist, whose digest and size stand in an extension field (`vendor_name`, as in-toto recommends).
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pytest_phases.errors import PhasesError
from pytest_phases.events import Decision, GateResult, Outcome
from pytest_phases.evidence import (
    ApprovalRecord,
    DeployRecord,
    ExpectedKind,
    FigureRecord,
    ItemRecord,
    PhaseRecord,
    Recorded,
    RunRecord,
)

VERDICT = "verdict.json"
"""The name of the file with the verdict."""

STATEMENT = "verdict.intoto.json"
"""The name of the file with the statement."""

FORMAT = 1
"""The version of the verdict's format: it goes up when a field changes its meaning or is gone."""

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"

_RESULTS = {
    Decision.GREEN: "PASSED",
    Decision.PENDING: "WARNED",
    Decision.RED: "FAILED",
    Decision.INCOMPLETE: "FAILED",
}
_ITEMS = frozenset({ExpectedKind.TEST, ExpectedKind.STAGE})
# Of two records of one attempt the worse counts; one that did not run may stand for anything.
_SEVERITY = (
    Outcome.SKIPPED,
    Outcome.XFAILED,
    Outcome.PASSED,
    Outcome.FAILED,
    Outcome.ERROR,
    Outcome.BLOCKED,
)


class StatementError(PhasesError):
    """A file that was written for a run cannot be used: which, and what to do."""


def verdict_data(gate: GateResult, recorded: Recorded, approvals: Sequence[ApprovalRecord]) -> dict[str, Any]:
    """The verdict as JSON objects, lists, texts and numbers, always in the same order.

    Times are ISO 8601 in UTC, digests sha256 in hexadecimal, coverage is in per cent. Of the tree,
    `made` lists what the run was allowed to leave behind, `changed` what it was not.
    """
    run = recorded.run
    return {
        "format": FORMAT,
        "decision": gate.decision.value,
        "gate": gate.name,
        "reasons": reasons_data(gate),
        "run": {
            "id": run.run_id,
            "started": run.started,
            "ended": run.ended,
            "restricted": run.restricted or None,
        },
        "plan": {"file": run.plan_file, "sha256": run.plan_digest},
        "tree": _tree(run),
        "expected": {"count": run.expected_count, "sha256": run.expected_digest},
        "phases": [_phase(each) for each in recorded.phases],
        "coverage": [_figure(each) for each in recorded.figures],
        "approvals": [_approval(each) for each in approvals],
        "conditions": list(recorded.conditions),
        "deploys": [_deploy(each) for each in recorded.deploys],
        "versions": dict(run.versions),
    }


def reasons_data(gate: GateResult) -> list[dict[str, str]]:
    """Every reason against a green gate."""
    return [{"decision": each.decision.value, "text": each.text} for each in gate.reasons]


def statement_data(gate: GateResult, recorded: Recorded) -> dict[str, Any] | None:
    """The in-toto statement of a verdict, unsigned; None if the tree or the plan could not be read.

    Its subject is what was tested: the commit with its tree, if the tree is dirty the tree alone,
    and where git names neither the tree's own digest. A test or stage that was blocked, or of which
    nothing is known, counts as failed unless the gate does without it. Its tests are node ids; in
    these and other texts bytes that are no UTF-8 are spelled out.
    """
    result = _RESULTS[gate.decision]
    run = recorded.run
    if not (run.tree and run.plan_digest):
        return None
    passed, warned, failed = _lists(recorded, result == "FAILED")
    expected = {
        "count": run.expected_count,
        "items": sum(each.kind in _ITEMS for each in recorded.expected),
        "digest": {"sha256": run.expected_digest},
    }
    return {
        "_type": STATEMENT_TYPE,
        "subject": [_subject(run)],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": result,
            "configuration": [_plan(run)],
            "passedTests": passed,
            "warnedTests": warned,
            "failedTests": failed,
            "pytestPhases_decision": gate.decision.value,
            "pytestPhases_expected": expected,
            "pytestPhases_runId": _utf8(run.run_id),
        },
    }


def write_verdict(
    folder: Path, gate: GateResult, recorded: Recorded, approvals: Sequence[ApprovalRecord]
) -> None:
    """Write verdict and statement to this folder; a statement of an earlier run does not stay.

    Raises OSError where that cannot be done.
    """
    write(folder, VERDICT, verdict_data(gate, recorded, approvals))
    statement = statement_data(gate, recorded)
    if statement is not None:
        write(folder, STATEMENT, statement)
    else:
        (folder / STATEMENT).unlink(missing_ok=True)


def write(folder: Path, name: str, data: dict[str, Any]) -> None:
    """Write data as JSON in UTF-8 to a file of this folder, so that it is there whole or not at all.

    It is on the disk when this returns. Raises OSError where that cannot be done, and leaves the
    file as it was.
    """
    new = folder / f".{name}.{uuid.uuid4().hex}"
    try:
        with new.open("xb") as file:
            file.write(_encoded(data))
            file.flush()
            os.fsync(file.fileno())
        new.replace(folder / name)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> dict[str, Any]:
    """What `write` has written to a file; StatementError if it is missing, unreadable or something else."""
    advice = "run pytest with the plan again to have it written"
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise StatementError(f"{path} is missing; {advice}") from None
    except OSError as error:
        raise StatementError(
            f"{path} cannot be read ({error.strerror}); make it readable, or {advice}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise StatementError(f"{path} is no JSON ({error}); {advice}") from None
    if not isinstance(data, dict):
        raise StatementError(f"{path} is no JSON object; {advice}")
    return data


def _encoded(data: dict[str, Any]) -> bytes:
    """JSON for people; what UTF-8 cannot express (half a surrogate pair) becomes an escape of JSON's."""
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode("utf-8", "backslashreplace")


def _tree(run: RunRecord) -> dict[str, Any]:
    return {
        "commit": run.commit,
        "git_tree": run.git_tree,
        "dirty": run.dirty,
        "sha256": run.tree,
        "sha256_after": run.tree_after,
        "made": list(run.made),
        "changed": list(run.changed),
    }


def _phase(phase: PhaseRecord) -> dict[str, Any]:
    return {
        "id": phase.id,
        "kind": phase.kind,
        "name": phase.name,
        "state": phase.state.value,
        "reason": phase.reason or None,
        "wave": phase.wave,
        "seconds": round(phase.seconds, 3),
        "tests": dict(phase.tests),
        "stages": dict(phase.stages),
    }


def _figure(figure: FigureRecord) -> dict[str, Any]:
    return {
        "id": figure.id,
        "kind": figure.kind,
        "required": figure.required,
        "reached": figure.reached,
        "precision": figure.precision,
        "problem": figure.problem or None,
    }


def _approval(approval: ApprovalRecord) -> dict[str, Any]:
    return {
        "name": approval.name,
        "by": approval.by,
        "note": approval.note,
        "tree": approval.tree,
        "time": approval.time,
        "signed": bool(approval.signature),
    }


def _deploy(deploy: DeployRecord) -> dict[str, Any]:
    return {
        "stage": deploy.stage,
        "ok": deploy.ok,
        "ending": deploy.ending,
        "seconds": round(deploy.seconds, 3),
    }


def _subject(run: RunRecord) -> dict[str, Any]:
    """What was tested, as a ResourceDescriptor."""
    git = {"gitCommit": None if run.dirty else run.commit, "gitTree": run.git_tree}
    known = {name: digest for name, digest in git.items() if digest is not None}
    return {"digest": known} if known else {"name": "tree", "digest": {"sha256": run.tree}}


def _plan(run: RunRecord) -> dict[str, Any]:
    """The plan as a ResourceDescriptor; one that is made of markers alone has no name."""
    name = {"name": _utf8(run.plan_file)} if run.plan_file else {}
    return {**name, "digest": {"sha256": run.plan_digest}}


def _lists(recorded: Recorded, needed: bool) -> tuple[list[str], list[str], list[str]]:
    """The node ids of what passed, passed with a warning, and failed.

    An expected failure is a warning, since policies may take a warning for a pass; a skipped test is
    neither of the three. What did not run is a failure if it was `needed`.
    """
    outcomes = _outcomes(recorded.items)
    expected = {each.name for each in recorded.expected if each.kind in _ITEMS}
    not_run = {name for name in expected if name not in outcomes}
    not_run |= {name for name, outcome in outcomes.items() if outcome is Outcome.BLOCKED}
    passed = (name for name, outcome in outcomes.items() if outcome is Outcome.PASSED)
    warned = (name for name, outcome in outcomes.items() if outcome is Outcome.XFAILED)
    failed = {name for name, outcome in outcomes.items() if outcome.bad}
    return _sorted(passed), _sorted(warned), _sorted(failed | not_run if needed else failed)


def _outcomes(items: Iterable[ItemRecord]) -> dict[str, Outcome]:
    """How each item ended in its last attempt."""
    last: dict[str, ItemRecord] = {}
    for item in items:
        if item.nodeid not in last or _weight(item) > _weight(last[item.nodeid]):
            last[item.nodeid] = item
    return {name: item.outcome for name, item in last.items()}


def _weight(item: ItemRecord) -> tuple[int, int]:
    return item.attempt, _SEVERITY.index(item.outcome)


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted(map(_utf8, names))


def _utf8(text: str) -> str:
    """A text that any reader of JSON takes: in-toto's own libraries refuse half a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
