"""What differs between the tree before a run and the tree after it, and what of that is allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_phases.evidence import TreeEntry
from pytest_phases.gate.tree import Differences, Tree, differences


def entries(**contents: str) -> Tree:
    """A tree of files `src__a` with content and stamp `x@1`."""
    made = []
    for name, text in contents.items():
        content, _, stamp = text.partition("@")
        made.append(TreeEntry(name.replace("__", "/"), "file", content, stamp))
    return Tree(tuple(sorted(made)), "")


BEFORE = entries(a="x@1-1", src__b="y@1-1")
CHANGES = {
    "nothing": (BEFORE, "", ""),
    "content": (entries(a="z@2-2", src__b="y@1-1"), "a (changed)", ""),
    "gone": (entries(a="x@1-1"), "src/b (removed)", ""),
    "new": (entries(a="x@1-1", src__b="y@1-1", c="z@1-1"), "c (new)", ""),
    "changed back": (entries(a="x@2-2", src__b="y@1-1"), "a (written and changed back)", ""),
    "old time given back": (entries(a="x@1-2", src__b="y@1-1"), "a (written and changed back)", ""),
    "declared and changed": (entries(a="x@1-1", src__b="z@2-2"), "", "src/b (changed)"),
    "declared and gone": (entries(a="x@1-1"), "", "src/b (removed)"),
    "declared and new": (entries(a="x@1-1", src__b="y@1-1", dist__c="z@1-1"), "", "dist/c (new)"),
}
OUTPUTS = {"declared and changed": ["src"], "declared and gone": ["src/b"], "declared and new": ["dist/*"]}


@pytest.mark.parametrize("case", CHANGES)
def test_differences(case: str) -> None:
    """What a run changed is named with how, and what it may write stands apart."""
    after, changed, made = CHANGES[case]
    found = differences(BEFORE, after, OUTPUTS.get(case, ()), built=False)

    assert found == Differences(tuple(filter(None, [changed])), tuple(filter(None, [made])))


@pytest.mark.parametrize(
    ("case", "changed", "made"),
    [
        ("content", ("a (changed)",), ()),
        ("gone", ("src/b (removed)",), ()),
        ("new", (), ("c (new)",)),
        ("changed back", ("a (written and changed back)",), ()),
        ("old time given back", (), ()),
    ],
)
def test_differences_of_a_build(case: str, changed: tuple[str, ...], made: tuple[str, ...]) -> None:
    """A build may make new files and hard links of others, and nothing else."""
    assert differences(BEFORE, CHANGES[case][0], (), built=True) == Differences(changed, made)


@pytest.mark.parametrize(
    ("output", "path", "allowed"),
    [
        ("dist", "dist/a/b.whl", True),
        ("dist/", "dist/a.whl", True),
        ("./dist", "dist/a.whl", True),
        ("dist/*.whl", "dist/a.whl", True),
        ("dist/*.whl", "dist/sub/a.whl", False),
        ("**/*.so", "src/deep/x.so", True),
        ("dist", "distant/a", False),
        ("../dist", "dist/a", False),
        ("a.txt", "a.txt", True),
        ("a.txt", "b/a.txt", False),
    ],
)
def test_outputs(output: str, path: str, allowed: bool) -> None:
    """An output is a file, a folder with all below it, or a glob."""
    after = Tree((TreeEntry(path, "file", "x"),), "")
    found = differences(Tree((), ""), after, [output], built=False)

    assert bool(found.made) is allowed
    assert bool(found.changed) is not allowed


def test_mode_is_a_change() -> None:
    """A file that became executable has changed."""
    [first, *rest] = BEFORE.entries
    after = replace(BEFORE, entries=(replace(first, mode="executable"), *rest))

    assert differences(BEFORE, after, (), built=True).changed == ("a (changed)",)
