"""The plan as frozen data: every reader makes it, everything else reads it, nothing changes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

UNPHASED = "unphased"
"""The id of the implicit phase of tests that nothing places; no plan may use it."""


class Crew(str, Enum):
    """Who does a stage: `Build:`, `Testing:` and `Deploy:` fences."""

    BUILD = "build"
    TESTING = "testing"
    DEPLOY = "deploy"


class Language(str, Enum):
    """What runs a stage: `bash -eo pipefail`, `sh -e`, or the Python that runs pytest."""

    BASH = "bash"
    SH = "sh"
    PYTHON = "python"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something is stated: a file as the user named it and a line counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


KeyPlaces = tuple[tuple[str, Place], ...]
"""Where each key of a part of the plan stands, for messages; it plays no part in comparisons."""


def place_of(part: Phase | Stage | Gate, key: str) -> Place:
    """Where a key stands; the place of the part itself if the key is not written there."""
    return dict(part.key_places).get(key, part.place)


@dataclass(frozen=True, slots=True)
class Selector:
    """One entry of `tests:`, or one path of a pytest call in a fence.

    A test is selected when it lies at `path` (a file, a folder, a glob or a node id, `/`
    between the parts, relative to the rootdir) and matches both expressions; what is None
    restricts nothing. With all three None it is the rest: every test that no other phase names.
    """

    place: Place
    path: str | None = None
    keyword: str | None = None
    mark: str | None = None

    @property
    def is_rest(self) -> bool:
        """Whether this stands for every test that no other phase names."""
        return self.path is None and self.keyword is None and self.mark is None

    def __str__(self) -> str:
        parts = [self.path] if self.path is not None else []
        parts += [f"-k {self.keyword!r}"] if self.keyword is not None else []
        parts += [f"-m {self.mark!r}"] if self.mark is not None else []
        return " ".join(parts) or "every other test"


@dataclass(frozen=True, slots=True)
class Stage:
    """A labelled fence: one script, run whole, as one item.

    `id` is unique in its phase (`build-wheel`); `name` is what the label says (`wheel`), or
    empty; `needs` holds ids of stages of the same phase; `timeout` is in seconds. `env` names the
    environment variables that its outcome depends on.
    """

    id: str
    crew: Crew
    name: str
    run: str
    language: Language
    place: Place
    needs: tuple[str, ...] = ()
    cwd: str | None = None
    timeout: float | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    modifies: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    key_places: KeyPlaces = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Task:
    """A line of a checklist: shown in reports, never executed."""

    text: str
    done: bool


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase of the plan, or a stream of one.

    A stream's `id` is `1/A`; its `deps` name siblings alone (`1/B`) and it inherits those of
    its phase. `states_deps` tells `dependencies: []` from no word about them. `coverage` is in
    per cent, `timeout` (the default of its stages) in seconds. `ratchet` stands for a threshold that is
    what the last green run reached. `serialize` lets it take turns with phases that modify the same;
    `enforce` watches that it writes nothing but what it `modifies` (None: as the plan says).
    """

    id: str
    name: str
    place: Place
    deps: tuple[str, ...] = ()
    states_deps: bool = False
    streams: tuple[Phase, ...] = ()
    stages: tuple[Stage, ...] = ()
    tests: tuple[Selector, ...] = ()
    covers: tuple[str, ...] = ()
    coverage: float | None = None
    modifies: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    serial: bool = False
    serialize: bool = False
    enforce: bool | None = None
    ratchet: bool = False
    timeout: float | None = None
    objective: str = ""
    tasks: tuple[Task, ...] = ()
    key_places: KeyPlaces = field(default=(), compare=False, repr=False)

    @property
    def units(self) -> tuple[Phase, ...]:
        """The phase itself and its streams: everything that holds items of its own."""
        return (self, *self.streams)


@dataclass(frozen=True, slots=True)
class Sync:
    """A sync point; `above` holds the ids of the phases that stand above it in the plan."""

    name: str
    place: Place
    above: tuple[str, ...]
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """The gate; no `phases` means all of them. Its `Deploy:` stages never run on a worker.

    `allow_empty` names phases of which nothing need have run; `approvals_signers` is the path of an
    OpenSSH allowed-signers file, relative to the rootdir: then approvals must be signed.
    """

    name: str
    place: Place
    phases: tuple[str, ...] = ()
    coverage: float | None = None
    approvals: tuple[str, ...] = ()
    allow_empty: tuple[str, ...] = ()
    approvals_signers: str | None = None
    stages: tuple[Stage, ...] = ()
    key_places: KeyPlaces = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Note:
    """Something a reader of the plan should know that is no error, and where it stands."""

    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The phases, sync points and gate of one project.

    `file` is the plan as the user named it, or empty for a plan made of markers alone. `prose`
    lists the fences that were taken for prose, `notes` what `check` and the header point out. `enforce`
    holds for phases that say nothing of it themselves.
    """

    file: str = ""
    title: str = ""
    phases: tuple[Phase, ...] = ()
    syncs: tuple[Sync, ...] = ()
    gate: Gate | None = None
    enforce: bool = False
    notes: tuple[Note, ...] = ()
    prose: tuple[Note, ...] = ()

    def units(self) -> Iterator[Phase]:
        """Every phase and every stream, in the order of the plan."""
        for phase in self.phases:
            yield from phase.units
