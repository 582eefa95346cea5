"""The items of a run: pytest knows them by node id, the core by number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_phases.claims import Claim, claims
from pytest_phases.events import Outcome
from pytest_phases.evidence import Expected, ExpectedKind
from pytest_phases.model import Stage
from pytest_phases.scheduler.protocol import Item, ItemKind
from pytest_phases.table import Table


@dataclass(slots=True, eq=False)
class Items:
    """All items that were collected, numbered in the order in which they were found.

    `stages` are those of the plan by phase and id; `outcomes` has, by phase and name, what items came
    to in the run that is resumed. `keys` are node ids, the second and later of the same told apart.
    """

    stages: Mapping[tuple[str, str], Stage]
    outcomes: Mapping[tuple[str, str], Outcome]
    nodeids: list[str] = field(default_factory=list)
    modules: dict[str, int] = field(default_factory=dict)
    _keys: list[str] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _items: list[Item] = field(default_factory=list)

    def __getitem__(self, number: int) -> Item:
        return self._items[number]

    def add(self, table: Table) -> tuple[Sequence[int], Sequence[Item]]:
        """Number the items of a table: the numbers of all, in its order, and those that are new."""
        keys = tuple(_unique(table.nodeids))
        new = [index for index, key in enumerate(keys) if key not in self._numbers]
        for index in new:
            self._numbers[keys[index]] = len(self.nodeids)
            self.nodeids.append(table.nodeids[index])
            self._keys.append(keys[index])
        stages = {index: self.stages[table.phases[index], stage] for index, stage in table.stages}
        locks = _by_index(table.locks)
        found = [
            self._item(keys, table.phases[index], index, stages.get(index), locks.get(index, ()))
            for index in new
        ]
        found += self._new_modules(table)
        found.sort(key=lambda item: item.number)
        self._items.extend(found)
        return [self._numbers[key] for key in keys], found

    def _item(
        self, keys: Sequence[str], phase: str, index: int, stage: Stage | None, own: tuple[Claim, ...]
    ) -> Item:
        number = self._numbers[keys[index]]
        outcome = self.outcomes.get((phase, _name(keys[index]))) if self.outcomes else None
        if stage is None:
            return Item(number, phase, claims=own, outcome=outcome)
        prefix = keys[index].removesuffix(stage.id)
        needs = tuple(self._numbers[prefix + need] for need in stage.needs if prefix + need in self._numbers)
        stated = claims(stage.modifies, stage.reads, stage.locks)
        return Item(number, phase, ItemKind.STAGE, needs, f"stage {stage.id}", claims=stated, outcome=outcome)

    def _new_modules(self, table: Table) -> Iterator[Item]:
        for path, phase in table.modules:
            if path not in self.modules:
                number = self.modules[path] = len(self.nodeids)
                self.nodeids.append(path)
                self._keys.append(path)
                yield Item(number, phase, ItemKind.MODULE)

    def forget(self, number: int) -> None:
        """An item is no longer collected; the same node id may come back with another build."""
        del self._numbers[self._keys[number]]

    def expected(self, number: int) -> Expected:
        """An item in what is written down, where the second of the same node id is another one."""
        item = self._items[number]
        kind = ExpectedKind.STAGE if item.kind is ItemKind.STAGE else ExpectedKind.TEST
        return Expected(kind, item.phase, _name(self._keys[number]))

    def of(self, phases: Collection[str]) -> Iterator[str]:
        """The node ids of the items of some phases and streams."""
        return (self.nodeids[item.number] for item in self._items if item.phase in phases)

    def test_files(self, phase: str) -> Iterator[str]:
        """The paths of the test modules of a phase or stream, relative to the rootdir."""
        paths = (
            self.nodeids[item.number].partition("::")[0]
            for item in self._items
            if item.phase == phase and item.kind is not ItemKind.STAGE
        )
        yield from dict.fromkeys(paths)


def _by_index(locks: Iterable[tuple[int, str, bool]]) -> Mapping[int, tuple[Claim, ...]]:
    found: defaultdict[int, tuple[Claim, ...]] = defaultdict(tuple)
    for index, name, shared in locks:
        found[index] += (Claim(name, shared=shared),)
    return found


def _name(key: str) -> str:
    return key.replace("\0", " #")


def _unique(nodeids: Iterable[str]) -> Iterator[str]:
    """Node ids, the second and later of the same told apart by what cannot stand in one."""
    seen: dict[str, int] = {}
    for nodeid in nodeids:
        count = seen[nodeid] = seen.get(nodeid, 0) + 1
        yield nodeid if count == 1 else f"{nodeid}\0{count}"
