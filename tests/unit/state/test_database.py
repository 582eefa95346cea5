"""The database of runs: what goes in comes out, and a file that cannot be used says so."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import pytest

from pytest_phases.events import Outcome, State
from pytest_phases.evidence import (
    ApprovalRecord,
    DeployRecord,
    Expected,
    ExpectedKind,
    FigureRecord,
    ItemRecord,
    Origin,
    PartRecord,
    PhaseRecord,
    Recorded,
    RunRecord,
    StageRecord,
    TreeEntry,
    WaveRecord,
)
from pytest_phases.state.database import Database, DatabaseError
from pytest_phases.state.schema import TABLES, VERSION

STRANGE = "tests/caf\udce9.py::test['\"\n\0\ud83d\ude00-😀-\udfff]"
RUN = RunRecord("r1", "2025-01-02T03:04:05Z", "plan.md", "1a2b")
APPROVAL = ApprovalRecord(
    "security", "alice", "looks 'fine'\n", "1f2e", "2025-01-02T03:04:05Z", "SIG", "5ea1"
)
TEST = ItemRecord("t.py::test", "1", ExpectedKind.TEST, Outcome.PASSED, 0.25, "gw0")
NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database of a project will be; the folder is not there yet."""
    return tmp_path / ".phases" / "phases.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    """A new database in which the run r1 has begun."""
    with Database.open(path) as opened:
        opened.begin(RUN)
        yield opened


@pytest.fixture
def execute(path: Path) -> Callable[[str], None]:
    """Edit the database by hand with a statement."""

    def edit(statement: str) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)

    return edit


def files(folder: Path) -> dict[str, bytes]:
    """The names and contents of a folder's files."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


# What goes in comes out ------------------------------------------------------------------------


def everything() -> Recorded:
    """A run with something of every sort, every field other than its default, and strange names."""
    return Recorded(
        run=RunRecord(
            "r1",
            "2025-01-02T03:04:05Z",
            STRANGE,
            "1a2b",
            commit="c0ffee",
            git_tree="7ree",
            dirty=True,
            tree="aaaa",
            tree_after="bbbb",
            expected_digest="eeee",
            expected_count=3,
            restricted="-k 'not slow'",
            ended="2025-01-02T03:05:05Z",
            versions=(("pytest", "9.2.0"), ("coverage", "7.17")),
            changed=(STRANGE,),
            made=("dist/x (new)",),
        ),
        expected=frozenset(
            {
                Expected(ExpectedKind.PHASE, "1/A"),
                Expected(ExpectedKind.TEST, "1/A", STRANGE),
                Expected(ExpectedKind.STAGE, "1/A", "plan.md::1/A::build"),
                Expected(ExpectedKind.PART, "1/A", "gw0"),
            }
        ),
        phases=(
            PhaseRecord(
                "2", "phase", "Later", State.RED, "1 failed", 2, 1.5, (("passed", 3),), (("failed", 1),), "{}"
            ),
            PhaseRecord("1/A", "stream", STRANGE, State.GREEN, origin=Origin("r0", "2024", "7ree")),
        ),
        items=(
            ItemRecord(STRANGE, "1/A", ExpectedKind.TEST, Outcome.XFAILED, 0.25, "gw1", 2),
            ItemRecord("plan.md::2::build", "2", ExpectedKind.STAGE, Outcome.ERROR, 1e-9, "gw0"),
        ),
        parts=(PartRecord("1/A", "gw0", "coverage/1-A.gw0", "abab", "cut off"),),
        figures=(
            FigureRecord("1/A", "stream", 85.0, 84.99, 2),
            FigureRecord("gate", "gate", 85.5, None, 0, "--no-cov was given"),
        ),
        tree=(
            TreeEntry("src/caf\udce9.py", "executable", "cdcd", "17"),
            TreeEntry("a link", "link", "efef"),
        ),
        conditions=("no release on a Friday", "no release on a Friday"),
        deploys=(DeployRecord("deploy", False, "exit status 2", 3.5),),
        stages=(
            StageRecord(
                "2",
                "build",
                "c0de",
                inputs=((STRANGE, "abab"),),
                outputs=(("dist/x", "cdcd"),),
                env=(("CC", ""),),
                changed=("src/a.py",),
                up_to_date=True,
            ),
        ),
        waves=(WaveRecord(1, ("1", STRANGE), 0.5), WaveRecord(2, ("2",), 1.5)),
    )


