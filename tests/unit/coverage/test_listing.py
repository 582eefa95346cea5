"""Which files on the disk a threshold is judged over."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from coverage import Coverage
from coverage.plugin import CoveragePlugin, FileReporter

from pytest_phases.coverage.analysis import ScopeError, Sources, attribute

Make = Callable[[Mapping[str, str]], Path]

FILES = dict.fromkeys(
    "src/a/__init__.py src/a/core.py src/a/sub/__init__.py src/a/sub/deep.py src/a/plain/loose.py "
    "src/a/notes.md src/b.py src/a/.hidden/x.py src/a/.#core.py src/env/pyvenv.cfg src/env/lib/y.py "
    "src/gui.pyw tests/test_a.py bin/noise".split(),
    "a = 1\n",
) | {"bin/tool": "#!/usr/bin/env python3\na = 1\n"}
A = "src/a/__init__.py src/a/core.py src/a/plain/loose.py src/a/sub/__init__.py src/a/sub/deep.py"


def listed(root: Path, covers: str, **options: Any) -> str:
    """The files of `covers`, both separated by spaces; options are those of `Coverage`."""
    own = Sources(root, Coverage(data_file=None, config_file=False, **options))
    return " ".join(own.files(covers.split()))


@pytest.mark.parametrize(
    ("covers", "files"),
    [
        pytest.param("src/a/core.py", "src/a/core.py", id="a file"),
        pytest.param("src/a", A, id="a folder, with those below it that are no packages"),
        pytest.param("src/a/", A, id="a folder with a slash"),
        pytest.param("src", f"{A} src/b.py src/gui.pyw", id="neither hidden files nor virtual environments"),
        pytest.param("src/a src/a/core.py ./src/a", A, id="each file once"),
        pytest.param("src/*.py", "src/b.py", id="a glob"),
        pytest.param("src/**/deep.py", "src/a/sub/deep.py", id="a glob of any depth"),
        pytest.param("src/a/s*", "src/a/sub/__init__.py src/a/sub/deep.py", id="a glob that names a folder"),
        pytest.param("bin/*", "bin/tool", id="a script without suffix that says it is Python"),
        pytest.param("src/a/notes.md", "", id="nothing that is no Python"),
        pytest.param("nowhere nowhere/*.py", "", id="nothing that is not there"),
        pytest.param("src/env/lib", "src/env/lib/y.py", id="what is named itself"),
    ],
)
def test_what_covers_names(covers: str, files: str, make: Make) -> None:
    """Relative to the rootdir with slashes, sorted."""
    assert listed(make(FILES), covers) == files


CONFIGURED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, A),
    "omit in run": ({"run_omit": ["*/sub/*"]}, "src/a/__init__.py src/a/core.py src/a/plain/loose.py"),
    "omit in report": (
        {"report_omit": ["src/a/sub/*", "*/__init__.py"]},
        "src/a/core.py src/a/plain/loose.py",
    ),
    "include in report": ({"report_include": ["src/a/sub/*"]}, "src/a/sub/__init__.py src/a/sub/deep.py"),
    "include in run": ({"run_include": ["*/core.py"]}, "src/a/core.py"),
    "include in run beside a source, which makes coverage ignore it": (
        {"run_include": ["*/core.py"], "source": ["src"]},
        A,
    ),
}


@pytest.mark.parametrize(("config", "files"), CONFIGURED.values(), ids=CONFIGURED)
def test_what_coverage_would_not_report_is_left_out(config: dict[str, Any], files: str, make: Make) -> None:
    """By its own patterns."""
    cov = Coverage(data_file=None, config_file=False)
    vars(cov.config).update(config)

    assert Sources(make(FILES), cov).files(["src/a"]) == tuple(files.split())


PACKAGES = "src/a/__init__.py src/a/core.py src/a/sub/__init__.py src/a/sub/deep.py"
SOURCE: dict[str, tuple[dict[str, Any], str]] = {
    "a folder": ({"source": ["src"]}, f"{PACKAGES} src/b.py src/gui.pyw"),
    "source_dirs": ({"source_dirs": ["tests"]}, "tests/test_a.py"),
    "a package": ({"source": ["a.sub"]}, "src/a/sub/__init__.py src/a/sub/deep.py"),
    "source_pkgs": ({"source_pkgs": ["a.sub.deep", "b"]}, "src/a/sub/deep.py src/b.py"),
    "a namespace package": ({"source_pkgs": ["a.plain"]}, "src/a/plain/loose.py"),
    "with namespace packages": (
        {"source": ["src/a"], "include_namespace_packages": True, "run_omit": ["*/.hidden/*"]},
        A,
    ),
    "with something omitted": ({"source": ["src"], "report_omit": ["*/a/*"]}, "src/b.py src/gui.pyw"),
}


@pytest.mark.parametrize(("config", "files"), SOURCE.values(), ids=SOURCE)
def test_without_covers_it_is_the_configured_source(
    config: dict[str, Any], files: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As coverage.py lists what was never imported; nothing of a package is imported for it."""
    root = make({**FILES, "src/a/__init__.py": "raise AssertionError('imported')\n"})
    monkeypatch.syspath_prepend(root / "src")
    cov = Coverage(data_file=None, config_file=False)
    vars(cov.config).update(config)

    assert Sources(root, cov).files(()) == tuple(files.split())


