"""Stages as real processes: what they are given, how they end, and that nothing of them is left."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from pytest_phases.model import Language
from pytest_phases.stages import supervision
from pytest_phases.stages.process import Ending, end_all, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stages run on Linux and macOS")

DAEMON = """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        code = "import time, sys; print('up', flush=True); time.sleep(1000)"
        os.execl(sys.executable, sys.executable, "-c", code, os.environ["MARK"])
    os._exit(0)
os.wait()
"""
"""A script that leaves a process behind which is in a session of its own and has no parent in the stage."""


@pytest.mark.parametrize(
    ("script", "language", "described"),
    [
        ("true", Language.BASH, "exit status 0"),
        ("exit 3", Language.BASH, "exit status 3"),
        ("false\ntrue", Language.BASH, "exit status 1"),
        ("false | true", Language.BASH, "exit status 1"),
        ("false\ntrue", Language.SH, "exit status 1"),
        ("import sys\nsys.exit(4)", Language.PYTHON, "exit status 4"),
        ("kill -KILL $$", Language.BASH, "ended by signal SIGKILL"),
        ("import os\nos.abort()", Language.PYTHON, "ended by signal SIGABRT"),
    ],
)
def test_an_end_is_described(scene: Any, script: str, language: Language, described: str) -> None:
    """A script is one whole, stops at its first failure, and how it ended is told in a few words."""
    ending = scene.run(script, language)
    assert ending.describe() == described
    assert ending.ok is (described == "exit status 0")


def test_a_stage_is_given_folder_environment_and_no_input(scene: Any) -> None:
    """It runs where it is told to, with the environment it is given and a token, and reads nothing."""
    ending = scene.run("cat; pwd -P; echo $GREETING $PHASES_TREE", GREETING="hello")
    folder, line = ending.tail.splitlines()
    assert folder == str(scene.folder.resolve())
    assert re.fullmatch(r"hello ([0-9a-f]{32}:)*[0-9a-f]{32}", line)


def test_python_is_the_one_that_runs_this(scene: Any) -> None:
    """A Python stage runs in the interpreter of the run."""
    assert scene.run("import sys; print(sys.executable)", Language.PYTHON).tail == sys.executable


def test_output_and_errors_stand_in_the_log_in_their_order(scene: Any) -> None:
    """Both streams are one, and a last line without newline is a line."""
    scene.run("echo one; echo two >&2; printf three")
    assert scene.log.read_text() == "one\ntwo\nthree"


def test_binary_output_is_kept_as_it_is(scene: Any) -> None:
    """The log has the bytes; the tail is text."""
    ending = scene.run(r"printf '\000\377\n\r'")
    assert scene.log.read_bytes() == b"\x00\xff\n\r"
    assert ending.tail == "\ufffd\ufffd\n"


def test_a_stage_may_close_its_output(scene: Any) -> None:
    """The end of the output is not the end of the stage."""
    ending = scene.run("exec >&- 2>&-; sleep 0.05; exit 5")
    assert ending.describe() == "exit status 5"


def test_secrets_are_masked_in_log_and_tail(scene: Any) -> None:
    """Also when a secret is printed in two parts."""
    script = "printf 'a hunter2'; sleep 0.05; echo hunter3 b"
    assert scene.run(script, MY_TOKEN="hunter2hunter3").tail == "a *** b"
    assert scene.log.read_text() == "a *** b\n"


def test_a_log_that_cannot_be_written_does_not_fail_a_stage(scene: Any) -> None:
    """The stage runs to its end, and the warning says what is missing."""
    (scene.folder / "logs").write_text("a file where a folder should be")
    ending = scene.run("echo printed")
    assert (ending.ok, ending.tail) == (True, "printed")
    assert "could not be written" in ending.unwritten


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"env": {"PATH": "/nowhere"}}, "bash was not found on PATH: install it"),
        (
            {"cwd": Path("/no/such/folder")},
            "the stage cannot run in the folder /no/such/folder: No such file",
        ),
        ({"script": "x" * 3_000_000}, "bash could not be started: Argument list too long"),
        ({"script": "a\0b"}, "bash could not be started: embedded null byte"),
    ],
)
def test_what_cannot_be_started_is_told(scene: Any, change: dict[str, Any], problem: str) -> None:
    """A stage that cannot be started ends with a problem that says why, and its log says it too."""
    ending = run(replace(scene.command("true"), **change))
    assert ending.problem.startswith(problem)
    assert not ending.ok
    assert ending.problem in scene.log.read_text()


def test_a_timeout_ends_the_whole_tree(scene: Any) -> None:
    """Children, a daemon in a session of its own, and the script itself are gone."""
    daemon = f"{shlex.quote(sys.executable)} -c {shlex.quote(DAEMON)}"
    ending = scene.run(f"{daemon}; sleep $MARK & sleep $MARK", timeout=0.5)
    assert ending.timed_out
    assert ending.describe() == "timed out after 0.5 s"
    assert scene.running() == []
    assert "pytest-phases: timed out after 0.5 s" in scene.log.read_text()


def test_a_script_may_clean_up_when_its_time_is_over(scene: Any) -> None:
    """SIGTERM comes first, and what is printed then is in the log."""
    ending = scene.run("trap 'echo cleaned up; exit 9' TERM; sleep $MARK & wait", timeout=0.3)
    assert (ending.timed_out, ending.exit_code, ending.tail) == (True, 9, "cleaned up")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("trap '' TERM; while :; do sleep $MARK; done", id="ignores SIGTERM"),
        pytest.param("kill -STOP $$; sleep $MARK", id="is stopped"),
        pytest.param("while :; do sleep $MARK & done", id="forks fast"),
        pytest.param("f() { sleep $MARK & f & }; f; wait", id="forks in a chain"),
    ],
)
def test_a_timeout_ends_what_resists(scene: Any, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """What does not heed SIGTERM, cannot hear it, or is faster than one look, is killed."""
    monkeypatch.setattr(supervision, "GRACE", 0.3)
    ending = scene.run(f"ulimit -u 3000; {script}", timeout=0.2)
    assert (ending.timed_out, ending.warning) == (True, "")
    assert scene.running() == []


def test_what_a_stage_leaves_running_is_ended_and_named(scene: Any) -> None:
    """A daemon that holds the output open does not hold up the run."""
    ending = scene.run(DAEMON, Language.PYTHON)
    assert ending.ok
    [left] = ending.left
    assert re.fullmatch(r"\d+ python.*", left)
    assert f"pytest-phases: ended 1 process that the stage left running: {left}\n" in scene.log.read_text()
    assert scene.running() == []


def test_many_leftovers_are_counted(scene: Any) -> None:
    """The log names ten of them, the ending all."""
    ending = scene.run("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep $MARK & done")
    assert len(ending.left) == 12
    assert re.search(r"ended 12 processes .* and 2 more\n", scene.log.read_text())


def test_what_ends_by_itself_was_not_left_running(scene: Any) -> None:
    """A filter on the script's output may finish its work after the script."""
    ending = scene.run("exec > >(sleep 0.05; cat); echo all of it")
    assert (ending.left, ending.tail) == ((), "all of it")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper, which Linux alone has")
