"""The gate's verdict: what is green, and everything that is not, with its reasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_phases.events import Decision, GateResult, Outcome, State
from pytest_phases.evidence import (
    GATE,
    DeployRecord,
    Expected,
    ExpectedKind,
    FigureRecord,
    ItemRecord,
    Origin,
    PartRecord,
    PhaseRecord,
    Recorded,
    RunRecord,
    StageRecord,
    digest_of,
)
from pytest_phases.gate.verdict import Found, Rules, decide, rules_of
from pytest_phases.graph import build
from pytest_phases.model import UNPHASED, Plan
from pytest_phases.plan.markdown import read_markdown

GREEN, RED, INCOMPLETE, PENDING = Decision.GREEN, Decision.RED, Decision.INCOMPLETE, Decision.PENDING
PHASE, TEST, STAGE, PART = ExpectedKind.PHASE, ExpectedKind.TEST, ExpectedKind.STAGE, ExpectedKind.PART

PLAN = """
## Phase 1: Build
Build: wheel
```bash
make wheel
```
## Phase 2: Unit tests
tests: [tests/unit]
coverage: 85
### Stream A: Core
covers: [src/core]
### Stream B: Web
## Sync: Frozen
coverage: 80
## Phase 3: Smoke
tests: [tests/smoke]
## Gate: Deployment
coverage: 75
allow_empty: [3]
approvals: [security]
"""

# The tests and stages of each phase and stream, as a run of the plan has them.
ITEMS = {
    "1": ["plan.md::1::build-wheel"],
    "2": ["tests/unit/test_all.py::test_all"],
    "2/A": ["tests/unit/test_core.py::test_a", "tests/unit/test_core.py::test_b"],
    "2/B": ["tests/unit/test_web.py::test_web"],
    "3": ["tests/smoke/test_smoke.py::test_smoke"],
    UNPHASED: ["tests/test_other.py::test_other"],
}
WORKERS = ("gw0", "gw1")


@dataclass(frozen=True)
class Evidence:
    """What a verdict is made of; each method gives the same with one thing changed."""

    rules: Rules
    recorded: Recorded
    found: Found

    @property
    def verdict(self) -> GateResult:
        """What is decided of it."""
        return decide(self.rules, self.recorded, self.found)

    def rule(self, **changes: Any) -> Evidence:
        """Other rules."""
        return replace(self, rules=replace(self.rules, **changes))

    def run(self, **changes: Any) -> Evidence:
        """The record of the run says something else."""
        return self.record(run=replace(self.recorded.run, **changes))

    def record(self, **changes: Any) -> Evidence:
        """Whole tables are replaced."""
        return replace(self, recorded=replace(self.recorded, **changes))

    def look(self, **changes: Any) -> Evidence:
        """Something else is found."""
        return replace(self, found=replace(self.found, **changes))

    def expect(self, expected: frozenset[Expected]) -> Evidence:
        """Something else was written down, by whoever knows how."""
        sealed = self.run(expected_digest=digest_of(expected), expected_count=len(expected))
        return sealed.record(expected=expected)

    def item(self, name: str, **changes: Any) -> Evidence:
        """An item, by its node id or the name at the end of it, was recorded otherwise."""
        return self.record(items=_changed(self.recorded.items, "nodeid", name, changes))

    def phase(self, name: str, **changes: Any) -> Evidence:
        """A phase was recorded otherwise."""
        return self.record(phases=_changed(self.recorded.phases, "id", name, changes))

    def figure(self, name: str, **changes: Any) -> Evidence:
        """A figure was recorded otherwise."""
        return self.record(figures=_changed(self.recorded.figures, "id", name, changes))

    def without(self, table: str, key: str, name: str) -> Evidence:
        """A row of a table is gone."""
        rows = getattr(self.recorded, table)
        kept = tuple(row for row in rows if not getattr(row, key).endswith(name))
        assert len(kept) < len(rows)
        return self.record(**{table: kept})


def _changed(rows: tuple[Any, ...], key: str, name: str, changes: dict[str, Any]) -> tuple[Any, ...]:
    after = tuple(
        replace(row, **changes) if name in (getattr(row, key), getattr(row, key).rpartition("::")[2]) else row
        for row in rows
    )
    assert after != rows
    return after


def plan_of(text: str) -> Plan:
    """The plan of a text, which is well written."""
    plan, problems = read_markdown(text, "plan.md")
    assert problems == ()
    return plan


def green(text: str = PLAN, items: dict[str, list[str]] | None = None) -> Evidence:
    """The evidence of a run in which everything of a plan passed, with two workers in each phase."""
    plan, items = plan_of(text), ITEMS if items is None else items
    rules = rules_of(plan)
    kinds = {
        name: STAGE if name.startswith("plan.md::") else TEST for names in items.values() for name in names
    }
    figures = [FigureRecord(name, "phase", limit, 100.0, 0) for name, limit in rules.thresholds.items()]
    figures += [FigureRecord(GATE, GATE, rules.required, 90.0, 0)] if rules.required is not None else []
    parts = [(phase, worker) for phase in items for worker in WORKERS] if figures else []
    expected = frozenset(
        [
            *(Expected(PHASE, phase) for phase in items),
            *(Expected(kinds[name], phase, name) for phase, names in items.items() for name in names),
            *(Expected(PART, phase, worker) for phase, worker in parts),
        ]
    )
    syncs = [node for node in build(plan).nodes.values() if node.kind.value == "sync point"]
    recorded = Recorded(
        run=RunRecord(
            "r1",
            "2024-05-01T10:00:00Z",
            "plan.md",
            "sha-of-plan",
            tree="before",
            tree_after="after",
            expected_digest=digest_of(expected),
            expected_count=len(expected),
            ended="2024-05-01T10:05:00Z",
        ),
        expected=expected,
        phases=(
            *(PhaseRecord(phase, "phase", "", State.GREEN) for phase in items),
            *(PhaseRecord(node.id, "sync point", node.name, State.GREEN) for node in syncs),
        ),
        items=tuple(
            ItemRecord(name, phase, kinds[name], Outcome.PASSED, 0.1, "gw0")
            for phase, names in items.items()
            for name in names
        ),
        parts=tuple(PartRecord(phase, worker, f"parts/{phase}-{worker}", "sha") for phase, worker in parts),
        figures=tuple(figures),
    )
    found = Found(
        parts=tuple((phase, worker, "") for phase, worker in parts),
        approvals=tuple((name, "") for name in rules.approvals),
    )
    return Evidence(rules, recorded, found)


# Rules -------------------------------------------------------------------------------------------


def test_rules_say_what_the_plan_demands() -> None:
    """Phases in order, thresholds by id, and what the gate itself asks for."""
    assert rules_of(plan_of(PLAN)) == Rules(
        name="Deployment",
        phases=("1", "2", "3"),
        every=True,
        required=75.0,
        # Stream B answers for no code of its own, so the threshold of its phase is not judged there.
        thresholds={"2": 85.0, "2/A": 85.0, "sync:1": 80.0},
        approvals=("security",),
        allow_empty=("3",),
        streams=("2/A", "2/B"),
        stages=(("1", "build-wheel"),),
        syncs=("Frozen",),
    )


def test_a_plan_without_a_gate_demands_every_phase_and_nothing_else() -> None:
    """The thresholds of its phases stay, since they belong to the phases."""
    rules = rules_of(plan_of(PLAN.partition("## Gate")[0]))
    assert (rules.name, rules.phases, rules.every) == ("", ("1", "2", "3"), True)
    assert (rules.required, rules.approvals, rules.allow_empty) == (None, (), ())
    assert set(rules.thresholds) == {"2", "2/A", "sync:1"}


def test_a_gate_may_look_at_some_phases() -> None:
    """They come in the order of the plan, and a stream stands for its phase."""
    rules = rules_of(plan_of(f"{PLAN}phases: [3, 2/A]\n"))
    assert (rules.phases, rules.every) == (("2", "3"), False)
    assert (rules.streams, rules.stages) == (("2/A", "2/B"), ())


def test_a_stream_may_have_a_threshold_of_its_own() -> None:
    """It is demanded whether or not it covers anything, and whatever its phase demands."""
    streams = "### Stream A: x\ncoverage: 90\ncovers: [src]\n### Stream B: y\ncoverage: 70\n"
    text = f"## Phase 1: A\ncoverage: 80\n{streams}"
    assert rules_of(plan_of(text)).thresholds == {"1": 80.0, "1/A": 90.0, "1/B": 70.0}


def test_sync_points_are_called_as_in_the_graph() -> None:
    """A figure is recorded under the id that the scheduler knows."""
    plan = plan_of("## Phase 1: A\n## Sync: x\ncoverage: 1\n## Phase 2: B\n## Sync: y\ncoverage: 2\n")
    assert set(rules_of(plan).thresholds) <= set(build(plan).nodes)


# Green -------------------------------------------------------------------------------------------


def test_the_whole_set_is_green() -> None:
    """Everything expected is there and good, and there is no reason against it."""
    assert green().verdict == GateResult("Deployment", GREEN)


EARLIER = Origin("abcdef0123456789", "2024-05-01T09:00:00Z", "before")
MADE = StageRecord("1", "build-wheel", "sha-of-command")

GREEN_TOO: dict[str, Callable[[Evidence], Evidence]] = {
    "phase resumed from a run of this tree": lambda e: e.phase("2", origin=EARLIER),
    "phase resumed from a run that left this tree": lambda e: e.phase(
        "2", origin=replace(EARLIER, tree="after")
    ),
    "stage whose inputs stayed what they were": lambda e: e.record(stages=(MADE,)),
    "stage that was up to date": lambda e: e.record(stages=(replace(MADE, up_to_date=True),)),
    "skipped test in a green phase": lambda e: e.item("test_a", outcome=Outcome.SKIPPED),
    "expected failure": lambda e: e.item("test_smoke", outcome=Outcome.XFAILED),
    "empty phase that may be": lambda e: e.item("test_smoke", outcome=Outcome.SKIPPED).phase(
        "3", state=State.EMPTY
    ),
    "empty stream of an empty phase that may be": lambda e: (
        e.rule(allow_empty=("2", "2/A"), thresholds={})
        .record(
            figures=e.recorded.figures[-1:],
            items=tuple(
                replace(item, outcome=Outcome.SKIPPED) if item.phase.startswith("2") else item
                for item in e.recorded.items
            ),
        )
        .phase("2", state=State.EMPTY)
        .phase("2/A", state=State.EMPTY)
        .phase("2/B", state=State.EMPTY)
    ),
    "empty stream that may be, with a threshold": lambda e: (
        e.rule(allow_empty=("2/A",))
        .item("test_a", outcome=Outcome.SKIPPED)
        .item("test_b", outcome=Outcome.SKIPPED)
        .phase("2/A", state=State.EMPTY)
        .without("figures", "id", "2/A")
    ),
    "second attempt that passed": lambda e: e.item("test_a", outcome=Outcome.FAILED).record(
        items=(
            replace(e.recorded.items[2], attempt=2),
            *e.item("test_a", outcome=Outcome.FAILED).recorded.items,
        )
    ),
    "more than is required was reached": lambda e: e.figure(GATE, reached=75.0),
    "figure that rounds to what is required": lambda e: e.figure("2/A", reached=84.6),
    "unphased tests that are none": lambda e: green(
        items={phase: names for phase, names in ITEMS.items() if phase != UNPHASED}
    ).record(
        phases=(
            *(phase for phase in e.recorded.phases if phase.id != UNPHASED),
            PhaseRecord(UNPHASED, UNPHASED, "", State.EMPTY),
        )
    ),
    "red phase that the gate does not look at": lambda e: (
        e.rule(every=False, phases=("1", "2"), stages=(), streams=())
        .phase("3", state=State.RED)
        .item("test_smoke", outcome=Outcome.FAILED)
    ),
    "approval that nobody asks for": lambda e: e.look(
        approvals=(*e.found.approvals, ("other", "given for another tree"))
    ),
    "threshold of a marker": lambda e: e.record(
        figures=(*e.recorded.figures, FigureRecord("3", "phase", 50.0, 60.0, 0))
    ),
    "deploy stage that failed": lambda e: e.record(
        deploys=(DeployRecord("deploy", False, "exit status 1", 2.0),)
    ),
}


@pytest.mark.parametrize("change", GREEN_TOO.values(), ids=GREEN_TOO)
def test_what_is_green_too(change: Callable[[Evidence], Evidence]) -> None:
    """These are no reasons against a tree."""
    verdict = change(green()).verdict
    assert (verdict.decision, verdict.reasons) == (GREEN, ())


def test_deploy_stages_are_told_beside_the_decision() -> None:
    """Whether a deployment went well says nothing of whether the tree might be deployed."""
    evidence = green().record(deploys=(DeployRecord("deploy-it", False, "exit status 1", 2.0),))
    assert evidence.verdict.deploys == ("deploy-it: exit status 1",)


# Not green ---------------------------------------------------------------------------------------

WEB = Expected(TEST, "2/B", "tests/unit/test_web.py::test_web")
OTHER_PLAN = PLAN.replace("## Phase 3: Smoke\n", "## Phase 4: Soak\n## Phase 3: Smoke\n")


def _mixed(evidence: Evidence) -> Evidence:
    """The records of a run of another plan beside those of this one."""
    other = ItemRecord("tests/test_new.py::test_new", "9", TEST, Outcome.PASSED, 0.1, "gw0")
    return evidence.record(
        phases=(*evidence.recorded.phases, PhaseRecord("9", "phase", "", State.GREEN)),
        items=(*evidence.recorded.items, other),
    )


def _twice(evidence: Evidence) -> Evidence:
    """The records of two runs of one plan."""
    return evidence.record(
        phases=evidence.recorded.phases * 2,
        items=evidence.recorded.items * 2,
        parts=evidence.recorded.parts * 2,
        figures=evidence.recorded.figures * 2,
    )


def _by_hand(evidence: Evidence) -> Evidence:
    """What somebody writes who expects nothing and records nothing but a run."""
    return replace(evidence.expect(frozenset()), found=Found(approvals=evidence.found.approvals)).record(
        phases=(), items=(), parts=(), figures=()
    )


def _without_stage(evidence: Evidence) -> Evidence:
    """A run of a plan that lacks a stage, judged by the plan that has it."""
    stage = Expected(STAGE, "1", "plan.md::1::build-wheel")
    test = Expected(TEST, "1", "tests/test_wheel.py::test_wheel")
    changed = evidence.expect(evidence.recorded.expected - {stage} | {test})
    return changed.item("build-wheel", nodeid=test.name, kind=TEST)


def _blocked(evidence: Evidence) -> Evidence:
    """A phase behind a red one."""
    return (
        evidence.item("test_web", outcome=Outcome.FAILED)
        .phase("2/B", state=State.RED, reason="1 failed")
        .phase("2", state=State.RED, reason="1 failed")
        .item("test_smoke", outcome=Outcome.BLOCKED)
        .phase("3", state=State.BLOCKED, reason="blocked by stream 2/B (1 failed)")
    )


Case = tuple[Callable[[Evidence], Evidence], Decision, list[str]]

# Name: what is done to green evidence, the decision, and all reasons in order.
NOT_GREEN: dict[str, Case] = {
    "phase resumed from a run of another tree": (
        lambda e: e.phase("2", origin=replace(EARLIER, tree="other")),
        INCOMPLETE,
        [
            "phase 2 was resumed from run abcdef01, which was of another tree; run again without "
            "--phases-resume"
        ],
    ),
    "inputs that changed while a stage read them": (
        lambda e: e.record(stages=(replace(MADE, changed=("src/a.py", "src/b.py")),)),
        INCOMPLETE,
        ["phase 1: inputs of stage build-wheel changed while it ran: src/a.py, src/b.py; run again"],
    ),
    # The run.
    "run that was killed": (
        lambda e: e.run(ended=None),
        INCOMPLETE,
        ["the run never ended: it was killed, or is still going on; run it to its end"],
    ),
    "paths or options that restrict collection": (
        lambda e: e.run(restricted="only tests/unit was asked for"),
        INCOMPLETE,
        ["not every test was collected: only tests/unit was asked for"],
    ),
    # What must exist.
    "a hand-written verdict with an empty expected set": (
        _by_hand,
        INCOMPLETE,
        [
            "the run expected nothing that the gate requires, and so proves nothing",
            *(
                f"{unit} of the plan was unknown to the run; run with this plan"
                for unit in ("phase 1", "phase 2", "phase 3", "stream 2/A", "stream 2/B")
            ),
            "phase 1: 1 stage of the plan was unknown to the run: build-wheel",
            "the gate: coverage was not judged, and the plan requires 75 %",
            "phase 2: coverage was not judged, and the plan requires 85 %",
            "stream 2/A: coverage was not judged, and the plan requires 85 %",
            "sync point (Frozen): coverage was not judged, and the plan requires 80 %",
        ],
    ),
    "an expected test taken out with its record": (
        lambda e: (
            e.record(expected=e.recorded.expected - {WEB})
            .without("items", "nodeid", "test_web")
            .phase("2/B", state=State.EMPTY)
            .rule(allow_empty=("2/B",))
        ),
        INCOMPLETE,
        [
            "what must exist was altered: the run wrote down 25 things, and the 24 that are there now are "
            "not the same; run again"
        ],
    ),
    "an expected test exchanged for another": (
        lambda e: e.record(
            expected=e.recorded.expected - {WEB} | {Expected(TEST, "2/B", "tests/test_easy.py::test_easy")}
        ).item("test_web", nodeid="tests/test_easy.py::test_easy"),
        INCOMPLETE,
        [
            "what must exist was altered: the run wrote down 25 things, and the 25 that are there now are "
            "not the same; run again"
        ],
    ),
    "the plan loosened in the same commit: a phase less": (
        lambda e: replace(e, rules=rules_of(plan_of(OTHER_PLAN))),
        INCOMPLETE,
        ["phase 4 of the plan was unknown to the run; run with this plan"],
    ),
    "the plan loosened in the same commit: a stage less": (
        _without_stage,
        INCOMPLETE,
        ["phase 1: 1 stage of the plan was unknown to the run: build-wheel"],
    ),
    "the plan loosened in the same commit: a lower threshold": (
        lambda e: e.figure("2/A", required=50.0),
        INCOMPLETE,
        [
            "stream 2/A: coverage was judged by 50 %, and the plan requires 85 %; run with this plan",
        ],
    ),
    "the plan loosened in the same commit: a threshold less": (
        lambda e: e.without("figures", "id", "2/A"),
        INCOMPLETE,
        ["stream 2/A: coverage was not judged, and the plan requires 85 %"],
    ),
    "the plan loosened in the same commit: an approval less": (
        lambda e: e.rule(approvals=("security", "code review")),
        PENDING,
        ["approval code review: not given for this tree; `pytest-phases approve 'code review'` gives it"],
    ),
    # Phases.
    "a phase without a record": (
        lambda e: e.without("phases", "id", "/A"),
        INCOMPLETE,
        ["stream 2/A: there is no record of how it ended"],
    ),
    "a red phase": (
        lambda e: e.phase("1", state=State.RED, reason="a collection error"),
        RED,
        ["phase 1 ended red: a collection error"],
    ),
    "a phase that fails still": (
        lambda e: e.phase("1", state=State.FAILING),
        RED,
        ["phase 1 failed and never ended"],
    ),
    "an interrupted phase": (
        lambda e: e.phase("3", state=State.INTERRUPTED, reason="-x"),
        INCOMPLETE,
        ["phase 3 did not finish: -x"],
    ),
    "a waiting phase": (lambda e: e.phase("3", state=State.WAITING), INCOMPLETE, ["phase 3 never opened"]),
    "an open phase": (lambda e: e.phase("3", state=State.OPEN), INCOMPLETE, ["phase 3 never ended"]),
    "an empty phase": (
        lambda e: e.phase("1", state=State.EMPTY).item("build-wheel", outcome=Outcome.SKIPPED),
        INCOMPLETE,
        [
            "phase 1 ran nothing, or skipped everything; if that is meant, name it in allow_empty of the "
            "gate",
        ],
    ),
    "unphased tests that were all skipped": (
        lambda e: e.phase(UNPHASED, state=State.EMPTY).item("test_other", outcome=Outcome.SKIPPED),
        INCOMPLETE,
        [
            "the unphased tests ran nothing, or skipped everything; "
            "if that is meant, name it in allow_empty of the gate"
        ],
    ),
    "a phase called green of which nothing passed": (
        lambda e: e.item("test_web", outcome=Outcome.SKIPPED),
        INCOMPLETE,
        ["stream 2/B: recorded as green, and nothing has passed; run again"],
    ),
    "a red sync point": (
        lambda e: e.phase("sync:1", state=State.RED, reason="reached 70 %, required 80 %"),
        RED,
        ["sync point (Frozen) ended red: reached 70 %, required 80 %"],
    ),
    "a red sync point of a gate that looks at one phase": (
        lambda e: e.rule(phases=("1",), every=False, streams=()).phase("sync:1", state=State.RED),
        RED,
        ["sync point (Frozen) ended red"],
    ),
    "failing unphased tests of a gate that looks at one phase": (
        lambda e: (
            e.rule(phases=("1",), every=False, streams=())
            .phase(UNPHASED, state=State.RED)
            .item("test_other", outcome=Outcome.ERROR)
        ),
        RED,
        [
            "the unphased tests ended red",
            "the unphased tests: 1 test ended in an error: tests/test_other.py::test_other",
        ],
    ),
    # Items.
    "a phase deselected with -k": (
        lambda e: e.without("items", "nodeid", "test_smoke").phase("3", state=State.EMPTY),
        INCOMPLETE,
        ["phase 3: 1 test was not run: tests/smoke/test_smoke.py::test_smoke"],
    ),
    "a test deselected with -k": (
        lambda e: e.without("items", "nodeid", "test_a"),
        INCOMPLETE,
        ["stream 2/A: 1 test was not run: tests/unit/test_core.py::test_a"],
    ),
    "an unphased test deselected": (
        lambda e: e.without("items", "nodeid", "test_other").phase(UNPHASED, state=State.WAITING),
        INCOMPLETE,
        [
            "the unphased tests never opened",
            "the unphased tests: 1 test was not run: tests/test_other.py::test_other",
        ],
    ),
    "a stage that was not run": (
        lambda e: e.without("items", "nodeid", "build-wheel").phase("1", state=State.EMPTY),
        INCOMPLETE,
        [
            "phase 1 ran nothing, or skipped everything; if that is meant, name it in allow_empty of the "
            "gate",
            "phase 1: 1 stage was not run: plan.md::1::build-wheel",
        ],
    ),
    "a test skipped by blocked": (
        _blocked,
        RED,
        [
            "phase 2 ended red: 1 failed",
            "stream 2/B ended red: 1 failed",
            "stream 2/B: 1 test failed: tests/unit/test_web.py::test_web",
            "phase 3 did not run: blocked by stream 2/B (1 failed)",
            "phase 3: 1 test was blocked: tests/smoke/test_smoke.py::test_smoke",
        ],
    ),
    "a failed test in a phase called green": (
        lambda e: e.item("test_a", outcome=Outcome.FAILED),
        RED,
        ["stream 2/A: 1 test failed: tests/unit/test_core.py::test_a"],
    ),
    "a worker killed in the last phase": (
        lambda e: e.item("test_smoke", outcome=Outcome.FAILED).phase("3", state=State.RED, reason="1 failed"),
        RED,
        [
            "phase 3 ended red: 1 failed",
            "phase 3: 1 test failed: tests/smoke/test_smoke.py::test_smoke",
        ],
    ),
    "a second attempt that failed": (
        lambda e: e.record(
            items=(*e.recorded.items, replace(e.recorded.items[2], attempt=2, outcome=Outcome.ERROR))
        ),
        RED,
        ["stream 2/A: 1 test ended in an error: tests/unit/test_core.py::test_a"],
    ),
    "a test that ran in another phase": (
        lambda e: e.item("test_a", phase="2/B"),
        INCOMPLETE,
        [
            "stream 2/A: 1 test was not run: tests/unit/test_core.py::test_a",
            "stream 2/B: 1 test was recorded and not expected: tests/unit/test_core.py::test_a",
        ],
    ),
    "two runs' evidence mixed": (
        _mixed,
        INCOMPLETE,
        [
            "phase 9: recorded and not expected",
            "phase 9: 1 test was recorded and not expected: tests/test_new.py::test_new",
        ],
    ),
    "one test recorded twice": (
        lambda e: e.record(items=(*e.recorded.items, e.recorded.items[1])),
        INCOMPLETE,
        ["phase 2: 1 test was recorded twice: tests/unit/test_all.py::test_all"],
    ),
    "one phase recorded twice": (
        lambda e: e.record(phases=(*e.recorded.phases, e.recorded.phases[0])),
        INCOMPLETE,
        ["phase 1: recorded 2 times, perhaps by several runs"],
    ),
    # Coverage.
    "one coverage part deleted": (
        lambda e: e.look(parts=e.found.parts[1:]),
        INCOMPLETE,
        ["phase 1: 1 coverage part is missing: gw0"],
    ),
    "coverage data deleted": (
        lambda e: e.look(parts=()),
        INCOMPLETE,
        [
            f"{unit}: 2 coverage parts are missing: gw0, gw1"
            for unit in ("phase 1", "phase 2", "stream 2/A", "stream 2/B", "phase 3", "the unphased tests")
        ],
    ),
    "a coverage part that never came": (
        lambda e: e.record(parts=e.recorded.parts[1:]).look(parts=e.found.parts[1:]),
        INCOMPLETE,
        ["phase 1: 1 coverage part is missing: gw0"],
    ),
    "one coverage part truncated": (
        lambda e: e.look(parts=(("1", "gw0", "its sha256 is another"), *e.found.parts[1:])),
        INCOMPLETE,
        ["phase 1: 1 coverage part cannot be used (its sha256 is another): gw0"],
    ),
    "a coverage part that was unreadable when it came": (
        lambda e: e.record(parts=(replace(e.recorded.parts[0], problem="no data"), *e.recorded.parts[1:])),
        INCOMPLETE,
        ["phase 1: 1 coverage part cannot be used (no data): gw0"],
    ),
    "a coverage part twice": (
        lambda e: e.look(parts=(*e.found.parts, e.found.parts[0])),
        INCOMPLETE,
        ["phase 1: 1 coverage part was recorded twice: gw0"],
    ),
    "a coverage part of nobody": (
        lambda e: e.look(parts=(*e.found.parts, ("1", "gw7", "")), surplus=("coverage/x", "coverage/y")),
        INCOMPLETE,
        [
            "phase 1: 1 coverage part was recorded and not expected: gw7",
            "coverage files that nobody expects: coverage/x, coverage/y; run again",
        ],
    ),
    "no coverage part was ever expected": (
        lambda e: (
            e.expect(frozenset(each for each in e.recorded.expected if each.kind is not PART))
            .record(parts=(), figures=e.recorded.figures[-1:])
            .look(parts=())
            .rule(thresholds={})
        ),
        INCOMPLETE,
        ["the gate: coverage was judged, and no part of it was expected of any worker"],
    ),
    "--no-cov": (
        lambda e: e.figure("2/A", reached=None, problem="coverage could not be judged: --no-cov is given"),
        RED,
        ["stream 2/A: coverage could not be judged: --no-cov is given"],
    ),
    "a figure without a reason": (
        lambda e: e.figure(GATE, reached=None),
        RED,
        ["the gate: coverage could not be measured, and no reason is recorded"],
    ),
    "a threshold of a phase that was missed": (
        lambda e: e.figure("2/A", reached=84.0),
        RED,
        ["stream 2/A: coverage reached 84 %, required 85 %"],
    ),
    "a threshold of a sync point that was missed": (
        lambda e: e.rule(phases=("1",), every=False, streams=()).figure("sync:1", reached=10.0),
        RED,
        ["sync point (Frozen): coverage reached 10 %, required 80 %"],
    ),
    "a threshold of the gate that was missed": (
        lambda e: e.figure(GATE, reached=74.0),
        RED,
        ["the gate: coverage reached 74 %, required 75 %"],
    ),
    "a threshold of a marker that was missed": (
        lambda e: e.record(figures=(*e.recorded.figures, FigureRecord("3", "phase", 50.0, 40.0, 0))),
        RED,
        ["phase 3: coverage reached 40 %, required 50 %"],
    ),
    "a threshold that was lowered so that it was reached": (
        lambda e: e.figure(GATE, required=50.0, reached=60.0),
        RED,
        [
            "the gate: coverage reached 60 %, required 75 %",
            "the gate: coverage was judged by 50 %, and the plan requires 75 %; run with this plan",
        ],
    ),
    "a phase called gate in place of the gate": (
        lambda e: e.figure(GATE, kind="phase"),
        INCOMPLETE,
        [
            "the gate: coverage was not judged, and the plan requires 75 %",
            "phase gate: coverage was judged, and no part of it was expected of any worker",
        ],
    ),
    "a figure of more than everything": (
        lambda e: e.figure(GATE, reached=120.0),
        INCOMPLETE,
        ["the gate: the recorded coverage, 120 of 75 %, does not lie between 0 and 100"],
    ),
    "a figure of absurd precision": (
        lambda e: e.figure(GATE, precision=5000),
        INCOMPLETE,
        ["the gate: the recorded coverage has 5000 places; run again"],
    ),
    "a figure that is no number": (
        lambda e: e.figure(GATE, reached=float("nan")),
        INCOMPLETE,
        ["the gate: the recorded coverage, nan of 75 %, does not lie between 0 and 100"],
    ),
    "a figure recorded twice": (
        lambda e: e.record(figures=(*e.recorded.figures, e.recorded.figures[-1])),
        INCOMPLETE,
        ["the gate: coverage was recorded 2 times, perhaps by several runs"],
    ),
    # The tree.
    "a tree without a digest": (
        lambda e: e.run(tree=""),
        INCOMPLETE,
        ["which tree was tested is unknown: it has no digest from before tests were collected; run again"],
    ),
    "a tree without a digest afterwards": (
        lambda e: e.run(tree_after=""),
        INCOMPLETE,
        ["which tree was tested is unknown: it has no digest from after everything ran; run again"],
    ),
    "a tracked file changed while a phase ran": (
        lambda e: e.look(changed=("src/a.py",)),
        INCOMPLETE,
        [
            "1 file changed while the run ran, in no outputs of a stage: src/a.py; "
            "run again, or declare what a stage makes in its outputs"
        ],
    ),
    "many files changed while a phase ran": (
        lambda e: e.look(changed=tuple(f"{number}.py" for number in range(12))),
        INCOMPLETE,
        [
            "12 files changed while the run ran, in no outputs of a stage: 0.py, 1.py, 2.py, 3.py, 4.py, "
            "5.py, 6.py, 7.py, 8.py, 9.py and 2 more; run again, or declare what a stage makes in its outputs"
        ],
    ),
    "verdict of another commit, dirty file after the run": (
        lambda e: e.look(now=("the commit is b, and a was tested", "a.py has changed since the run")),
        INCOMPLETE,
        ["the commit is b, and a was tested", "a.py has changed since the run"],
    ),
    "a condition of the project": (
        lambda e: e.record(conditions=("the changelog has no entry",)),
        RED,
        ["the changelog has no entry"],
    ),
    # Approvals.
    "an approval that was not given": (
        lambda e: e.look(approvals=()),
        PENDING,
        ["approval security: not given for this tree; `pytest-phases approve security` gives it"],
    ),
    "approval for another tree": (
        lambda e: e.look(approvals=(("security", "it was given for another tree"),)),
        PENDING,
        ["approval security: it was given for another tree"],
    ),
    "approval file edited": (
        lambda e: e.look(approvals=(("security", ""), ("security", "its text was altered"))),
        PENDING,
        ["approval security: its text was altered"],
    ),
}


@pytest.mark.parametrize(("change", "decision", "reasons"), NOT_GREEN.values(), ids=NOT_GREEN)
def test_what_is_not_green(
    change: Callable[[Evidence], Evidence], decision: Decision, reasons: list[str]
) -> None:
    """Each of these has its decision, and exactly these reasons."""
    verdict = change(green()).verdict
    assert [reason.text for reason in verdict.reasons] == reasons
    assert verdict.decision is decision


def test_two_runs_of_one_plan_have_everything_twice() -> None:
    """Records of the same things are told by their number."""
    verdict = _twice(green()).verdict
    texts = "\n".join(reason.text for reason in verdict.reasons)
    assert verdict.decision is INCOMPLETE
    assert "phase 3: recorded 2 times" in texts
    assert "stream 2/A: 2 tests were recorded twice: tests/unit/test_core.py::test_a, tests" in texts
    assert "phase 1: 2 coverage parts were recorded twice: gw0, gw1" in texts
    assert "sync point (Frozen): coverage was recorded 2 times" in texts


def test_the_gravest_reason_decides_and_all_are_told() -> None:
    """Red before incomplete before pending, whatever was found first."""
    pending = green().look(approvals=())
    incomplete = pending.run(ended=None)
    red = incomplete.record(conditions=("no",))
    assert [each.verdict.decision for each in (pending, incomplete, red)] == [PENDING, INCOMPLETE, RED]
    assert [reason.decision for reason in red.verdict.reasons] == [RED, INCOMPLETE, PENDING]


def test_many_reasons_of_a_kind_are_one() -> None:
    """Five are named, in order, and the others counted."""
    names = [f"tests/test_a.py::test_{number}" for number in range(9)]
    evidence = green("## Phase 1: A\n", {"1": names})
    first = evidence.recorded.items[:1]
    (reason,) = evidence.record(items=first).verdict.reasons
    named = ", ".join(names[1:6])
    assert reason.text == f"phase 1: 8 tests were not run: {named} and 3 more"


def test_reasons_follow_the_order_of_the_plan() -> None:
    """A phase that the plan has first is told first, whatever its id."""
    items = {phase: [f"test_{phase}.py::test"] for phase in ("10", "9", "b", "a", UNPHASED)}
    evidence = green("".join(f"## Phase {phase}: x\n" for phase in items if phase != UNPHASED), items)
    reasons = evidence.record(items=()).verdict.reasons
    missing = [reason.text.partition(":")[0] for reason in reasons if "not run" in reason.text]
    assert missing == ["phase 10", "phase 9", "phase b", "phase a", "the unphased tests"]


def test_what_the_gate_does_not_look_at_must_not_be_unexpected() -> None:
    """Evidence that nobody expected is never green, wherever it is."""
    stray = ItemRecord("tests/test_new.py::test_new", "3", TEST, Outcome.PASSED, 0.1, "gw0")
    evidence = green().rule(phases=("1",), every=False, streams=())
    assert evidence.record(items=(*evidence.recorded.items, stray)).verdict.decision is INCOMPLETE


def test_parts_of_other_phases_count_where_a_threshold_is_shared() -> None:
    """The gate's figure and a sync point's are made of phases that the gate itself need not look at."""
    evidence = green().rule(phases=("1",), every=False, streams=())
    missing = evidence.look(parts=tuple(part for part in evidence.found.parts if part[0] != "3"))
    assert missing.verdict.decision is INCOMPLETE
    alone = missing.rule(required=None, thresholds={"1": 50.0}).record(
        figures=(FigureRecord("1", "phase", 50.0, 60.0, 0),)
    )
    assert alone.verdict.decision is GREEN


def test_nothing_required_is_not_green() -> None:
    """A gate that looks at no phase of the run proves nothing."""
    evidence = green("## Phase 1: A\n", {"1": ["t.py::test"]}).rule(phases=(), every=False)
    assert evidence.verdict.decision is INCOMPLETE


# Any plan, any one piece -------------------------------------------------------------------------

NAMES = st.text("abcdefgh", min_size=1, max_size=3)


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    """Green evidence of a plan with some phases, streams, thresholds and tests."""
    lines: list[str] = []
    items: dict[str, list[str]] = {}
    for number in range(1, draw(st.integers(1, 4)) + 1):
        threshold = draw(st.sampled_from(["", "coverage: 85\n"]))
        lines.append(f"## Phase {number}: x\n{threshold}")
        units = [str(number), *(f"{number}/{letter}" for letter in draw(st.sampled_from(["", "A", "AB"])))]
        lines += [f"### Stream {unit[-1]}: y\ncovers: [src]\n" for unit in units[1:]]
        for unit in units:
            names = draw(st.sets(NAMES, min_size=1, max_size=4))
            items[unit] = [f"tests/{unit}.py::{name}" for name in sorted(names)]
        lines.append(draw(st.sampled_from(["", "## Sync: s\n", "## Sync: s\ncoverage: 80\n"])))
    if draw(st.booleans()):
        items[UNPHASED] = ["tests/test_other.py::test"]
    if draw(st.booleans()):
        lines.append("## Gate: g\ncoverage: 70\napprovals: [me, you]\n")
    return green("".join(lines), items)


def _row_lost(draw: st.DrawFn, evidence: Evidence) -> Evidence:
    rows = {
        table: getattr(evidence.recorded, table)
        for table in ("phases", "items", "parts", "figures", "expected")
        if getattr(evidence.recorded, table)
    }
    # A sync point without a threshold proves nothing, and is missed by nobody.
    rows["phases"] = tuple(row for row in rows["phases"] if not row.id.startswith("sync:"))
    table = draw(st.sampled_from(sorted(rows)))
    row = draw(st.sampled_from(sorted(rows[table], key=repr)))
    left = [each for each in getattr(evidence.recorded, table) if each != row]
    return evidence.record(**{table: frozenset(left) if table == "expected" else tuple(left)})


def _row_twice(draw: st.DrawFn, evidence: Evidence) -> Evidence:
    tables = [table for table in ("phases", "items", "parts", "figures") if getattr(evidence.recorded, table)]
    table = draw(st.sampled_from(tables))
    rows = getattr(evidence.recorded, table)
    return evidence.record(**{table: (*rows, draw(st.sampled_from(rows)))})


def _one_item(changes: st.SearchStrategy[dict[str, Any]]) -> Callable[[st.DrawFn, Evidence], Evidence]:
    def change(draw: st.DrawFn, evidence: Evidence) -> Evidence:
        item = draw(st.sampled_from(evidence.recorded.items))
        return evidence.item(item.nodeid, **draw(changes))

    return change


def _one_phase(draw: st.DrawFn, evidence: Evidence) -> Evidence:
    phase = draw(st.sampled_from(evidence.recorded.phases))
    state = draw(st.sampled_from([state for state in State if state is not State.GREEN]))
    rows = tuple(replace(row, state=state) if row is phase else row for row in evidence.recorded.phases)
    return evidence.record(phases=rows)


def _one_figure(draw: st.DrawFn, evidence: Evidence) -> Evidence:
    if not evidence.recorded.figures:
        return evidence.rule(required=50.0)
    figure = draw(st.sampled_from(evidence.recorded.figures))
    changes: list[dict[str, Any]] = [
        {"reached": None},
        {"reached": 12.0},
        {"required": 12.0},
        {"problem": "x"},
    ]
    changed = replace(figure, **draw(st.sampled_from(changes)))
    rows = tuple(changed if row is figure else row for row in evidence.recorded.figures)
    return evidence.record(figures=rows)


def _run_told(draw: st.DrawFn, evidence: Evidence) -> Evidence:
    changes: list[dict[str, Any]] = [
        {"ended": None},
        {"restricted": "-k x"},
        {"tree": ""},
        {"tree_after": ""},
        {"expected_digest": "0" * 64},
        {"expected_count": 0},
    ]
    return evidence.run(**draw(st.sampled_from(changes)))


def _one_finding(draw: st.DrawFn, evidence: Evidence) -> Evidence:
    found = evidence.found
    changes: list[dict[str, Any]] = [{"surplus": ("x",)}, {"changed": ("x",)}, {"now": ("x",)}]
    changes += [{"parts": found.parts[1:]}] if found.parts else []
    changes += [{"parts": ((*found.parts[0][:2], "x"), *found.parts[1:])}] if found.parts else []
    changes += [{"approvals": found.approvals[1:]}] if found.approvals else []
    return evidence.look(**draw(st.sampled_from(changes)))


ALTERATIONS: dict[str, Callable[[st.DrawFn, Evidence], Evidence]] = {
    "a row is lost": _row_lost,
    "a row is there twice": _row_twice,
    "an item ended badly": _one_item(
        st.sampled_from([Outcome.FAILED, Outcome.ERROR, Outcome.BLOCKED]).map(lambda end: {"outcome": end})
    ),
    "an item is another": _one_item(
        st.sampled_from([{"phase": "77"}, {"kind": STAGE}, {"nodeid": "tests/new.py::new"}])
    ),
    "a phase is not green": _one_phase,
    "a figure is another": _one_figure,
    "the run was not whole": _run_told,
    "something else is found": _one_finding,
}


@pytest.mark.parametrize("alter", ALTERATIONS.values(), ids=ALTERATIONS)
@given(data=st.data())
def test_any_one_piece_makes_the_difference(
    alter: Callable[[st.DrawFn, Evidence], Evidence], data: st.DataObject
) -> None:
    """A run of whatever plan is green; with one piece lost or altered it is not, and says why."""
    evidence = data.draw(evidences())
    assert evidence.verdict == GateResult(evidence.rules.name, GREEN)
    verdict = alter(data.draw, evidence).verdict
    assert verdict.decision is not GREEN
    assert verdict.reasons
    assert verdict.decision is verdict.reasons[0].decision
