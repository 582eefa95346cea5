"""Items that never reach a worker are reported by the controller, as skipped with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pytest

BLOCKED, RESUMED = "phases_blocked", "phases_resumed"
"""The attribute of a report that tells it apart from a test's own skip."""


def report_unrun(config: pytest.Config, nodeids: Iterable[str], reason: str, mark: str) -> None:
    """Report each item as a test that was skipped in its set-up, from first to last call.

    `mark` is `BLOCKED` or `RESUMED`. pytest forgets that a test had failed when it is skipped; one that
    was not run stays in what `--lf` runs.
    """
    hook = config.hook
    last_failed = getattr(config.pluginmanager.getplugin("lfplugin"), "lastfailed", {})
    failed_before = dict(last_failed)
    for nodeid in nodeids:
        path, _, names = nodeid.partition("::")
        location = (path, None, names.replace("::", "."))
        hook.pytest_runtest_logstart(nodeid=nodeid, location=location)
        skip = _report(nodeid, location, "setup", (path, 0, f"Skipped: {reason}"))
        for report in (skip, _report(nodeid, location, "teardown", None)):
            setattr(report, mark, True)
            hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)
    last_failed.update(failed_before)


def _report(
    nodeid: str,
    location: tuple[str, int | None, str],
    when: Literal["setup", "teardown"],
    longrepr: tuple[str, int, str] | None,
) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=nodeid,
        location=location,
        keywords={},
        outcome="skipped" if longrepr else "passed",
        longrepr=longrepr,
        when=when,
    )
