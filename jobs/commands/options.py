"""The options that every command with a window has."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import click

from agent.commandline import log_level_option, start_logging
from jobs.health.situation import Leave
from jobs.planner import Recovery
from jobs.policy import read_policy
from jobs.schedule import WindowSettings, window_seconds
from jobs.switches import folder_of

store_option = click.option(
    "--store",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="LOCO_STORE",
    show_envvar=True,
    required=True,
    help="The SQLite file; made if it isn't there.",
)

instances_option = click.option(
    "--instances",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="LOCO_INSTANCES",
    show_envvar=True,
    required=True,
    help="The inventory: a JSON array of instances.",
)


policy_option = click.option(
    "--policy",
    type=click.Path(path_type=Path),
    envvar="LOCO_POLICY",
    show_envvar=True,
    help="TOML file put over the defaults: thresholds (docs/reasons.md), recovery and remedies (docs/recovery.md).",
)

control_option = click.option(
    "--control",
    type=click.Path(path_type=Path),
    envvar="LOCO_CONTROL",
    show_envvar=True,
    help="Folder of the fleet's switches (recovery, pause-until, pause-reason); without it `control` beside the store.",
)

dry_run_option = click.option(
    "--dry-run",
    "is_dry_run",
    is_flag=True,
    envvar="LOCO_DRY_RUN",
    show_envvar=True,
    help="Plan, and say what would be done; do nothing.",
)

delete_pod_option = click.option(
    "--allow-delete-pod",
    "may_delete_pod",
    is_flag=True,
    envvar="LOCO_ALLOW_DELETE_POD",
    show_envvar=True,
    help="Have the rung delete-pod, which needs a right of its own.",
)


def recovery_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command that has --store the options that say what recovery may do, handed on as `recovery`."""

    @policy_option
    @control_option
    @dry_run_option
    @delete_pod_option
    @functools.wraps(command)
    def with_recovery(
        *,
        store: Path,
        policy: Path | None,
        control: Path | None,
        is_dry_run: bool,
        may_delete_pod: bool,
        **options: object,
    ) -> int:
        leave = Leave(read_policy(policy), may_delete_pod=may_delete_pod, is_dry_run=is_dry_run)
        return command(store=store, recovery=Recovery(leave, folder_of(control, store)), **options)

    return with_recovery


def window_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command --store, --window, --schedule, --job-name and --log-level, handed on as `settings`."""

    @store_option
    @click.option(
        "--window",
        type=click.IntRange(min=0),
        envvar="LOCO_WINDOW",
        show_envvar=True,
        help="Seconds between two starts of this command; 0 asks the run that ticks now for one tick. "
        "Without it the schedule says it, or 300.",
    )
    @click.option(
        "--schedule",
        envvar="LOCO_SCHEDULE",
        show_envvar=True,
        help="The CronJob's schedule, such as '*/5 * * * *'.",
    )
    @click.option(
        "--job-name",
        envvar="LOCO_JOB_NAME",
        show_envvar=True,
        help="The Kubernetes Job of this run; one made by hand asks for one tick, as --window 0 does.",
    )
    @log_level_option
    @functools.wraps(command)
    def with_settings(
        *,
        store: Path,
        window: int | None,
        schedule: str | None,
        job_name: str | None,
        log_level: str,
        **options: object,
    ) -> int:
        start_logging(log_level)
        return command(settings=WindowSettings(store, window_seconds(window, schedule, job_name)), **options)

    return with_settings
