"""Reading the file of a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_phases.errors import PlanError
from pytest_phases.plan.read import read_plan


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plan.md", "## Phase 1: A\n"),
        ("PLAN.MD", "\ufeff## Phase 1: A\r\n"),
        ("plan.markdown", "## Phase 1: A"),
        ("plan.toml", '\ufeff[[phase]]\nid = "1"\n'),
    ],
)
def test_the_suffix_chooses_the_reader(tmp_path: Path, name: str, text: str) -> None:
    """In any case of its letters, with or without a byte order mark."""
    path = tmp_path / name
    path.write_bytes(text.encode())
    plan = read_plan(path, "shown.md")
    assert ([phase.id for phase in plan.phases], plan.file) == (["1"], "shown.md")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("plan.yaml", b"", "shown: a plan ends in .md, .markdown, .toml; rename the file"),
        ("plan", b"", "shown: a plan ends in .md, .markdown, .toml; rename the file"),
        ("plan.md", None, "shown: there is no such plan; correct the path"),
        ("plan.md", b"## Phase 1: A\n\xff", "shown:2: this line is not UTF-8; save it as UTF-8"),
        ("plan.md", "## Phase 1: A".encode("utf-16"), "shown:1: this line is not UTF-8; save it as UTF-8"),
    ],
)
def test_a_file_that_is_no_plan(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    """The message says what to do about it."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PlanError) as raised:
        read_plan(tmp_path / name, "shown")
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize("name", ["plan.md", "plans"])
def test_a_folder_is_no_plan(tmp_path: Path, name: str) -> None:
    """Whether it is called like a plan or not, that it is a folder is what is wrong."""
    (tmp_path / name).mkdir()
    with pytest.raises(PlanError, match="name the file of the plan in it"):
        read_plan(tmp_path / name, name)


def test_a_path_the_system_cannot_name_is_no_plan(tmp_path: Path) -> None:
    """A null character or thousands of letters end in a message like any other."""
    for name in ("a\0b.md", "a" * 5000 + ".md"):
        with pytest.raises(PlanError, match="the plan cannot be read"):
            read_plan(tmp_path / name, "plan.md")


def test_problems_of_reading_sense_and_disk_come_together(tmp_path: Path) -> None:
    """One run finds them all, in the order of their lines."""
    path = tmp_path / "plan.md"
    path.write_text("## Phase 1: A\ntests: [nowhere.py]\ncoverage: 0\n## Phase 1: B\n")
    with pytest.raises(PlanError) as raised:
        read_plan(path, "plan.md", tmp_path)
    assert [problem.slug for problem in raised.value.problems] == ["bad-threshold", "duplicate-id"]
    path.write_text("## Phase 1: A\ntests: [nowhere.py]\ncoverage: 0\n")
    with pytest.raises(PlanError) as raised:
        read_plan(path, "plan.md", tmp_path)
    assert [problem.slug for problem in raised.value.problems] == ["missing-path", "bad-threshold"]


def test_without_a_root_the_disk_is_left_alone(tmp_path: Path) -> None:
    """`show` reads the plan and nothing else."""
    path = tmp_path / "plan.md"
    path.write_text("## Phase 1: A\ntests: [nowhere.py]\n")
    assert read_plan(path, "plan.md").phases[0].tests[0].path == "nowhere.py"
