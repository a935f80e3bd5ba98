"""The command line and the HTTP server: waitress with its limits set, and problem details for what it refuses."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ErrorTask, WSGITask

from agent.commandline import CONTEXT_SETTINGS, log_level_option, start_logging
from api.app import EVERY_HEADER, Application
from api.asked import MAX_BODY_BYTES
from api.doors import Local, open_door
from api.follower import Follower
from api.instants import now_ms
from api.mounted import Mounted
from api.problem import Problem, ProblemReason
from api.recovery import Bounds
from jobs.errors import ConfigError
from jobs.health.policy import Policy
from jobs.health.policyfile import parse_policy

log = logging.getLogger(__name__)

# chosen, each far above what a browser or a scraper sends, and low enough that 200 of them fit a small pod.
MAX_HEADER_BYTES = 16 * 1024
LIMITS = {
    "threads": 4,
    "connection_limit": 200,
    "channel_timeout": 30,
    "max_request_header_size": MAX_HEADER_BYTES + 1,  # waitress refuses what reaches its limits
    "max_request_body_size": MAX_BODY_BYTES + 1,
}

# waitress's own words are for who runs it, and may hold a header line.
_REFUSALS = {
    HTTPStatus.BAD_REQUEST: "what was sent is no HTTP request",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"the body is over {MAX_BODY_BYTES} bytes",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: f"request line and headers are over {MAX_HEADER_BYTES} bytes",
    HTTPStatus.NOT_IMPLEMENTED: "of transfer codings only chunked is taken",
    HTTPStatus.INTERNAL_SERVER_ERROR: "a bug of ours kept the answer from being made; the log has the traceback",
}


class ProblemTask(ErrorTask):  # type: ignore[misc]
    """Answer what waitress itself refuses (and a bug of ours) as every other problem is answered."""

    def execute(self) -> None:
        """Write the problem and close the connection."""
        status = HTTPStatus(self.request.error.code)
        is_ours = status is HTTPStatus.INTERNAL_SERVER_ERROR
        reason = ProblemReason.INTERNAL_ERROR if is_ours else ProblemReason.BAD_REQUEST
        detail = _REFUSALS.get(status, status.phrase)
        answer = Problem(status, reason, detail if is_ours else f"{detail}; nothing was done").answer("")
        self.status = f"{status.value} {status.phrase}"
        self.response_headers += [*EVERY_HEADER, ("Content-Type", answer.content_type)]
        self.set_close_on_finish()
        self.content_length = len(answer.body)
        self.write(answer.body)


class KeptTask(WSGITask):  # type: ignore[misc]
    """Answer as waitress does, and keep the connection after a 304 too: it ends with its headers."""

    def set_close_on_finish(self) -> None:
        """Close the connection, but not for the mere lack of a body where HTTP/1.1 allows none."""
        if self.has_body or self.request.connection_close or self.version != "1.1":
            super().set_close_on_finish()


class ProblemChannel(HTTPChannel):  # type: ignore[misc]
    """A connection whose refusals are problem details."""

    task_class = KeptTask
    error_task_class = ProblemTask


def _address(_: click.Context, __: click.Parameter, value: str) -> tuple[str, int]:
    """Return `HOST:PORT` as (host, port); an IPv6 host stands in brackets."""
    host, _colon, port = value.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise click.BadParameter(f"{value!r} is no HOST:PORT with a port from 0 to 65535; nothing was started")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _policy(_: click.Context, __: click.Parameter, path: Path | None) -> Policy:
    """Return the policy of a file, the default one without one."""
    if path is None:
        return Policy()
    try:
        return parse_policy(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"policy {path} can't be read: {error}; nothing was started") from error


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
    callback=_policy,
    envvar="LOCO_POLICY",
    show_envvar=True,
    help="TOML file of the jobs' policy, for the budget and the plans that are told; the default one without it.",
)
@click.option(
    "--control",
    type=click.Path(path_type=Path),
    envvar="LOCO_CONTROL",
    show_envvar=True,
    help="Folder of the fleet's switches, so that the page says what they forbid.",
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
    policy: Policy,
    control: Path | None,
    dry_run: bool,
    may_delete_pod: bool,
    log_level: str,
) -> None:
    """Serve what the store knows over HTTP, and pass on what a caller asks to be done.

    Example: python -m api --store loco.db --listen 127.0.0.1:3000
    """
    start_logging(log_level)
    # It warns once a request while all threads are busy, which is no news and would fill a pipe that nobody reads.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, _leave)
    bounds = Bounds(policy, is_dry_run=dry_run, control=control, may_delete_pod=may_delete_pod)
    follower = Follower(store, now_ms, second=Mounted(snapshot) if snapshot else None, bounds=bounds)
    listener = _bound(*listen)
    local = Local(store, token_file, instances, host=listen[0], is_dry_run=dry_run) if token_file else None
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


def open_server(application: Application, listener: socket.socket) -> BaseWSGIServer:
    """Return a waitress server on a bound socket, with the limits of this API."""
    server = create_server(application, sockets=[listener], ident=None, clear_untrusted_proxy_headers=True, **LIMITS)
    server.channel_class = ProblemChannel
    return server


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
