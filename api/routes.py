"""Every route: its path, what it answers, what it needs. docs/api.md and openapi.json list the same ones."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from api import asked, badges, detail, incidents, prose, query, wording
from api.answer import HTML, Answer, json_answer
from api.call import Call, Route
from api.fleet import Standing
from api.pages import wall
from api.pages.filters import read_filter
from api.problem import ProblemReason, echo, not_found, unavailable
from api.runs import runs
from api.spans import PERIODS
from api.trends import moment_of
from api.views import discovery, instances, quality, recovery
from api.views import history as past
from api.views import uptime as uptimes
from api.volume import measure
from jobs.health.recovery import Attempt
from jobs.store import ledger, reader

# chosen: two days of minutes, which is all that is kept of them.
MAX_POINTS = 2880

# chosen: what fits a screen; `limit` asks for more.
DEFAULT_POINTS = 60
CHANGES_OF_WHY = 20

_HERE = Path(__file__).parent


def _fleet(view: Callable[[Call], Any]) -> Callable[[Call], Answer]:
    """Return a route's function that answers with a view of the whole fleet."""
    return lambda call: json_answer(view(call))


def _one(view: Callable[[Standing], Any]) -> Callable[[Call], Answer]:
    """Return a route's function that answers with a view of one instance."""
    return lambda call: json_answer(view(call.standing), observed_at_ms=call.standing.observed_at_ms)


def _history(call: Call) -> Answer:
    """Answer with roll-ups, by default the newest hour of minutes."""
    values = query.read_query(call.query, ("resolution", "since", "limit"))
    resolution = query.word(values, "resolution", allowed=("minute", "hour"))
    limit = query.whole_number(values, "limit", default=DEFAULT_POINTS, highest=MAX_POINTS)
    since_ms = query.instant_ms(values, "since") or 0
    key = call.standing.instance.key
    rows = reader.minutes if resolution == "minute" else reader.hours_so_far
    rollups = call.ask(lambda connection: rows(connection, key, since_ms=since_ms))
    return json_answer(
        past.history(call.standing, resolution, rollups[-limit:]), observed_at_ms=call.standing.observed_at_ms
    )


def _uptime(call: Call) -> Answer:
    """Answer with shares of the last 24 hours, 7 and 30 days, and the last day by half hours."""
    standing = call.standing
    trend = call.trends().get(standing.instance.key) if badges.is_told(call.fleet) else None
    if trend is None:
        why = call.fleet.problem or f"the past of {echo(call.id)} isn't read yet; ask again"
        raise unavailable(ProblemReason.STORE_UNREADABLE, why)
    return json_answer(
        uptimes.uptime(standing, trend, now_ms=moment_of(call.fleet)), observed_at_ms=standing.observed_at_ms
    )


def _why(call: Call) -> Answer:
    """Answer with the verdict, its witnesses and the last changes."""
    standing = call.standing

    def question(connection: sqlite3.Connection) -> tuple[list[reader.Change], list[Attempt]]:
        changes = reader.changes(connection, standing.instance.key, since_ms=0, limit=CHANGES_OF_WHY)
        return changes, ledger.of_incident(connection, standing.incident.id) if standing.incident else []

    return json_answer(past.why(standing, *call.ask(question)), observed_at_ms=standing.observed_at_ms)


def _picture(call: Call) -> Answer:
    """Answer with the latest screen picture."""
    standing = call.standing
    screen = call.ask(lambda connection: reader.screen(connection, standing.instance.key))
    if screen is None:
        raise not_found(ProblemReason.NO_PICTURE, f"no picture of {echo(call.id)} was ever taken")
    return Answer(screen.png, "image/png", observed_at_ms=screen.taken_at_ms)


def _metrics(call: Call) -> Answer:
    """Answer with the exposition format that the scraper prefers."""
    from api.metrics import exposition  # noqa: PLC0415 - prometheus_client costs 70 ms, paid by the first scrape

    volume = measure(call.follower.path, call.follower.published)
    body, content_type = exposition(call.fleet, volume, is_open_metrics=bool(call.variant))
    return Answer(body, content_type)


def _live(_: Call) -> Answer:
    """Answer that the process answers."""
    return json_answer({"live": True})


def _ready(call: Call) -> Answer:
    """Answer that the store is readable and fresh, or which of both it isn't."""
    if call.fleet.problem:
        raise unavailable(ProblemReason.STORE_UNREADABLE, call.fleet.problem)
    if call.fleet.is_silent:
        raise unavailable(ProblemReason.COLLECTOR_SILENT, prose.silence(call.fleet))
    return json_answer({"ready": True, "revision": call.snapshot.revision})


def _page(call: Call) -> Answer:
    """Answer with the page, for people, whatever state the store is in; a program gets the problem."""
    if call.fleet.snapshot is None and not call.variant:
        raise unavailable(ProblemReason.STORE_UNREADABLE, call.fleet.problem)
    status = HTTPStatus.OK if call.fleet.snapshot else HTTPStatus.SERVICE_UNAVAILABLE
    html = wall.render(call.fleet, read_filter(call.query), call.trends())
    return Answer(html.encode(), HTML, status)


