"""What a plan in Markdown says: phases, keys, stages, streams, sync points, the gate and prose."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_phases.graph import build
from pytest_phases.model import UNPHASED, Crew, Language, Phase, Plan, Selector, Task
from pytest_phases.plan.checks import check
from pytest_phases.plan.markdown import read_markdown

SHARED = Path(__file__).parents[4] / "shared" / "plans"


def read(*lines: str) -> Plan:
    """The plan of these lines, in which nothing is wrong."""
    plan, problems = read_markdown("\n".join(lines), "plan.md")
    assert problems == ()
    return plan


def only_phase(*lines: str) -> Phase:
    """The one phase of a plan whose heading is above these lines."""
    (phase,) = read("### Phase 1: Setup", *lines).phases
    return phase


def test_a_phase_is_a_heading_with_its_keys_below() -> None:
    """Id, name and line come from the heading, everything else from the keys."""
    phase = only_phase(
        "dependencies: []",
        "tests: [tests/a.py, -m slow]",
        "covers: [src/a]",
        "coverage: 85",
        "modifies: [src/a/]",
        "reads: [src/common/]",
        "locks: [db]",
        "requires: [env:API_URL, python:numpy>=1.26]",
        "serial: true",
        "serialize: true",
        "enforce: true",
        "timeout: 10m",
    )
    assert (phase.id, phase.name, phase.place.line) == ("1", "Setup", 1)
    assert phase.states_deps
    assert [str(selector) for selector in phase.tests] == ["tests/a.py", "-m 'slow'"]
    assert (phase.covers, phase.coverage) == (("src/a",), 85.0)
    assert (phase.modifies, phase.reads, phase.locks) == (("src/a/",), ("src/common/",), ("db",))
    assert phase.requires == ("env:API_URL", "python:numpy>=1.26")
    assert phase.serial
    assert phase.serialize
    assert phase.enforce
    assert phase.timeout == 600


@pytest.mark.parametrize(
    ("line", "coverage", "ratchet"),
    [
        ("coverage: 85", 85.0, False),
        ("coverage: ratchet", None, True),
        ("**Coverage**: Ratchet", None, True),
        ("coverage: none", None, False),
        ("Owner: me", None, False),
    ],
)
def test_a_threshold_is_a_number_or_what_was_reached_before(
    line: str, coverage: float | None, ratchet: bool
) -> None:
    """`ratchet` stands in place of the number, on a phase and on a stream."""
    phase = only_phase(line, "#### Stream A: a", line)
    assert [(unit.coverage, unit.ratchet) for unit in phase.units] == [(coverage, ratchet)] * 2


@pytest.mark.parametrize(
    ("line", "enforce"),
    [
        ("enforce: true", True),
        ("Enforce: False", False),
        ("enforce: none", None),
        ("Owner: me", None),
    ],
)
def test_a_phase_says_whether_it_is_watched_or_leaves_it_to_the_plan(line: str, enforce: bool | None) -> None:
    """No word about it differs from `false`."""
    assert only_phase(line, "modifies: [src]").enforce is enforce


@pytest.mark.parametrize(
    ("lines", "enforce"),
    [
        (["# Title", "enforce: true"], True),
        (["# Title", "", "**Enforce**: True", "", "Prose."], True),
        (["# Title", "Owner: me", "goes on", "", "<!-- remark -->", "enforce: true"], True),
        (["Prose.", "", "## Title", "enforce: true"], True),
        (["Title", "=====", "enforce: true"], True),
        (["# Title", "enforce: `true`"], True),
        (["# Title", "enforce: [true]"], True),
        (["# Title", "enforce: false"], False),
        (["# Title", "enforce: none"], False),
        (["# Title"], False),
    ],
)
def test_what_holds_for_the_whole_plan_stands_below_its_title(lines: list[str], enforce: bool) -> None:
    """Directly below the first heading, of whatever level; phases are none the wiser."""
    plan = read(*lines, "", "### Phase 1: A", "modifies: [src]", "tests: [a]")
    assert plan.enforce is enforce
    assert plan.phases[0].enforce is None
    assert plan.notes == ()


def test_a_first_heading_that_is_a_phase_has_the_keys_of_a_phase() -> None:
    """There is no title then, and what stands below it is the phase's."""
    plan = read("# Phase 1: A", "enforce: true", "modifies: [src]")
    assert (plan.enforce, plan.phases[0].enforce) == (False, True)


