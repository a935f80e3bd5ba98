"""The routes of incidents: what happened, what was done about it, and what was seen before that."""

from __future__ import annotations

import sqlite3
from typing import Any, TypeAlias

from api import paging, query
from api.answer import Answer, json_answer
from api.call import Call
from api.problem import ProblemReason, echo, not_found
from api.views import history as past
from api.views.evidence import bundle
from jobs.health.incident import Incident
from jobs.health.recovery import Attempt
from jobs.store import ledger, reader

# chosen: a bundle has 2 MiB at most, so that an answer stays small beside the pod's 256 MiB.
DEFAULT_BUNDLES = 3
MAX_BUNDLES = 10

_LIST = "incidents"

_Told: TypeAlias = tuple[Incident, list[Attempt]]


def incidents(call: Call) -> Answer:
    """Answer with incidents, the newest first, in pages."""
    values = query.read_query(call.query, ("instance", "state", "limit", "cursor", "before"))
    only_open = query.word(values, "state", allowed=("all", "open")) == "open"
    limit = query.whole_number(values, "limit", default=query.DEFAULT_ROWS, highest=query.MAX_ROWS)
    before = paging.last_seen(values, of=_LIST)
    key = call.key_of(values["instance"]) if "instance" in values else None

    def question(connection: sqlite3.Connection) -> list[_Told] | None:
        if before is not None and reader.incident(connection, before) is None:
            return None
        found = reader.incidents(connection, key=key, only_open=only_open, limit=limit + 1, before=before)
        return [(one, ledger.of_incident(connection, one.id)) for one in found]

    found = call.ask(question)
    if found is None:
        raise paging.gone(values)
    page = found[:limit]
    headers = (paging.link(values, of=_LIST, last=page[-1][0].id),) if len(found) > limit else ()
    return json_answer(_incident_shapes(call, page), headers=headers)


def incident(call: Call) -> Answer:
    """Answer with one incident."""
    (shape,) = _incident_shapes(call, [_told(call)])
    return json_answer(shape)


def evidence(call: Call) -> Answer:
    """Answer with the bundles of an incident's attempts, the newest first, as they were kept."""
    values = query.read_query(call.query, ("limit",))
    limit = query.whole_number(values, "limit", default=DEFAULT_BUNDLES, highest=MAX_BUNDLES)
    kept = [attempt for attempt in reversed(_told(call)[1]) if attempt.has_evidence]
    return json_answer([bundle(attempt, call.follower.path) for attempt in kept[:limit]])


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
    ids = call.public_ids()
    known = call.snapshot.recovery
    return [
        past.incident(one, ids, attempts=attempts, planned=known.of(one.key).plan if known else None)
        for one, attempts in told
    ]