def test_on_linux_even_a_daemon_without_environment_is_ended(scene: Any) -> None:
    """What has left the session and has no token any more is still inherited by the supervisor."""
    ending = scene.run("setsid env -i sleep $MARK & disown; sleep 0.1")
    assert [left.split()[1] for left in ending.left] == ["sleep"]
    assert scene.running() == []


def test_a_supervisor_that_is_killed_is_noticed(scene: Any) -> None:
    """The worker then ends the tree itself and says what happened."""
    ending = scene.run("sleep $MARK & kill -KILL $PPID; sleep $MARK")
    assert ending.problem == "the supervisor of the stage died"
    assert scene.running() == []


def test_a_supervisor_that_does_not_answer_is_replaced(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time of the stage is long over, the worker ends the supervisor and the tree."""
    monkeypatch.setattr(supervision, "PATIENCE", 0.3)
    ending = scene.run("kill -STOP $PPID; sleep $MARK", timeout=0.2)
    assert ending.problem == "the supervisor of the stage did not answer"
    assert scene.running() == []


class Alarm(BaseException):
    """What a timeout's signal handler may raise."""


def test_an_exception_raised_while_waiting_ends_the_tree_first(scene: Any) -> None:
    """A signal handler that raises in the main thread, as pytest-timeout's does, is heard at once."""

    def raise_alarm(number: int, frame: FrameType | None) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, raise_alarm)
    try:
        with pytest.raises(Alarm):
            scene.run("echo begun; sleep $MARK & kill -ALRM $WORKER; sleep $MARK")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert scene.running() == []
    assert scene.log.read_text() == "begun\npytest-phases: ended by Alarm\n"


def test_ctrl_c_ends_the_tree(scene: Any) -> None:
    """A worker that is interrupted goes when its stage is gone, and not before."""
    worker = scene.worker("sleep $MARK & sleep $MARK")
    worker.send_signal(signal.SIGINT)
    _, errors = worker.communicate()
    assert "KeyboardInterrupt" in errors
    assert scene.running() == []


