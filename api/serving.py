"""The HTTP server: waitress with its limits set, and problem details for what it refuses."""

from __future__ import annotations

import logging
import socket
from http import HTTPStatus

import click
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ErrorTask, WSGITask

from api.app import EVERY_HEADER, Application
from api.asked import MAX_BODY_BYTES
from api.problem import Problem, ProblemReason

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


def open_server(application: Application, listener: socket.socket) -> BaseWSGIServer:
    """Return a waitress server on a bound socket, with the limits of this API."""
    # It warns once a request while all threads are busy, which is no news and would fill a pipe that nobody reads.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = create_server(application, sockets=[listener], ident=None, clear_untrusted_proxy_headers=True, **LIMITS)
    server.channel_class = ProblemChannel
    return server


def bound(host: str, port: int) -> socket.socket:
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
