"""What a stage prints: streamed to a file with secrets masked, its last lines kept for the report."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from types import TracebackType

from pytest_phases.stages.mask import Masker

TAIL_LINES = 50
TAIL_CHARACTERS = 16_000
LINE_CHARACTERS = 1_000
WINDOW_BYTES = 256 * 1024

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Tail:
    """The end of a stream of bytes, in bounded memory."""

    def __init__(self) -> None:
        self._window = bytearray()
        self._cut = False

    def feed(self, data: bytes) -> None:
        """Take what was printed next."""
        self._window += data
        if len(self._window) > 2 * WINDOW_BYTES:  # twice, so that little is moved for each byte
            del self._window[:-WINDOW_BYTES]
            self._cut = True

    def text(self) -> str:
        """The last lines as text that is safe to show: at most 50 lines and 16,000 characters.

        Bytes that are no UTF-8 and control characters become U+FFFD, colours are dropped, of a
        line that was overwritten (a progress bar) the last state is shown, long lines are cut.
        """
        lines = bytes(self._window).decode("utf-8", "replace").removesuffix("\n").split("\n")
        if self._cut and len(lines) > 1:
            del lines[0]  # its beginning is lost
        shown: list[str] = []
        room = TAIL_CHARACTERS
        for line in map(_presentable, reversed(lines[-TAIL_LINES:])):
            room -= len(line) + 1
            if room < 0:
                break
            shown.append(line)
        return "\n".join(reversed(shown))


def _presentable(line: str) -> str:
    line = line.rstrip("\r").rpartition("\r")[2]
    line = _CONTROL.sub("\ufffd", _ESCAPE_SEQUENCE.sub("", line))
    cut = len(line) - LINE_CHARACTERS
    return line if cut <= 0 else f"{line[:LINE_CHARACTERS]} [{cut} more characters]"


class Log:
    """The log file of a stage; one that cannot be written costs a warning, never the stage.

    `warning` is empty, or says what could not be written and why. `echo` is given all that is
    printed as well, with secrets masked. With `more`, what the file holds already stays.
    """

    def __init__(
        self, path: Path, masker: Masker, echo: Callable[[bytes], None] | None = None, *, more: bool = False
    ) -> None:
        self._echo = echo
        self._mode = "a+" if more else "w"
        self.warning = ""
        self.tail = Tail()
        self._path = path
        self._masker = masker
        self._file: FileIO | None = None
        self._mid_line = False

    def __enter__(self) -> Log:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = FileIO(self._path, self._mode)
            if self._file.readable() and self._file.tell():
                self._file.seek(-1, os.SEEK_END)
                self._mid_line = self._file.read(1) != b"\n"
        except OSError as error:
            self._warn(error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_of_output()
        if kind is not None:
            self.note(f"ended by {kind.__name__}")
        self._close()

    def write(self, output: bytes) -> None:
        """Take what the stage printed next."""
        self._keep(self._masker.feed(output))

    def end_of_output(self) -> None:
        """Take it that the stage prints no more: what may have been the beginning of a secret was none."""
        self._keep(self._masker.flush())

    def note(self, text: str) -> None:
        """Add a line of our own to the file (not to the tail, which is the stage's)."""
        self.end_of_output()
        line = f"pytest-phases: {text}\n"
        self._to_file((b"\n" if self._mid_line else b"") + line.encode("utf-8", "replace"))

    def _keep(self, masked: bytes) -> None:
        if masked:
            self.tail.feed(masked)
            if self._echo is not None:
                self._echo(masked)
            self._to_file(masked)

    def _to_file(self, data: bytes) -> None:
        if self._file is None:
            return
        self._mid_line = not data.endswith(b"\n")
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._warn(error)
            self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        except OSError as error:  # a network file system reports here what did not fit
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        self.warning = f"the log {self._path} could not be written: {error.strerror or error}"


def add_note(path: Path, text: str) -> str:
    """Add a line of our own to the log of a stage that does not run now; a warning if that failed."""
    with Log(path, Masker(()), more=True) as log:
        log.note(text)
    return log.warning
