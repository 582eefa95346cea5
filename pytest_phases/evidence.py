"""What a run writes down of itself, as frozen data: the gate is decided from this and from nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from pytest_phases.events import Outcome, State

GATE = "gate"
"""The id under which the gate's own threshold is recorded, with `kind` gate."""

AFTERWARDS = ""
"""Stands for a phase in what a worker measured after its last item, in the teardown of session fixtures."""


class ExpectedKind(str, Enum):
    """What must exist for a green gate."""

    PHASE = "phase"
    TEST = "test"
    STAGE = "stage"
    PART = "part"


@dataclass(frozen=True, slots=True, order=True)
class Expected:
    """One thing that must exist: `name` is a node id, for a part the worker's name, for a phase empty.

    `phase` is the id of a phase or stream, `unphased` for tests that nothing places.
    """

    kind: ExpectedKind
    phase: str
    name: str = ""


def digest_of(expected: Iterable[Expected]) -> str:
    """The sha256 of a set of what must exist, whatever the order."""
    lines = sorted(f"{each.kind.value}\0{each.phase}\0{each.name}\n" for each in expected)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run: times are ISO 8601 in UTC; digests are sha256 in hexadecimal.

    `commit` and `git_tree` are those of git, None outside of one; `git_tree` names the tree as it
    was tested, uncommitted changes included, and `dirty` says whether there were any. `tree` is the
    digest before collection, `tree_after` before the verdict. `plan_file` is relative to the rootdir.
    `restricted` says in words why not every test was collected; `ended` is None while it runs, or
    when it was killed. `versions` are pairs like ("pytest", "9.2.0"). `changed` are paths that differ
    between the two trees and must not, `made` those that may.
    """

    run_id: str
    started: str
    plan_file: str
    plan_digest: str
    commit: str | None = None
    git_tree: str | None = None
    dirty: bool = False
    tree: str = ""
    tree_after: str = ""
    expected_digest: str = ""
    expected_count: int = 0
    restricted: str = ""
    ended: str | None = None
    versions: tuple[tuple[str, str], ...] = ()
    changed: tuple[str, ...] = ()
    made: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """The run in which a resumed phase was run: when it started (ISO 8601, UTC), its tree's digest."""

    run_id: str
    started: str
    tree: str


@dataclass(frozen=True, slots=True)
class PhaseRecord:
    """A phase, stream, sync point or the unphased tests as it closed; `seconds` from opening to closing.

    `tests` and `stages` are counts by the name of an outcome. `definition` is the phase as the plan
    and the markers state it, as JSON. `origin` is None unless it was resumed: where it was run then.
    """

    id: str
    kind: str
    name: str
    state: State
    reason: str = ""
    wave: int = 0
    seconds: float = 0.0
    tests: tuple[tuple[str, int], ...] = ()
    stages: tuple[tuple[str, int], ...] = ()
    definition: str = ""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class WaveRecord:
    """A wave as it closed; `seconds` since the run began."""

    number: int
    phases: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """An item that has ended: `duration` in seconds, `attempt` counts from 1."""

    nodeid: str
    phase: str
    kind: ExpectedKind
    outcome: Outcome
    duration: float
    worker: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class PartRecord:
    """The coverage data that one worker measured for one phase; `file` is relative to `.phases`.

    `problem` says what of it could not be read when it came, empty if all could; `fixtures` are the
    contexts of the wide fixtures that the phase has used there.
    """

    phase: str
    worker: str
    file: str
    sha256: str
    problem: str = ""
    fixtures: tuple[str, ...] = ()


class DependencyKind(str, Enum):
    """What the outcome of a phase depends on."""

    DEFINITION = "definition"
    TEST = "test"
    INPUT = "input"
    OUTPUT = "output"
    EXECUTED = "executed"
    IMPORTED = "imported"
    OPENED = "opened"
    CONFIGURATION = "configuration"
    DISTRIBUTION = "distribution"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, order=True)
class Dependency:
    """One thing that the outcome of a phase or stream depends on.

    `name` is a path relative to the rootdir, a distribution, or a key of the definition; `digest` what
    it was: the sha256 of a file (of `imported` ones that of what stands outside functions before it,
    empty for a file that changed while the phase ran), `absent` or `changed` in a word, the version of a
    distribution. Of kind `unknown`, `name` says why it cannot be told what else the outcome depends on,
    and `digest` is that of the whole tree.
    """

    phase: str
    kind: DependencyKind
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class StageRecord:
    """A stage that has ended well: digests of its command, and of what it declares to read and to make.

    Pairs are (path, sha256), sorted; of `env` (variable, sha256 of its value, empty if unset). `changed` are
    the inputs that changed while it ran. `up_to_date` says that it was found so, and not run.
    """

    phase: str
    stage: str
    command: str
    inputs: tuple[tuple[str, str], ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    changed: tuple[str, ...] = ()
    up_to_date: bool = False


@dataclass(frozen=True, slots=True)
class FigureRecord:
    """A threshold that was judged: per cent reached (None if it could not be measured) and required.

    `id` is that of a phase, stream or sync point, or `gate`; `problem` says why nothing was measured.
    """

    id: str
    kind: str
    required: float
    reached: float | None
    precision: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalRecord:
    """An approval: given at `time` (ISO 8601, UTC) for one tree digest.

    `signature` is what `ssh-keygen -Y sign` made of the approval's text, or empty; `seal` the sha256
    of that text.
    """

    name: str
    by: str
    note: str
    tree: str
    time: str
    signature: str = ""
    seal: str = ""


@dataclass(frozen=True, slots=True, order=True)
class TreeEntry:
    """A file of the tree: `mode` is `file`, `executable`, `link` or `repository`.

    `sha256` is that of its content, of where a link leads, of a repository's commit and content.
    `stamp` changes whenever the file is written, even with the same content; it is no part of the digest.
    """

    path: str
    mode: str
    sha256: str
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class DeployRecord:
    """A deploy stage that was started: how it ended, in words, and whether well."""

    stage: str
    ok: bool
    ending: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Recorded:
    """Everything that one run wrote down."""

    run: RunRecord
    expected: frozenset[Expected] = frozenset()
    phases: tuple[PhaseRecord, ...] = ()
    items: tuple[ItemRecord, ...] = ()
    parts: tuple[PartRecord, ...] = ()
    figures: tuple[FigureRecord, ...] = ()
    tree: tuple[TreeEntry, ...] = ()
    conditions: tuple[str, ...] = ()
    deploys: tuple[DeployRecord, ...] = ()
    stages: tuple[StageRecord, ...] = ()
    waves: tuple[WaveRecord, ...] = ()