def write(database: Database, recorded: Recorded) -> None:
    """Record all of it for a run that has begun."""
    run_id = recorded.run.run_id
    database.expect(run_id, recorded.expected)
    database.add_phases(run_id, recorded.phases)
    database.add_items(run_id, recorded.items)
    database.add_parts(run_id, recorded.parts)
    database.add_figures(run_id, recorded.figures)
    database.add_waves(run_id, recorded.waves)
    database.add_stages(run_id, recorded.stages)
    database.add_tree(run_id, recorded.tree)
    database.add_conditions(run_id, recorded.conditions)
    database.add_deploys(run_id, recorded.deploys)
    database.end(recorded.run)


def test_a_whole_run_comes_back(database: Database, path: Path) -> None:
    """Every field of every record comes back, also in another process's connection."""
    assert all(getattr(everything(), field.name) for field in fields(Recorded))
    write(database, everything())
    with Database.open(path, read_only=True) as other:
        assert other.recorded("r1") == database.recorded("r1") == everything()


def test_a_run_that_only_began_comes_back(database: Database) -> None:
    """Of a run that was killed at once there is its beginning, and nothing else."""
    assert database.recorded("r1") == Recorded(RUN)


def test_runs_are_kept_apart(database: Database) -> None:
    """The same things recorded for two runs stay two."""
    database.begin(replace(RUN, run_id="r2"))
    write(database, everything())
    assert database.recorded("r2") == Recorded(replace(RUN, run_id="r2"))


def test_the_latest_run_is_the_one_that_began_last(path: Path) -> None:
    """Neither the clock nor the end of an earlier run changes which one is the latest."""
    with Database.open(path) as database:
        assert database.latest() is None
        for run_id, started in (("z", "2025"), ("a", "2024")):
            database.begin(replace(RUN, run_id=run_id, started=started))
        database.end(replace(RUN, run_id="z", ended="2026"))
        assert database.latest() == "a"


def test_what_must_exist_is_a_set(database: Database) -> None:
    """What is expected twice is there once; what is taken out is gone, if it was there at all."""
    phase, test, other = (Expected(ExpectedKind.TEST, "1", name) for name in ("a", STRANGE, "c"))
    database.expect("r1", [phase, test])
    database.expect("r1", [test])
    database.unexpect("r1", [test, other])
    assert database.recorded("r1").expected == {phase}


def test_a_phase_is_replaced_in_its_place(database: Database) -> None:
    """The state of a phase recorded last is the one that counts, and the order stays that of the plan."""
    first, second = (PhaseRecord(name, "phase", "", State.OPEN) for name in "12")
    database.add_phases("r1", [first, second])
    database.add_phases("r1", [replace(first, state=State.GREEN)])
    assert database.recorded("r1").phases == (replace(first, state=State.GREEN), second)


def test_parts_and_figures_are_replaced(database: Database) -> None:
    """A worker's data for a phase, and a threshold of a kind and id, are there once."""
    for sha256, reached in (("old", 1.0), ("new", 2.0)):
        for worker in ("gw0", "gw1"):
            database.add_parts("r1", [PartRecord("1", worker, "file", sha256)])
        for kind in ("phase", "gate"):
            database.add_figures("r1", [FigureRecord("gate", kind, 85, reached, 0)])
    recorded = database.recorded("r1")
    assert recorded.parts == tuple(PartRecord("1", worker, "file", "new") for worker in ("gw0", "gw1"))
    assert recorded.figures == tuple(FigureRecord("gate", kind, 85, 2.0, 0) for kind in ("phase", "gate"))


