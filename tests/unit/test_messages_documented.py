"""docs/messages.md has every message, and its examples are mistakes and remedies in fact."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage
from markdown_it import MarkdownIt

from pytest_phases.collection.expressions import check_expressions
from pytest_phases.coverage.analysis import Sources
from pytest_phases.coverage.check import problems
from pytest_phases.errors import PlanError
from pytest_phases.plan.read import read_plan

PROJECT = Path(__file__).parent.parent.parent
PAGE = PROJECT / "docs" / "messages.md"
PACKAGE = PROJECT / "pytest_phases"
SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
SUFFIXES = {"markdown": "md", "toml": "toml"}
USAGE_ERROR = pytest.ExitCode.USAGE_ERROR
# Options of every run in here: one process, and a cache nobody needs.
QUICK = ("-n0", "-p", "no:cacheprovider")


# The page --------------------------------------------------------------------------------------


@dataclass
class Section:
    """A heading of the third level with its fences: `wrong` and `right` ones by language, and messages."""

    group: str
    name: str
    examples: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    messages: list[str] = field(default_factory=list)

    @property
    def is_problem(self) -> bool:
        """Whether it is about a slug; other headings begin with a capital, or are an option."""
        return SLUG.fullmatch(self.name) is not None

    def files(self, tag: str) -> dict[str, str]:
        """The fences with a tag, and those that belong to every example, by language."""
        return {**self.examples[""], **self.examples[tag]}


def _sections() -> Iterator[Section]:
    tokens = MarkdownIt().parse(PAGE.read_text(encoding="utf-8"))
    group, section = "", Section("", "")
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            text = tokens[at + 1].content
            if token.tag == "h3":
                section = Section(group, text)
                yield section
            group = text if token.tag == "h2" else group
        elif token.type == "fence":
            language, _, tag = token.info.partition(" ")
            assert tag in ("", "wrong", "right"), token.info
            if language == "text":
                section.messages += token.content.splitlines()
            else:
                assert language not in section.examples[tag], f"{section.name}: two {token.info} examples"
                section.examples[tag][language] = token.content


SECTIONS = list(_sections())
PROBLEMS = {section.name: section for section in SECTIONS if section.is_problem}
OTHERS = {section.name: section for section in SECTIONS if not section.is_problem}


# The source ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A call that takes a slug: where it is, what it is given, and whether its caller was given that."""

    module: str
    function: str
    slug: ast.expr
    is_handed_on: bool


