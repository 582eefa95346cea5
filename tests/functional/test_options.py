"""Options and ini settings: which plan, which workers, which phases, and what a machine must offer."""

from __future__ import annotations

import pytest

TWO = """\
### Phase 1: First
tests: [test_a.py]
### Phase 2: Second
tests: [test_b.py]
"""


@pytest.fixture
def project(pytester, plan, journal, monkeypatch):
    """A plan of two phases with one test each, which note that they ran; `auto` means one worker here."""
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "1")
    note = "from journal import note\ndef test_{0}(): note('{0}')\n"
    pytester.makepyfile(test_a=note.format("a"), test_b=note.format("b"))
    plan(TWO)
    return pytester


def workers_of(result: pytest.RunResult) -> str:
    """What the header says of workers: `1 worker`."""
    (line,) = [line for line in result.outlines if line.startswith("phases: ") and "schedule" in line]
    return line.split(", ")[2]


# Where the plan lies ----------------------------------------------------------------------------


def test_a_plan_that_moves_the_rootdir_is_refused(project, run, refused, journal):
    """pytest takes a plan beside an ini file for a path, and that folder for the rootdir: say so."""
    folder = project.path / "docs" / ".plans"
    folder.mkdir(parents=True)
    (project.path / "plan.md").rename(folder / "plan.md")
    (folder / "pytest.ini").touch()
    (problem,) = refused(run("--phases", "docs/.plans/plan.md"))
    assert "write --phases=docs/.plans/plan.md for " in problem
    assert "--rootdir=DIR" in problem
    assert journal.names == []
    assert run("--phases=docs/.plans/plan.md", "-n0").ret == pytest.ExitCode.OK
    assert journal.names == ["a", "b"]


@pytest.mark.parametrize("settled", [["--rootdir=."], ["-c", "pytest.ini"], ["test_a.py", "test_b.py"], []])
def test_a_rootdir_that_is_settled_is_left_alone(settled, project, run, journal):
    """With `--rootdir`, an ini file or test paths, and without any, the plan may lie anywhere below."""
    if "-c" in settled:
        project.makefile(".ini", pytest="[pytest]\n")
    project.mkdir("docs")
    (project.path / "plan.md").rename(project.path / "docs" / "plan.md")
    result = run("--phases", "docs/plan.md", "-n0", *settled)
    assert result.ret == pytest.ExitCode.OK, result.stderr.str()
    assert journal.names == ["a", "b"]


def test_a_plan_of_another_project_is_read_from_there(project, run, refused, journal, monkeypatch):
    """A plan beside the rootdir works with `=`, and is refused without where it would move the rootdir."""
    inside = project.mkdir("inside")
    for name in ("test_a.py", "test_b.py"):
        (project.path / name).rename(inside / name)
    monkeypatch.chdir(inside)
    assert len(refused(run("--phases", "../plan.md"))) == 1
    result = run("--phases=../plan.md", "-n1")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str() + result.stderr.str()
    assert journal.names == ["a", "b"]


# The ini file -------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [[], ["--cov=."]], ids=["plain", "cov"])
def test_ini_settings_are_defaults(more, project, run, journal, monkeypatch):
    """`phases_plan` is relative to the ini file and means `-n auto`, as `--phases` does; with `--cov` too."""
    project.makeini("[pytest]\nphases_plan = plan.md\nphases_schedule = flow\nphases_dir = build/state\n")
    monkeypatch.chdir(project.mkdir("sub"))
    result = run(*more, "..")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str() + result.stderr.str()
    assert workers_of(result) == "1 worker"
    assert "created: 1/1 worker" in result.stdout.str()
    assert "schedule flow" in result.stdout.str()
    assert (project.path / "build" / "state" / "PARALLEL_STATUS.json").exists()
    assert not (project.path / ".phases").exists()
    assert journal.names == ["a", "b"]


def test_options_beat_the_ini_file(project, plan, run, monkeypatch):
    """`--phases`, `--phases-schedule`, `--phases-dir` and `-n` replace what the ini file says."""
    project.makeini("[pytest]\nphases_plan = nowhere.md\nphases_schedule = flow\nphases_dir = never\n")
    monkeypatch.chdir(project.mkdir("sub"))
    result = run("--phases=../plan.md", "--phases-schedule=waves", "--phases-dir=here", "-n0", "..")
    assert result.ret == pytest.ExitCode.OK, result.stderr.str()
    assert "schedule waves" in result.stdout.str()
    assert "created:" not in result.stdout.str()
    assert (project.path / "sub" / "here" / "PARALLEL_STATUS.json").exists()
    assert not (project.path / "never").exists()


