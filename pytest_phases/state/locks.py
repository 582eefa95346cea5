"""Locks that all runs on a machine see: each says in a file of a folder they share what it has.

Kernel locks on paths themselves would not do: whoever reads a folder must exclude who modifies something in
it, while many may read, and many may modify different things. That needs a look at what the others have, and
so the same rules hold between runs as within one: those of `Claim.excludes`.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import secrets
from collections.abc import Hashable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pytest_phases.claims import Claim
from pytest_phases.state.kernellock import KernelLock

TURN = "turn.lock"
"""The name of the file that is locked by whoever looks at what the others have; it is never deleted."""

_WILD = re.compile(r"[*?\[]")


class FileLocks:
    """Who of this run has which locks in `folder`; paths in claims are relative to `root`.

    Each run has a file that is locked as long as it lives, and beside it one with its claims. They are made
    and looked at only under `TURN`, so a file that is not locked then is one of a run that is dead.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder = folder
        self._root = root
        self._turn = KernelLock(folder / TURN)
        self._alive = KernelLock(folder / f"{os.getpid()}-{secrets.token_hex(4)}.run")
        self._held: dict[Hashable, tuple[Claim, ...]] = {}

    def try_acquire(self, holder: Hashable, claims: Iterable[Claim]) -> bool:
        """Get all of these, or none and return False; never wait.

        A holder may ask again, and is not in its own way. Raises OSError where the folder cannot be written.
        """
        wanted = tuple(map(self._absolute, claims))
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._turn.try_acquire():
            return False
        try:
            if any(mine.excludes(other) for other in self._of_others(holder) for mine in wanted):
                return False
            self._alive.try_acquire()
            self._write({**self._held, holder: (*self._held.get(holder, ()), *wanted)})
        finally:
            self._turn.release()
        return True

    def release(self, holder: Hashable) -> None:
        """Let go of all that a holder has."""
        if self._held.pop(holder, None) is not None:
            with suppress(OSError):  # other runs then wait until something else is written
                self._write(self._held)

    def close(self) -> None:
        """Let go of everything."""
        self._held.clear()
        if self._alive.held:
            _remove(self._alive.path)
            self._alive.release()

    def _of_others(self, holder: Hashable) -> Iterator[Claim]:
        """What other runs and other holders of this one have."""
        yield from (claim for other, claims in self._held.items() if other != holder for claim in claims)
        for file in sorted(self._folder.glob("*.run")):
            if file != self._alive.path:
                lock = KernelLock(file)
                if lock.try_acquire():
                    _remove(file)
                    lock.release()
                else:
                    yield from _read(file)

    def _write(self, held: dict[Hashable, tuple[Claim, ...]]) -> None:
        claims = {claim for each in held.values() for claim in each}
        text = json.dumps([[claim.name, claim.shared, claim.is_path] for claim in sorted(claims)])
        new = self._alive.path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(self._alive.path.with_suffix(".json"))
        self._held = held

    def _absolute(self, claim: Claim) -> Claim:
        """A path, or what of a glob stands before its first wildcard, is where links lead."""
        if not claim.is_path:
            return claim
        wild = _WILD.search(claim.name)
        end = claim.name.rfind("/", 0, wild.start()) + 1 if wild is not None else len(claim.name)
        folder = os.path.realpath(self._root / claim.name[:end])
        return replace(claim, name=posixpath.join(Path(folder).as_posix(), claim.name[end:]))


def _read(file: Path) -> Iterator[Claim]:
    """What a run has that is alive; nothing if it has let go of everything at this moment."""
    with suppress(FileNotFoundError, ValueError):  # what is no claims was edited by hand
        for name, shared, is_path in json.loads(file.with_suffix(".json").read_text(encoding="utf-8")):
            yield Claim(name, shared, is_path)


def _remove(file: Path) -> None:
    """Remove all files of a run; what has taken them away already, or forbids it, does no harm."""
    for suffix in (".new", ".json", ".run"):
        with suppress(OSError):
            file.with_suffix(suffix).unlink()
