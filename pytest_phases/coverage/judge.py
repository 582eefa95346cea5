"""Judging the thresholds of a run, by what the workers have handed over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from pytest_phases.coverage.analysis import Sources
from pytest_phases.coverage.attribution import attribute
from pytest_phases.coverage.combine import Combined
from pytest_phases.coverage.scope import ScopeError, Target
from pytest_phases.coverage.threshold import judge
from pytest_phases.events import Figure, title
from pytest_phases.evidence import AFTERWARDS, GATE


class CoverageJudge:
    """Every threshold of a run but those in `left`, which says for each why it cannot be judged.

    `impossible` says why nothing is measured at all, empty if it is: a threshold is then missed.
    """

    def __init__(
        self,
        targets: Iterable[Target],
        sources: Callable[[], Sources],
        combined: Combined,
        left: Mapping[Target, str],
        *,
        impossible: str,
    ) -> None:
        self.combined = combined
        self._left = {title(target.kind, target.id, target.name): why for target, why in left.items()}
        judged = [target for target in targets if target not in left]
        # A phase may be called `gate`, so the gate's own threshold is told by its kind.
        self._targets = {target.id: target for target in judged if target.kind != GATE}
        self._gate = next((target for target in judged if target.kind == GATE), None)
        self._sources = sources
        self._impossible = impossible
        self._expected: dict[tuple[str, str], None] = {}
        self._unsound: set[str] = set()

    @property
    def judged(self) -> Collection[str]:
        """The ids of the phases, streams and sync points that are judged while the run goes."""
        return list(self._targets)

    @property
    def notes(self) -> tuple[str, ...]:
        """Which thresholds are not judged, and why, in words."""
        titles: dict[str, list[str]] = {}
        for name, why in self._left.items():
            titles.setdefault(why, []).append(name)
        return tuple(f"coverage of {', '.join(each)} is not judged: {why}" for why, each in titles.items())

    def expect(self, phase: str, worker: str) -> Iterable[tuple[str, str]]:
        """A worker has run an item of a phase: what it will hand over for that, if anything is measured."""
        coming = [] if self._impossible else [(phase, worker), (AFTERWARDS, worker)]
        new = [part for part in coming if part not in self._expected]
        self._expected.update(dict.fromkeys(new))
        return new

    def take(self, worker: str, phase: str, data: bytes, fixtures: Sequence[str], problem: str) -> None:
        """A worker hands over coverage data."""
        self.combined.take(worker, phase, data, fixtures, problem)

    def resume(self, worker: str, phase: str, data: bytes, fixtures: Sequence[str], problem: str) -> None:
        """A worker of an earlier run had handed this over, which holds still."""
        self._expected[phase, worker] = None
        self.take(worker, phase, data, fixtures, problem)
        self.combined.write()

    def write(self, phase: str) -> None:
        """A phase or stream has closed: keep what was measured for it, whatever becomes of the run."""
        self.combined.write([phase])

    def executed(self, phase: str) -> Collection[str]:
        """The files that were executed for a phase or stream, relative to the rootdir if below it."""
        return self.combined.executed(phase)

    def leave_out(self, phases: Collection[str]) -> None:
        """Tests of these phases were found late and deselected, so no figure of theirs says anything."""
        self._unsound.update(phases)

    def judge(self, node: str) -> Figure | None:
        """What a phase, stream or sync point reached; None where tests that count were left out."""
        return self._judge(self._targets[node])

    def _judge(self, target: Target) -> Figure | None:
        if not self._unsound.isdisjoint(target.phases):
            return None
        problem = self._impossible or "; ".join(
            self.combined.missing(key for key in self._expected if key[0] in target.phases)
        )
        if not problem:
            self.combined.write(target.phases)
            try:
                return self._measured(target)
            except ScopeError as error:
                problem = str(error)
        text = f"coverage not measured, required {target.required:g} %"
        return Figure(
            target.id,
            target.kind,
            target.name,
            target.required,
            None,
            0,
            passed=False,
            text=text,
            problem=problem,
        )

    def _measured(self, target: Target) -> Figure:
        sources = self._sources()
        payload = self.combined.current()
        executed = attribute(payload.measured, self.combined.contexts_of(target.phases), payload.tracers)
        reached = sources.figure(sources.files(target.covers, executed), executed)
        verdict = judge(reached.percent, target.required, sources.precision)
        return Figure(
            target.id,
            target.kind,
            target.name,
            target.required,
            reached.percent,
            sources.precision,
            verdict.passed,
            f"coverage {verdict.text}",
            files=() if verdict.passed else reached.least,
        )

    def close(self) -> Figure | None:
        """Nothing is measured any more: write it all down, and judge the gate's own threshold."""
        self.combined.write()
        self.combined.write_data()
        return self._judge(self._gate) if self._gate is not None else None
