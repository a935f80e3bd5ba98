"""The command line of the API."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from agent.commandline import CONTEXT_SETTINGS, log_level_option, start_logging
from api.app import Application
from api.doors import Local, open_door
from api.follower import Follower
from api.instants import now_ms
from api.mounted import Mounted
from api.recovery import Bounds
from api.serving import bound, open_server
from jobs.policy import read_policy
from jobs.switches import folder_of

log = logging.getLogger(__name__)


def _address(_: click.Context, __: click.Parameter, value: str) -> tuple[str, int]:
    """Return `HOST:PORT` as (host, port); an IPv6 host stands in brackets."""
    host, _colon, port = value.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise click.BadParameter(f"{value!r} is no HOST:PORT with a port from 0 to 65535; nothing was started")
    return host.removeprefix("[").removesuffix("]"), int(port)


@click.command(context_settings=CONTEXT_SETTINGS)
@click.option(
    "--store",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="LOCO_STORE",
    show_envvar=True,
    required=True,
    help="The SQLite file that the jobs write; it may come later.",
)
@click.option(
    "--snapshot",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="LOCO_SNAPSHOT",
    show_envvar=True,
    help="Folder of the mounted ConfigMap loco-health, which answers verdicts while the store can't be read.",
)
@click.option(
    "--listen",
    callback=_address,
    metavar="HOST:PORT",
    envvar="LOCO_API_LISTEN",
    show_envvar=True,
    default="127.0.0.1:3000",
    help="Where to listen; port 0 takes a free one and logs it.",
)
@click.option(
    "--cluster-ca",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="LOCO_CLUSTER_CA",
    show_envvar=True,
    help="The cluster's CA; with it a POST makes a Job with the caller's own token.",
)
@click.option(
    "--recovery-namespace",
    envvar="LOCO_RECOVERY_NAMESPACE",
    show_envvar=True,
    default="",
    help="Where those Jobs are made; loco-health without it.",
)
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="LOCO_TOKEN_FILE",
    show_envvar=True,
    help="Without a cluster: where to keep this start's token; with it a POST starts a process here.",
)
@click.option(
    "--instances",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="LOCO_INSTANCES",
    show_envvar=True,
    help="Without a cluster: the inventory that a refresh reads.",
)
@click.option(
    "--policy",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="LOCO_POLICY",
    show_envvar=True,
    help="TOML file of the jobs' policy, for the budget and the plans that are told; the default one without it.",
)
@click.option(
    "--control",
    type=click.Path(path_type=Path),
    envvar="LOCO_CONTROL",
    show_envvar=True,
    help="Folder of the fleet's switches, told on the page; without it `control` beside the store.",
)
@click.option(
    "--dry-run/--no-dry-run",
    envvar="LOCO_DRY_RUN",
    show_envvar=True,
    default=False,
    help="Say that the jobs plan and don't act, and ask for no act.",
)
@click.option(
    "--allow-delete-pod",
    "may_delete_pod",
    is_flag=True,
    envvar="LOCO_ALLOW_DELETE_POD",
    show_envvar=True,
    help="Say that recovery has the rung delete-pod.",
)
@log_level_option
def serve(  # noqa: PLR0913 - one for each option
    *,
    store: Path,
    snapshot: Path | None,
    listen: tuple[str, int],
    cluster_ca: Path | None,
    recovery_namespace: str,
    token_file: Path | None,
    instances: Path | None,
    policy: Path | None,
    control: Path | None,
    dry_run: bool,
    may_delete_pod: bool,
    log_level: str,
) -> None:
    """Serve what the store knows over HTTP, and pass on what a caller asks to be done.

    Example: python -m api --store loco.db --listen 127.0.0.1:3000
    """
    start_logging(log_level)
    signal.signal(signal.SIGTERM, _leave)
    control = folder_of(control, store)
    bounds = Bounds(read_policy(policy), is_dry_run=dry_run, control=control, may_delete_pod=may_delete_pod)
    follower = Follower(store, now_ms, second=Mounted(snapshot) if snapshot else None, bounds=bounds)
    listener = bound(*listen)
    local = None
    if token_file:
        local = Local(store, token_file, instances, listen[0], control=control, policy=policy, is_dry_run=dry_run)
    door = open_door(local, cluster_ca=cluster_ca, namespace=recovery_namespace)
    application = Application(follower, now_ms, door)
    server = open_server(application, listener)
    log.info(
        "listening", extra={"host": server.effective_host, "port": int(server.effective_port), "store": str(store)}
    )
    threading.Thread(target=application.warm, daemon=True).start()
    server.run()
    server.close()
    follower.close()
    log.info("stopped")


def _leave(signal_number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
    """End the server's loop: waitress takes SystemExit as the wish to stop."""
    sys.exit(0)
