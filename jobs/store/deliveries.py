"""How far each destination of notifications is: one row a notification and destination, none of which knows another.

Functions that write run inside a transaction that their caller holds. Times are wall-clock milliseconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from jobs.store.outbox import MAX_PAUSE_MS, Ending, Kind, Message, decoded


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification. id: of its row. name: the same at every try and at every destination, and no other's.

    earlier: for the end of an incident, what was told of it before, the oldest first.
    """

    id: int
    name: str
    kind: Kind
    message: Message
    created_at_ms: int
    tries: int = 0
    earlier: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for one destination. oldest_at_ms: when the oldest of it happened, None where nothing waits."""

    waiting: int
    oldest_at_ms: int | None


# The planner would take the primary key, and so read every row for each that waits: a minute for a day's 20,000.
_WAITING = "deliveries AS {} INDEXED BY deliveries_waiting"

_NOTICE = "o.id, o.notice, o.kind, o.message, o.created_at_ms"


def destinations(connection: sqlite3.Connection) -> frozenset[str]:
    """Return where notifications go now."""
    return frozenset(name for (name,) in connection.execute("SELECT name FROM destinations"))


def set_destinations(connection: sqlite3.Connection, names: Collection[str], *, at_ms: int) -> None:
    """Have notifications go there from now on, and nowhere else; what waits for one that comes back is sent then."""
    gone = destinations(connection) - set(names)
    connection.executemany("DELETE FROM destinations WHERE name = ?", [(name,) for name in gone])
    connection.executemany(
        "INSERT INTO destinations (name, since_ms) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
        [(name, at_ms) for name in names],
    )


def due(connection: sqlite3.Connection, destination: str, *, now_ms: int, limit: int) -> list[Notice]:
    """Return those that are to be sent now, of each incident the oldest alone.

    One that failed goes behind those that wait, so that it holds up its own incident and no other.
    """
    rows = connection.execute(
        f"SELECT {_NOTICE}, d.tries FROM {_WAITING.format('d')} JOIN outbox AS o ON o.id = d.id"
        " WHERE d.destination = ?1 AND d.ended_at_ms IS NULL AND d.due_at_ms NOT BETWEEN ?2 + 1 AND ?2 + ?3"
        f" AND NOT EXISTS (SELECT 1 FROM {_WAITING.format('e')} WHERE e.destination = ?1 AND e.incident = d.incident"
        "  AND e.id < d.id AND e.ended_at_ms IS NULL)"
        " ORDER BY d.due_at_ms, d.id LIMIT ?4",
        (destination, now_ms, MAX_PAUSE_MS, limit),
    )
    found = [Notice(row[0], row[1], Kind(row[2]), decoded(row[3]), *row[4:]) for row in rows.fetchall()]
    return [_with_earlier(connection, one) if one.kind is Kind.INCIDENT_CLOSED else one for one in found]


def _with_earlier(connection: sqlite3.Connection, closed: Notice) -> Notice:
    incident = closed.message.incident
    rows = connection.execute(
        f"SELECT {_NOTICE} FROM outbox AS o WHERE o.incident = ? AND o.notice IS NOT NULL AND o.id < ? ORDER BY o.id",
        (incident and incident.id, closed.id),
    )
    earlier = tuple(Notice(row[0], row[1], Kind(row[2]), decoded(row[3]), row[4]) for row in rows)
    return Notice(closed.id, closed.name, closed.kind, closed.message, closed.created_at_ms, closed.tries, earlier)


def standing(connection: sqlite3.Connection) -> list[Notice]:
    """Return what was told, or is to be, of incidents that are open, the oldest first."""
    rows = connection.execute(  # CROSS: incidents first, so that a month of rows isn't read each minute
        f"SELECT {_NOTICE} FROM incidents AS i CROSS JOIN outbox AS o ON o.incident = i.id"
        " WHERE i.closed_at_ms IS NULL AND o.notice IS NOT NULL AND o.kind <> 'incident-closed' ORDER BY o.id"
    )
    return [Notice(row[0], row[1], Kind(row[2]), decoded(row[3]), row[4]) for row in rows]


def next_due_ms(connection: sqlite3.Connection, destination: str) -> int | None:
    """Return when the next one is to be sent, None while none waits."""
    (at_ms,) = connection.execute(
        f"SELECT min(due_at_ms) FROM {_WAITING.format('d')} WHERE destination = ? AND ended_at_ms IS NULL",
        (destination,),
    ).fetchone()
    return at_ms and int(at_ms)


def end(connection: sqlite3.Connection, destination: str, row_id: int, *, at_ms: int) -> None:
    """Note that one has arrived."""
    connection.execute(
        "UPDATE deliveries SET ended_at_ms = ?, outcome = ?, problem = NULL WHERE destination = ? AND id = ?",
        (at_ms, Ending.SENT.value, destination, row_id),
    )


def postpone(
    connection: sqlite3.Connection, destination: str, row_id: int, *, due_at_ms: int, problem: str | None
) -> None:
    """Have one sent no earlier than `due_at_ms`. problem: why the try failed, None where it only has to wait."""
    connection.execute(
        "UPDATE deliveries SET tries = tries + iif(?1 IS NULL, 0, 1), due_at_ms = ?2, problem = coalesce(?1, problem)"
        " WHERE destination = ?3 AND id = ?4",
        (problem, due_at_ms, destination, row_id),
    )


def queues(connection: sqlite3.Connection) -> Mapping[str, Queue]:
    """Return what waits for each destination, for each that notifications go to now."""
    rows = connection.execute(
        "SELECT t.name, count(d.id), min(o.created_at_ms) FROM destinations AS t"
        f" LEFT JOIN {_WAITING.format('d')} ON d.destination = t.name AND d.ended_at_ms IS NULL"
        " LEFT JOIN outbox AS o ON o.id = d.id GROUP BY t.name"
    )
    return {name: Queue(waiting, oldest_at_ms) for name, waiting, oldest_at_ms in rows}


def totals(connection: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """Return how many deliveries have ended so far, by destination and outcome; retention never lowers it."""
    rows = connection.execute("SELECT name, value FROM totals WHERE name LIKE 'notifications %' ORDER BY name")
    return {(name.split()[1], name.split()[2]): value for name, value in rows}
