"""What a phase requires of the machine, and what is said where it is not there."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_phases.model import Crew, Language, Phase, Place, Plan, Stage
from pytest_phases.plan import prerequisites
from pytest_phases.plan.prerequisites import (
    Missing,
    Prerequisite,
    Required,
    check,
    parse,
    render,
    required,
    split,
    validate,
)

PLACE = Place("plan.md", 4)


def phase(
    unit_id: str, *requires: str, outputs: tuple[str, ...] = (), streams: tuple[Phase, ...] = ()
) -> Phase:
    """A phase that requires something and makes something."""
    stage = Stage("build", Crew.BUILD, "", "make", Language.BASH, PLACE, outputs=outputs)
    stages = (stage,) if outputs else ()
    return Phase(unit_id, "", PLACE, requires=requires, stages=stages, streams=streams)


@pytest.fixture
def how(tmp_path: Path):
    """How to get one entry in an empty rootdir, or None if it is there."""

    def ask(entry: str, **environ: str) -> str | None:
        missing = check([Required("2", entry)], tmp_path, environ)
        return missing[0].how if missing else None

    return ask


@pytest.fixture
def distributions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed distributions: one with extras, a pre-release, an odd version, bad metadata."""
    metadata = {
        "alpha_dist-1.24": [
            "Name: alpha-dist",
            "Version: 1.24",
            "Provides-Extra: good",
            "Provides-Extra: bad",
            "Provides-Extra: all",
            "Requires-Dist: nowhere-dist",
            'Requires-Dist: nowhere-dist; python_version > "3"',
            'Requires-Dist: beta-dist>=1; extra == "good"',
            'Requires-Dist: beta-dist>=3; extra == "bad"',
            'Requires-Dist: nowhere-dist; extra == "bad"',
            'Requires-Dist: nowhere-dist; extra == "good" and python_version < "3"',
            'Requires-Dist: alpha-dist[good,bad,all]; extra == "all"',
        ],
        "beta_dist-2.0rc1": ["Name: beta-dist", "Version: 2.0rc1"],
        "odd_dist-odd": ["Name: odd-dist", "Version: odd"],
        "torn_dist-1": ["Name: torn-dist", "Version: 1", 'Requires-Dist: what is this?; extra == "x"'],
    }
    for name, lines in metadata.items():
        folder = tmp_path / "site" / f"{name}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))
    monkeypatch.syspath_prepend(tmp_path / "site")


@pytest.fixture
def listening() -> Iterator[str]:
    """The address of a port that answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def deaf() -> str:
    """The address of a port on which nothing listens any longer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("entry", "kind", "target"),
    [
        ("env:API_URL", "env", "API_URL"),
        ("cmd:npm", "cmd", "npm"),
        ("cmd: ./run.sh", "cmd", "./run.sh"),
        ("python:numpy>=1.26", "python", "numpy>=1.26"),
        ("python:a[x,y] >=1,<2; python_version > '3'", "python", "a[x,y] >=1,<2; python_version > '3'"),
        ("port:127.0.0.1:5432", "port", "127.0.0.1:5432"),
        ("port:localhost:1", "port", "localhost:1"),
        ("port:[::1]:65535", "port", "[::1]:65535"),
        ("file:pyproject.toml", "file", "pyproject.toml"),
        ("file:a b/c:d", "file", "a b/c:d"),
    ],
)
def test_an_entry_is_a_kind_and_a_target(entry, kind, target):
    """The first colon parts them."""
    assert parse(entry) == Prerequisite(kind, target)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            "API_URL",
            "prerequisite `API_URL` lacks a kind or what it names; write one of env:API_URL, cmd:npm",
        ),
        ("env:", "lacks a kind or what it names"),
        (":npm", "is of no known kind"),
        ("evn:API_URL", "is of no known kind; did you mean `env`?"),
        ("File:a", "is of no known kind; did you mean `file`?"),
        ("docker:postgres", "known are `env`, `cmd`, `python`, `port`, `file`"),
        ("env:A=1", "holds a blank or an equals sign; write it as in env:API_URL"),
        ("cmd:npm --version", "holds a blank or an equals sign; write it as in cmd:npm"),
        ("python:numpy=>1", "is no requirement ("),
        ("python:>=1", "is no requirement ("),
        ("port:5432", "lacks a host or a port; write it as in port:127.0.0.1:5432"),
        ("port:localhost", "lacks a host or a port"),
        ("port:localhost:http", "has no port from 1 to 65535"),
        ("port:localhost:0", "has no port from 1 to 65535"),
        ("port:localhost:65536", "has no port from 1 to 65535"),
        ("port:::1:80", "is an IPv6 address without brackets"),
        ("file:dist/*.whl", "is a glob, and one file is asked for"),
        ("env:A\x1b[31m", r"'env:A\x1b[31m' holds a control character"),
    ],
)
def test_a_malformed_entry_is_told_with_what_to_write(entry, said):
    """By one sentence, which `check` gives as well instead of raising."""
    fault = parse(entry)
    assert isinstance(fault, str)
    assert said in fault
    assert check([Required("2", entry)], Path(), {}) == (Missing("2", entry, fault),)


