"""Rows of `minutes` and `hours`, as jobs.health.rollup makes and merges them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import fields
from operator import attrgetter
from typing import Any, Literal

from jobs.health.model import InstanceKey
from jobs.health.rollup import Rollup

_COLUMNS = tuple(field.name for field in fields(Rollup))
_SUMS = tuple(name for name in _COLUMNS if name not in ("start_at_ms", "codes", "level_max"))
_NAMES = ", ".join(_COLUMNS)
_PLACES = ", ".join("?" for _ in _COLUMNS)
_CODES = _COLUMNS.index("codes")
_values = attrgetter(*_COLUMNS)

# The same as jobs.health.rollup.merge (a test compares them), without reading first, because every tick does it for
# every instance. Codes may stand there twice; `_rollup` makes them a set again.
_ADD = (
    f"INSERT INTO minutes (key, {_NAMES}) VALUES (?, {_PLACES}) ON CONFLICT (start_at_ms, key) DO UPDATE SET "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)
    + ", level_max = coalesce(max(level_max, excluded.level_max), level_max, excluded.level_max)"
    ", codes = iif(codes = excluded.codes, codes, trim(codes || ' ' || excluded.codes))"
)
_PUT = f"INSERT OR REPLACE INTO hours (key, {_NAMES}) VALUES (?, {_PLACES})"
_BETWEEN = f"SELECT key, {_NAMES} FROM minutes WHERE start_at_ms >= ? AND start_at_ms < ? ORDER BY start_at_ms"


def add_to_minutes(connection: sqlite3.Connection, rollups: Iterable[tuple[InstanceKey, Rollup]]) -> None:
    """Add each to the minute that it starts in."""
    connection.executemany(_ADD, (_row(key, rollup) for key, rollup in rollups))


def put_hours(connection: sqlite3.Connection, rollups: Iterable[tuple[InstanceKey, Rollup]]) -> None:
    """Write each as its hour, in place of what stood there."""
    connection.executemany(_PUT, (_row(key, rollup) for key, rollup in rollups))


def minutes_between(
    connection: sqlite3.Connection, start_at_ms: int, end_at_ms: int
) -> list[tuple[InstanceKey, Rollup]]:
    """Return every instance's minutes that start in the half-open span, oldest first."""
    rows = connection.execute(_BETWEEN, (start_at_ms, end_at_ms)).fetchall()
    return [(InstanceKey(key), _rollup(row)) for key, *row in rows]


def of_instance(
    connection: sqlite3.Connection, table: Literal["minutes", "hours"], key: InstanceKey, since_ms: int
) -> list[Rollup]:
    """Return one instance's rows that start at `since_ms` or later, oldest first.

    Rows lie by time first, so they are found by hopping from start to start, 2 us each, not by reading everybody's.
    """
    rows = connection.execute(
        f"WITH RECURSIVE starts (at) AS (SELECT min(start_at_ms) FROM {table} WHERE start_at_ms >= :since_ms"
        f" UNION ALL SELECT (SELECT min(start_at_ms) FROM {table} WHERE start_at_ms > at) FROM starts"
        f" WHERE at IS NOT NULL) SELECT {_NAMES} FROM starts CROSS JOIN {table} ON start_at_ms = at AND key = :key"
        " ORDER BY start_at_ms",
        {"key": key, "since_ms": since_ms},
    )
    return [_rollup(list(row)) for row in rows]


def _row(key: InstanceKey, rollup: Rollup) -> list[Any]:
    """Return the values of one row."""
    row = [key, *_values(rollup)]
    row[1 + _CODES] = " ".join(rollup.codes)
    return row


def _rollup(row: list[Any]) -> Rollup:
    """Return the value of one row without its key."""
    row[_CODES] = tuple(sorted(set(row[_CODES].split())))
    return Rollup(*row)
