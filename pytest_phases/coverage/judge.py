"""Judging the thresholds of a run, by what the workers have handed over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from pytest_phases.coverage.analysis import Sources
from pytest_phases.coverage.attribution import attribute
from pytest_phases.coverage.combine import Combined
from pytest_phases.coverage.scope import ScopeError, Target
from pytest_phases.coverage.threshold import judge
from pytest_phases.events import Figure
from pytest_phases.evidence import GATE


class CoverageJudge:
    """Every threshold of a run but those in `left`, which says for each why it cannot be judged.

    `impossible` says why nothing is measured at all, empty if it is: a threshold is then missed.
    """

    def __init__(
        self,
        targets: Iterable[Target],
        sources: Callable[[], Sources],
        combined: Combined,
        left: Mapping[str, str],
        impossible: str,
    ) -> None:
        self.left = left
        self.combined = combined
        self._targets = {target.id: target for target in targets if target.id not in left}
        self._sources = sources
        self._impossible = impossible
        self._expected: dict[tuple[str, str], None] = {}

    @property
    def judged(self) -> Collection[str]:
        """The ids of the phases, streams and sync points that are judged while the run goes."""
        return [name for name in self._targets if name != GATE]

    @property
    def expected(self) -> Iterable[tuple[str, str]]:
        """(phase, worker) of every part that must be there by now."""
        return tuple(self._expected)

    def expect(self, phase: str, worker: str) -> None:
        """A worker has run an item of a phase."""
        self._expected[phase, worker] = None

    def take(self, worker: str, phase: str, data: bytes, fixtures: Sequence[str], problem: str) -> None:
        """A worker hands over coverage data."""
        self.combined.take(worker, phase, data, fixtures, problem)

    def judge(self, node: str) -> Figure:
        """What was reached, and whether that is enough."""
        target = self._targets[node]
        problem = self._impossible or "; ".join(
            self.combined.missing(key for key in self._expected if key[0] in target.phases)
        )
        if not problem:
            self.combined.write(target.phases)
            try:
                return self._measured(target)
            except ScopeError as error:
                problem = str(error)
        text = f"coverage could not be judged ({target.required:g} % required): {problem}"
        return Figure(node, target.kind, target.required, None, 0, passed=False, text=text)

    def _measured(self, target: Target) -> Figure:
        sources = self._sources()
        executed = attribute(self.combined.measured, self.combined.contexts_of(target.phases))
        reached = sources.figure(sources.files(target.covers, executed), executed)
        verdict = judge(reached.percent, target.required, sources.precision)
        return Figure(
            target.id,
            target.kind,
            target.required,
            reached.percent,
            sources.precision,
            verdict.passed,
            f"coverage {verdict.text}",
            () if verdict.passed else reached.least,
        )

    @property
    def gate(self) -> Figure | None:
        """The gate's own threshold, judged when the run is over; None if there is none to judge."""
        return self.judge(GATE) if GATE in self._targets else None
