"""Deploy stages: only when asked for, only when the gate is green, last, one by one, by no worker."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

import pytest

PLAN = """
### Phase 1: Library
tests: [test_library.py]

Build: build
```bash
echo "$PHASES_STAGE" >> built.log
```

### Gate: Release
{gate}
{deploys}
"""
STAGE = "Deploy: {name}\n```bash\n{script}\n```\n\n"
NOTE = 'echo "$PHASES_STAGE" >> deployed.log; echo {said}'


def deploys(**scripts):
    """Deploy stages by their names."""
    return "".join(STAGE.format(name=name, script=script) for name, script in scripts.items())


def note(said="done"):
    """A script that writes down that it ran, and where."""
    return NOTE.format(said=said)


def files(gate="", deploy=None, **more):
    """The files of a project with deploy stages; what stages write is ignored."""
    text = (
        deploys(build=note("the wheel is out"), announce=note("told everybody")) if deploy is None else deploy
    )
    plan = PLAN.format(gate=gate, deploys=text)
    return {"plan.md": plan, ".gitignore": "*.log\njunit.xml\n", **more}


def deployed(project):
    """The lines that deploy stages wrote down."""
    log = project.path / "deployed.log"
    return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def project(new_project):
    """A project with a Build stage, and a Deploy stage of the same name among two."""
    return new_project(files())


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_nothing_is_deployed_unless_asked_for(workers, project):
    """A green run succeeds without; no deploy stage is run as the Build stage of its name."""
    ran = project.run(workers)

    assert (ran.exit, ran.gate) == (0, "gate (Release): green")
    assert (project.path / "built.log").read_text() == "build-build\n"
    assert deployed(project) == []
    assert project.verdict["deploys"] == []


@pytest.mark.parametrize(
    "args", [("-k", "build"), ("plan.md::gate::build",), ("plan.md::gate::deploy-build",)]
)
def test_a_deploy_stage_cannot_be_selected(args, project):
    """No selection of tests and stages reaches a deploy stage."""
    project.run("-n0", *args)

    assert deployed(project) == []


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_green_gate_is_deployed(workers, project):
    """Each stage runs once, in the order of the plan, with its output shown; the verdict lists them."""
    ran = project.run(workers, "--phases-deploy")

    assert ran.exit == 0, ran.output
    assert deployed(project) == ["deploy-build", "deploy-announce"]
    assert (project.path / "built.log").read_text() == "build-build\n"
    lines = ran.output.splitlines()
    places = [
        next(number for number, line in enumerate(lines) if said in line)
        for said in ("phase 1 (Library) is green", "deploying: stage deploy-build", "the wheel is out",
                     "deploying: stage deploy-announce", "told everybody", "gate (Release): green")
    ]  # fmt: skip
    assert places == sorted(places)
    assert [(each["stage"], each["ok"]) for each in project.verdict["deploys"]] == [
        ("deploy-build", True), ("deploy-announce", True),
    ]  # fmt: skip
    assert project.gate().decision == "green"


def test_deploying_begins_when_every_worker_has_ended(new_project):
    """The teardown of a session fixture is over in all workers by then."""
    conftest = """
        import os, pytest, time

        @pytest.fixture(scope="session", autouse=True)
        def slow():
            yield
            time.sleep(0.3)
            open(f"{os.environ.get('PYTEST_XDIST_WORKER')}.ended.log", "w").close()
        """
    script = "ls *.ended.log > deployed.log"
    project = new_project(files(
        deploy=deploys(look=script),
        **{"conftest.py": "\n".join(line.removeprefix("        ") for line in conftest.splitlines())},
    ))  # fmt: skip

    assert project.run("-n2", "--phases-deploy").exit == 0

    ended = sorted(path.name for path in project.path.glob("gw*.ended.log"))
    assert sorted(deployed(project)) == ended
    assert ended


def test_output_is_shown_while_a_stage_runs(new_project):
    """A stage that waits for somebody who reads its output is heard."""
    script = (
        "echo are you there; for i in $(seq 200); do test -e heard.log && exit 0; sleep 0.1; done; exit 1"
    )
    project = new_project(files(deploy=deploys(ask=script)))

    with project.started("-n0", "--phases-deploy") as process:
        for line in process.stdout:
            if "are you there" in line:
                (project.path / "heard.log").touch()
        assert process.wait(30) == 0


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps is not installed")
def test_a_deploy_stage_is_started_by_no_worker(new_project):
    """The process that was started starts it, or rather the supervisor of the stage."""
    project = new_project(files(deploy=deploys(ask='echo "started by" $(ps -o ppid= -p $PPID)')))

    with project.started("-n1", "--phases-deploy") as process:
        output = process.stdout.read()
        assert process.wait(30) == 0

    assert f"started by {process.pid}\n" in output


NOT_GREEN = {
    "red": (files(**{"test_library.py": "def test_double(): assert False\n"}), (), "red"),
    "pending": (files(gate="approvals: [security]"), (), "pending"),
    "incomplete": (files(), ("-k", "not zero"), "incomplete"),
    "incomplete, only phases of another gate": (files(), ("--phases-only=1",), "incomplete"),
    "a condition of the project": (
        files(**{"conftest.py": "def pytest_phases_gate_check(): return 'it is Friday'\n"}),
        (),
        "red",
    ),
}


@pytest.mark.parametrize(("contents", "args", "decision"), NOT_GREEN.values(), ids=NOT_GREEN)
def test_a_gate_that_is_not_green_is_not_deployed(contents, args, decision, new_project):
    """Whoever asks to deploy then has exit status 1, and nothing is started."""
    project = new_project(contents)

    ran = project.run("-n0", "--phases-deploy", *args)

    assert ran.exit == 1, ran.output
    assert f"gate (Release): {decision}" in ran.output
    assert "deploying" not in ran.output
    assert deployed(project) == []
    assert project.verdict["deploys"] == []


def test_a_run_with_nothing_to_run_is_not_deployed(project):
    """Nothing collected, nothing proven, and nothing of the run before is used."""
    assert project.run("-n0").exit == 0

    ran = project.run("-n0", "--phases-deploy", "-m", "none")

    assert ran.exit == 1
    assert deployed(project) == []


@pytest.mark.parametrize(
    ("script", "ending"),
    [
        pytest.param("echo no; exit 3", "3", id="fails"),
        pytest.param("kill -9 $$", "signal", id="is killed"),
    ],
)
def test_a_deploy_stage_that_fails_is_the_last(script, ending, new_project):
    """The run fails, what follows is not started, and the verdict says which stage failed and how."""
    project = new_project(files(deploy=deploys(first=note(), second=script, third=note())))

    ran = project.run("-n0", "--phases-deploy")

    assert ran.exit == 1, ran.output
    assert deployed(project) == ["deploy-first"]
    first, second = project.verdict["deploys"]
    assert (first["stage"], first["ok"]) == ("deploy-first", True)
    assert (second["stage"], second["ok"]) == ("deploy-second", False)
    assert ending.lower() in second["ending"].lower() or "SIGKILL" in second["ending"]
    assert f"stage deploy-second: {second['ending']}" in ran.output
    # What was tested may still be deployed, so the gate itself stays green.
    assert project.gate().decision == project.verdict["decision"] == "green"


def test_a_deploy_stage_that_runs_into_its_timeout(new_project):
    """A deploy stage is ended after its timeout, like any other stage."""
    stage = "Deploy: slow\ntimeout: 1s\n```bash\nsleep 60\n```\n"
    project = new_project(files(deploy=stage))

    began = time.monotonic()
    ran = project.run("-n0", "--phases-deploy")

    assert ran.exit == 1
    assert time.monotonic() - began < 50
    assert [each["ok"] for each in project.verdict["deploys"]] == [False]


def test_a_deploy_stage_may_ask_the_gate(new_project):
    """A script that is careful enough to call `pytest-phases gate` itself sees that it is green."""
    command = f"{sys.executable} -c 'from pytest_phases.cli import main; main()' gate --json > gate.log"
    project = new_project(files(deploy=deploys(careful=command, careless=note())))

    ran = project.run("-n2", "--phases-deploy")

    assert ran.exit == 0, ran.output
    assert json.loads((project.path / "gate.log").read_text())["decision"] == "green"
    assert deployed(project) == ["deploy-careless"]


def test_deploying_again_is_one_more_run(project):
    """Each run deploys once, and its verdict tells of its own stages."""
    for times in (1, 2):
        assert project.run("-n0", "--phases-deploy").exit == 0
        assert len(deployed(project)) == 2 * times
        assert len(project.verdict["deploys"]) == 2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "### Phase 1: Library\ntests: [test_library.py]\n### Gate: Release\n", id="a gate without stages"
        ),
        pytest.param("### Phase 1: Library\ntests: [test_library.py]\n", id="no gate"),
    ],
)
def test_a_plan_that_deploys_nothing_is_told(text, new_project):
    """Asking to deploy by a plan without deploy stages is a mistake, told before anything runs."""
    project = new_project({"plan.md": text})

    ran = project.run("-n0", "--phases-deploy")

    assert ran.exit == pytest.ExitCode.USAGE_ERROR, ran.output
    assert "--phases-deploy" in ran.output
    assert "Deploy:" in ran.output


def test_asking_to_deploy_without_a_plan_is_told(new_project):
    """So is asking without a plan."""
    project = new_project()
    command = [word for word in project.command("-n0", "--phases-deploy") if not word.startswith("--phases=")]

    done = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False)

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--phases-deploy" in done.stderr + done.stdout


@pytest.mark.parametrize("option", ["--phases-dry-run", "--collect-only"])
def test_looking_deploys_nothing(option, project):
    """What runs nothing deploys nothing."""
    project.run("-n0", "--phases-deploy", option)

    assert deployed(project) == []
