"""The `pytest-phases` command: what plans say, and whether a tree may be deployed."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pytest_phases import __version__
from pytest_phases.errors import PhasesError, PlanError
from pytest_phases.events import gate_lines
from pytest_phases.graph import build
from pytest_phases.model import Plan
from pytest_phases.plan.read import read_plan
from pytest_phases.plan.toml_write import write_toml
from pytest_phases.plan.words import printable
from pytest_phases.show import as_data, as_text, summary

NOT_GREEN = 1
"""The exit status where a tree may not be deployed."""

USAGE_ERROR = 4
"""The exit status for a plan with problems: that of a usage error of pytest."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pytest-phases")
def main() -> None:
    """Look at plans without running them, and at what their runs have found."""
    # A plan may hold letters that the terminal's encoding lacks.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@main.command(short_help="Print what a plan is understood to say.")
@click.argument("plan")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--toml", "form", flag_value="toml", help="Print the same plan as TOML.")
def show(plan: str, form: str | None) -> None:
    """Print what PLAN is understood to say: waves, what each phase runs, and what is prose.

    Only the plan itself is read; nothing it names is looked for.

    \b
    Example:
      pytest-phases show plan.md

    Exit status: 0, or 4 if the plan has problems, which are printed instead.
    """
    read = _read(plan)
    if form == "toml":
        click.echo(write_toml(read), nl=False)
    elif form == "json":
        click.echo(json.dumps(as_data(read, build(read)), indent=2))
    else:
        click.echo(printable(as_text(read, build(read))))


@main.command(short_help="Print every problem of a plan.")
@click.argument("plan")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="The folder that the paths of the plan start from; the current one by default.",
)
def check(plan: str, root: Path) -> None:
    """Print every problem of PLAN with its line and what to write instead, or that there is none.

    Tests are not collected: what needs them, such as two phases that select the same test, a run tells.

    \b
    Example:
      pytest-phases check plan.md --root .

    Exit status: 0, or 4 if the plan has problems.
    """
    read = _read(plan, root)
    for note in read.notes:
        click.echo(printable(f"{note.place}: note: {note.text}"))
    click.echo(printable(f"{plan}: {summary(read, build(read))}; no problem found"))


_ROOT = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="The rootdir of the run; the current folder by default.",
)
_DIR = click.option(
    "--phases-dir",
    type=click.Path(path_type=Path),
    default=Path(".phases"),
    help="The folder of what the run left, below the rootdir (default: .phases).",
)


@main.command(short_help="Say whether this tree may be deployed.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@click.option("--plan-from", metavar="REF", help="Judge by the plan as it stands in this git ref.")
@click.option("--expect-commit", metavar="SHA", help="Refuse unless this commit is checked out.")
@_ROOT
@_DIR
def gate(
    as_json: bool, plan_from: str | None, expect_commit: str | None, root: Path, phases_dir: Path
) -> None:
    """Derive the verdict of the last run again, for the tree as it stands now.

    Nothing is believed but the evidence of the run: verdict.json is only compared with it, and
    commit, tree and plan must be what they were.

    \b
    Example:
      pytest-phases gate && ./deploy.sh

    Exit status: 0 if the gate is green, else 1 with every reason.
    """
    from pytest_phases.events import Decision
    from pytest_phases.gate.again import judge_now

    root = root.resolve()
    result, data = judge_now(root, root / phases_dir, commit=expect_commit, plan_from=plan_from)
    if as_json:
        click.echo(json.dumps(data, indent=2))
    else:
        for line in gate_lines(result):
            click.echo(printable(line))
    if result.decision is not Decision.GREEN:
        raise SystemExit(NOT_GREEN)


@main.command(short_help="Approve the tree as it stands now.")
@click.argument("name")
@click.option("--by", metavar="WHO", help="Who approves; by default git's user.email, else the user's name.")
@click.option("--note", default="", metavar="TEXT", help="What the approval says.")
@click.option("--key", type=click.Path(path_type=Path), help="The SSH key to sign with.")
@_ROOT
@_DIR
def approve(name: str, by: str | None, note: str, key: Path | None, root: Path, phases_dir: Path) -> None:  # noqa: PLR0917 - the options of the command
    """Give the approval NAME to the tree as it stands now; it is worthless once a file changes.

    \b
    Example:
      pytest-phases approve security --by alice@example.org

    Exit status: 0, or 4 if it cannot be given.
    """
    from pytest_phases.gate.approving import approve as give

    root = root.resolve()
    with _told():
        record = give(root, root / phases_dir, name, by, note, key)
    signed = ", signed" if record.signature else ""
    click.echo(printable(f"{name}: approved by {record.by} for tree {record.tree[:12]}{signed}"))


@main.command(short_help="Take an approval back.")
@click.argument("name")
@_ROOT
@_DIR
def revoke(name: str, root: Path, phases_dir: Path) -> None:
    """Take back the approval NAME, whoever gave it.

    \b
    Example:
      pytest-phases revoke security

    Exit status: 0, or 4 if there is none.
    """
    from pytest_phases.gate.approving import revoke as take_back

    root = root.resolve()
    with _told():
        take_back(root, root / phases_dir, name)
    click.echo(printable(f"{name}: taken back"))


@main.command(short_help="Show what the active run does, or how the last one ended.")
@click.option("--watch", is_flag=True, help="Show it anew each second until the run ends.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: an object, with --watch one a line.")
@_ROOT
@_DIR
def status(watch: bool, as_json: bool, root: Path, phases_dir: Path) -> None:
    """Show what the active run does, or how the last one ended.

    Open phases with what is left of them, what each worker does, locks, and which phases are blocked by what.

    \b
    Example:
      pytest-phases status --watch

    Exit status: 0, or 4 if nothing is recorded.
    """
    from datetime import datetime, timezone

    from pytest_phases.state.seen import Seen, look
    from pytest_phases.status import as_text, follow

    def show(seen: Seen) -> None:
        if as_json:
            click.echo(json.dumps(seen.to_data(), indent=None if watch else 2))
            return
        if watch:
            click.clear()
        click.echo(printable(as_text(seen, datetime.now(timezone.utc))) + "\n" * watch)

    folder = root.resolve() / phases_dir
    with _told():
        if not watch:
            show(look(folder))
            return
        try:
            follow(lambda: look(folder), show)
        except KeyboardInterrupt:
            # Who watches has seen enough; the run goes on.
            click.echo()


@contextmanager
def _told() -> Iterator[None]:
    """A user's mistake is a message and exit status 4, never a traceback."""
    try:
        yield
    except PhasesError as error:
        click.echo(printable(str(error)), err=True)
        raise SystemExit(USAGE_ERROR) from error


def _read(plan: str, root: Path | None = None) -> Plan:
    """The plan; its problems go to standard error and end the command with exit status 4."""
    try:
        return read_plan(Path(plan), plan, root)
    except PlanError as error:
        for problem in error.problems:
            click.echo(printable(str(problem)), err=True)
        raise SystemExit(USAGE_ERROR) from error
