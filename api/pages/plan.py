"""What is done about an instance next, and why not yet. Pure."""

from __future__ import annotations

from html import escape

from api.fleet import Fleet, Standing
from api.pages.names import coded
from api.pages.tables import table
from api.pages.times import when
from api.recovery import Recovering
from api.trends import TICK_MS
from api.views.recovery import UNTOLD, why_not
from jobs.health.holds import HOLDS
from jobs.health.incident import is_bad
from jobs.health.policy import Policy
from jobs.health.recovery import Held, Plan


def outlook(standing: Standing, policy: Policy) -> str:
    """Return the next act and what it waits for, and what the last hour has cost. policy: of incidents."""
    known = standing.recovery
    if known is None:
        return f'<p class="why-not">Not told: {escape(UNTOLD)}.</p>'
    budget = ("attempts in the last 60 minutes", f"{known.spent} of at most {known.max_attempts}")
    if known.plan is None:
        why = "No plan was made for the open incident yet" if standing.incident else "No incident is open"
        if standing.incident is None and is_bad(tuple(reason.code for reason in standing.reasons)):
            opens = f"{policy.incident_open_ticks} of the last {policy.incident_open_window} ticks were bad"
            why = f"This tick is bad, and an incident opens once {opens}. None is open yet"
        return f"<p>{why}, so nothing is planned.</p>{table([budget])}"
    if standing.incident and standing.is_well_again:
        return f"<p>Nothing is wrong now, so nothing is done next. {closing(standing, policy)}</p>{table([budget])}"
    return table([*_next(standing, known, known.plan), budget])


def policy_of(fleet: Fleet) -> Policy:
    """Return the policy that the jobs beside this API were told, the default where it isn't known."""
    recovery = fleet.snapshot.recovery if fleet.snapshot else None
    return recovery.bounds.policy if recovery else Policy()


def closing(standing: Standing, policy: Policy) -> str:
    """Return what an open incident waits for to close, as HTML."""
    since = f" It is healthy since {when(standing.latest.since_ms)}." if standing.latest else ""
    return (
        f"The incident closes once {policy.incident_hold_down_ticks} ticks passed without a fault and"
        f" {policy.incident_close_ticks} of the last {policy.incident_close_window} were healthy;"
        f" a tick is {TICK_MS // 1000} s.{since}"
    )


def held_rows(held: Held | None) -> list[tuple[str, str]]:
    """Return why nothing is done now, what that means and what ends it."""
    if held is None:
        return []
    meaning = HOLDS[held.hold]
    return [
        ("why not yet", f"<code>{held.hold}</code> {escape(held.detail)}"),
        ("that means", escape(meaning.means)),
        ("it ends", escape(meaning.ends)),
    ]


def _next(standing: Standing, known: Recovering, plan: Plan) -> list[tuple[str, str]]:
    hold = known.hold
    rows = [("next", f"<b>{plan.action}</b>" if plan.action else "nothing")]
    if hold is None:
        why = why_not(standing, known)
        rows.append(("when", f"not now: {escape(why)}" if why else "it is due now"))
    rows += held_rows(hold)
    if plan.until_ms is not None and hold is not None and hold.hold is plan.hold:
        rows.append(("no earlier than", when(plan.until_ms, is_ahead=True)))
    if plan.action and plan.codes:
        rows.append(("for", coded(plan.codes)))
    if plan.action:
        rows.append(("cuts people off", "yes" if plan.is_cutting else "no"))
    rows.append(("decided", when(plan.decided_at_ms)))
    return rows
