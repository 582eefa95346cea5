"""Compile spelling/_distance.c into an extension module beside it, with nothing but a C compiler."""

import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE / "spelling" / "_distance.c"
TARGET = SOURCE.with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))
SHARED = ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]


def main() -> None:
    """Compile, or say which header is missing and what installs it."""
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").exists():
        sys.exit(f"{headers}/Python.h is missing: install this Python's headers (python3-dev, python3-devel)")
    # A new file under the old name: rewriting the old one would change it under a process that uses it.
    fresh = HERE / "build" / TARGET.name
    options = ["-O2", "-Wall", "-fPIC", *SHARED, f"-I{headers}", f"-I{HERE / 'build'}"]
    subprocess.run(["cc", *options, str(SOURCE), "-o", str(fresh)], check=True)
    fresh.replace(TARGET)
    print(f"built {TARGET.name}")


if __name__ == "__main__":
    main()
