"""The door of a cluster: Jobs are made with the caller's own token, so that Kubernetes decides who may.

This process has no right of its own: it mounts the cluster's CA and nothing else.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import requests

from api.auth import bearer
from api.order import DISCOVER, SUFFIX_ALPHABET, SUFFIX_CHARACTERS, recovery_job, refresh_job
from api.problem import Problem, ProblemReason, forbidden, unauthorized, unavailable
from jobs.health.model import Instance
from jobs.template import CRONJOB

# chosen: an API server that is well answers within a second, and a thread that waits for it serves nobody else.
CONNECT_SECONDS = 3.0
READ_SECONDS = 5.0

# chosen: of the server's four threads; the others go on reading while the API server hangs.
MAX_CALLERS = 2

# etcd docs, "System limits": an object has 1.5 MiB at most; JSON makes it longer.
MAX_ANSWER_BYTES = 4 * 1024 * 1024

MAX_SENTENCE_CHARACTERS = 400
MAX_RETRY_SECONDS = 60

_HOW = (
    "send `Authorization: Bearer` with a token such as `kubectl create token loco-requester -n {} --duration=10m` "
    "prints; the API server's service proxy takes that header away, so come by `kubectl port-forward` or use "
    "`kubectl loco recover`; nothing was started"
)

_WHO_AM_I = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class ClusterDoor:
    """Make Jobs in one namespace with the token that came with the request.

    base: of the API server's URLs. ca: file of the only CA that is trusted.
    """

    def __init__(self, base: str, *, ca: Path, namespace: str) -> None:
        self._base = base
        self._ca = ca
        self._namespace = namespace
        self._batch = f"/apis/batch/v1/namespaces/{namespace}"
        self._places = threading.BoundedSemaphore(MAX_CALLERS)

    def admit(self, environ: Mapping[str, Any]) -> str:
        """Return the caller's token, unproven. Raises: Problem (401)."""
        return bearer(environ, how=_HOW.format(self._namespace))

    def recover(self, token: str, instance: Instance, *, is_forced: bool) -> str:
        """Make a Job of the template `recover`; return its name. Raises: Problem."""
        with self._caller(token) as caller:
            who = caller.name()
            template = self._template(caller, CRONJOB)
            with _as_template(CRONJOB):
                job = recovery_job(
                    template, instance.public_id, suffix=_suffix(), is_forced=is_forced, requested_by=who
                )
            return self._create(caller, job)

    def refresh(self, token: str) -> str:
        """Make a Job of the CronJob `discover`; return its name. Raises: Problem."""
        with self._caller(token) as caller:
            who = caller.name()
            template = self._template(caller, DISCOVER)
            with _as_template(DISCOVER):
                job = refresh_job(template, suffix=_suffix(), requested_by=who)
            return self._create(caller, job)

    @contextmanager
    def _caller(self, token: str) -> Iterator[_Caller]:
        if not self._places.acquire(blocking=False):
            raise unavailable(
                ProblemReason.BUSY, f"{MAX_CALLERS} requests wait for the API server, as many as may; nothing was made"
            )
        try:
            with requests.Session() as session:
                session.trust_env = False  # no proxy and no .netrc gets to see or to replace the token
                session.verify = str(self._ca)
                session.headers.update({"Authorization": f"Bearer {token}", "Accept": "application/json"})
                yield _Caller(session, self._base, token)
        finally:
            self._places.release()

    def _template(self, caller: _Caller, name: str) -> dict[str, Any]:
        try:
            return caller.ask("GET", f"{self._batch}/cronjobs/{name}")
        except _NotFound as error:
            raise unavailable(
                ProblemReason.CLUSTER_UNAVAILABLE, f"there is no CronJob {name} in {self._namespace}; nothing was made"
            ) from error

    def _create(self, caller: _Caller, job: dict[str, Any]) -> str:
        name = str(job["metadata"]["name"])
        try:
            caller.ask("POST", f"{self._batch}/jobs", job)
        except _Silent as silent:
            raise unavailable(
                ProblemReason.CLUSTER_UNAVAILABLE,
                f"{silent.why}, so it isn't known whether Job {name} was made; "
                f"`kubectl get job {name} -n {self._namespace}` tells",
            ) from silent
        return name


class _NotFound(Problem):
    """404 of the API server."""


class _Silent(Problem):
    """No answer came, or half of one. why: one clause."""

    def __init__(self, why: str) -> None:
        problem = unavailable(ProblemReason.CLUSTER_UNAVAILABLE, f"{why}; nothing was made")
        super().__init__(problem.status, problem.reason, problem.detail, headers=problem.headers)
        self.why = why


class _Caller:
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
        except _NotFound:
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
            raise _Silent(_cause(error)) from None  # its text may hold the request
        if response.status_code not in (HTTPStatus.OK, HTTPStatus.CREATED):
            raise self._refusal(response, text)
        try:
            return msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _Silent("the API server answered no JSON object") from None

    def _refusal(self, response: requests.Response, text: bytes) -> Problem:
        """Return what the API server's refusal is to the caller, with its own sentence."""
        said = f"the API server says: {self._sentence(text) or response.status_code}"
        match response.status_code:
            case 401:
                return unauthorized(ProblemReason.CREDENTIALS_REFUSED, f"{said}; nothing was made")
            case 403:
                return forbidden(ProblemReason.NOT_ALLOWED, f"{said}; nothing was made")
            case 404:
                return _NotFound(HTTPStatus.BAD_GATEWAY, ProblemReason.CLUSTER_REFUSED, f"{said}; nothing was made")
            case status if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                seconds = _retry_seconds(response)
                return unavailable(
                    ProblemReason.CLUSTER_UNAVAILABLE, f"{said}; nothing was made", retry_seconds=seconds
                )
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


@contextmanager
def _as_template(name: str) -> Iterator[None]:
    """Let an object that is no CronJob leave the block as a Problem."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise Problem(
            HTTPStatus.BAD_GATEWAY,
            ProblemReason.CLUSTER_REFUSED,
            f"CronJob {name} has no template of a Job ({type(error).__name__}); nothing was made",
        ) from error


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


def _suffix() -> str:
    return "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(SUFFIX_CHARACTERS))
