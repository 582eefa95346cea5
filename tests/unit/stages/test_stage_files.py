"""What the paths and globs of a stage name, and what a file is known by."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_phases.gate.files import is_cache
from pytest_phases.stages.files import MISSING, UNREADABLE, Site, is_passed_over

TREE = """
    plan.md setup.cfg src/a.py src/deep/b.py src/deep/deeper/c.txt src/.hidden tests/test_a.py
    src/__pycache__/a.pyc src/b.pyc src/pkg.egg-info/PKG-INFO .git/HEAD .phases/phases.db .coverage
""".split()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A project with the files of TREE, each holding its own path, and an empty folder."""
    for path in TREE:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
    (tmp_path / "empty").mkdir()
    return Site(tmp_path, tmp_path / ".phases")


@pytest.mark.parametrize(
    ("patterns", "files"),
    [
        pytest.param("setup.cfg", "setup.cfg", id="a file"),
        pytest.param("./src/../setup.cfg", "setup.cfg", id="a file written in a roundabout way"),
        pytest.param(
            "src/", "src/.hidden src/a.py src/deep/b.py src/deep/deeper/c.txt", id="a folder, all below it"
        ),
        pytest.param(".", " ".join(TREE[:7]), id="the rootdir"),
        pytest.param("src/*.py", "src/a.py", id="a star stays in its folder"),
        pytest.param("src/**/*.py", "src/a.py src/deep/b.py", id="two stars cross folders"),
        pytest.param("**/**/b.py", "src/deep/b.py", id="two stars twice"),
        pytest.param("src/d*", "src/deep/b.py src/deep/deeper/c.txt", id="a folder that a glob names"),
        pytest.param("*/deep/?.py", "src/deep/b.py", id="a glob in the middle"),
        pytest.param("src/a.py src", "src/.hidden src/a.py src/deep/b.py src/deep/deeper/c.txt", id="twice"),
        pytest.param("nowhere", "nowhere", id="what is missing stands for itself"),
        pytest.param("src/*.rs", "src/*.rs", id="a glob without a match too"),
        pytest.param("empty", "empty", id="an empty folder too"),
        pytest.param(".git/HEAD", ".git/HEAD", id="what is passed over is found by its name"),
        pytest.param("src/*.pyc", "src/b.pyc", id="and by a glob that means it"),
        pytest.param("src/pkg.egg-info", "src/pkg.egg-info/PKG-INFO", id="and as a folder"),
    ],
)
def test_patterns_name_files(site: Site, patterns: str, files: str) -> None:
    """A path names a file or all of a folder, a glob what matches; git, byte code and caches are left out."""
    assert sorted(site.files(patterns.split())) == sorted(files.split())


