"""`python -m jobs dispatch`: make recoveries of what is due, and tell Kubernetes what happens."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from jobs.cluster.late import LateClient
from jobs.commands.options import control_option, policy_option, window_options
from jobs.commands.receivers import Receivers, receiver_options
from jobs.courier import READ_SECONDS, Courier
from jobs.dispatcher import Dispatcher
from jobs.notifier import Notifier
from jobs.policy import read_policy
from jobs.recovery.jobs import RecoveryJobs
from jobs.recovery.launcher import Launcher
from jobs.schedule import WindowSettings
from jobs.switches import folder_of, stop_in
from jobs.window import run_window


@click.command(short_help="Start recoveries, and tell what happens.")
@click.option(
    "--recovery-namespace",
    envvar="LOCO_RECOVERY_NAMESPACE",
    show_envvar=True,
    default="",
    help="Where recovery Jobs are made; without it recoveries are processes of this machine.",
)
@policy_option
@control_option
@receiver_options
@window_options
def dispatch(
    *,
    recovery_namespace: str,
    policy: Path | None,
    control: Path | None,
    receivers: Receivers,
    settings: WindowSettings,
) -> int:
    """Make one recovery of each plan that is due, within the budget, and see to it that each has an end.

    Incidents and recoveries are told as Events on the pod, and people of incidents by Alertmanager and a webhook where
    these are set (docs/notifications.md); what can't be sent is tried again for a day.

    Example: python -m jobs dispatch --store loco.db --window 300
    """
    limits = read_policy(policy).recovery.limits
    clock = settings.clock.wall_ms
    with closing(LateClient(read_seconds=READ_SECONDS)) as connect:
        jobs = _recovery_jobs(recovery_namespace, connect, settings.store, policy=policy, control=control)
        switches = folder_of(control, settings.store)
        launcher = Launcher(jobs, clock=settings.clock, limits=limits, stop=lambda: stop_in(switches, clock()))
        notifier = Notifier(receivers.destinations(clock), clock=clock)
        return run_window(Dispatcher(launcher, Courier(connect, clock=clock), notifier), settings)


def _recovery_jobs(
    namespace: str, connect: LateClient, store: Path, *, policy: Path | None = None, control: Path | None = None
) -> RecoveryJobs:
    """Return the place where recoveries run."""
    if namespace:
        from jobs.cluster.jobs import ClusterJobs  # noqa: PLC0415 - each run needs one of the two

        return ClusterJobs(namespace, connect)
    from jobs.recovery.processes import LocalJobs  # noqa: PLC0415 - as above

    return LocalJobs(store, policy=policy, control=control)
