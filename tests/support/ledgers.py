"""Stores with an adopted ledger and one open incident an instance, and the moments that it is told."""

import sqlite3
from pathlib import Path

from jobs.health.incident import Incident
from jobs.health.model import FailureClass, InstanceKey, Verdict
from jobs.health.recovery import Action, Order
from jobs.store import ledger, writer
from jobs.store.connection import open_store, transaction
from jobs.store.ledger import Moment

WALL_MS = 1_800_000_000_000
KEY = InstanceKey("loco-instances/loco-emulator-0")
INCIDENT = "incident-0"


def at(seconds: float, *, boot: str = "boot-1", wall_ms: int = WALL_MS) -> Moment:
    """Return the moment so many seconds after a boot."""
    return Moment(boot, round(seconds * 1000), wall_ms)


def an_order(*, key: InstanceKey = KEY, incident: str | None = INCIDENT, **fields) -> Order:
    """Return what a due plan asks for."""
    defaults = {"action": Action.RESET_AUDIO, "uid": "uid-1", "restarts": 0, "codes": ("AudioMuted",)}
    return Order(key=key, incident=incident, **{**defaults, **fields})


def put_incident(
    connection: sqlite3.Connection,
    incident: str = INCIDENT,
    *,
    key: InstanceKey = KEY,
    closed_at_ms: int | None = None,
    members: tuple[InstanceKey, ...] = (),
) -> None:
    """Write one incident as collect does; the caller holds the transaction."""
    writer._write_incident(
        connection,
        Incident(
            id=incident,
            key=key,
            opened_at_ms=WALL_MS,
            opened_tick=1,
            failure_class=FailureClass.QEMU,
            verdict=Verdict.UNHEALTHY,
            codes=("AudioMuted",),
            reasons=(),
            last_bad_tick=1,
            closed_at_ms=closed_at_ms,
            members=members,
        ),
    )


def an_adopted_store(path: Path, *, is_adopted: bool = True) -> sqlite3.Connection:
    """Return a connection to a new store that may act, with the incident open, at 0 s of boot-1."""
    connection = open_store(path)
    with transaction(connection):
        put_incident(connection)
        ledger.witness(connection, at(0))
        if is_adopted:
            ledger.adopt(connection, (), now=at(0))
    return connection
