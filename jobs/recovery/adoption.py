"""What Jobs tell a ledger that it doesn't know: acts of a store that was lost, or of a later state of this one."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace

from jobs.health.model import InstanceKey
from jobs.health.recovery import Order
from jobs.recovery.jobs import Seen
from jobs.recovery.naming import key_named, names_of
from jobs.store import ledger
from jobs.store.ledger import Moment
from jobs.template import instance_of_job


def orders_of(seen: Sequence[Seen], public_ids: Mapping[InstanceKey, str]) -> list[tuple[Seen, Order]] | None:
    """Return each Job with its order, its instance's key in it; None before an inventory tells whose Jobs they were.

    One for an instance that a known inventory doesn't have can't be put down to any.
    """
    keys = names_of(public_ids)
    orders = [(one, order) for one in seen if (order := _resolved(one, keys))]
    return orders if keys or len(orders) == len(seen) else None


def newest_of(seen: Sequence[Seen], store: str) -> int:
    """Return the highest attempt of this store that a Job tells of, 0 for none."""
    return max((one.attempt_id for one in seen if one.store == store), default=0)


def is_strange(seen: Seen, store: str) -> bool:
    """Tell whether a Job is of an attempt that another store booked."""
    return seen.store not in ("", store)


def take_over(
    orders: Sequence[tuple[Seen, Order]], newest_id: int, connection: sqlite3.Connection, now: Moment, _: int
) -> None:
    """Take over what isn't in the ledger, after giving it a new name where its own Jobs know more than it does.

    A store that knows all of its own may still be an old state: another was made of a copy of it, acted and was lost.
    """
    store = ledger.store_name(connection)
    if newest_id > ledger.newest_id(connection):
        ledger.disown(connection)
    is_new = not ledger.is_adopted(connection)
    ledger.adopt(connection, [(order, one.job) for one, order in orders if is_new or is_strange(one, store)], now=now)


def _resolved(seen: Seen, keys: Mapping[str, InstanceKey]) -> Order | None:
    """Return the order with its instance's key, None for an instance that the inventory doesn't know."""
    if seen.order.key:
        return seen.order
    key = key_named(seen.public_id, keys) or key_named(instance_of_job(seen.public_id, keys) or "", keys)
    return replace(seen.order, key=key) if key else None
