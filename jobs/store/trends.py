"""The whole fleet's roll-ups span by span, for what is shown of the past; plain SQL on any connection.

One span is one short transaction of its caller's: a long one would keep a writer from committing.
"""

from __future__ import annotations

import sqlite3
from sys import intern
from typing import NamedTuple

from jobs.health.model import InstanceKey
from jobs.health.rollup import HOUR_MS


class Ticks(NamedTuple):
    """How many ticks of a span had which verdict."""

    healthy: int = 0
    degraded: int = 0
    unhealthy: int = 0
    unreachable: int = 0
    unknown: int = 0


class Measured(NamedTuple):
    """What one minute measured. frame_rate: the mean, per second. level: the peak, 0-1. None: not measured."""

    frame_rate: float | None
    level: float | None


class Seen(NamedTuple):
    """What a span saw. codes: reasons that were met, sorted."""

    ticks: Ticks
    codes: tuple[str, ...]


_TICKS = "sum(healthy), sum(degraded), sum(unhealthy), sum(unreachable), sum(unknown)"

# An hour that compact hasn't rolled up yet stands in minutes alone; one that it has stands in both for two days.
_UNROLLED = f"""
WITH RECURSIVE every (at) AS (SELECT :start UNION ALL SELECT at + {HOUR_MS} FROM every WHERE at + {HOUR_MS} < :end)
SELECT key, {_TICKS} FROM every CROSS JOIN minutes
ON start_at_ms >= at AND start_at_ms < at + {HOUR_MS} AND NOT EXISTS (SELECT 1 FROM hours WHERE start_at_ms = at)
GROUP BY key
"""


def measured(connection: sqlite3.Connection, start_at_ms: int) -> dict[InstanceKey, Measured]:
    """Return what the minute that starts then measured of each instance that it saw."""
    rows = connection.execute(
        "SELECT key, frame_rate_sum / nullif(frame_rate_count, 0), level_max FROM minutes WHERE start_at_ms = ?",
        (start_at_ms,),
    )
    return {InstanceKey(intern(key)): Measured(frame_rate, level) for key, frame_rate, level in rows}


def seen(connection: sqlite3.Connection, start_at_ms: int, end_at_ms: int) -> dict[InstanceKey, Seen]:
    """Return what the minutes of the half-open span saw of each instance. Cost: about 1 us a row."""
    rows = connection.execute(
        f"SELECT key, {_TICKS}, group_concat(nullif(codes, ''), ' ') FROM minutes"
        " WHERE start_at_ms >= ? AND start_at_ms < ? GROUP BY key",
        (start_at_ms, end_at_ms),
    )
    return {
        InstanceKey(intern(key)): Seen(Ticks(*counts), tuple(sorted(set(codes.split()))) if codes else ())
        for key, *counts, codes in rows
    }


def ticks(connection: sqlite3.Connection, start_at_ms: int, end_at_ms: int) -> dict[InstanceKey, Ticks]:
    """Return each instance's ticks of whole hours: from `hours`, and from `minutes` where an hour isn't there yet.

    start_at_ms, end_at_ms: a half-open span of whole hours. Cost: about 0.5 us a row.
    """
    found: dict[InstanceKey, Ticks] = {}
    span = {"start": start_at_ms, "end": end_at_ms}
    rolled = f"SELECT key, {_TICKS} FROM hours WHERE start_at_ms >= :start AND start_at_ms < :end GROUP BY key"
    for statement in (rolled, _UNROLLED):
        for key, *counts in connection.execute(statement, span):
            known = found.get(InstanceKey(key), Ticks())
            found[InstanceKey(intern(key))] = Ticks(*(a + b for a, b in zip(known, counts, strict=True)))
    return found
