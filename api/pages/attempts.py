"""Attempts of recovery: rows of a table, and what each moment of one says. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from api.pages.names import coded
from api.pages.tables import Row, wide_table
from api.pages.times import lasted, when
from jobs.health.recovery import Attempt, Origin

_WANTED_BY = {
    Origin.POLICY: "the policy",
    Origin.REQUEST: "a person",
    Origin.ADOPTED: "an earlier store",
}


def attempts_table(attempts: Iterable[Attempt], *, up: str) -> str:
    """Return a table of attempts, as they are given. up: the way to `/`."""
    rows = [_row(one, up) for one in attempts]
    if not rows:
        return '<p class="unmeasured">none</p>'
    return wide_table("Attempts", ("attempt", "act", "for", "began", "took", "came to", "wanted by"), rows)


def wanted_by(one: Attempt) -> str:
    """Return who wanted it, as HTML; a name is a label that the Job carries, no proof."""
    who = escape(one.requested_by) if one.requested_by else _WANTED_BY[one.origin]
    return f"{who}, who didn't want to wait" if one.is_forced else who


def outcome(one: Attempt) -> str:
    """Return what it came to, or how it stands, as HTML."""
    if one.outcome is None:
        return f"<b>{one.state}</b>"
    return f"<b>{one.outcome}</b>{f': {escape(one.detail)}' if one.detail else ''}"


def _row(one: Attempt, up: str) -> Row:
    took = "" if one.ended_at_ms is None else lasted(one.ended_at_ms - one.booked_at_ms)
    codes, link = coded(one.codes) or "nothing named", f'<a href="{up}attempts/{one.id}">{one.id}</a>'
    cells = (link, one.action, codes, when(one.booked_at_ms), took, outcome(one), wanted_by(one))
    return f"attempt-{one.id}", cells
