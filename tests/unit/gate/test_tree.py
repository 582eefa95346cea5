"""Which tree a verdict speaks of, under git and without: which files it has and what its digest is of."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_phases.gate import files, tree
from pytest_phases.gate.tree import Differences, Tree, TreeError, differences, snapshot

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
no_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


def write(root: Path, **texts: str) -> None:
    """Write files: `src__a` is `src/a.py`."""
    for name, text in texts.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def paths(found: Tree) -> list[str]:
    """What is part of a tree."""
    return [entry.path for entry in found.entries]


@pytest.fixture(params=[pytest.param("git", marks=needs_git), "plain"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two files in a folder, once under git and once without."""
    root = tmp_path / "project"
    write(root, a="1", src__b="2")
    if request.param == "git":
        subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    return root


class TestWithoutGit:
    """All files but caches and what tools keep."""

    def test_everything(self, tmp_path: Path) -> None:
        """All files count, hidden ones too, and there is no commit."""
        write(tmp_path, a="1", src__b="2")
        (tmp_path / ".hidden").write_text("3")
        found = snapshot(tmp_path, ())

        assert paths(found) == [".hidden", "a.py", "src/b.py"]
        assert (found.commit, found.git_tree, found.dirty) == (None, None, False)

    @pytest.mark.parametrize("folder", [".git", ".tox", ".nox", "node_modules", "src/node_modules"])
    def test_tools(self, tmp_path: Path, folder: str) -> None:
        """What other tools keep is no part of the tree."""
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "file").write_text("1")

        assert paths(snapshot(tmp_path, ())) == []

    def test_environment(self, tmp_path: Path) -> None:
        """A virtual environment is known by its pyvenv.cfg; a folder of that name alone is a folder."""
        write(tmp_path, venv__a="1", env__b="2")
        (tmp_path / "env/pyvenv.cfg").write_text("")

        assert paths(snapshot(tmp_path, ())) == ["venv/a.py"]

    @no_root
    @pytest.mark.parametrize("name", ["file", "folder"])
    def test_unreadable(self, tmp_path: Path, name: str) -> None:
        """What cannot be read is an error that names it."""
        (tmp_path / "folder").mkdir()
        (tmp_path / "file").write_text("1")
        (tmp_path / name).chmod(0)
        with pytest.raises(TreeError, match=f"{name} cannot be read.*make it readable"):
            snapshot(tmp_path, ())


@pytest.mark.parametrize("name", ["file", "folder"])
def test_read_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A file or folder that the system does not let anybody read is an error that names it."""
    write(tmp_path, file="1", folder__a="2")

    def refuse(path: Path | str, *arguments: object, **more: object) -> object:
        if Path(path).stem == name:
            raise PermissionError(13, "Permission denied", path)
        return real(path, *arguments, **more)

    real: Callable[..., object] = open if name == "file" else os.scandir
    monkeypatch.setattr(*((files, "open") if name == "file" else (os, "scandir")), refuse, raising=False)
    with pytest.raises(TreeError, match=rf"{name}(\.py)? cannot be read \(Permission denied\)"):
        snapshot(tmp_path, ())


def test_no_folder(tmp_path: Path) -> None:
    """There is no tree where there is no folder."""
    with pytest.raises(TreeError, match="is no folder"):
        snapshot(tmp_path / "missing", ())


CACHES = """
    __pycache__/a.pyc  src/__pycache__/x  b.pyc  b.pyo  .pytest_cache/v/x  .mypy_cache/x  .ruff_cache/x
    .hypothesis/x  .coverage  .coverage.host.1  x.egg-info/PKG-INFO
