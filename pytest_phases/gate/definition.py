"""A phase as it was stated, in a form that can be written down and compared."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pytest_phases.model import Phase, Stage


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
        "stages": {stage.id: _digest(stage) for stage in unit.stages},
    }


def _digest(stage: Stage) -> str:
    """What a stage runs and how."""
    told = [stage.crew.value, stage.language.value, stage.run, stage.cwd, sorted(stage.needs)]
    return hashlib.sha256(json.dumps(told).encode("utf-8", "surrogatepass")).hexdigest()
