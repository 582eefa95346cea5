"""Items that never reach a worker are reported by the controller, as skipped with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pytest


def report_blocked(config: pytest.Config, nodeids: Iterable[str], reason: str) -> None:
    """Report each item as a test that was skipped in its set-up, from first to last call.

    pytest forgets that a test had failed when it is skipped; a blocked one stays in what `--lf` runs.
    """
    hook = config.hook
    last_failed = getattr(config.pluginmanager.getplugin("lfplugin"), "lastfailed", {})
    failed_before = dict(last_failed)
    for nodeid in nodeids:
        path, _, names = nodeid.partition("::")
        location = (path, None, names.replace("::", "."))
        hook.pytest_runtest_logstart(nodeid=nodeid, location=location)
        hook.pytest_runtest_logreport(
            report=_report(nodeid, location, "setup", (path, 0, f"Skipped: {reason}"))
        )
        hook.pytest_runtest_logreport(report=_report(nodeid, location, "teardown", None))
        hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)
    last_failed.update(failed_before)


def _report(
    nodeid: str,
    location: tuple[str, int | None, str],
    when: Literal["setup", "teardown"],
    longrepr: tuple[str, int, str] | None,
) -> pytest.TestReport:
    report = pytest.TestReport(
        nodeid=nodeid,
        location=location,
        keywords={},
        outcome="skipped" if longrepr else "passed",
        longrepr=longrepr,
        when=when,
    )
    report.phases_blocked = True  # type: ignore[attr-defined]  # told apart from a test's own skip by this
    return report
