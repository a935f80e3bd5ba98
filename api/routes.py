"""Every route: its path, what it answers, what it needs. docs/api.md and openapi.json list the same ones."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from api import asked, page, query, wording
from api.answer import Answer, json_answer
from api.fleet import Fleet, Standing
from api.follower import Follower
from api.problem import ProblemReason, echo, not_found, unavailable
from api.snapshot import Snapshot
from api.views import discovery, evidence, instances, quality, recovery
from api.views import history as past
from jobs.errors import JobError
from jobs.health.incident import Incident
from jobs.health.recovery import Attempt
from jobs.store import ledger, reader

Found = TypeVar("Found")

_Told: TypeAlias = tuple[Incident, list[Attempt]]

# chosen: two days of minutes, which is all that is kept of them.
MAX_POINTS = 2880

# chosen: a page of answers stays below about 1 MiB.
MAX_ROWS = 500

# chosen: what fits a screen; `limit` asks for more.
DEFAULT_ROWS = 100
DEFAULT_POINTS = 60

# chosen: a bundle has 2 MiB at most, so that an answer stays small beside the pod's 256 MiB.
DEFAULT_BUNDLES = 3
MAX_BUNDLES = 10
CHANGES_OF_WHY = 20

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Call:
    """One request as its route sees it.

    id: the path's variable part, empty where there is none. variant: which of the route's media types is asked for.
    """

    fleet: Fleet
    follower: Follower
    id: str
    query: str
    variant: str

    @property
    def snapshot(self) -> Snapshot:
        """Return the snapshot.

        Raises: Problem (503) before the store could be read once.
        """
        if self.fleet.snapshot is None:
            raise unavailable(ProblemReason.STORE_UNREADABLE, self.fleet.problem)
        return self.fleet.snapshot

    @property
    def standing(self) -> Standing:
        """Return the instance that the path names.

        Raises: Problem (404).
        """
        standing = self.fleet.standings.get(self.id)
        if standing is None:
            raise not_found(ProblemReason.UNKNOWN_INSTANCE, f"no instance is called {echo(self.id)}")
        return standing

    def ask(self, question: Callable[[sqlite3.Connection], Found]) -> Found:
        """Return what the store answers.

        Raises: Problem (503) when it can't be read now.
        """
        try:
            return self.follower.query(question)
        except JobError as error:
            raise unavailable(ProblemReason.STORE_UNREADABLE, str(error)) from error


@dataclass(frozen=True, slots=True)
class Route:
    """One path.

    answer: to GET and HEAD, None for none. is_cached: it depends on the fleet, the path and the variant alone.
    needs_store: 503 before the store was read once. variants: media types that are answered only when asked for.
    post: the answer to POST, None for none.
    """

    path: str
    answer: Callable[[Call], Answer] | None
    is_cached: bool = True
    needs_store: bool = True
    variants: tuple[str, ...] = ()
    post: Callable[[asked.Asked], Answer] | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """Return the methods that are answered."""
        return (("GET", "HEAD") if self.answer else ()) + (("POST",) if self.post else ())

    def variant(self, accept: str) -> str:
        """Return the first of the variants that an Accept header names, empty for none."""
        return next((media_type for media_type in self.variants if media_type in accept), "")


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
    rows = reader.minutes if resolution == "minute" else reader.hours
    rollups = call.ask(lambda connection: rows(connection, key, since_ms=since_ms))
    return json_answer(
        past.history(call.standing, resolution, rollups[-limit:]), observed_at_ms=call.standing.observed_at_ms
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


def _incidents(call: Call) -> Answer:
    """Answer with incidents, the newest first; `before` is the id of the last one seen."""
    values = query.read_query(call.query, ("instance", "state", "limit", "before"))
    only_open = query.word(values, "state", allowed=("all", "open")) == "open"
    limit = query.whole_number(values, "limit", default=DEFAULT_ROWS, highest=MAX_ROWS)
    key = call.snapshot.instances[values["instance"]].key if values.get("instance") in call.snapshot.instances else None
    if key is None and "instance" in values:
        raise not_found(ProblemReason.UNKNOWN_INSTANCE, f"no instance is called {echo(values['instance'])}")

    def question(connection: sqlite3.Connection) -> list[_Told]:
        found = reader.incidents(connection, key=key, only_open=only_open, limit=limit, before=values.get("before"))
        return [(one, ledger.of_incident(connection, one.id)) for one in found]

    return json_answer(_incident_shapes(call, call.ask(question)))


def _incident(call: Call) -> Answer:
    """Answer with one incident."""
    (shape,) = _incident_shapes(call, [_told(call)])
    return json_answer(shape)


def _evidence(call: Call) -> Answer:
    """Answer with the bundles of an incident's attempts, the newest first, as they were kept."""
    values = query.read_query(call.query, ("limit",))
    limit = query.whole_number(values, "limit", default=DEFAULT_BUNDLES, highest=MAX_BUNDLES)
    kept = [attempt for attempt in reversed(_told(call)[1]) if attempt.has_evidence]
    return json_answer([evidence.bundle(attempt, call.follower.path) for attempt in kept[:limit]])


