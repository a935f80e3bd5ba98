"""Rows of `attempts` as values; jobs.store.ledger says what they mean."""

from __future__ import annotations

import sqlite3

from jobs.health.model import InstanceKey
from jobs.health.recovery import Action, Attempt, AttemptOutcome, AttemptState, Origin

_COLUMNS = (
    "id, key, incident, number, action, uid, restarts, codes, origin, requested_by, is_forced, state, job, runner,"
    " booked_ms, acted_ms, spent_ms, booked_at_ms, acted_at_ms, ended_at_ms, outcome, detail, session_seconds_lost,"
    " has_evidence, ended_ms"
)


def select(connection: sqlite3.Connection, rest: str, values: tuple[object, ...] = ()) -> list[Attempt]:
    """Return the attempts that the end of a SELECT, from its WHERE on, finds."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM attempts {rest}", values)
    return [
        Attempt(
            id=row[0],
            key=InstanceKey(row[1]),
            incident=row[2],
            number=row[3],
            action=Action(row[4]),
            uid=row[5],
            restarts=row[6],
            codes=tuple(row[7].split()),
            origin=Origin(row[8]),
            requested_by=row[9],
            is_forced=bool(row[10]),
            state=AttemptState(row[11]),
            job=row[12],
            runner=row[13],
            booked_ms=row[14],
            acted_ms=row[15],
            spent_ms=row[16],
            booked_at_ms=row[17],
            acted_at_ms=row[18],
            ended_at_ms=row[19],
            outcome=row[20] and AttemptOutcome(row[20]),
            detail=row[21],
            session_seconds_lost=row[22],
            has_evidence=bool(row[23]),
            ended_ms=row[24],
        )
        for row in rows
    ]


def recent(connection: sqlite3.Connection, *, window_ms: int) -> list[Attempt]:
    """Return the attempts that are open, or were so within `window_ms` of witnessed time; the newest first."""
    found = select(connection, "WHERE state <> 'ended'")
    since = "WHERE state = 'ended' AND spent_ms > (SELECT witnessed_ms FROM ledger) - ?"
    found += select(connection, since, (window_ms,))
    return sorted(found, key=lambda attempt: -attempt.id)


def witnessed_ms(connection: sqlite3.Connection) -> int:
    """Return the ledger's clock as it last stood, so that what is made of it moves with the store only."""
    (value,) = connection.execute("SELECT witnessed_ms FROM ledger").fetchone()
    return int(value)


def totals(connection: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """Return how many attempts have ended so far, by action and outcome; retention never lowers it."""
    rows = connection.execute("SELECT name, value FROM totals WHERE name LIKE 'attempts %' ORDER BY name")
    return {(name.split()[1], name.split()[2]): value for name, value in rows}
