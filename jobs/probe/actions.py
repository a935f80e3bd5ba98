"""Single requests to an agent: its challenge, one act, its evidence; what a stranger answers becomes a value.

Only the act is signed. Nothing is asked twice here: whether an act whose answer got lost was done is for looks to tell.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec
import requests
from urllib3.exceptions import HTTPError

from agent.signing import Signable, authorization, sign
from jobs.dialling import Cut, NotDialled, dialled, read_whole
from jobs.health.model import Instance

# architecture section 4
CONNECT_SECONDS = 2.0

# chosen: a challenge costs the agent nothing; a hung one must not eat the attempt's time.
CHALLENGE_SECONDS = 5.0

# chosen: the agent's own checks of what an act did end before its deadline; its answer then needs the network alone.
_GRACE_SECONDS = 3.0

# chosen: an answer is one sentence and a list of steps.
MAX_ANSWER_BYTES = 64 * 1024

_MAX_DETAIL_CHARACTERS = 300

NO_KEY = "no-key"
"""Code of a refusal of our own: without a key there is nothing to ask for."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the agent wants signed. pod_uid: of the pod that it is in, empty where it knows none."""

    text: str
    pod_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActOrder:
    """What the agent is asked to do. deadline_seconds: for the act and the agent's own look at what it did."""

    action: str
    pod_uid: str
    attempt: int
    incident: str | None
    deadline_seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """The agent did it. held: by its own check, None where it can't tell."""

    held: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The agent did nothing, and says why. code: its reason, empty where the answer wasn't its own."""

    status: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Silent:
    """No whole answer. has_reached: the request may have arrived, so it may have been done."""

    detail: str
    has_reached: bool


class _Challenge(msgspec.Struct):
    challenge: str
    pod_uid: str | None = None


class _Done(msgspec.Struct):
    action: str
    held: bool | None = None
    detail: str = ""


class _Problem(msgspec.Struct):
    reason: str = ""
    detail: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes


class AgentCalls:
    """One pool of connections to agents."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy and no .netrc: agents are near

    def close(self) -> None:
        """Close the idle connections."""
        self._session.close()

    def challenge(self, instance: Instance) -> Challenge | Refused | Silent:
        """Ask for a challenge, good for one act within the next 30 s."""
        answer = self._call("GET", instance, "actions/challenge", seconds=CHALLENGE_SECONDS)
        if isinstance(answer, Silent):
            return answer
        if answer.status != 200:
            return _refused(answer)
        try:
            said = msgspec.json.decode(answer.body, type=_Challenge)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return Refused(answer.status, "", f"the agent answered no challenge: {_clause(str(error))}")
        return Challenge(said.challenge, said.pod_uid or "")

    def act(
        self, instance: Instance, order: ActOrder, challenge: Challenge, keys: Sequence[bytes]
    ) -> Done | Refused | Silent:
        """Have one act done, once. keys: the newest first; an agent that doesn't know it yet may know the one before.

        An agent that calls a signature bad has done nothing, and its challenge is still good.
        """
        answer: Done | Refused | Silent = Refused(0, NO_KEY, "there is no key to sign with")
        for key in keys:
            answer = self._act(instance, order, challenge, key)
            if not isinstance(answer, Refused) or answer.code != "bad-signature":
                break
        return answer

    def _act(self, instance: Instance, order: ActOrder, challenge: Challenge, key: bytes) -> Done | Refused | Silent:
        path = f"actions/{order.action}"
        body = msgspec.json.encode(
            {
                "pod_uid": order.pod_uid,
                "attempt": order.attempt,
                "incident": order.incident,
                "deadline_seconds": order.deadline_seconds,
            }
        )
        signed = Signable(challenge.text, "POST", urlsplit(_url(instance, path)).path, body, order.pod_uid)
        headers = {
            "Authorization": authorization(challenge.text, sign(key, signed)),
            "Content-Type": "application/json",
        }
        seconds = order.deadline_seconds + _GRACE_SECONDS
        answer = self._call("POST", instance, path, seconds=seconds, body=body, headers=headers)
        if isinstance(answer, Silent):
            return answer
        if answer.status != 200:
            refused = _refused(answer)
            # Something on the way has sent the request twice: whether the first was done, this answer doesn't tell.
            return Silent(refused.detail, has_reached=True) if refused.code == "challenge-used" else refused
        try:
            said = msgspec.json.decode(answer.body, type=_Done)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return Done(None, f"the agent's answer can't be read: {_clause(str(error))}")
        return Done(said.held, _clause(said.detail))

    def evidence(self, instance: Instance, *, seconds: float, max_bytes: int) -> bytes | str:
        """Return what only the agent sees as its JSON, or one clause why there is none."""
        answer = self._call("GET", instance, "evidence", seconds=seconds, max_bytes=max_bytes)
        if isinstance(answer, Silent):
            return answer.detail
        return answer.body if answer.status == 200 else _refused(answer).detail

    def picture(self, instance: Instance, *, seconds: float, max_bytes: int) -> bytes | str:
        """Return the screen as PNG, or one clause why there is none."""
        answer = self._call("GET", instance, "screen.png", seconds=seconds, max_bytes=max_bytes)
        if isinstance(answer, Silent):
            return answer.detail
        return answer.body if answer.status == 200 else _refused(answer).detail

    def _call(
        self,
        method: str,
        instance: Instance,
        path: str,
        *,
        seconds: float,
        max_bytes: int = MAX_ANSWER_BYTES,
        **request: Any,  # noqa: ANN401 - what requests takes: body and headers
    ) -> _Answer | Silent:
        """Return one whole answer of any status, read within `seconds` and `max_bytes`."""
        ends_at = time.monotonic() + seconds
        try:
            url, host = dialled(_url(instance, path))
        except NotDialled as error:
            return Silent(str(error), has_reached=False)
        has_reached = False
        try:
            with self._session.request(
                method,
                url,
                data=request.get("body"),
                headers={
                    "Host": host,
                    "User-Agent": "loco-health",
                    "Accept-Encoding": "identity",
                    **request.get("headers", {}),
                },
                timeout=(CONNECT_SECONDS, seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                has_reached = True
                return _Answer(response.status_code, read_whole(response.raw, max_bytes=max_bytes, ends_at=ends_at))
        except requests.ConnectTimeout:
            return Silent(f"no connection within {CONNECT_SECONDS:g} s", has_reached=False)
        except Cut as error:
            return Silent(str(error), has_reached=True)
        except requests.Timeout:
            return Silent(f"no answer within {seconds:g} s", has_reached=True)
        except (requests.RequestException, HTTPError) as error:
            return Silent(_clause(f"{type(error).__name__}: {error}"), has_reached=has_reached or _may_have(error))


def _may_have(error: requests.RequestException | HTTPError) -> bool:
    """Tell whether the request may have arrived: only a connection that never stood is sure not to have."""
    return "NewConnectionError" not in repr(error)


def _refused(answer: _Answer) -> Refused:
    """Return what a problem says, or that it was none."""
    try:
        said = msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = _Problem()
    detail = said.detail or said.title or "without a reason"
    return Refused(answer.status, _clause(said.reason), _clause(f"the agent answered {answer.status}: {detail}"))


def _url(instance: Instance, path: str) -> str:
    return urljoin(instance.health_url, path)


def _clause(text: str) -> str:
    """Return a stranger's text as one printable line."""
    line = text[:_MAX_DETAIL_CHARACTERS]
    return "".join(character if character.isprintable() else " " for character in line)
