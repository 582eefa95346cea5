"""Facts 1, 2, 3, 5, 6 and 7: what pytest-xdist and execnet do."""

from __future__ import annotations

import pytest

TWO_PHASES = """
### Phase 1: First
tests: [test_one.py]
### Phase 2: Second
tests: [test_two.py]
"""

# Tells what the queue of a worker is asked for and what the worker runs, in this order.
WATCH_THE_QUEUE = """
    import pytest
    from notes import note

    class Watch:
        @pytest.hookimpl(tryfirst=True)
        def pytest_runtestloop(self, session):
            interactor = next(p for p in session.config.pluginmanager.get_plugins() if hasattr(p, "torun"))
            get = interactor.torun.get
            interactor.torun.get = lambda: (note("asks"), get())[1]

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_protocol(self, item, nextitem):
            note("runs", item.name, "before", nextitem.name if nextitem else "the end")

    def pytest_configure(config):
        if hasattr(config, "workerinput"):
            config.pluginmanager.register(Watch())
"""

FIXTURES = """
import pytest
from notes import note

@pytest.fixture(scope="module")
def of_module():
    yield
    note("module torn down")

@pytest.fixture(scope="session", autouse=True)
def of_session():
    yield
    note("session torn down")
    {failure}
"""


def test_fact_01_a_worker_asks_for_the_next_item_before_it_runs_the_one_it_holds(pytester, run, notes):
    """A worker that is sent one item alone holds it and waits."""
    pytester.makeconftest(WATCH_THE_QUEUE)
    pytester.makepyfile(test_one="def test_1(): pass\ndef test_2(): pass")

    assert run("-n1", "-p", "no:phases").ret == 0

    assert notes.of("gw0") == [
        "asks", "asks", "runs test_1 before test_2", "asks", "runs test_2 before the end",
    ]  # fmt: skip


def test_fact_01_with_the_parking_item_a_held_item_runs_and_the_next_wave_waits(pytester, run, notes):
    """The last item of a wave runs before the next wave is sent, because our parking item follows it."""
    pytester.makeconftest(WATCH_THE_QUEUE)
    pytester.makepyfile(test_one="def test_1(): pass", test_two="def test_2(): pass")
    pytester.makefile(".md", plan=TWO_PHASES)

    assert run("-n1", "--phases=plan.md").ret == 0

    tests = [line for line in notes.of("gw0") if line.startswith("runs test_")]
    assert tests == ["runs test_1 before parking", "runs test_2 before parking"]


def test_fact_02_modules_are_torn_down_for_the_parking_item_and_sessions_are_not(pytester, run, notes):
    """Between two waves the fixtures of a module end, and those of the session live on."""
    pytester.makeconftest(FIXTURES.format(failure=""))
    test = "from notes import note\ndef test_it(of_module): note({!r})"
    pytester.makepyfile(test_one=test.format("test 1"), test_two=test.format("test 2"))
    pytester.makefile(".md", plan=TWO_PHASES)

    assert run("-n1", "--phases=plan.md").ret == 0

    assert notes.of("gw0") == [
        "test 1", "module torn down", "test 2", "module torn down", "session torn down",
    ]  # fmt: skip


def test_fact_02_a_failure_after_the_last_protocol_of_a_worker_is_lost(pytester, run, notes):
    """What fails in a worker's `pytest_sessionfinish` changes neither the outcome nor the exit status."""
    pytester.makeconftest(
        FIXTURES.format(failure="assert False, 'broken teardown'")
        + "@pytest.hookimpl(tryfirst=True)\n"
        + "def pytest_runtest_protocol(item):\n    return True if item.name == 'test_no_op' else None\n"
    )
    pytester.makepyfile("def test_1(): pass\ndef test_no_op(): pass")

    result = run("-n1", "-p", "no:phases")

    assert notes.of("gw0") == ["session torn down"]
    assert (result.ret, result.parseoutcomes()) == (0, {"passed": 1})


def test_fact_02_here_it_is_a_teardown_error_of_the_last_item(pytester, run, notes, verdicts):
    """The parking item tears sessions down inside a protocol, and the controller reports what fails."""
    pytester.makeconftest(FIXTURES.format(failure="assert False, 'broken teardown'"))
    pytester.makepyfile(test_one="def test_1(): pass", test_two="def test_2(): pass")
    pytester.makefile(".md", plan=TWO_PHASES)

    result = run("-n1", "--phases=plan.md")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes() == {"passed": 2, "errors": 1}
    assert ("test_2", "error") in verdicts()