def test_no_item_hides_another(database: Database) -> None:
    """An item that failed stays recorded when one of its name passes."""
    failed = replace(TEST, outcome=Outcome.FAILED)
    database.add_items("r1", [failed])
    database.add_items("r1", [TEST])
    assert database.recorded("r1").items == (failed, TEST)


def test_approvals_are_added_and_revoked_by_name(database: Database, path: Path) -> None:
    """Several may approve under one name; revoking takes them all and says whether there were any."""
    by_bob = replace(APPROVAL, by=STRANGE)
    review = replace(APPROVAL, name=STRANGE)
    for approval in (APPROVAL, review, by_bob):
        database.approve(approval)
    assert database.approvals() == (APPROVAL, review, by_bob)
    assert [database.revoke(name) for name in ("security", "security", STRANGE)] == [True, False, True]
    with Database.open(path, read_only=True) as other:
        assert other.approvals() == ()


def test_a_tree_is_replaced_as_a_whole(database: Database) -> None:
    """What is gone is gone, what has changed stays in its place, and what is new comes last."""
    stays, changes, goes, comes = (TreeEntry(name, "file", "0") for name in ("a", STRANGE, "c", "d"))
    database.begin(replace(RUN, run_id="r2"))
    for run_id in ("r1", "r2"):
        database.add_tree(run_id, [stays, changes, goes])
    changed = replace(changes, sha256="1")
    database.replace_tree("r1", [comes, changed, stays])
    assert database.tree("r1") == (stays, changed, comes)
    assert database.tree("r2") == (stays, changes, goes)


def test_what_is_written_together_is_one_transaction(database: Database, path: Path) -> None:
    """Nobody sees a part of it, and if one thing fails all of it is gone."""
    with Database.open(path, read_only=True) as other:
        with database.together():
            database.add_items("r1", [TEST])
            assert other.items("r1") == ()
        assert other.items("r1") == (TEST,)
        with pytest.raises(DatabaseError), database.together():  # noqa: PT012 - the first one succeeds
            database.add_items("r1", [TEST])
            database.begin(RUN)
        assert other.items("r1") == (TEST,)


def test_large_runs_come_back(database: Database) -> None:
    """Ten thousand items and as many files of the tree are recorded and read."""
    items = tuple(replace(TEST, nodeid=f"t.py::test[{n}]") for n in range(10_000))
    tree = tuple(TreeEntry(f"src/{n}.py", "file", f"{n:064x}") for n in range(10_000))
    database.add_items("r1", items)
    database.add_tree("r1", tree)
    assert database.recorded("r1") == Recorded(RUN, items=items, tree=tree)


def test_what_one_call_adds_is_one_transaction(database: Database, path: Path) -> None:
    """If the last of several records cannot be kept, none is."""
    nonsense = replace(TEST, duration=float("nan"))
    with pytest.raises(DatabaseError, match=r"NOT NULL constraint failed: item\.duration"):
        database.add_items("r1", [TEST, nonsense])
    assert database.recorded("r1").items == ()


@pytest.mark.parametrize(
    ("act", "problem"),
    [
        pytest.param(lambda db: db.recorded("r9"), "knows no run 'r9'", id="read"),
        pytest.param(lambda db: db.end(replace(RUN, run_id="r9")), "knows no run 'r9'", id="end"),
        pytest.param(lambda db: db.add_items("r9", [TEST]), "knows no such run", id="evidence"),
        pytest.param(lambda db: db.begin(RUN), "knows this run already", id="begin twice"),
    ],
)
def test_runs_must_begin_once(database: Database, act: Callable[[Database], object], problem: str) -> None:
    """A run that has not begun can have no evidence and no end, and none begins twice."""
    with pytest.raises(DatabaseError, match=problem):
        act(database)


# The file --------------------------------------------------------------------------------------


