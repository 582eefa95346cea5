"""Which distributions this Python has: told by the names of folders, without reading any metadata."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

PYTHON = "python"
UNKNOWN = "of unknown version"

_METADATA = re.compile(r"(?P<name>.+?)(?:-(?P<version>[^-]+))?(?:-py[\d.]+)?\.(?:dist|egg)-info")


def distributions(path: Iterable[str] | None = None) -> Mapping[str, str]:
    """The version of each distribution on `path` (by default `sys.path`) by its name, and of Python itself.

    Of several of one name the first counts, as it does for an import. Names are in lower case, with
    dashes. Takes milliseconds for hundreds.
    """
    found = {PYTHON: f"{platform.python_version()} ({platform.python_implementation()})"}
    for folder in sys.path if path is None else path:
        for entry in sorted(_names(folder or os.curdir)):
            match = _METADATA.fullmatch(entry)
            if match is not None:
                name = re.sub(r"[-_.]+", "-", match["name"]).lower()
                found.setdefault(name, match["version"] or UNKNOWN)
    return found


def _names(folder: str) -> Iterator[str]:
    with suppress(OSError), os.scandir(folder) as entries:  # an entry may be missing, or a zip file
        yield from (entry.name for entry in entries)
