"""The verdict as data, the statement for supply-chain tools, and the files they are written to."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.events import Decision, GateResult, Outcome, Reason, State
from pytest_phases.evidence import (
    ApprovalRecord,
    DeployRecord,
    Expected,
    ExpectedKind,
    FigureRecord,
    ItemRecord,
    PhaseRecord,
    Recorded,
    RunRecord,
)
from pytest_phases.gate.statement import (
    STATEMENT,
    VERDICT,
    StatementError,
    read,
    statement_data,
    verdict_data,
    write,
    write_verdict,
)

COMMIT, GIT_TREE = "c" * 40, "d" * 40
TREE, PLAN, EXPECTED = "1" * 64, "2" * 64, "3" * 64

RUN = RunRecord(
    run_id="r1",
    started="2026-01-01T10:00:00.000+00:00",
    plan_file="plan.md",
    plan_digest=PLAN,
    commit=COMMIT,
    git_tree=GIT_TREE,
    tree=TREE,
    tree_after="4" * 64,
    expected_digest=EXPECTED,
    expected_count=9,
    ended="2026-01-01T10:01:00.000+00:00",
    versions=(("python", "3.11.0"), ("pytest", "9.2.0")),
    made=("dist/a.whl (new)",),
)


def item(outcome: Outcome, name: str | None = None, attempt: int = 1) -> ItemRecord:
    """An item that is called like its outcome."""
    return ItemRecord(name or f"t.py::{outcome.value}", "1", ExpectedKind.TEST, outcome, 0.5, "gw0", attempt)


OUTCOMES = tuple(item(outcome) for outcome in Outcome)
EXPECTATIONS = frozenset(
    {
        Expected(ExpectedKind.PHASE, "1"),
        Expected(ExpectedKind.PART, "1", "gw0"),
        Expected(ExpectedKind.STAGE, "1", "plan.md::1::build"),
        *(Expected(ExpectedKind.TEST, "1", each.nodeid) for each in OUTCOMES),
    }
)
RECORDED = Recorded(
    RUN,
    expected=EXPECTATIONS,
    phases=(
        PhaseRecord("1", "phase", "Core", State.RED, "1 failed", 1, 1.23456, (("passed", 2), ("failed", 1))),
    ),
    items=OUTCOMES,
    figures=(
        FigureRecord("1", "phase", 85.0, 91.25, 2),
        FigureRecord("gate", "gate", 80.0, None, 0, "no data"),
    ),
    conditions=("the moon is full",),
    deploys=(DeployRecord("deploy", False, "exit status 3", 0.5),),
)
GREEN = GateResult("Deployment", Decision.GREEN)
RED = GateResult("Deployment", Decision.RED, (Reason(Decision.RED, "phase 1 (Core) is red"),))
APPROVAL = ApprovalRecord("security", "ann", "fine", TREE, "2026-01-01T11:00:00Z", "signature", "seal")


def gate(decision: Decision) -> GateResult:
    """A gate that decided so."""
    return replace(GREEN, decision=decision)


def run(**changes: Any) -> Recorded:
    """What was recorded, with another run record."""
    return replace(RECORDED, run=replace(RUN, **changes))


# The published specification -----------------------------------------------------------------------
# in-toto Attestation Framework v1 (statement, ResourceDescriptor, DigestSet, parsing rules) and the
# predicate test-result v0.1, as a small JSON Schema and a checker of the keywords that it uses.

TEXTS = {"type": "array", "items": {"type": "string"}}
DIGESTS = {
    "type": "object",
    "minProperties": 1,
    "properties": {
        "sha256": {"type": "string", "pattern": r"[0-9a-f]{64}"},
        "gitCommit": {"type": "string", "pattern": r"[0-9a-f]{40}|[0-9a-f]{64}"},
        "gitTree": {"type": "string", "pattern": r"[0-9a-f]{40}|[0-9a-f]{64}"},
    },
    "additionalProperties": False,  # of all the algorithms the specification names these are used here
}
DESCRIPTOR = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "uri": {"type": "string", "pattern": r"[a-z][a-z0-9+.-]*:.+"},
        "digest": DIGESTS,
        "content": {"type": "string"},
        "downloadLocation": {"type": "string"},
        "mediaType": {"type": "string"},
        "annotations": {"type": "object"},
    },
    "anyRequired": ["uri", "digest", "content"],
    "additionalProperties": False,
}
EXTENSION = r"[A-Za-z0-9]+_[A-Za-z0-9]+"
SCHEMA = {
    "type": "object",
    "required": ["_type", "subject", "predicateType", "predicate"],
    "additionalProperties": False,
    "properties": {
        "_type": {"enum": ["https://in-toto.io/Statement/v1"]},
        "subject": {"type": "array", "minItems": 1, "items": {**DESCRIPTOR, "required": ["digest"]}},
        "predicateType": {"enum": ["https://in-toto.io/attestation/test-result/v0.1"]},
        "predicate": {
            "type": "object",
            "required": ["result", "configuration"],
            "properties": {
                "result": {"enum": ["PASSED", "WARNED", "FAILED"]},
                "configuration": {"type": "array", "items": DESCRIPTOR},
                "url": {"type": "string"},
                "passedTests": TEXTS,
                "warnedTests": TEXTS,
                "failedTests": TEXTS,
            },
            "additionalPattern": EXTENSION,
        },
    },
}
TYPES = {"object": dict, "array": list, "string": str}


def violations(data: Any, schema: Mapping[str, Any], where: str = "$") -> list[str]:
    """Where data is not as a schema says.

    Beside JSON Schema's own keywords it knows `anyRequired` (one of these) and `additionalPattern`
    (of the names of extension fields).
    """
    found = []
    if "enum" in schema and data not in schema["enum"]:
        found.append(f"{where} is {data!r}")
    if "type" in schema and not isinstance(data, TYPES[schema["type"]]):
        return [*found, f"{where} is no {schema['type']}"]
    if "pattern" in schema and re.fullmatch(schema["pattern"], data) is None:
        found.append(f"{where} is {data!r}")
    if len(data) < max(schema.get("minItems", 0), schema.get("minProperties", 0)):
        found.append(f"{where} is empty")
    if isinstance(data, list):
        for index, each in enumerate(data):
            found += violations(each, schema.get("items", {}), f"{where}[{index}]")
    if isinstance(data, dict):
        found += _violations_of_fields(data, schema, where)
    return found


def _violations_of_fields(data: Mapping[str, Any], schema: Mapping[str, Any], where: str) -> list[str]:
    found = [f"{where}.{name} is missing" for name in schema.get("required", ()) if name not in data]
    if "anyRequired" in schema and not any(name in data for name in schema["anyRequired"]):
        found.append(f"{where} has none of {schema['anyRequired']}")
    known = schema.get("properties", {})
    for name, value in data.items():
        if name in known:
            found += violations(value, known[name], f"{where}.{name}")
        elif not schema.get("additionalProperties", True):
            found.append(f"{where}.{name} is unknown")
        elif "additionalPattern" in schema and re.fullmatch(schema["additionalPattern"], name) is None:
            found.append(f"{where}.{name} is no name for an extension")
    return found


VARIANTS = {
    "clean": RECORDED,
    "dirty": run(dirty=True),
    "dirty submodule": run(dirty=True, git_tree=None),
    "no commit": run(dirty=True, commit=None),
    "without git": run(commit=None, git_tree=None),
    "sha256 repository": run(commit="c" * 64, git_tree="d" * 64),
    "no plan file": run(plan_file=""),
    "nothing ran": replace(RECORDED, items=(), expected=frozenset()),
    "odd names": replace(run(plan_file="pl\udcffan.md"), items=(item(Outcome.PASSED, "t\udcff.py::ü[\n]"),)),
}


@pytest.mark.parametrize("decision", Decision)
@pytest.mark.parametrize("variant", VARIANTS)
def test_statement_follows_the_specification(variant: str, decision: Decision) -> None:
    """Whatever the gate decides of whatever tree, the statement is one by the published specification."""
    data = statement_data(gate(decision), VARIANTS[variant])

    assert violations(json.loads(json.dumps(data)), SCHEMA) == []
    json.dumps(data, ensure_ascii=False).encode("utf-8")


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        (lambda data: data.pop("subject"), "$.subject is missing"),
        (lambda data: data["subject"].clear(), "$.subject is empty"),
        (lambda data: data["subject"][0].pop("digest"), "$.subject[0].digest is missing"),
        (lambda data: data["predicate"].update(result="GREEN"), "$.predicate.result is 'GREEN'"),
        (lambda data: data["predicate"].update(skippedTests=[]), "$.predicate.skippedTests is no name"),
        (lambda data: data["predicate"]["configuration"].append({"name": "x"}), "[1] has none of"),
        (lambda data: data["predicate"]["passedTests"].append(1), "passedTests[1] is no string"),
        (lambda data: data["subject"][0]["digest"].update(gitTree="XY"), "gitTree is 'XY'"),
    ],
)
def test_checker_finds(change: Callable[[dict[str, Any]], object], violation: str) -> None:
    """What checks the statement finds what the specification forbids."""
    data = statement_data(GREEN, RECORDED)
    assert data is not None
    change(data)

    assert any(violation in each for each in violations(data, SCHEMA))


@pytest.mark.parametrize(
    ("variant", "subject"),
    [
        ("clean", {"digest": {"gitCommit": COMMIT, "gitTree": GIT_TREE}}),
        ("dirty", {"digest": {"gitTree": GIT_TREE}}),
        ("no commit", {"digest": {"gitTree": GIT_TREE}}),
        ("dirty submodule", {"name": "tree", "digest": {"sha256": TREE}}),
        ("without git", {"name": "tree", "digest": {"sha256": TREE}}),
    ],
)
def test_subject(variant: str, subject: Mapping[str, Any]) -> None:
    """The subject is what was tested, and never a commit that is not what was there."""
    assert statement_of(GREEN, VARIANTS[variant])["subject"] == [subject]


def statement_of(result: GateResult, recorded: Recorded) -> dict[str, Any]:
    """The statement, which there is."""
    data = statement_data(result, recorded)
    assert data is not None
    return data


@pytest.mark.parametrize(
    ("decision", "result", "failed"),
    [
        (Decision.GREEN, "PASSED", ["t.py::error", "t.py::failed"]),
        (Decision.PENDING, "WARNED", ["t.py::error", "t.py::failed"]),
        (Decision.RED, "FAILED", ["plan.md::1::build", "t.py::blocked", "t.py::error", "t.py::failed"]),
        (
            Decision.INCOMPLETE,
            "FAILED",
            ["plan.md::1::build", "t.py::blocked", "t.py::error", "t.py::failed"],
        ),
    ],
)
def test_lists(decision: Decision, result: str, failed: list[str]) -> None:
    """What did not run has failed unless the gate does without it; what was skipped is in no list."""
    predicate = statement_of(gate(decision), RECORDED)["predicate"]

    assert predicate["result"] == result
    assert predicate["passedTests"] == ["t.py::passed"]
    assert predicate["warnedTests"] == ["t.py::xfailed"]
    assert predicate["failedTests"] == failed


def test_extension_fields() -> None:
    """The set of what had to exist stands beside the lists, so that a reader sees what is in none."""
    predicate = statement_of(RED, RECORDED)["predicate"]

    assert predicate["configuration"] == [{"name": "plan.md", "digest": {"sha256": PLAN}}]
    assert predicate["pytestPhases_decision"] == "red"
    assert predicate["pytestPhases_runId"] == "r1"
    assert predicate["pytestPhases_expected"] == {"count": 9, "items": 7, "digest": {"sha256": EXPECTED}}


@pytest.mark.parametrize(
    ("records", "passed"),
    [
        ([item(Outcome.FAILED, "t", 1), item(Outcome.PASSED, "t", 2)], True),
        ([item(Outcome.PASSED, "t", 2), item(Outcome.FAILED, "t", 1)], True),
        ([item(Outcome.PASSED, "t", 1), item(Outcome.ERROR, "t", 2)], False),
        ([item(Outcome.PASSED, "t"), item(Outcome.FAILED, "t")], False),
        ([item(Outcome.FAILED, "t"), item(Outcome.PASSED, "t")], False),
    ],
    ids=["mended", "in any order", "broken", "double", "double in any order"],
)
def test_attempts(records: list[ItemRecord], passed: bool) -> None:
    """The last attempt counts, and of two records of it the worse."""
    predicate = statement_of(GREEN, replace(RECORDED, items=tuple(records)))["predicate"]

    assert (predicate["passedTests"], predicate["failedTests"]) == ((["t"], []) if passed else ([], ["t"]))


# The verdict --------------------------------------------------------------------------------------


def test_verdict() -> None:
    """The verdict says what was decided, why, of what, and by what evidence, in this order."""
    data = verdict_data(RED, RECORDED, [APPROVAL])

    assert list(data.items()) == [
        ("format", 1),
        ("decision", "red"),
        ("gate", "Deployment"),
        ("reasons", [{"decision": "red", "text": "phase 1 (Core) is red"}]),
        ("run", {"id": "r1", "started": RUN.started, "ended": RUN.ended, "restricted": None}),
        ("plan", {"file": "plan.md", "sha256": PLAN}),
        (
            "tree",
            {
                "commit": COMMIT,
                "git_tree": GIT_TREE,
                "dirty": False,
                "sha256": TREE,
                "sha256_after": "4" * 64,
                "made": ["dist/a.whl (new)"],
                "changed": [],
            },
        ),
        ("expected", {"count": 9, "sha256": EXPECTED}),
        (
            "phases",
            [
                {
                    "id": "1",
                    "kind": "phase",
                    "name": "Core",
                    "state": "red",
                    "reason": "1 failed",
                    "wave": 1,
                    "seconds": 1.235,
                    "tests": {"passed": 2, "failed": 1},
                    "stages": {},
                }
            ],
        ),
        (
            "coverage",
            [
                {
                    "id": "1",
                    "kind": "phase",
                    "required": 85.0,
                    "reached": 91.25,
                    "precision": 2,
                    "problem": None,
                },
                {
                    "id": "gate",
                    "kind": "gate",
                    "required": 80.0,
                    "reached": None,
                    "precision": 0,
                    "problem": "no data",
                },
            ],
        ),
        (
            "approvals",
            [
                {
                    "name": "security",
                    "by": "ann",
                    "note": "fine",
                    "tree": TREE,
                    "time": "2026-01-01T11:00:00Z",
                    "signed": True,
                }
            ],
        ),
        ("conditions", ["the moon is full"]),
        ("deploys", [{"stage": "deploy", "ok": False, "ending": "exit status 3", "seconds": 0.5}]),
        ("versions", {"python": "3.11.0", "pytest": "9.2.0"}),
    ]


# The files ----------------------------------------------------------------------------------------


def test_written_and_read(tmp_path: Path) -> None:
    """What is written is read again, whatever the texts in it, and nothing else is left."""
    data = {"b": ["ü", "half \udcff", "🎈", "\n"], "a": 1}
    write(tmp_path, "x.json", {"old": True})
    write(tmp_path, "x.json", data)

    assert read(tmp_path / "x.json") == data
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert text.startswith('{\n  "b": [\n    "ü",')
    assert text.endswith("}\n")


def test_same_data_same_bytes(tmp_path: Path) -> None:
    """Two verdicts of the same evidence are the same file."""
    for name in ("a", "b"):
        write(tmp_path, name, verdict_data(RED, RECORDED, [APPROVAL]))

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_synced_before_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is on the disk before the name is, and the name before `write` returns."""
    synced = []

    def fsync(descriptor: int) -> None:
        os.fstat(descriptor)
        synced.append((tmp_path / "x.json").exists())

    monkeypatch.setattr(os, "fsync", fsync)
    write(tmp_path, "x.json", {})

    assert synced == [False, True]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_write_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """If it cannot be written, the old file is as it was and no other is left."""
    write(tmp_path, "x.json", {"old": True})

    def refuse(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if failing == "fsync" else Path, failing, refuse)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, "x.json", {"new": True})
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    assert read(tmp_path / "x.json") == {"old": True}


