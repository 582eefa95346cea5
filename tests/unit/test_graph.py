"""The plan as a graph: waves, sync points, streams, heights and cycles."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pytest_phases.claims import Claim
from pytest_phases.graph import Kind, build, find_cycle, waiting_edges
from pytest_phases.model import UNPHASED, Phase, Place, Plan, Sync

PLAN = Place("plan.md", 1)
TEST = Place("test_it.py", 1)


def phase(
    name: str, *deps: str, streams: tuple[Phase, ...] = (), marker: bool = False, serial: bool = False
) -> Phase:
    """A phase of the plan, or one that only a marker knows."""
    return Phase(name, "", TEST if marker else PLAN, deps=deps, streams=streams, serial=serial)


def plan(*phases: Phase, syncs: tuple[tuple[str, ...], ...] = ()) -> Plan:
    """A plan of these phases; each sync point is given by the phases above it."""
    points = tuple(Sync(f"S{number}", PLAN, above) for number, above in enumerate(syncs, start=1))
    return Plan("plan.md", "", phases, points)


class TestWaves:
    """A phase's wave is the length of its longest chain of dependencies."""

    @pytest.mark.parametrize(
        ("phases", "waves"),
        [
            pytest.param((), (), id="no phase"),
            pytest.param((phase("1"),), (("1",),), id="one"),
            pytest.param((phase("1"), phase("2")), (("1", "2"),), id="beside each other"),
            pytest.param(
                (phase("1"), phase("2", "1"), phase("3", "1"), phase("4", "2", "3")),
                (("1",), ("2", "3"), ("4",)),
                id="a diamond",
            ),
            pytest.param(
                (phase("1"), phase("2", "1"), phase("3", "2"), phase("4", "1", "3")),
                (("1",), ("2",), ("3",), ("4",)),
                id="the longest chain counts",
            ),
            pytest.param((phase("2", "1"), phase("1")), (("1",), ("2",)), id="against the order of the plan"),
        ],
    )
    def test_by_the_longest_chain(
        self, phases: tuple[Phase, ...], waves: tuple[tuple[str, ...], ...]
    ) -> None:
        """Wave 1 needs nothing; within a wave phases stand as in the plan."""
        assert build(plan(*phases)).waves == waves

    def test_a_phase_that_needs_a_stream_comes_after_the_whole_phase(self) -> None:
        """Waves are counted over phases, and a stream is in the wave of its phase."""
        graph = build(plan(phase("1", streams=(phase("1/A"), phase("1/B", "1/A"))), phase("2", "1/A")))
        assert graph.waves == (("1",), ("2",))
        assert [graph.nodes[stream].wave for stream in ("1/A", "1/B")] == [1, 1]

    def test_ten_thousand_phases_in_a_chain(self) -> None:
        """A long chain needs no deep recursion, forwards or backwards."""
        chain = [phase("1"), *(phase(str(number), str(number - 1)) for number in range(2, 10_001))]
        graph = build(plan(*chain, syncs=(tuple(each.id for each in chain),)))
        assert len(graph.waves) == 10_000
        assert len(graph.ancestors("10000")) == 9_999
        assert graph.nodes["1"].height == 10_002


class TestSyncPoints:
    """A sync point holds everything below until everything above is closed."""

    def test_is_an_edge_for_waves(self) -> None:
        """Phase 3 needs nothing, and yet its wave comes after those above the sync point."""
        graph = build(plan(phase("1"), phase("2", "1"), phase("3"), syncs=(("1", "2"),)))
        assert graph.waves == (("1",), ("2",), ("3",))
        assert graph.nodes["sync:1"].wave == 2

    def test_waits_for_what_is_above_and_is_needed_by_what_is_below(self) -> None:
        """Above it any closed state will do; below it the sync point itself must be green."""
        graph = build(plan(phase("1"), phase("2"), phase("3", "1"), syncs=(("1", "2"),)))
        assert (graph.nodes["sync:1"].after, graph.nodes["sync:1"].needs) == (("1", "2"), ())
        assert graph.nodes["3"].needs == ("1", "sync:1")

    def test_several_stand_in_a_chain(self) -> None:
        """Each needs the one above it, and waits for the phases in between."""
        graph = build(plan(phase("1"), phase("2"), phase("3"), syncs=(("1",), ("1", "2"))))
        assert (graph.nodes["sync:2"].needs, graph.nodes["sync:2"].after) == (("sync:1",), ("2",))
        assert graph.ancestors("3") == {"1", "2", "sync:1", "sync:2"}

    def test_holds_unphased_tests_and_phases_of_markers(self) -> None:
        """What only a marker knows stands below the last sync point."""
        graph = build(plan(phase("1"), phase("m", marker=True), syncs=(("1",),)))
        assert graph.nodes[UNPHASED].needs == ("sync:1",)
        assert graph.nodes["m"].needs == ("sync:1",)

    def test_a_dependency_pulls_a_phase_of_a_marker_up(self) -> None:
        """Phase 1 above the sync point needs m, and m needs n: both stand above it too."""
        phases = (phase("1", "m"), phase("2"), phase("m", "n", marker=True), phase("n", marker=True))
        graph = build(plan(*phases, phase("o", marker=True), syncs=(("1",),)))
        assert graph.waves == (("n",), ("m",), ("1",), ("2", "o"))
        assert graph.nodes["sync:1"].after == ("1", "m", "n")

    def test_a_dependency_on_something_below_is_a_cycle(self) -> None:
        """Phase 1 stands above the sync point and needs 2 below it."""
        cycle = find_cycle(waiting_edges(plan(phase("1", "2"), phase("2"), syncs=(("1",),))))
        assert cycle is not None
        assert set(cycle) == {"1", "2", "sync:1"}

    def test_without_anything_above_it(self) -> None:
        """A sync point at the top of the plan holds nobody."""
        graph = build(plan(phase("1"), syncs=((),)))
        assert graph.waves == (("1",),)

    def test_it_has_a_name(self) -> None:
        """Messages call it by what the heading says."""
        graph = build(plan(phase("1"), syncs=(("1",),)))
        assert [str(node) for node in graph.nodes.values()] == [
            "sync point (S1)",
            "phase 1",
            "the unphased tests",
        ]


