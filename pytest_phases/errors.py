"""What a user can do wrong, told with where, what and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_phases.model import Place


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it stands, what is wrong and what to write; `slug` finds it in the docs."""

    slug: str
    place: Place | None
    message: str

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place is not None else ""
        return f"{where}{self.message} [{self.slug}]"


class PhasesError(Exception):
    """The base of every error this package raises on purpose."""


class PlanError(PhasesError):
    """All problems of a plan at once, in the order of their places."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(
            sorted(
                problems,
                key=lambda p: (
                    p.place is None,
                    p.place.file if p.place else "",
                    p.place.line if p.place else 0,
                ),
            )
        )
        super().__init__("\n".join(map(str, self.problems)))