def _modules() -> dict[str, ast.Module]:
    """The modules of the package by their paths in it."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def _makers(tree: ast.Module) -> Iterator[str]:
    """The functions and classes of a module that take a `slug`."""
    for node in ast.walk(tree):
        is_function = isinstance(node, ast.FunctionDef) and "slug" in _parameters(node)
        is_class = isinstance(node, ast.ClassDef) and any(map(_gives_slug, node.body))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and (is_function or is_class):
            yield node.name


def _gives_slug(part: ast.stmt) -> bool:
    """Whether a statement of a class is a field `slug`, or a constructor with such a parameter."""
    if isinstance(part, ast.AnnAssign):
        return isinstance(part.target, ast.Name) and part.target.id == "slug"
    return isinstance(part, ast.FunctionDef) and part.name == "__init__" and "slug" in _parameters(part)


def _parameters(function: ast.FunctionDef) -> set[str]:
    return {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}


def _calls(
    module: str, node: ast.AST, makers: set[str], function: str = "", parameters: Collection[str] = ()
) -> Iterator[Call]:
    if isinstance(node, ast.FunctionDef):
        function, parameters = node.name, _parameters(node)
    if isinstance(node, ast.Call) and _name(node.func) in makers:
        slug = _slug_of(node)
        if slug is not None:
            yield Call(module, function, slug, isinstance(slug, ast.Name) and slug.id in parameters)
    for child in ast.iter_child_nodes(node):
        yield from _calls(module, child, makers, function, parameters)


def _name(function: ast.expr) -> str:
    """The last name of what is called: `problem` of `self.report.problem`."""
    return str(getattr(function, "attr", getattr(function, "id", "")))


def _slug_of(call: ast.Call) -> ast.expr | None:
    """The first argument, or the one that is called `slug`."""
    named = (keyword.value for keyword in call.keywords if keyword.arg == "slug")
    return next(named, call.args[0] if call.args else None)


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    """Every call of the package that makes a problem."""
    trees = _modules()
    own = {module: set(_makers(tree)) for module, tree in trees.items()}
    public = {name for names in own.values() for name in names if not name.startswith("_")}
    return [call for module, tree in trees.items() for call in _calls(module, tree, own[module] | public)]


def _literals(calls: list[Call]) -> set[str]:
    return {str(call.slug.value) for call in calls if isinstance(call.slug, ast.Constant)}


def _returned_in_pairs(module: str) -> Iterator[str]:
    """The texts that begin what the functions of a module return, if it is a pair or more."""
    returns = (node for node in ast.walk(_modules()[module]) if isinstance(node, ast.Return))
    for node in (part for statement in returns for part in ast.walk(statement)):
        first = node.elts[0] if isinstance(node, ast.Tuple) and node.elts else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


# Where a slug is no literal: it is returned in a pair within the module, or comes off a channel.
COMPUTED = {("plan/labels.py", "_unknown"), ("table.py", "_problem_from_data")}


def test_every_slug_of_the_source_is_on_the_page(calls: list[Call]) -> None:
    """The headings are the slugs that the package can tell, all of them and no other."""
    in_pairs = {slug for module, _ in COMPUTED for slug in _returned_in_pairs(module)}
    assert sorted(PROBLEMS) == sorted(_literals(calls) | in_pairs)


def test_no_call_hides_its_slug(calls: list[Call]) -> None:
    """Each slug is a literal, or handed on from where it is one; the exceptions are known by name."""
    hidden = [
        call
        for call in calls
        if not (isinstance(call.slug, ast.Constant) or call.is_handed_on or _is_slug_of_error(call.slug))
    ]
    assert {(call.module, call.function) for call in hidden} == COMPUTED


def _is_slug_of_error(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "slug"


def test_every_kind_of_call_is_found(calls: list[Call]) -> None:
    """One slug for each way to tell a problem, so that a search that has gone blind is noticed."""
    assert {
        "bad-expression",  # Problem(...)
        "unclosed",  # raise BadValue(...)
        "no-phase",  # report.problem(...)
        "open-fence",  # self.report.problem(...)
        "duplicate-id",  # a module's own _problem(...)
        "no-after",  # self._problem(...)
        "not-utf8",  # _refusal(...)
    } <= _literals(calls)


def test_the_index_names_every_problem_in_order() -> None:
    """The table at the top has a row for each heading, sorted, with its anchor and its topic."""
    rows = re.findall(r"^\| \[(.*?)\]\(#(.*?)\) \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(name, name, PROBLEMS[name].group) for name in sorted(PROBLEMS)]


# Examples --------------------------------------------------------------------------------------


@pytest.fixture
def example_project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project that the page speaks of."""
    # Two examples of equal length, written within a second, look alike to a cache of byte code.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("src/api.py", "tests/test_api.py", "tests/test_web.py"):
        path = pytester.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("def test_login(): ...\n", encoding="utf-8")
    return pytester.path


def _write(files: dict[str, str], project: Path) -> Path | None:
    """Put an example where it belongs; gives the plan, if there is one."""
    plan = None
    for language, text in files.items():
        if language == "python":
            (project / "tests/test_api.py").write_text(text, encoding="utf-8")
        else:
            plan = project / f"plan.{SUFFIXES[language]}"
            bare = language == "markdown" and not text.startswith("#")
            plan.write_text(f"### Phase 1: Build\n{text}" if bare else text, encoding="utf-8")
    return plan


def _slugs(files: dict[str, str], project: Path, pytester: pytest.Pytester) -> list[str]:
    """The slugs of all that is wrong with an example: as `check` tells, or a run where tests matter."""
    plan = _write(files, project)
    if "python" in files:
        result = pytester.runpytest_inprocess(*QUICK, *([f"--phases={plan.name}"] if plan else []))
        refused = [line for line in result.errlines if line.startswith("ERROR: ")]
        in_run = [line for line in result.outlines if re.fullmatch(r"phase \S+: .* \[[a-z-]+\]", line)]
        failed = pytest.ExitCode.TESTS_FAILED if in_run else pytest.ExitCode.OK
        assert result.ret == (USAGE_ERROR if refused else failed)
        return [line.rpartition("[")[2].rstrip("]") for line in (*refused, *in_run)]
    assert plan is not None
    return _problems_of(plan, project)


