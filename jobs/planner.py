"""Plans out of the store: of the whole fleet at a tick of `collect`, and of one instance for a run on demand."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agent.report import HealthReport
from jobs.health.brake import Fleet, Illness, advance_brakes, after, brake_on, stream_brake
from jobs.health.causes import is_common
from jobs.health.incident import Incident, IncidentChange, is_bad
from jobs.health.model import Assessment, Instance, InstanceKey, ProbeOutcome
from jobs.health.plan import plan_recovery
from jobs.health.recovery import Held, Plan
from jobs.health.situation import Leave, Situation, Wish
from jobs.health.staleness import is_stale
from jobs.health.watched import Watched
from jobs.store import ledger, reader
from jobs.store.ledger import Moment
from jobs.store.plans import put_plans, read_plans
from jobs.store.writer import record_brakes
from jobs.switches import stop_in

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a command was told of recovery. control: folder of the fleet's switches, None where there is none."""

    leave: Leave
    control: Path | None = None


def plan_fleet(
    connection: sqlite3.Connection,
    recovery: Recovery,
    fleet: Mapping[InstanceKey, Watched],
    brakes: Mapping[InstanceKey, Incident],
    *,
    tick: int,
    now: Moment,
) -> dict[InstanceKey, Incident]:
    """Write the plan of each open incident, inside the caller's transaction; returns the brakes that are on now.

    brakes: those of the tick before. tick: the one whose looks count.
    """
    bounds = recovery.leave.policy.recovery
    ill = {key: illness for key, watched in fleet.items() if (illness := _illness(watched))}
    complaining = {key for key, illness in ill.items() if illness.is_by_word}
    seen = Fleet(
        instances={key: watched.instance for key, watched in fleet.items()},
        ill={key: illness for key, illness in ill.items() if key not in complaining},
        tick=tick,
        at_ms=now.wall_ms,
    )
    changes = advance_brakes(brakes, seen, bounds)
    record_brakes(connection, changes, at_ms=now.wall_ms)
    _log(brakes, changes)
    ground = _Ground(connection, recovery, after(brakes, changes), now)
    ground.stream_brake = stream_brake(sum(ill[key].is_bad for key in complaining), len(fleet), bounds)
    plans = [
        plan_recovery(ground.situation(watched.instance, watched.incident, *_look_of(watched, tick)))
        for watched in fleet.values()
        if watched.incident
    ]
    put_plans(connection, plans)
    return ground.brakes


def plan_one(
    connection: sqlite3.Connection, recovery: Recovery, key: InstanceKey, *, now: Moment, wish: Wish | None = None
) -> Plan | None:
    """Return the plan for one instance, as it stands in the store now; None when the inventory doesn't have it.

    wish: what a person asks for; None plans as `collect` does. Runs inside the caller's transaction: it moves the
    ledger's clock.
    """
    instance = next((one for one in reader.inventory(connection) if one.key == key), None)
    if instance is None:
        return None
    latest = reader.latest(connection).get(key)
    if latest and is_stale(latest.assessment.observed_at_ms, now.wall_ms):
        latest = None
    body = latest.report if latest and latest.outcome is ProbeOutcome.OK else None
    ground = _Ground(connection, recovery, open_brakes(connection), now)
    return plan_recovery(
        ground.situation(
            instance,
            reader.open_incidents(connection).get(key),
            latest.assessment if latest else None,
            reader.report_of(body) if body else None,
            wish=wish,
        )
    )


def open_brakes(connection: sqlite3.Connection) -> dict[InstanceKey, Incident]:
    """Return the brakes that are on now, by their causes."""
    return {key: one for key, one in reader.open_incidents(connection).items() if is_common(key)}


