"""How long the store keeps what: minutes become hours, then the old go, in transactions that nobody notices.

Age is counted back from the newest observation or from the clock, whichever is earlier: a clock that ran ahead deletes
nothing that is young, and a fleet that nobody watched for a month keeps its history.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from functools import reduce

from jobs.health.model import InstanceKey
from jobs.health.rollup import HOUR_MS, MINUTE_MS, Rollup, merge, start_of
from jobs.store.connection import reading, transaction
from jobs.store.outbox import give_up
from jobs.store.rollups import minutes_between, put_hours

# architecture section 7: minutes 48 h, hours a year; what happened is kept as long as the hours it explains.
MINUTES_MS = 48 * HOUR_MS
YEAR_MS = 365 * 24 * HOUR_MS
# chosen: a week shows a schedule's rhythm; a request is answered within one tick, so a day is for looking back.
RUNS_MS = 7 * 24 * HOUR_MS
REQUESTS_MS = 24 * HOUR_MS

# chosen: a clock that is set back by 2 h adds to minutes of hours that were rolled up already.
REDONE_HOURS = 3

# chosen: deleting 1,000 minutes takes 3 ms here; a disk ten times slower still stays below 100 ms.
BATCH_ROWS = 1000
# chosen: as SQLite's longest sleep between two tries for a lock (sqliteDefaultBusyCallback), so that a waiting writer
# gets its turn between two batches.
PAUSE_SECONDS = 0.1

_OLD = {
    "minutes": "start_at_ms < :minutes",
    "hours": "start_at_ms < :year",
    "changes": "at_ms < :year",
    "incidents": "closed_at_ms < :year",
    "runs": "started_at_ms < :runs",
    "requests": "asked_at_ms < :requests",
    # A notification of an incident that is open is told again to who may have forgotten it.
    "outbox": "ended_at_ms < :runs AND (notice IS NULL OR incident NOT IN"
    " (SELECT id FROM incidents WHERE closed_at_ms IS NULL))",
    # On the ledger's own clock: one that ran ahead must not delete what still counts.
    "attempts": "state = 'ended' AND spent_ms < (SELECT witnessed_ms FROM ledger) - :year_long",
}
_KEYS = {"minutes": "start_at_ms, key", "hours": "start_at_ms, key"}


def apply_retention(connection: sqlite3.Connection, *, at_ms: int) -> dict[str, int]:
    """Roll whole hours up, then delete what is too old; return the number of rows by table.

    Beside the tables: `hours_rolled`, and `given_up`, what was to be told outside and is no news any more.

    at_ms: the clock. A second call at once finds nothing to do. Cost: about 0.1 s a batch, nearly all of it pause.
    """
    reference_ms = _reference(connection, at_ms)
    counts = {"hours_rolled": _roll_up(connection, reference_ms)}
    limits = {
        "minutes": start_of(reference_ms - MINUTES_MS, HOUR_MS),
        "year": reference_ms - YEAR_MS,
        "year_long": YEAR_MS,
        "runs": reference_ms - RUNS_MS,
        "requests": reference_ms - REQUESTS_MS,
    }
    with transaction(connection):
        counts["given_up"] = give_up(connection, at_ms=reference_ms)
    for table in _OLD:
        counts[table] = _delete(connection, table, limits)
    return counts


def _reference(connection: sqlite3.Connection, at_ms: int) -> int:
    """Return the moment from which age is counted."""
    with reading(connection):
        (newest_ms,) = connection.execute("SELECT max(start_at_ms) + ? FROM minutes", (MINUTE_MS,)).fetchone()
    return at_ms if newest_ms is None else min(at_ms, newest_ms)


def _roll_up(connection: sqlite3.Connection, reference_ms: int) -> int:
    """Write the hours that have ended and aren't there yet, and the last few anew; return how many rows."""
    count = 0
    for start_ms in range(_first_hour(connection, reference_ms), start_of(reference_ms, HOUR_MS), HOUR_MS):
        # Fetched at once and merged afterwards: a reader in the middle of its rows keeps a writer from committing.
        with reading(connection):
            minutes = minutes_between(connection, start_ms, start_ms + HOUR_MS)
        if minutes:
            hours = _by_instance(minutes, start_ms)
            with transaction(connection):
                put_hours(connection, hours.items())
            count += len(hours)
    return count


def _first_hour(connection: sqlite3.Connection, reference_ms: int) -> int:
    """Return the start of the first hour to roll up."""
    with reading(connection):
        (rolled_ms,) = connection.execute(
            "SELECT max(start_at_ms) FROM hours WHERE start_at_ms < ?", (reference_ms,)
        ).fetchone()
        (minute_ms,) = connection.execute(
            "SELECT coalesce(min(start_at_ms), ?) FROM minutes", (reference_ms,)
        ).fetchone()
    first_ms = start_of(minute_ms, HOUR_MS)
    return first_ms if rolled_ms is None else max(first_ms, rolled_ms - (REDONE_HOURS - 1) * HOUR_MS)


def _by_instance(minutes: list[tuple[InstanceKey, Rollup]], start_ms: int) -> Mapping[InstanceKey, Rollup]:
    """Return one hour of each instance."""
    found: dict[InstanceKey, list[Rollup]] = {}
    for key, minute in minutes:
        found.setdefault(key, [Rollup(start_ms)]).append(minute)
    return {key: reduce(merge, rollups) for key, rollups in found.items()}


def _delete(connection: sqlite3.Connection, table: str, limits: Mapping[str, int]) -> int:
    """Delete the old rows of one table, batch by batch; return how many."""
    key = _KEYS.get(table, "rowid")
    statement = (
        f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {_OLD[table]} LIMIT {BATCH_ROWS})"
    )
    count = 0
    while True:
        with transaction(connection):
            deleted = connection.execute(statement, limits).rowcount
        count += deleted
        if deleted < BATCH_ROWS:
            return count
        time.sleep(PAUSE_SECONDS)
