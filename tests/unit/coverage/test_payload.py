"""What was measured, on its way from a worker to the controller."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from coverage import CoverageData

from pytest_phases.coverage.payload import Payload, PayloadError, is_current, unversioned, versioned

LINES = Payload(False, {"phase 1": {"a.py": {1, 2}, "b.py": {3}}, "fixture caf\u00e9[0]": {"a.py": {7}}})
ARCS = Payload(True, {"phase 1": {"a.py": {(-1, 1), (1, 2)}}, "": {"a.py": {(2, -1)}}})
TRACED = Payload(False, {"": {"page.html": {1}, "a.py": {1}}}, {"page.html": "templates"})
PAYLOADS = {"lines": LINES, "arcs": ARCS, "nothing": Payload(), "a file that a plugin traces": TRACED}


def written(path: Path, payload: Payload = LINES) -> Path:
    """The payload as a process leaves it in a file."""
    data = CoverageData(basename=str(path))
    payload.fill(data)
    data.close()
    return path


# There and back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_what_travels_arrives(payload: Payload) -> None:
    """Contexts, files, lines, arcs and tracers are the same at the other end."""
    assert Payload.from_bytes(payload.to_bytes()) == payload


@pytest.mark.parametrize(
    "payload", [LINES, ARCS, TRACED], ids=["lines", "arcs", "a file that a plugin traces"]
)
def test_a_data_file_is_read_as_coverage_has_written_it(tmp_path: Path, payload: Payload) -> None:
    """Nothing is added to it or lost, and the file stays."""
    path = written(tmp_path / "data", payload)
    assert Payload.from_file(path) == payload
    assert path.exists()


def test_only_the_contexts_asked_for_are_read() -> None:
    """Lines of other contexts are somebody else's."""
    data = CoverageData(no_disk=True)
    LINES.fill(data)
    assert Payload.of(data, ["phase 1"]).measured == {"phase 1": LINES.measured["phase 1"]}
    assert Payload.of(data, ["unknown"]).measured == {}
    assert Payload.of(data) == LINES
    data.close(force=True)


# What cannot be read -----------------------------------------------------------------------------

