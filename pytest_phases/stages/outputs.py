"""What a stage that did not end well leaves of its outputs is moved aside, so that it never looks finished.

Moved to `.phases/interrupted/PHASE/STAGE/TIME/` is every file at a declared output

- that was not there before the stage started, or holds something else since;
- that an earlier run of the stage has made, or that the stage declares by its own name, whether it was
  written again or not: it belongs to the inputs of an earlier day.

All other files, which were there before and which no run of the stage is known to have written, could be
sources, as in a folder `src` that a stage generates one module into: they stay, and so do links to
folders, and what is declared as input and output alike, unless it changed. An output is not touched at all
if it lies outside the rootdir or holds the rootdir, the plan, `.phases` or a test that the stage has not
made. Folders that are empty then go too, unless they were empty before. Nothing is deleted, and no link
is followed.
"""

# ruff: noqa: PTH112, PTH118, PTH120, PTH208 - paths are texts here, as in `files`

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from pytest_phases.evidence import StageRecord
from pytest_phases.model import Stage
from pytest_phases.plan.selectors import lies_at
from pytest_phases.stages.files import Site, is_passed_over, normal
from pytest_phases.stages.uptodate import Look

RUNNING = "running"
"""The folder of `.phases` with a file for each stage that runs and has outputs."""

INTERRUPTED = "interrupted"
"""The folder of `.phases` with what unfinished stages have left."""

NAMED = 5
"""So many files that could not be moved are named."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What must be known to move aside what a stage leaves, also by another process.

    `outputs` are the patterns whose files may be moved, `kept` those that hold too much for it. `before`
    has the digest of each file that was there and stays unless it changed. `folders` are those that were
    there and held files, `empty` those that held none.
    """

    phase: str
    stage: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    kept: tuple[str, ...]
    before: dict[str, str]
    folders: tuple[str, ...]
    empty: tuple[str, ...]

    @classmethod
    def of(  # noqa: PLR0917 - each of these says of some files whose they are
        cls, phase: str, stage: Stage, site: Site, now: Look, last: StageRecord | None, held: Collection[str]
    ) -> Unfinished:
        """The stage as it starts; `last` is its last good end, `held` the plan and the files of tests."""
        named = {*map(normal, stage.outputs)}
        in_place = named & {*map(normal, stage.inputs)}
        known = named | ({path for path, _ in last.outputs} if last is not None else set())
        made = {path for path in known if not any(lies_at(path, each) for each in in_place)}
        kept = [path for path in stage.outputs if _holds_too_much(site, path, {*held} - made)]
        outputs = [path for path in stage.outputs if path not in kept]
        found = site.files(outputs)
        folders = site.folders(outputs)
        filled = {path[:end] for path in found for end, letter in enumerate(path) if letter == "/"}
        return cls(
            phase,
            stage.id,
            stage.inputs,
            tuple(outputs),
            tuple(kept),
            {
                path: now.outputs[path].sha256
                for path in now.outputs
                if _is_there(site, path) and (path not in made or _leads_to_folder(site, path))
            },
            tuple(sorted(folders & filled)),
            tuple(sorted(folders - filled)),
        )

    def begin(self, site: Site) -> None:
        """Leave word that the stage runs, for `recover`. Raises OSError."""
        marker = self._marker(site)
        marker.parent.mkdir(parents=True, exist_ok=True)
        written = marker.with_suffix(".new")
        written.write_text(json.dumps(asdict(self)), encoding="ascii")
        written.replace(marker)

    def end(self, site: Site) -> None:
        """Take that word back: it has ended, and what it left is dealt with. Raises OSError."""
        self._marker(site).unlink(missing_ok=True)

    def _marker(self, site: Site) -> Path:
        return site.phases_dir / RUNNING / self.phase / f"{self.stage}.json"

    @classmethod
    def read(cls, marker: Path, site: Site) -> Unfinished:
        """The stage of which a marker speaks. Raises ValueError for a damaged one, and OSError."""
        data = json.loads(marker.read_text(encoding="ascii"))
        if not isinstance(data, dict) or data.keys() != cls.__dataclass_fields__.keys():
            raise ValueError("it has other fields")
        before = data["before"] if isinstance(data["before"], dict) else {"": None}
        unfinished = cls(
            phase=_text(data["phase"]),
            stage=_text(data["stage"]),
            inputs=_texts(data["inputs"]),
            outputs=_texts(data["outputs"]),
            kept=_texts(data["kept"]),
            before={path: _text(sha256) for path, sha256 in before.items()},
            folders=_texts(data["folders"]),
            empty=_texts(data["empty"]),
        )
        if unfinished._marker(site) != marker:
            raise ValueError("it speaks of another stage")
        return unfinished


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is missing")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("a list is missing")
    return tuple(map(_text, value))


