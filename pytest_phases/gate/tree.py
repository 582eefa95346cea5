"""Which tree a verdict speaks of: every file by its content, and by whether it was written meanwhile."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_phases.evidence import TreeEntry
from pytest_phases.gate.files import (
    Excluded,
    TreeError,
    content_digest,
    holds_something,
    is_cache,
    look,
    mode_of,
    only_touched,
    settle,
    shown,
    stamp_of,
    walk,
)
from pytest_phases.gate.repository import Listed, Repository, find
from pytest_phases.plan.selectors import lies_at

__all__ = ["Differences", "Tree", "TreeError", "differences", "snapshot"]

_CHANGED, _REMOVED, _NEW = "changed", "removed", "new"
_WRITTEN = "written and changed back"


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of a tree, sorted by path, and the sha256 of their paths, modes and contents.

    `commit` is the one checked out and `git_tree` the id of the git tree that is on the disk, both of
    the whole repository even if the tree is a folder of it; `dirty` says whether the two differ.
    Outside of git both are None. `git_tree` is None too if a submodule is dirty: then no id of git's
    names what is there.
    """

    entries: tuple[TreeEntry, ...]
    digest: str
    commit: str | None = None
    git_tree: str | None = None
    dirty: bool = False


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs between two trees, each as text like `src/a.py (changed)`, sorted by path.

    `made` is what a run may leave behind, `changed` all the rest.
    """

    changed: tuple[str, ...] = ()
    made: tuple[str, ...] = ()


def snapshot(root: Path, exclude: Collection[str], known: Tree | None = None) -> Tree:
    """The tree below `root` as it is on the disk now.

    Under git these are the tracked and the unignored files, without untracked caches and byte code;
    else all files but caches, byte code and what git, tox, nox, npm and virtual environments keep.
    What `exclude` names (paths of files and folders, relative to `root`) is no part of either. A
    submodule, or another repository below, is one entry, with `repository` for its mode.

    Files that carry the stamp they have in `known` are not read again: it must be a tree that this
    process has taken. Raises TreeError if not all of the tree can be read.
    """
    if not root.is_dir():
        raise TreeError(f"{shown(root)} is no folder; name one that is there")
    return _snapshot(root, Excluded.of(exclude), known)


def differences(before: Tree, after: Tree, outputs: Collection[str], built: bool) -> Differences:
    """What differs between the tree before a run and the tree after it.

    A run may do what it likes below its declared `outputs` (files, folders or globs, relative to the
    root of the tree). If `built`, a phase with a Build stage ran: it may make new files. It may also
    touch files without writing them, as setuptools does, which packs hard links; so a file that was
    written, changed back and given its old time again is found out only where nothing was built.
    """
    old = {entry.path: entry for entry in before.entries}
    new = {entry.path: entry for entry in after.entries}
    changed: list[str] = []
    made: list[str] = []
    for path in sorted(old.keys() | new.keys()):
        what = _difference(old.get(path), new.get(path), built)
        if what is not None:
            allowed = (built and what == _NEW) or any(lies_at(path, output) for output in outputs)
            (made if allowed else changed).append(f"{shown(path)} ({what})")
    return Differences(tuple(changed), tuple(made))


def _difference(old: TreeEntry | None, new: TreeEntry | None, built: bool) -> str | None:
    """What happened to a file, None if nothing did."""
    if old is None or new is None:
        return _NEW if old is None else _REMOVED
    if (old.mode, old.sha256) != (new.mode, new.sha256):
        return _CHANGED
    if old.stamp == new.stamp or (built and only_touched(old.stamp, new.stamp)):
        return None
    return _WRITTEN


def _snapshot(root: Path, excluded: Excluded, known: Tree | None = None) -> Tree:
    repository = find(root)
    if repository is not None:
        listed = repository.files()
        # A folder that an outer repository ignores is none of its business.
        if not repository.prefix or any(each.path.startswith(repository.prefix) for each in listed):
            return _under_git(repository, listed, excluded, known)
    entries = _entries(root, list(walk(root, excluded)), known)
    return Tree(entries, _digest(entries))


def _under_git(
    repository: Repository, listed: Sequence[Listed], excluded: Excluded, known: Tree | None
) -> Tree:
    prefix = repository.prefix
    root = repository.top / prefix
    kept = [each for each in listed if _counts(each, prefix, excluded)]
    nested = _nested(repository.top, (each.path for each in kept if each.repository), prefix, excluded)
    files = [each.path for each in kept if each.path not in nested]
    entries = (
        *_entries(root, [path[len(prefix) :] for path in files if path.startswith(prefix)], known),
        *(_entry_of(path[len(prefix) :], tree) for path, tree in nested.items() if path.startswith(prefix)),
    )
    entries = tuple(sorted(entries))
    git_tree = None
    if not any(tree.dirty or tree.commit is None for tree in nested.values()):
        git_tree = repository.write_tree(kept, {*_present(repository.top, kept), *nested})
    dirty = git_tree is None or git_tree != repository.commit_tree
    return Tree(entries, _digest(entries), repository.commit, git_tree, dirty)


def _counts(each: Listed, prefix: str, excluded: Excluded) -> bool:
    """Whether a path that git lists is part of the tree."""
    if each.path.startswith(prefix) and excluded.holds(each.path[len(prefix) :]):
        return False
    return each.tracked or not is_cache(each.path)


def _nested(top: Path, paths: Iterable[str], prefix: str, excluded: Excluded) -> Mapping[str, Tree]:
    """The repositories in a repository. A submodule that was not fetched is an empty folder, or none."""
    trees = {}
    for path in paths:
        folder = top / path
        if holds_something(folder):
            below = excluded.below(path[len(prefix) :]) if path.startswith(prefix) else Excluded()
            trees[path] = _snapshot(folder, below)
    return trees


def _present(top: Path, listed: Sequence[Listed]) -> Iterator[str]:
    """The paths where there is what git could add, or a submodule that was not fetched."""
    found = look(top, (each.path for each in listed))
    for each in listed:
        seen = found.get(each.path)
        if seen is not None and (mode_of(seen) or (each.repository and stat.S_ISDIR(seen.st_mode))):
            yield each.path


def _entry_of(path: str, nested: Tree) -> TreeEntry:
    """A repository in the repository as one entry: its commit and every file of it."""
    content = hashlib.sha256(f"{nested.commit}\0{nested.digest}".encode()).hexdigest()
    stamps = "\n".join(entry.stamp for entry in nested.entries)
    return TreeEntry(path, "repository", content, hashlib.sha256(stamps.encode()).hexdigest())


def _entries(root: Path, paths: Sequence[str], known: Tree | None) -> tuple[TreeEntry, ...]:
    """The entries of those paths that are files or links, sorted."""
    found = look(root, paths)
    settle(found.values())
    before = {entry.path: entry for entry in known.entries} if known is not None else {}
    entries = []
    for path in sorted(found):
        mode, stamp = mode_of(found[path]), stamp_of(found[path])
        if mode is None:
            continue
        old = before.get(path)
        same = old is not None and (old.mode, old.stamp) == (mode, stamp)
        content = old.sha256 if old is not None and same else content_digest(f"{root}/{path}", mode)
        if content is not None:
            entries.append(TreeEntry(path, mode, content, stamp))
    return tuple(entries)


def _digest(entries: Iterable[TreeEntry]) -> str:
    """The sha256 over path, mode and content of all entries."""
    whole = hashlib.sha256()
    for entry in entries:
        whole.update(f"{entry.mode}\0{entry.sha256}\0".encode() + os.fsencode(entry.path) + b"\0")
    return whole.hexdigest()
