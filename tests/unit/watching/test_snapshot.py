"""Snapshots: what was done to files between two looks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_phases.watching.paths import Project
from pytest_phases.watching.snapshot import differences, snapshot


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({"a": (1, 1, 1, 1)}, {"a": (1, 1, 1, 1)}, []),
        ({"a": (1, 1, 1, 1)}, {"a": (1, 1, 1, 2)}, [("wrote", "a")]),
        ({"b": (1, 1, 1, 1)}, {"a": (1, 1, 1, 1)}, [("wrote", "a"), ("removed", "b")]),
    ],
    ids="nothing same written new-and-removed".split(),
)
def test_differences(
    before: dict[str, tuple[int, int, int, int]],
    after: dict[str, tuple[int, int, int, int]],
    expected: list[tuple[str, str]],
) -> None:
    """What is new or has another stamp was written, what is gone was removed."""
    assert list(differences(before, after)) == expected


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["src"], {"src/a.py", "src/sub/b.py", "src/link"}),
        (["src/a.py", "src/sub/"], {"src/a.py", "src/sub/b.py"}),
        (["**/*.py"], {"src/a.py", "src/sub/b.py"}),
        (["missing", "src/*.txt"], set()),
    ],
    ids="folder several glob missing".split(),
)
def test_a_snapshot_holds_the_files_that_are_named(
    tmp_path: Path, patterns: list[str], expected: set[str]
) -> None:
    """Files, all files below folders, and what a glob finds, without byte code; links are not followed."""
    (tmp_path / "src/sub").mkdir(parents=True)
    (tmp_path / "src/__pycache__").mkdir()
    for name in ("src/a.py", "src/sub/b.py", "src/__pycache__/a.pyc"):
        (tmp_path / name).touch()
    (tmp_path / "src/link").symlink_to("sub")
    assert snapshot(Project(tmp_path), patterns).keys() == expected


def test_a_hard_link_is_no_change(tmp_path: Path) -> None:
    """Packing a file by a link to it does not write it."""
    (tmp_path / "a").write_text("x")
    before = snapshot(Project(tmp_path), ["a"])
    os.link(tmp_path / "a", tmp_path / "b")
    assert list(differences(before, snapshot(Project(tmp_path), ["a"]))) == []
