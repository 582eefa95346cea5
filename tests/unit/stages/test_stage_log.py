"""The log of a stage and the lines of it that a report shows."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from pytest_phases.stages.log import (
    LINE_CHARACTERS,
    TAIL_CHARACTERS,
    TAIL_LINES,
    WINDOW_BYTES,
    Log,
    Tail,
    add_note,
)
from pytest_phases.stages.mask import Masker


def tail_of(*pieces: bytes) -> str:
    """The tail of a stream that arrived in these pieces."""
    tail = Tail()
    for piece in pieces:
        tail.feed(piece)
    return tail.text()


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"", ""),
        (b"one\ntwo\n", "one\ntwo"),
        (b"no newline at the end", "no newline at the end"),
        (b"10%\r50%\r100%\ndone\r\n", "100%\ndone"),
        (b"\x1b[31mred\x1b[0m \x1b]0;title\x07text", "red text"),
        (b"\xff\x00\tnull", "\ufffd\ufffd\tnull"),
        ("größer\n".encode(), "größer"),
    ],
)
def test_a_tail_is_fit_to_be_shown(printed: bytes, shown: str) -> None:
    """Colours, control characters, overwritten lines and broken UTF-8 do not reach a report."""
    assert tail_of(printed) == shown


def test_a_tail_has_the_last_lines_only() -> None:
    """Of many lines the last fifty are kept."""
    lines = [b"line %d\n" % number for number in range(1000)]
    assert tail_of(*lines).splitlines() == [f"line {number}" for number in range(1000 - TAIL_LINES, 1000)]


def test_a_long_line_is_cut_and_leaves_room_for_the_others() -> None:
    """A line of a hundred thousand characters is shown from its beginning, with the number of the rest."""
    first, long, last = tail_of(b"before\n", b"x" * 100_000, b"\nafter\n").splitlines()
    assert (first, last) == ("before", "after")
    assert long == "x" * LINE_CHARACTERS + f" [{100_000 - LINE_CHARACTERS} more characters]"


def test_a_tail_is_bounded_however_long_the_lines_are() -> None:
    """Fifty long lines together stay below the limit of characters, the last of them first."""
    text = tail_of(*(b"%03d" % number + b"y" * 900 + b"\n" for number in range(100)))
    assert len(text) <= TAIL_CHARACTERS
    assert text.splitlines()[-1].startswith("099")


def test_a_tail_starts_with_a_whole_line() -> None:
    """Where the beginning of the window cuts a line, that line is left out."""
    assert set(tail_of(b"abc\n" * WINDOW_BYTES).splitlines()) == {"abc"}


def test_a_log_is_made_with_its_folders_and_truncated(tmp_path: Path) -> None:
    """A log holds what the latest run printed."""
    path = tmp_path / "logs" / "1" / "A" / "build.log"
    for text in (b"first", b"second"):
        with Log(path, Masker([])) as log:
            log.write(text)
    assert path.read_bytes() == b"second"


def test_output_is_in_the_log_as_it_comes(tmp_path: Path) -> None:
    """`tail -f` shows progress."""
    with Log(tmp_path / "log", Masker([])) as log:
        log.write(b"half a l")
        assert (tmp_path / "log").read_bytes() == b"half a l"


@pytest.mark.parametrize(("printed", "expected"), [(b"a\n", "a\n"), (b"a", "a\n"), (b"", "")])
def test_a_note_stands_on_a_line_of_its_own(tmp_path: Path, printed: bytes, expected: str) -> None:
    """What the package adds is told from what the stage printed, and is not in the tail."""
    with Log(tmp_path / "log", Masker([])) as log:
        log.write(printed)
        log.note("timed out after 3 s")
    assert (tmp_path / "log").read_text() == f"{expected}pytest-phases: timed out after 3 s\n"
    assert log.tail.text() == printed.decode().strip()


def test_a_log_says_what_cut_it_short(tmp_path: Path) -> None:
    """An exception on its way through is named, and what was held back is written."""
    log = Log(tmp_path / "log", Masker([b"swordfish"]))
    with suppress(KeyboardInterrupt), log:
        log.write(b"sword")
        raise KeyboardInterrupt
    assert (tmp_path / "log").read_text() == "sword\npytest-phases: ended by KeyboardInterrupt\n"


def test_a_log_that_cannot_be_made_costs_a_warning(tmp_path: Path) -> None:
    """Where a file stands in place of the folder, the tail is kept and the warning names the log."""
    (tmp_path / "logs").write_text("a file")
    with Log(tmp_path / "logs" / "build.log", Masker([])) as log:
        log.write(b"printed")
    assert log.tail.text() == "printed"
    assert str(tmp_path / "logs") in log.warning


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")
def test_a_full_disk_costs_a_warning() -> None:
    """What does not fit is missing in the log, and nothing else happens."""
    with Log(Path("/dev/full"), Masker([])) as log:
        log.write(b"printed")
        log.write(b" more")
    assert log.tail.text() == "printed more"
    assert log.warning.startswith("the log /dev/full could not be written: ")


@pytest.mark.parametrize(
    ("held", "holds"),
    [
        (None, "pytest-phases: not run\n"),
        ("", "pytest-phases: not run\n"),
        ("printed\n", "printed\npytest-phases: not run\n"),
        ("no newline", "no newline\npytest-phases: not run\n"),
    ],
)
def test_a_note_is_added_to_a_log(tmp_path: Path, held: str | None, holds: str) -> None:
    """What a stage printed when it ran stays in its log, and a note has a line of its own."""
    log = tmp_path / "1" / "log"
    if held is not None:
        log.parent.mkdir()
        log.write_text(held)
    assert add_note(log, "not run") == ""
    assert log.read_text() == holds


def test_a_note_that_cannot_be_added_costs_a_warning(tmp_path: Path) -> None:
    """A folder in place of the log is named in the warning."""
    assert add_note(tmp_path, "not run").startswith(f"the log {tmp_path} could not be written: ")
