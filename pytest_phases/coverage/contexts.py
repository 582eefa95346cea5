"""The contexts that lines are recorded under: a phase, or a fixture that is wider than a function.

Lines of a wide fixture are executed once and belong to every phase that has a test using it, so
they have a context of their own. What is executed outside of phases (while tests are collected)
has the empty context.
"""

from __future__ import annotations

from pytest_phases.model import UNPHASED

OUTSIDE = ""
"""The context of what no phase executes."""


def of_phase(phase: str) -> str:
    """`phase 2`, `stream 2/A` or `unphased`."""
    if phase == UNPHASED:
        return UNPHASED
    return f"{'stream' if '/' in phase else 'phase'} {phase}"


def of_fixture(base: str, name: str, parameter: int | None) -> str:
    """`fixture tests::server[0]`: where it is defined, its name and its parameter's index."""
    where = f"{base}::" if base else ""
    return f"fixture {where}{name}" + (f"[{parameter}]" if parameter is not None else "")