def test_tables_and_columns_bear_the_words_of_the_records(database: Database, path: Path) -> None:
    """Every field of a record is a column of its name, in the order of the record."""
    with closing(sqlite3.connect(path)) as connection:
        for table in TABLES:
            names = [row[1] for row in connection.execute(f"PRAGMA table_info('{table.name}')")]
            expected = [field.name for field in fields(table.record)]  # type: ignore[arg-type]
            assert names == (["run", *expected] if table.of_run else expected)
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_plain_names_are_text(database: Database, path: Path) -> None:
    """Whoever looks into the file with another tool reads names as text, umlauts included."""
    database.add_items("r1", [replace(TEST, nodeid="grün.py::test")])
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute("SELECT nodeid, typeof(nodeid), outcome FROM item").fetchone()
    assert row == ("grün.py::test", "text", "passed")


def test_several_processes_begin_at_once(path: Path) -> None:
    """Processes that open a new database at the same time all write to it."""
    code = (
        "import sys; from pathlib import Path; from pytest_phases.state.database import Database\n"
        "from pytest_phases.evidence import RunRecord\n"
        "sys.stdin.readline()\n"
        "with Database.open(Path(sys.argv[1])) as database:\n"
        "    database.begin(RunRecord(sys.argv[2], '', '', ''))\n"
    )
    ids = [f"r{n}" for n in range(4)]
    line = [sys.executable, "-c", code, str(path)]
    started = [subprocess.Popen([*line, run_id], stdin=subprocess.PIPE) for run_id in ids]
    for process in started:
        process.communicate(b"\n")
    assert [process.returncode for process in started] == [0] * len(ids)
    with Database.open(path) as database:
        assert all(database.recorded(run_id).run.run_id == run_id for run_id in ids)


def test_reading_sees_what_another_process_writes(database: Database, path: Path) -> None:
    """While a run writes, another process reads what is recorded so far and adds no file."""
    before = set(files(path.parent))
    with Database.open(path, read_only=True) as reader:
        database.add_items("r1", [TEST])
        assert reader.recorded("r1").items == (TEST,)
    assert set(files(path.parent)) == before


def test_reading_changes_nothing(path: Path) -> None:
    """Reading a database that nobody writes to leaves every byte of the folder as it was."""
    with Database.open(path) as database:
        database.begin(RUN)
    before = files(path.parent)
    with Database.open(path, read_only=True) as reader:
        assert reader.recorded("r1").run == RUN
        assert set(files(path.parent)) == set(before)
        with pytest.raises(DatabaseError, match="cannot be written"):
            reader.revoke("security")
    assert files(path.parent) == before


def test_reading_sees_what_a_killed_run_wrote(database: Database, path: Path, tmp_path: Path) -> None:
    """What stands only in the journal of a run that was killed is read too."""
    killed = tmp_path / "killed"
    shutil.copytree(path.parent, killed)
    with Database.open(killed / path.name, read_only=True) as reader:
        assert reader.recorded("r1").run == RUN


@pytest.mark.parametrize("read_only", [False, True], ids=["write", "read"])
@pytest.mark.parametrize("name", ["a b", "50%", "what?", "c#", "caf\udce9"])
def test_any_folder_will_do(tmp_path: Path, name: str, read_only: bool) -> None:
    """A folder's name may have characters that mean something in a URI, or that are no UTF-8."""
    path = tmp_path / name / "phases.db"
    try:
        path.parent.mkdir()
    except OSError:
        pytest.skip("this file system takes no such name")
    with Database.open(path) as database:
        database.begin(RUN)
    with Database.open(path, read_only=read_only) as database:
        assert database.latest() == "r1"
    assert path.is_file()


def test_a_closed_database_says_so(database: Database) -> None:
    """Closing twice does no harm; using what is closed is an error of this package."""
    database.close()
    database.close()
    with pytest.raises(DatabaseError, match="closed database"):
        database.latest()


# Files that cannot be used ---------------------------------------------------------------------


def open_both_ways(path: Path) -> list[str]:
    """The messages of opening a file for reading and for writing to that very file; neither may succeed."""
    messages = []
    for read_only in (True, False):
        with pytest.raises(DatabaseError) as caught:
            Database.open(path, read_only=read_only, anew=False)
        messages.append(str(caught.value))
    return messages


