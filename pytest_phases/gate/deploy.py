"""Deploy stages: run in the process that was started, with their output shown live."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pytest_phases.evidence import DeployRecord
from pytest_phases.model import Stage
from pytest_phases.stages.environment import stage_environment
from pytest_phases.stages.process import Command, run

PHASE = "deploy"
"""What a deploy stage finds in PHASES_PHASE, and the folder of its log."""


def deploy(  # noqa: PLR0917 - each of these is a word of the stage's environment
    stage: Stage, root: Path, phases_dir: Path, run_id: str, plan: str, echo: Callable[[bytes], None]
) -> DeployRecord:
    """Run one stage; `echo` is given its output as it comes, secrets masked."""
    command = Command(
        script=stage.run,
        language=stage.language,
        cwd=root / (stage.cwd or "."),
        env=stage_environment(os.environ, PHASE, stage.id, run_id, phases_dir, plan, sys.executable),
        timeout=stage.timeout,
        log=phases_dir / "logs" / PHASE / f"{stage.id}.log",
    )
    started = time.monotonic()
    ending = run(command, echo)
    return DeployRecord(stage.id, ending.ok, ending.describe(), time.monotonic() - started)