def test_every_malformed_entry_of_a_plan_is_a_problem_at_its_key():
    """Those of streams too; without a key, at the phase."""
    key_places = (("requires", Place("plan.md", 6)),)
    at_key = Phase("2", "", PLACE, requires=("evn:A", "cmd:npm", "port:1"), key_places=key_places)
    plan = Plan(phases=(phase("1", streams=(phase("1/A", "what"),)), at_key))
    problems = validate(plan)
    assert [(problem.slug, problem.place.line) for problem in problems] == [
        ("bad-prerequisite", 4),
        ("bad-prerequisite", 6),
        ("bad-prerequisite", 6),
    ]


def test_the_entries_of_phases_and_streams_are_listed_in_order():
    """Each with the one that requires it."""
    phases = [phase("1", "cmd:a", "cmd:b", streams=(phase("1/A", "cmd:a"),)), phase("2")]
    assert required(phases) == (Required("1", "cmd:a"), Required("1", "cmd:b"), Required("1/A", "cmd:a"))


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"API_URL": "x"}, None),
        ({}, "set the environment variable API_URL"),
        ({"API_URL": ""}, "set the environment variable API_URL, which is empty"),
    ],
)
def test_an_environment_variable_must_be_set_to_something(how, environ, said):
    """A secret that a CI does not know arrives as an empty variable."""
    assert how("env:API_URL", **environ) == said


def test_a_command_is_looked_for_on_path_and_beside_the_interpreter(how, tmp_path):
    """As a stage would find it; a path is of the rootdir."""
    tool = tmp_path / "bin" / "our-tool"
    tool.parent.mkdir()
    tool.touch(mode=0o755)
    assert how("cmd:our-tool", PATH=str(tool.parent)) is None
    assert how("cmd:bin/our-tool") is None
    assert how(f"cmd:{Path(sys.executable).name}", PATH="") is None
    assert how("cmd:our-tool", PATH="") == "install our-tool so that it is on PATH"
    assert how("cmd:./our-tool") == f"there is no executable file ./our-tool in {tmp_path}: make one"


@pytest.mark.usefixtures("distributions")
@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("alpha-dist", None),
        ("Alpha_Dist>=1.20", None),
        ("beta-dist>=1.26", None),
        ("alpha-dist[good]", None),
        ("nowhere-dist; python_version < '3'", None),
        ("alpha-dist>=1.26", "pip install 'alpha-dist>=1.26' (found alpha-dist 1.24)"),
        ("nowhere-dist", "pip install nowhere-dist (nowhere-dist is not installed)"),
        (
            "alpha-dist[bad]",
            "pip install 'alpha-dist[bad]' (found beta-dist 2.0rc1; nowhere-dist is not installed)",
        ),
        (
            "alpha-dist[all]",
            "pip install 'alpha-dist[all]' (found beta-dist 2.0rc1; nowhere-dist is not installed)",
        ),
        ("odd-dist>=1", "pip install 'odd-dist>=1' (found odd-dist odd)"),
        ("torn-dist[x]", "install torn-dist[x] anew, its metadata cannot be read ("),
    ],
)
def test_a_distribution_must_be_installed_as_required(how, requirement, said):
    """Its version, with pre-releases, and what its extras need; markers that do not apply ask nothing."""
    answer = how(f"python:{requirement}")
    assert answer == said or (said is not None and said.endswith("(") and answer.startswith(said))