def test_reading_what_is_not_there(path: Path) -> None:
    """Where no run was, reading says so and makes nothing."""
    with pytest.raises(DatabaseError, match=r"phases\.db: does not exist; run `pytest` with the plan first"):
        Database.open(path, read_only=True)
    assert not path.parent.exists()


def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    """A file of something else is named, with what to do, and is not touched."""
    path.parent.mkdir()
    path.write_bytes(b"minutes of the meeting\n" * 100)
    before = files(path.parent)
    for message in open_both_ways(path):
        assert message.startswith(f"{path}: is no database (")
        assert message.endswith("; move it away with its approvals, and the next run begins a new one")
    assert files(path.parent) == before


def test_a_database_of_something_else_is_left_alone(path: Path, execute: Callable[[str], None]) -> None:
    """Another program's database is no place for our tables."""
    path.parent.mkdir()
    execute("CREATE TABLE run (kilometres)")
    before = files(path.parent)
    assert all(f"{path}: is a database of something else; move" in text for text in open_both_ways(path))
    assert files(path.parent) == before


def test_a_newer_database_is_left_alone(path: Path, execute: Callable[[str], None]) -> None:
    """What a newer version wrote is not read half, and the message says to update the package."""
    Database.open(path).close()
    execute(f"PRAGMA user_version = {VERSION + 1}")
    before = files(path.parent)
    for message in open_both_ways(path):
        assert f"{path}: was written by a newer version of pytest-phases" in message
        assert "; update the package, or move it away" in message
    assert files(path.parent) == before


def test_an_empty_file_is_read_as_nothing_and_written_as_new(path: Path) -> None:
    """A file without content becomes a database when a run begins; until then there is no run."""
    path.parent.mkdir()
    path.touch()
    with pytest.raises(DatabaseError, match=r"phases\.db: is empty; run `pytest` with the plan first"):
        Database.open(path, read_only=True)
    with Database.open(path) as database:
        database.begin(RUN)
        assert database.latest() == "r1"


@pytest.mark.parametrize("read_only", [False, True], ids=["write", "read"])
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[: len(data) // 2], id="cut off"),
        pytest.param(lambda data: data[:100] + bytes(len(data) - 100), id="zeros behind the header"),
        pytest.param(
            lambda data: data[:4096] + b"\xff" * (len(data) - 4096), id="noise behind the first page"
        ),
    ],
)
def test_a_damaged_database_is_no_traceback(
    path: Path, damage: Callable[[bytes], bytes], read_only: bool
) -> None:
    """Whatever part of the file is gone, the answer names the file and says to move it away."""
    with Database.open(path) as database:
        database.begin(RUN)
        write(database, everything())
    path.write_bytes(damage(path.read_bytes()))
    with (
        pytest.raises(DatabaseError) as caught,
        Database.open(path, read_only=read_only, anew=False) as database,
    ):
        database.recorded("r1")
    assert str(caught.value).startswith(f"{path}: ")
    assert "move it away" in str(caught.value)


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE phase SET state = 'greenish'", "table phase, column state: 'greenish' is none of waiting,"),
        ("UPDATE item SET outcome = 'fine'", "table item, column outcome: 'fine' is none of passed,"),
        ("UPDATE item SET outcome = x'00'", "table item, column outcome: b"),
        ("UPDATE expected SET kind = 'wish'", "table expected, column kind: 'wish' is none of phase,"),
        ("UPDATE item SET duration = 'long'", "table item, column duration: 'long' is no number"),
        ("UPDATE figure SET reached = 9e999", "table figure, column reached: inf is no number"),
        ("UPDATE figure SET precision = 1.5", "table figure, column precision: 1.5 is no whole number"),
        ("UPDATE run SET dirty = 'no'", "table run, column dirty: 'no' is neither 0 nor 1"),
        ("UPDATE run SET versions = '[]'", r"table run, column versions: '\[\]' is no JSON object"),
        ("UPDATE run SET versions = '{'", "table run, column versions: '{' "),
        ("UPDATE phase SET tests = printf('%.100000c', '[')", "table phase, column tests: "),
        ("""UPDATE phase SET tests = '{"passed": true}'""", "values are of type int"),
        ("""UPDATE phase SET stages = '{"passed": "9"}'""", "values are of type int"),
        ("UPDATE part SET worker = x'ff'", "table part, column worker: b'.xff'"),
        ("UPDATE part SET worker = CAST(x'ff' AS TEXT)", r"is damaged \(Could not decode"),
        ("DROP TABLE deploy", r"is damaged \(no such table: deploy"),
        ("ALTER TABLE tree DROP COLUMN stamp", r"is damaged \(no such column: tree\.stamp"),
    ],
)
def test_a_row_edited_by_hand_is_named(
    path: Path, execute: Callable[[str], None], statement: str, problem: str
) -> None:
    """A value that no run can have written is an error with table, column and value."""
    with Database.open(path) as database:
        database.begin(RUN)
        write(database, everything())
    execute(statement)
    with Database.open(path) as database, pytest.raises(DatabaseError, match=problem) as caught:
        database.recorded("r1")
    assert str(caught.value).startswith(f"{path}: ")