def user_wait_left_seconds(
    connection: sqlite3.Connection, recovery: Recovery, key: InstanceKey, *, now: Moment
) -> float:
    """Return how long an act that would cut people off still waits for them, as its plan in the store says.

    Runs inside the caller's transaction: it moves the ledger's clock.
    """
    wait_seconds = recovery.leave.policy.recovery.user_wait_seconds
    plan = read_plans(connection).get(key)
    if plan is None or plan.wanted_ms is None:
        return wait_seconds
    return max(0.0, wait_seconds - (ledger.witness(connection, now) - plan.wanted_ms) / 1000)


class _Ground:
    """What all plans of one moment stand on: the ledger, the switches, the brakes, the plans before."""

    def __init__(
        self, connection: sqlite3.Connection, recovery: Recovery, brakes: dict[InstanceKey, Incident], now: Moment
    ) -> None:
        self.brakes = brakes
        self.stream_brake: Held | None = None
        self._connection = connection
        self._leave = recovery.leave
        self._now = now
        self._witnessed_ms = ledger.witness(connection, now)
        self._stop = stop_in(recovery.control, now.wall_ms)
        self._before = read_plans(connection)

    def situation(
        self,
        instance: Instance,
        incident: Incident | None,
        assessment: Assessment | None,
        report: HealthReport | None,
        *,
        wish: Wish | None = None,
    ) -> Situation:
        """Return one instance's situation; assessment, report: of a look that is fresh enough."""
        limits = self._leave.policy.recovery.limits
        refusal, stream_refusal = (
            ledger.refusal(
                self._connection,
                instance.key,
                one,
                witnessed_ms=self._witnessed_ms,
                is_forced=wish is not None and wish.is_forced,
            )
            for one in (limits, limits.for_streams)
        )
        return Situation(
            instance=instance,
            assessment=assessment,
            report=report,
            incident=incident.id if incident else None,
            attempts=tuple(ledger.of_incident(self._connection, incident.id)) if incident else (),
            refusal=refusal,
            stream_refusal=stream_refusal,
            leave=self._leave,
            stop=self._stop,
            brake=brake_on(instance.key, self.brakes),
            stream_brake=self.stream_brake,
            before=self._before.get(instance.key),
            now_ms=self._now.wall_ms,
            witnessed_ms=self._witnessed_ms,
            wish=wish,
        )


def _look_of(watched: Watched, tick: int) -> tuple[Assessment | None, HealthReport | None]:
    """Return what was seen of an instance at this tick, if anything.

    A handshake after the probe may have moved the assessment; that is the same look, so it is of the probe's time.
    """
    if watched.tick != tick or watched.probe is None or watched.assessment is None:
        return None, None
    return replace(watched.assessment, observed_at_ms=watched.probe.received_at_ms), watched.probe.report


def _illness(watched: Watched) -> Illness | None:
    """Return how an instance counts for the brakes, None where it is well."""
    last = watched.history.observations[-1] if watched.history.observations else None
    is_bad_now = last is not None and is_bad(last.codes)
    incident = watched.incident
    if incident:
        return Illness(
            since_ms=incident.opened_at_ms,
            since_tick=incident.opened_tick,
            verdict=incident.verdict,
            failure_class=incident.failure_class,
            codes=incident.codes,
            has_incident=True,
            is_bad=is_bad_now,
            latest=last.codes if last else (),
        )
    if last is None or not is_bad_now or watched.assessment is None:
        return None
    return Illness(
        since_ms=last.received_at_ms,
        since_tick=last.tick,
        verdict=last.verdict,
        failure_class=watched.assessment.failure_class,
        codes=last.codes,
        has_incident=False,
        is_bad=True,
        latest=last.codes,
    )


def _log(brakes: Mapping[InstanceKey, Incident], changes: Iterable[IncidentChange]) -> None:
    """Log one line where a brake opened, closed, or holds others."""
    for change in changes:
        incident = change.incident
        before = brakes.get(incident.key)
        if before is None or before.members != incident.members or incident.closed_at_ms is not None:
            logger.warning(
                "brake %s",
                change.kind.value,
                extra={"cause": incident.key, "incident": incident.id, "members": incident.members},
            )
