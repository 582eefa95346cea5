"""Facts 1, 2, 3, 5 and 11 once more, from within: what the two ends of pytest-xdist do with each message."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import execnet
import pytest
from execnet.gateway_base import get_execmodel
from xdist.remote import Marker, WorkerInteractor
from xdist.workermanage import WorkerController

from pytest_phases.adapters.control import Control, ControlItem

# A scheduler for xdist that does only what a test adds to it.
SCHEDULER = """
    import pytest
    from notes import note

    class Scheduler:
        has_pending = collection_is_completed = True
        tests_finished = False

        def __init__(self, config):
            self.dsession = config.pluginmanager.getplugin("dsession")
            self.nodes, self.collections, self.echoes = [], [], 0

        def add_node(self, node):
            self.nodes.append(node)

        def add_node_collection(self, node, collection):
            self.collections.append(list(collection))

        def remove_node(self, node):
            self.nodes.remove(node)

        def mark_test_complete(self, node, item_index, duration=0):
            note("completed", item_index)
"""


def test_fact_01_an_item_without_a_next_one_is_not_run(pytester, run, notes):
    """However often a worker is heard from meanwhile, it runs what it holds only when more was sent.

    Each request to give back an item that it does not have is answered, so nothing is waited for by time.
    """
    pytester.makeconftest(
        SCHEDULER
        + """
        def schedule(self):
            self.nodes[0].send_runtest_some([0])
            self.nodes[0].send_steal([1])

        def remove_pending_tests_from_node(self, node, indices):
            self.echoes += 1
            if self.echoes < 20:
                node.send_steal([1])
            else:
                note("more is sent")
                node.send_runtest_some([1])
                self.tests_finished = True

    def pytest_xdist_make_scheduler(config):
        return Scheduler(config)
    """
    )
    pytester.makepyfile("from notes import note\ndef test_0(): note('test 0')\ndef test_1(): note('test 1')")

    assert run("-n1", "-p", "no:phases").ret == 0

    assert [line for line in notes.lines if "completed" not in line] == [
        "main more is sent", "gw0 test 0", "gw0 test 1",
    ]  # fmt: skip


# Fact 2: the parking item, and taking it back ---------------------------------------------------


class InOrder:
    """A plugin that runs items in a given order, as a worker does; `parking` is an item of ours."""

    def __init__(self, names: str) -> None:
        self.names = names.split()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run each item with the one behind it as what comes next, and the last with none."""
        control = Control(lambda report: None, lambda: None)
        session.config.pluginmanager.register(control)
        items = {item.name: item for item in session.items}
        items["parking"] = ControlItem.of(session, "parking", control.park)
        order = [items[name] for name in self.names]
        for item, nextitem in zip(order, [*order[1:], None], strict=True):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        return True


@pytest.mark.parametrize(
    ("order", "modules"),
    [
        ("test_1 test_2 parking parking", ["up", "down"]),
        ("test_1 parking test_2 parking", ["up", "down", "up", "down"]),
    ],
    ids=["behind", "between"],
)
def test_fact_02_a_parking_item_between_tests_of_a_module_costs_a_set_up(
    order, modules, pytester, run_inside, notes, monkeypatch
):
    """So it has to be taken back before more is sent; the session is set up once in any case."""
    monkeypatch.syspath_prepend(notes.file.parent)
    pytester.makepyfile(
        """
        import pytest
        from notes import note

        @pytest.fixture(scope="session")
        def wide():
            note("session up")
            yield
            note("session down")

        @pytest.fixture(scope="module", autouse=True)
        def middle(wide):
            note("module up")
            yield
            note("module down")

        def test_1(): pass
        def test_2(): pass
        """
    )

    result = run_inside(plugins=(InOrder(order),))

    noted = [line.split()[1:] for line in notes.lines]
    assert [when for scope, when in noted if scope == "module"] == modules
    assert (noted[0], noted[-1]) == (["session", "up"], ["session", "down"])
    reports = result.getreports("pytest_runtest_logreport")
    assert [report.location[2] for report in reports] == ["test_1"] * 3 + ["test_2"] * 3


class Sent:
    """A channel that keeps what is sent; `gateway` is what a worker asks for locks and events."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.gateway = SimpleNamespace(id="gw0", execmodel=get_execmodel("thread"))

    def send(self, message: Any) -> None:
        """Keep it."""
        self.messages.append(message)


@pytest.mark.parametrize(
    ("queued", "given", "left"),
    [([3, 4, 9], [9], [3, 4]), ([3, 4], [], [3, 4])],
    ids=["queued last", "reached already"],
)
def test_fact_02_a_worker_gives_back_what_is_still_queued(queued, given, left, pytester):
    """Only that, and it answers in any case; what it holds for next is no longer in the queue."""
    channel = Sent()
    config = pytester.parseconfig("-p", "no:phases")
    config.workerinput = {"workerid": "gw0", "testrunuid": "some"}
    worker = WorkerInteractor(config, channel)

    worker.handle_command(("runtests", {"indices": queued}))
    worker.handle_command(("steal", {"indices": [9]}))
    worker.handle_command(Marker.SHUTDOWN)

    assert channel.messages == [("unscheduled", {"indices": given})]
    assert [worker.torun.get() for _ in range(len(left) + 1)] == [*left, Marker.SHUTDOWN]


# Fact 3: what the controller takes ----------------------------------------------------------------


@pytest.fixture
def controller(pytester):
    """xdist's end of one worker on the controller; `events` are what it makes of messages."""
    events: list[Any] = []
    manager = SimpleNamespace(specs=["popen"], testrunuid="some")
    channel = Sent()
    node = WorkerController(manager, channel.gateway, pytester.parseconfig("-p", "no:phases"), events.append)
    node.channel = channel
    return SimpleNamespace(node=node, events=events)