def test_a_port_must_answer(how, listening, deaf):
    """Nothing is sent to it."""
    assert how(f"port:{listening}") is None
    assert how(f"port:{deaf}").startswith(f"nothing listens at {deaf}: start it (")


def test_a_host_name_that_cannot_be_one_is_missing_too(how):
    """Without a traceback from the look-up."""
    assert how(f"port:{'a' * 70}.invalid:80").startswith("nothing listens at ")


def test_ports_that_never_answer_cost_one_wait_together(monkeypatch, tmp_path):
    """A look-up that hangs is left to itself."""
    release = threading.Event()
    monkeypatch.setattr(prerequisites, "PORT_TIMEOUT", 0.01)
    monkeypatch.setattr(prerequisites, "_connect", lambda *_: release.wait())
    missing = check([Required("2", f"port:host-{n}:80") for n in range(20)], tmp_path, {})
    release.set()
    assert {item.how.partition("(")[2] for item in missing} == {"no answer in 0.01 s)"}
    assert len(missing) == 20


def test_a_file_is_of_the_rootdir(how, tmp_path):
    """A folder counts as well."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.toml").touch()
    assert how("file:conf/a.toml") is None
    assert how("file:conf/") is None
    assert how("file:b.toml") == f"there is no b.toml in {tmp_path}: make it"


def test_a_file_that_cannot_even_be_looked_at_is_missing(how):
    """For instance because its name is too long for any file system."""
    assert how("file:" + "a" * 5000) is not None


def test_each_distinct_entry_is_checked_once(listening, tmp_path, monkeypatch):
    """However many phases require it."""
    tried: list[str] = []
    connect = prerequisites._connect

    def counting(target: str, answers: dict[str, str]) -> None:
        tried.append(target)
        connect(target, answers)

    monkeypatch.setattr(prerequisites, "_connect", counting)
    assert check([Required(unit, f"port:{listening}") for unit in "123"], tmp_path, {}) == ()
    assert tried == [listening]


ANCESTORS = {"1": frozenset(), "2": frozenset({"1"}), "3": frozenset()}


@pytest.mark.parametrize(
    ("entry", "outputs", "is_later"),
    [
        ("file:dist/a.whl", ("dist/a.whl",), True),
        ("file:dist/a.whl", ("dist/",), True),
        ("file:dist/a.whl", ("./dist/*.whl",), True),
        ("file:dist", ("dist/a.whl",), True),
        ("file:dist/a.txt", ("dist/*.whl",), False),
        ("file:distant", ("dist",), False),
        ("file:dist", (), False),
        ("env:dist", ("dist",), False),
        ("evn:dist", ("dist",), False),
    ],
)
def test_a_file_that_an_ancestor_makes_is_checked_when_the_phase_opens(entry, outputs, is_later):
    """Only for phases that come after it; everything else is checked before anything runs."""
    plan = Plan(phases=(phase("1", outputs=outputs), phase("2", entry), phase("3", entry)))
    now, later = split(plan, required(plan.phases), ANCESTORS)
    assert [item.phase for item in later] == (["2"] if is_later else [])
    assert [item.phase for item in now] == (["3"] if is_later else ["2", "3"])


def test_a_phase_does_not_wait_for_a_file_of_its_own():
    """What a phase requires must be there when it opens."""
    plan = Plan(phases=(phase("1", "file:dist", outputs=("dist",)),))
    assert split(plan, required(plan.phases), ANCESTORS) == ((Required("1", "file:dist"),), ())


def test_the_message_lists_each_missing_entry_once_with_all_its_phases():
    """In the order of the plan, with how to get it."""
    missing = [
        Missing("2", "env:API_URL", "set the environment variable API_URL"),
        Missing("2", "cmd:npm", "install npm so that it is on PATH"),
        Missing("3/A", "env:API_URL", "set the environment variable API_URL"),
    ]
    assert render(missing).splitlines() == [
        "NO-GO: 2 prerequisites are missing, nothing was run",
        "  env:API_URL (phases 2, 3/A): set the environment variable API_URL",
        "  cmd:npm (phase 2): install npm so that it is on PATH",
    ]


def test_one_missing_entry_is_told_in_the_singular():
    """And none not at all."""
    assert render([Missing("2", "cmd:npm", "install it")]).startswith("NO-GO: 1 prerequisite is missing, ")
    assert render([]) == ""
