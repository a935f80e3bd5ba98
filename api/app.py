"""The WSGI callable: method, route, cache, conditions, compression, headers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from api import routes
from api.answer import GZIP_MIN_BYTES, HTML, Answer
from api.asked import Asked, Door
from api.asking import Asking
from api.call import Call
from api.fleet import Fleet
from api.follower import Follower
from api.kept import Kept
from api.negotiation import is_known, names, takes_gzip
from api.pages import refusal
from api.problem import Problem, ProblemReason, echo, forbidden, too_many, unavailable
from api.trends import Trends

log = logging.getLogger(__name__)

Environ = Mapping[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]

# Everything is ours and on this origin; the page needs no more, and a report's text can't run as script.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

_ONLY_READS = "this API only reads: it was given neither LOCO_CLUSTER_CA nor LOCO_TOKEN_FILE; nothing was started"

_CACHE_HEADERS = (("Cache-Control", "no-cache"), ("Vary", "Accept, Accept-Encoding"))
EVERY_HEADER = (
    *_CACHE_HEADERS,
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)


class Application:
    """Answer every request from the newest snapshot that `follower` has; safe for threads.

    door: through which POSTs go, None where they go nowhere. clock: monotonic, in seconds.
    """

    def __init__(
        self,
        follower: Follower,
        clock_ms: Callable[[], int],
        door: Door | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._follower = follower
        self._clock_ms = clock_ms
        self._door = door
        self._way = door.way if door else None
        self._past = Trends()
        self._clock = clock
        self._asking = Asking()
        self._kept = Kept()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        # PEP 3333: the path is bytes that were decoded as latin-1.
        path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace") or "/"
        fleet = self._follower.look()
        try:
            answer = self._answer(environ, path, fleet)
        except Problem as problem:
            answer = _refusal(problem, path, fleet, environ)
        status, body, headers = _transfer(answer, environ)
        if environ["REQUEST_METHOD"] != "POST":
            headers += self._age(answer, fleet)
        start_response(f"{status.value} {status.phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def warm(self) -> None:
        """Read the fleet's past before anybody asks for it."""
        self._past.of(self._follower.query, self._follower.look())

    def _answer(self, environ: Environ, path: str, fleet: Fleet) -> Answer:
        """Return what the route answers.

        Raises: Problem.
        """
        route, variable = routes.find(path)
        method = environ["REQUEST_METHOD"]
        if method not in route.methods:
            raise _not_allowed(method, route.methods)
        if route.post and method == "POST":
            return self._asked(path, route.post, fleet, variable, environ)
        if route.needs_store and fleet.snapshot is None:
            raise unavailable(ProblemReason.STORE_UNREADABLE, fleet.problem)
        variant = route.variant(environ.get("HTTP_ACCEPT", ""))
        call = Call(fleet, self._follower, variable, environ.get("QUERY_STRING", ""), variant, self._past, self._way)
        if route.answer is None:
            raise _not_allowed(method, route.methods)
        answer = route.answer
        if not route.is_cached:
            return answer(call)
        key = (path, call.query if route.takes_query else "", variant)
        return self._kept.answer(fleet, key, lambda: answer(call), lambda: call.is_final)

    def _asked(
        self, path: str, post: Callable[[Asked], Answer], fleet: Fleet, variable: str, environ: Environ
    ) -> Answer:
        """Return the answer to a POST; one that is refused leaves a line in the log too, one too many doesn't."""
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        wait = self._asking.take(authorization, now=self._clock())
        if wait > 0:
            raise too_many(wait)
        try:
            if self._door is None:
                raise forbidden(ProblemReason.ASKING_IS_OFF, _ONLY_READS)
            answer = post(Asked(fleet, self._follower, self._door, variable, environ))
        except Problem as problem:
            log.warning("refused", extra={"path": echo(path), "status": problem.status, "reason": problem.reason})
            raise
        self._asking.know(authorization, now=self._clock())
        return answer

    def _age(self, answer: Answer, fleet: Fleet) -> list[tuple[str, str]]:
        """Return the Age header: seconds since the newest observation, left out while there is none."""
        at_ms = fleet.observed_at_ms if answer.observed_at_ms is None else answer.observed_at_ms
        return [] if at_ms is None else [("Age", str(max(0, self._clock_ms() - at_ms) // 1000))]


def _refusal(problem: Problem, path: str, fleet: Fleet, environ: Environ) -> Answer:
    """Return the problem as an answer: to a browser a page, under /api/ and to all others problem details."""
    if path.startswith("/api/") or not names(environ.get("HTTP_ACCEPT", ""), "text/html"):
        return problem.answer(path)
    html = refusal.render(fleet, problem.status.phrase, problem.detail, path)
    return Answer(html.encode(), HTML, problem.status, headers=problem.headers)


def _not_allowed(method: str, allowed: tuple[str, ...]) -> Problem:
    return Problem(
        HTTPStatus.METHOD_NOT_ALLOWED,
        ProblemReason.METHOD_NOT_ALLOWED,
        f"method {echo(method)} isn't allowed; {' and '.join(allowed)} {'are' if len(allowed) > 1 else 'is'}",
        headers=(("Allow", ", ".join(allowed)),),
    )


def _transfer(answer: Answer, environ: Environ) -> tuple[HTTPStatus, bytes, list[tuple[str, str]]]:
    """Return status, body and headers as the request's own headers ask for them."""
    headers = [*EVERY_HEADER, *answer.headers]
    if answer.status is HTTPStatus.OK and environ["REQUEST_METHOD"] != "POST":
        if is_known(answer.etag, environ.get("HTTP_IF_NONE_MATCH", "")):
            # The rest belongs to the body that the caller has (RFC 9110 section 15.4.5).
            return HTTPStatus.NOT_MODIFIED, b"", [*_CACHE_HEADERS, ("ETag", answer.etag)]
        headers.append(("ETag", answer.etag))
    body = answer.body
    if len(body) > GZIP_MIN_BYTES and answer.is_text and takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
        body = answer.gzipped
        headers.append(("Content-Encoding", "gzip"))
    headers += [("Content-Type", answer.content_type), ("Content-Length", str(len(body)))]
    return answer.status, body, headers
