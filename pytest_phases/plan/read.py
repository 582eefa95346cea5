"""Reading the file of a plan: which reader, which mistakes, all of them at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from pytest_phases.errors import PlanError, Problem
from pytest_phases.model import Place, Plan
from pytest_phases.plan.checks import check, check_files
from pytest_phases.plan.markdown import read_markdown
from pytest_phases.plan.toml import read_toml
from pytest_phases.plan.words import printable

Check = Callable[[Plan], Iterable[Problem]]
Reader = Callable[[str, str], tuple[Plan, tuple[Problem, ...]]]

READERS: Mapping[str, Reader] = MappingProxyType(
    {".md": read_markdown, ".markdown": read_markdown, ".toml": read_toml}
)
"""What reads a plan, by the suffix of its file in lower case."""


def read_plan(path: Path, shown_as: str, root: Path | None = None, more: Iterable[Check] = ()) -> Plan:
    """The plan in a file, which messages call `shown_as`; nothing is wrong with it.

    With `root`, the paths it names are looked for below that folder as well; `more` are checks
    that only the caller can make.

    Raises:
        PlanError: with every problem of the file, of reading it and of what it says.
    """
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a path that is too long
        raise _refusal("unreadable-plan", shown_as, "this is a folder; name the file of the plan in it")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(READERS)
        raise _refusal("unknown-suffix", shown_as, f"a plan ends in {known}; rename the file")
    plan, mistakes = reader(_text(path, shown_as), shown_as)
    senseless = check(plan)
    problems = [*mistakes, *senseless]
    problems += [problem for further in more for problem in further(plan)]
    # Who may still make a missing file depends on the order, which a senseless plan lacks.
    if root is not None and not senseless:
        problems += check_files(plan, root)
    if problems:
        raise PlanError(problems)
    return plan


def _text(path: Path, shown_as: str) -> str:
    """What a file says.

    Raises:
        PlanError: if it is not there, not to be read or not UTF-8.
    """
    try:
        # Line ends are the readers' business: to translate them would move the lines of messages.
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        message = "there is no such plan; correct the path"
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _refusal("not-utf8", shown_as, "this line is not UTF-8; save it as UTF-8", line) from error
    except (OSError, ValueError) as error:
        message = f"the plan cannot be read: {getattr(error, 'strerror', None) or error}"
    raise _refusal("unreadable-plan", shown_as, message)


def _refusal(slug: str, file: str, message: str, line: int | None = None) -> PlanError:
    if line is None:
        return PlanError([Problem(slug, None, printable(f"{file}: {message}"))])
    return PlanError([Problem(slug, Place(file, line), message)])
