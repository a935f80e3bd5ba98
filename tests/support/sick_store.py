"""A store in which every metric has something to tell, and the ConfigMap that `discover` would make of it."""

import time
from contextlib import contextmanager

import msgspec
from full_report import a_full_report
from stores import TICK_MS, a_fleet, an_instance

from jobs.clock import Clock
from jobs.cluster.snapshot import render
from jobs.health.causes import FLEET
from jobs.health.incident import ChangeKind, Incident, IncidentChange
from jobs.health.model import FailureClass, InstanceKey, ProbeOutcome, Verdict
from jobs.health.recovery import Action, AttemptOutcome, Hold, Limits, Order, Plan
from jobs.store import deliveries, ledger, plans, reader, writer
from jobs.store.connection import transaction
from jobs.store.ledger import Ending
from jobs.store.snapshot import read_snapshot

WELL, LOST, DEAD = (InstanceKey(f"static/instance-{ordinal}") for ordinal in range(3))


@contextmanager
def a_sick_fleet(folder):
    """Yield three instances of which one is lost, one's QEMU is dead, and the fleet brake is on; last tick: now."""
    start_ms = int(time.time() * 1000) - 5 * TICK_MS
    with a_fleet(folder / "loco.db", [an_instance(ordinal) for ordinal in range(3)], at_ms=start_ms) as fleet:
        with transaction(fleet.connection):
            deliveries.set_destinations(fleet.connection, ["webhook"], at_ms=start_ms)
        fleet.ticks(1)
        for _ in range(4):
            fleet.ticks(1, _answers(fleet.tick))
        with transaction(fleet.connection):
            _recover(fleet.connection, fleet.at_ms)
            _brake(fleet.connection, fleet)
            (told, *_) = deliveries.due(fleet.connection, "webhook", now_ms=fleet.at_ms, limit=1)
            deliveries.end(fleet.connection, "webhook", told.id, at_ms=fleet.at_ms)
        _publish(folder / "snapshot", fleet)
        yield fleet


def _answers(tick):
    """Return the answers of the two that are ill; a report whose sequence stands still would be an old one."""
    dead = msgspec.structs.replace(a_full_report(sequence=tick + 1), qemu_healthy=False)
    return {"instance-1": ProbeOutcome.REFUSED, "instance-2": dead}


def _publish(folder, fleet):
    """Write ConfigMap `loco-health` as a mounted folder."""
    folder.mkdir(exist_ok=True)
    for name, text in render(read_snapshot(fleet.connection, at_ms=fleet.at_ms)).items():
        (folder / name).write_text(text)


def _recover(connection, at_ms):
    """Write one attempt that healed nothing, one under way, and a hold."""
    incidents, now = reader.open_incidents(connection), Clock().moment()
    ledger.adopt(connection, [], now=now)
    limits = Limits(cool_down_seconds=0)
    for key, is_over in ((LOST, False), (DEAD, True)):
        order = Order(key=key, action=Action.RESTART_QEMU, incident=incidents[key].id, codes=("QemuDead",))
        attempt = ledger.book(connection, order, limits, now=now)
        if is_over:
            ledger.claim(connection, attempt.id, "host:1:2", now=now)
            ledger.begin_act(connection, attempt.id, "host:1:2", now=now)
            ledger.end(connection, attempt.id, Ending(AttemptOutcome.NO_EFFECT, "not well"), now=now, runner="host:1:2")
    held = Plan(incident=incidents[DEAD].id, key=DEAD, decided_at_ms=at_ms, action=None, hold=Hold.NEEDS_HUMAN)
    plans.put_plans(connection, [held])


def _brake(connection, fleet):
    brake = Incident(
        "brake-1",
        FLEET,
        fleet.at_ms,
        fleet.tick,
        FailureClass.MIXED,
        Verdict.UNREACHABLE,
        ("FleetBrake",),
        (),
        fleet.tick,
        members=(LOST, DEAD),
    )
    writer.record_brakes(connection, [IncidentChange(ChangeKind.OPENED, brake)], at_ms=fleet.at_ms)
