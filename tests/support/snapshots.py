"""Snapshots as values, for what the API makes of them; the default is one healthy instance of the demo."""

from dataclasses import replace

import msgspec
from full_report import a_full_report

from agent.report import HealthReport
from api.fleet import Fleet, Standing, see
from api.recovery import Bounds, Recovering, Recovery
from api.snapshot import Report, Snapshot
from jobs.health.incident import Incident
from jobs.health.model import (
    Assessment,
    Connectivity,
    ConnectivityOutcome,
    Evidence,
    FailureClass,
    Instance,
    InstanceKey,
    ProbeOutcome,
    Reason,
    Severity,
    Verdict,
)
from jobs.health.recovery import Action, Attempt, AttemptOutcome, AttemptState, Held, Origin, Plan
from jobs.store.fleet import Uptime
from jobs.store.reader import Latest, Run

NOW_MS = 1_795_550_863_000  # 2026-11-24T20:07:43Z

QEMU_DEAD = Reason(
    "QemuDead",
    FailureClass.QEMU,
    Severity.UNHEALTHY,
    (Evidence("qemu_healthy", value=False, since_ms=NOW_MS - 60_000),),
)
BOOTING = Reason("Booting", FailureClass.NONE, Severity.FINDING)


def an_entry(ordinal: int = 0, **fields: object) -> Instance:
    """Return one instance of a file."""
    public_id = f"instance-{ordinal}"
    entry = {"id": public_id, "healthUrl": "http://10.0.0.2:8080", "colour": "red", **fields}
    return Instance(
        InstanceKey(f"static/{public_id}"), public_id, f"Decoy {ordinal}", "http://10.0.0.2:8080/health", fields=entry
    )


def latest_of(instance: Instance, *reasons: Reason, observed_at_ms: int = NOW_MS - 2000, **changes: object) -> Latest:
    """Return an assessment, healthy unless reasons say otherwise."""
    worst = max((reason.severity for reason in reasons), key=list(Severity).index, default=Severity.FINDING)
    verdict = Verdict.HEALTHY if worst is Severity.FINDING else Verdict(worst)
    failure_class = next((r.failure_class for r in reasons if r.severity is worst), FailureClass.NONE)
    latest = Latest(
        assessment=Assessment(instance.key, observed_at_ms, verdict, failure_class, reasons, ("Do something.",)),
        tick=7,
        since_ms=observed_at_ms - 60_000,
        outcome=ProbeOutcome.OK,
        detail="",
        probe_seconds=0.004,
        skew_seconds=0.001,
        connectivity=Connectivity(ConnectivityOutcome.OK, observed_at_ms, 0.004),
        report=b"{}",
        report_at_ms=observed_at_ms,
    )
    return replace(latest, **changes)


def a_snapshot(
    *pairs: tuple[Instance, Latest | None],
    report: HealthReport | None = None,
    incident: Incident | None = None,
    recovery: Recovery | None = None,
) -> Snapshot:
    """Return a snapshot of these instances, all with the same report."""
    if not pairs:
        pairs = ((an_entry(), latest_of(an_entry())),)
    fields = report or a_full_report()
    received = msgspec.to_builtins(fields)
    latest = {instance.key: row for instance, row in pairs if row is not None}
    return Snapshot(
        revision=3,
        instances={instance.public_id: instance for instance, _ in pairs},
        latest=latest,
        reports={key: Report(received, fields) for key in latest},
        incidents={incident.key: incident} if incident else {},
        discovered={instance.key: NOW_MS - 90_000 for instance, _ in pairs},
        pictures={},
        uptimes={key: Uptime(healthy_ticks=180, ticks=240, observed_minutes=60) for key in latest},
        runs={"collect": a_run()},
        last_successes={"collect": NOW_MS - 2000},
        size_bytes=4096,
        observed_at_ms=max((row.assessment.observed_at_ms for row in latest.values()), default=None),
        recovery=recovery or a_recovery(),
    )


def a_plan(instance: Instance, **changes: object) -> Plan:
    """Return a plan that is due."""
    plan = Plan(
        incident="963814e76549",
        key=instance.key,
        decided_at_ms=NOW_MS - 2000,
        action=Action.RESTART_QEMU,
        detail="QemuDead for 58 s",
        codes=("QemuDead",),
        is_cutting=True,
    )
    return replace(plan, **changes)


def an_attempt(instance: Instance, **changes: object) -> Attempt:
    """Return an attempt that healed."""
    attempt = Attempt(
        id=12,
        key=instance.key,
        incident="963814e76549",
        number=1,
        action=Action.RESET_AUDIO,
        uid=None,
        restarts=None,
        codes=("AudioMuted",),
        origin=Origin.POLICY,
        requested_by="",
        is_forced=False,
        state=AttemptState.ENDED,
        job="recover-a1b2c3-instance-0-12",
        runner="host:1:2",
        booked_ms=1000,
        acted_ms=2000,
        spent_ms=3000,
        booked_at_ms=NOW_MS - 30_000,
        acted_at_ms=NOW_MS - 29_000,
        ended_at_ms=NOW_MS - 20_000,
        outcome=AttemptOutcome.HEALED,
        detail="well for 6 s",
        session_seconds_lost=None,
        has_evidence=True,
    )
    return replace(attempt, **changes)


def a_recovery(
    plan: Plan | None = None,
    *attempts: Attempt,
    held: Held | None = None,
    is_dry_run: bool = False,
    totals: dict[tuple[str, str], int] | None = None,
) -> Recovery:
    """Return the recovery of a fleet in which at most one instance has a plan or attempts."""
    keys = {one.key for one in (plan, *attempts) if one}
    mine = {key: Recovering(plan, attempts, len(attempts), 3, held) for key in keys}
    return Recovery(Bounds(is_dry_run=is_dry_run), mine, Recovering(None, (), 0, 3, None), totals or {})


def a_run(command: str = "collect", **changes: object) -> Run:
    """Return a run that goes on."""
    run = Run("run-1", command, "host:1", NOW_MS - 100_000, None, NOW_MS - 2000, 7, 1, 0.2, None, None)
    return replace(run, **changes)


def an_incident(instance: Instance, *, failure_class: FailureClass = FailureClass.QEMU) -> Incident:
    """Return an open incident."""
    return Incident(
        "963814e76549",
        instance.key,
        NOW_MS - 60_000,
        3,
        failure_class,
        Verdict.UNHEALTHY,
        ("QemuDead",),
        (QEMU_DEAD,),
        7,
    )


def a_fleet_now(snapshot: Snapshot | None = None, *, problem: str = "", now_ms: int = NOW_MS) -> Fleet:
    """Return the fleet as of `now_ms`."""
    return see(snapshot or a_snapshot(), problem, now_ms)


def the_standing(snapshot: Snapshot | None = None, *, now_ms: int = NOW_MS) -> Standing:
    """Return the only instance of a snapshot as of `now_ms`."""
    (standing,) = a_fleet_now(snapshot, now_ms=now_ms).standings.values()
    return standing