def test_write_to_nowhere(tmp_path: Path) -> None:
    """A folder that is not there is an error of the system's."""
    with pytest.raises(OSError):
        write(tmp_path / "missing", "x.json", {})


def test_write_verdict(tmp_path: Path) -> None:
    """Verdict and statement are written beside one another."""
    write_verdict(tmp_path, RED, RECORDED, [APPROVAL])

    assert read(tmp_path / VERDICT) == verdict_data(RED, RECORDED, [APPROVAL])
    assert read(tmp_path / STATEMENT) == statement_data(RED, RECORDED)


@pytest.mark.parametrize("unknown", [{"tree": ""}, {"plan_digest": ""}], ids=["tree", "plan"])
def test_no_statement(tmp_path: Path, unknown: dict[str, str]) -> None:
    """Of a tree or by a plan that could not be read nothing is stated, and no old statement stays."""
    write_verdict(tmp_path, GREEN, RECORDED, [])
    write_verdict(tmp_path, RED, run(**unknown), [])

    assert read(tmp_path / VERDICT)["decision"] == "red"
    assert not (tmp_path / STATEMENT).exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "x.json is missing; run pytest"),
        (b"", "x.json is no JSON"),
        (b'{"a": ', "x.json is no JSON"),
        (b"\xff\xfe\xfa", "x.json is no JSON"),
        (b"[1]", "x.json is no JSON object"),
        (b"[" * 100_000, "x.json is no JSON"),
    ],
    ids=["missing", "empty", "truncated", "no text", "a list", "too deep"],
)
def test_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    """A file that is missing or something else says so, and what to do."""
    if content is not None:
        (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(StatementError, match=message):
        read(tmp_path / "x.json")


def test_unreadable(tmp_path: Path) -> None:
    """What is there and cannot be read says why."""
    (tmp_path / "x.json").mkdir()
    with pytest.raises(StatementError, match=r"x\.json cannot be read \(Is a directory\); make it readable"):
        read(tmp_path / "x.json")
