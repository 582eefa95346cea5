"""A phase as it was stated, to be written down and compared."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_phases.errors import PhasesError
from pytest_phases.events import State
from pytest_phases.evidence import PhaseRecord, Recorded, RunRecord
from pytest_phases.gate.definition import definition_of, definitions
from pytest_phases.model import Phase
from pytest_phases.plan.markdown import read_markdown

PHASE = """
### Phase 0: Zero
### Phase 1: One
dependencies: [0]
tests: [tests/b, tests/a]
covers: [src/b, src/a]
requires: [cmd:sh, env:HOME]
Build: wheel
```bash
make wheel
```
Testing: smoke
needs: [wheel]
```bash
./smoke
```
"""
SOUND: dict[str, Any] = {
    "deps": [],
    "tests": [],
    "covers": [],
    "requires": [],
    "stages": {},
    "threshold": None,
}


def phase(text: str = PHASE) -> Phase:
    """The last phase of a plan."""
    plan, problems = read_markdown(text, "plan.md")
    assert not problems
    return plan.phases[-1]


def recorded(definition: str, unit: str = "1") -> Recorded:
    """A run that wrote this down of a phase."""
    record = PhaseRecord(unit, "phase", "", State.GREEN, definition=definition)
    return Recorded(RunRecord("r1", "", "plan.md", ""), phases=(record,))


SAME = {
    "lists in another order": ("[tests/b, tests/a]", "[tests/a, tests/b]"),
    "another name": ("Phase 1: One", "Phase 1: Another"),
    "prose": ("Build: wheel", "Words.\n\nBuild: wheel"),
    "a time limit": ("covers:", "timeout: 10m\ncovers:"),
}
OTHER = {
    "a test less": (", tests/a", ""),
    "a file less": (", src/a", ""),
    "a prerequisite less": (", env:HOME", ""),
    "another dependency": ("dependencies: [0]", "dependencies: []"),
    "another script": ("make wheel", "true"),
    "another language": ("bash\nmake wheel", "python\nmake wheel"),
    "another crew": ("Build: wheel", "Testing: wheel"),
    "another folder": ("needs: [wheel]", "needs: [wheel]\ncwd: sub"),
    "nothing needed": ("needs: [wheel]\n", ""),
}


@pytest.mark.parametrize(("old", "new"), SAME.values(), ids=SAME.keys())
def test_what_makes_no_difference_is_not_in_it(old: str, new: str) -> None:
    """Two statements of the same phase are equal."""
    assert old in PHASE
    assert definition_of(phase(PHASE.replace(old, new))) == definition_of(phase())


@pytest.mark.parametrize(("old", "new"), OTHER.values(), ids=OTHER.keys())
def test_what_makes_a_difference_is_in_it(old: str, new: str) -> None:
    """Another statement is told from it."""
    assert old in PHASE
    assert definition_of(phase(PHASE.replace(old, new))) != definition_of(phase())


@pytest.mark.parametrize("threshold", [None, 0, 84.6, 100])
def test_what_is_written_down_is_read_as_it_was(threshold: float | None) -> None:
    """By the id of the phase, with the threshold that it is judged by."""
    stated = definition_of(phase(), threshold)
    assert stated["threshold"] == threshold
    assert definitions(recorded(json.dumps(stated))) == {"1": stated}


@pytest.mark.parametrize("unit", ["sync:1", "unphased"])
def test_what_is_no_phase_of_the_plan_has_none(unit: str) -> None:
    """A sync point and the unphased tests."""
    assert definitions(recorded("", unit)) == {}


ALTERED = {
    "nothing": "",
    "no JSON": "nonsense",
    "nested without end": "[" * 100_000,
    "a list": "[]",
    "empty": "{}",
    **{f"no {key}": json.dumps({name: SOUND[name] for name in SOUND if name != key}) for key in SOUND},
    **{f"{key} of another kind": json.dumps({**SOUND, key: "1"}) for key in SOUND},
    **{
        f"a threshold of {value:.0e}": json.dumps({**SOUND, "threshold": value})
        for value in (-1, 101, 1e300, float("nan"), float("inf"))
    },
    "a threshold that no float holds": json.dumps({**SOUND, "threshold": 10**400}),
}


@pytest.mark.parametrize("definition", ALTERED.values(), ids=ALTERED.keys())
def test_what_no_run_wrote_is_refused(definition: str) -> None:
    """The phase is named, with what to do."""
    with pytest.raises(PhasesError, match=r"the record of phase 7/A was altered: .*; run again"):
        definitions(recorded(definition, "7/A"))
