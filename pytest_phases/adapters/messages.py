"""What controller and worker say to each other beside xdist's own events, on a channel of ours.

Everything is made of basic types, because that is what a channel carries. Messages and xdist's
events of one worker arrive in the order in which they were sent.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias, cast, get_args

from pytest_phases.evidence import StageRecord
from pytest_phases.table import Table

INPUT = "phases"
"""The key of the worker's input under which settings and channel travel."""


@dataclass(frozen=True, slots=True)
class Collected:
    """Worker: everything that was collected; None says that there is neither plan nor marker."""

    table: Table | None


@dataclass(frozen=True, slots=True)
class RefreshNow:
    """Controller: what was built up to `generation` can be seen.

    `ended` names the phases that have run to their end, `blocked` those that never will open.
    """

    generation: int
    ended: tuple[str, ...]
    blocked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Worker: it has looked. `stale` names files that only a new process can load.

    Otherwise `table` holds what was collected late, or None if nothing was due.
    """

    generation: int
    stale: tuple[str, ...]
    table: Table | None


@dataclass(frozen=True, slots=True)
class TornDown:
    """Worker: a session fixture failed when the worker ended; the report is serialized."""

    report: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """Worker: the coverage data of a phase, all that is new; see `coverage.measure.Part`."""

    phase: str
    data: bytes
    fixtures: tuple[str, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class Traced:
    """Worker: which files of the rootdir were executed and opened for a phase since this was told last.

    `early` were executed before any item ran, while modules were collected; `unknown` says why there
    may be more, empty if there is not. `loaded` are modules that it has imported, for whichever phase.
    """

    phase: str
    executed: tuple[str, ...]
    early: tuple[str, ...]
    opened: tuple[str, ...]
    unknown: str
    loaded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StageEnded:
    """Worker: a stage has ended well, or is up to date; `record` is it as JSON."""

    record: str

    @classmethod
    def of(cls, stage: StageRecord) -> StageEnded:
        """The message about a stage."""
        return cls(json.dumps(asdict(stage)))

    @property
    def stage(self) -> StageRecord:
        """The stage it is about."""
        fields = json.loads(self.record)
        pairs = {name: tuple(map(tuple, fields[name])) for name in ("inputs", "outputs", "env")}
        return StageRecord(**{**fields, **pairs, "changed": tuple(fields["changed"])})


Message: TypeAlias = Collected | RefreshNow | Refreshed | TornDown | Measured | Traced | StageEnded


def pack(message: Message) -> tuple[str, dict[str, Any]]:
    """A message as it goes over the channel."""
    data = {name: getattr(message, name) for name in message.__dataclass_fields__}
    if isinstance(data.get("table"), Table):
        # As one text: a channel takes ten thousand node ids apart and sends each by itself.
        data["table"] = json.dumps(data["table"].to_data())
    return type(message).__name__, data


def unpack(packed: tuple[str, dict[str, Any]]) -> Message:
    """The inverse of `pack`."""
    name, data = packed
    if data.get("table") is not None:
        data["table"] = Table.from_data(json.loads(data["table"]))
    return cast(Message, _KINDS[name](**data))


_KINDS: dict[str, Any] = {kind.__name__: kind for kind in get_args(Message)}
