"""The `pytest-phases` command: what a plan is understood to say, and what is wrong with it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import click

from pytest_phases import __version__
from pytest_phases.errors import PlanError
from pytest_phases.graph import build
from pytest_phases.model import Plan
from pytest_phases.plan.read import read_plan
from pytest_phases.plan.toml_write import write_toml
from pytest_phases.plan.words import printable
from pytest_phases.show import as_data, as_text, summary

USAGE_ERROR = 4
"""The exit status for a plan with problems: that of a usage error of pytest."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pytest-phases")
def main() -> None:
    """Look at plans without running them."""
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


def _read(plan: str, root: Path | None = None) -> Plan:
    """The plan; its problems go to standard error and end the command with exit status 4."""
    try:
        return read_plan(Path(plan), plan, root)
    except PlanError as error:
        for problem in error.problems:
            click.echo(printable(str(problem)), err=True)
        raise SystemExit(USAGE_ERROR) from error