def _problems_of(plan: Path, project: Path) -> list[str]:
    try:
        read_plan(plan, plan.name, project, more=(check_expressions,))
    except PlanError as error:
        return [problem.slug for problem in error.problems]
    return []


def _unreadable(project: Path) -> Path:
    return project / "no-such-plan.md"


def _with_suffix(project: Path) -> Path:
    path = project / "plan.rst"
    path.write_text("### Phase 1: Build\n", encoding="utf-8")
    return path


def _in_latin_1(project: Path) -> Path:
    path = project / "plan.md"
    path.write_text("### Phase 1: Bücher\n", encoding="latin-1")
    return path


def _with_large_stage(project: Path) -> Path:
    path = project / "plan.md"
    path.write_text(f"### Phase 1: Build\nBuild:\n```bash\n: {'x' * 100_000}\n```\n", encoding="utf-8")
    return path


# What no fence can show.
MADE = {
    "large-stage": _with_large_stage,
    "not-utf8": _in_latin_1,
    "unknown-suffix": _with_suffix,
    "unreadable-plan": _unreadable,
}


# What depends on the coverage configuration: its options in the examples.
MEASURED: dict[str, dict[str, Any]] = {
    "coverage-without-source": {},
    "covers-not-measured": {"source": ["src"]},
    "covers-nothing-measured": {},
}


@pytest.mark.parametrize("slug", MEASURED)
def test_an_example_of_a_threshold_is_the_mistake_and_its_remedy_is_none(
    slug: str, example_project: Path
) -> None:
    """As the examples below, with the plan's thresholds looked at as a run does."""
    options = MEASURED[slug]
    # coverage.py does not count a function of three dots.
    (example_project / "src/api.py").write_text("VERSION = 1\n", encoding="utf-8")
    for tag, expected in (("wrong", {slug}), ("right", set())):
        plan = _write(PROBLEMS[slug].files(tag), example_project)
        assert plan is not None
        sources = Sources(example_project, Coverage(data_file=None, config_file=False, **options))
        found = problems(read_plan(plan, plan.name, example_project), sources, lambda unit: False)
        assert {problem.slug for problem in found} == expected


@pytest.mark.parametrize("slug", [slug for slug in PROBLEMS if slug not in (*MADE, *MEASURED)])
def test_an_example_is_the_mistake_and_its_remedy_is_none(
    slug: str, example_project: Path, pytester: pytest.Pytester
) -> None:
    """What is wrong has this one problem; what to write instead has none."""
    section = PROBLEMS[slug]
    assert section.examples["wrong"], "no example of the mistake"
    assert section.examples["right"], "no example of what to write instead"
    assert set(_slugs(section.files("wrong"), example_project, pytester)) == {slug}
    assert _slugs(section.files("right"), example_project, pytester) == []


@pytest.mark.parametrize("slug", MADE)
def test_a_mistake_that_no_fence_can_show(slug: str, tmp_path: Path) -> None:
    """These files are made here, since a page cannot hold them."""
    assert not PROBLEMS[slug].examples
    assert _problems_of(MADE[slug](tmp_path), tmp_path) == [slug]


# Messages without a slug -----------------------------------------------------------------------

ONE_PHASE = {"markdown": "### Phase build: Build\n"}
FAILS_THEN_NEEDED = {
    "markdown": "### Phase 1: Api\ntests: [tests/test_api.py]\n"
    "### Phase 2: Web\ntests: [tests/test_web.py]\n",
    "python": "def test_login(): assert False\n",
}
FAILS_TO_IMPORT = {**FAILS_THEN_NEEDED, "python": "import no_such_module\n"}
MAKES_API_ANEW = {
    "markdown": "### Phase 1: Build\nBuild:\n```bash\necho 'NEW = 1' > api.py\n```\n"
    "### Phase 2: Api\ntests: [tests/test_api.py]\n",
    "python": "import api\n\ndef test_login(): ...\n",
}


@dataclass(frozen=True)
class Asked:
    """A run that says a message: its options and the files beside those of the section."""

    options: tuple[str, ...] = ("--phases=plan.md",)
    files: dict[str, str] = field(default_factory=dict)
    status: int = USAGE_ERROR


