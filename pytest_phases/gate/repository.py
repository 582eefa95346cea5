"""What git says of a working tree. It is only asked: nothing in the repository is written.

Of the user's configuration what would hide files, trust old knowledge of them or run foreign
programs is overruled. The rest holds, or a tree would be dirty here that `git status` calls clean
(filters like those of git-lfs), or be refused (`safe.directory`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_phases.gate.files import TreeError, shown

# Two of these only save time: what git writes here is thrown away.
_OVERRULED = (
    "core.attributesFile=/dev/null",
    "core.checkStat=default",
    "core.excludesFile=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=none",
    "core.hooksPath=/dev/null",
    "core.looseCompression=0",
    "core.splitIndex=false",
    "core.trustctime=true",
    "core.untrackedCache=false",
)
# Where git finds its own programs and its users' configuration; whatever else a hook or a shell
# has set speaks of another repository, or changes what git answers.
_INHERITED = frozenset(
    {"GIT_EXEC_PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_TEMPLATE_DIR"}
)
_NO_REPOSITORY = ("not a git repository (or any", "must be run in a work tree")
_INCOMPLETE = ("could not open directory", "unable to access")
_GITLINK = "160000"


@dataclass(frozen=True, slots=True)
class Listed:
    """A path that git lists, relative to the top; `oid` and `mode` as in the index, empty if untracked.

    `hidden` says that git was told not to look at it (assume-unchanged, skip-worktree). A
    `repository` is a submodule, or another repository that lies in this one.
    """

    path: str
    mode: str = ""
    oid: str = ""
    hidden: bool = False
    repository: bool = False

    @property
    def tracked(self) -> bool:
        """Whether it is in the index."""
        return bool(self.oid)


@dataclass(frozen=True, slots=True)
class Repository:
    """A working tree: its top folder, the path from there to the folder asked for (`""` or `sub/`).

    `commit` is the one checked out and `commit_tree` its tree, None before the first commit.
    """

    top: Path
    prefix: str
    commit: str | None
    commit_tree: str | None

    def files(self) -> list[Listed]:
        """Everything tracked, whether or not it is there, and everything untracked and not ignored.

        Raises TreeError if git could not look everywhere.
        """
        words = ("ls-files", "-z", "-v", "--stage", "--cached", "--others", "--exclude-standard")
        found, complaints = _run(self.top, words)
        if any(each in complaints for each in _INCOMPLETE):
            raise TreeError(
                f"git could not read all of {shown(self.top)}, so nobody can say which tree this is; "
                f"make it readable, or let git ignore it:\n{complaints}"
            )
        # A path in conflict is listed once for each side.
        listed = {each.path: each for each in map(_listed, found.split(b"\0")[:-1])}
        return list(listed.values())

    def write_tree(self, listed: Iterable[Listed], present: Collection[str]) -> str:
        """The id of the git tree in which the paths of `listed` are as they are on the disk.

        Those not in `present` are left out; what git tracks and `listed` does not name is as in the
        index. Index and objects are made in a folder of their own, which is removed.
        """
        listed = list(listed)
        with TemporaryDirectory(prefix="pytest-phases-") as folder:
            variables = self._elsewhere(Path(folder))
            forgotten = b"".join(_forgotten(each, present) for each in listed)
            if forgotten:
                _run(self.top, ("update-index", "-z", "--index-info"), forgotten, variables)
            there = b"".join(os.fsencode(each.path) + b"\0" for each in listed if each.path in present)
            if there:
                words = ("update-index", "--add", "--remove", "--replace", "-z", "--stdin")
                _run(self.top, words, there, variables)
            return _line(_run(self.top, ("write-tree", "--missing-ok"), variables=variables)[0])

    def _elsewhere(self, folder: Path) -> dict[str, str]:
        """Variables by which git uses a copy of the index and keeps new objects in this folder."""
        index, objects = (self.top / self._path_of(name) for name in ("index", "objects"))
        if index.exists():
            # With its times: by those git knows which files it must read again.
            shutil.copy2(index, folder / "index")
        (folder / "objects").mkdir()
        quoted = os.fspath(objects).replace("\\", "\\\\").replace('"', '\\"')
        return {
            "GIT_INDEX_FILE": os.fspath(folder / "index"),
            "GIT_OBJECT_DIRECTORY": os.fspath(folder / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{quoted}"',
        }

    def _path_of(self, name: str) -> str:
        return _line(_run(self.top, ("rev-parse", "--git-path", name))[0])


def find(folder: Path) -> Repository | None:
    """The repository whose working tree a folder belongs to; None without one, or without git.

    Raises TreeError if there is one that git refuses.
    """
    if shutil.which("git") is None:
        return None
    done = git(folder, ("rev-parse", "--show-toplevel"))
    complaint = os.fsdecode(done.stderr)
    if done.returncode and any(each in complaint for each in _NO_REPOSITORY):
        return None
    top = Path(_line(_checked(folder, done)[0]))
    prefix = _line(_run(folder, ("rev-parse", "--show-prefix"))[0])
    return Repository(top, prefix, _object(top, "HEAD^{commit}"), _object(top, "HEAD^{tree}"))


def is_ancestor(folder: Path, commit: str) -> bool:
    """Whether a commit is the one that is checked out, or comes before it."""
    return git(folder, ("merge-base", "--is-ancestor", commit, "HEAD")).returncode == 0


def _object(top: Path, name: str) -> str | None:
    """The id of an object, None if there is none of that name."""
    done = git(top, ("rev-parse", "--quiet", "--verify", name))
    if done.returncode == 1 and not done.stderr:
        return None
    return _line(_checked(top, done)[0])


def _listed(line: bytes) -> Listed:
    """Read `? path` or `H 100644 OID STAGE<tab>path`."""
    tag, _, rest = line.partition(b" ")
    if tag == b"?":
        path = os.fsdecode(rest)
        return Listed(path.rstrip("/"), repository=path.endswith("/"))
    words, _, name = rest.partition(b"\t")
    mode, oid, _ = words.decode("ascii").split(" ")
    hidden = tag.islower() or tag == b"S"
    return Listed(os.fsdecode(name), mode, oid, hidden, repository=mode == _GITLINK)


def _forgotten(each: Listed, present: Collection[str]) -> bytes:
    """The line by which the index forgets a path that is not there, or that it shall look at a hidden one."""
    name = os.fsencode(each.path)
    if each.path not in present:
        return b"0 %s\t%s\0" % (b"0" * len(each.oid), name) if each.tracked else b""
    if each.hidden:
        return b"%s %s 0\t%s\0" % (each.mode.encode(), each.oid.encode(), name)
    return b""


def _run(
    folder: Path, words: Sequence[str], feed: bytes = b"", variables: Mapping[str, str] | None = None
) -> tuple[bytes, str]:
    """What git answers and what it complains of; TreeError if it fails."""
    return _checked(folder, git(folder, words, feed, variables))


def git(
    folder: Path, words: Sequence[str], feed: bytes = b"", variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git free of what the environment and the user's settings could change; OSError without git."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _INHERITED
    }
    environment = {
        **inherited,
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
        **(variables or {}),
    }
    settings = [word for setting in _OVERRULED for word in ("-c", setting)]
    return subprocess.run(
        ["git", *settings, *words], cwd=folder, input=feed, env=environment, capture_output=True, check=False
    )


def _checked(folder: Path, done: subprocess.CompletedProcess[bytes]) -> tuple[bytes, str]:
    complaint = os.fsdecode(done.stderr).strip()
    if done.returncode:
        raise TreeError(
            f"git failed in {shown(folder)}, so nobody can say which tree this is; "
            f"correct what it says, then try again:\n{complaint or f'exit status {done.returncode}'}"
        )
    return done.stdout, complaint


def _line(answer: bytes) -> str:
    """The one line of an answer; a path may have line ends of its own."""
    return os.fsdecode(answer.removesuffix(b"\n"))
