"""`POST /actions/{name}` from its bytes to its answer: who asks, for which pod, for what, and how it went."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus
from typing import Any

import msgspec

from agent.actions.act import Act, ActFailed, CannotAct, Done, Work
from agent.actions.gate import CHALLENGE_SECONDS, Busy, Challenges, NotAccepted, QuotaSpent, Turnstile
from agent.actions.keys import KeysMissing, read_keys
from agent.actions.scene import Scene
from agent.actions.table import ACTS, forbidden
from agent.exchange import Answer, Request, problem
from agent.signing import SCHEME, Signable, is_signed, parse_authorization

# issue: a request is a few hundred bytes.
MAX_BODY_BYTES = 4096

# chosen: the longest act waits for a QEMU that was killed and for nothing slower.
MAX_DEADLINE_SECONDS = 60.0

# chosen: what is logged of a sender's words.
_SHOWN_CHARACTERS = 100

_log = logging.getLogger(__name__)


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a request. deadline_seconds: when the act must be over, from now."""

    pod_uid: str
    attempt: str | int
    incident: str | None = None
    deadline_seconds: float = 20.0


class _Addressed(msgspec.Struct, frozen=True):
    """The one field of a body that says which pod's uid was signed."""

    pod_uid: str


class Turned(Exception):
    """A request that isn't done; `answer` says why."""

    def __init__(self, status: HTTPStatus, reason: str, detail: str, *headers: tuple[str, str]) -> None:
        super().__init__(detail)
        self.status, self.reason, self.headers = status, reason, headers


class Door:
    """Lets in who holds this instance's key, one act at a time, and logs everybody who tried."""

    def __init__(self, scene: Scene, boot_id: str) -> None:
        self._scene = scene
        self._challenges = Challenges(boot_id)
        self._turnstile = Turnstile()

    def challenge(self) -> Answer:
        """Answer `GET /actions/challenge`; it gives nothing away, so anybody may ask."""
        body = {
            "challenge": self._challenges.issue(),
            "expires_seconds": CHALLENGE_SECONDS,
            "pod_uid": self._scene.settings.pod_uid,
        }
        return Answer(HTTPStatus.OK, msgspec.json.encode(body), "application/json", (("Cache-Control", "no-store"),))

    def act(self, request: Request, body: bytes) -> Answer:
        """Answer `POST /actions/{name}`; the answer comes when the act is over."""
        name = request.path.rpartition("/")[2]
        told: dict[str, Any] = {"action": name}
        try:
            self._authenticate(request, body)
            asked = self._parse(body)
            told |= {"attempt": _shown(asked.attempt), "incident": _shown(asked.incident)}
            done = self._perform(ACTS[name], asked)
        except Turned as turned:
            _log.warning("act refused", extra={**told, "status": turned.status.value, "reason": turned.reason})
            return problem(turned.status, str(turned), *turned.headers, reason=turned.reason)
        _log.info("act done", extra={**told, "held": done["held"], "detail": done["detail"], "steps": done["steps"]})
        return Answer(HTTPStatus.OK, msgspec.json.encode(done), "application/json", (("Cache-Control", "no-store"),))

    def _authenticate(self, request: Request, body: bytes) -> None:
        """Pass a request that was signed by a key of this instance over a fresh challenge of ours. Raises: Turned."""
        try:
            keys = read_keys(self._scene.settings)
        except KeysMissing as error:
            raise Turned(HTTPStatus.FORBIDDEN, "acts-off", f"acts are off here: {error}") from error
        parsed = parse_authorization(request.headers.get("authorization", ""))
        if parsed is None:
            raise _unauthorized("unsigned", f"an Authorization of scheme {SCHEME} is needed")
        challenge, signature = parsed
        try:
            self._challenges.check(challenge)
            # By the uid that it means: one for another pod is told so, which `_parse` does.
            uids = {self._scene.settings.pod_uid, _uid_in(body)}
            requests = [Signable(challenge, request.method, request.path, body, uid) for uid in uids if uid]
            if not any(is_signed(keys, signature, each) for each in requests):
                raise _unauthorized("bad-signature", "the signature isn't of this instance's key over this request")
            self._challenges.use(challenge)
        except NotAccepted as error:
            raise _unauthorized(error.reason, str(error)) from error

    def _parse(self, body: bytes) -> Asked:
        """Return what is asked of this pod. Raises: Turned."""
        try:
            asked = msgspec.json.decode(body, type=Asked)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Turned(HTTPStatus.UNPROCESSABLE_ENTITY, "bad-body", f"the body: {error}") from error
        if asked.pod_uid != self._scene.settings.pod_uid:
            raise Turned(
                HTTPStatus.CONFLICT,
                "other-pod",
                f"this is pod {self._scene.settings.pod_uid}, not {_shown(asked.pod_uid)}",
            )
        if not 0 < asked.deadline_seconds <= MAX_DEADLINE_SECONDS:
            raise Turned(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "bad-body",
                f"deadline_seconds is {asked.deadline_seconds:g}, above 0 up to {MAX_DEADLINE_SECONDS:g} is allowed",
            )
        return asked

    def _perform(self, act: Act, asked: Asked) -> dict[str, Any]:
        """Do the act and return the body of the answer. Raises: Turned."""
        prohibition = forbidden(act.name, self._scene.settings)
        if prohibition:
            raise Turned(HTTPStatus.FORBIDDEN, "not-allowed", f"{act.name} is not allowed here: {prohibition}")
        reason = act.why_not(self._scene, self._scene.report())
        if reason:
            raise _cannot(act, reason)
        try:
            with self._turnstile.enter() as give_back:
                return self._run(act, asked, give_back)
        except Busy as error:
            raise Turned(HTTPStatus.CONFLICT, "busy", str(error), ("Retry-After", "5")) from error
        except QuotaSpent as error:
            after = ("Retry-After", f"{error.wait_seconds:.0f}")
            raise Turned(HTTPStatus.CONFLICT, "quota-spent", str(error), after) from error

    def _run(self, act: Act, asked: Asked, give_back: Any) -> dict[str, Any]:  # noqa: ANN401
        started_at = time.monotonic()
        work = Work(started_at + asked.deadline_seconds)
        try:
            done = act.perform(self._scene, work)
        except CannotAct as error:
            give_back()
            raise _cannot(act, str(error)) from error
        except ActFailed as error:
            done = Done(held=False, detail=str(error))
        return {
            "action": act.name,
            "held": done.held,
            "detail": done.detail,
            "seconds": round(time.monotonic() - started_at, 2),
            "steps": work.steps,
        }


def _uid_in(body: bytes) -> str:
    """Return the pod uid that a body of any kind names, "" for none: all that is read of it before it is trusted."""
    try:
        return msgspec.json.decode(body, type=_Addressed).pod_uid
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _unauthorized(reason: str, detail: str) -> Turned:
    return Turned(HTTPStatus.UNAUTHORIZED, reason, detail, ("WWW-Authenticate", SCHEME))


def _cannot(act: Act, reason: str) -> Turned:
    return Turned(HTTPStatus.UNPROCESSABLE_ENTITY, "cannot", f"{act.name} can't be done here: {reason}")


def _shown(value: object) -> str | None:
    """Return a sender's word as it may stand in a log or an answer."""
    text = None if value is None else str(value)[:_SHOWN_CHARACTERS]
    return None if text is None else "".join(character for character in text if character.isprintable())