RUNS = {
    "NO-GO": Asked(),
    "Missing when its phase opens": Asked(status=1),
    "Another rootdir": Asked(("--phases", "../plans/plan.md"), ONE_PHASE),
    "A run inside a run": Asked(("--phases", "plan.md"), ONE_PHASE),
    "--dist each": Asked(("--phases=plan.md", "-n1", "--dist=each"), ONE_PHASE),
    "--phases-only": Asked(("--phases=plan.md", "--phases-only=biuld"), ONE_PHASE),
    "phases_schedule": Asked(("--phases=plan.md", "-o", "phases_schedule=wave"), ONE_PHASE),
    "Blocked by": Asked(files=FAILS_THEN_NEEDED, status=1),
    "Collection error": Asked(files=FAILS_TO_IMPORT, status=1),
    "Built anew in one process": Asked(files=MAKES_API_ANEW, status=1),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_says_what_the_page_quotes(
    name: str, example_project: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each quoted line appears in the output of a run; three dots stand for what varies."""
    section, asked = OTHERS[name], RUNS[name]
    monkeypatch.delenv("API_URL", raising=False)
    _write({**section.files(""), **asked.files}, example_project)
    if name == "Another rootdir":
        _move_plan_elsewhere(pytester, monkeypatch)
    elif name == "A run inside a run":
        monkeypatch.setenv("PHASES_RUN_ID", "1")
        monkeypatch.setenv("PHASES_PLAN", str(example_project / "plan.md"))
        monkeypatch.setenv("PHASES_STAGE", "build")
    elif name == "Built anew in one process":
        (example_project / "api.py").write_text("OLD = 1\n", encoding="utf-8")
        monkeypatch.syspath_prepend(example_project)
    result = pytester.runpytest_inprocess(*QUICK, "-rs", *asked.options)
    said = result.stdout.str() + result.stderr.str()
    assert result.ret == asked.status, said
    assert section.messages
    assert [line for line in section.messages if not re.search(_pattern(line), said)] == []


def _move_plan_elsewhere(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan in a folder beside the one that pytest is called from, which has an ini file."""
    (pytester.path / "plans").mkdir()
    (pytester.path / "plan.md").rename(pytester.path / "plans/plan.md")
    (pytester.path / "app").mkdir()
    (pytester.path / "app/pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    monkeypatch.chdir(pytester.path / "app")


def _pattern(line: str) -> str:
    return ".+?".join(map(re.escape, line.split("...")))


# Said of workers that die or differ: functional tests bring these about, here it is about the words.
QUOTED = [
    ("A worker without the plugin", "worker gw0 has no pytest-phases; install it where that worker runs"),
    ("Not collected", "1 test module not collected"),
    ("Not collected", "collected only after phase 1 had closed"),
    ("An error in a teardown", "an error in a teardown after tests/test_api.py::test_login"),
    ("An error in a teardown", "worker gw0 crashed after ..."),
    ("Different tests on different workers", "the workers collected different tests"),
    ("Different tests on different workers", "a later worker does not collect all of its tests"),
    (
        "Different tests on different workers",
        "gw3 has collected other tests than another worker; what they were built from differs",
    ),
]


@pytest.mark.parametrize(("name", "message"), QUOTED)
def test_what_the_page_quotes_is_in_the_source(name: str, message: str) -> None:
    """The page has the message, and the package has a text that reads so with its fields filled in."""
    assert message in PAGE.read_text(encoding="utf-8").partition(f"\n### {name}\n")[2].partition("\n#")[0]
    texts = [text for tree in _modules().values() for text in map(_template, ast.walk(tree)) if text]
    assert any(re.fullmatch(text, message) for text in texts)


def _template(node: ast.AST) -> str:
    """A string of the source as a pattern; empty for what is none, or has hardly a word of its own."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if not isinstance(node, ast.JoinedStr):
        return ""
    words = [str(part.value) for part in node.values if isinstance(part, ast.Constant)]
    parts = [re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*" for part in node.values]
    return "".join(parts) if len("".join(words)) > len(" no longer ") else ""


def test_every_message_without_a_slug_is_tested() -> None:
    """No heading of the page is left out of the tables above."""
    assert set(OTHERS) == {*RUNS, *(name for name, _ in QUOTED)}
