"""The item table: what one worker collected, as plain data that travels over a channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_phases.errors import Problem
from pytest_phases.model import Place


@dataclass(frozen=True, slots=True)
class Table:
    """Every item with the phase or stream it belongs to, in the order in which it is addressed.

    `phases` runs beside `nodeids`; `stages` holds (index, stage id); `modules` holds (path,
    phase) of test modules that can be collected only when their phase opens; `marks` the phase
    markers in use, as plain data; `restricted` says that only some of the tests were asked for.
    `left_out` holds (node id, phase) of what was collected and then deselected, and `uncollected`
    says in words why there may be more that was not even collected, `unseen` where the plan does not look.
    `locks` holds (index, name, shared) of `lock` markers.
    """

    nodeids: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    stages: tuple[tuple[int, str], ...] = ()
    modules: tuple[tuple[str, str], ...] = ()
    marks: tuple[Any, ...] = ()
    problems: tuple[Problem, ...] = ()
    restricted: bool = False
    left_out: tuple[tuple[str, str], ...] = ()
    uncollected: str = ""
    unseen: str = ""
    locks: tuple[tuple[int, str, bool], ...] = ()

    def to_data(self) -> dict[str, Any]:
        """Lists, dicts, strings and numbers; each phase is named once."""
        names = tuple(dict.fromkeys(self.phases))
        number = {name: index for index, name in enumerate(names)}
        return {
            "nodeids": list(self.nodeids),
            "names": list(names),
            "phases": [number[phase] for phase in self.phases],
            "stages": [list(stage) for stage in self.stages],
            "modules": [list(module) for module in self.modules],
            "marks": list(self.marks),
            "problems": [_problem_to_data(problem) for problem in self.problems],
            "restricted": self.restricted,
            "left_out": [list(item) for item in self.left_out],
            "uncollected": self.uncollected,
            "unseen": self.unseen,
            "locks": [list(lock) for lock in self.locks],
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Table:
        """The inverse of `to_data`."""
        names = data["names"]
        return cls(
            nodeids=tuple(data["nodeids"]),
            phases=tuple(names[index] for index in data["phases"]),
            stages=tuple((index, stage) for index, stage in data["stages"]),
            modules=tuple((path, phase) for path, phase in data["modules"]),
            marks=tuple(data["marks"]),
            problems=tuple(_problem_from_data(row) for row in data["problems"]),
            restricted=data["restricted"],
            left_out=tuple((nodeid, phase) for nodeid, phase in data["left_out"]),
            uncollected=data["uncollected"],
            unseen=data["unseen"],
            locks=tuple((index, name, shared) for index, name, shared in data["locks"]),
        )


def _problem_to_data(problem: Problem) -> list[Any]:
    place = [problem.place.file, problem.place.line] if problem.place is not None else None
    return [problem.slug, place, problem.message]


def _problem_from_data(data: list[Any]) -> Problem:
    slug, place, message = data
    return Problem(slug, Place(*place) if place is not None else None, message)
