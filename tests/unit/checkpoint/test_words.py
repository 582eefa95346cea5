"""Versions of distributions, and how long ago something was."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from pytest_phases.checkpoint.age import age
from pytest_phases.checkpoint.distributions import UNKNOWN, distributions

NOON = "2026-03-01T12:00:00+00:00"


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ("2026-03-01T12:00:00+00:00", "0 s"),
        ("2026-03-01T12:00:40+00:00", "40 s"),
        ("2026-03-01T12:01:00+00:00", "1 min"),
        ("2026-03-01T12:05:59+00:00", "5 min"),
        ("2026-03-01T15:10:00+00:00", "3 h"),
        ("2026-03-02T12:00:00+00:00", "1 day"),
        ("2026-03-03T20:00:00+00:00", "2 days"),
        ("2026-03-01T14:00:40+02:00", "40 s"),
        ("2026-03-01T12:00:40Z", "40 s"),
        ("2026-03-01T12:00:40", "40 s"),
        ("2026-03-01T11:59:59+00:00", "some time"),
        ("yesterday", "some time"),
        ("", "some time"),
    ],
)
def test_the_time_between_two_moments_in_words(now: str, words: str) -> None:
    """A clock that went backwards tells nothing."""
    assert age(NOON, now) == words


@pytest.mark.parametrize(
    ("entry", "name", "expected"),
    [
        ("numpy-1.26.0.dist-info", "numpy", "1.26.0"),
        ("Typing_Extensions-4.9.0.dist-info", "typing-extensions", "4.9.0"),
        ("zope.interface-6.1.dist-info", "zope-interface", "6.1"),
        ("shop-0.1.dev5+g1234.d20260101.dist-info", "shop", "0.1.dev5+g1234.d20260101"),
        ("PyYAML-6.0.1-py3.11.egg-info", "pyyaml", "6.0.1"),
        ("shop.egg-info", "shop", UNKNOWN),
    ],
)
def test_a_distribution_is_known_by_the_name_of_its_folder(
    tmp_path: Path, entry: str, name: str, expected: str
) -> None:
    """Whatever its metadata says."""
    (tmp_path / entry).mkdir()
    found = dict(distributions([str(tmp_path)]))
    assert found.pop("python").startswith(platform.python_version())
    assert found == {name: expected}


def test_the_first_distribution_on_the_path_counts(tmp_path: Path) -> None:
    """What is no folder on the path is passed over, and so is what is no metadata."""
    for folder, number in (("one", 1), ("two", 2)):
        (tmp_path / folder / f"a-{number}.dist-info").mkdir(parents=True)
        (tmp_path / folder / "a").mkdir()
    (tmp_path / "lib.zip").touch()
    path = [str(tmp_path / name) for name in ("nowhere", "lib.zip", "one", "two")]
    assert {name: number for name, number in distributions(path).items() if name != "python"} == {"a": "1"}


def test_this_python_has_what_it_has() -> None:
    """By default `sys.path` is looked at."""
    found = distributions()
    assert found["python"] == f"{platform.python_version()} ({platform.python_implementation()})"
    assert found["pytest"] == version("pytest")
    assert found == distributions(sys.path)
