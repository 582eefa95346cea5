"""Locks that other runs on the machine see: who excludes whom, and that nothing is left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_phases.claims import Claim
from pytest_phases.state.locks import FileLocks

STRANGE = "caf\udce9/../db *?[]" + "x" * 300


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[], FileLocks]]:
    """A function that makes the locks of another run of the same project."""
    made: list[FileLocks] = []

    def new() -> FileLocks:
        made.append(FileLocks(tmp_path / "locks", tmp_path / "project"))
        return made[-1]

    yield new
    for locks in made:
        locks.close()


Make = Callable[[], FileLocks]


def path(name: str, *, shared: bool = False) -> Claim:
    """A claim of a path."""
    return Claim(name, shared, is_path=True)


EXCLUDING = {
    "the same resource": (Claim("db"), Claim("db")),
    "one of them shared": (Claim("db", shared=True), Claim("db")),
    "a strange name": (Claim(STRANGE), Claim(STRANGE)),
    "the same path": (path("src/a"), path("src/a")),
    "a path said otherwise": (path("src/a/"), path("./src/b/../a")),
    "a path and its folder": (path("src/a/b.py"), path("src")),
    "a folder and what is far below": (path("src"), path("src/a/b/c/d.py")),
    "a path that is read": (path("src/a", shared=True), path("src/a")),
    "a folder that is read": (path("src", shared=True), path("src/a.py")),
    "what is read in a folder": (path("src/a.py", shared=True), path("src")),
    "everything": (path("."), path("src/a.py", shared=True)),
    "a glob and its folder": (path("src/*.py"), path("src/a.py")),
    "two globs in a folder": (path("src/a*"), path("src/*.py")),
    "a glob of everything": (path("**/x"), path("src")),
    "a glob in a name": (path("src/gen_*/x"), path("src/gen_a")),
    "one of several": ((Claim("a"), Claim("b")), (Claim("c"), Claim("b"))),
    "an absolute path": (path("/srv/data"), path("/srv")),
}

NOT_EXCLUDING = {
    "two resources": (Claim("db"), Claim("cache")),
    "both shared": (Claim("db", shared=True), Claim("db", shared=True)),
    "strange names": (Claim(STRANGE + "1"), Claim(STRANGE + "2")),
    "a resource and a path": (Claim("src"), path("src")),
    "neighbours": (path("src/a"), path("src/b")),
    "a beginning alike": (path("src/a"), path("src/ab")),
    "both read": (path("src", shared=True), path("src/a", shared=True)),
    "what is read beside": (path("src/a"), path("src/b", shared=True)),
    "a glob and what it cannot be": (path("src/gen_*/x"), path("src/other")),
    "globs in two folders": (path("src/*.py"), path("tests/*.py")),
    "nothing": ((), path("src")),
}


def claims(given: Claim | tuple[Claim, ...]) -> tuple[Claim, ...]:
    """One or several."""
    return (given,) if isinstance(given, Claim) else given


@pytest.mark.parametrize(("one", "other"), EXCLUDING.values(), ids=EXCLUDING.keys())
def test_who_excludes_another(make: Make, one: Claim, other: Claim) -> None:
    """Whoever comes first, between two runs and within one; afterwards the other one gets it."""
    for first, second in ((one, other), (other, one)):
        here, there = make(), make()
        assert here.try_acquire("h1", claims(first))
        assert not there.try_acquire("h2", claims(second))
        assert not here.try_acquire("h2", claims(second))
        here.release("h1")
        assert there.try_acquire("h2", claims(second))
        there.close()


@pytest.mark.parametrize(("one", "other"), NOT_EXCLUDING.values(), ids=NOT_EXCLUDING.keys())
def test_who_does_not(make: Make, one: Claim, other: Claim) -> None:
    """Both have what they want at once."""
    for first, second in ((one, other), (other, one)):
        here, there = make(), make()
        assert here.try_acquire("h1", claims(first))
        assert there.try_acquire("h2", claims(second))
        here.close()
        there.close()


def test_all_or_nothing(make: Make) -> None:
    """Who does not get the last of several keeps none of the others."""
    here, there, third = make(), make(), make()
    assert here.try_acquire("h", [Claim("z")])
    assert not there.try_acquire("h", [Claim("a"), path("src"), Claim("z")])
    assert third.try_acquire("h", [Claim("a"), path("src")])


def test_a_holder_does_not_stand_in_its_own_way(make: Make) -> None:
    """It may modify a folder and read in it, and want the same thing twice."""
    wanted = [path("src"), path("src/a", shared=True), path("src/b"), Claim("db"), Claim("db", shared=True)]
    here, there = make(), make()
    assert here.try_acquire("h", wanted)
    assert not there.try_acquire("h", [path("src/c", shared=True)])
    assert not there.try_acquire("h", [Claim("db", shared=True)])


def test_a_holder_may_ask_again(make: Make) -> None:
    """And lets go of all of it at once; who has nothing lets go of nothing."""
    here, there = make(), make()
    assert here.try_acquire("h", [Claim("a")])
    assert here.try_acquire("h", [Claim("b")])
    here.release("h")
    here.release("h")
    assert there.try_acquire("h", [Claim("a"), Claim("b")])


def test_a_path_is_where_links_lead(make: Make, tmp_path: Path) -> None:
    """Two names of one folder are one."""
    (tmp_path / "project" / "real").mkdir(parents=True)
    (tmp_path / "project" / "link").symlink_to("real", target_is_directory=True)
    assert make().try_acquire("h", [path("real/a")])
    assert not make().try_acquire("h", [path("link/a")])


def test_two_checkouts_share_resources_and_no_paths(tmp_path: Path) -> None:
    """A path is one of a checkout, a resource one of the machine."""
    one, other = (FileLocks(tmp_path / "locks", tmp_path / name) for name in ("one", "other"))
    assert one.try_acquire("h", [path("src"), Claim("db")])
    assert other.try_acquire("h1", [path("src")])
    assert not other.try_acquire("h2", [Claim("db")])
    one.close()
    other.close()


def names(folder: Path) -> list[str]:
    """The ends of the names of a folder's files."""
    return sorted(file.name.rpartition("-")[2].lstrip("0123456789abcdef") for file in folder.iterdir())


