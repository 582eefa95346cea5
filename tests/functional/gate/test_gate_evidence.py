"""What a green run has left is altered, lost or of another run: the gate is not green, and says why."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing

import pytest

PART = "coverage/parts"


# The verdict ------------------------------------------------------------------------------------


def edit_verdict(**changes):
    """An attack that writes other values into verdict.json."""

    def attack(project):
        file = project.evidence / "verdict.json"
        file.write_text(json.dumps(project.verdict | changes))

    return attack


def write_file(name, content):
    """An attack that writes a file of the evidence."""
    return lambda project: (project.evidence / name).write_bytes(content)


def remove(name):
    """An attack that removes a file or folder of the evidence."""

    def attack(project):
        path = project.evidence / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return attack


# Coverage parts ---------------------------------------------------------------------------------


def parts(project):
    """The files of the coverage parts of phase 1, sorted; there is one at least."""
    found = sorted((project.evidence / PART).glob("*/1@*"))
    assert found
    return found


def remove_part(project):
    """One shard is missing."""
    parts(project)[0].unlink()


def truncate_part(project):
    """One shard came in half."""
    part = parts(project)[0]
    part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])


def empty_part(project):
    """One shard is empty."""
    parts(project)[0].write_bytes(b"")


def double_part(project):
    """One shard is there under another worker's name too."""
    part = parts(project)[0]
    shutil.copy(part, part.with_name("1@gw7.part"))


def double_part_and_its_row(project):
    """One shard is there twice, and so says the database."""
    double_part(project)
    sql("INSERT INTO part SELECT run, phase, 'gw7', 'coverage/parts/' || run || '/1@gw7.part', sha256, "
        "problem, fixtures FROM part WHERE phase = '1' LIMIT 1")(project)  # fmt: skip


def swap_part(project):
    """One shard is that of another phase."""
    shutil.copy(next((project.evidence / PART).glob("*/2@*")), parts(project)[0])


# The database -----------------------------------------------------------------------------------


def sql(*statements):
    """An attack on the database; each statement must change something."""

    def attack(project):
        with project.database() as connection:
            for statement in statements:
                done = connection.execute(statement)
                assert done.rowcount > 0 or statement.startswith("PRAGMA"), statement

    return attack