@pytest.mark.parametrize(
    ("lines", "noted"),
    [
        (["enforce: true"], [2]),
        (["enforce: false"], []),
        (["enforce: true", "modifies: [src]"], []),
        (["enforce: true", "Build:", "modifies: [dist]", "```", "make", "```"], []),
        (["enforce: true", "#### Stream A: a", "modifies: [src]"], []),
        (["modifies: [src]", "#### Stream A: a", "enforce: true"], [4]),
    ],
)
def test_watching_without_a_boundary_is_noted(lines: list[str], noted: list[int]) -> None:
    """The note stands at the key; a phase also watches for its streams."""
    plan = read("### Phase 1: A", *lines, "#### Stream Z: z", "tests: [a]")
    assert [note.place.line for note in plan.notes] == noted


@pytest.mark.parametrize(
    ("heading", "unit_id", "name"),
    [
        ("# Phase 0: Zero", "0", "Zero"),
        ("###### Phase 1.5: Between", "1.5", "Between"),
        ("## phase security: Audit", "security", "Audit"),
        ("## Phase 1.10:", "1.10", ""),
        ("## **Phase 2: Bold**", "2", "Bold"),
        ("## Phase 2: Trailing marks ##", "2", "Trailing marks"),
        ("Phase 2: Underlined\n===", "2", "Underlined"),
        ("## Phase 2 : With: colons", "2", "With: colons"),
        ("## Phase grün: Umlaut", "grün", "Umlaut"),
    ],
)
def test_any_heading_level_and_any_id(heading: str, unit_id: str, name: str) -> None:
    """A number or a word is an id; the level of the heading does not matter."""
    (phase,) = read(heading).phases
    assert (phase.id, phase.name) == (unit_id, name)


@pytest.mark.parametrize(
    "text",
    [
        "dependencies: [1, 2]",
        "deps: [1, 2]",
        "DEPS: 1, 2",
        "**Dependencies**: Phase 1, Phase 2",
        "**Dependencies:** [1, 2]",
        "__deps__: [1,2,]",
        "**deps: [1, 2]**",
        "dependencies: ['1', \"2\"]",
        "dependencies:\n- 1\n- Phase 2",
        "dependencies:\n\n* 1\n\n* 2",
        "dependencies:\n- 1\n- 2\ncoverage: 85",
        "\ndependencies: [1, 2]",
        "**Goal**: words that\ngo on\n\ndependencies: [1, 2]",
        "<!-- a remark -->\ndependencies: [1, 2]",
    ],
)
def test_every_way_to_write_a_list(text: str) -> None:
    """Any case, bare or bold, on one line or as a bullet list: the value is the same."""
    plan = read("## Phase 1: A", "deps: none", "## Phase 2: B", "deps: -", "## Phase 3: C", text)
    assert plan.phases[2].deps == ("1", "2")


def test_bullet_lists_of_two_keys_may_follow_each_other() -> None:
    """Markdown makes one list of them; the keys are told apart all the same."""
    phase = only_phase("tests:", "- a.py", "- b.py", "covers:", "- src", "locks: [db]")
    assert [selector.place.line for selector in phase.tests] == [3, 4]
    assert (phase.covers, phase.locks) == (("src",), ("db",))


def test_words_that_are_no_key_are_prose() -> None:
    """A line `word: value` of a plan that people already have changes nothing."""
    phase = only_phase("Owner: the team", "**Note**: Phase 3 can wait", "Outputs: a wheel", "coverage: 80")
    assert phase.coverage == 80


def test_without_stated_dependencies_each_phase_needs_the_one_above() -> None:
    """Nothing says who needs what, so the order of the plan does, and streams do not count."""
    plan = read(
        *("## Phase 1: A", "### Stream X: x", "tests: [a]", "### Stream Y: y", "deps: [X]"),
        *("## Phase b: B", "tests: [b]", "## Phase 3: C", "tests: [c]"),
    )
    assert [phase.deps for phase in plan.phases] == [(), ("1",), ("b",)]
    assert not any(phase.states_deps for phase in plan.phases)
    assert plan.notes == ()