def test_without_covers_and_source_there_is_nothing_to_judge() -> None:
    """The message says what to write."""
    with pytest.raises(ScopeError, match=r"write `covers:` .* or `source` under \[tool\.coverage\.run\]"):
        listed(Path.cwd(), "")


def test_a_source_that_is_not_there_is_no_empty_one(make: Make) -> None:
    """Else a misspelled package would lower what is required."""
    root = make(FILES)

    for name in ("no_such_package", "no.such.package", "json.nothing"):
        with pytest.raises(ScopeError, match=f"names the source `{name}`"):
            listed(root, "", source=["src", name])


def test_a_module_that_was_made_by_hand_is_looked_for_on_the_disk(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python itself refuses to say where it is."""
    monkeypatch.setitem(sys.modules, "handmade", ModuleType("handmade"))

    assert listed(make({"handmade.py": "a = 1\n"}), "", source_pkgs=["handmade"]) == "handmade.py"


def test_the_source_beside_covers_may_be_nothing(make: Make) -> None:
    """A phase that states no `covers` then adds nothing to what the others answer for."""
    root = make(FILES)
    own = Sources(root, Coverage(data_file=None, config_file=False))
    with_source = Sources(root, Coverage(data_file=None, config_file=False, source=["tests"]))

    assert own.files(["src/b.py", ""]) == ("src/b.py",)
    assert with_source.files(["src/b.py", ""]) == ("src/b.py", "tests/test_a.py")


def test_files_that_were_measured_count_where_they_belong(make: Make) -> None:
    """Those below `covers` that are still there; all of them for the configured source."""
    root = make({**FILES, "src/a/page.tpl": "", "docs/page.tpl": "", "src/a/gone.tpl": ""})
    (root / "src/a/gone.tpl").unlink()
    names = ("src/a/page.tpl", "src/a/gone.tpl", "docs/page.tpl", "src/a/plain/loose.py")
    executed = attribute({"": {name: {1} for name in names}}, ())
    own = Sources(root, Coverage(data_file=None, config_file=False, source=["src"], omit=["*/sub/*"]))

    assert own.files(["src/a/p*"], executed) == ("src/a/page.tpl", "src/a/plain/loose.py")
    assert own.files((), executed) == (
        "docs/page.tpl", "src/a/__init__.py", "src/a/core.py", "src/a/page.tpl", "src/a/plain/loose.py",
        "src/b.py", "src/gui.pyw",
    )  # fmt: skip


class Templates(CoveragePlugin):
    """A coverage plugin that knows lines of templates."""

    def find_executable_files(self, src_dir: str) -> list[str]:
        """All templates."""
        return list(map(str, Path(src_dir).rglob("*.tpl")))

    def file_reporter(self, filename: str) -> FileReporter:
        """The lines of one."""
        return Lines(filename)


class Lines(FileReporter):
    """Every line is a statement."""

    def lines(self) -> set[int]:
        """All of them."""
        return set(range(1, len(self.source().splitlines()) + 1))


def test_a_plugin_finds_and_reads_files_of_its_own(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that nobody used count as 0; of the others only lines of the contexts that count."""
    root = make({"templates/__init__.py": "", "templates/a.tpl": "x\ny\n", "templates/b.tpl": "z\n"})
    cov = Coverage(data_file=None, config_file=False)
    own = Sources(root, cov)
    cov._plugins.add_file_tracer(Templates())
    tracer = f"{Templates.__module__}.Templates"
    cov._plugins.names[tracer] = cov._plugins.file_tracers[0]
    monkeypatch.setattr(cov._plugins.file_tracers[0], "_coverage_plugin_name", tracer)
    measured = {"one": {"templates/a.tpl": {1}}, "two": {"templates/a.tpl": {2}}}
    executed = attribute(measured, ["one"], {"templates/a.tpl": tracer})
    files = own.files(["templates"], executed)

    assert files == ("templates/__init__.py", "templates/a.tpl", "templates/b.tpl")
    assert own.figure(files, executed).least == (
        "templates/a.tpl  50 %  missing 2",
        "templates/b.tpl  0 %  missing 1",
    )


def test_files_outside_of_the_rootdir_keep_their_path(make: Make) -> None:
    """The others are named alike however they are given."""
    root = make(FILES)
    own = Sources(root / "src", Coverage(data_file=None, config_file=False))
    outside = (root / "tests/test_a.py").as_posix()

    assert own.files(["../tests"]) == (outside,)
    assert own.name(outside) == outside
    assert own.name(str(root / "src/b.py")) == own.name("b.py") == "b.py"


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own there")
def test_a_rootdir_that_is_a_link_names_files_as_the_folder_does(make: Make) -> None:
    """Coverage.py records where files really lie."""
    root = make(FILES)
    (root / "link").symlink_to(root / "src", target_is_directory=True)
    own = Sources(root / "link", Coverage(data_file=None, config_file=False))

    assert own.files(["b.py"]) == ("b.py",)
    assert own.name(str(root / "src" / "b.py")) == "b.py"


def test_paths_that_the_configuration_maps_are_one_file(make: Make) -> None:
    """As when coverage.py combines data: the installed copy of a module is the one in the sources."""
    root = make({**FILES, "site/a/core.py": "a = 1\n"})
    cov = Coverage(data_file=None, config_file=False)
    vars(cov.config)["paths"] = {"source": ["src", "*/site"]}
    own = Sources(root, cov)

    assert own.name(str(root / "site/a/core.py")) == "src/a/core.py"


@pytest.mark.parametrize(
    ("options", "outside"),
    [
        ({}, ""),
        ({"source": ["src"]}, "tests/test_a.py"),
        ({"source": ["src/a", "tests"]}, "src/b.py src/gui.pyw"),
        ({"source": ["src/a"], "omit": ["src/b.py", "tests/*"]}, "src/gui.pyw"),
        ({"include": ["src/a/*", "tests/*"]}, "src/b.py src/gui.pyw"),
    ],
)
def test_files_that_would_never_be_measured(options: dict[str, Any], outside: str, make: Make) -> None:
    """They lie outside of the configured source, or of what is included, and are not omitted."""
    own = Sources(make(FILES), Coverage(data_file=None, config_file=False, **options))

    assert own.never_measured(["src", "tests"]) == tuple(outside.split())
