"""What audit events say is done to files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.watching.changes import Change, changes


@pytest.mark.parametrize(
    ("event", "args", "expected"),
    [
        ("open", ("there", "r", os.O_RDONLY), []),
        ("open", ("there", "w", os.O_WRONLY | os.O_TRUNC | os.O_CREAT), ["wrote there"]),
        ("open", ("there", None, os.O_RDWR), ["wrote there"]),
        ("open", ("there", "x", os.O_WRONLY | os.O_CREAT | os.O_EXCL), []),
        ("open", ("new", "x", os.O_WRONLY | os.O_CREAT | os.O_EXCL), ["wrote new"]),
        ("open", ("new", "r+", os.O_RDWR), []),
        ("open", ("no/new", "w", os.O_WRONLY | os.O_CREAT), []),
        ("open", (1, "w", os.O_WRONLY), []),
        ("os.rename", ("there", "new", -1, -1), ["renamed there", "wrote new"]),
        ("os.rename", ("no", "new", -1, -1), []),
        ("os.remove", ("there", -1), ["removed there"]),
        ("os.remove", ("no", -1), []),
        ("os.rmdir", ("folder", -1), ["removed folder"]),
        ("shutil.rmtree", ("folder", None), ["removed folder"]),
        ("os.mkdir", ("new", 0o777, -1), ["made new"]),
        ("os.mkdir", ("folder", 0o777, -1), []),
        ("os.link", ("there", "new", -1, -1), ["made new"]),
        ("os.symlink", ("there", "new", -1), ["made new"]),
        ("os.truncate", ("there", 0), ["wrote there"]),
        ("os.truncate", (3, 0), []),
        ("os.chmod", ("there", 0o600, -1), ["changed there"]),
        ("os.chown", ("there", 1, 1, -1), ["changed there"]),
        ("os.utime", ("there", None, None, -1), ["changed there"]),
        ("os.utime", ("no", None, None, -1), []),
    ],
)
def test_an_event_is_read_as_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: str, args: tuple[Any, ...], expected: list[str]
) -> None:
    """Each event names what is done to which path; what can have no effect is not done."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").touch()
    (tmp_path / "folder").mkdir()

    def told(change: Change) -> str:
        return f"{change.verb} {Path(change.path).relative_to(tmp_path).as_posix()}"

    assert [told(change) for change in changes(event, args)] == expected