def test_who_alone_states_no_dependencies_is_named() -> None:
    """It starts at once, or as soon as a sync point lets it, and a note says so."""
    tests = "tests: [a.py]"
    plan = read(
        "## Phase 1: A", tests, "## Phase 2: B", "deps: [1]", tests, "## Sync: S", "## Phase 3: C", tests
    )
    assert [(note.place.line, note.text.partition(";")[0]) for note in plan.notes] == [
        (1, "phase 1 states no dependencies and starts at once"),
        (
            7,
            "phase 3 states no dependencies and starts as soon as "
            "the sync point above it (plan.md:6) is passed",
        ),
    ]


def test_the_objective_and_the_checklist_are_kept() -> None:
    """Both are shown in reports; a line that goes on belongs to what it continues."""
    phase = only_phase(
        "**Objective**: Set up",
        "the project",
        "",
        "Tasks:",
        "- [ ] write",
        "  more",
        "- [x] read",
        "",
        "- not one of them",
    )
    assert phase.objective == "Set up the project"
    assert phase.tasks == (Task("write more", done=False), Task("read", done=True))


@pytest.mark.parametrize(
    ("lines", "stage_id", "crew", "language"),
    [
        (["Build:", "```", "make", "```"], "build", Crew.BUILD, Language.BASH),
        (["Build: the Wheel!", "```bash", "make", "```"], "build-the-wheel", Crew.BUILD, Language.BASH),
        (["TESTING:", "```shell", "make", "```"], "testing", Crew.TESTING, Language.BASH),
        (["Test: it", "```sh", "make", "```"], "testing-it", Crew.TESTING, Language.SH),
        (["Tests:", "~~~python", "make()", "~~~"], "testing", Crew.TESTING, Language.PYTHON),
        (["**Testing:**", "```py", "make()", "```"], "testing", Crew.TESTING, Language.PYTHON),
        (["**Testing**: x", "````Bash", "```", "````"], "testing-x", Crew.TESTING, Language.BASH),
        (["Build:", "", "", '```bash title="x"', "make", "```"], "build", Crew.BUILD, Language.BASH),
        (["prose before", "Build:", "```", "make", "```"], "build", Crew.BUILD, Language.BASH),
        (["#### Details", "Build:", "```", "make", "```"], "build", Crew.BUILD, Language.BASH),
    ],
)
def test_a_label_above_a_fence_makes_a_stage(
    lines: list[str], stage_id: str, crew: Crew, language: Language
) -> None:
    """In any case, bare or bold, with or without a name and blank lines."""
    (stage,) = only_phase(*lines).stages
    assert (stage.id, stage.crew, stage.language) == (stage_id, crew, language)
    assert stage.place.line == 2 + next(
        number for number, line in enumerate(lines) if line.strip("*").lower().startswith(("build", "test"))
    )


def test_a_stage_has_keys_between_label_and_fence() -> None:
    """They may stand in the label's paragraph or in one of their own."""
    first, second = only_phase(
        "Build: wheel",
        "cwd: pkg",
        "timeout: 1h30m",
        "",
        "outputs:",
        "- dist",
        "",
        "```bash",
        "make",
        "```",
        "Testing: smoke",
        "needs: [wheel]",
        "```bash",
        "./run",
        "```",
    ).stages
    assert (first.cwd, first.timeout, first.outputs) == ("pkg", 5400, ("dist",))
    assert (second.name, second.needs) == ("smoke", ("build-wheel",))


def test_a_stage_has_claims_and_variables_of_its_own() -> None:
    """They are those of its process; a variable counts once."""
    phase = only_phase(
        "locks: [db]", "Build:", "env: [CC, CFLAGS, CC]", "Modifies: [dist]", "reads:", "- src", "- doc",
        "locks: cc", "```", "make", "```",
    )  # fmt: skip
    (stage,) = phase.stages
    assert stage.env == ("CC", "CFLAGS")
    assert (stage.modifies, stage.reads, stage.locks) == (("dist",), ("src", "doc"), ("cc",))
    assert phase.locks == ("db",)


