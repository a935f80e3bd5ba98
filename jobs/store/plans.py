"""What is next for each open incident, as `collect` decided it at its last tick."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from jobs.health.model import InstanceKey
from jobs.health.recovery import Plan
from jobs.store import outbox

_plan = msgspec.json.Decoder(Plan)


def put_plans(connection: sqlite3.Connection, plans: Iterable[Plan]) -> None:
    """Make `plans` the only ones, inside the caller's transaction; rows that say the same are not written again.

    An act or hold that is new is to be told outside.
    """
    wanted = {plan.incident: plan for plan in plans}
    before = {plan.incident: plan for plan in read_plans(connection).values()}
    connection.executemany("DELETE FROM plans WHERE incident = ?", [(one,) for one in before.keys() - wanted.keys()])
    changed = [plan for plan in wanted.values() if plan != before.get(plan.incident)]
    connection.executemany(
        "INSERT INTO plans (incident, key, is_due, plan) VALUES (?, ?, ?, ?) ON CONFLICT (incident) DO UPDATE SET"
        " key = excluded.key, is_due = excluded.is_due, plan = excluded.plan",
        [(one.incident, one.key, one.is_due, msgspec.json.encode(one).decode()) for one in changed],
    )
    for plan in changed:
        old = before.get(plan.incident)
        if old is None or (old.action, old.hold) != (plan.action, plan.hold):
            outbox.tell_plan(connection, plan)


def read_plans(connection: sqlite3.Connection) -> dict[InstanceKey, Plan]:
    """Return the plan for each instance with an open incident."""
    return {plan.key: plan for plan in _read(connection, "")}


def due_plans(connection: sqlite3.Connection) -> list[Plan]:
    """Return the plans that may become attempts now, the oldest decision first."""
    return sorted(_read(connection, "WHERE is_due"), key=lambda plan: (plan.decided_at_ms, plan.key))


def told_plans(connection: sqlite3.Connection, incident: str) -> list[Plan]:
    """Return what was told outside of an incident's plans, oldest first: acts that came due, and holds that last.

    Each is told once, however often it comes back, and kept as long as `outbox` is.
    """
    kinds = (outbox.Kind.RECOVERY_PLANNED.value, outbox.Kind.RECOVERY_SUPPRESSED.value)
    rows = connection.execute(
        "SELECT message FROM outbox WHERE kind IN (?, ?) AND subject > ?3 || '/' AND subject < ?3 || '0' ORDER BY id",
        (*kinds, incident),
    )
    return [plan for (text,) in rows if (plan := outbox.decoded(text).plan)]


def _read(connection: sqlite3.Connection, where: str) -> list[Plan]:
    rows = connection.execute(f"SELECT plan FROM plans {where} ORDER BY key")
    return [_plan.decode(text) for (text,) in rows]
