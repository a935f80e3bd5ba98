"""What the store knows of the whole fleet at once; plain SQL on any connection, a read-only one too."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from jobs.health.model import InstanceKey
from jobs.store import deliveries
from jobs.store.deliveries import Queue

EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Uptime:
    """One instance's ticks since some minute: healthy ones, all, and the minutes that had any."""

    healthy_ticks: int
    ticks: int
    observed_minutes: int


@dataclass(frozen=True, slots=True)
class Picture:
    """Which screen picture is kept of one instance; `reader.screen` returns its bytes."""

    hash: str
    taken_at_ms: int


def uptimes(connection: sqlite3.Connection, *, since_ms: int, until_ms: int) -> dict[InstanceKey, Uptime]:
    """Return the ticks of each instance in the minutes that start from `since_ms` to `until_ms`.

    Cost: one range of neighbouring rows, about 0.5 us a row.
    """
    rows = connection.execute(
        "SELECT key, sum(healthy), sum(healthy + degraded + unhealthy + unreachable + unknown), count(*)"
        " FROM minutes WHERE start_at_ms BETWEEN ? AND ? GROUP BY key",
        (since_ms, until_ms),
    )
    return {InstanceKey(key): Uptime(healthy, ticks, minutes) for key, healthy, ticks, minutes in rows}


def discovered(connection: sqlite3.Connection) -> dict[InstanceKey, int]:
    """Return when each instance was first in an inventory, in Unix milliseconds."""
    rows = connection.execute("SELECT key, discovered_at_ms FROM instances")
    return {InstanceKey(key): at_ms for key, at_ms in rows}


def public_ids(connection: sqlite3.Connection) -> dict[InstanceKey, str]:
    """Return what people call each instance of the inventory."""
    rows = connection.execute("SELECT key, public_id FROM instances")
    return {InstanceKey(key): public_id for key, public_id in rows}


def pictures(connection: sqlite3.Connection) -> dict[InstanceKey, Picture]:
    """Return which screen picture is kept of each instance that has one."""
    rows = connection.execute("SELECT key, hash, taken_at_ms FROM screens")
    return {InstanceKey(key): Picture(screen_hash, taken_at_ms) for key, screen_hash, taken_at_ms in rows}


def last_successes(connection: sqlite3.Connection) -> dict[str, int]:
    """Return when each command last committed a tick, in Unix milliseconds.

    Over all its runs: at a hand-over the newest run hasn't ticked yet.
    """
    rows = connection.execute(
        "SELECT command, max(last_success_at_ms) FROM runs WHERE last_success_at_ms IS NOT NULL GROUP BY command"
    )
    return dict(rows.fetchall())


def queues(connection: sqlite3.Connection) -> dict[str, Queue]:
    """Return what waits to be told, by where it goes: Kubernetes' Events and each destination of notifications."""
    row = connection.execute("SELECT count(*), min(created_at_ms) FROM outbox WHERE ended_at_ms IS NULL").fetchone()
    return {EVENTS: Queue(*row), **deliveries.queues(connection)}


def size_bytes(connection: sqlite3.Connection) -> int:
    """Return the size of the store's file, its journal left out."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(page_bytes)