def test_a_script_is_kept_as_it_is() -> None:
    """Blank lines, comments and inner fences are part of it, and CRLF becomes LF."""
    text = "## Phase 1: A\r\nBuild:\r\n````bash\r\n# one\r\n\r\n\tcat <<X\r\n```\r\nX\r\n````\r\n"
    plan, problems = read_markdown("\ufeff" + text, "plan.md")
    assert problems == ()
    assert plan.phases[0].stages[0].run == "# one\n\n\tcat <<X\n```\nX\n"


def test_unnamed_stages_are_numbered_by_crew() -> None:
    """The second of a crew is `crew-2`, and names do not count."""
    fence = ["```", "make", "```"]
    stages = only_phase(
        "Build:", *fence, "Testing:", *fence, "Build: x", *fence, "Build:", *fence, "Build:", *fence
    ).stages
    assert [stage.id for stage in stages] == ["build", "testing", "build-x", "build-2", "build-3"]


@pytest.mark.parametrize("need", ["wheel", "build-wheel"])
def test_a_need_is_a_name_or_an_id(need: str) -> None:
    """Either way the model holds the id."""
    stages = only_phase(
        "Testing: a", f"needs: {need}", "```", "x", "```", "Build: wheel", "```", "y", "```"
    ).stages
    assert stages[0].needs == ("build-wheel",)


@pytest.mark.parametrize(
    "lines",
    [
        ["```bash", "make", "```"],
        ["Build:", "Words between.", "", "More of them.", "", "```bash", "make", "```"],
        ["Testing: by hand, and now and then with this:", "Words.", "```bash", "make", "```"],
        ["Build the wheel", "```bash", "make", "```"],
        ["Then we", "Build wheels", "```bash", "make", "```"],
        ["Build", "```text", "make", "```"],
        ["Next:", "```bash", "make", "```"],
        ["Deploy staging", "```bash", "make", "```"],
        ["- Build: wheel", "  ```bash", "  make", "  ```"],
        ["> Build: wheel", "> ```bash", "> make", "> ```"],
        ["Builder:", "```bash", "make", "```"],
        ["Build:", "<!-- a remark -->", "```bash", "make", "```"],
    ],
)
def test_every_other_fence_is_prose_and_listed(lines: list[str]) -> None:
    """Without a label directly above it at top level a fence is never run."""
    plan = read("## Phase 1: A", "Words.", "", *lines)
    assert plan.phases[0].stages == ()
    assert [note.text.partition("  ")[2] for note in plan.prose] == ["make"]


@pytest.mark.parametrize(
    ("lines", "line", "text"),
    [
        (
            ["```bash", "make", "```"],
            2,
            "this bash fence has no label and is not run; write Build: or Testing: ",
        ),
        (["Words.", "```python", "x", "```", "```sh", "x", "```"], 3, "this python fence has no label"),
        (["### Stream A: a", "```sh", "make", "```"], 3, "this sh fence has no label"),
        (
            ["Words.", "```", "tree", "```"],
            1,
            "phase 1 names no tests and no stages; only markers can fill it",
        ),
        (["- one", "", "  ```bash", "  make", "  ```"], 1, "phase 1 names no tests and no stages"),
        ([], 1, "phase 1 names no tests and no stages; only markers can fill it"),
    ],
)
def test_a_phase_that_names_nothing_to_run_is_noted_once(lines: list[str], line: int, text: str) -> None:
    """The note stands at its first script without a label, or at its heading."""
    (note,) = read("## Phase 1: A", *lines).notes
    assert note.place.line == line
    assert note.text.startswith(text)


@pytest.mark.parametrize(
    "holds", ["tests: [a.py]", "Build:\n```\nmake\n```", "### Stream A: a\ntests: [a.py]"]
)
def test_a_phase_with_something_to_run_is_not_noted(holds: str) -> None:
    """Prose beside tests and stages is nothing to speak of."""
    assert read("## Phase 1: A", holds, "", "```bash", "make", "```").notes == ()


def test_a_labelled_fence_outside_every_phase_is_prose() -> None:
    """A heading of the phase's level or higher ends it, and what follows is no part of it."""
    plan = read("### Phase 1: A", "## Notes", "Build:", "```", "make", "```")
    assert (plan.phases[0].stages, len(plan.prose)) == ((), 1)


