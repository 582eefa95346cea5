"""Files of a project: by which names they are known, and what is none of them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_phases.watching.paths import Project, absolute


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("src/a.py", "src/a.py"),
        ("src/../b.txt", "b.txt"),
        ("", None),
        ("../outside", None),
        (".phases/phases.db", None),
        ("out/phases/x", None),
        ("src/__pycache__/a.cpython-313.pyc", None),
        ("src/a.pyc", None),
        (".venv/lib/site-packages/x.py", None),
        (".pytest_cache/v", None),
        (".coverage", None),
        (".coverage.host.1", None),
        (".coveragerc", None),
        ("coverage.py", "coverage.py"),
        (".git/HEAD", ".git/HEAD"),
    ],
)
def test_what_is_a_file_of_the_project(tmp_path: Path, path: str, named: str | None) -> None:
    """Everything below the root but byte code, caches, installed code and the folders set apart."""
    project = Project(tmp_path, (".phases", "out/phases"))
    assert project.named(os.path.normpath(tmp_path / path)) == named


def test_links_lead_into_the_project(tmp_path: Path) -> None:
    """A file that is reached from outside by a link has the name that it has below the root."""
    root = tmp_path / "root"
    (root / "data").mkdir(parents=True)
    (root / "data/x").touch()
    (tmp_path / "file").symlink_to(root / "data/x")
    (tmp_path / "folder").symlink_to(root / "data")
    (root / "link").symlink_to("data/x")
    project = Project(root)
    assert project.named(str(tmp_path / "file")) == "data/x"
    assert project.named(str(tmp_path / "folder/x")) == "data/x"
    assert project.named(str(tmp_path / "folder/../data/x")) == "data/x"
    assert project.named(str(root / "link")) == "link"
    assert project.touched(str(root / "link")) == "data/x"
    assert project.touched(str(root / "link"), itself=True) == "link"


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    """Both names of the root lead to its files."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    project = Project(tmp_path / "link")
    assert project.named(str(tmp_path / "link/x")) == project.named(str(tmp_path / "real/x")) == "x"


@pytest.mark.parametrize(
    ("filename", "source"),
    [("<string>", None), ("src/a.py", "src/a.py"), ("generated", None), (os.__file__, None)],
)
def test_the_source_of_code_is_a_file_that_is_there(
    tmp_path: Path, filename: str, source: str | None
) -> None:
    """Code names a file as it likes; what is not below the root is no source of the project."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.py").touch()
    assert Project(tmp_path).source(filename) == source


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b", "/a/b"),
        (b"/a/./b", "/a/b"),
        (Path("/a"), "/a"),
        ("/a/../b", "/a/../b"),
        (3, None),
        (None, None),
        ("a\0b", None),
        (b"/\xff", "/\udcff"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="paths of POSIX")
def test_what_an_event_speaks_of_has_an_absolute_path(path: Any, expected: str | None) -> None:
    """Text, bytes and paths do; descriptors do not."""
    assert absolute(path) == expected


def test_a_relative_path_is_of_the_current_folder_or_of_an_open_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is the current one, unless a descriptor says otherwise; if it is closed, no one knows."""
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    assert absolute("x") == str(tmp_path / "x")
    folder = os.open(tmp_path / "sub", os.O_RDONLY)
    assert absolute("x", folder) == str(tmp_path / "sub/x")
    os.close(folder)
    assert absolute("x", folder) is None