def test_a_folder_in_the_way_is_named(path: Path) -> None:
    """A folder of the database's name cannot be opened."""
    path.mkdir(parents=True)
    assert all(f"{path}: is no file; move it away" in message for message in open_both_ways(path))


def test_a_file_where_the_folder_should_be_is_named(path: Path) -> None:
    """A database cannot be made below a file."""
    path.parent.touch()
    with pytest.raises(DatabaseError, match=r"cannot be opened .*; make the file and its folder readable"):
        Database.open(path)


def test_a_writer_that_does_not_end_is_named(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that holds the database for too long is said to be the reason."""
    monkeypatch.setattr("pytest_phases.state.connection.PATIENCE", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match=r"is held by another process .*; try again when"):
            Database.open(path)


class TestReadOnlyFolder:
    """A folder that may be read and not written."""

    @pytest.fixture
    def sealed(self) -> Iterator[Path]:
        """A database in a folder that this process cannot write, superuser or not."""
        folder = Path(tempfile.mkdtemp())  # nobody else could enter tmp_path
        path = folder / "phases.db"
        with Database.open(path) as database:
            database.begin(RUN)
        path.chmod(0o444)
        folder.chmod(0o555)
        before = os.geteuid()
        if before == 0:
            os.seteuid(NOBODY)
        yield path
        os.seteuid(before)
        folder.chmod(0o755)
        shutil.rmtree(folder)

    def test_can_be_read(self, sealed: Path) -> None:
        """What is recorded there can be read."""
        with Database.open(sealed, read_only=True) as database:
            assert database.recorded("r1").run == RUN

    def test_cannot_be_written(self, sealed: Path) -> None:
        """Opening to write says what must be writable, before anything is lost."""
        with pytest.raises(
            DatabaseError, match=r"phases\.db: cannot be .*; make the file and its folder read"
        ):
            Database.open(sealed)

    def test_cannot_get_a_database(self, sealed: Path) -> None:
        """A new database or folder in it cannot be made."""
        for path in (sealed.with_name("new.db"), sealed.parent / "new" / "phases.db"):
            with pytest.raises(
                DatabaseError, match=r"cannot be opened .*; make the file and its folder read"
            ):
                Database.open(path)


def test_a_run_id_that_is_no_text_is_told(tmp_path: Path) -> None:
    """Which run was last cannot be read, and that is said instead of a traceback."""
    path = tmp_path / "phases.db"
    with Database.open(path) as database:
        database.begin(RunRecord("r1", "2026-01-01T00:00:00+00:00", "plan.md", "0"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE run SET run_id = x'ff'")

    with Database.open(path, read_only=True) as database, pytest.raises(DatabaseError, match="understood"):
        database.latest()