def _told(call: Call) -> _Told:
    """Return the incident that the path names, with its attempts. Raises: Problem (404)."""

    def question(connection: sqlite3.Connection) -> tuple[Incident | None, list[Attempt]]:
        return reader.incident(connection, call.id), ledger.of_incident(connection, call.id)

    found, attempts = call.ask(question)
    if found is None:
        raise not_found(ProblemReason.UNKNOWN_INCIDENT, f"no incident has the id {echo(call.id)}")
    return found, attempts


def _incident_shapes(call: Call, told: list[_Told]) -> list[dict[str, Any]]:
    """Return incidents with their attempts, each open one with its plan."""
    ids = {instance.key: public_id for public_id, instance in call.snapshot.instances.items()}
    known = call.snapshot.recovery
    return [
        past.incident(one, ids, attempts=attempts, planned=known.of(one.key).plan if known else None)
        for one, attempts in told
    ]


def _runs(call: Call) -> Answer:
    """Answer with runs, the newest first."""
    limit = query.whole_number(
        query.read_query(call.query, ("limit",)), "limit", default=DEFAULT_ROWS, highest=MAX_ROWS
    )
    return json_answer([past.run(one) for one in call.ask(lambda connection: reader.runs(connection, limit))])


def _metrics(call: Call) -> Answer:
    """Answer with the exposition format that the scraper prefers."""
    from api.metrics import exposition  # noqa: PLC0415 - prometheus_client costs 70 ms, paid by the first scrape

    body, content_type = exposition(call.fleet, call.snapshot, is_open_metrics=bool(call.variant))
    return Answer(body, content_type)


def _live(_: Call) -> Answer:
    """Answer that the process answers."""
    return json_answer({"live": True})


def _ready(call: Call) -> Answer:
    """Answer that the store is readable and fresh, or which of both it isn't."""
    if call.fleet.problem:
        raise unavailable(ProblemReason.STORE_UNREADABLE, call.fleet.problem)
    if call.fleet.is_silent:
        raise unavailable(ProblemReason.COLLECTOR_SILENT, page.silence(call.fleet))
    return json_answer({"ready": True, "revision": call.snapshot.revision})


def _page(call: Call) -> Answer:
    """Answer with the page, for people, whatever state the store is in; a program gets the problem."""
    if call.fleet.snapshot is None and not call.variant:
        raise unavailable(ProblemReason.STORE_UNREADABLE, call.fleet.problem)
    status = HTTPStatus.OK if call.fleet.snapshot else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(page.render(call.fleet).encode(), "text/html; charset=utf-8", status)


def _file(name: str, content_type: str) -> Callable[[Call], Answer]:
    """Return a route's function that answers with a file of ours, read once."""
    answer = Answer((_HERE / name).read_bytes(), content_type)
    return lambda _: answer


ROUTES = (
    Route("/", _page, needs_store=False, variants=("text/html",)),
    Route("/static/page.css", _file("static/page.css", "text/css; charset=utf-8"), needs_store=False),
    Route("/static/page.js", _file("static/page.js", "text/javascript; charset=utf-8"), needs_store=False),
    Route("/static/icon.svg", _file("static/icon.svg", "image/svg+xml"), needs_store=False),
    Route("/api/instances", _fleet(lambda call: instances.instances(call.fleet))),
    Route("/api/instances/live", _fleet(lambda call: discovery.live(call.fleet, call.snapshot))),
    Route("/api/instances/provisioned", _fleet(lambda call: instances.provisioned(call.fleet))),
    Route("/api/instances/discovery-info", _fleet(lambda call: discovery.discovery_info(call.fleet, call.snapshot))),
    Route("/api/instances/refresh", None, post=asked.refresh),
    Route("/api/instances/{id}/history", _history, is_cached=False),
    Route("/api/instances/{id}/why", _why, is_cached=False),
    Route("/api/instances/{id}/screen.png", _picture, is_cached=False),
    Route("/api/quality/deep-health", _fleet(lambda call: quality.keyed(quality.deep_health, call.fleet))),
    Route("/api/quality/deep-health/{id}", _one(quality.deep_health)),
    Route("/api/quality/metrics", _fleet(lambda call: quality.keyed(quality.quality, call.fleet))),
    Route("/api/quality/metrics/{id}", _one(quality.quality)),
    Route("/api/quality/summary", _fleet(lambda call: quality.summary(call.fleet))),
    Route("/api/quality/recovery-status", _fleet(lambda call: quality.keyed(recovery.recovery, call.fleet))),
    Route("/api/quality/recover/{id}", None, post=asked.recover),
    Route("/api/incidents", _incidents, is_cached=False),
    Route("/api/incidents/{id}", _incident, is_cached=False),
    Route("/api/incidents/{id}/evidence", _evidence, is_cached=False),
    Route("/api/runs", _runs, is_cached=False),
    Route("/api/reasons", _fleet(lambda _: wording.reasons()), needs_store=False),
    Route("/metrics", _metrics, variants=("application/openmetrics-text",)),
    Route("/livez", _live, needs_store=False),
    Route("/readyz", _ready, needs_store=False),
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
