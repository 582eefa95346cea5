"""Following imports without running them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_phases.checkpoint.sources import Parsed, Resolver, closure, conftests, imports_of

PLACE = "src/shop/cart.py"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a", {"a"}),
        ("import a.b.c as d, e", {"a.b.c", "e"}),
        ("from a import b", {"a", "a.b"}),
        ("from a.b import c as d", {"a.b", "a.b.c"}),
        ("from a import *", {"a", "a.*"}),
        ("from . import b", {"src/shop/.", "src/shop/.b"}),
        ("from .b import c", {"src/shop/.b", "src/shop/.b.c"}),
        ("from .. import b", {"src/.", "src/.b"}),
        ("from ...b import c", {"./.b", "./.b.c"}),
        ("def f():\n    import a", {"a"}),
        ("class A:\n    from a import b", {"a", "a.b"}),
        ("try:\n    import a\nexcept ImportError:\n    import b", {"a", "b"}),
        ("importlib.import_module('a')", {"a"}),
        ("import_module('.a', __package__)", {"src/shop/.a"}),
        ("pytest.importorskip('a')", {"a"}),
        ("__import__('a')", {"a"}),
        ("pytest_plugins = ['a', 'b']", {"a", "b"}),
        ("mock.patch('shop.cart.TAX')", {"shop", "shop.cart", "shop.cart.TAX"}),
        ("'no module, a text.'", set()),
        ("x = 1", set()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_source_may_import(source: str, names: set[str]) -> None:
    """Wherever in it, and relative to where it stands."""
    assert imports_of(source, PLACE) == names
    assert imports_of(source.encode(), PLACE) == names


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a.b, c as d", {"a.b", "c"}),
        ("from a import b, c", {"a", "a.b", "a.c"}),
        ("from a import (b, c)  # why", {"a", "a.b", "a.c"}),
        ("from .a import b", {"src/shop/.a", "src/shop/.a.b"}),
        ("    import a", {"a"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_parse_is_read_line_by_line(source: str, names: set[str]) -> None:
    """As far as its imports can be told."""
    assert names <= imports_of(f"{source}\ndef (:\n", PLACE)


FILES = {
    "conftest.py": "import tools",
    "tools.py": "",
    "src/shop/__init__.py": "from .price import TAX",
    "src/shop/price.py": "from . import rates",
    "src/shop/rates.py": "RATES = {}",
    "src/shop/cart.py": "from shop.price import TAX",
    "src/shop/unused.py": "",
    "src/shop/_fast.cpython-311-x86_64-linux-gnu.so": "",
    "src/plugins/__init__.py": "",
    "src/plugins/one.py": "import shop.cart",
    "src/plugins/two.py": "",
    "other/shop/cart.py": "",
    "tests/__init__.py": "",
    "tests/unit/test_cart.py": "import shop.cart",
    "tests/unit/test_all.py": "from plugins import *",
    "tests/unit/test_fast.py": "from shop import _fast",
    "tests/unit/test_ring.py": "from .ring import a",
    "tests/unit/ring.py": "from . import test_ring",
    "tests/unit/test_data.py": "open('tools.py')",
    "tests/unit/test_own.py": "import tests.unit.ring",
}
PACKAGE = ["src/shop/__init__.py", "src/shop/price.py", "src/shop/rates.py"]


@pytest.mark.parametrize(
    ("start", "found"),
    [
        ("conftest.py", ["tools.py"]),
        (
            "tests/unit/test_cart.py",
            ["tests/__init__.py", "src/shop/cart.py", "other/shop/cart.py", *PACKAGE],
        ),
        (
            "tests/unit/test_all.py",
            [
                "tests/__init__.py", "src/plugins/__init__.py", "src/plugins/one.py", "src/plugins/two.py",
                "src/shop/cart.py", "other/shop/cart.py", *PACKAGE,
            ],
        ),
        (
            "tests/unit/test_fast.py",
            ["tests/__init__.py", "src/shop/_fast.cpython-311-x86_64-linux-gnu.so", *PACKAGE],
        ),
        ("tests/unit/test_ring.py", ["tests/__init__.py", "tests/unit/ring.py"]),
        ("tests/unit/test_own.py", ["tests/__init__.py", "tests/unit/ring.py", "tests/unit/test_ring.py"]),
        ("tests/unit/test_data.py", ["tests/__init__.py", "tools.py"]),
        ("nowhere.py", []),
    ],
    ids=["a module", "all that may be meant, with its package", "a star", "an extension module", "a ring",
         "absolute from the rootdir", "a text that may mean a module", "a file that is not there"],
)  # fmt: skip
def test_the_files_that_importing_one_may_execute(start: str, found: list[str]) -> None:
    """Its imports, their packages, and theirs."""
    reached = closure([start], Resolver(FILES), lambda file: imports_of(FILES.get(file, ""), file))
    assert reached == {start, *found}


def test_a_relative_import_means_one_place() -> None:
    """Unlike an absolute one, which may begin in any folder of `sys.path`."""
    resolver = Resolver(FILES)
    assert resolver.files("src/shop/.cart") == {"src/shop/cart.py"}
    assert resolver.files("shop.cart") == {"src/shop/cart.py", "other/shop/cart.py"}
    assert resolver.files("hop.cart") == set()


def test_conftests_are_looked_for_in_every_folder_above() -> None:
    """The rootdir included."""
    assert list(conftests("tests/unit/test_a.py")) == [
        "tests/unit/conftest.py",
        "tests/conftest.py",
        "conftest.py",
    ]


def test_each_content_is_parsed_once() -> None:
    """Skeletons may be kept from one run to the next."""
    kept: dict[str, str] = {}
    first = Parsed(kept).skeleton("a.py", b"x = 1")
    assert list(kept.values()) == [first]
    (key,) = kept
    kept[key] = "known"
    assert Parsed(kept).skeleton("b.py", b"x = 1") == "known"
    assert Parsed().skeleton("a.so", b"x = 1") != first
    parsed = Parsed()
    sources: Mapping[str, bytes] = {"a.py": b"import b", "a.so": b"import b"}
    assert [parsed.imports(path, content) for path, content in sources.items()] == [{"b"}, set()]
    assert parsed.imports("a.py", b"import b") is parsed.imports("a.py", b"import b")
