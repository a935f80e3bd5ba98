"""Letters as alerts of Alertmanager's API v2; pure.

Alertmanager knows an alert by its labels, so those of a letter never change. A letter that escalates is an alert of
its own: of one that is known already, nobody would hear that its annotations have changed.
"""

from __future__ import annotations

from typing import Any

from agent.report import rfc3339
from jobs.health.causes import is_common
from jobs.health.model import Verdict
from jobs.health.recovery import Hold
from jobs.notify.address import Links
from jobs.notify.letter import Letter, Transition, code_of

_SEVERE = frozenset({Verdict.UNHEALTHY, Verdict.UNREACHABLE})

TEST = "LocoTest"


def active(letter: Letter, links: Links, *, until_ms: int) -> dict[str, Any]:
    """Return the alert of a letter. until_ms: when Alertmanager may take it for over if it isn't told again."""
    # A clock that ran ahead when it opened must not make an alert that ends before it begins: those are refused.
    return _alert(letter, links, ends_at_ms=max(until_ms, _starts_at_ms(letter)))


def resolved(closed: Letter, links: Links) -> list[dict[str, Any]]:
    """Return the alerts of an incident that is over, as ended."""
    closed_at_ms = closed.incident.closed_at_ms or closed.notice.created_at_ms
    return [
        _alert(one, links, ends_at_ms=max(closed_at_ms, _starts_at_ms(one)), description=closed.text)
        for one in closed.earlier
    ]


def trial(at_ms: int, *, seconds: int) -> dict[str, Any]:
    """Return the alert that only shows that alerts arrive; it ends by itself after `seconds`."""
    return {
        "labels": {"alertname": TEST, "severity": "info"},
        "annotations": {"summary": "loco-health can reach this Alertmanager", "description": "Nothing is wrong."},
        "startsAt": rfc3339(at_ms / 1000),
        "endsAt": rfc3339(at_ms / 1000 + seconds),
    }


def _alert(letter: Letter, links: Links, *, ends_at_ms: int, description: str | None = None) -> dict[str, Any]:
    page, runbook = links.incident(letter.incident.id), links.runbook(code_of(letter))
    alert: dict[str, Any] = {
        "labels": labels(letter),
        "annotations": {"summary": letter.headline, "description": description or letter.text},
        "startsAt": rfc3339(_starts_at_ms(letter) / 1000),
        "endsAt": rfc3339(ends_at_ms / 1000),
    }
    if page:
        alert["generatorURL"] = page
        alert["annotations"]["incident_url"] = page
    if runbook:
        alert["annotations"]["runbook_url"] = runbook
    return alert


def labels(letter: Letter) -> dict[str, str]:
    """Return what Alertmanager knows the alert by: the same from its first sending to its end."""
    message, incident = letter.notice.message, letter.incident
    known = {
        "alertname": _name(letter),
        "severity": _severity(letter),
        "incident": incident.id,
        "instance": letter.about,
        "escalation": message.escalation,
    }
    if message.instance and message.instance.pod:
        known |= {"namespace": message.instance.pod.namespace, "pod": message.instance.pod.name}
    return {name: value for name, value in known.items() if value}


def _name(letter: Letter) -> str:
    if is_common(letter.incident.key):
        return "LocoIncidentOfSeveral"
    return "LocoIncidentEscalated" if letter.transition is Transition.ESCALATED else "LocoIncident"


def _severity(letter: Letter) -> str:
    is_critical = letter.incident.verdict in _SEVERE or letter.notice.message.escalation == Hold.NEEDS_HUMAN
    return "critical" if is_critical else "warning"


def _starts_at_ms(letter: Letter) -> int:
    is_opening = letter.transition is Transition.OPENED
    return letter.incident.opened_at_ms if is_opening else letter.notice.created_at_ms