DAMAGED = {
    "nothing at all": b"",
    "no data of coverage.py": b"nonsense",
    "the right letter and nothing more": b"z",
    "compressed nonsense": b"z" + zlib.compress(b"nonsense"),
    "compressed bytes that are no text": b"z" + zlib.compress(b"\xff\xfe"),
    "the first half": LINES.to_bytes()[: len(LINES.to_bytes()) // 2],
    "a byte less": LINES.to_bytes()[:-1],
    "a byte altered": LINES.to_bytes()[:40] + bytes([LINES.to_bytes()[40] ^ 255]) + LINES.to_bytes()[41:],
}


@pytest.mark.parametrize("packed", DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_bytes_are_told_whatever_the_damage(packed: bytes) -> None:
    """They are never taken for data of nothing."""
    with pytest.raises(PayloadError, match=r"coverage data cannot be read: ."):
        Payload.from_bytes(packed)


def test_no_beginning_of_a_file_is_taken_for_the_whole(tmp_path: Path) -> None:
    """A process that was killed while it wrote leaves one, be it empty."""
    whole = written(tmp_path / "data").read_bytes()
    cut = tmp_path / "cut"
    for size in {1, 16, 99, 100, 101, *range(0, len(whole), 4096)}:
        cut.write_bytes(whole[:size])
        with pytest.raises(PayloadError, match=r"cut: ."):
            Payload.from_file(cut)
        assert cut.stat().st_size == size


@pytest.mark.parametrize("name", ["missing", "missing/data", "."])
def test_what_is_no_file_is_told_and_not_made(tmp_path: Path, name: str) -> None:
    """coverage.py itself would make an empty one."""
    with pytest.raises(PayloadError):
        Payload.from_file(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


# Put together ------------------------------------------------------------------------------------


def test_an_update_adds_what_is_new_and_leaves_the_other_alone() -> None:
    """Lines of one file and context become one set; those of other contexts stay apart."""
    other = Payload(False, {"phase 1": {"a.py": {2, 9}}, "phase 2": {"a.py": {1}}}, {"c.html": "templates"})
    whole = Payload()
    whole.update(LINES)
    whole.update(other)
    whole.add("phase 2", "a.py", [5])
    assert whole.measured["phase 1"] == {"a.py": {1, 2, 9}, "b.py": {3}}
    assert whole.measured["phase 2"] == {"a.py": {1, 5}}
    assert whole.tracers == {"c.html": "templates"}
    assert other.measured["phase 2"] == {"a.py": {1}}
    assert LINES.measured["phase 1"]["a.py"] == {1, 2}


@pytest.mark.parametrize("payload", [LINES, ARCS], ids=["lines", "arcs"])
@pytest.mark.parametrize("arcs", [False, True], ids=["none of lines", "none of arcs"])
def test_nothing_goes_with_everything(payload: Payload, arcs: bool) -> None:
    """A process that executed nothing has measured neither lines nor arcs, whichever it says."""
    first, last = Payload(arcs), Payload()
    first.update(payload)
    last.update(payload)
    last.update(Payload(arcs))
    assert first == last == payload


@pytest.mark.parametrize(
    ("one", "other"), [(LINES, ARCS), (ARCS, LINES)], ids=["arcs to lines", "lines to arcs"]
)
def test_lines_and_arcs_cannot_be_put_together(one: Payload, other: Payload) -> None:
    """That is told with what to do, and what was there stays as it was."""
    whole = Payload()
    whole.update(one)
    with pytest.raises(
        PayloadError, match=r"measure all in one way, by `branch` under \[tool.coverage.run\]"
    ):
        whole.update(other)
    assert whole == one


def test_files_that_get_one_name_become_one() -> None:
    """Their lines are put together, context by context."""
    renamed = LINES.renamed(lambda file: "x.py")
    assert renamed.measured == {"phase 1": {"x.py": {1, 2, 3}}, "fixture caf\u00e9[0]": {"x.py": {7}}}
    assert TRACED.renamed(str.upper).tracers == {"PAGE.HTML": "templates"}


def test_a_selection_is_about_some_files_alone() -> None:
    """What was measured of the others is left out, and so are their tracers."""
    selected = TRACED.selected(lambda file: file.endswith(".py"))
    assert selected == Payload(False, {"": {"a.py": {1}}})


# Names of files ----------------------------------------------------------------------------------


def sha256(content: bytes) -> str:
    """The digest of a content."""
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A rootdir with a source, and a source beside it."""
    (tmp_path / "root" / "src").mkdir(parents=True)
    (tmp_path / "root" / "src" / "a.py").write_bytes(b"A = 1\n")
    (tmp_path / "other.py").write_bytes(b"B = 1\n")
    return tmp_path / "root"


def names(root: Path) -> Iterable[tuple[str, str, bytes]]:
    """Files as they are measured, what they are called, and what they hold."""
    outside = str(root.parent / "other.py")
    yield str(root / "src" / "a.py"), "src/a.py", b"A = 1\n"
    yield "src/a.py", "src/a.py", b"A = 1\n"
    yield outside, outside, b"B = 1\n"


def test_a_file_is_named_from_the_rootdir_with_its_version(root: Path) -> None:
    """One outside of it keeps its path, since no other checkout could have it elsewhere."""
    for file, name, content in names(root):
        called = versioned(file, root)
        assert called == f"{name}@sha256:{sha256(content)}"
        assert unversioned(called) == name
        assert is_current(called, root)


def test_a_file_that_was_made_anew_is_another_one(root: Path) -> None:
    """What was executed of the former one says nothing of it, until it is what it was."""
    called = versioned("src/a.py", root)
    (root / "src" / "a.py").write_bytes(b"A = 2\n")
    assert not is_current(called, root)
    assert versioned("src/a.py", root) != called
    (root / "src" / "a.py").write_bytes(b"A = 1\n")
    assert is_current(called, root)


@pytest.mark.parametrize("file", ["src/gone.py", "src", "<string>", "nul\0.py"])
def test_what_cannot_be_read_has_no_version_and_keeps_its_name(root: Path, file: str) -> None:
    """Code may say that it came from anywhere; it is the same for as long as there is no such file."""
    called = versioned(file, root)
    assert unversioned(called) == file
    assert is_current(called, root)
