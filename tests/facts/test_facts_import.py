"""Fact 11: Python's import and what is built while Python runs."""

from __future__ import annotations

import importlib
import os
import sys

import pytest

NAME = "pytest_phases_built_while_python_runs"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in which modules are looked for."""
    monkeypatch.syspath_prepend(tmp_path)
    # What is there now, or not, is there again afterwards.
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def test_fact_11_waiting_does_not_mend_an_import(folder):
    """A folder in which nothing was found is not looked at again until import's caches are dropped.

    Python goes by the time of the folder, which a file made within one tick of its clock leaves as it is.
    """
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(NAME)
    before = folder.stat()
    (folder / f"{NAME}.py").write_text("VALUE = 1\n")
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))

    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(NAME)
    importlib.invalidate_caches()

    assert importlib.import_module(NAME).VALUE == 1


def test_fact_11_what_the_last_run_left_is_imported_without_a_word(folder):
    """And what is loaded stays what it was: only another process sees what was built since."""
    file = folder / f"{NAME}.py"
    file.write_text("VALUE = 'left by the last run'\n")
    assert importlib.import_module(NAME).VALUE == "left by the last run"

    file.write_text("VALUE = 'built now'\n")
    importlib.invalidate_caches()

    assert importlib.import_module(NAME).VALUE == "left by the last run"


def test_fact_11_importlib_mode_keeps_the_half_of_a_module_that_failed(pytester, run_inside):
    """What failed to import stays loaded there, so it is unloaded before it is collected a second time."""
    pytester.makepyfile(test_late="import not_yet_built")

    result = run_inside("--import-mode=importlib", plugins=(Loaded(),))

    (report,) = [report for report in result.getreports("pytest_collectreport") if report.failed]
    assert "not_yet_built" in str(report.longrepr)
    assert "test_late" in Loaded.names


class Loaded:
    """A plugin that looks at what is loaded when collection has ended."""

    names: frozenset[str] = frozenset()

    def pytest_collection_finish(self) -> None:
        """Keep the names of all modules."""
        Loaded.names = frozenset(sys.modules)
