"""Whether a stage would make what is there already: decided by digests and never by times."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_phases.evidence import StageRecord
from pytest_phases.model import Crew, Stage
from pytest_phases.settings import Settings
from pytest_phases.stages.files import UNREADABLE, Seen, Site, normal

Pairs = tuple[tuple[str, str], ...]

NAMED = 5
"""So many differences are named."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a stage depends on and what is there of its outputs, at one moment.

    `command` and `env` are as in a StageRecord; `inputs` and `outputs` have what is at each path.
    """

    command: str
    env: Pairs
    inputs: Mapping[str, Seen]
    outputs: Mapping[str, Seen]


def look(stage: Stage, site: Site, env: Mapping[str, str]) -> Look:
    """Read everything that a stage declares; `env` is the environment that it sees."""
    inputs, outputs = site.declared(stage.inputs, stage.outputs)
    return Look(command_digest(stage), _env(stage, env), site.look(inputs), site.look(outputs))


def command_digest(stage: Stage, python: str = sys.version) -> str:
    """The sha256 of what is run and how: all that a stage states but its time and what it waits for.

    The Python belongs to it whatever the language: `python` in a script is that of the run.
    """
    declared = [sorted({*map(normal, patterns)}) for patterns in (stage.inputs, stage.outputs)]
    said = [stage.run, stage.language.value, normal(stage.cwd or "."), stage.crew.value, *declared, python]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _env(stage: Stage, env: Mapping[str, str]) -> Pairs:
    return tuple((name, _digest_of(env.get(name))) for name in sorted(set(stage.env)))


def _digest_of(value: str | None) -> str:
    return "" if value is None else hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()


def record(phase: str, stage: Stage, before: Look, after: Look, last: StageRecord | None) -> StageRecord:
    """What is to be known of a stage that has ended well; `last` is what was known of it before.

    Of the files at its outputs it has made those that a run of it has written, now or earlier, and those
    that it declares by name. The others, which were there before it ever ran, are something that it
    may read: they could be sources, in a folder `src` that it writes to as well.
    """
    written = {path for path, seen in after.outputs.items() if seen != before.outputs.get(path)}
    made = written | _made(stage, after, last)
    both = before.inputs.keys() | after.inputs.keys()
    changed = (path for path in both if _sha256(before, path) != _sha256(after, path))
    return _record(phase, stage, before, after.outputs, made, tuple(sorted(changed)))


def as_it_is(phase: str, stage: Stage, now: Look, last: StageRecord | None) -> StageRecord:
    """The record that a stage would get if it ran now and made nothing new."""
    return _record(phase, stage, now, now.outputs, _made(stage, now, last))


def _made(stage: Stage, now: Look, last: StageRecord | None) -> set[str]:
    known = {path for path, _ in last.outputs} if last is not None else set()
    absent = {path for path, seen in now.outputs.items() if not seen.sha256}
    return known | absent | {*map(normal, stage.outputs)}


def _record(  # noqa: PLR0917 - the parts of one record
    phase: str,
    stage: Stage,
    read: Look,
    there: Mapping[str, Seen],
    made: set[str],
    changed: tuple[str, ...] = (),
) -> StageRecord:
    found = {path: seen for path, seen in there.items() if path not in made}
    return StageRecord(
        phase,
        stage.id,
        command=read.command,
        inputs=_pairs({**read.inputs, **found}),
        outputs=_pairs({path: seen for path, seen in there.items() if path in made}),
        env=read.env,
        changed=changed,
    )


def _pairs(files: Mapping[str, Seen]) -> Pairs:
    return tuple(sorted((path, seen.sha256) for path, seen in files.items()))


def _sha256(at: Look, path: str) -> str:
    seen = at.inputs.get(path)
    return seen.sha256 if seen is not None else ""


def why_run(
    phase: str, stage: Stage, now: Look, last: StageRecord | None, settings: Settings
) -> tuple[str, ...]:
    """Why a stage is to be run, in words; nothing if it is up to date. `last` is its last good end."""
    if settings.force:
        return ("--phases-force",)
    if not stage.inputs:
        return ("it declares no inputs",)
    if last is None:
        return ("no good end of it is known",)
    if settings.measured is not None and stage.crew is not Crew.BUILD:
        return ("the run measures coverage, and it may execute what is measured",)
    return differences(last, as_it_is(phase, stage, now, last))


def differences(old: StageRecord, new: StageRecord) -> tuple[str, ...]:
    """What of a stage is not as it was at its last good end, in words, the first few named.

    Nothing if the stage is up to date: then each of its declared outputs is there, and all is the same.
    """
    found = list(_differences(old, new))
    more = len(found) - NAMED
    return (*found[:NAMED], f"{more} more") if more > 0 else tuple(found)


def _differences(old: StageRecord, new: StageRecord) -> Iterator[str]:
    if old.command != new.command:
        yield "its command, its keys or the Python changed"
    yield from (f"{path} changed while it ran" for path in old.changed)
    yield from _changes(old.inputs, new.inputs, "is gone")
    yield from _changes(old.env, new.env, "is not set any more", "is set now")
    altered = tuple(_changes(old.outputs, new.outputs, "is missing"))
    yield from altered
    if not altered:  # else it is said already
        yield from (f"{path} is missing" for path, sha256 in new.outputs if not sha256)


def _changes(old: Pairs, new: Pairs, gone: str, come: str = "is new") -> Iterator[str]:
    """What differs between two sets of pairs; an empty digest says the same as no pair."""
    before, after = dict(old), dict(new)
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name, ""), after.get(name, "")
        if now == UNREADABLE.sha256:
            yield f"{name} cannot be read"
        elif was != now:
            yield f"{name} {'changed' if was and now else gone if was else come}"
