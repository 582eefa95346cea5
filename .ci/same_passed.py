"""Did the same tests of a package pass in two JUnit reports? Silent if so, else a list of what differs."""

from __future__ import annotations

import sys
from collections import Counter
from xml.etree import ElementTree

NOT_PASSED = ("failure", "error", "skipped")


def passed(report: str, package: str) -> Counter[str]:
    """Return how often each test of a package (`tests.unit`) passed; stages are no tests."""
    cases = ElementTree.parse(report).iter("testcase")
    return Counter(
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.get("classname", "").startswith(f"{package}.")
        and all(case.find(tag) is None for tag in NOT_PASSED)
    )


def difference(plain: Counter[str], plan: Counter[str]) -> list[str]:
    """Return one line for each test that passed more often in one report than in the other."""
    lines = [f"passed without the plan only: {test}" for test in (plain - plan).elements()]
    lines += [f"passed with the plan only: {test}" for test in (plan - plain).elements()]
    if not plain:
        lines.append("no test passed without the plan")
    return lines


if __name__ == "__main__":
    plain, plan, package = sys.argv[1:]
    sys.exit("\n".join(difference(passed(plain, package), passed(plan, package))) or None)
