"""The baton as a row: who may tick, under which token, and who comes next.

Everything here is compare-and-swap inside the caller's transaction; what to do when is `jobs.baton`'s.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from jobs.errors import Superseded

_COLUMNS = "name, holder, token, renewals, tick, slot_ms, boot_id, successor"


@dataclass(frozen=True, slots=True)
class Lease:
    """One lease as it was read.

    holder, successor: as `jobs.holder` names a process; None for nobody. token: moves with every change of holder.
    slot_ms, boot_id: when the grid's last tick was due on CLOCK_BOOTTIME, and of which boot; None before the first.
    """

    name: str
    holder: str | None
    token: int
    renewals: int
    tick: int
    slot_ms: int | None
    boot_id: str | None
    successor: str | None


def read_lease(connection: sqlite3.Connection, name: str) -> Lease:
    """Return the lease; one that nobody ever held reads as token 0 and tick 0."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM leases WHERE name = ?", (name,)).fetchone()
    return Lease(*row) if row else Lease(name, None, 0, 0, 0, None, None, None)


def announce(connection: sqlite3.Connection, name: str, successor: str) -> Lease:
    """Name the process that comes next; the last one to announce itself wins."""
    connection.execute(
        "INSERT INTO leases (name, successor) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET successor = excluded.successor",
        (name, successor),
    )
    return read_lease(connection, name)


def take(connection: sqlite3.Connection, seen: Lease, holder: str) -> Lease | None:
    """Make `holder` the one who ticks, under the next token; None when the lease is no longer as it was seen."""
    connection.execute("INSERT OR IGNORE INTO leases (name) VALUES (?)", (seen.name,))
    row = connection.execute(
        "UPDATE leases SET holder = ?1, token = token + 1, renewals = renewals + 1, successor = nullif(successor, ?1) "
        f"WHERE name = ?2 AND token = ?3 AND tick = ?4 AND successor IS ?5 RETURNING {_COLUMNS}",
        (holder, seen.name, seen.token, seen.tick, seen.successor),
    ).fetchone()
    return Lease(*row) if row else None


def renew(connection: sqlite3.Connection, held: Lease) -> Lease:
    """Show that the holder lives; the fence of every write that isn't a tick.

    Raises: Superseded when another run took the lease.
    """
    return _fenced(connection, held, "renewals = renewals + 1")


def advance(connection: sqlite3.Connection, held: Lease, *, slot_ms: int | None, boot_id: str) -> Lease:
    """Number one tick; its fence. slot_ms: when it was due, None for one that was asked for beside the grid.

    Raises: Superseded when another run took the lease.
    """
    return _fenced(
        connection,
        held,
        "renewals = renewals + 1, tick = tick + 1, slot_ms = coalesce(:slot_ms, slot_ms), "
        "boot_id = iif(:slot_ms IS NULL, boot_id, :boot_id)",
        slot_ms=slot_ms,
        boot_id=boot_id,
    )


def vacate(connection: sqlite3.Connection, held: Lease) -> None:
    """Say that the holder is about to end, so that nobody waits for its silence; nothing when another has taken it."""
    connection.execute("UPDATE leases SET holder = NULL WHERE name = ? AND token = ?", (held.name, held.token))


def _fenced(connection: sqlite3.Connection, held: Lease, change: str, **values: object) -> Lease:
    """Change the lease while the token is still the holder's."""
    row = connection.execute(
        f"UPDATE leases SET {change} WHERE name = :name AND token = :token RETURNING {_COLUMNS}",
        {"name": held.name, "token": held.token, **values},
    ).fetchone()
    if row is None:
        raise Superseded(
            f"{held.name}: another run has taken the lease over token {held.token} of {held.holder}; "
            "nothing was written, this run leaves"
        )
    return Lease(*row)
