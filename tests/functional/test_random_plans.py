"""Random plans over real workers: the tests' own clock says whether the plan was kept."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from random import Random

import pytest

CASES = [
    pytest.param("waves", 1, 11, id="waves, one worker"),
    pytest.param("waves", 2, 12, id="waves, two workers"),
    pytest.param("waves", 4, 13, id="waves, four workers"),
    pytest.param("flow", 1, 14, id="flow, one worker"),
    pytest.param("flow", 3, 15, id="flow, three workers"),
    pytest.param("flow", 4, 16, id="flow, four workers"),
]

TEST = """
def test_{name}():
    with journal.span({name!r}):
        time.sleep({seconds:.4f})
"""


@dataclass(frozen=True)
class RandomPlan:
    """A plan drawn from a seed: what each phase needs, its tests with their seconds, and more.

    `above` holds how many phases stand above each sync point; the last entry of `tests` is of the
    unphased tests. Phases are numbered in the order of the plan.
    """

    needs: list[list[int]]
    tests: list[dict[str, float]]
    serial: frozenset[int]
    above: tuple[int, ...]

    @classmethod
    def draw(cls, seed: int) -> RandomPlan:
        """5 to 40 phases of one to four tests that take up to 20 ms; at most two sync points."""
        chance = Random(seed)
        count = chance.randint(5, 40)
        needs = [sorted(chance.sample(range(at), chance.randint(0, min(at, 3)))) for at in range(count)]
        tests = [
            {f"{at}_{number}": chance.choice((0.0, 0.002, 0.02)) for number in range(chance.randint(1, 4))}
            for at in range(count + 1)
        ]
        serial = frozenset(at for at in range(count) if chance.random() < 0.08)
        above = tuple(sorted(chance.sample(range(1, count), chance.randint(0, 2))))
        return cls(needs, tests, serial, above)

    @property
    def text(self) -> str:
        """The plan in Markdown."""
        lines = []
        for at, needed in enumerate(self.needs):
            lines += [f"### Sync: {at} phases above"] * (at in self.above)
            lines += [f"### Phase {at}: Number {at}", f"dependencies: {needed}", f"tests: [test_{at}.py]"]
            lines += ["serial: true"] * (at in self.serial) + [""]
        return "\n".join(lines)

    @property
    def modules(self) -> dict[str, str]:
        """The test modules by name; the last belongs to no phase."""
        return {
            f"test_{at}": "import time, journal\n"
            + "".join(TEST.format(name=name, seconds=seconds) for name, seconds in tests.items())
            for at, tests in enumerate(self.tests)
        }

    def before(self) -> set[tuple[int, int]]:
        """Pairs of phases of which the first must have ended when the second starts, in any schedule."""
        pairs = {(needed, at) for at, each in enumerate(self.needs) for needed in each}
        phases = range(len(self.needs))
        pairs |= {(one, other) for line in self.above for one in phases[:line] for other in phases[line:]}
        unphased = len(self.needs)
        return pairs | {(at, unphased) for line in self.above for at in phases[:line]}

    def waves(self) -> list[int]:
        """The wave of each phase: the length of the longest chain that ends with it."""
        before = self.before()
        found: list[int] = []
        for at in range(len(self.needs)):
            found.append(1 + max((found[other] for other, later in before if later == at), default=0))
        return found


def check_once(plan: RandomPlan, journal) -> None:
    """Every test ran once."""
    started = [name for name in journal.names if not name.endswith("ended")]
    assert sorted(started) == sorted(name for tests in plan.tests for name in tests)


def check_order(plan: RandomPlan, began: list[int], ended: list[int], schedule: str) -> None:
    """Nothing began before everything it depends on had ended; in `waves`, the wave before too."""
    early = [(one, other) for one, other in plan.before() if began[other] < ended[one]]
    assert not early
    if schedule == "waves":
        wave = plan.waves()
        phases = range(len(plan.needs))
        early = [(a, b) for a in phases for b in phases if wave[a] < wave[b] and began[b] < ended[a]]
        assert not early


def check_serial(plan: RandomPlan, spans: list[list[tuple[int, int]]]) -> None:
    """From the first test of a serial phase to its last nothing else ran, and they ran one by one."""
    for at in plan.serial:
        own = sorted(spans[at])
        others = [span for other, each in enumerate(spans) if other != at for span in each]
        assert all(stop <= start for (_, stop), (start, _) in pairwise(own))
        assert all(stop <= own[0][0] or own[-1][1] <= start for start, stop in others), at


@pytest.mark.parametrize(("schedule", "workers", "seed"), CASES)
def test_a_random_plan_is_kept(schedule, workers, seed, pytester, plan, run, journal, phases):
    """Every test runs once, after everything its phase depends on, and serial phases run alone."""
    drawn = RandomPlan.draw(seed)
    plan(drawn.text)
    pytester.makepyfile(**drawn.modules)

    result = run("--phases=plan.md", f"-n{workers}", f"--phases-schedule={schedule}")

    assert result.ret == 0
    assert result.parseoutcomes() == {"passed": sum(map(len, drawn.tests))}
    check_once(drawn, journal)
    spans = [[journal.span(name) for name in tests] for tests in drawn.tests]
    began = [min(start for start, _ in each) for each in spans]
    ended = [max(stop for _, stop in each) for each in spans]
    check_order(drawn, began, ended, schedule)
    check_serial(drawn, spans)
    assert {phase["state"] for phase in phases().values()} == {"green"}
