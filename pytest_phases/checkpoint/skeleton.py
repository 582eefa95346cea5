"""What importing a module depends on: all of its source but the bodies of functions that it only defines."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_Documented = (ast.Module, ast.ClassDef, *_Function)


def parse(source: str | bytes) -> ast.Module | None:
    """The syntax tree; None for what is no Python that this Python reads.

    Filters of warnings belong to the whole process: never call it beside a thread that runs tests.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is odd in a source is told to whoever runs it
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def skeleton(source: str | bytes) -> str:
    """The sha256 of what is executed when a module is imported, and of the signatures of its functions.

    Decorators, default values, annotations, class bodies and lambdas belong to it; docstrings, comments
    and line numbers do not. The body of a function belongs to it if the module calls that function, or
    its class, by name while it is imported. Of what does not parse it is the digest of all of it.
    """
    content = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    tree = parse(source)
    if tree is not None:
        _strip(tree, _called_at_import(tree))
        with suppress(RecursionError):  # of an expression of a thousand terms
            content = ast.dump(tree).encode("utf-8", "surrogatepass")
    return sha256(content).hexdigest()


def _strip(tree: ast.Module, kept: frozenset[ast.AST]) -> None:
    """Take out docstrings, and the bodies of all functions that are not in `kept`."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, _Documented) and _docstring(node.body):
            del node.body[0]
        if isinstance(node, _Function) and node not in kept:
            node.body = []
        waiting.extend(ast.iter_child_nodes(node))


def _docstring(body: list[ast.stmt]) -> bool:
    first = body[0] if body else None
    return (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )


def _called_at_import(tree: ast.Module) -> frozenset[ast.AST]:
    """The functions of a module that run while it is imported, as far as it calls them by name."""
    defined: dict[str, list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, (*_Function, ast.ClassDef)):
            defined.setdefault(node.name, []).append(node)
    kept: set[ast.AST] = set()
    waiting = list(_called(tree.body))
    while waiting:
        for node in defined.pop(waiting.pop(), ()):
            # A class that is called runs whatever of its methods it likes, and a function what is in it.
            for each in ast.walk(node):
                if isinstance(each, _Function):
                    kept.add(each)
                    waiting.extend(_called(each.body))
    return frozenset(kept)


def _called(body: list[ast.stmt]) -> Iterator[str]:
    """The names that statements call or decorate with, outside the bodies of functions."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and _is_main(node.test):
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Call):
            yield from _name(node.func)
        if isinstance(node, (*_Function, ast.ClassDef)):
            for decorator in node.decorator_list:
                yield from _name(decorator)
        children = ast.iter_child_nodes(node)
        if isinstance(node, _Function):
            inside = set(map(id, node.body))
            children = (child for child in children if id(child) not in inside)
        waiting.extend(children)


def _name(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr


def _is_main(test: ast.expr) -> bool:
    """`__name__ == "__main__"`: what no import runs."""
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
        and len(test.comparators) == 1
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value == "__main__"
    )
