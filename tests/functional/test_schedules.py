"""When tests run, by their own clock: waves, flow, sync points, streams, serial and unphased tests."""

from __future__ import annotations

import random
from itertools import combinations
from textwrap import dedent

import pytest

SCHEDULES = pytest.mark.parametrize("schedule", ["waves", "flow"])

# A test that is over only when another one has begun: both must run at the same time.
MEETS = """
from journal import span, wait_for
def test_{0}():
    with span("{0}"):
        wait_for("{1}")
"""

RUNS = """
from journal import span
def test_{0}():
    with span("{0}"): pass
"""


@pytest.fixture
def project(pytester, plan, journal):
    """A function that writes a plan and one test file for each keyword argument."""

    def write(text: str, **sources: str) -> None:
        plan(dedent(text))
        pytester.makepyfile(**{f"test_{name}": source for name, source in sources.items()})

    return write


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two spans of time have a moment in common."""
    return one[0] < other[1] and other[0] < one[1]


@SCHEDULES
def test_what_may_run_side_by_side_does_and_nothing_else(schedule, project, run, journal, states):
    """Items of a phase, phases of a wave and streams overlap; serial phases and sync points do not."""
    project(
        """
        ### Phase 1: Items of one phase
        dependencies: []
        tests: [test_a.py, test_b.py]
        ### Phase 2: One of two phases
        dependencies: [1]
        tests: [test_c.py]
        ### Phase 3: The other
        dependencies: [1]
        tests: [test_d.py]
        ### Phase 4: Streams
        dependencies: [2, 3]
        #### Stream A: One
        tests: [test_e.py]
        #### Stream B: Beside it
        tests: [test_f.py]
        #### Stream C: After the first
        dependencies: [A]
        tests: [test_g.py]
        ### Phase 5: Serial
        dependencies: [4]
        serial: true
        tests: [test_h.py, test_i.py]
        ### Phase 6: Beside the serial one
        dependencies: [4]
        tests: [test_j.py, test_k.py, test_l.py]
        ### Sync: Everything before
        ### Phase 7: Below
        dependencies: []
        tests: [test_m.py]
        """,
        **{name: MEETS.format(name, other) for name, other in ("ab", "ba", "cd", "dc", "ef", "fe")},
        **{name: RUNS.format(name) for name in "ghijklm"},
    )

    result = run("--phases", "plan.md", "-n2", "--phases-schedule", schedule)

    assert result.ret == 0
    assert result.parseoutcomes() == {"passed": 13}
    assert len({journal["a"]["worker"], journal["b"]["worker"]}) == 2
    times = {name: journal.span(name) for name in "abcdefghijklm"}
    assert times["e"][1] < times["g"][0]
    serial = [(one, other) for one in "hi" for other in times if other != one]
    assert not [pair for pair in serial if overlap(times[pair[0]], times[pair[1]])]
    assert max(end for name, (_, end) in times.items() if name != "m") < times["m"][0]
    assert set(states().values()) == {"green"}


FORK = """
### Phase short: A short phase
dependencies: []
tests: [test_short.py]
### Phase long: A long phase of the same wave
dependencies: []
tests: [test_long.py]
### Phase next: Needs the short one alone
dependencies: [short]
tests: [test_next.py]
### Phase last: Needs both
dependencies: [next, long]
tests: [test_last.py]
"""


def test_flow_opens_a_phase_before_the_wave_before_it_is_complete(project, run, journal):
    """In flow a phase starts while an unrelated long phase of the wave before it still runs."""
    project(
        FORK,
        short=RUNS.format("short"), long=MEETS.format("long", "next ended"),
        next=RUNS.format("next"), last=RUNS.format("last"),
    )  # fmt: skip

    result = run("--phases", "plan.md", "-n2", "-o", "phases_schedule=flow")

    assert result.parseoutcomes() == {"passed": 4}
    assert journal.span("next")[1] < journal.span("long")[1] < journal.span("last")[0]


def test_waves_open_one_after_another(project, run, journal):
    """In waves nothing of a wave starts before the one before it is complete, even where it could."""
    # The long test ends once the short one has been over for a while, which `next` could have used.
    project(
        FORK,
        short=RUNS.format("short"), long=MEETS.format("long", "short ended") + "        wait_for('filler')\n",
        next=RUNS.format("next"), last=RUNS.format("last"), unphased=RUNS.format("filler"),
    )  # fmt: skip

    result = run("--phases", "plan.md", "-n2")

    assert result.parseoutcomes() == {"passed": 5}
    assert journal.span("long")[1] < journal.span("next")[0]
    assert journal.span("next")[1] < journal.span("last")[0]
    # A worker without work in this wave took the test that belongs to none.
    assert overlap(journal.span("filler"), journal.span("long"))
    assert journal["filler"]["worker"] != journal["long"]["worker"]


def test_module_fixtures_are_not_set_up_for_every_batch(project, run, journal):
    """Tests come to a worker in batches, and their module is not torn down between them."""
    many = """
        import time
        import pytest
        from journal import note
        @pytest.fixture(scope="module")
        def costly():
            note("set up")
            yield
            note("torn down")
        @pytest.mark.parametrize("number", range(100))
        def test_it(costly, number):
            note(str(number))
            time.sleep(0.005)  # a short test's work
        """
    project("### Phase 1: Many\ntests: [test_many.py]", many=many)

    result = run("--phases", "plan.md", "-n2")

    assert result.parseoutcomes() == {"passed": 100}
    assert sorted(name for name in journal.names if name.isdigit()) == sorted(map(str, range(100)))
    assert journal.names.count("set up") == journal.names.count("torn down")
    # Once for each worker; a busy machine may leave a worker without work for a moment.
    assert journal.names.count("set up") <= 2 * 2


def random_plan(seed: int, phases: int) -> tuple[str, dict[int, list[int]]]:
    """A plan of phases with random dependencies on earlier ones, and these dependencies."""
    chance = random.Random(seed)
    needs = {phase: chance.sample(range(phase), min(phase, chance.randrange(3))) for phase in range(phases)}
    lines = [
        f"### Phase {phase}: Number {phase}\ndependencies: {needed}\ntests: [test_{phase}.py]"
        for phase, needed in needs.items()
    ]
    return "\n".join(lines), needs


@pytest.mark.parametrize(
    ("schedule", "workers", "seed"), [("waves", "-n3", 1), ("flow", "-n3", 2), ("flow", "-n0", 3)]
)
def test_no_item_starts_before_what_its_phase_needs_has_ended(schedule, workers, seed, project, run, journal):
    """In a random plan every test runs once, after everything that its phase depends on."""
    text, needs = random_plan(seed, phases=16)
    chance = random.Random(seed)
    tests = {phase: [f"{phase}_{number}" for number in range(chance.randrange(1, 4))] for phase in needs}
    project(text, **{str(phase): "".join(map(RUNS.format, names)) for phase, names in tests.items()})

    result = run("--phases", "plan.md", workers, "--phases-schedule", schedule)

    assert result.parseoutcomes() == {"passed": sum(map(len, tests.values()))}
    began = {phase: min(journal.span(name)[0] for name in names) for phase, names in tests.items()}
    ended = {phase: max(journal.span(name)[1] for name in names) for phase, names in tests.items()}
    assert all(ended[needed] < began[phase] for phase, each in needs.items() for needed in each)
    if schedule == "waves":
        wave: dict[int, int] = {}
        for phase, needed in needs.items():
            wave[phase] = 1 + max((wave[other] for other in needed), default=0)
        pairs = [(one, other) for one, other in combinations(needs, 2) if wave[one] != wave[other]]
        for one, other in pairs:
            first, second = sorted((one, other), key=wave.__getitem__)
            assert ended[first] < began[second]
