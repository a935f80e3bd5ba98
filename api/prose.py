"""Recovery, and the monitor's own silence, in sentences for people. Pure; what it returns isn't escaped."""

from __future__ import annotations

from api.fleet import COLLECTOR, Fleet, Standing
from api.instants import rfc3339
from api.views.recovery import why_not
from jobs.health.brake import brake_on
from jobs.health.causes import FLEET, is_common
from jobs.health.recovery import Attempt, Hold
from jobs.health.staleness import STALE_AFTER_MS


def silence(fleet: Fleet) -> str:
    """Return one sentence about a collector that doesn't tick."""
    ticked_at_ms = fleet.snapshot.last_successes.get(COLLECTOR) if fleet.snapshot else None
    if ticked_at_ms is None:
        return "the collector has never committed a tick into this store"
    return f"the collector's last tick was at {rfc3339(ticked_at_ms)}, over {STALE_AFTER_MS // 1000} s ago"


def outlook(standing: Standing) -> str:
    """Return what is done about an instance next, or why nothing is; empty while none is open or an attempt runs."""
    known = standing.recovery
    if known is None or known.plan is None:
        return ""
    attempt = newest(standing)
    if attempt and attempt.outcome is None and known.hold and known.hold.hold is Hold.ATTEMPT_RUNNING:
        return ""  # the attempt's own line tells it, and what comes after it is planned anew
    if standing.is_well_again:
        return "Nothing is wrong now; the incident closes once that has lasted."
    action, told = known.plan.action or "nothing", why_not(standing, known) or known.plan.detail or "due now"
    return f"Recovery: {told}." if action in told else f"Recovery: {action} next; {told}."


def newest(standing: Standing) -> Attempt | None:
    """Return the newest attempt of the last hour, None where there was none."""
    attempts = standing.recovery.attempts if standing.recovery else ()
    return attempts[0] if attempts else None


def outcome(one: Attempt) -> str:
    """Return what an attempt came to, or how it stands."""
    if one.outcome is None:
        return f"Attempt {one.id}, {one.action}, is {one.state}."
    return f"Attempt {one.id}, {one.action}, ended {one.outcome}{f': {one.detail}' if one.detail else ''}."


def banners(fleet: Fleet) -> list[tuple[str, str]]:
    """Return a headline and its detail for each thing that keeps recovery from acting on more than one instance."""
    snapshot = fleet.snapshot
    if snapshot is None or snapshot.recovery is None:
        return []
    recovery = snapshot.recovery
    found = []
    if recovery.bounds.is_dry_run:
        found.append(("Dry run.", "Recovery is planned and shown, and nothing is done."))
    if fleet.stop:
        found.append(("Nothing is done now.", f"{fleet.stop.hold}: {fleet.stop.detail}"))
    holds = {one.hold for one in recovery.instances.values() if one.hold}
    found += [("Nothing is done yet.", held.detail) for held in holds if held.hold is Hold.LEDGER_UNREAD]
    for key, incident in sorted(snapshot.incidents.items()):
        held = brake_on(incident.members[0], {key: incident}) if is_common(key) and incident.members else None
        if held:
            scope = "about any instance" if key == FLEET else "about them one by one"
            found.append((f"Nothing is done {scope}.", f"{held.hold}: {held.detail}"))
    return found


def mode(fleet: Fleet) -> str:
    """Return whether recovery acts, as settings, switches and the fleet brake have it; empty where that isn't told."""
    recovery = fleet.snapshot.recovery if fleet.snapshot else None
    if fleet.snapshot is None or recovery is None:
        return ""
    if fleet.stop or FLEET in fleet.snapshot.incidents:
        return "recovery is stopped"
    return "recovery is a dry run" if recovery.bounds.is_dry_run else "recovery acts"
