"""The command line and the HTTP server: waitress with its limits set, and problem details for what it refuses."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ErrorTask

from agent.commandline import CONTEXT_SETTINGS, log_level_option, start_logging
from api.app import Application
from api.asked import MAX_BODY_BYTES, ClosedDoor, Door
from api.auth import is_loopback
from api.follower import Follower
from api.instants import now_ms
from api.local import LocalDoor, keep_token
from api.mounted import Mounted
from api.problem import Problem, ProblemReason

log = logging.getLogger(__name__)

# chosen, each far above what a browser or a scraper sends, and low enough that 200 of them fit a small pod.
LIMITS = {
    "threads": 4,
    "connection_limit": 200,
    "channel_timeout": 30,
    "max_request_header_size": 16 * 1024,
    "max_request_body_size": MAX_BODY_BYTES,
}


# Where the manifests put the jobs.
DEFAULT_NAMESPACE = "loco-health"


class ProblemTask(ErrorTask):  # type: ignore[misc]
    """Answer what waitress itself refuses (and a bug of ours) as every other problem is answered."""

    def execute(self) -> None:
        """Write the problem and close the connection."""
        status = HTTPStatus(self.request.error.code)
        reason = (
            ProblemReason.INTERNAL_ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ProblemReason.BAD_REQUEST
        )
        answer = Problem(status, reason, f"{self.request.error.body.strip()}; nothing was done").answer("")
        self.status = f"{status.value} {status.phrase}"
        self.response_headers.append(("Content-Type", answer.content_type))
        self.set_close_on_finish()
        self.content_length = len(answer.body)
        self.write(answer.body)


class ProblemChannel(HTTPChannel):  # type: ignore[misc]
    """A connection whose refusals are problem details."""

    error_task_class = ProblemTask


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
    log_level: str,
) -> None:
    """Serve what the store knows over HTTP, and pass on what a caller asks to be done.

    Example: python -m api --store loco.db --listen 127.0.0.1:3000
    """
    start_logging(log_level)
    # It warns once a request while all threads are busy, which is no news and would fill a pipe that nobody reads.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, _leave)
    if cluster_ca and token_file:
        raise click.UsageError("LOCO_CLUSTER_CA and LOCO_TOKEN_FILE exclude each other; name one; nothing was started")
    follower = Follower(store, now_ms, second=Mounted(snapshot) if snapshot else None)
    listener = _bound(*listen)
    door: Door = ClosedDoor()
    if cluster_ca:
        door = _cluster_door(cluster_ca, recovery_namespace or DEFAULT_NAMESPACE)
    elif token_file:
        door = _local_door(store, token_file, instances, host=listen[0])
    server = open_server(Application(follower, now_ms, door), listener)
    log.info(
        "listening", extra={"host": server.effective_host, "port": int(server.effective_port), "store": str(store)}
    )
    server.run()
    server.close()
    follower.close()
    log.info("stopped")


def open_server(application: Application, listener: socket.socket) -> BaseWSGIServer:
    """Return a waitress server on a bound socket, with the limits of this API."""
    server = create_server(application, sockets=[listener], ident=None, clear_untrusted_proxy_headers=True, **LIMITS)
    server.channel_class = ProblemChannel
    return server


def _cluster_door(ca: Path, namespace: str) -> Door:
    """Return the door to the cluster that this pod runs in. Raises: click.UsageError outside of one."""
    from api.kubernetes import ClusterDoor  # noqa: PLC0415 - requests costs 100 ms

    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise click.UsageError(
            "LOCO_CLUSTER_CA is given and KUBERNETES_SERVICE_HOST isn't, which every pod has; nothing was started"
        )
    place = f"[{host}]" if ":" in host else host
    return ClusterDoor(f"https://{place}:{port}", ca=ca, namespace=namespace)


def _local_door(store: Path, token_file: Path, instances: Path | None, *, host: str) -> Door:
    """Return the door of this machine, with a new token. Raises: click.UsageError where others could come through."""
    if not is_loopback(f"[{host}]" if ":" in host else host):
        raise click.UsageError(
            f"LOCO_TOKEN_FILE is for loopback alone and the API listens on {host}; "
            "listen on 127.0.0.1, or give LOCO_CLUSTER_CA; nothing was started"
        )
    try:
        token = keep_token(token_file)
    except OSError as error:
        raise click.UsageError(f"token file {token_file} can't be written: {error}; nothing was started") from error
    return LocalDoor(store, token, token_file=token_file, instances=instances)


def _bound(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises: click.UsageError (exit 2) with one sentence.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        is_dual = host == "::" and socket.has_dualstack_ipv6()  # every address, as of a pod with either family
        return socket.create_server(address[:2], family=family, dualstack_ipv6=is_dual)
    except OSError as error:
        # The first clause alone: Python adds the address, which stands in the sentence already.
        why = str(error.strerror).partition(" (")[0].lower()
        raise click.UsageError(
            f"can't listen on {host}:{port}: {why}; name another address with --listen; nothing was started"
        ) from error


def _leave(signal_number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
    """End the server's loop: waitress takes SystemExit as the wish to stop."""
    sys.exit(0)