def test_nothing_is_left_behind(make: Make, tmp_path: Path) -> None:
    """But the one file that is never deleted."""
    here, there = make(), make()
    assert here.try_acquire("h", [Claim("db")])
    assert there.try_acquire("h", [Claim("cache")])
    assert names(tmp_path / "locks") == [".json", ".json", ".run", ".run", "turn.lock"]
    here.close()
    here.close()
    assert names(tmp_path / "locks") == [".json", ".run", "turn.lock"]
    there.close()
    assert names(tmp_path / "locks") == ["turn.lock"]


def test_what_cannot_be_written_is_not_held(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked is told, and others may have it."""
    here, there = make(), make()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", refuse)
        with pytest.raises(OSError, match="No space left"):
            here.try_acquire("h", [Claim("db")])
    assert there.try_acquire("h", [Claim("db")])


HOLDING = """
import sys
from pathlib import Path
from pytest_phases.claims import Claim
from pytest_phases.state.locks import FileLocks
locks = FileLocks(Path(sys.argv[1]) / "locks", Path(sys.argv[1]) / "project")
print(locks.try_acquire("h", [Claim("db"), Claim("src", is_path=True)]), flush=True)
sys.stdin.readline()
"""


def test_a_process_that_is_killed_holds_nothing(make: Make, tmp_path: Path) -> None:
    """Until then it excludes others; then they get it at once."""
    command = [sys.executable, "-c", HOLDING, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        here = make()
        for claim in (Claim("db"), path("src/a.py"), path(".")):
            assert not here.try_acquire("h", [claim])
        assert here.try_acquire("other", [path("tests")])
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert here.try_acquire("h", [Claim("db"), path("src/a.py")])


# Each adds one to a number in a file, in two steps, under locks that overlap in different ways.
COUNTING = """
import sys, time
from pathlib import Path
from pytest_phases.claims import Claim
from pytest_phases.state.locks import FileLocks
root = Path(sys.argv[1])
locks, file = FileLocks(root / "locks", root / "project"), root / "count"
wanted = [Claim("src/a", is_path=True), Claim("src", is_path=True), Claim("src/a/b.py", is_path=True)]
for number in range(12):
    while not locks.try_acquire(number, [Claim("other", shared=True), wanted[number % 3], Claim("db")]):
        time.sleep(0.001)
    (root / "inside").mkdir()
    file.write_text(str(int(file.read_text()) + 1))
    (root / "inside").rmdir()
    locks.release(number)
"""


def test_processes_that_race_take_turns(tmp_path: Path) -> None:
    """And each of them gets its turn."""
    (tmp_path / "count").write_text("0", encoding="utf-8")
    processes = [subprocess.Popen([sys.executable, "-c", COUNTING, str(tmp_path)]) for _ in range(4)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 4
    assert (tmp_path / "count").read_text(encoding="utf-8") == "48"


def test_where_no_file_can_be_made_is_an_error(tmp_path: Path) -> None:
    """Who asked decides what that means."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        FileLocks(tmp_path / "file", tmp_path).try_acquire("h", [Claim("db")])
