"""A phase as it was stated, in a form that can be written down and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

from pytest_phases.errors import PhasesError
from pytest_phases.evidence import Recorded
from pytest_phases.gate.rules import SYNC
from pytest_phases.model import UNPHASED, Phase, Stage

_FULL = 100


def definition_of(unit: Phase, threshold: float | None = None) -> dict[str, Any]:
    """A phase or stream as the plan and the markers state it, without where they do.

    `threshold` is the one it is judged by, which a stream may have from its phase.
    """
    return {
        "deps": sorted(unit.deps),
        "tests": sorted(map(str, unit.tests)),
        "covers": sorted(unit.covers),
        "threshold": threshold,
        "requires": sorted(unit.requires),
        "modifies": sorted(unit.modifies),
        "enforce": unit.enforce,
        "stages": {stage.id: _digest(stage) for stage in unit.stages},
    }


def definitions(recorded: Recorded) -> Mapping[str, Mapping[str, Any]]:
    """What a run wrote down of its phases and streams by `definition_of`, by id.

    Raises PhasesError for what no run can have written.
    """
    return {
        record.id: _read(record.id, record.definition)
        for record in recorded.phases
        if record.id != UNPHASED and not record.id.startswith(SYNC)
    }


def _read(unit: str, text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    kinds = {"deps": list, "tests": list, "covers": list, "requires": list, "stages": dict}
    sound = isinstance(found, dict) and all(isinstance(found.get(key), kind) for key, kind in kinds.items())
    if not sound or not _is_threshold(found.get("threshold", "")):
        raise PhasesError(
            f"the record of phase {unit} was altered: nobody wrote such a definition; run again"
        )
    return cast("Mapping[str, Any]", found)


def _is_threshold(value: object) -> bool:
    # Compared with both ends: NaN lies nowhere, and no float holds the largest whole numbers.
    return value is None or (isinstance(value, (int, float)) and 0 <= value <= _FULL)


def _digest(stage: Stage) -> str:
    """What a stage runs and how."""
    told = [
        *(stage.crew.value, stage.language.value, stage.run, stage.cwd),
        *map(sorted, (stage.needs, stage.inputs, stage.outputs, stage.env)),
    ]
    return hashlib.sha256(json.dumps(told).encode("utf-8", "surrogatepass")).hexdigest()
