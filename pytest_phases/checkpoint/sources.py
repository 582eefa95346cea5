"""What Python sources import, and what of them is executed by importing them: read, never run.

Code that is executed when a module is imported belongs to whichever test imported it first, so no trace
of a later one shows it. Following the imports of test files finds these modules, and the skeleton of a
module is what importing it depends on. Where it cannot be told, all that may be meant is taken.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from hashlib import sha256

from pytest_phases.checkpoint.skeleton import parse, skeleton

__all__ = ["Parsed", "Resolver", "closure", "conftests", "imports_of", "skeleton"]

_STATEMENT = re.compile(
    rb"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]+(.+)|import[ \t]+(.+))$", re.MULTILINE
)
_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_BY_NAME = frozenset({"__import__", "import_module", "importorskip"})
_PLUGINS = "pytest_plugins"
_EXTENSIONS = (".so", ".pyd")
_ALL = "*"


def imports_of(source: str | bytes, module_path: str) -> frozenset[str]:
    """The modules that a source may import, wherever in it, by name.

    `module_path` is that of its file, `/` between the parts. A relative import is known by its place:
    `src/shop/.cart` is `cart` in the folder `src/shop`; `shop.*` is every module in a package. Texts that
    read like the name of a module (`mock.patch("shop.cart.TAX")`) are taken for one.
    """
    tree = parse(source)
    found = _by_syntax(tree) if tree is not None else _by_pattern(source)
    folder = posixpath.dirname(module_path)
    return frozenset(_placed(folder, level, name) for level, name in found)


def _placed(folder: str, level: int, name: str) -> str:
    """An imported name as the resolver knows it; `level` is the number of dots in front."""
    if not level:
        return name
    for _ in range(level - 1):
        folder = posixpath.dirname(folder)
    return f"{folder or '.'}/.{name}"


def _by_syntax(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _of_from(node.level, node.module or "", (alias.name for alias in node.names))
        elif isinstance(node, ast.Call):
            yield from _of_call(node)
        elif isinstance(node, ast.Assign) and any(_is_plugins(target) for target in node.targets):
            yield from ((0, text) for text in _texts(node.value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            yield from ((0, name) for name in _prefixes(node.value))


def _of_from(level: int, module: str, names: Iterable[str]) -> Iterator[tuple[int, str]]:
    yield level, module
    for name in names:
        yield level, f"{module}.{name}" if module else name


def _of_call(node: ast.Call) -> Iterator[tuple[int, str]]:
    """`import_module("a.b")`, and `import_module(".b", __package__)`, which is taken for the own package."""
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if called in _BY_NAME and node.args:
        for text in _texts(node.args[0]):
            name = text.lstrip(".")
            yield len(text) - len(name), name


def _is_plugins(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == _PLUGINS


def _texts(node: ast.expr) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


def _prefixes(text: str) -> Iterator[str]:
    if _NAME.fullmatch(text):
        parts = text.split(".")
        yield from (".".join(parts[:length]) for length in range(2, len(parts) + 1))
        yield parts[0]


def _by_pattern(source: str | bytes) -> Iterator[tuple[int, str]]:
    """The imports of a source that does not parse, as far as each stands on one line."""
    content = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    for match in _STATEMENT.finditer(content):
        module, names, plain = (each.decode("utf-8", "replace") if each else "" for each in match.groups())
        listed = [each.split()[0] for each in re.split(r"[,;()#\\]", names or plain) if each.split()]
        if module:
            name = module.lstrip(".")
            yield from _of_from(len(module) - len(name), name, listed)
        else:
            yield from ((0, each) for each in listed)


class Resolver:
    """Finds the files of modules by the ends of their paths: `shop.cart` is any `**/shop/cart.py`."""

    def __init__(self, files: Iterable[str]) -> None:
        self._by_name: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._by_folder: dict[str, list[str]] = defaultdict(list)
        self._packages: dict[str, str] = {}
        for file in files:
            place = _module(file)
            if place is not None:
                self._by_name[posixpath.basename(place)].append((place, file))
                self._by_folder[posixpath.dirname(place)].append(file)
                if posixpath.basename(file).startswith("__init__."):
                    self._packages[place] = file

    def files(self, name: str) -> frozenset[str]:
        """Every file that a name given by `imports_of` may mean."""
        folder, dot, dotted = name.rpartition("/.")
        place = dotted.replace(".", "/") if dot else name.replace(".", "/")
        if dot:
            place = posixpath.normpath(f"{folder}/{place}")
        found = self._below(place, exact=bool(dot)) if place.endswith(_ALL) else self._at(place, bool(dot))
        return frozenset(found)

    def packages(self, file: str) -> Iterator[str]:
        """The packages that hold a file: importing it may execute each of them."""
        for folder in _folders(file):
            if folder in self._packages:
                yield self._packages[folder]

    def _at(self, place: str, exact: bool) -> Iterator[str]:
        for known, file in self._by_name.get(posixpath.basename(place), ()):
            if known == place or (not exact and known.endswith(f"/{place}")):
                yield file

    def _below(self, place: str, exact: bool) -> Iterator[str]:
        package = posixpath.dirname(place)
        for folder, files in self._by_folder.items():
            if folder == package or (not exact and folder.endswith(f"/{package}")):
                yield from files


def _module(file: str) -> str | None:
    """The path of a module without what its file ends with; that of its folder for `__init__.py`."""
    folder, name = posixpath.split(file)
    if name.endswith((".py", ".pyw")):
        stem = name.rpartition(".")[0]
    elif name.endswith(_EXTENSIONS):
        stem = name.partition(".")[0]
    else:
        return None
    return folder if stem == "__init__" else posixpath.join(folder, stem)


def closure(
    start: Iterable[str], resolver: Resolver, imports: Callable[[str], Iterable[str]]
) -> frozenset[str]:
    """The files of `start` with all that importing them may import; `imports` gives the names of one."""
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting.extend(resolver.packages(file))
            for name in imports(file):
                waiting.extend(resolver.files(name))
    return frozenset(found)


def conftests(test_file: str) -> Iterator[str]:
    """Where pytest looks for a conftest before it collects a file: in its folder and all above."""
    return (posixpath.join(folder, "conftest.py") for folder in _folders(test_file))


def _folders(file: str) -> Iterator[str]:
    """The folders that hold a file, the rootdir last, which is empty."""
    folder = posixpath.dirname(file)
    while folder.strip("/"):
        yield folder
        folder = posixpath.dirname(folder)
    yield ""


class Parsed:
    """Imports and skeletons of files, each content parsed once; `skeletons` may outlive the run.

    It maps the sha256 of a content to the digest of its skeleton.
    """

    def __init__(self, skeletons: MutableMapping[str, str] | None = None) -> None:
        self._skeletons = skeletons if skeletons is not None else {}
        self._imports: dict[tuple[str, str], frozenset[str]] = {}

    def imports(self, path: str, content: bytes) -> frozenset[str]:
        """What `imports_of` says of a file."""
        key = (path, sha256(content).hexdigest())
        if key not in self._imports:
            self._imports[key] = imports_of(content, path) if _is_source(path) else frozenset()
        return self._imports[key]

    def skeleton(self, path: str, content: bytes) -> str:
        """The digest of what importing a file depends on; of all of it if it is no Python source."""
        digest = sha256(content).hexdigest()
        if not _is_source(path):
            return digest
        if digest not in self._skeletons:
            self._skeletons[digest] = skeleton(content)
        return self._skeletons[digest]


def _is_source(path: str) -> bool:
    return path.endswith((".py", ".pyw"))
