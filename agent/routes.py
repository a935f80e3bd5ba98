"""What the agent answers, path by path; all but acts and evidence is in memory and takes a millisecond at most."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from zlib import crc32

from agent.actions.door import MAX_BODY_BYTES as MAX_ACT_BYTES
from agent.actions.door import Door
from agent.actions.table import ACTS
from agent.checks.clients import MAX_BODY_BYTES as MAX_STATS_BYTES
from agent.checks.clients import StatsInvalid, TooManyStats
from agent.collect import ROUND_SECONDS, Rounds
from agent.evidence import Evidence
from agent.exchange import Answer, Request, problem
from agent.metrics import exposition
from agent.report import encode

# chosen: a round takes a second at most when something hangs; ten missed ones are a wedge.
_WEDGED_SECONDS = 10 * ROUND_SECONDS

_FRESH = ("Cache-Control", "no-store")

# RFC 4291: an IPv6 address that wraps an IPv4 one has 45 characters. Senders are kept in memory, and may be invented.
_MAX_ADDRESS_CHARS = 45

Route = Callable[[Request, bytes], Answer]


class Routes:
    """The table of paths and methods, over one instance's rounds."""

    def __init__(self, rounds: Rounds) -> None:
        self._rounds = rounds
        self._door, self._evidence = Door(rounds.scene, rounds.boot_id), Evidence(rounds.scene)
        self._table: dict[str, dict[str, Route]] = {
            "/health": {"GET": self._health},
            "/screen.png": {"GET": self._screen},
            "/metrics": {"GET": self._metrics},
            "/livez": {"GET": self._livez},
            "/readyz": {"GET": self._readyz},
            "/client-stats.js": {"GET": _file("client-stats.js", "text/javascript; charset=utf-8")},
            "/client-stats": {"POST": self._client_stats, "OPTIONS": self._client_stats_options},
            "/evidence": {"GET": self._seen},
            "/actions/challenge": {"GET": self._challenge},
            **{f"/actions/{name}": {"POST": self._door.act} for name in ACTS},
        }

    def answer(self, request: Request, body: bytes) -> Answer:
        """Return the answer to a request; HEAD is asked like GET, its body is left out by who writes it."""
        methods = self._table.get(request.path)
        if methods is None:
            return problem(HTTPStatus.NOT_FOUND, f"there is {', '.join(self._table)}")
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            allowed = ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
            return problem(HTTPStatus.METHOD_NOT_ALLOWED, f"this path allows {allowed}", ("Allow", allowed))
        return route(request, body)

    def body_limit(self, request: Request) -> int:
        """Return how many bytes of body a request may carry."""
        if request.method != "POST":
            return 0
        # An act that doesn't exist is told so, not that its body is too long.
        is_act = request.path.startswith("/actions/")
        return MAX_ACT_BYTES if is_act else MAX_STATS_BYTES if request.path == "/client-stats" else 0

    def _health(self, _request: Request, _body: bytes) -> Answer:
        return Answer(HTTPStatus.OK, encode(self._rounds.report()), "application/json", (_FRESH,))

    def _screen(self, request: Request, _body: bytes) -> Answer:
        png, digest = self._rounds.screen.thumbnail()
        if not png:
            return problem(HTTPStatus.NOT_FOUND, "there is no picture of the screen yet")
        etag = f'"{digest}"'
        headers = (("ETag", etag), ("Cache-Control", "no-cache"))
        if request.headers.get("if-none-match") == etag:
            return Answer(HTTPStatus.NOT_MODIFIED, headers=headers)
        return Answer(HTTPStatus.OK, png, "image/png", headers)

    def _metrics(self, _request: Request, _body: bytes) -> Answer:
        return Answer(HTTPStatus.OK, exposition(self._rounds).encode(), "text/plain; version=0.0.4; charset=utf-8")

    def _livez(self, _request: Request, _body: bytes) -> Answer:
        seconds = self._rounds.seconds_since_round()
        if seconds > _WEDGED_SECONDS:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"the last round ended {seconds:.0f} s ago")
        return Answer(HTTPStatus.OK, b"ok\n", "text/plain")

    def _readyz(self, _request: Request, _body: bytes) -> Answer:
        if self._rounds.sequence == 0:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "the first round is under way")
        return Answer(HTTPStatus.OK, b"ok\n", "text/plain")

    def _seen(self, _request: Request, _body: bytes) -> Answer:
        return Answer(HTTPStatus.OK, self._evidence.body(), "application/json", (_FRESH,))

    def _challenge(self, _request: Request, _body: bytes) -> Answer:
        return self._door.challenge()

    def _client_stats(self, request: Request, body: bytes) -> Answer:
        try:
            self._rounds.clients.post(body, sender=_sender(request))
        except StatsInvalid as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        except TooManyStats as error:
            return problem(HTTPStatus.TOO_MANY_REQUESTS, str(error), ("Retry-After", "1"))
        return Answer(HTTPStatus.NO_CONTENT)

    def _client_stats_options(self, _request: Request, _body: bytes) -> Answer:
        """Let a page of another origin post JSON (Fetch standard, CORS-preflight)."""
        allowed = (("Access-Control-Allow-Methods", "POST"), ("Access-Control-Allow-Headers", "content-type"))
        return Answer(HTTPStatus.NO_CONTENT, headers=(*allowed, ("Access-Control-Max-Age", "600")))


def _sender(request: Request) -> str:
    """Return the address of the browser: as the proxy nearest to us says, where one does, else whoever is connected."""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return (forwarded or request.peer)[:_MAX_ADDRESS_CHARS]


def _file(name: str, content_type: str) -> Route:
    """Return a route that answers with a file of ours, read once."""
    body = (Path(__file__).parent / "static" / name).read_bytes()
    etag = f'"{crc32(body):08x}"'
    headers = (("ETag", etag), ("Cache-Control", "no-cache"))

    def answer(request: Request, _body: bytes) -> Answer:
        if request.headers.get("if-none-match") == etag:
            return Answer(HTTPStatus.NOT_MODIFIED, headers=headers)
        return Answer(HTTPStatus.OK, body, content_type, headers)

    return answer