class TestStreams:
    """A stream opens inside its phase, after what its phase and itself need."""

    GRAPH = build(
        plan(
            phase("1"),
            phase("2", "1", streams=(phase("2/A"), phase("2/B", "2/A", serial=True))),
            phase("3", "2", streams=(phase("3/A"), phase("3/B")), serial=True),
        )
    )

    def test_is_part_of_its_phase(self) -> None:
        """Each knows the other."""
        assert self.GRAPH.nodes["2"].parts == ("2/A", "2/B")
        assert self.GRAPH.nodes["2/B"].part_of == "2"
        assert self.GRAPH.nodes["2/B"].kind is Kind.STREAM

    def test_waits_for_what_its_phase_needs(self) -> None:
        """It inherits the phase's dependencies and adds its own on siblings."""
        assert self.GRAPH.opens_after(self.GRAPH.nodes["2/B"]) == ("1", "2/A")
        assert self.GRAPH.ancestors("2/B") == {"1", "2/A"}

    def test_is_closed_before_its_phase_closes(self) -> None:
        """So what needs the phase comes after all of its streams."""
        assert self.GRAPH.ancestors("3") == {"1", "2", "2/A", "2/B"}

    @pytest.mark.parametrize(
        ("node", "serial", "group"),
        [
            ("2", False, "2"),
            ("2/A", False, "2/A"),
            ("2/B", True, "2/B"),
            ("3", True, "3"),
            ("3/B", True, "3"),
        ],
    )
    def test_who_shares_a_turn(self, node: str, serial: bool, group: str) -> None:
        """Streams of a serial phase are serial and share its turn; a serial stream has its own."""
        found = self.GRAPH.nodes[node]
        assert (found.serial, self.GRAPH.exclusive_group(found)) == (serial, group)


def test_heights_count_the_longest_chain_to_the_end() -> None:
    """What holds up most comes first, so each node knows how much stands behind it."""
    graph = build(plan(phase("1"), phase("2", "1"), phase("3", "2"), phase("4", "1"), phase("5")))
    assert [graph.nodes[name].height for name in "12345"] == [3, 2, 1, 1, 1]


class TestCycles:
    """A cycle is shown as a path in which each phase waits for the next."""

    @pytest.mark.parametrize(
        ("edges", "path"),
        [
            pytest.param({"1": ("1",)}, ("1", "1"), id="itself"),
            pytest.param({"2": ("4",), "4": ("2",)}, ("2", "4", "2"), id="two"),
            pytest.param({"1": ("2",), "2": ("3",), "3": ("1",)}, ("1", "2", "3", "1"), id="three"),
        ],
    )
    def test_each_waits_for_the_next(self, edges: dict[str, tuple[str, ...]], path: tuple[str, ...]) -> None:
        """The path ends where it began and follows the dependencies as they are written."""
        found = find_cycle(edges)
        assert found is not None
        assert found[0] == found[-1]
        assert set(pairwise(found)) == set(pairwise(path))

    def test_none(self) -> None:
        """A plan without a cycle has none to show, unknown phases or not."""
        assert find_cycle(waiting_edges(plan(phase("1"), phase("2", "1", "nobody")))) is None

    def test_among_streams(self) -> None:
        """Siblings may wait for each other too."""
        streams = (phase("1/A", "1/B"), phase("1/B", "1/A"))
        found = find_cycle(waiting_edges(plan(phase("1", streams=streams))))
        assert found is not None
        assert set(found) == {"1/A", "1/B"}

    def test_through_a_stream_and_its_phase(self) -> None:
        """Phase 1 closes after its stream, which waits for 2, which needs phase 1."""
        found = find_cycle(waiting_edges(plan(phase("1", streams=(phase("1/A", "2"),)), phase("2", "1"))))
        assert found is not None
        assert set(found) == {"1", "1/A", "2"}


def test_the_claims_of_phases_and_streams() -> None:
    """Each has what its own keys say; a stream does not repeat what its phase claims."""
    stream = Phase("1/A", "", PLAN, reads=("doc",))
    graph = build(plan(Phase("1", "", PLAN, modifies=("src",), locks=("db",), streams=(stream,)), phase("2")))
    assert graph.nodes["1"].claims == (Claim("src", is_path=True), Claim("db"))
    assert graph.nodes["1/A"].claims == (Claim("doc", shared=True, is_path=True),)
    assert graph.nodes["2"].claims == ()
