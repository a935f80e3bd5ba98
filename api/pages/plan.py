"""What is done about an instance next, and why not yet. Pure."""

from __future__ import annotations

from html import escape

from api.fleet import Standing
from api.pages.blocks import table
from api.pages.times import when
from api.recovery import Recovering
from api.views.recovery import UNTOLD, why_not
from jobs.health.holds import HOLDS
from jobs.health.recovery import Held, Plan


def outlook(standing: Standing) -> str:
    """Return the next act and what it waits for, and what the last hour has cost."""
    known = standing.recovery
    if known is None:
        return f'<p class="why-not">Not told: {escape(UNTOLD)}.</p>'
    budget = ("attempts in the last 60 minutes", f"{known.spent} of at most {known.max_attempts}")
    if known.plan is None:
        why = "No plan was made for the open incident yet" if standing.incident else "No incident is open"
        return f"<p>{why}, so nothing is planned.</p>{table([budget])}"
    return table([*_next(standing, known, known.plan), budget])


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
        rows.append(("no earlier than", when(plan.until_ms)))
    if plan.codes:
        rows.append(("for", " ".join(f"<code>{escape(code)}</code>" for code in plan.codes)))
    rows.append(("cuts people off", "yes" if plan.is_cutting else "no"))
    rows.append(("decided", when(plan.decided_at_ms)))
    return rows
