"""What planning 1,000 open incidents costs, each with three attempts behind it, the ledger's word and rows included."""

import resource
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from builders import Watch
from situations import INSTANCE, acting_report

from jobs.clock import Clock
from jobs.health.bounds import RecoveryBounds
from jobs.health.model import InstanceKey
from jobs.health.policy import Policy
from jobs.health.recovery import Action, AttemptOutcome, Limits, Order
from jobs.health.situation import Leave
from jobs.planner import Recovery, plan_fleet
from jobs.store import ledger, writer
from jobs.store.connection import open_store, transaction
from jobs.store.ledger import Ending
from jobs.store.plans import read_plans

INCIDENTS = 1000
STUCK = acting_report(qemu={"process_state": "T", "run_state": None, "uptime_seconds": 3600.0})

# So many ill instances would close the brake; this one lets every plan be made to its end.
BOUNDS = RecoveryBounds(brake_instances=1000, brake_ratio=1.0, common_cause_instances=1000)


def a_fleet():
    """Return that many stuck instances on nodes of their own, and a well one, without which all would be ill."""
    watch = Watch(INSTANCE)
    for _ in range(2):
        watch.see(STUCK)
    fleet = {INSTANCE.key: replace(watch.watched, incident=None, history=Watch().history)}
    for number in range(INCIDENTS):
        key = InstanceKey(f"loco/emulator-{number}")
        instance = replace(INSTANCE, key=key, pod=replace(INSTANCE.pod, node=f"node-{number}"))
        incident = replace(watch.incident, id=f"incident-{number}", key=key)
        fleet[key] = replace(watch.watched, instance=instance, incident=incident)
    return fleet


def tried(connection, fleet, now):
    """Let each incident have had three attempts, after which its next rung is the last."""
    for watched in fleet.values():
        if watched.incident:
            writer._write_incident(connection, watched.incident)
            for outcome in (AttemptOutcome.SUPERSEDED, AttemptOutcome.STOOD_DOWN, AttemptOutcome.REFUSED):
                order = Order(key=watched.instance.key, action=Action.RESET_GUEST, incident=watched.incident.id)
                attempt = ledger.book(connection, order, Limits(cool_down_seconds=0), now=now)
                ledger.end(connection, attempt.id, Ending(outcome, "as it ended"), now=now)


def main() -> None:
    """Print rows of a table."""
    recovery, clock = Recovery(Leave(Policy(recovery=BOUNDS))), Clock()
    with tempfile.TemporaryDirectory() as folder, closing(open_store(Path(folder, "loco.db"))) as connection:
        fleet = a_fleet()
        with transaction(connection):
            ledger.adopt(connection, [], now=clock.moment())
            tried(connection, fleet, clock.moment())
        for what in ("plan 1,000 incidents, all new", "plan 1,000 incidents, as before"):
            cpu_began, wall_began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
            with transaction(connection):
                plan_fleet(connection, recovery, fleet, {}, tick=2, now=clock.moment())
            cpu_ended, wall_seconds = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - wall_began
            cpu_seconds = cpu_ended.ru_utime + cpu_ended.ru_stime - cpu_began.ru_utime - cpu_began.ru_stime
            print(f"| {what} | {wall_seconds:.2f} s | {cpu_seconds:.2f} s CPU, at most 1 s is allowed |")
        assert INCIDENTS == len(read_plans(connection))


if __name__ == "__main__":
    main()