def move_aside(unfinished: Unfinished, site: Site) -> str:
    """Move aside what the stage left, and say in one line what was done; empty if there was nothing.

    What cannot be moved is part of the line and no error.
    """
    said = []
    folder = _folder(unfinished, site)
    stuck = [problem for path in _leaving(unfinished, site) if (problem := _move(site, path, folder))]
    stuck += _move_folders(unfinished, site, folder)
    if folder.exists():
        said.append(f"outputs of the unfinished stage were moved to {_shown(folder, site)}")
    if stuck:
        more = f" and {len(stuck) - NAMED} more" if len(stuck) > NAMED else ""
        said.append(f"unfinished, and could not be moved aside: {', '.join(stuck[:NAMED])}{more}")
    if unfinished.kept:
        said.append(
            f"{', '.join(unfinished.kept)} may hold what the unfinished stage left, and other things too, so "
            "nothing of it was moved; name in `outputs` what the stage makes and nothing else"
        )
    return "; ".join(said)


def recover(root: Path, phases_dir: Path) -> tuple[str, ...]:
    """Move aside what stages left whose processes were killed, and say so, a line for each stage.

    To be called while no stage runs in this checkout. What cannot be read or moved is a line too.
    """
    return tuple(_recover(Site(root, phases_dir)))


def _recover(site: Site) -> Iterator[str]:
    running = site.phases_dir / RUNNING
    for marker in sorted(running.rglob("*.json")):
        phase = marker.parent.relative_to(running).as_posix()
        begin = f"stage {marker.stem} of phase {phase} was cut off"
        try:
            unfinished = Unfinished.read(marker, site)
            said = move_aside(unfinished, site)
        except ValueError as error:
            said = _in_vain(f"{_shown(marker, site)} is damaged ({error})")
        except OSError as error:
            said = _in_vain(f"{_shown(marker, site)} cannot be read ({error.strerror or error})")
        try:
            marker.unlink(missing_ok=True)
        except OSError as error:
            said = "; ".join(filter(None, (said, str(error))))
        yield f"{begin}: {said or 'it had left nothing at its outputs'}"


def _in_vain(reason: str) -> str:
    return f"what it left could not be moved aside, because {reason}; look at its outputs"


def _leaving(unfinished: Unfinished, site: Site) -> list[str]:
    """The files that are to go, as the rule at the top of this module says."""
    _, there = site.declared(unfinished.inputs, unfinished.outputs)
    return [path for path in sorted(there) if _is_there(site, path) and not _stays(unfinished, site, path)]


def _is_there(site: Site, path: str) -> bool:
    """Whether there is anything but a folder: a pattern that names no file stands for itself."""
    return os.path.lexists(site.full(path)) and not site.is_folder(path)


def _leads_to_folder(site: Site, path: str) -> bool:
    return os.path.isdir(site.full(path)) and not site.is_folder(path)


def _stays(unfinished: Unfinished, site: Site, path: str) -> bool:
    return path in unfinished.before and unfinished.before[path] == site.seen(path).sha256


def _move(site: Site, path: str, folder: Path) -> str:
    """Move a file or link, or what is passed over; the reason if it cannot be."""
    if _is_behind_link(site, path):
        return f"{path} (it lies behind a link)"
    try:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(site.full(path), target)
    except OSError as error:
        return f"{path} ({error.strerror or error})"
    return ""


def _move_folders(unfinished: Unfinished, site: Site, folder: Path) -> Iterator[str]:
    """Let folders go in which nothing is left but what is passed over, such as byte code; yield problems."""
    for each in sorted(site.folders(unfinished.outputs) - {*unfinished.empty}, reverse=True):
        try:
            rest = os.listdir(site.full(each))
            own_repository = ".git" in rest and each in unfinished.folders
            if own_repository or not all(map(is_passed_over, rest)) or _is_behind_link(site, each):
                continue
            stuck = [problem for name in rest if (problem := _move(site, f"{each}/{name}", folder))]
            yield from stuck
            if not stuck:
                (folder / each).mkdir(parents=True, exist_ok=True)
                Path(site.full(each)).rmdir()
        except OSError as error:
            yield f"{each} ({error.strerror or error})"


def _is_behind_link(site: Site, path: str) -> bool:
    """Whether a folder above a path, below the rootdir, is a link: what is behind it may be anybody's."""
    top, above = os.path.realpath(site.root), os.path.dirname(path)
    return os.path.realpath(site.full(above)) != os.path.normpath(os.path.join(top, above))


def _folder(unfinished: Unfinished, site: Site) -> Path:
    """A new name to move files to, the time in UTC; it is for people alone."""
    above = site.phases_dir / INTERRUPTED / unfinished.phase / unfinished.stage
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (stamp if number == 1 else f"{stamp}-{number}" for number in count(1))
    return next(above / name for name in names if not os.path.lexists(above / name))


def _holds_too_much(site: Site, pattern: str, held: Collection[str]) -> bool:
    """Whether an output is no place to move files from."""
    path, own = normal(pattern), site.own
    if path.partition("/")[0] in {"", ".."} or (own and lies_at(path, own)):
        return True
    return any(lies_at(each, path) for each in filter(None, (own, *held)))


def _shown(path: Path, site: Site) -> str:
    return path.relative_to(site.root).as_posix() if path.is_relative_to(site.root) else str(path)
