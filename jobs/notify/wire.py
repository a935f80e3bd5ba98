"""What the webhook sends: one JSON object a notification, a stable contract; pure.

docs/notifications.md has its schema, which is made of this.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from agent.report import rfc3339
from jobs.health.model import Evidence, Instance, Reason
from jobs.health.recovery import Plan
from jobs.notify.address import Links
from jobs.notify.letter import Letter, Transition, in_words, outlook

VERSION: Final = 1
"""It moves when a field is taken away or means something else; a receiver passes over fields that it doesn't know."""


_Transition = Literal["opened", "escalated", "closed"]
_Type = Literal["incident.opened", "incident.escalated", "incident.closed", "test"]

_TRANSITIONS: dict[Transition, _Transition] = {
    Transition.OPENED: "opened",
    Transition.ESCALATED: "escalated",
    Transition.CLOSED: "closed",
}
_TYPES: dict[Transition, _Type] = {
    Transition.OPENED: "incident.opened",
    Transition.ESCALATED: "incident.escalated",
    Transition.CLOSED: "incident.closed",
}


class _Wire(msgspec.Struct, kw_only=True, rename="camel"):
    """An object of the contract."""


class Fact(_Wire):
    """One measured fact behind a reason."""

    fact: str
    value: float | str | bool | None
    limit: float | str | bool | None
    unit: str
    witness: str
    since: str | None


class Why(_Wire):
    """One reason."""

    code: str
    failure_class: str
    severity: str
    text: str
    evidence: tuple[Fact, ...]
    runbook_url: str | None


class About(_Wire):
    """The instance. Null where the inventory doesn't tell: an instance that a file names has no pod."""

    id: str
    name: str
    namespace: str | None
    pod: str | None
    uid: str | None
    node: str | None


class Told(_Wire):
    """The incident as it was at that moment. members: keys of the instances whose illness it explains."""

    id: str
    key: str
    opened_at: str
    closed_at: str | None
    verdict: str
    failure_class: str
    codes: tuple[str, ...]
    members: tuple[str, ...]
    url: str | None


class Outlook(_Wire):
    """What recovery had in mind when this was sent. hold: why nothing is done now, null where it is due."""

    action: str | None
    hold: str | None
    text: str


class Data(_Wire):
    """What happened. instance: null where the incident is of several. recovery: null once the incident is closed."""

    version: Literal[1]
    transition: _Transition
    escalation: str | None
    headline: str
    text: str
    incident: Told
    instance: About | None
    reasons: tuple[Why, ...]
    recovery: Outlook | None


class Envelope(_Wire):
    """One message, shaped as Standard Webhooks has them. timestamp: when it happened."""

    type: _Type
    timestamp: str
    data: Data | None


def envelope(letter: Letter, links: Links) -> Envelope:
    """Return the message of a letter."""
    transition = _TRANSITIONS[letter.transition]
    return Envelope(
        type=_TYPES[letter.transition],
        timestamp=_instant(letter.notice.created_at_ms),
        data=Data(
            version=VERSION,
            transition=transition,
            escalation=letter.notice.message.escalation or None,
            headline=letter.headline,
            text=letter.text,
            incident=_told(letter, links),
            instance=_about(letter.notice.message.instance),
            reasons=tuple(_why(reason, links) for reason in letter.reasons),
            recovery=None if letter.transition is Transition.CLOSED else _recovery(letter.plan),
        ),
    )


def a_test(at_ms: int) -> Envelope:
    """Return the message that only shows that messages arrive."""
    return Envelope(type="test", timestamp=_instant(at_ms), data=None)


def encode(message: Envelope) -> bytes:
    """Return the body."""
    return msgspec.json.encode(message)


def _told(letter: Letter, links: Links) -> Told:
    incident = letter.incident
    return Told(
        id=incident.id,
        key=incident.key,
        opened_at=_instant(incident.opened_at_ms),
        closed_at=None if incident.closed_at_ms is None else _instant(incident.closed_at_ms),
        verdict=incident.verdict.value,
        failure_class=incident.failure_class.value,
        codes=incident.codes,
        members=incident.members,
        url=links.incident(incident.id),
    )


def _about(instance: Instance | None) -> About | None:
    if instance is None:
        return None
    pod = instance.pod
    return About(
        id=instance.public_id,
        name=instance.name,
        namespace=pod.namespace if pod else None,
        pod=pod.name if pod else None,
        uid=instance.uid,
        node=pod.node if pod else None,
    )


def _why(reason: Reason, links: Links) -> Why:
    return Why(
        code=reason.code,
        failure_class=reason.failure_class.value,
        severity=reason.severity.value,
        text=in_words(reason),
        evidence=tuple(_fact(one) for one in reason.evidence),
        runbook_url=links.runbook(reason.code),
    )


def _fact(one: Evidence) -> Fact:
    since = None if one.since_ms is None else _instant(one.since_ms)
    return Fact(fact=one.fact, value=one.value, limit=one.limit, unit=one.unit, witness=one.witness, since=since)


def _recovery(plan: Plan | None) -> Outlook:
    action = plan.action.value if plan and plan.action else None
    return Outlook(action=action, hold=plan.hold.value if plan and plan.hold else None, text=outlook(plan))


def _instant(at_ms: int) -> str:
    return rfc3339(at_ms / 1000)
