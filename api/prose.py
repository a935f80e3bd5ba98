"""Recovery in sentences for the page. Pure; what it returns isn't escaped."""

from __future__ import annotations

from collections import Counter

from api.fleet import Fleet, Standing
from api.instants import rfc3339
from api.views.recovery import why_not
from jobs.health.recovery import Attempt, Hold

# What holds all acts at once, in the order of who must lift it.
_FLEET_WIDE = {
    Hold.LEDGER_UNREAD: "Nothing is done yet.",
    Hold.FLEET_BRAKE: "The brake is on.",
    Hold.COMMON_CAUSE: "Instances share a cause, and nothing is done about them one by one.",
}


def outlook(standing: Standing) -> str:
    """Return what is done about an instance next, or why nothing is; empty while no incident is open."""
    known = standing.recovery
    if known is None or known.plan is None:
        return ""
    action = f"{known.plan.action} next" if known.plan.action else "nothing next"
    return f"Recovery: {action}; {why_not(standing, known) or known.plan.detail or 'due now'}."


def outcome(standing: Standing) -> str:
    """Return what the newest attempt of the last hour came to, empty where there was none."""
    attempts = standing.recovery.attempts if standing.recovery else ()
    return _told(attempts[0]) if attempts else ""


def banners(fleet: Fleet) -> list[tuple[str, str]]:
    """Return a headline and its detail for each thing that keeps recovery from acting anywhere."""
    recovery = fleet.snapshot.recovery if fleet.snapshot else None
    if recovery is None:
        return []
    found = []
    if recovery.bounds.is_dry_run:
        found.append(("Dry run.", "Recovery is planned and shown, and nothing is done."))
    if fleet.stop:
        found.append(("Nothing is done now.", f"{fleet.stop.hold}: {fleet.stop.detail}"))
    holds = [(one.hold.hold, one.hold.detail) for one in recovery.instances.values() if one.hold]
    for hold, headline in _FLEET_WIDE.items():
        details = Counter(detail for one, detail in holds if one is hold)
        found += [(headline, f"{detail} ({count})") for detail, count in sorted(details.items())]
    return found


def mode(fleet: Fleet) -> str:
    """Return whether recovery acts, as far as settings and switches go; empty where that isn't told."""
    recovery = fleet.snapshot.recovery if fleet.snapshot else None
    if recovery is None:
        return ""
    if fleet.stop:
        return "recovery is stopped"
    return "recovery is a dry run" if recovery.bounds.is_dry_run else "recovery acts"


def _told(one: Attempt) -> str:
    if one.outcome is None:
        return f"Attempt {one.id}, {one.action}, is {one.state} since {rfc3339(one.booked_at_ms)}."
    ended = f" at {rfc3339(one.ended_at_ms)}" if one.ended_at_ms is not None else ""
    return f"Attempt {one.id}, {one.action}, ended {one.outcome}{ended}{f': {one.detail}' if one.detail else ''}."
