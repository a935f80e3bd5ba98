"""What the API answers when it can't answer: RFC 9457 problem details.

`type` stays `about:blank` and `title` the status's own phrase (RFC 9457 section 4.2.1); `reason` is the stable code
that a program may branch on, and `detail` the sentence for people. docs/api.md lists the codes.
"""

from __future__ import annotations

import math
from enum import StrEnum
from http import HTTPStatus
from urllib.parse import quote

import msgspec

from api.answer import Answer

PROBLEM_JSON = "application/problem+json"

# chosen: enough to recognise what was asked, too little to be a channel for other people's text.
MAX_ECHO_CHARACTERS = 80


class ProblemReason(StrEnum):
    """Every code that `reason` can hold."""

    UNKNOWN_ROUTE = "UnknownRoute"
    UNKNOWN_INSTANCE = "UnknownInstance"
    UNKNOWN_INCIDENT = "UnknownIncident"
    UNKNOWN_ATTEMPT = "UnknownAttempt"
    NO_PICTURE = "NoPicture"
    METHOD_NOT_ALLOWED = "MethodNotAllowed"
    BAD_QUERY = "BadQuery"
    BAD_REQUEST = "BadRequest"
    BAD_BODY = "BadBody"
    UNSUPPORTED_MEDIA_TYPE = "UnsupportedMediaType"
    CREDENTIALS_MISSING = "CredentialsMissing"
    CREDENTIALS_REFUSED = "CredentialsRefused"
    NOT_ALLOWED = "NotAllowed"
    FOREIGN_ORIGIN = "ForeignOrigin"
    ASKING_IS_OFF = "AskingIsOff"
    STILL_RUNNING = "StillRunning"
    BUSY = "Busy"
    TOO_MANY_REQUESTS = "TooManyRequests"
    CLUSTER_REFUSED = "ClusterRefused"
    CLUSTER_UNAVAILABLE = "ClusterUnavailable"
    STORE_UNREADABLE = "StoreUnreadable"
    COLLECTOR_SILENT = "CollectorSilent"
    INTERNAL_ERROR = "InternalError"


class Problem(Exception):
    """Stop answering a request; `detail` is one sentence."""

    def __init__(
        self, status: HTTPStatus, reason: ProblemReason, detail: str, *, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = headers

    def answer(self, path: str) -> Answer:
        """Return the problem as an answer to a request for `path`."""
        return Answer(
            msgspec.json.encode(
                {
                    "type": "about:blank",
                    "title": self.status.phrase,
                    "status": self.status,
                    "detail": self.detail,
                    "instance": quote(path[:MAX_ECHO_CHARACTERS]),
                    "reason": self.reason,
                }
            ),
            PROBLEM_JSON,
            self.status,
            headers=self.headers,
        )


def echo(text: str) -> str:
    """Return a caller's own text, short and printable, for use in a sentence."""
    printable = "".join(c if c.isprintable() else "?" for c in text[:MAX_ECHO_CHARACTERS])
    return repr(printable + "..." if len(text) > MAX_ECHO_CHARACTERS else printable)


def not_found(reason: ProblemReason, detail: str) -> Problem:
    """Return a 404."""
    return Problem(HTTPStatus.NOT_FOUND, reason, detail)


def unavailable(reason: ProblemReason, detail: str, *, retry_seconds: int = 5) -> Problem:
    """Return a 503 that asks the caller to come back, by default after one connectivity beat."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, reason, detail, headers=(("Retry-After", str(retry_seconds)),))


def forbidden(reason: ProblemReason, detail: str) -> Problem:
    """Return a 403."""
    return Problem(HTTPStatus.FORBIDDEN, reason, detail)


def unauthorized(reason: ProblemReason, detail: str) -> Problem:
    """Return a 401 with the scheme that is asked for (RFC 6750 section 3)."""
    return Problem(HTTPStatus.UNAUTHORIZED, reason, detail, headers=(("WWW-Authenticate", "Bearer"),))


def too_many(wait_seconds: float) -> Problem:
    """Return a 429 that says when to come back."""
    seconds = math.ceil(wait_seconds)
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        ProblemReason.TOO_MANY_REQUESTS,
        f"more was asked for than may be; ask again in {seconds} s; nothing was started",
        headers=(("Retry-After", str(seconds)),),
    )
