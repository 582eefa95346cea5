"""The digest of what must exist."""

from __future__ import annotations

import pytest

from pytest_phases.evidence import Expected, ExpectedKind, digest_of

TEST = Expected(ExpectedKind.TEST, "1", "t.py::test")
PART = Expected(ExpectedKind.PART, "1", "gw0")
OTHERS = {
    "nothing": [],
    "one less": [TEST],
    "one more": [TEST, PART, Expected(ExpectedKind.PHASE, "1")],
    "another kind": [Expected(ExpectedKind.STAGE, "1", "t.py::test"), PART],
    "another phase": [Expected(ExpectedKind.TEST, "2", "t.py::test"), PART],
    "another name": [Expected(ExpectedKind.TEST, "1", "t.py::test2"), PART],
    "a letter moved from name to phase": [Expected(ExpectedKind.TEST, "1t", ".py::test"), PART],
    "a name that looks like two": [Expected(ExpectedKind.TEST, "1", "t.py::test\npart1gw0")],
}


def test_the_order_does_not_matter() -> None:
    """What must exist is a set."""
    assert digest_of([TEST, PART]) == digest_of([PART, TEST]) == digest_of(iter({PART, TEST}))


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_another_set_has_another_digest(other: list[Expected]) -> None:
    """Whatever of it differs."""
    assert digest_of(other) != digest_of([TEST, PART])


def test_names_need_not_be_utf8() -> None:
    """A file name may hold any bytes, and two such names are two."""
    strange = [
        Expected(ExpectedKind.TEST, "1", name) for name in ("caf\udce9.py", "caf\udcea.py", "caf\\udce9.py")
    ]
    assert len({digest_of([each]) for each in strange}) == 3
