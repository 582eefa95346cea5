"""Facts 4, 10 and 11: what pytest does with node ids, subtests and modules that come late."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

# A plugin that adds a file of its own to every collection, the way stages are added.
ADDS_A_FILE = """
    import pytest
    from _pytest.runner import collect_one_node

    class Step(pytest.Item):
        def runtest(self):
            pass

    class Extra(pytest.File):
        def collect(self):
            yield Step.from_parent(self, name="build")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(session, config, items):
        file = Extra.from_parent(session, path=config.rootpath / ".plans" / "extra.md")
        report = collect_one_node(file)
        config.hook.pytest_collectreport(report=report)
        for node in report.result:
            items.extend(session.genitems(node))
"""


@pytest.mark.parametrize("arguments", [(), (".",), ("test_one.py",)], ids=["no path", "folder", "file"])
def test_fact_04_a_file_may_be_added_when_items_are_modified(arguments, pytester, run_inside):
    """Its items stand beside the tests, whatever pytest was asked to collect, and -k selects them too."""
    pytester.makeconftest(ADDS_A_FILE)
    pytester.makepyfile(test_one="def test_1(): pass")

    result = run_inside(*arguments)
    selected = run_inside("-kbuild", *arguments)

    passed, _, _ = result.listoutcomes()
    assert {report.nodeid for report in passed} == {"test_one.py::test_1", ".plans/extra.md::build"}
    assert [report.nodeid for report in selected.listoutcomes()[0]] == [".plans/extra.md::build"]


def test_fact_04_what_follows_the_sending_of_ids_is_not_counted(pytester, run, notes):
    """Items that a wrapper of `pytest_collection_finish` appends are known to the worker alone."""
    pytester.makeconftest("""
        import pytest
        from notes import note

        @pytest.hookimpl(wrapper=True)
        def pytest_collection_finish(session):
            yield
            if hasattr(session.config, "workerinput"):
                session.items.append(session.items[0])
                note(len(session.items))

        def pytest_xdist_node_collection_finished(ids):
            note(len(ids))
    """)
    pytester.makepyfile(test_one="def test_1(): pass")

    assert run("-n1", "-p", "no:phases").parseoutcomes() == {"passed": 1}
    assert (notes.of("gw0"), notes.of("main")) == (["2"], ["1"])


def test_fact_04_a_plan_leaves_arguments_and_node_ids_alone(pytester, run, notes):
    """Stages stand behind the tests that were asked for; no group is written into a node id either.

    xdist does that with `--dist loadgroup`, and not every version of pytest takes it over.
    """
    pytester.makeconftest("""
        from notes import note

        def pytest_collection_finish(session):
            note("asked for", *session.config.args)

        def pytest_xdist_node_collection_finished(ids):
            note("collected", *ids)

        def pytest_runtest_logfinish(nodeid):
            note("ran", nodeid)
    """)
    pytester.makepyfile(
        test_one="import pytest\n@pytest.mark.xdist_group('g')\ndef test_1(): pass\ndef test_2(): pass"
    )
    pytester.makefile(".md", plan="### Phase 1: Only\ntests: [test_one.py]\nBuild:\n```sh\ntrue\n```\n")

    assert run("-n1", "--dist=loadgroup", "--phases=plan.md", "test_one.py").ret == 0

    tests, stage = ["test_one.py::test_1", "test_one.py::test_2"], "plan.md::1::build"
    assert notes.of("gw0")[0] == "asked for test_one.py"
    collected, *ran = [line for line in notes.of("main") if not line.startswith("asked")]
    assert collected.split() == ["collected", *tests, stage]
    assert sorted(ran) == sorted(f"ran {nodeid}" for nodeid in [*tests, stage])


needs_subtests = pytest.mark.skipif(
    not (find_spec("_pytest.subtests") or find_spec("pytest_subtests")),
    reason="this pytest has no subtests",
)


@needs_subtests
def test_fact_10_a_failing_subtest_leaves_its_test_passed(pytester, run, notes):
    """The report of the test itself says passed; with a plan its phase is red all the same."""
    pytester.makeconftest("""
        from notes import note

        def pytest_runtest_logreport(report):
            if report.when == "call":
                note("test" if type(report).__name__ == "TestReport" else "subtest", report.outcome)

        def pytest_phases_phase_changed(event):
            if event.new.closed and event.kind == "phase":
                note("phase", event.new.value)
    """)
    pytester.makepyfile(
        test_one="""
        import unittest

        class TestIt(unittest.TestCase):
            def test_1(self):
                with self.subTest():
                    self.fail()
    """
    )
    pytester.makefile(".md", plan="### Phase 1: Only\ntests: [test_one.py]\n")

    run("-n1", "--phases=plan.md")

    assert notes.of("main") == ["subtest failed", "test passed", "phase red"]


def test_fact_10_a_rerun_is_not_final(pytester, run, notes):
    """pytest-rerunfailures reports the outcome `rerun`; with a plan the last run decides."""
    pytest.importorskip("pytest_rerunfailures")
    pytester.makeconftest("""
        from notes import note

        def pytest_runtest_logreport(report):
            if report.when == "call":
                note(report.outcome)

        def pytest_phases_phase_changed(event):
            if event.kind == "phase":
                note(event.new.value)
    """)
    pytester.makepyfile(
        test_one="tries = []\ndef test_1():\n    tries.append(1)\n    assert len(tries) == 2\n"
    )
    pytester.makefile(".md", plan="### Phase 1: Only\ntests: [test_one.py]\n")

    assert run("-n1", "--phases=plan.md", "--reruns=1").ret == 0

    assert notes.of("main") == ["open", "rerun", "passed", "green"]


def test_fact_11_a_module_that_failed_can_be_collected_later(pytester, run):
    """Once what it imports is there, the same collector collects it, and its items run."""
    pytester.makeconftest("""
        import importlib, pytest

        WAITING = []

        @pytest.hookimpl(wrapper=True)
        def pytest_make_collect_report(collector):
            report = yield
            if report.failed:
                WAITING.append(collector)
                report.outcome, report.longrepr, report.result = "passed", None, []
            return report

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtestloop(session):
            (session.config.rootpath / "built_late.py").write_text("VALUE = 1")
            importlib.invalidate_caches()
            session.items.extend(item for file in WAITING for item in session.genitems(file))
    """)
    pytester.makepyfile(test_one="import built_late\n\ndef test_1():\n    assert built_late.VALUE == 1\n")

    assert run("-p", "no:phases").parseoutcomes() == {"passed": 1}


def test_fact_11_a_clone_takes_the_place_of_a_worker_and_sees_what_was_built(pytester, run, notes):
    """A loaded module stays what it was; a worker that `_clone_node` starts loads it anew."""
    pytester.makepyfile(
        built="VALUE = 'old'\n",
        test_one="from notes import note\nimport built\ndef test_1(): note(built.VALUE)",
        test_two="from notes import note\nimport built\ndef test_2(): note(built.VALUE)",
    )
    pytester.makefile(
        ".md",
        plan="""
            ### Phase 1: Before
            tests: [test_one.py]
            ### Phase 2: Build
            Build: it
            ```python
            open("built.py", "w").write("VALUE = 'new'")
            ```
            ### Phase 3: After
            tests: [test_two.py]
        """,
    )

    assert run("-n1", "--phases=plan.md").ret == 0
    assert notes.lines == ["gw0 old", "gw1 new"]
