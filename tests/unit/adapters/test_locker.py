"""Getting locks from other runs: asked for once, granted whenever they are free."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Iterator

import pytest

from pytest_phases.adapters.locker import Locker
from pytest_phases.claims import Claim
from pytest_phases.scheduler.protocol import Acquire, Release

DB, API = (Claim("db"),), (Claim("api"),)


class Shelf:
    """Locks of which some are held by another run, each by its name."""

    def __init__(self) -> None:
        self.elsewhere: set[str] = set()
        self.held: dict[Hashable, tuple[Claim, ...]] = {}
        self.closed = False

    def try_acquire(self, holder: Hashable, claims: Iterable[Claim]) -> bool:
        """All or none."""
        wanted = tuple(claims)
        if any(claim.name in self.elsewhere for claim in wanted):
            return False
        self.held[holder] = wanted
        return True

    def release(self, holder: Hashable) -> None:
        """Let go."""
        del self.held[holder]

    def close(self) -> None:
        """Nothing is held any more."""
        self.held.clear()
        self.closed = True


@pytest.fixture
def shelf() -> Shelf:
    """Nobody else holds anything."""
    return Shelf()


@pytest.fixture
def locker(shelf: Shelf) -> Iterator[Locker]:
    """Asks the shelf."""
    locker = Locker(shelf)
    yield locker
    locker.close()


def test_what_is_free_is_granted_at_once(locker: Locker, shelf: Shelf) -> None:
    """No other run holds it, so nobody waits, and it is told once."""
    locker.carry_out(Acquire("2", DB))
    assert list(locker.granted()) == ["2"]
    assert list(locker.granted()) == []
    assert shelf.held == {"2": DB}


def test_what_is_held_elsewhere_is_granted_when_it_is_let_go(locker: Locker, shelf: Shelf) -> None:
    """The adapter is woken then, from another thread, while other locks were granted meanwhile."""
    woken = threading.Event()
    locker.wake = woken.set
    shelf.elsewhere.add("db")
    locker.carry_out(Acquire("2", DB))
    locker.carry_out(Acquire(7, API))
    assert list(locker.granted()) == [7]
    shelf.elsewhere.clear()
    assert woken.wait(60)
    assert list(locker.granted()) == ["2"]


def test_giving_up_takes_nothing(locker: Locker, shelf: Shelf) -> None:
    """What is no longer wanted is not granted when it becomes free."""
    shelf.elsewhere.add("db")
    locker.carry_out(Acquire("2", DB))
    locker.carry_out(Release("2"))
    shelf.elsewhere.clear()
    locker.carry_out(Acquire("3", API))
    assert list(locker.granted()) == ["3"]
    assert shelf.held == {"3": API}


def test_letting_go_before_it_was_told(locker: Locker, shelf: Shelf) -> None:
    """What was granted and given back in the meantime is told to nobody."""
    locker.carry_out(Acquire("2", DB))
    locker.carry_out(Release("2"))
    assert list(locker.granted()) == []
    assert shelf.held == {}


def test_a_folder_that_cannot_be_written_holds_nobody_up(
    locker: Locker, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The locks hold in this run alone then, and that is told."""

    def refuse(holder: Hashable, claims: Iterable[Claim]) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shelf, "try_acquire", refuse)
    locker.carry_out(Acquire("2", DB))
    assert list(locker.granted()) == ["2"]
    assert "No space left on device" in locker.problem


def test_at_the_end_everything_is_let_go(locker: Locker, shelf: Shelf) -> None:
    """Whatever this run held or waited for."""
    locker.carry_out(Acquire("2", DB))
    locker.close()
    assert shelf.closed
    assert shelf.held == {}