def test_fact_03_a_channel_in_the_workerinput_keeps_the_order_of_messages_and_events(pytester, run, notes):
    """What a worker sends before an event of xdist is there when the controller handles that event."""
    pytester.makeconftest("""
        import pytest
        from notes import note

        INBOX = []

        class Controller:
            def pytest_configure_node(self, node):
                channel = node.gateway.newchannel()
                channel.setcallback(INBOX.append)
                node.workerinput["channel"] = channel

            def pytest_xdist_node_collection_finished(self):
                note("collected", "table" in INBOX)

            def pytest_runtest_logreport(self, report):
                note("report", [report.nodeid, report.when] in INBOX)

        class Worker:
            def __init__(self, config):
                self.send = config.workerinput["channel"].send

            @pytest.hookimpl(wrapper=True)
            def pytest_collection_finish(self):
                self.send("table")
                yield

            @pytest.hookimpl(tryfirst=True)
            def pytest_runtest_logreport(self, report):
                self.send([report.nodeid, report.when])

        def pytest_configure(config):
            is_worker = hasattr(config, "workerinput")
            config.pluginmanager.register(Worker(config) if is_worker else Controller())
    """)
    pytester.makepyfile("import pytest\n@pytest.mark.parametrize('n', range(20))\ndef test_it(n): pass")

    assert run("-n2", "-p", "no:phases").ret == 0

    assert notes.of("main") == ["collected True"] * 2 + ["report True"] * 60


SCHEDULER_AT_THE_END = """
    from notes import note

    def pytest_sessionfinish(session):
        dsession = session.config.pluginmanager.getplugin("dsession")
        if dsession is not None:
            note(type(dsession.sched).__name__)
"""


@pytest.mark.parametrize(
    ("mark", "scheduler"),
    [
        pytest.param("", "LoadScopeScheduling", id="no marker"),
        pytest.param("@pytest.mark.phase(1)", "XdistScheduler", id="one marker"),
    ],
)
def test_fact_05_without_plan_and_marker_the_scheduler_of_xdist_takes_over(
    mark, scheduler, pytester, run, notes
):
    """Only when the items are there does the controller learn of markers; without any it hands over."""
    pytester.makeconftest(SCHEDULER_AT_THE_END)
    pytester.makepyfile(f"import pytest\n\n{mark}\ndef test_1(): pass\ndef test_2(): pass")

    result = run("-n2", "--dist=loadscope")

    assert (result.ret, result.parseoutcomes()) == (0, {"passed": 2})
    assert notes.of("main") == [scheduler]


REPORT_ANOTHER = """
    import pytest

    def pytest_runtest_logfinish(nodeid):
        if nodeid.endswith("test_1") and {where}:
            report = pytest.TestReport("test_other.py::test_it", ("test_other.py", 0, "test_it"), {{}},
                                       "skipped", ("test_other.py", 0, "why"), "setup")
            CONFIG.hook.pytest_runtest_logreport(report=report)

    def pytest_configure(config):
        global CONFIG
        CONFIG = config
"""


def test_fact_06_a_worker_may_report_nothing_but_the_item_it_runs(pytester, run):
    """A report under another node id is an internal error there."""
    pytester.makeconftest(REPORT_ANOTHER.format(where="hasattr(CONFIG, 'workerinput')"))
    pytester.makepyfile(test_one="def test_1(): pass")

    output = run("-n1", "-p", "no:phases").stdout.str()

    assert "INTERNALERROR" in output
    assert "nodeid == report.nodeid" in output


def test_fact_06_the_controller_may_report_what_never_ran(pytester, run, verdicts):
    """A report that the controller logs by itself is counted and written like any other."""
    pytester.makeconftest(REPORT_ANOTHER.format(where="not hasattr(CONFIG, 'workerinput')"))
    pytester.makepyfile(test_one="def test_1(): pass")

    result = run("-n1", "-p", "no:phases")

    assert (result.ret, result.parseoutcomes()) == (0, {"passed": 1, "skipped": 1})
    assert verdicts() == [("test_1", "passed"), ("test_it", "skipped")]


@pytest.mark.parametrize(
    "how", [pytest.param("-pno:phases", id="xdist alone"), pytest.param("--phases=plan.md", id="phases")]
)
def test_fact_07_an_item_whose_worker_dies_is_reported_once_and_not_run_again(
    how, pytester, run, notes, verdicts
):
    """`remove_node` names it, xdist reports it, and a new worker goes on behind it."""
    pytester.makepyfile(
        test_one="""
        import os
        from notes import note

        def test_1(): note("ran 1")
        def test_dies():
            note("dies")
            os._exit(1)
        def test_3(): note("ran 3")
    """
    )
    pytester.makefile(".md", plan="### Phase 1: Only\ntests: [test_one.py]\n")

    result = run("-n1", how)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [line.partition(" ")[2] for line in notes.lines] == ["ran 1", "dies", "ran 3"]
    assert [name for name, outcome in verdicts() if outcome != "passed"] == ["test_dies"]
    assert result.parseoutcomes() == {"passed": 2, "failed": 1}
