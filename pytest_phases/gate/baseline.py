"""Judging by the plan of another commit, so that a change cannot loosen the gate that judges it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pytest_phases.errors import PhasesError
from pytest_phases.evidence import Recorded
from pytest_phases.gate.definition import definition_of, definitions
from pytest_phases.gate.look import outputs
from pytest_phases.gate.repository import git
from pytest_phases.model import Crew, Phase, Plan
from pytest_phases.plan.read import read_plan
from pytest_phases.plan.selectors import lies_at


class BaselineError(PhasesError):
    """The plan of the other commit cannot be read: which, and what to do."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The plan as it stands in `ref`, and its file of allowed signers."""

    ref: str
    plan: Plan
    signers: Path | None

    def loosened(self, recorded: Recorded) -> Iterator[str]:
        """What the run did less of than this plan demands, in sentences.

        More tests, stages and phases are welcome; thresholds and the gate are judged by this plan anyway.
        """
        ran = definitions(recorded)
        for unit in self.plan.units():
            if unit.id in ran:
                for what in _lacks(unit, ran[unit.id]):
                    yield f"{_named(unit)}: {what}; it is judged by the plan of {self.ref}"
        yield from self._written(recorded)

    def _written(self, recorded: Recorded) -> Iterator[str]:
        """What the run left in the tree by leave of its own plan alone."""
        allowed = outputs(self.plan)
        builds = any(stage.crew is Crew.BUILD for unit in self.plan.units() for stage in unit.stages)
        for made in recorded.run.made:
            path, _, what = made.rpartition(" (")
            if not (builds and what == "new)") and not any(lies_at(path, output) for output in allowed):
                yield (
                    f"{made} while the run ran, which the plan of {self.ref} allows no stage; "
                    "run again when that plan declares it in the outputs of one"
                )


def _lacks(unit: Phase, run: Mapping[str, Any]) -> Iterator[str]:
    wanted = definition_of(unit)
    for key in ("tests", "requires"):
        missing = [entry for entry in wanted[key] if entry not in run[key]]
        if missing:
            yield f"the run did not have `{'`, `'.join(missing)}` among its {key}"
    if wanted["covers"] != run["covers"]:
        yield f"the run measured {_list(run['covers'])}, not {_list(wanted['covers'])}"
    for stage, digest in wanted["stages"].items():
        if run["stages"].get(stage, digest) != digest:
            yield f"stage {stage} ran another script"


def _list(covers: list[str]) -> str:
    return ", ".join(f"`{entry}`" for entry in covers) or "the configured source"


def _named(unit: Phase) -> str:
    return f"{'stream' if '/' in unit.id else 'phase'} {unit.id}"


@contextmanager
def baseline(root: Path, ref: str, plan_file: str) -> Iterator[Baseline]:
    """The plan at `ref`; BaselineError or PlanError if it is not there or wrong."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / Path(plan_file).name
        path.write_bytes(_content(root, ref, plan_file))
        plan = read_plan(path, f"{plan_file} of {ref}")
        signers = None
        if plan.gate is not None and plan.gate.approvals_signers is not None:
            signers = Path(folder) / "allowed_signers"
            signers.write_bytes(_content(root, ref, plan.gate.approvals_signers))
        yield Baseline(ref, plan, signers)


def _content(root: Path, ref: str, file: str) -> bytes:
    """A file as it stands in a commit."""
    # Of a commit and nothing else: an empty ref would be the index, which is the change's own.
    try:
        done = git(root, ("cat-file", "blob", "--end-of-options", f"{ref}^{{commit}}:./{file}"))
    except OSError as error:
        raise BaselineError(f"git could not be run ({error.strerror}); --plan-from needs it") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise BaselineError(f"{file} cannot be read from {ref}: {said}; name a commit that has it")
    return done.stdout
