"""Options and ini settings: what a user may ask for, before anything heavy is imported."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from _pytest.config import ConftestImportFailure

RUN_ID, PLAN = "PHASES_RUN_ID", "PHASES_PLAN"
"""What a stage finds in its environment: the run it belongs to and the plan of that run."""

SCHEDULES = ("waves", "flow")
GREEN, RESUMED_MODES = "green", ("tests", "trust")
"""What `--phases-resume` stands for alone, and what can follow it."""


class _PlanAction(argparse.Action):
    """`--phases PLAN` without `-n` means `-n auto`.

    It has to be known while options are parsed: pytest-cov decides by it how to measure.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        namespace.phases = values
        if _workers_are_open(namespace):
            namespace.numprocesses, namespace.phases_auto = "auto", True


def _workers_are_open(namespace: argparse.Namespace) -> bool:
    return getattr(namespace, "numprocesses", 0) is None and not getattr(namespace, "tx", None)


def add(parser: pytest.Parser) -> None:
    """Declare everything."""
    group = parser.getgroup("phases", "phases of tests and build stages")
    group.addoption(
        "--phases",
        action=_PlanAction,
        metavar="PLAN",
        help="Run the phases of this plan (Markdown or TOML) in the order of their dependencies. "
        "Without -n it means -n auto. Example: --phases plan.md",
    )
    group.addoption(
        "--phases-schedule",
        choices=SCHEDULES,
        help="When a phase opens: with its wave (waves, the default), "
        "or as soon as what it needs is green (flow).",
    )
    group.addoption(
        "--phases-only",
        metavar="ID[,ID]",
        help="Run these phases or streams alone, without what they depend on. Example: --phases-only 2,3",
    )
    group.addoption(
        "--phases-dry-run",
        action="store_true",
        help="Print waves, phases, stages and numbers of tests, and run nothing.",
    )
    group.addoption(
        "--phases-resume",
        nargs="?",
        const=GREEN,
        type=_resume_mode,
        metavar="tests|trust",
        help="Do not run phases again that were green and of which nothing has changed since. `=tests` also "
        "leaves out the tests that had passed in a phase that did not become green; `=trust` keeps every "
        "green phase, whatever has changed, for the quick loop of fixing.",
    )
    group.addoption(
        "--phases-explain",
        action="store_true",
        help="Print which phases --phases-resume would run, and why, and run nothing.",
    )
    group.addoption(
        "--phases-force",
        action="store_true",
        help="Run stages even if their inputs, command and outputs are unchanged since they ran last.",
    )
    group.addoption(
        "--phases-wait",
        type=_seconds,
        metavar="SECONDS",
        help="Wait so long for another run in the same folder to end; without it, that is an error.",
    )
    group.addoption(
        "--phases-deploy",
        action="store_true",
        help="Run the `Deploy:` stages of the plan when everything else has ended and its gate is green.",
    )
    group.addoption("--phases-dir", metavar="DIR", help="The folder for logs and status (default: .phases).")
    parser.addini(
        "lock_dir",
        "A folder for locks that hold across runs on this machine; without one they hold in each run alone.",
        type="string",
        default="",
    )
    parser.addini("phases_plan", "The plan to run when --phases is not given.", type="string", default="")
    parser.addini("phases_schedule", "The default of --phases-schedule.", type="string", default="waves")
    parser.addini("phases_dir", "The default of --phases-dir.", type="string", default=".phases")


def _resume_mode(text: str) -> str:
    if text not in (GREEN, *RESUMED_MODES):  # argparse puts the value of the bare option through this too
        raise argparse.ArgumentTypeError(
            f"write --phases-resume, --phases-resume=tests or --phases-resume=trust; {text!r} is none of "
            "them: what is a path goes before it"
        )
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds; write one like 600")
    return seconds


def runs_nothing(option: argparse.Namespace) -> bool:
    """Whether nothing but a look at what there is was asked for."""
    return bool(option.collectonly or option.phases_dry_run or option.phases_explain)


def use_workers_for_ini_plan(early_config: pytest.Config, args: list[str]) -> None:
    """A plan in the ini file without `-n` means `-n auto`, as `--phases` does."""
    known = early_config.known_args_namespace
    if (
        known.phases is None
        and early_config.getini("phases_plan")
        and not inside_stage()
        and _workers_are_open(known)
    ):
        known.numprocesses, known.phases_auto = "auto", True
        args[:0] = ["-n", "auto"]