def half_database(project):
    """The disk was full, or the copy was cut short."""
    file = project.evidence / "phases.db"
    os.truncate(file, file.stat().st_size // 2)


ALTERED = {
    # what is done: the attack, and a reason that the gate has to give
    "the verdict's tree is edited": (
        edit_verdict(tree={}),
        "says otherwise than the evidence of the last run: tree",
    ),
    "the verdict has an empty expected set": (
        edit_verdict(expected={"count": 0, "sha256": ""}, phases=[], coverage=[]),
        "says otherwise than the evidence of the last run: expected, phases, coverage",
    ),
    "the verdict has one more field": (
        edit_verdict(note="fine"),
        "says otherwise than the evidence of the last run: note",
    ),
    "the verdict is a word": (write_file("verdict.json", b'"green"'), "verdict.json is no JSON object"),
    "the verdict is empty": (write_file("verdict.json", b""), "verdict.json is no JSON"),
    "the verdict is removed": (remove("verdict.json"), "verdict.json is missing"),
    "all coverage data is removed": (remove("coverage"), "cannot be read (No such file or directory)"),
    "the coverage parts are removed": (remove(PART), "cannot be read (No such file or directory)"),
    "one coverage part is removed": (remove_part, "phase 1: 1 coverage part cannot be used"),
    "one coverage part is truncated": (truncate_part, "is not what was written"),
    "one coverage part is empty": (empty_part, "is not what was written"),
    "one coverage part is that of another phase": (swap_part, "is not what was written"),
    "one coverage part is doubled": (double_part, "coverage files that nobody expects: 1@gw7.part"),
    "one coverage part is doubled, with its row": (
        double_part_and_its_row,
        "phase 1: 1 coverage part was recorded and not expected: gw7",
    ),
    "the row of a coverage part is removed": (
        sql("DELETE FROM part WHERE phase = '1'"),
        "phase 1: ",
        "missing",
    ),
    "the database is removed": (remove("phases.db"), "phases.db: does not exist"),
    "the database is empty": (write_file("phases.db", b""), "phases.db: is empty"),
    "the database is text": (write_file("phases.db", b"green\n" * 999), "phases.db: is no database"),
    "the database is cut in half": (half_database, "phases.db: is damaged"),
    "the whole folder is removed": (remove(""), "phases.db: does not exist"),
    "what must exist is emptied": (sql("DELETE FROM expected"), "what must exist was altered"),
    "what must exist is emptied, and counted anew": (
        sql(
            "DELETE FROM expected",
            "DELETE FROM item",
            "DELETE FROM phase",
            "DELETE FROM part",
            "DELETE FROM figure",
            "UPDATE run SET expected_count = 0, expected_digest = "
            "'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'",
        ),
        "phase 1 of the plan was unknown to the run",
    ),
    "a test is taken out of what must exist": (
        sql(
            "DELETE FROM expected WHERE name LIKE '%test_last'",
            "DELETE FROM item WHERE nodeid LIKE '%test_last'",
        ),
        "what must exist was altered",
    ),
    "the items are emptied": (sql("DELETE FROM item"), "2 tests were not run"),
    "one test's row is removed": (
        sql("DELETE FROM item WHERE nodeid LIKE '%test_last'"),
        "1 test was not run: test_program.py::test_last",
    ),
    "one test's row is doubled": (
        sql("INSERT INTO item SELECT * FROM item WHERE nodeid LIKE '%test_last'"),
        "1 test was recorded twice",
    ),
    "an outcome is no outcome": (sql("UPDATE item SET outcome = 'fine'"), "cannot be understood"),
    "the phases are emptied": (sql("DELETE FROM phase"), "phase 1: there is no record of how it ended"),
    "the figures are emptied": (
        sql("DELETE FROM figure"),
        "coverage was not judged, and the plan requires 80 %",
    ),
    "a figure was required less": (
        sql("UPDATE figure SET required = 1"),
        "judged by 1 %, and the plan requires 80 %",
    ),
    "the runs are emptied": (sql("DELETE FROM run"), "no run is recorded"),
    "the end of the run is removed": (sql("UPDATE run SET ended = NULL"), "the run never ended"),
    "the run's tree is another one": (
        sql("UPDATE run SET tree = 'x', tree_after = 'x'"),
        "the tree has changed",
    ),
    "the run's tree is removed": (
        sql("UPDATE run SET tree = '', tree_after = ''"),
        "which tree was tested is unknown",
    ),
    "the database is that of a newer version": (sql("PRAGMA user_version = 99"), "newer version"),
}


@pytest.mark.parametrize(
    ("attack", "said"), [pytest.param(attack, said, id=name) for name, (attack, *said) in ALTERED.items()]
)
def test_altered_evidence_is_never_green(attack, said, green):
    """Evidence that is missing, unreadable, double or invented is named, and the gate incomplete."""
    attack(green)

    gate = green.gate()

    assert (gate.exit, gate.decision) == (1, "incomplete")
    assert gate.says(*said), gate.reasons


def test_figures_below_the_threshold_are_red(green):
    """A figure that is written smaller is judged anew, as it stands."""
    sql("UPDATE figure SET reached = 10 WHERE kind = 'gate'")(green)

    gate = green.gate()

    assert (gate.exit, gate.decision) == (1, "red")
    assert gate.says("the gate: coverage reached 10 %, required 80 %")


# Of a red run -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared_red(make_project, tmp_path_factory):
    """The same project with a test that fails, after its run."""
    files = {"test_program.py": "def test_first(): pass\n\ndef test_last(): assert False\n"}
    project = make_project(tmp_path_factory.mktemp("gate") / "shop", files)
    assert project.run("-n0").exit == 1
    return project


@pytest.fixture
def red(shared_red, copy_of):
    """A project of the test's own whose gate is red."""
    project = copy_of(shared_red, "red")
    gate = project.gate()
    assert (gate.exit, gate.decision) == (1, "red")
    assert gate.says("phase 2: 1 test failed: test_program.py::test_last")
    return project


PAINTED = {
    "the verdict": edit_verdict(decision="green", reasons=[]),
    "the test": sql("UPDATE item SET outcome = 'passed'"),
    "the phase": sql("UPDATE phase SET state = 'green', reason = ''"),
    "test and phase": sql(
        "UPDATE item SET outcome = 'passed'", "UPDATE phase SET state = 'green', reason = ''"
    ),
}


@pytest.mark.parametrize("attack", PAINTED.values(), ids=PAINTED)
def test_red_evidence_is_not_painted_green(attack, red):
    """Whoever writes `green` or `passed` into one place is found out by the others."""
    attack(red)

    gate = red.gate()

    assert (gate.exit, gate.decision) in {(1, "red"), (1, "incomplete")}
    assert gate.says("verdict.json says otherwise than the evidence")


# Of two runs ------------------------------------------------------------------------------------


def test_the_verdict_of_another_run_is_not_believed(green, red):
    """A green verdict beside the database of a red run says otherwise than it, and the gate stays red."""
    shutil.copy(green.evidence / "verdict.json", red.evidence)

    gate = red.gate()

    assert (gate.exit, gate.decision) == (1, "red")
    assert gate.says("verdict.json says otherwise than the evidence", "decision")


def test_the_evidence_of_another_tree_is_not_believed(green, red):
    """The whole evidence of a green tree proves nothing of another tree with another commit."""
    shutil.rmtree(red.evidence)
    shutil.copytree(green.evidence, red.evidence)

    gate = red.gate()

    assert (gate.exit, gate.decision) == (1, "incomplete")
    assert gate.says("the run was of commit")
    assert gate.says("the tree has changed since the run: test_program.py (changed)")


@pytest.mark.parametrize("also", ["item", "item and phase", "all but the run"])
def test_the_rows_of_another_run_are_not_believed(also, green, red):
    """A red run's rows that are replaced by those of a green run are not what its verdict followed from."""
    tables = {"item": ["item"], "item and phase": ["item", "phase"]}.get(
        also, ["item", "phase", "part", "figure", "expected"]
    )
    with closing(sqlite3.connect(red.evidence / "phases.db")) as connection, connection:
        connection.execute("ATTACH ? AS other", (str(green.evidence / "phases.db"),))
        (run,) = connection.execute("SELECT run_id FROM main.run").fetchone()
        for table in tables:
            columns = [f'"{row[1]}"' for row in connection.execute(f"PRAGMA main.table_info({table})")][1:]
            connection.execute(f"DELETE FROM main.{table}")
            names = ", ".join(columns)
            connection.execute(
                f"INSERT INTO {table} (run, {names}) SELECT ?, {names} FROM other.{table}", (run,)
            )

    gate = red.gate()

    assert gate.exit == 1
    assert gate.says("verdict.json says otherwise than the evidence")


def test_rows_of_another_run_beside_its_own_are_told(green):
    """Items that another run has recorded are not expected of this one."""
    sql("INSERT INTO item SELECT run, 'test_other.py::test_other', phase, kind, outcome, 0, worker, attempt "
        "FROM item WHERE nodeid LIKE '%test_last'")(green)  # fmt: skip

    gate = green.gate()

    assert (gate.exit, gate.decision) == (1, "incomplete")
    assert gate.says("phase 2: 1 test was recorded and not expected: test_other.py::test_other")


def test_the_last_run_counts(red):
    """A green run that a red one in the same folder has followed is of no use, and the other way round."""
    with red.database() as connection:
        (first,) = connection.execute("SELECT run_id FROM run").fetchone()
    red.replace("test_program.py", "assert False", "pass")
    red.commit()

    assert red.run("-n0").exit == 0
    assert red.gate().decision == "green"

    with red.database() as connection:
        (latest,) = connection.execute("SELECT run_id FROM run ORDER BY rowid DESC").fetchone()
    assert latest != first
    red.replace("test_program.py", "def test_last(): pass", "def test_last(): assert False")
    red.commit()
    assert red.run("-n0").exit == 1
    assert red.gate().decision == "red"