def test_mistakes_in_the_ini_file_are_told(project, run, refused):
    """A schedule that does not exist and a plan that is not there are usage errors."""
    project.makeini("[pytest]\nphases_plan = plan.md\nphases_schedule = wave\n")
    (problem,) = refused(run())
    assert "phases_schedule = wave: write one of waves, flow" in problem
    project.makeini("[pytest]\nphases_plan = plans.md\n")
    (problem,) = refused(run())
    assert problem.startswith("plans.md: there is no such plan")


# Workers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "workers"),
    [
        pytest.param([], "1 worker", id="auto"),
        pytest.param(["-n2"], "2 workers", id="n2"),
        pytest.param(["--pdb"], None, id="pdb"),
        pytest.param(["-p", "no:xdist"], None, id="no-xdist"),
        pytest.param(["--tx=popen"], "1 worker", id="tx"),
    ],
)
@pytest.mark.usefixtures("project")
def test_a_plan_runs_on_workers_or_in_one_process(how, workers, run, journal):
    """`--phases` alone means `-n auto`; `--pdb` and a missing xdist run the same order in one process."""
    result = run("--phases", "plan.md", *how)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str() + result.stderr.str()
    assert workers_of(result) == (workers or "1 worker")
    assert ({record["worker"] for record in journal.records} == {"master"}) == (workers is None)
    assert journal.names == ["a", "b"]


@pytest.mark.usefixtures("project")
def test_the_plugin_can_be_switched_off(project, run, refused, journal):
    """With `-p no:phases` there is no option `--phases`, and an ini file's plan is not looked at."""
    result = run("-p", "no:phases", "--phases", "plan.md")
    assert refused(result)
    assert "unrecognized arguments: --phases" in result.stderr.str()
    project.makeini("[pytest]\naddopts = -p no:phases\n")
    assert run().ret == pytest.ExitCode.OK
    assert journal.names == ["a", "b"]
    assert not (project.path / ".phases").exists()


# Phases on their own ------------------------------------------------------------------------------

FOUR = """\
### Phase 1: Build
Build:
```bash
touch built
```
### Phase 2: Streams
#### Stream A: One
tests: [test_a.py]
#### Stream B: Other
tests: [test_b.py]
### Phase integration: Third
tests: [test_c.py]
requires: [env:NOWHERE_SET]
"""


@pytest.mark.parametrize(
    ("only", "ran"),
    [("2", {"a", "b"}), ("2/A", {"a"}), ("Phase 2/B", {"b"}), ("2/A, phase 1", {"a"})],
)
def test_only_takes_the_named_phases_alone(only, ran, project, plan, run, journal):
    """`--phases-only` runs a phase or a stream without what it depends on, and asks for nothing of others."""
    plan(FOUR)
    project.makepyfile(test_c="def test_c(): pass")
    result = run("--phases", "plan.md", "-n0", "--phases-only", only)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str() + result.stderr.str()
    assert set(journal.names) == ran
    assert (project.path / "built").exists() == ("1" in only)


@pytest.mark.usefixtures("project")
def test_only_names_the_nearest_id_for_one_it_does_not_know(plan, run, refused, journal):
    """Unknown ids are told together, once the markers are known."""
    plan("### Phase build: A\ntests: [test_a.py]\n### Phase unit: B\ntests: [test_b.py]\n")
    problems = refused(run("--phases", "plan.md", "-n0", "--phases-only", "biuld,7"))
    assert problems == [
        "--phases-only biuld: there is no such phase; did you mean `build`?",
        "--phases-only 7: there is no such phase; known are `build`, `unit`",
    ]
    assert journal.names == []


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
@pytest.mark.usefixtures("project")
def test_only_needs_phases(workers, run, refused, journal):
    """Without a plan and without markers there is nothing to take alone, and nothing runs instead."""
    (problem,) = refused(run(workers, "--phases-only", "2"))
    assert "there is neither a plan nor a phase marker" in problem
    assert journal.names == []


# Prerequisites ------------------------------------------------------------------------------------

NEEDY = """\
### Phase 1: Build
dependencies: []
requires: [env:NOWHERE_SET, cmd:no-such-command]
Build: wheel
outputs: [dist/wheel.txt]
```bash
touch ran
```
### Phase 2: Test
dependencies: [1]
requires: [file:no-such-file, env:NOWHERE_SET, file:dist/wheel.txt]
tests: [test_a.py]
### Phase 3: Other
requires: [port:127.0.0.1:1, python:no-such-distribution>=2]
tests: [test_b.py]
"""