@pytest.mark.parametrize(
    ("script", "selected"),
    [
        ("pytest tests/a.py", ["tests/a.py"]),
        ("pytest", ["every other test"]),
        ("python -m pytest -q -v a.py::T::t[x-y]  # why", ["a.py::T::t[x-y]"]),
        (
            "# first\npytest a b -k 'x or y' -m \"not z\"",
            ["a -k 'x or y' -m 'not z'", "b -k 'x or y' -m 'not z'"],
        ),
        ("pytest b\n\npytest -m slow\npytest a", ["b", "-m 'slow'", "a"]),
        ("pytest tests/test_*.py -kfast", ["tests/test_*.py -k 'fast'"]),
    ],
)
@pytest.mark.parametrize("label", ["Testing:", "Build: x"])
def test_plain_pytest_calls_select_tests(label: str, script: str, selected: list[str]) -> None:
    """They are no stage: the tests run in this same run, each call with its own line."""
    phase = only_phase(label, "```bash", *script.split("\n"), "```")
    assert phase.stages == ()
    assert [str(selector) for selector in phase.tests] == selected


def test_a_selector_of_a_fence_knows_its_line() -> None:
    """A message about it can point to the call."""
    phase = only_phase("Testing:", "```", "# a", "pytest a.py", "```")
    assert [selector.place.line for selector in phase.tests] == [5]


def test_what_is_left_over_stands_last() -> None:
    """`pytest` without arguments is the rest, wherever it is written."""
    phase = only_phase("tests: [z.py]", "Test:", "```", "pytest", "pytest a.py", "```")
    assert [selector.is_rest for selector in phase.tests] == [False, False, True]


def test_a_pytest_call_inside_a_script_is_pointed_out() -> None:
    """It is a process of its own, and whoever wrote it may have meant otherwise."""
    plan = read("## Phase 1: A", "Testing:", "```", "make", "pytest a.py | tee log", "```")
    assert [stage.id for stage in plan.phases[0].stages] == ["testing"]
    assert [note.place.line for note in plan.notes] == [5]


def test_streams_are_deeper_headings_of_a_phase() -> None:
    """They have keys, stages and tests of their own and name their siblings."""
    plan = read(
        "## Phase 1: Core",
        "coverage: 85",
        "#### Stream A: One",
        "tests: [a.py]",
        "#### Stream B: Two",
        "deps: [A]",
        "Build:",
        "```",
        "make",
        "```",
        "#### Remarks",
        "Testing:",
        "```",
        "./own",
        "```",
        "## Phase 2: After",
        "deps: [Phase 1/A]",
    )
    (core, after) = plan.phases
    assert [(stream.id, stream.name, stream.deps) for stream in core.streams] == [
        ("1/A", "One", ()),
        ("1/B", "Two", ("1/A",)),
    ]
    assert [stage.id for stage in core.streams[1].stages] == ["build"]
    # The heading of prose at the level of the streams leads back to the phase.
    assert [stage.id for stage in core.stages] == ["testing"]
    assert after.deps == ("1/A",)


def test_sync_points_and_the_gate() -> None:
    """A sync point knows what stands above it; the gate has its own keys and `Deploy:`."""
    plan = read(
        "# Release",
        "## Phase 1: A",
        "## Phase 2: B",
        "## Sync: Frozen",
        "coverage: 80%",
        "## Phase 3: C",
        "## Sync:",
        "## Gate: Deployment",
        "phases: [Phase 1, 3]",
        "coverage: 85.5",
        "approvals: [security, code-review]",
        "Deploy: it",
        "```bash",
        "./deploy.sh",
        "```",
    )
    assert plan.title == "Release"
    assert [(sync.name, sync.above, sync.coverage) for sync in plan.syncs] == [
        ("Frozen", ("1", "2"), 80.0),
        ("", ("1", "2", "3"), None),
    ]
    assert plan.gate is not None
    assert (plan.gate.phases, plan.gate.coverage) == (("1", "3"), 85.5)
    assert plan.gate.approvals == ("security", "code-review")
    assert [(stage.id, stage.crew) for stage in plan.gate.stages] == [("deploy-it", Crew.DEPLOY)]


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("[Phase 1, 2/A]", ("1", "2/A")),
        ("unphased", (UNPHASED,)),
        ("true", ("1", "2", UNPHASED)),
        ("True", ("1", "2", UNPHASED)),
        ("false", ()),
        ("none", ()),
    ],
)
def test_what_the_gate_allows_to_be_empty(value: str, ids: tuple[str, ...]) -> None:
    """A list of ids, or `true` for every phase of the gate."""
    plan = ("## Phase 1: A", "## Phase 2: B", "### Stream A: x", "## Phase 3: C", "## Gate: G")
    gate = read(*plan, "phases: [1, 2/A]", f"allow_empty: {value}").gate
    assert gate is not None
    assert gate.allow_empty == ids