def test_fact_03_extra_keys_of_an_event_are_dropped(controller):
    """So nothing of ours can travel with the node ids."""
    node, ids = controller.node, ["test_a.py::test_a"]

    node.process_from_remote(("collectionfinish", {"topdir": "/", "ids": ids, "phases": ["1"]}))

    assert controller.events == [("collectionfinish", {"node": node, "ids": ids})]


def test_fact_03_an_unknown_event_ends_the_worker(controller, capsys):
    """So nothing of ours can travel as an event of its own."""
    controller.node.process_from_remote(("phases_table", {}))

    ((name, _),) = controller.events
    assert name == "errordown"
    assert controller.node.shutting_down
    assert "unknown event: phases_table" in capsys.readouterr().out


def test_fact_03_a_channel_works_both_ways_and_knows_no_gap(pytester, run, notes):
    """The worker answers on what it was given; messages and events arrive in the order they were sent in."""
    pytester.makeconftest(
        """
        import pytest
        from notes import note

        class Controller:
            def pytest_configure_node(self, node):
                put = node.putevent
                node.putevent = lambda event: (note("event", event[0]), put(event))
                channel = node.gateway.newchannel()
                channel.setcallback(lambda message: note("message", message))
                node.workerinput["channel"] = self.channel = channel

            def pytest_testnodeready(self):
                self.channel.send("greeting")

        class Worker:
            def __init__(self, config):
                self.channel = config.workerinput["channel"]

            @pytest.hookimpl(wrapper=True)
            def pytest_collection_finish(self):
                self.channel.send(self.channel.receive())
                yield
                self.channel.send("after ids")

            @pytest.hookimpl(wrapper=True)
            def pytest_runtest_logreport(self, report):
                self.channel.send("before " + report.when)
                yield
                self.channel.send("after " + report.when)

        def pytest_configure(config):
            is_worker = hasattr(config, "workerinput")
            config.pluginmanager.register(Worker(config) if is_worker else Controller())
        """
    )
    pytester.makepyfile("def test_1(): pass")

    assert run("-n1", "-p", "no:phases").ret == 0

    reports = [
        line
        for when in ("setup", "call", "teardown")
        for line in (f"message before {when}", "event testreport", f"message after {when}")
    ]
    assert notes.of("main") == [
        "event workerready",
        "message greeting", "event collectionfinish", "message after ids",
        "event logstart", *reports, "event logfinish",
        "event runtest_protocol_complete",
        "event workerfinished",
    ]  # fmt: skip


def test_fact_03_what_is_sent_before_the_channel_itself_is_dropped():
    """So a worker that has its channel is written to, and none before."""
    gateway = execnet.makegateway("popen")
    passed = gateway.newchannel()
    passed.send("too early")
    channel = gateway.remote_exec("""
        passed = channel.receive()
        channel.send("has it")
        channel.send(passed.receive(timeout=30))
    """)
    channel.send(passed)
    assert channel.receive(timeout=30) == "has it"

    passed.send("in time")

    assert channel.receive(timeout=30) == "in time"
    gateway.exit()


def test_fact_05_reports_say_which_item_of_which_worker_they_are_of(pytester, run, notes):
    """A report has the index of its item among those of its worker, which tells two of one node id apart."""
    pytester.makeconftest(
        """
        from notes import note

        def pytest_collection_modifyitems(items):
            items.append(items[0])

        def pytest_runtest_logreport(report):
            if report.when == "call" and hasattr(report, "node"):
                note(report.node.gateway.id, report.item_index, report.nodeid)
        """
    )
    pytester.makepyfile(test_some="def test_1(): pass\ndef test_2(): pass")

    assert run("-n1", "-p", "no:phases").ret == 0

    assert notes.of("main") == [f"gw0 {index} test_some.py::test_{name}" for index, name in enumerate("121")]


def test_fact_11_xdist_replaces_a_worker_that_is_well(pytester, run, notes):
    """`DSession._clone_node` starts a worker that collects everything afresh; the old one ends in peace."""
    pytester.makeconftest(
        SCHEDULER
        + """
        def schedule(self):
            if len(self.collections) == 1:
                with open("built.py", "w") as file:
                    file.write("VALUE = 'built anew'")
                clone = self.dsession._clone_node(self.nodes[0])
                note("clone", clone.gateway.id)
                self.nodes[0].shutdown()
            else:
                self.nodes[-1].send_runtest_some([0])
                self.tests_finished = True

    def pytest_xdist_make_scheduler(config):
        return Scheduler(config)
    """
    )
    pytester.makepyfile(
        built="VALUE = 'old'",
        test_some="from notes import note\nfrom built import VALUE\nnote(VALUE)\ndef test_0(): note('ran')",
    )

    result = run("-n1", "-p", "no:phases")

    assert (result.ret, result.parseoutcomes()) == (0, {"passed": 1})
    assert (notes.of("gw0"), notes.of("gw1")) == (["old"], ["built anew", "ran"])
    assert "clone gw1" in notes.of("main")