""".split()
NO_CACHES = ".coveragerc  pycache/x  a.pyc.txt  coverage  egg-info".split()


@pytest.mark.parametrize(
    ("path", "counts"), [*((path, False) for path in CACHES), *((path, True) for path in NO_CACHES)]
)
def test_caches(project: Path, path: str, counts: bool) -> None:
    """Caches and byte code are no part of the tree, and nothing else that looks a little like them."""
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).write_text("1")

    assert (path in paths(snapshot(project, ()))) is counts


@pytest.mark.parametrize("exclude", ["out", "out/", "./out", "out/x"])
def test_excluded(project: Path, exclude: str) -> None:
    """Excluded files and folders are no part of the tree; neighbours with the same beginning are."""
    clean = snapshot(project, [exclude])
    (project / "out").mkdir()
    (project / "out/x").write_text("1")
    assert snapshot(project, [exclude]) == clean

    (project / "output").write_text("1")
    assert "output" in paths(snapshot(project, [exclude]))


@pytest.mark.parametrize("name", [b"new\nline", b"\xff\xfe", "ümlaut".encode(), b'quo"te', b" "])
def test_names(project: Path, name: bytes) -> None:
    """A file may have any name that the system allows."""
    try:
        (project / os.fsdecode(name)).write_text("1")
    except OSError:
        pytest.skip("the file system does not take this name")
    before = snapshot(project, ())
    (project / os.fsdecode(name)).write_text("2")
    after = snapshot(project, ())

    assert os.fsdecode(name) in paths(before)
    [text] = differences(before, after, (), built=False).changed
    assert text.encode("utf-8").decode().isprintable()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda root: (root / "a.py").write_text("9"), id="content"),
        pytest.param(lambda root: (root / "a.py").rename(root / "c.py"), id="path"),
        pytest.param(lambda root: (root / "a.py").chmod(0o755), id="mode"),
        pytest.param(lambda root: (root / "a.py").unlink(), id="absence"),
        pytest.param(lambda root: (root / "link").symlink_to("nowhere"), id="link"),
    ],
)
def test_digest(project: Path, change: Callable[[Path], object]) -> None:
    """The digest changes with paths, modes, contents and links."""
    before = snapshot(project, ())
    change(project)

    assert snapshot(project, ()).digest != before.digest


def test_digest_is_of_the_content(project: Path) -> None:
    """The digest does not change when a file is written again, nor with the times of anything."""
    before = snapshot(project, ())
    write(project, a="9")
    write(project, a="1")
    after = snapshot(project, ())

    assert after.digest == before.digest
    assert after.entries != before.entries


def test_link_target(project: Path) -> None:
    """A link is what it leads to by name; what lies there is not read."""
    (project.parent / "far").write_text("1")
    (project / "link").symlink_to("../far")
    before = snapshot(project, ())
    (project.parent / "far").write_text("2")
    assert snapshot(project, ()) == before

    (project / "link").unlink()
    (project / "link").symlink_to("../near")
    found = differences(before, snapshot(project, ()), (), built=False)
    assert found.changed == ("link (changed)",)


def test_known(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look reads only files that were written since the first, and finds the same."""
    first = snapshot(project, ())
    write(project, src__b="9")
    expected = snapshot(project, ())
    read = []
    real = tree.content_digest
    monkeypatch.setattr(tree, "content_digest", lambda path, mode: read.append(path) or real(path, mode))

    assert snapshot(project, (), first) == expected
    assert [Path(path).name for path in read] == ["b.py"]


def test_write_at_once(project: Path) -> None:
    """A file that is written right after a look, in the same tick of the clock, is not missed."""
    for text in "23456789":
        write(project, a="1")
        before = snapshot(project, ())
        write(project, a=text)

        assert snapshot(project, (), before).digest != before.digest


# What differs on a real disk ---------------------------------------------------------------------


def test_changed_while_a_phase_ran(project: Path) -> None:
    """On a real disk: what was left, what was changed back with its old time, what is new or gone."""
    write(project, gone="1", kept="1")
    before = snapshot(project, ())
    times = (project / "a.py").stat()
    write(project, a="9")
    write(project, a="1", src__b="9", new="1")
    os.utime(project / "a.py", ns=(times.st_atime_ns, times.st_mtime_ns))
    (project / "gone.py").unlink()

    assert differences(before, snapshot(project, (), before), (), built=False).changed == (
        "a.py (written and changed back)",
        "gone.py (removed)",
        "new.py (new)",
        "src/b.py (changed)",
    )


def test_hard_links_of_a_build(project: Path) -> None:
    """A build that links the sources and removes the links again, as setuptools does, changed nothing."""
    before = snapshot(project, ())
    os.link(project / "a.py", project / "linked.py")
    (project / "linked.py").unlink()

    assert differences(before, snapshot(project, ()), (), built=True) == Differences()