def test_without_phases_the_gate_allows_any_to_be_empty() -> None:
    """`true` stands for every phase, since the gate looks at every one."""
    gate = read("## Phase 1: A", "## Phase 2: B", "## Gate: G", "allow_empty: true").gate
    assert gate is not None
    assert gate.allow_empty == ("1", "2", UNPHASED)


def test_a_phase_that_is_called_true_is_meant_by_its_id() -> None:
    """A word that is an id allows no other phase to be empty."""
    gate = read("## Phase true: A", "## Phase 2: B", "## Gate: G", "allow_empty: true").gate
    assert gate is not None
    assert gate.allow_empty == ("true",)


def test_who_may_sign_an_approval() -> None:
    """One path; without approvals it has no effect, which is worth knowing."""
    plan = read("## Phase 1: A", "## Gate: G", "approvals_signers: keys/signers")
    assert plan.gate is not None
    assert plan.gate.approvals_signers == "keys/signers"
    assert [note.place.line for note in plan.notes if "approvals_signers" in note.text] == [3]
    signed = read("## Phase 1: A", "## Gate: G", "approvals: [me]", "approvals_signers: keys/signers")
    assert not any("approvals_signers" in note.text for note in signed.notes)


def test_a_pytest_call_to_deploy_stays_a_script() -> None:
    """The gate selects no tests."""
    gate = read("## Phase 1: A", "## Gate: G", "Deploy:", "```", "pytest smoke", "```").gate
    assert gate is not None
    assert [stage.run for stage in gate.stages] == ["pytest smoke\n"]


@pytest.mark.parametrize(
    ("lines", "tests"),
    [
        (["tests: [a.py]", "", "```bash", "prose", "```"], ["a.py"]),
        (["tests: tests/unit", "```bash", "prose", "```"], ["tests/unit"]),
        (["tests: unit", "coverage: 80"], ["unit"]),
        (["tests: unit", "timeout: 10m"], ["unit"]),
        (["tests: unit", "coverage: 80", "", "```bash", "prose", "```"], ["unit"]),
        (["Tests: unit", "```bash", "pytest a.py", "```"], ["a.py"]),
    ],
)
def test_tests_is_a_key_or_a_label_by_what_follows(lines: list[str], tests: list[str]) -> None:
    """Above a fence `Tests: unit` is a label with a name, and a path is the value of the key."""
    assert [str(selector) for selector in only_phase(*lines).tests] == tests


def test_keys_know_their_lines() -> None:
    """A message about a value points to its key, and comparisons do not see the difference."""
    phase = only_phase("coverage: 80", "modifies: [src]")
    assert {key: place.line for key, place in phase.key_places} == {"coverage": 2, "modifies": 3}
    assert phase == Phase("1", "Setup", phase.place, coverage=80.0, modifies=("src",))


def test_selectors_of_a_list_know_their_lines() -> None:
    """Each bullet has a line of its own."""
    phase = only_phase("tests:", "- a.py", "- b.py -m slow")
    assert phase.tests == (
        Selector(phase.tests[0].place, "a.py"),
        Selector(phase.tests[1].place, "b.py", mark="slow"),
    )
    assert [selector.place.line for selector in phase.tests] == [3, 4]


@pytest.mark.parametrize(
    ("name", "waves"),
    [
        ("parallel-example.md", (("1",), ("2", "3"), ("4",))),
        ("streams-example.md", (("0",), ("1",), ("2",), ("3",))),
    ],
)
def test_plans_that_people_already_have(name: str, waves: tuple[tuple[str, ...], ...]) -> None:
    """They are read as they are, without a problem, and in the waves their authors meant."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    plan, problems = read_markdown(path.read_text(encoding="utf-8"), name)
    assert (problems, check(plan), plan.notes) == ((), (), ())
    assert build(plan).waves == waves