@pytest.mark.parametrize(
    ("how", "status"),
    [("-n2", pytest.ExitCode.USAGE_ERROR), ("--phases-dry-run", pytest.ExitCode.OK)],
    ids=["run", "dry-run"],
)
def test_everything_that_is_missing_is_listed_and_nothing_runs(how, status, project, plan, run, journal):
    """NO-GO: each prerequisite once, with its phases and how to get it; a run ends as a usage error."""
    plan(NEEDY)
    result = run("--phases", "plan.md", how)
    text = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in text
    assert result.ret == status, text
    assert "NO-GO: 5 prerequisites are missing, nothing was run" in text
    for line in (
        "  env:NOWHERE_SET (phases 1, 2): set the environment variable NOWHERE_SET",
        "  cmd:no-such-command (phase 1): install no-such-command",
        "  file:no-such-file (phase 2): there is no no-such-file",
        "  port:127.0.0.1:1 (phase 3): nothing listens at 127.0.0.1:1",
        "  python:no-such-distribution>=2 (phase 3): pip install ",
    ):
        assert line in text
    assert journal.names == []
    assert not (project.path / "ran").exists()


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
@pytest.mark.usefixtures("project")
def test_what_a_stage_promised_is_looked_for_when_the_phase_opens(workers, plan, run, journal, phases):
    """A phase whose file was not made is red with the reason; its tests are blocked and others go on."""
    plan(
        "### Phase 1: Build\nBuild:\noutputs: [dist]\n```bash\nmkdir dist; touch dist/one\n```\n"
        "### Phase 2: Has it\ndependencies: [1]\nrequires: [file:dist/one]\ntests: [test_a.py]\n"
        "### Phase 3: Lacks it\ndependencies: [1]\nrequires: [file:dist/two]\ntests: [test_b.py]\n"
    )
    result = run("--phases", "plan.md", workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    ended = phases()
    assert {name: phase["state"] for name, phase in ended.items()} == {"1": "green", "2": "green", "3": "red"}
    assert ended["3"]["reason"].startswith("file:dist/two is missing: ")
    assert ended["3"]["tests"]["blocked"] == 1
    assert journal.names == ["a"]


# Dry run ------------------------------------------------------------------------------------------

SHOWN = """\
wave 1
  phase 1 (Build)
    build crew: stage build-first
    testing crew: stage testing-second, after build-first
wave 2
  phase 2 (Test), needs 1, serial
    requires cmd:sh
    testing crew: 1 test
    stream 2/A (Part)
      testing crew: 1 test
  then sync point Half way
wave 3
  phase 3 (Later), needs 1
    testing crew: 1 module collected when the phase opens
whenever a worker would idle
  unphased: 1 test
"""


@pytest.mark.parametrize("how", [["-n4", "--cov"], ["-p", "no:xdist"]], ids=["workers", "no-xdist"])
def test_a_dry_run_shows_what_would_run_and_runs_nothing(how, project, plan, run, journal):
    """Waves, dependencies, crews, stages, tests, prerequisites; exit status 0, and not a trace of a run."""
    plan(
        "### Phase 1: Build\ndependencies: []\nBuild: first\n```bash\ntouch ran\n```\n"
        "Testing: second\nneeds: [build-first]\n```bash\ntouch ran\n```\n"
        "### Phase 2: Test\ndependencies: [1]\nserial: true\nrequires: [cmd:sh]\ntests: [test_a.py]\n"
        "#### Stream A: Part\ntests: [test_b.py]\n### Sync: Half way\n"
        "### Phase 3: Later\ndependencies: [1]\ntests: [test_built.py]\n"
    )
    project.makepyfile(test_built="import not_yet_built\n", test_c="def test_c(): pass\n")
    result = run("--phases", "plan.md", "--phases-dry-run", *how)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str() + result.stderr.str()
    assert SHOWN in result.stdout.str() + "\n"
    assert "created:" not in result.stdout.str()
    assert journal.names == []
    assert not (project.path / "ran").exists()
    assert not (project.path / ".phases").exists()


@pytest.mark.usefixtures("project")
def test_a_dry_run_counts_what_was_selected(run):
    """`-k` leaves its tests to the dry run as to a run."""
    result = run("--phases", "plan.md", "--phases-dry-run", "-k", "test_b")
    assert result.ret == pytest.ExitCode.OK
    assert result.stdout.str().count("1 test") == 1


def test_a_dry_run_works_with_markers_alone(pytester, run, journal):
    """Without a plan the markers are shown; without either it says that there is neither."""
    pytester.makepyfile(
        test_m="import pytest\n@pytest.mark.phase(1, name='Only')\ndef test_m(): raise SystemExit\n"
    )
    result = run("--phases-dry-run")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["wave 1", "  phase 1 (Only)", "    testing crew: 1 test"])
    pytester.makepyfile(test_m="def test_m(): raise SystemExit\n")
    result = run("--phases-dry-run")
    assert result.ret == pytest.ExitCode.OK
    assert "there is neither a plan nor a phase marker" in result.stdout.str()