@pytest.mark.parametrize(
    ("inputs", "outputs", "read", "made"),
    [
        pytest.param("src", "dist", ["src/a", "src/b.in"], ["dist/x"], id="apart"),
        pytest.param(".", "dist", ["plan.md", "src/a", "src/b.in"], ["dist/x"], id="outputs within inputs"),
        pytest.param("src/*.in", "src", ["src/b.in"], ["src/a"], id="inputs within outputs"),
        pytest.param("src", "src", [], ["src/a", "src/b.in"], id="changed in place"),
    ],
)
def test_no_file_is_input_and_output(
    tmp_path: Path, inputs: str, outputs: str, read: list[str], made: list[str]
) -> None:
    """Of patterns for inputs and outputs the one within the other counts; a file that both name is made."""
    for path in ("plan.md", "src/a", "src/b.in", "dist/x"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    site = Site(tmp_path, tmp_path / ".phases")
    assert tuple(map(sorted, site.declared([inputs], [outputs]))) == (read, made)


def test_the_digest_of_a_plain_file_is_that_of_its_content(site: Site) -> None:
    """Anybody can compare what is recorded of a file with `sha256sum`."""
    assert site.seen("src/a.py").sha256 == hashlib.sha256(b"src/a.py").hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda root: (root / "src/a.py").write_text("new"), id="content"),
        pytest.param(lambda root: (root / "src/a.py").chmod(0o755), id="executable"),
        pytest.param(lambda root: (root / "src/a.py").unlink(), id="removed"),
        pytest.param(lambda root: _link(root / "src/a.py", "deep/b.py"), id="a link in its place"),
    ],
)
def test_a_file_is_another_one(site: Site, change: Callable[[Path], object]) -> None:
    """Content, the bit that makes it executable, and whether it is a link tell a file from another."""
    before = site.seen("src/a.py")
    change(site.root)
    assert site.seen("src/a.py").sha256 != before.sha256


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda root: _link(root / "link", "src/deep/b.py"), id="another target"),
        pytest.param(lambda root: (root / "src/a.py").write_text("new"), id="another content behind it"),
        pytest.param(lambda root: (root / "src/a.py").unlink(), id="leads nowhere"),
    ],
)
def test_a_link_is_known_by_where_it_leads_and_what_is_there(
    site: Site, change: Callable[[Path], object]
) -> None:
    """A link that leads elsewhere, or to something else, has another digest."""
    _link(site.root / "link", "src/a.py")
    before = site.seen("link")
    change(site.root)
    assert site.seen("link").sha256 not in {before.sha256, ""}


def test_a_link_to_a_folder_is_followed_where_it_is_named(site: Site) -> None:
    """What lies behind a link counts for a path that names it, and no walk goes round in a circle."""
    _link(site.root / "linked", "src/deep")
    _link(site.root / "src/deep/round", "..")
    assert site.files(["linked"]) == {"linked", "linked/b.py", "linked/deeper/c.txt", "linked/round"}
    assert site.files(["link*"]) == {"linked"}
    assert "src/deep/round" in site.files(["src"])
    assert site.files(["**/round"]) == {"src/deep/round"}


def test_what_is_no_file_is_missing(site: Site) -> None:
    """A pipe is never opened, and a name that the system cannot take names nothing."""
    os.mkfifo(site.root / "pipe")
    assert site.seen("pipe") == site.seen("a\0b") == site.seen("plan.md/below") == site.seen("src") == MISSING
    assert site.files(["a\0b"]) == {"a\0b"}


def test_what_cannot_be_read_is_neither_there_nor_missing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose content nobody may see, or a folder, has a digest that no file has."""
    forbidden = PermissionError(13, "Permission denied")
    monkeypatch.setattr("pytest_phases.stages.files._digest", _raise(forbidden))
    monkeypatch.setattr("os.access", lambda *_: False)
    assert site.seen("src/a.py") == site.seen("src") == UNREADABLE
    assert "src/deep" in site.files(["src"])


def test_names_that_are_no_utf8(site: Site) -> None:
    """A file system takes any bytes for a name, and so do stages."""
    Path(os.fsdecode(os.fsencode(site.root) + b"/src/\xff.py")).touch()
    assert "src/\udcff.py" in site.files(["src/*.py"])


def test_the_phases_folder_is_never_found(tmp_path: Path) -> None:
    """Wherever below the rootdir a run writes its own files, they are no part of what a stage reads."""
    (tmp_path / "build/own").mkdir(parents=True)
    (tmp_path / "build/own/phases.db").touch()
    (tmp_path / "build/x").touch()
    assert Site(tmp_path, tmp_path / "build/own").files(["**/*", "."]) == {"build/x"}


@pytest.mark.parametrize(
    "name",
    "__pycache__ .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.host.1 a.pyc a.pyo "
    "x.egg-info src a.py .coveragerc coverage .gitignore pyc".split(),
)
def test_what_is_passed_over_is_what_the_gate_takes_for_a_cache(name: str) -> None:
    """A stage and the gate agree on which files say nothing."""
    assert is_passed_over(name) is is_cache(name)


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _raise(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail
