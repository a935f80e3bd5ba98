"""What a caller asks to be done: the two POST routes, from body to answer; who may ask is the door's business."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Protocol

import msgspec

from api.answer import JSON, Answer, json_answer
from api.fleet import Fleet, Standing
from api.follower import Follower
from api.foreseen import foresee
from api.problem import Problem, ProblemReason, echo, not_found, unavailable
from api.views.recovery import plan as plan_shape
from jobs.health.model import Instance

log = logging.getLogger(__name__)

# What waitress takes of a body too; api.serving has it from here.
MAX_BODY_BYTES = 4 * 1024


@dataclass(frozen=True, slots=True)
class Made:
    """What was started, or would have been. job: its name, empty where a process would get one only by starting.

    by: what the API server calls the caller, empty where nobody says it.
    """

    job: str
    by: str = ""


class WayKind(StrEnum):
    """Whose token opens a door: one of the cluster's, or this start's of an API without a cluster."""

    CLUSTER = "cluster"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Way:
    """How people come by a token. place: the namespace of the recovery Jobs, or the file that holds the token."""

    kind: WayKind
    place: str


class Door(Protocol):
    """Where a caller is let in and what is asked becomes a Job or a process.

    Every method raises Problem.
    """

    @property
    def way(self) -> Way:
        """Return how people come by a token."""

    def admit(self, environ: Mapping[str, Any]) -> str:
        """Return the caller's token; what it is good for shows when it is used."""

    def recover(self, token: str, instance: Instance, *, is_forced: bool) -> Made:
        """Start one recovery."""

    def rehearse(self, token: str, instance: Instance, *, is_forced: bool) -> Made:
        """Find out whether `recover` would be let start one, as far as that can be asked; nothing is started."""

    def refresh(self, token: str) -> Made:
        """Start one look at the inventory."""


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a recovery that is asked for.

    forceRecovery: skip the cool-down and the wait for people. dryRun: say what would be done, and start nothing.
    """

    forceRecovery: bool = False  # noqa: N815 - the seed's name
    dryRun: bool = False  # noqa: N815 - as the field before


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


@dataclass(frozen=True, slots=True)
class Asked:
    """One POST as its route sees it. id: the path's variable part."""

    fleet: Fleet
    follower: Follower
    door: Door
    id: str
    environ: Mapping[str, Any]

    def body(self, kind: type[msgspec.Struct]) -> Any:  # noqa: ANN401 - of the kind
        """Return the body, the defaults for none. Raises: Problem."""
        text = self.environ["wsgi.input"].read(MAX_BODY_BYTES + 1) if self.environ.get("CONTENT_LENGTH") else b""
        if not text:
            return kind()
        _check_type(self.environ.get("CONTENT_TYPE", ""))
        return _decode(text, kind)

    @property
    def standing(self) -> Standing:
        """Return the instance that the path names. Raises: Problem."""
        if self.fleet.snapshot is None:
            raise unavailable(ProblemReason.STORE_UNREADABLE, self.fleet.problem)
        standing = self.fleet.standings.get(self.id)
        if standing is None:
            raise not_found(
                ProblemReason.UNKNOWN_INSTANCE, f"no instance is called {echo(self.id)}; nothing was started"
            )
        return standing


def recover(asked: Asked) -> Answer:
    """Start one recovery of one instance; whether it may act is decided by the ledger, as for every other."""
    token = asked.door.admit(asked.environ)
    wish: Wish = asked.body(Wish)
    instance = asked.standing.instance
    if wish.dryRun:
        return _foreseen(asked, token, wish)
    made = asked.door.recover(token, instance, is_forced=wish.forceRecovery)
    log.info(
        "recovery asked for",
        extra={"instance": instance.public_id, "forced": wish.forceRecovery, "job": made.job, "by": made.by},
    )
    return json_answer(
        {
            "message": f"Recovery of {instance.public_id} was asked for; {made.job} does the next act or says why not.",
            "failureType": asked.standing.failure_class,
            "forceRecovery": wish.forceRecovery,
            "instanceId": instance.public_id,
            "job": made.job,
        },
        status=HTTPStatus.ACCEPTED,
    )


def _foreseen(asked: Asked, token: str, wish: Wish) -> Answer:
    """Answer what the recovery would do or why it wouldn't, once its door says that the caller may start one."""
    standing = asked.standing
    asked.door.rehearse(token, standing.instance, is_forced=wish.forceRecovery)
    plan = foresee(asked.fleet, standing, asked.follower, is_forced=wish.forceRecovery)
    would = f"would be done now for {', '.join(plan.codes) or 'nobody but you'}"
    told = f"{plan.action} {would}" if plan.is_due else f"nothing would be done: {plan.hold}: {plan.detail}"
    return json_answer(
        {
            "message": f"Nothing was started; {told}.",
            "failureType": standing.failure_class,
            "forceRecovery": wish.forceRecovery,
            "instanceId": standing.instance.public_id,
            "plan": plan_shape(plan),
        }
    )


def refresh(asked: Asked) -> Answer:
    """Start one look at the inventory."""
    token = asked.door.admit(asked.environ)
    asked.body(_Nothing)
    made = asked.door.refresh(token)
    log.info("refresh asked for", extra={"job": made.job, "by": made.by})
    return json_answer(
        {"message": f"A look at the inventory was asked for; {made.job} does it.", "job": made.job},
        status=HTTPStatus.ACCEPTED,
    )


def _check_type(content_type: str) -> None:
    """Raise Problem (415) for a body that doesn't say it is JSON."""
    if content_type.partition(";")[0].strip().lower() != JSON:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            ProblemReason.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Type is {echo(content_type)}, {JSON} is needed; nothing was started",
            headers=(("Accept-Post", JSON),),
        )


def _decode(text: bytes, kind: type[msgspec.Struct]) -> msgspec.Struct:
    """Return the body's value.

    Raises: Problem (400), which names a field that isn't known.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        known = ", ".join(kind.__struct_fields__) or "none"
        why = echo(re.sub(r"[\x00-\x1f\x7f]", "?", str(error)))[1:-1]
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            ProblemReason.BAD_BODY,
            f"the body can't be taken: {why}; a JSON object is, its fields: {known}; nothing was started",
        ) from None
