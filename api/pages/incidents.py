"""The list of incidents: open ones first, then closed ones, page by page. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

from api.fleet import Fleet
from api.pages.document import document
from api.pages.instance import word
from api.pages.names import coded, incident_link, named
from api.pages.tables import Row, wide_table
from api.pages.times import lasted, when
from jobs.health.incident import Incident
from jobs.health.model import InstanceKey


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of the list.

    state: `all`, `open` or `closed`; instance: public id that is filtered by, empty for all. opened: None but on the
    first page; has_more_open: others are open too. older: cursor of the next page, None on the last one.
    """

    state: str
    instance: str
    opened: Sequence[Incident] | None
    closed: Sequence[Incident]
    older: str | None
    names: Mapping[InstanceKey, str]
    has_more_open: bool = False


def render(fleet: Fleet, listed: Listed) -> str:
    """Return the whole document."""
    return document(
        fleet,
        title="incidents",
        top='<h1 class="headline">Incidents</h1>',
        body=f'<div class="detail">{_filters(listed)}{_table("Open", listed.opened, listed)}{_more_open(listed)}'
        f"{_table('Closed', listed.closed, listed)}{_older(listed)}</div>",
        styles=("detail.css",),
    )


def _filters(listed: Listed) -> str:
    ways = "".join(
        f'<a href="{_address(state=state, instance=listed.instance)}"{_current(state == listed.state)}>{state}</a>'
        for state in ("all", "open", "closed")
    )
    return (
        f'<nav class="spans" aria-label="State">{ways}</nav>'
        f'<form class="filters" action="incidents"><input type="hidden" name="state" value="{listed.state}">'
        f'<label>Instance <input name="instance" value="{escape(listed.instance)}" placeholder="all"></label>'
        '<button type="submit" class="button">Show</button></form>'
    )


def _table(title: str, incidents: Sequence[Incident] | None, listed: Listed) -> str:
    if incidents is None or listed.state not in ("all", title.lower()):
        return ""
    rows = [_row(one, listed.names) for one in incidents]
    heads = ("incident", "worst", "instance", "opened", "lasted", "class", "reasons")
    body = wide_table(f"{title} incidents", heads, rows) if rows else "<p>none</p>"
    return f'<section class="panel"><h2>{title}</h2>{body}</section>'


def _more_open(listed: Listed) -> str:
    if not listed.has_more_open or listed.opened is None or listed.state == "closed":
        return ""
    pages = '<a href="api/incidents?state=open">the API pages through all of them</a>'
    return f'<p class="why-not">More are open than the newest {len(listed.opened)} that are shown; {pages}.</p>'


def _row(one: Incident, names: Mapping[InstanceKey, str]) -> Row:
    at = named(one.key, names, up="")
    if one.members:
        at += f", {len(one.members)} members"
    spent = "still open" if one.closed_at_ms is None else lasted(one.closed_at_ms - one.opened_at_ms)
    link, opened = incident_link(one.id, up=""), when(one.opened_at_ms)
    return one.id, (link, word(one.verdict), at, opened, spent, one.failure_class, coded(one.codes))


def _older(listed: Listed) -> str:
    if listed.older is None:
        return ""
    address = _address(state=listed.state, instance=listed.instance, cursor=listed.older)
    return f'<p><a rel="next" href="{address}">Older ones</a></p>'


def _address(**values: str) -> str:
    return escape(f"incidents?{urlencode({name: value for name, value in values.items() if value})}")


def _current(is_current: bool) -> str:  # noqa: FBT001 - one thing
    return ' aria-current="true"' if is_current else ""
