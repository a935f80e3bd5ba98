"""One caller's own session with the API server: requests with the token that came, and refusals in its words.

The token is in the session's headers and nowhere else: no error's text, which may hold the request, leaves here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import requests

from api.problem import Problem, ProblemReason, forbidden, unauthorized, unavailable

# chosen: an API server that is well answers within a second, and a thread that waits for it serves nobody else.
CONNECT_SECONDS = 3.0
READ_SECONDS = 5.0

# etcd docs, "System limits": an object has 1.5 MiB at most; JSON makes it longer.
MAX_ANSWER_BYTES = 4 * 1024 * 1024

MAX_SENTENCE_CHARACTERS = 400
MAX_RETRY_SECONDS = 60

_WHO_AM_I = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@contextmanager
def calling(base: str, *, ca: Path, token: str) -> Iterator[Caller]:
    """Yield a session. base: of the API server's URLs. ca: file of the only CA that is trusted."""
    with requests.Session() as session:
        session.trust_env = False  # no proxy and no .netrc gets to see or to replace the token
        session.verify = str(ca)
        session.headers.update({"Authorization": f"Bearer {token}", "Accept": "application/json"})
        yield Caller(session, base, token)


class NotFound(Problem):
    """404 of the API server."""


class Silent(Problem):
    """No answer came, half of one, or one that leaves open whether something was done. why: one clause."""

    def __init__(self, why: str, *, retry_seconds: int = 5) -> None:
        problem = unavailable(
            ProblemReason.CLUSTER_UNAVAILABLE, f"{why}; nothing was made", retry_seconds=retry_seconds
        )
        super().__init__(problem.status, problem.reason, problem.detail, headers=problem.headers)
        self.why = why


class Caller:
    """One caller's session with the API server."""

    def __init__(self, session: requests.Session, base: str, token: str) -> None:
        self._session = session
        self._base = base
        self._token = token

    def name(self) -> str:
        """Return what the API server calls the caller, empty where it won't say (before Kubernetes 1.28)."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            answer = self.ask("POST", _WHO_AM_I, review)
        except NotFound:
            return ""
        except Problem as problem:
            if problem.status is HTTPStatus.FORBIDDEN:
                return ""
            raise
        status = answer.get("status")
        user = status.get("userInfo") if isinstance(status, dict) else None
        return str(user.get("username", "")) if isinstance(user, dict) else ""

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the object that the API server answers. Raises: Problem."""
        try:
            with self._session.request(
                method,
                f"{self._base}{path}",
                json=body,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                stream=True,
            ) as response:
                text = _bounded(response)
        except OSError as error:  # requests' errors are of this kind, and so is a CA file that isn't there
            raise Silent(_cause(error)) from None  # its text may hold the request
        if response.status_code not in (HTTPStatus.OK, HTTPStatus.CREATED):
            raise self._refusal(response, text)
        try:
            return msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Silent("the API server answered no JSON object") from None

    def _refusal(self, response: requests.Response, text: bytes) -> Problem:
        """Return what the API server's refusal is to the caller, with its own sentence."""
        said = f"the API server says: {self._sentence(text) or response.status_code}"
        match response.status_code:
            case 401:
                return unauthorized(ProblemReason.CREDENTIALS_REFUSED, f"{said}; nothing was made")
            case 403:
                return forbidden(ProblemReason.NOT_ALLOWED, f"{said}; nothing was made")
            case 404:
                return NotFound(HTTPStatus.BAD_GATEWAY, ProblemReason.CLUSTER_REFUSED, f"{said}; nothing was made")
            case 429:
                seconds = _retry_seconds(response)
                return unavailable(
                    ProblemReason.CLUSTER_UNAVAILABLE, f"{said}; nothing was made", retry_seconds=seconds
                )
            case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return Silent(said, retry_seconds=_retry_seconds(response))
        return Problem(HTTPStatus.BAD_GATEWAY, ProblemReason.CLUSTER_REFUSED, f"{said}; nothing was made")

    def _sentence(self, text: bytes) -> str:
        """Return the message of a Status object, short, printable and without the token; empty where there is none."""
        try:
            message = msgspec.json.decode(text, type=_Status).message
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ""
        printable = "".join(c if c.isprintable() else " " for c in message.replace(self._token, "[token]"))
        return printable[:MAX_SENTENCE_CHARACTERS].rstrip(". ")


class _Status(msgspec.Struct):
    message: str = ""


def _bounded(response: requests.Response) -> bytes:
    """Return the body. Raises: OSError when it is larger than any object."""
    text = b""
    for piece in response.iter_content(65536):
        text += piece
        if len(text) > MAX_ANSWER_BYTES:
            raise OSError(f"an answer of over {MAX_ANSWER_BYTES} bytes")
    return text


def _cause(error: OSError) -> str:
    """Return why no answer came, as one clause without the request."""
    match error:
        case requests.exceptions.SSLError():
            return "the API server's certificate isn't of the CA in LOCO_CLUSTER_CA"
        case requests.exceptions.ConnectTimeout():
            return f"the API server took no connection within {CONNECT_SECONDS:g} s"
        case requests.exceptions.Timeout():
            return f"the API server didn't answer within {READ_SECONDS:g} s"
        case requests.exceptions.RequestException():
            return "the API server can't be reached, or broke off"
    return f"the CA in LOCO_CLUSTER_CA or the answer can't be used ({type(error).__name__})"


def _retry_seconds(response: requests.Response) -> int:
    """Return what Retry-After says in seconds, within bounds; the API server never says it as a date."""
    line = response.headers.get("Retry-After", "")
    return min(max(int(line), 1), MAX_RETRY_SECONDS) if line.isascii() and line.isdigit() and len(line) < 6 else 5
