"""Whether this Python has a distribution that a plan requires: `numpy>=1.26`, `package[extra]`."""

from __future__ import annotations

import importlib.metadata
import shlex
from collections.abc import Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion


def why_malformed(target: str) -> str | None:
    """What is wrong with a requirement; None if nothing is."""
    try:
        Requirement(target)
    except InvalidRequirement as error:
        return f"is no requirement ({str(error).splitlines()[0]})"
    return None


def how_to_get(target: str) -> str | None:
    """How to get a distribution, or None if it is there; what its extras need belongs to it."""
    try:
        lacks = list(_lacking(Requirement(target), set()))
    except InvalidRequirement as error:  # of an installed distribution; the target itself is well formed
        return f"install {target} anew, its metadata cannot be read ({str(error).splitlines()[0]})"
    return f"pip install {shlex.quote(target)} ({'; '.join(lacks)})" if lacks else None


def _lacking(requirement: Requirement, seen: set[str]) -> Iterator[str]:
    """What this Python lacks for a requirement, with the distributions of its extras."""
    if str(requirement) in seen or (requirement.marker and not requirement.marker.evaluate()):
        return
    seen.add(str(requirement))
    try:
        installed = importlib.metadata.distribution(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        yield f"{requirement.name} is not installed"
        return
    if not _fits(requirement, installed.version):
        yield f"found {requirement.name} {installed.version}"
    for extra in sorted(requirement.extras):
        for needed in _of_extra(installed, extra):
            yield from _lacking(needed, seen)


def _of_extra(installed: importlib.metadata.Distribution, extra: str) -> Iterator[Requirement]:
    """What an extra of an installed distribution adds to its requirements on this machine."""
    for needed in map(Requirement, installed.requires or ()):
        marker, needed.marker = needed.marker, None
        if marker and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""}):
            yield needed


def _fits(requirement: Requirement, version: str) -> bool:
    """Whether an installed version is one that a requirement allows; a pre-release may be."""
    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False
