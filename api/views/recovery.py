"""Recovery in the seed's shape with fields added: what was done, what is next, and why not yet."""

from __future__ import annotations

from typing import Any

from api.fleet import Standing
from api.instants import rfc3339, rfc3339_or_none
from api.recovery import Recovering
from jobs.health.recovery import Attempt, Plan

UNTOLD = "the store can't be read, and ConfigMap loco-health tells nothing of attempts"


def recovery(standing: Standing) -> dict[str, Any]:
    """Return one instance's recovery; null for what a ConfigMap doesn't tell."""
    known = standing.recovery
    if known is None:
        nothing = dict.fromkeys(("attempts", "maxAttempts", "canRecover", "hold", "next", "history"))
        return {**nothing, "reason": UNTOLD}
    reason = why_not(standing, known)
    return {
        "attempts": known.spent,
        "maxAttempts": known.max_attempts,
        "canRecover": reason is None,
        "reason": reason,
        "hold": known.hold.hold if known.hold else None,
        "next": plan(known.plan) if known.plan else None,
        "history": [attempt(one) for one in known.attempts],
    }


def why_not(standing: Standing, known: Recovering) -> str | None:
    """Return why no act is begun now as one clause, None when one is."""
    if standing.is_stale:
        return "the latest assessment is too old to act on"
    if known.plan is None:
        return "no incident is open, so nothing is planned"
    hold = known.hold
    return f"{hold.hold}: {hold.detail}" if hold else None


def plan(one: Plan) -> dict[str, Any]:
    """Return what is to be done next about an incident, or why nothing is."""
    return {
        "action": one.action,
        "due": one.is_due,
        "hold": one.hold,
        "detail": one.detail,
        "until": rfc3339_or_none(one.until_ms),
        "decidedAt": rfc3339(one.decided_at_ms),
        "codes": one.codes,
        "cutting": one.is_cutting,
    }


def attempt(one: Attempt) -> dict[str, Any]:
    """Return one attempt."""
    return {
        "id": one.id,
        "number": one.number,
        "incident": one.incident,
        "action": one.action,
        "state": one.state,
        "outcome": one.outcome,
        "detail": one.detail,
        "codes": one.codes,
        "bookedAt": rfc3339(one.booked_at_ms),
        "actedAt": rfc3339_or_none(one.acted_at_ms),
        "endedAt": rfc3339_or_none(one.ended_at_ms),
        "origin": one.origin,
        "requestedBy": one.requested_by or None,
        "forced": one.is_forced,
        "job": one.job,
        "sessionSecondsLost": one.session_seconds_lost,
        "hasEvidence": one.has_evidence,
    }
