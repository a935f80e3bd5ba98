"""The routes of pages about one thing, and of what they show beside text: an instance, an incident, an attempt."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from api import paging, query
from api.answer import HTML, Answer, json_answer
from api.call import Call, Route
from api.pages import incident as incident_page
from api.pages import incidents as incidents_page
from api.pages import instance as instance_page
from api.pages.past import Past, Span
from api.problem import Problem, ProblemReason, echo, not_found
from api.story import story
from api.trends import moment_of
from api.views.evidence import Bundle, Screen, bundle, kept
from jobs.health.causes import is_common
from jobs.health.incident import Incident
from jobs.health.recovery import Attempt, Plan
from jobs.health.rollup import Rollup
from jobs.store import ledger, plans, reader
from jobs.store.reader import Change

# chosen: what a screen or two show; the API pages through all of them.
CHANGES = 20
INCIDENTS = 50

# chosen: as many rows as a list of the API has at most; a fleet that is ill as a whole has more, and is told that.
OPEN = query.MAX_ROWS

# chosen: an incident that flaps all day has more changes than anybody reads; the newest ones tell how it stands.
CHANGES_OF_INCIDENT = 200

# chosen: a bundle has 2 MiB at most, and 256 MiB are all that the pod has; older attempts have pages of their own.
BUNDLES_IN_PLACE = 6

_LIST = "incidents of a page"


def instance(call: Call) -> str:
    """Return the page of one instance; `span` says how far back its charts go. Raises: Problem."""
    _ = call.snapshot
    standing = call.standing
    values = query.read_query(call.query, ("span",))
    span = Span(query.word(values, "span", allowed=tuple(Span)))
    key, until_ms = standing.instance.key, moment_of(call.fleet)

    def question(connection: sqlite3.Connection) -> tuple[list[Rollup], list[Change]]:
        rows = reader.hours_so_far if span is Span.MONTH else reader.minutes
        rollups = rows(connection, key, since_ms=until_ms - span.ms)
        return rollups, reader.changes(connection, key, since_ms=0, limit=CHANGES)

    try:
        rollups, changes = call.ask(question)
    except Problem:  # what the snapshot knows is shown all the same; the banner says why this isn't
        told = instance_page.Told(None, None, None, call.way)
    else:
        told = instance_page.Told(Past(span, until_ms, rollups), changes, call.trends().get(key), call.way)
    return instance_page.render(call.fleet, standing, told)


def incidents(call: Call) -> str:
    """Return the list of incidents. Raises: Problem."""
    values = {
        name: value for name, value in query.read_query(call.query, ("state", "instance", "cursor")).items() if value
    }
    state = query.word(values, "state", allowed=("all", "open", "closed"))
    before = paging.last_seen(values, of=_LIST)
    key = call.key_of(values["instance"]) if "instance" in values else None

    def question(connection: sqlite3.Connection) -> tuple[list[Incident], list[Incident]] | None:
        if before is not None and reader.incident(connection, before) is None:
            return None
        opened = reader.incidents(connection, key=key, only_open=True, limit=OPEN + 1) if before is None else []
        closed = reader.incidents(connection, key=key, only_closed=True, limit=INCIDENTS + 1, before=before)
        return opened, closed

    found = call.ask(question)
    if found is None:
        raise paging.gone(values)
    opened, closed = found
    page = closed[:INCIDENTS]
    older = None
    if len(closed) > INCIDENTS and state != "open":
        older = paging.cursor_after({**values, "state": state}, of=_LIST, last=page[-1].id)
    listed = incidents_page.Listed(
        state,
        values.get("instance", ""),
        opened[:OPEN] if before is None else None,
        page,
        older,
        call.public_ids(),
        has_more_open=len(opened) > OPEN,
    )
    return incidents_page.render(call.fleet, listed)


def incident(call: Call) -> str:
    """Return the story of one incident. Raises: Problem."""

    def question(connection: sqlite3.Connection) -> tuple[Incident, list[Change], list[Attempt], list[Plan]] | None:
        one = reader.incident(connection, call.id)
        if one is None:
            return None
        changes = reader.changes(
            connection,
            one.key,
            since_ms=one.opened_at_ms,
            until_ms=one.closed_at_ms,
            limit=CHANGES_OF_INCIDENT + 1,
        )
        return one, changes, ledger.of_incident(connection, one.id), plans.told_plans(connection, one.id)

    found = call.ask(question)
    if found is None:
        raise not_found(ProblemReason.UNKNOWN_INCIDENT, f"no incident has the id {echo(call.id)}")
    one, changes, attempts, told = found
    recovery = call.snapshot.recovery
    return incident_page.render(
        call.fleet,
        incident_page.Told(
            incident=one,
            events=story(one, changes=changes[:CHANGES_OF_INCIDENT], attempts=attempts, plans=told),
            has_more_changes=len(changes) > CHANGES_OF_INCIDENT,
            attempts=attempts,
            plan=None if recovery is None or is_common(one.key) else recovery.of(one.key).plan,
            names=call.public_ids(),
            kept=_bundles(call, attempts),
        ),
    )


def attempt(call: Call) -> str:
    """Return the page of one attempt. Raises: Problem."""
    one = _attempt(call)
    return incident_page.render_attempt(call.fleet, one, kept(one, call.follower.path), call.public_ids())


def evidence(call: Call) -> Answer:
    """Answer with the bundle of one attempt. Raises: Problem."""
    return json_answer(bundle(_attempt(call), call.follower.path))


def picture_before(call: Call) -> Answer:
    """Answer with the screen right before an act. Raises: Problem."""
    return _picture(call, lambda bundle: bundle.before)


def picture_after(call: Call) -> Answer:
    """Answer with the screen after an act. Raises: Problem."""
    return _picture(call, lambda bundle: bundle.after.screen if bundle.after else None)


def _picture(call: Call, choose: Callable[[Bundle], Screen | None]) -> Answer:
    one = _attempt(call)
    found = kept(one, call.follower.path)
    if isinstance(found, str):
        raise not_found(ProblemReason.NO_PICTURE, f"attempt {one.id} has no picture: {found}")
    screen = choose(found)
    if screen is None or screen.picture is None:
        why = screen.error if screen and screen.error else "none was kept"
        raise not_found(ProblemReason.NO_PICTURE, f"attempt {one.id} has no such picture: {why}")
    return Answer(screen.picture, "image/png")


def _attempt(call: Call) -> Attempt:
    """Return the attempt that the path names. Raises: Problem (404)."""
    # 18 digits are what an id of SQLite can have.
    is_number = call.id.isascii() and call.id.isdigit() and len(call.id) <= 18
    found = call.ask(lambda connection: ledger.find(connection, int(call.id))) if is_number else None
    if found is None:
        raise not_found(ProblemReason.UNKNOWN_ATTEMPT, f"no attempt has the number {echo(call.id)}")
    return found


def _bundles(call: Call, attempts: list[Attempt]) -> dict[int, Bundle | str]:
    """Return the newest attempts' evidence, or why there is none."""
    newest = [one for one in attempts if one.has_evidence][-BUNDLES_IN_PLACE:]
    return {one.id: kept(one, call.follower.path) for one in newest}


def _page(path: str, page: Callable[[Call], str], *, is_cached: bool = False) -> Route:
    def answer(call: Call) -> Answer:
        return Answer(page(call).encode(), HTML)

    return Route(path, answer, is_cached=is_cached, needs_store=False, variants=("text/html",), takes_query=is_cached)


# That of an instance costs 15 ms and is looked at for long; those of incidents are as many as a year had.
PAGES = (
    _page("/instances/{id}", instance, is_cached=True),
    _page("/incidents", incidents),
    _page("/incidents/{id}", incident),
    _page("/attempts/{id}", attempt),
)