def keep_coverage_data(early_config: pytest.Config) -> None:
    """pytest-cov erases the data files that it finds, in each worker too; one that starts later must not.

    It would erase what workers that have already ended leave for the report, or what one that was
    faster has begun to write: with a threshold, data is written while the tests run.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        from pytest_phases.settings import LATER_WORKER, MEASURE

        # Taken out, or a pytest that a test starts would not erase its old data either.
        if os.environ.pop(LATER_WORKER, None) or MEASURE in os.environ:
            early_config.known_args_namespace.cov_append = True


def measure_early(early_config: pytest.Config) -> None:
    """Begin to measure coverage before anything of the project is imported, if the plan has thresholds."""
    from pytest_phases.settings import MEASURE

    if MEASURE in os.environ:
        from pytest_phases.coverage import early

        early.start_in_worker(early_config)
        return
    path = _early_plan(early_config)
    if path is not None:
        from pytest_phases import measuring

        measuring.start_in_one_process(early_config, path)


def trace_early(early_config: pytest.Config) -> None:
    """Begin to watch what this process uses before it loads any conftest, if it is to run a plan."""
    known = early_config.known_args_namespace
    in_worker = "PYTEST_XDIST_WORKER" in os.environ
    if runs_nothing(known) or (_asks_for_workers(known) and not in_worker):
        return
    if plan_path(early_config, known.phases) is not None:
        from pytest_phases.watching.trace import begin

        begin(early_config, (str(known.phases_dir or early_config.getini("phases_dir")),))


def _early_plan(early_config: pytest.Config) -> Path | None:
    """The plan that this process runs by itself, without workers; None if there is none."""
    known = early_config.known_args_namespace
    in_worker = "PYTEST_XDIST_WORKER" in os.environ
    if in_worker or runs_nothing(known) or _asks_for_workers(known):
        return None
    return plan_path(early_config, known.phases)


def explain_conftest(early_config: pytest.Config, failure: ConftestImportFailure) -> None:
    """Where a conftest of a run with a plan misses a module, say why no stage can help it."""
    has_plan = early_config.known_args_namespace.phases or early_config.getini("phases_plan")
    if has_plan and isinstance(failure.cause, ImportError):
        from pytest_phases.settings import NO_BUILT_CODE

        print(f"{failure.path}: {NO_BUILT_CODE}", file=sys.stderr)


def settle_workers(config: pytest.Config) -> None:
    """A dry run needs no workers, and `--tx` says which ones there are.

    A worker has the same options and makes no workers of its own.
    """
    option = config.option
    if not hasattr(option, "numprocesses") or hasattr(config, "workerinput"):
        return
    if option.phases_dry_run or option.phases_explain:
        option.numprocesses = 0
    elif getattr(option, "phases_auto", False) and option.tx:
        option.numprocesses = None
        option.dist = "load" if option.dist == "no" else option.dist


def has_workers(config: pytest.Config) -> bool:
    """Whether this process hands its tests to workers of xdist."""
    return _asks_for_workers(config.option) and not config.option.collectonly


def _asks_for_workers(option: argparse.Namespace) -> bool:
    """What xdist makes of its options: the same before it has looked at them, and after."""
    number, tx = getattr(option, "numprocesses", None), getattr(option, "tx", None)
    if number in ("auto", "logical"):
        if getattr(option, "phases_auto", False) and tx:
            return True  # see `settle_workers`
        return not option.usepdb and os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS") != "0"
    if number is not None:
        return bool(number)
    distributes = getattr(option, "dist", "no") != "no" or getattr(option, "distload", False)
    return distributes and bool(tx)


def inside_stage() -> bool:
    """Whether this pytest was started by a stage of another run."""
    return RUN_ID in os.environ


def plan_path(config: pytest.Config, given: str | None) -> Path | None:
    """The plan to run, or None; `given` is the value of `--phases`.

    Raises UsageError where a stage of a run starts that run again.
    """
    if given is None:
        named = config.getini("phases_plan")
        if not named or inside_stage():
            return None
        return (config.inipath.parent if config.inipath else config.rootpath) / str(named)
    path = config.invocation_params.dir / str(given)
    if inside_stage() and _same(path, os.environ.get(PLAN, "")):
        raise pytest.UsageError(
            f"--phases {given}: this pytest was started by stage {os.environ.get('PHASES_STAGE', '?')} "
            "of a run of the same plan; let the stage name its tests instead, or start another plan"
        )
    return path


def _same(path: Path, other: str) -> bool:
    return bool(other) and path.resolve() == Path(other).resolve()


def schedule(config: pytest.Config) -> str:
    """`waves` or `flow`.

    Raises UsageError for anything else in the ini file.
    """
    chosen = config.option.phases_schedule or config.getini("phases_schedule")
    if chosen not in SCHEDULES:
        raise pytest.UsageError(f"phases_schedule = {chosen}: write one of {', '.join(SCHEDULES)}")
    return str(chosen)


def phases_dir(config: pytest.Config) -> Path:
    """The folder for what a run leaves, absolute."""
    given = config.option.phases_dir
    if given is not None:
        return config.invocation_params.dir / str(given)
    folder = config.rootpath / str(config.getini("phases_dir"))
    if inside_stage() and _same(folder, os.environ.get("PHASES_DIR", "")):
        # The run that this one is a part of writes there.
        return folder / "nested" / os.environ["PHASES_PHASE"] / os.environ["PHASES_STAGE"]
    return folder


def lock_dir(config: pytest.Config) -> Path | None:
    """The folder for locks across runs, absolute; None unless the ini file names one."""
    named = str(config.getini("lock_dir"))
    base = config.inipath.parent if config.inipath else config.rootpath
    return base / Path(named).expanduser() if named else None


def only(config: pytest.Config) -> tuple[str, ...]:
    """The ids of `--phases-only`; `Phase 2` and `2` are the same."""
    given = config.option.phases_only or ""
    names = (name.strip() for name in given.split(","))
    return tuple(name.removeprefix("Phase ").removeprefix("phase ") for name in names if name)