def _file(name: str, content_type: str) -> Callable[[Call], Answer]:
    """Return a route's function that answers with a file of ours, read once."""
    answer = Answer((_HERE / name).read_bytes(), content_type)
    return lambda _: answer


ROUTES = (
    Route("/", _page, needs_store=False, variants=("text/html",), takes_query=True),
    Route("/static/page.css", _file("static/page.css", "text/css; charset=utf-8"), needs_store=False),
    Route("/static/page.js", _file("static/page.js", "text/javascript; charset=utf-8"), needs_store=False),
    Route("/static/wall.css", _file("static/wall.css", "text/css; charset=utf-8"), needs_store=False),
    Route("/static/wall.js", _file("static/wall.js", "text/javascript; charset=utf-8"), needs_store=False),
    Route("/static/icon.svg", _file("static/icon.svg", "image/svg+xml"), needs_store=False),
    Route("/static/detail.css", _file("static/detail.css", "text/css; charset=utf-8"), needs_store=False),
    Route("/static/recover.js", _file("static/recover.js", "text/javascript; charset=utf-8"), needs_store=False),
    *detail.PAGES,
    Route("/api/instances", _fleet(lambda call: instances.instances(call.fleet))),
    Route("/api/instances/live", _fleet(lambda call: discovery.live(call.fleet, call.snapshot))),
    Route("/api/instances/provisioned", _fleet(lambda call: instances.provisioned(call.fleet))),
    Route("/api/instances/discovery-info", _fleet(lambda call: discovery.discovery_info(call.fleet, call.snapshot))),
    Route("/api/instances/refresh", None, post=asked.refresh),
    Route("/api/instances/{id}/history", _history, is_cached=False),
    Route("/api/instances/{id}/uptime", _uptime),
    Route("/api/instances/{id}/why", _why, is_cached=False),
    Route("/api/instances/{id}/screen.png", _picture, is_cached=False),
    Route("/api/quality/deep-health", _fleet(lambda call: quality.keyed(quality.deep_health, call.fleet))),
    Route("/api/quality/deep-health/{id}", _one(quality.deep_health)),
    Route("/api/quality/metrics", _fleet(lambda call: quality.keyed(quality.quality, call.fleet))),
    Route("/api/quality/metrics/{id}", _one(quality.quality)),
    Route("/api/quality/summary", _fleet(lambda call: quality.summary(call.fleet))),
    Route("/api/quality/recovery-status", _fleet(lambda call: quality.keyed(recovery.recovery, call.fleet))),
    Route("/api/quality/recover/{id}", None, post=asked.recover),
    Route("/api/incidents", incidents.incidents, is_cached=False),
    Route("/api/incidents/{id}", incidents.incident, is_cached=False),
    Route("/api/incidents/{id}/evidence", incidents.evidence, is_cached=False),
    Route("/api/attempts/{id}/evidence", detail.evidence, is_cached=False),
    Route("/api/attempts/{id}/before.png", detail.picture_before, is_cached=False),
    Route("/api/attempts/{id}/after.png", detail.picture_after, is_cached=False),
    Route("/api/runs", runs, is_cached=False),
    Route("/api/reasons", _fleet(lambda _: wording.reasons()), needs_store=False),
    Route("/metrics", _metrics, is_cached=False, needs_store=False, variants=("application/openmetrics-text",)),
    Route("/livez", _live, needs_store=False),
    Route("/readyz", _ready, needs_store=False),
    Route("/badge.svg", badges.fleet_verdict, needs_store=False),
    Route("/badge/{id}.svg", badges.verdict),
    *(Route(f"/badge-{period}.svg", badges.fleet_uptime(period), needs_store=False) for period in PERIODS),
    *(Route(f"/badge/{{id}}/{period}.svg", badges.uptime(period)) for period in PERIODS),
    Route("/openapi.json", _file("openapi.json", "application/json"), needs_store=False),
)

_FIXED = {route.path: route for route in ROUTES if "{" not in route.path}

# Ids are one path segment; WSGI hands it over decoded, so %2F can't smuggle in another one.
_VARIABLE = [
    (re.compile(re.escape(route.path).replace(r"\{id\}", "([^/]+)")), route) for route in ROUTES if "{" in route.path
]


def find(path: str) -> tuple[Route, str]:
    """Return the route of a path and the path's variable part.

    Raises: Problem (404).
    """
    if path in _FIXED:
        return _FIXED[path], ""
    for pattern, route in _VARIABLE:
        if match := pattern.fullmatch(path):
            return route, match[1]
    raise not_found(ProblemReason.UNKNOWN_ROUTE, f"nothing is served at {echo(path)}; /openapi.json lists all routes")