@pytest.mark.parametrize(
    "script", ["sleep $MARK & sleep $MARK", "trap '' TERM HUP INT; while :; do sleep $MARK; done"]
)
@pytest.mark.parametrize("kill", [os.kill, os.killpg], ids=["worker", "group"])
def test_a_worker_that_is_killed_takes_its_stage_along(
    scene: Any, eventually: Any, script: str, kill: Any
) -> None:
    """SIGKILL of the worker, or of its whole process group, leaves nothing behind."""
    worker = scene.worker(script)
    kill(worker.pid, signal.SIGKILL)
    worker.communicate()
    assert eventually(scene.nothing_runs)


@pytest.mark.skipif(sys.platform != "linux", reason="opens a pipe a second time through /proc")
def test_whoever_else_holds_the_lifeline_does_not_keep_the_stage_alive(scene: Any, eventually: Any) -> None:
    """A forked child of the worker may; the supervisor sees that its parent is gone all the same."""
    worker = scene.worker("echo $PPID > supervisor; sleep $MARK")
    supervisor = (scene.folder / "supervisor").read_text().strip()
    lifeline = os.open(f"/proc/{supervisor}/fd/0", os.O_WRONLY)
    worker.kill()
    assert eventually(scene.nothing_runs)
    os.close(lifeline)


def test_a_stage_inside_a_stage_ends_with_it(scene: Any) -> None:
    """A run started by a stage has supervisors of its own; the outer one ends them and their trees."""
    inner = shlex.join(scene.worker_argv(f"{DAEMON}\nimport time; time.sleep(1000)", Language.PYTHON))
    ending = scene.run(f"{inner} & until grep -q up worker.log; do sleep 0.05; done 2>/dev/null")
    assert ending.ok
    assert len(ending.left) >= 4, "the inner worker, its supervisor, its script and the daemon"
    assert scene.running() == []


def test_all_stages_can_be_ended_from_another_thread(scene: Any, eventually: Any) -> None:
    """When the controller is lost, `end_all` makes every `run` return with a problem."""
    thread = threading.Thread(target=lambda: eventually(scene.running) and end_all())
    thread.start()
    ending = scene.run("sleep $MARK")
    thread.join()
    assert ending.problem == "the run it belongs to was ended"
    assert scene.running() == []


def test_ending_all_without_a_stage_does_nothing() -> None:
    """`end_all` may be called at any time."""
    end_all()


PEAK = """
import os, re, resource, sys
from pathlib import Path
from pytest_phases.model import Language
from pytest_phases.stages.process import Command, run

def peak():
    status = Path("/proc/self/status")
    if status.exists():  # getrusage also counts the parent's memory before the start of this program
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before = peak()
script = "yes 'a line that is printed again and again' | head -c 200000000 || true"
env = {**os.environ, "A_TOKEN": "a line that is not printed"}
assert run(Command(script, Language.BASH, Path.cwd(), env, None, Path("big.log"))).ok
print(peak() - before, Path("big.log").stat().st_size)
"""


def test_output_of_any_size_costs_little_memory(scene: Any) -> None:
    """Two hundred megabytes go to the log, and the worker grows by less than ten."""
    output = subprocess.check_output([sys.executable, "-c", PEAK], cwd=scene.folder, env=scene.env, text=True)
    growth, size = map(int, output.split())
    assert size == 200_000_000
    assert growth < 10_000_000


def test_the_supervisor_is_light() -> None:
    """Its start is paid by every stage: it loads nothing but a few modules of the standard library."""
    code = f"{supervision.SUPERVISOR[4].partition('; main()')[0]}; print(*sys.modules)"
    loaded = subprocess.check_output(
        [*supervision.SUPERVISOR[:4], code, supervision.SUPERVISOR[5]], text=True
    )
    assert "pytest_phases.stages.supervisor" in loaded.split()
    assert not {"pytest", "dataclasses", "json", "typing", "pathlib", "asyncio"} & set(loaded.split())


def test_an_ending_is_ok_only_without_any_blemish() -> None:
    """Exit status 0 counts for nothing once the time was over or the supervisor was lost."""
    assert Ending(exit_code=0).ok
    assert not Ending(exit_code=0, timed_out=True, timeout=3).ok
    assert not Ending(exit_code=0, problem="the supervisor of the stage died").ok


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (200, "200")])
def test_signals_without_a_name_are_shown_by_number(number: int, name: str) -> None:
    """A real-time signal has no name of its own."""
    assert Ending(signal=number).describe() == f"ended by signal {name}"
