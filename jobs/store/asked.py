"""Ticks asked for by hand, in table `requests`: whoever holds the lease makes one soon and writes its number beside."""

from __future__ import annotations

import sqlite3


def ask_tick(connection: sqlite3.Connection, name: str, asked_by: str, asked_at_ms: int) -> int:
    """Ask the holder of lease `name` for a tick; returns the request's id. Inside the caller's transaction."""
    row: tuple[int] = connection.execute(
        "INSERT INTO requests (name, asked_by, asked_at_ms) VALUES (?, ?, ?) RETURNING id",
        (name, asked_by, asked_at_ms),
    ).fetchone()
    return row[0]


def last_asked(connection: sqlite3.Connection, name: str) -> int:
    """Return the id of the newest request that waits, 0 for none."""
    row = connection.execute("SELECT max(id) FROM requests WHERE name = ? AND done_tick IS NULL", (name,)).fetchone()
    return row[0] or 0


def answer(connection: sqlite3.Connection, name: str, last_id: int, tick: int) -> None:
    """Write the tick beside every request that was there when its round began: ids up to `last_id`."""
    connection.execute(
        "UPDATE requests SET done_tick = ? WHERE name = ? AND done_tick IS NULL AND id <= ?", (tick, name, last_id)
    )


def answer_of(connection: sqlite3.Connection, request_id: int) -> str | None:
    """Return one line about the tick that answered a request, None while it waits."""
    row = connection.execute(
        "SELECT q.done_tick, r.instances, r.duration_seconds, r.holder, r.problem FROM requests q JOIN runs r "
        "ON r.command = q.name WHERE q.id = ? AND q.done_tick IS NOT NULL ORDER BY r.last_success_at_ms DESC LIMIT 1",
        (request_id,),
    ).fetchone()
    if row is None:
        return None
    tick, instances, seconds, holder, problem = row
    return f"tick {tick} of {instances} instances in {seconds:.2f} s by {holder}; problem: {problem or 'none'}"
