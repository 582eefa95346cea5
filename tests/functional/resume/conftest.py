"""What tests of resuming share: five phases in which something can be broken, mended and run again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

PLAN = """
# Shop

### Phase 1: Prices
tests: [test_prices.py]
covers: [prices.py]
{coverage}

### Phase 2: Basket
dependencies: [1]
tests: [test_basket.py]
covers: [basket.py]
{coverage}

### Phase 3: Orders
dependencies: [1]
tests: [test_orders.py]
covers: [orders.py]
{coverage}

### Phase 4: Shipping
dependencies: [3]
tests: [test_shipping.py]
covers: [shipping.py]
{coverage}

### Phase 5: Help
dependencies: []
tests: [test_help.py]
covers: [guide.py]
{coverage}
"""
MODULES = {
    "prices": "def price(number):\n    return 2 * number\n",
    "basket": "from prices import price\n\ndef total(numbers):\n    return sum(map(price, numbers))\n",
    "orders": "def order(number):\n    return number\n",
    "shipping": "from orders import order\n\ndef ship(number):\n    return order(number)\n",
    "guide": "def guide():\n    return 'read this'\n",
}
TESTS = {
    "prices": "from prices import price\n\ndef test_price():\n    note('price')\n    assert price(2) == 4\n",
    "basket": "from basket import total\n\ndef test_total():\n    note('total')\n    assert total([1])\n",
    "orders": (
        "from orders import order\n\n"
        "def test_order():\n    note('order')\n    assert order(1) == 2\n\n"
        "def test_other():\n    note('other')\n"
    ),
    "shipping": "from shipping import ship\n\ndef test_ship():\n    note('ship')\n    assert ship(1) == 2\n",
    "help": "from guide import guide\n\ndef test_help():\n    note('help')\n    assert guide()\n",
}
MENDED = "def order(number):\n    return 1 + number\n"


@dataclass(frozen=True)
class Shop:
    """The project: `journal` says which tests have run, by the names they noted."""

    root: Path
    journal: object
    start: Callable[..., pytest.RunResult]

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def mend(self) -> None:
        """Correct the mistake that makes phase 3 red."""
        self.write("orders.py", MENDED)

    def run(self, *args: str, **kwargs: float) -> tuple[pytest.RunResult, list[str]]:
        """Run the plan on two workers: the result, and what ran, sorted."""
        self.journal.clear()
        result = self.start("--phases", "plan.md", "-n2", *args, **kwargs)
        return result, sorted(self.journal.names)

    def lines(self, result: pytest.RunResult, *fragments: str) -> list[str]:
        """The lines of the output that hold all of these."""
        return [line for line in result.outlines if all(fragment in line for fragment in fragments)]


TRACES = sys.version_info >= (3, 12)


@pytest.fixture
def measured() -> bool:
    """Whether the phases have thresholds: where Python cannot trace, coverage tells what was executed."""
    return not TRACES


@pytest.fixture
def shop(pytester: pytest.Pytester, journal, run, measured: bool) -> Shop:
    """Five phases, of which the third is red because of a mistake in `orders.py`."""
    if not (TRACES or measured):
        pytest.skip("without coverage, what tests execute is known from Python 3.12 on")
    shop = Shop(pytester.path, journal, run)
    coverage = "coverage: 50" if measured else ""
    shop.write("plan.md", PLAN.format(coverage=coverage))
    shop.write("pytest.ini", "[pytest]\npythonpath = .\n")
    for name, text in MODULES.items():
        shop.write(f"{name}.py", text)
    for name, text in TESTS.items():
        shop.write(f"test_{name}.py", f"from journal import note\n{text}")
    # What the runs of these tests leave beside their project is no part of its tree.
    shop.write(".gitignore", "junit.xml\nstd*\nrunpytest-*\n__pycache__\n")
    subprocess.run(["git", "init", "-q"], cwd=shop.root, check=True)
    return shop
