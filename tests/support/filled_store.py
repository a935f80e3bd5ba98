"""A real store in which every route finds something to tell."""

import base64
import random
import time
import zlib
from contextlib import contextmanager

import msgspec
from stores import TICK_MS, a_fleet, an_instance

from jobs.clock import Clock
from jobs.health.model import ProbeOutcome
from jobs.health.recovery import Action, AttemptOutcome, Limits, Order, Plan
from jobs.store import ledger, plans, reader
from jobs.store.connection import transaction
from jobs.store.evidence import write_bundle
from jobs.store.ledger import Ending

PNG = b"\x89PNG\r\n\x1a\n" + zlib.compress(random.Random(1).randbytes(4000))

_SCREEN = {"png": base64.b64encode(PNG).decode(), "takenAt": "2026-11-24T20:07:43.125Z", "error": None}
BUNDLE = {"report": {"qemu_healthy": False}, "screens": [_SCREEN], "after": {"verdict": "healthy", "screen": _SCREEN}}


LOST = {"instance-1": ProbeOutcome.REFUSED}


def fill(store):
    """Write a fleet of which instance-1 has been lost for a while, and instance-2 was, but came back."""
    with filled(store):
        pass


@contextmanager
def filled(store):
    """Yield the fleet of such a store, for more ticks."""
    start_ms = int(time.time() * 1000) - 16 * TICK_MS
    with a_fleet(store, [an_instance(0), an_instance(1), an_instance(2)], at_ms=start_ms) as fleet:
        fleet.ticks(3)
        fleet.ticks(3, LOST | {"instance-2": ProbeOutcome.TIMEOUT})
        fleet.ticks(10, LOST)
        fleet.picture("instance-0", PNG)
        an_act(fleet)
        write_bundle(store, 1, msgspec.json.encode(BUNDLE))
        yield fleet


def real_id(path, incident):
    """Return an id that the store has for a path of openapi.json. incident: one of its."""
    kind = path.partition("/{id}")[0].rpartition("/")[2]
    return {"incidents": incident, "attempts": "1"}.get(kind, "instance-0")


def an_act(fleet):
    """Write an attempt that healed, one that is planned, and what is next."""
    connection, now = fleet.connection, Clock().moment()
    (incident,) = reader.open_incidents(connection).values()
    order = Order(key=incident.key, action=Action.RESTART_QEMU, incident=incident.id, codes=("AgentRefused",))
    with transaction(connection):
        ledger.adopt(connection, [], now=now)
        first = ledger.book(connection, order, Limits(cool_down_seconds=0), now=now)
        ledger.claim(connection, first.id, "host:1:2", now=now)
        ledger.note_evidence(connection, first.id)
        ledger.end(connection, first.id, Ending(AttemptOutcome.STOOD_DOWN, "UserConnected"), now=now)
        ledger.book(connection, order, Limits(cool_down_seconds=0), now=now)
        plan = Plan(incident=incident.id, key=incident.key, decided_at_ms=fleet.at_ms, action=Action.RESTART_QEMU)
        plans.put_plans(connection, [plan])
