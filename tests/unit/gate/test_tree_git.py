"""The tree of a git working tree: tracked and unignored files, its commit, and the id git gives it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_phases.gate.tree import Tree, TreeError, differences, snapshot

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
no_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")

WHO = {"NAME": "Somebody", "EMAIL": "somebody@example.org"}
IDENTITY = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in WHO.items()}


def git(folder: Path, *words: str, **variables: str) -> str:
    """Run git as the tests need it and give back what it says."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main", *words],
        cwd=folder,
        env={
            **clean,
            **IDENTITY,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            **variables,
        },
        capture_output=True,
        check=True,
    )
    return os.fsdecode(done.stdout).strip()


def write(root: Path, **texts: str) -> None:
    """Write files: `src__a` is `src/a.py`."""
    for name, text in texts.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def commit(folder: Path) -> str:
    """Commit everything and give back the id."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "change")
    return git(folder, "rev-parse", "HEAD")


def paths(found: Tree) -> list[str]:
    """What is part of a tree."""
    return [entry.path for entry in found.entries]


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder, by what it holds and when it was written."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two files and one commit."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet")
    write(root, a="1", src__b="2")
    commit(root)
    return root


class TestUnderGit:
    """The tracked and the unignored files."""

    def test_clean(self, repository: Path) -> None:
        """A clean tree is that of its commit."""
        found = snapshot(repository, ())

        assert paths(found) == ["a.py", "src/b.py"]
        assert found.commit == git(repository, "rev-parse", "HEAD")
        assert found.git_tree == git(repository, "rev-parse", "HEAD^{tree}")
        assert not found.dirty

    def test_dirty(self, repository: Path) -> None:
        """The git tree has what is changed, removed, new and staged, as a commit of it all would."""
        write(repository, a="changed", new="new", staged="staged")
        git(repository, "add", "staged.py")
        (repository / "src/b.py").unlink()
        found = snapshot(repository, ())

        assert paths(found) == ["a.py", "new.py", "staged.py"]
        assert found.dirty
        assert found.commit == git(repository, "rev-parse", "HEAD")
        commit(repository)
        assert found.git_tree == git(repository, "rev-parse", "HEAD^{tree}")

    def test_untouched(self, repository: Path) -> None:
        """Nothing in the repository is written, not even the index whose times are old."""
        write(repository, a="1", new="new")
        before = contents(repository / ".git")
        snapshot(repository, ())

        assert contents(repository / ".git") == before

    def test_ignored(self, repository: Path) -> None:
        """What the project ignores is no part of it; what is tracked nevertheless is."""
        write(repository, ignored="1", tracked="2")
        git(repository, "add", "tracked.py")
        (repository / ".gitignore").write_text("ignored.py\ntracked.py\n")

        assert paths(snapshot(repository, ())) == [".gitignore", "a.py", "src/b.py", "tracked.py"]

    def test_no_commit(self, tmp_path: Path) -> None:
        """Before the first commit there is a tree without one."""
        git(tmp_path, "init", "--quiet")
        write(tmp_path, a="1")
        found = snapshot(tmp_path, ())

        assert (found.commit, found.dirty, paths(found)) == (None, True, ["a.py"])
        assert found.git_tree is not None

    @pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
    def test_hidden_change(self, repository: Path, flag: str) -> None:
        """A change that the index was told to overlook is seen."""
        clean = snapshot(repository, ())
        git(repository, "update-index", flag, "a.py")
        write(repository, a="9")
        found = snapshot(repository, ())

        assert found.dirty
        assert found.digest != clean.digest
        assert found.git_tree != clean.git_tree

    def test_old_times(self, repository: Path) -> None:
        """A change of the same size with the old times given back is seen."""
        times = (repository / "a.py").stat()
        clean = snapshot(repository, ())
        write(repository, a="9")
        os.utime(repository / "a.py", ns=(times.st_atime_ns, times.st_mtime_ns))

        assert snapshot(repository, ()).dirty
        assert snapshot(repository, (), clean).digest != clean.digest

    def test_below_the_top(self, repository: Path) -> None:
        """In a folder of a repository its files count; commit and git tree are the repository's."""
        whole = snapshot(repository, ())
        found = snapshot(repository / "src", ())

        assert paths(found) == ["b.py"]
        assert (found.commit, found.git_tree, found.dirty) == (whole.commit, whole.git_tree, False)

    def test_dirty_beside(self, repository: Path) -> None:
        """A change outside of the folder makes the commit not what is there, and is no part of the tree."""
        clean = snapshot(repository / "src", ())
        write(repository, a="9")
        found = snapshot(repository / "src", ())

        assert found.dirty
        assert found.digest == clean.digest

    def test_ignored_folder(self, repository: Path) -> None:
        """A folder that the repository around it ignores has a tree of its own."""
        write(repository, inner__c="1")
        (repository / ".gitignore").write_text("inner/\n")
        found = snapshot(repository / "inner", ())

        assert (paths(found), found.commit) == (["c.py"], None)

    def test_hook_variables(self, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a git hook leaves in the environment does not lead to another repository."""
        clean = snapshot(repository, ())
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
            monkeypatch.setenv(name, str(tmp_path / "elsewhere"))

        assert snapshot(repository, ()) == clean

    def test_user_configuration(
        self, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a user makes git ignore everywhere is part of the tree all the same."""
        (tmp_path / "ignore").write_text("*.py\n")
        (tmp_path / "config").write_text(f"[core]\n excludesFile = {tmp_path / 'ignore'}\n")
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
        write(repository, new="1")

        assert "new.py" in paths(snapshot(repository, ()))

    def test_converted_line_ends(self, repository: Path) -> None:
        """A file that git checks out with other line ends is clean, as for git itself."""
        (repository / ".gitattributes").write_text("*.bat text eol=crlf\n")
        (repository / "x.bat").write_bytes(b"one\r\n")
        commit(repository)

        assert not snapshot(repository, ()).dirty

    def test_conflict(self, repository: Path) -> None:
        """A file in conflict is one file, as it stands on the disk."""
        git(repository, "checkout", "--quiet", "-b", "other")
        write(repository, a="other")
        commit(repository)
        git(repository, "checkout", "--quiet", "main")
        write(repository, a="main")
        commit(repository)
        with pytest.raises(subprocess.CalledProcessError):
            git(repository, "merge", "other")
        found = snapshot(repository, ())

        assert paths(found) == ["a.py", "src/b.py"]
        assert found.dirty

    def test_file_becomes_folder(self, repository: Path) -> None:
        """A file in whose place a folder stands is gone, and what is in the folder is new."""
        (repository / "a.py").unlink()
        (repository / "a.py").mkdir()
        (repository / "a.py/inner.txt").write_text("1")
        found = snapshot(repository, ())

        assert paths(found) == ["a.py/inner.txt", "src/b.py"]
        assert found.git_tree is not None

    def test_folder_becomes_link(self, repository: Path) -> None:
        """What lies behind a link is no part of the tree; the link is."""
        (repository / "src").rename(repository.parent / "moved")
        (repository / "src").symlink_to(repository.parent / "moved")
        found = snapshot(repository, ())

        assert [(entry.path, entry.mode) for entry in found.entries] == [("a.py", "file"), ("src", "link")]
        assert found.git_tree is not None

    def test_pipe(self, repository: Path) -> None:
        """A pipe in the place of a tracked file is not read: the file is gone."""
        (repository / "a.py").unlink()
        os.mkfifo(repository / "a.py")
        found = snapshot(repository, ())

        assert (paths(found), found.dirty) == (["src/b.py"], True)

    def test_excluded_and_tracked(self, repository: Path) -> None:
        """What is excluded is no part of the tree even if git tracks it, and makes nothing dirty."""
        write(repository, src__b="9")
        found = snapshot(repository, ["src/"])

        assert (paths(found), found.dirty) == (["a.py"], False)

    def test_tracked_cache(self, repository: Path) -> None:
        """A tracked file counts, whatever it is called."""
        (repository / "kept.pyc").write_text("1")
        git(repository, "add", "--force", "kept.pyc")

        assert "kept.pyc" in paths(snapshot(repository, ()))

    def test_cache_is_not_dirty(self, repository: Path) -> None:
        """Byte code that the project forgot to ignore makes no tree dirty."""
        (repository / "__pycache__").mkdir()
        (repository / "__pycache__/a.cpython-311.pyc").write_text("1")

        assert not snapshot(repository, ()).dirty

    def test_sparse_checkout(self, repository: Path) -> None:
        """What a sparse checkout leaves out is not there, so the tree is not that of the commit."""
        git(repository, "sparse-checkout", "set", "--no-cone", "/a.py")
        found = snapshot(repository, ())

        assert (paths(found), found.dirty) == (["a.py"], True)

    def test_refused(self, repository: Path) -> None:
        """A repository that git cannot read is an error with what git says, not a folder without git."""
        (repository / ".git/config").write_text("[core\n")
        with pytest.raises(TreeError, match=r"git failed in .*\n.*bad config"):
            snapshot(repository, ())

    def test_not_installed(self, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without git all files count, and there is no commit."""
        monkeypatch.setenv("PATH", "")
        found = snapshot(repository, ())

        assert (paths(found), found.commit, found.git_tree) == (["a.py", "src/b.py"], None, None)

    @no_root
    def test_unreadable_folder(self, repository: Path) -> None:
        """A folder that git cannot open is an error, although git itself goes on."""
        (repository / "secret").mkdir(mode=0)
        with pytest.raises(TreeError, match="could not open directory"):
            snapshot(repository, ())

    def test_git_could_not_look(self, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What git warns of while it lists files is an error, since the list is not whole."""
        fake = repository.parent / "bin/git"
        fake.parent.mkdir()
        real = shutil.which("git")
        warning = "echo \"warning: could not open directory 'x/': Permission denied\" >&2"
        fake.write_text(f'#!/bin/sh\ncase "$*" in *ls-files*) {warning};; esac\nexec {real} "$@"\n')
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", str(fake.parent), prepend=os.pathsep)
        with pytest.raises(TreeError, match="could not read all of"):
            snapshot(repository, ())


class TestSubmodules:
    """A submodule is one entry: its commit and everything in it."""

    @pytest.fixture
    def outer(self, repository: Path, tmp_path: Path) -> Path:
        """A repository with another as its submodule `sub`."""
        outer = tmp_path / "outer"
        outer.mkdir()
        git(outer, "init", "--quiet")
        git(outer, "submodule", "--quiet", "add", str(repository), "sub")
        commit(outer)
        return outer

    def test_clean(self, outer: Path) -> None:
        """A clean submodule leaves the tree clean."""
        found = snapshot(outer, ())

        assert [(entry.path, entry.mode) for entry in found.entries] == [
            (".gitmodules", "file"),
            ("sub", "repository"),
        ]
        assert (found.git_tree, found.dirty) == (git(outer, "rev-parse", "HEAD^{tree}"), False)

    def test_dirty(self, outer: Path) -> None:
        """With a dirty submodule no id of git's names the tree, and each change of it is seen."""
        clean = snapshot(outer, ())
        write(outer / "sub", a="8")
        first = snapshot(outer, ())
        write(outer / "sub", a="9")
        second = snapshot(outer, ())

        assert (first.git_tree, first.dirty) == (None, True)
        assert len({clean.digest, first.digest, second.digest}) == 3

    def test_changed_back(self, outer: Path) -> None:
        """A file of a submodule that was changed and changed back is found out."""
        before = snapshot(outer, ())
        write(outer / "sub", a="9")
        write(outer / "sub", a="1")

        found = differences(before, snapshot(outer, ()), (), built=False)
        assert found.changed == ("sub (written and changed back)",)

    def test_other_commit(self, outer: Path) -> None:
        """A submodule at another commit makes the tree another one, that git can name."""
        write(outer / "sub", a="9")
        commit(outer / "sub")
        found = snapshot(outer, ())

        assert found.dirty
        assert found.git_tree not in (None, git(outer, "rev-parse", "HEAD^{tree}"))

    def test_not_fetched(self, outer: Path, tmp_path: Path) -> None:
        """A submodule that was not fetched is not there, and makes nothing dirty."""
        git(tmp_path, "clone", "--quiet", str(outer), "clone")
        found = snapshot(tmp_path / "clone", ())

        assert (paths(found), found.dirty) == ([".gitmodules"], False)

    def test_untracked_repository(self, repository: Path) -> None:
        """A repository that lies in another one untracked is one entry too, with or without a commit."""
        git(repository, "init", "--quiet", "inner")
        write(repository, inner__c="1")
        found = snapshot(repository, ())
        commit(repository / "inner")
        committed = snapshot(repository, ())

        assert found.entries[1].path == committed.entries[1].path
        assert found.digest != committed.digest
        assert (found.dirty, committed.dirty) == (True, True)
