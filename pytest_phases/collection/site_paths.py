"""What `.pth` files of site-packages have added to `sys.path` since the run began.

A stage may install a package in editable mode, which is often one line in a new `.pth` file. Python
reads those when it starts, but xdist gives each worker the `sys.path` that the controller started
with, also one that is started after the installation.
"""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterator
from pathlib import Path


def add_site_paths() -> None:
    """Append the folders that `.pth` files name now and that `sys.path` does not have.

    Lines of code in them are not run: a new process has run them when it started.
    """
    known = {os.path.realpath(path) for path in sys.path}
    for folder in _site_folders():
        for path in _named_in(folder):
            if os.path.realpath(path) not in known and path.is_dir():
                known.add(os.path.realpath(path))
                sys.path.append(str(path))


def _site_folders() -> list[Path]:
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [Path(folder) for folder in (*user, *site.getsitepackages()) if folder in sys.path]


def _named_in(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.glob("[!.]*.pth")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.strip() and not line.startswith(("#", "import ", "import\t")):
                yield folder / line.strip()
