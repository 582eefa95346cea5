"""What each phase has depended on: told while it runs, written down when it closes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.checkpoint.compare import ABSENT, MEANWHILE, TOLD, UNFINISHED, compare
from pytest_phases.checkpoint.decide import Evidence
from pytest_phases.checkpoint.dependencies import Dependencies
from pytest_phases.evidence import Dependency, DependencyKind

K = DependencyKind
TEST = "tests/test_b.py"
FILES = {
    "pytest.ini": "[pytest]\n",
    "conftest.py": "",
    TEST: "from shop import cart\n",
    "src/shop/__init__.py": "",
    "src/shop/cart.py": "from shop.price import TAX\ndef add(): ...\n",
    "src/shop/price.py": "TAX = 1\ndef price():\n    return 1\n",
    "src/shop/other.py": "",
    "data.txt": "1",
}


class Run:
    """A run of phase 2 by one worker, and what it has written down."""

    def __init__(self, shop: Any, threaded: bool) -> None:
        self.shop = shop
        self.rows: dict[tuple[DependencyKind, str], str] = {}
        self.writes = 0
        self.project = shop.project(tree=shop.tree(), configuration=["pytest.ini"])
        self.dependencies = Dependencies(self.project, self.write, threaded=threaded)

    def write(self, rows: Iterable[Dependency]) -> None:
        """Keep rows in place of older ones."""
        found = tuple(rows)
        assert {row.phase for row in found} <= {"2"}
        keys = [(row.kind, row.name) for row in found]
        assert len(keys) == len(set(keys)), "written twice at once"
        self.rows.update(zip(keys, (row.digest for row in found), strict=True))
        self.writes += 1

    def trace(self, executed: Iterable[str] = (), worker: str = "gw0", **more: Any) -> None:
        """A worker tells what it has executed, the test file included."""
        told = {"early": (), "opened": (), "unknown": "", **more}
        self.dependencies.traced(
            worker, "2", [TEST, *executed], told["early"], told["opened"], told["unknown"]
        )

    def close(self) -> dict[str, str]:
        """The phase closes and the run ends: the kind of each row by its name, of files alone."""
        self.dependencies.closed("2", [TEST])
        assert self.dependencies.finish() == ""
        return {name: kind.value for kind, name in self.rows if kind not in (K.DISTRIBUTION, K.UNKNOWN)}

    def unknown(self) -> dict[str, str]:
        """Why it is not known what else was executed, with the digest."""
        return {
            name: digest for (kind, name), digest in self.rows.items() if kind is K.UNKNOWN and digest != TOLD
        }

    def compared(self) -> Evidence:
        """Whether the next run finds all of it as it was."""
        old = [Dependency("2", kind, name, digest) for (kind, name), digest in self.rows.items()]
        project = self.shop.project(tree=self.shop.tree(), configuration=["pytest.ini"])
        today = [
            row for each in old if (row := project.today(each)) is not None and each.kind is not K.DEFINITION
        ]
        return compare(old, {(row.kind, row.name): row for row in today}.values()).evidence


@pytest.fixture(params=[True, False], ids=["thread", "same thread"])
def run(shop: Any, request: pytest.FixtureRequest) -> Iterable[Run]:
    """A run in which the worker gw0 has run an item of phase 2."""
    for name, text in FILES.items():
        shop.write(name, text)
    made = Run(shop, request.param)
    made.dependencies.ran("2", "gw0")
    yield made
    made.dependencies.finish()


def test_a_phase_depends_on_what_it_executed_and_on_what_it_imported(run: Run) -> None:
    """Of what was only imported, on what importing executes."""
    run.trace(["src/shop/cart.py"])
    assert run.close() == {
        "pytest.ini": "configuration",
        TEST: "test",
        "conftest.py": "test",
        "src/shop/cart.py": "executed",
        "src/shop/__init__.py": "imported",
        "src/shop/price.py": "imported",
    }
    assert run.unknown() == {}
    assert run.compared() is Evidence.SAME


@pytest.mark.parametrize(
    ("file", "content", "evidence"),
    [
        ("src/shop/price.py", "TAX = 1\ndef price():\n    return 2\n", Evidence.SAME),
        ("src/shop/price.py", "TAX = 2\ndef price():\n    return 1\n", Evidence.CHANGED),
        ("src/shop/cart.py", "from shop.price import TAX\ndef add(): return 1\n", Evidence.CHANGED),
        ("src/shop/other.py", "x = 1", Evidence.SAME),
        (TEST, "from shop import cart, price\n", Evidence.CHANGED),
        ("conftest.py", "x = 1\n", Evidence.CHANGED),
        ("pytest.ini", "", Evidence.CHANGED),
        ("new.py", "", Evidence.SAME),
    ],
    ids=[
        "a body that nothing executed", "a constant", "a body that was executed", "another module",
        "test file", "conftest", "configuration", "a new file",
    ],
)  # fmt: skip
def test_what_counts_as_a_change_afterwards(run: Run, file: str, content: str, evidence: Evidence) -> None:
    """A phase runs again for what its tests executed, and for nothing else."""
    run.trace(["src/shop/cart.py"])
    run.close()
    run.shop.write(file, content)
    assert run.compared() is evidence


def test_functions_that_ran_while_tests_were_collected_count_for_whoever_imports_them(run: Run) -> None:
    """In whichever worker they did, and only for those."""
    run.dependencies.traced("gw1", "1", [], ["src/shop/price.py", "src/shop/other.py"], [], "")
    run.trace()
    found = run.close()
    assert found["src/shop/price.py"] == "executed"
    assert "src/shop/other.py" not in found


def test_coverage_tells_what_was_executed_too(run: Run) -> None:
    """But not that something was not: then imported files count whole, as Python before 3.12 needs it."""
    run.dependencies.traced("gw0", "2", [], [], [], "")
    run.dependencies.measured("2", ["src/shop/cart.py"])
    found = run.close()
    assert {name for name, kind in found.items() if kind == "executed"} == {
        "src/shop/cart.py",
        "src/shop/price.py",
        "src/shop/__init__.py",
    }
    assert run.unknown() == {}


def test_coverage_beside_a_trace_takes_nothing_from_it(run: Run) -> None:
    """What was only imported is still known to be."""
    run.trace()
    run.dependencies.measured("2", ["src/shop/cart.py"])
    found = run.close()
    assert (found["src/shop/cart.py"], found["src/shop/price.py"]) == ("executed", "imported")


def test_where_nothing_can_be_told_the_whole_tree_counts(run: Run) -> None:
    """The reason is kept with the digest of the tree."""
    run.trace(unknown="Python 3.11 cannot trace it")
    assert run.close()["src/shop/price.py"] == "executed"
    assert run.unknown() == {"Python 3.11 cannot trace it": run.project.tree_digest}
    assert run.compared() is Evidence.SAME
    run.shop.write("src/shop/other.py", "x = 1")
    assert run.compared() is Evidence.UNKNOWN


def test_a_worker_that_never_told_leaves_a_doubt(run: Run) -> None:
    """Although another one has."""
    run.dependencies.ran("2", "gw1")
    run.trace()
    run.close()
    assert run.unknown() == {"worker gw1 ended before it told": run.project.tree_digest}


def test_a_worker_that_ended_in_an_item_leaves_a_doubt(run: Run) -> None:
    """Although it had told of other items before."""
    run.trace()
    run.dependencies.gone("2", "gw0")
    run.close()
    assert list(run.unknown()) == ["worker gw0 ended before it told"]


def test_a_run_that_is_killed_leaves_what_can_be_known_of_an_open_phase(run: Run) -> None:
    """Nothing of it is green, but its tests need not run again in the same tree."""
    run.dependencies.finish()
    assert run.unknown() == {UNFINISHED: run.project.tree_digest}
    assert run.compared() is Evidence.SAME
    run.shop.write("src/shop/other.py", "x = 1")
    assert run.compared() is Evidence.UNKNOWN


def test_the_first_trace_may_come_before_the_end_of_the_first_item(shop: Any) -> None:
    """It is sent inside of it; once the phase has closed nothing of it is unfinished any more."""
    shop.write(TEST, "")
    run = Run(shop, threaded=False)
    run.trace()
    run.dependencies.ran("2", "gw0")
    assert list(run.unknown()) == [UNFINISHED]
    run.close()
    run.dependencies.ran("2", "gw0")
    assert run.unknown() == {}


@pytest.mark.parametrize("file", [TEST, "conftest.py", "src/shop/cart.py", "src/shop/price.py", "data.txt"])
def test_a_file_that_changed_while_the_phase_ran_is_never_the_same(run: Run, file: str) -> None:
    """Nobody knows which content was executed."""
    run.shop.write(file, "x = 1")
    run.trace(["src/shop/cart.py", "src/shop/price.py"], opened=["data.txt"])
    run.close()
    assert run.compared() is Evidence.CHANGED


def test_configuration_that_changed_while_the_phase_ran_is_never_the_same(run: Run) -> None:
    """As everything else."""
    run.shop.write("pytest.ini", "")
    run.trace()
    run.close()
    assert run.rows[K.CONFIGURATION, "pytest.ini"] == MEANWHILE


def test_a_tree_that_changed_while_the_phase_ran_helps_nobody_who_does_not_know(run: Run) -> None:
    """Not even if it is changed back."""
    old = FILES["src/shop/other.py"]
    run.shop.write("src/shop/other.py", "x = 1")
    run.trace(unknown="Python 3.11 cannot trace it")
    run.close()
    run.shop.write("src/shop/other.py", old)
    assert run.compared() is Evidence.UNKNOWN


def test_opened_files_count(run: Run) -> None:
    """And that one was not there, or is ignored by git."""
    run.trace(opened=["data.txt", "nothing.txt", TEST])
    run.close()
    opened = {name: digest for (kind, name), digest in run.rows.items() if kind is K.OPENED}
    assert opened == {"data.txt": run.project.digest("data.txt"), "nothing.txt": ABSENT}
    assert run.compared() is Evidence.SAME
    run.shop.write("nothing.txt", "")
    assert run.compared() is Evidence.CHANGED


def test_a_file_outside_the_tree_is_taken_as_it_is_when_the_phase_closes(run: Run) -> None:
    """What is built, or ignored by git; modules in it are found like others."""
    run.shop.write("src/shop/_built.py", "import shop.other\n")
    run.trace(["src/shop/_built.py"])
    found = run.close()
    assert (found["src/shop/_built.py"], found["src/shop/other.py"]) == ("executed", "imported")
    assert run.compared() is Evidence.SAME


def test_what_is_told_late_is_written_late(run: Run) -> None:
    """A session fixture is torn down after its phase has closed."""
    run.trace()
    run.dependencies.closed("2", [TEST])
    run.trace(["src/shop/other.py"])
    run.dependencies.traced("gw0", "", ["data.txt"], [], [], "")
    assert run.dependencies.finish() == ""
    assert run.rows[K.EXECUTED, "src/shop/other.py"]
    assert run.writes == 3


def test_what_goes_wrong_is_told_in_the_end(shop: Any) -> None:
    """Once, in words, and the phases that follow are written all the same."""
    failures = [OSError("no room")] * 2
    written: list[Dependency] = []

    def write(rows: Iterable[Dependency]) -> None:
        if failures:
            raise failures.pop()
        written.extend(rows)

    dependencies = Dependencies(shop.project(), write)
    for phase in ("1", "2"):
        dependencies.ran(phase, "gw0")
        dependencies.closed(phase, [])
    assert dependencies.finish() == "what phases depend on was not recorded (OSError: no room)"
    assert {row.phase for row in written} == {"2"}
    assert dependencies.finish().endswith("(OSError: no room)")


def test_what_a_stage_declares_to_make_may_change(shop: Any) -> None:
    """Unlike its inputs, which are never the same then."""
    shop.plan("### Phase 2: B\nBuild: wheel\ninputs: [in.txt]\noutputs: [src/made.py]\n```bash\nmake\n```\n")
    for name in ("in.txt", "src/made.py"):
        shop.write(name, "")
    run = Run(shop, threaded=False)
    shop.write("src/made.py", "x = 1")
    run.trace(["src/made.py"])
    run.close()
    assert run.rows[K.EXECUTED, "src/made.py"] == run.rows[K.OUTPUT, "src/made.py"] != ""
    shop.write("in.txt", "1")
    run.dependencies.closed("2", [TEST])
    assert run.rows[K.INPUT, "in.txt"] == MEANWHILE


def test_every_file_that_a_threshold_covers_counts_whole(shop: Any) -> None:
    """Although nothing has executed it, and it was imported alone."""
    shop.plan("### Phase 2: B\ntests: [tests]\ncovers: [src]\ncoverage: 80\n")
    for name, text in FILES.items():
        shop.write(name, text)
    run = Run(shop, threaded=False)
    run.trace()
    found = run.close()
    assert {name for name, kind in found.items() if kind == "executed"} == {
        name for name in FILES if name.startswith("src")
    }
    assert Path(TEST).name in {Path(name).name for name in found}
