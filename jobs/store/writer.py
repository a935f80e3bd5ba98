"""What an inventory, a tick or a run writes; every function runs inside a transaction that its caller holds.

Each bumps the revision when a reader can see a difference.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from jobs.health.incident import ChangeKind, Incident, IncidentChange
from jobs.health.model import Assessment, Connectivity, Instance, InstanceKey, ProbeResult
from jobs.health.rollup import of_tick
from jobs.store import outbox, reader
from jobs.store.body import pack
from jobs.store.reader import Screen
from jobs.store.rollups import add_to_minutes

_json = msgspec.json.Encoder()

_TOLD = {
    ChangeKind.OPENED: outbox.Kind.INCIDENT_OPENED,
    ChangeKind.ESCALATED: outbox.Kind.INCIDENT_ESCALATED,
    ChangeKind.CLOSED: outbox.Kind.INCIDENT_CLOSED,
}

# architecture section 7: raw reports are kept for 2 h, which is 480 ticks of 15 s.
RAW_TICKS = 480


@dataclass(frozen=True, slots=True)
class TickRow:
    """What one tick found of one instance; connectivity: the newest, None where there was none yet."""

    probe: ProbeResult
    assessment: Assessment
    connectivity: Connectivity | None = None
    change: IncidentChange | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store says of one instance before a tick; told: its verdict, class and codes, None before the first."""

    told: tuple[str, str, str] | None
    incident: str | None


def record_inventory(connection: sqlite3.Connection, instances: Iterable[Instance], *, at_ms: int) -> bool:
    """Make `instances` the inventory; returns whether it differs from the last.

    An instance that it no longer names goes with its assessment and picture, and its incident ends; its history stays.
    One that is at another place now keeps its assessment until the next tick, without the report of the old place.
    """
    wanted = {instance.key: instance for instance in instances}
    before = {instance.key: instance for instance in reader.inventory(connection)}
    vanished = before.keys() - wanted.keys()
    moved = [key for key, instance in wanted.items() if before.get(key) != instance]
    _remove(connection, vanished, at_ms)
    _forget_reports(connection, [key for key in moved if key in before and before[key].place != wanted[key].place])
    # Two instances may swap their public ids; keys hold a slash and so are nobody's.
    connection.executemany("UPDATE instances SET public_id = key WHERE key = ?", [(key,) for key in moved])
    connection.executemany(
        "INSERT INTO instances (key, public_id, source, instance, discovered_at_ms, seen_at_ms)"
        " VALUES (?, ?, ?, ?, ?5, ?5) ON CONFLICT (key) DO UPDATE SET"
        " public_id = excluded.public_id, source = excluded.source, instance = excluded.instance",
        [(key, wanted[key].public_id, wanted[key].source, _text(wanted[key]), at_ms) for key in moved],
    )
    connection.execute("UPDATE instances SET seen_at_ms = ?", (at_ms,))
    has_moved = bool(vanished or moved)
    if has_moved:
        bump_revision(connection)
    return has_moved


def record_tick(connection: sqlite3.Connection, tick: int, rows: Sequence[TickRow]) -> None:
    """Write one numbered tick: assessments, changes, incidents, raw reports and minutes; drop the oldest raw tick.

    An instance that has left the inventory meanwhile is passed over.
    Raises: sqlite3.IntegrityError for a tick that is there already. Cost: see tests/bench/store_tick.py.
    """
    known = _known(connection)
    rows = [row for row in rows if row.probe.key in known]
    packed = [row.probe.body and pack(row.probe.body) for row in rows]
    _write_reports(connection, tick, rows, packed)
    _write_assessments(connection, tick, rows, packed)
    _write_incidents(connection, rows)
    _write_changes(connection, tick, rows, known)
    add_to_minutes(connection, [(row.probe.key, of_tick(row.probe, row.assessment, row.connectivity)) for row in rows])
    if rows:
        bump_revision(connection)


def record_brakes(connection: sqlite3.Connection, changes: Iterable[IncidentChange], *, at_ms: int) -> None:
    """Write incidents of several instances as they are now, and what is to be told of them outside."""
    for change in changes:
        _write_change(connection, change, at_ms)
        bump_revision(connection)


def record_connectivity(connection: sqlite3.Connection, tick: int, rows: Sequence[TickRow]) -> None:
    """Write what moved between two ticks: assessments and changes, neither raw reports nor minutes nor incidents.

    tick: the last numbered one. rows: only instances of which something differs from what was written last.
    """
    known = _known(connection)
    rows = [row for row in rows if row.probe.key in known]
    _write_assessments(connection, tick, rows, [row.probe.body and pack(row.probe.body) for row in rows])
    _write_changes(connection, tick, rows, known)
    if rows:
        bump_revision(connection)


def record_screen(connection: sqlite3.Connection, key: InstanceKey, screen: Screen) -> None:
    """Keep the latest picture of one instance, unless it has left the inventory."""
    written = connection.execute(
        "INSERT INTO screens (key, hash, taken_at_ms, png) SELECT key, ?2, ?3, ?4 FROM instances WHERE key = ?1"
        " ON CONFLICT (key) DO UPDATE SET hash = excluded.hash, taken_at_ms = excluded.taken_at_ms, png = excluded.png",
        (key, screen.hash, screen.taken_at_ms, screen.png),
    ).rowcount
    if written:
        bump_revision(connection)


def start_run(connection: sqlite3.Connection, run_id: str, *, command: str, holder: str, at_ms: int) -> None:
    """Note that a run began. holder: the pod, or host:pid."""
    connection.execute(
        "INSERT INTO runs (id, command, holder, started_at_ms) VALUES (?, ?, ?, ?)", (run_id, command, holder, at_ms)
    )


def tick_run(
    connection: sqlite3.Connection,
    run_id: str,
    *,
    at_ms: int,
    instances: int | None,
    duration_seconds: float,
    problem: str | None,
) -> None:
    """Note that a run has made one more tick.

    instances: how many it looked at, None where it looks at none. problem: what is wrong though it goes on.
    """
    connection.execute(
        "UPDATE runs SET ticks = ticks + 1, last_success_at_ms = ?, instances = ?, duration_seconds = ?, problem = ?"
        " WHERE id = ?",
        (at_ms, instances, duration_seconds, problem, run_id),
    )
    # No earlier tick was later: a clock that was set back must not hide that this command has stopped.
    connection.execute(
        "UPDATE runs SET last_success_at_ms = ?1 WHERE last_success_at_ms > ?1"
        " AND command = (SELECT command FROM runs WHERE id = ?2)",
        (at_ms, run_id),
    )


def end_run(
    connection: sqlite3.Connection, run_id: str, *, at_ms: int, outcome: str, problem: str | None = None
) -> None:
    """Note how a run ended: done, superseded or failed; a problem that stands already stays unless given anew."""
    connection.execute(
        "UPDATE runs SET ended_at_ms = ?, outcome = ?, problem = coalesce(?, problem) WHERE id = ?",
        (at_ms, outcome, problem, run_id),
    )


def _known(connection: sqlite3.Connection) -> dict[InstanceKey, _Known]:
    """Return what the store says of each instance of the inventory."""
    rows = connection.execute(
        "SELECT i.key, a.verdict, a.failure_class, a.codes, o.id FROM instances AS i"
        " LEFT JOIN assessments AS a ON a.key = i.key"
        " LEFT JOIN incidents AS o ON o.key = i.key AND o.closed_at_ms IS NULL"
    )
    return {
        InstanceKey(key): _Known(None if verdict is None else (verdict, failure_class, codes), incident)
        for key, verdict, failure_class, codes, incident in rows
    }


def _remove(connection: sqlite3.Connection, keys: Iterable[InstanceKey], at_ms: int) -> None:
    """Take instances out of the inventory."""
    incidents = reader.open_incidents(connection)
    for key in keys:
        if key in incidents:
            closed = replace(incidents[key], closed_at_ms=at_ms)
            _write_incident(connection, closed)
            outbox.enqueue(connection, outbox.Kind.INCIDENT_CLOSED, closed, at_ms=at_ms, has_left=True)
        connection.execute("DELETE FROM instances WHERE key = ?", (key,))
        connection.execute("DELETE FROM screens WHERE key = ?", (key,))


def _forget_reports(connection: sqlite3.Connection, keys: Iterable[InstanceKey]) -> None:
    """Drop what another place said last: it vouches for nobody here."""
    connection.executemany(
        "UPDATE assessments SET report = NULL, report_at_ms = NULL, connectivity = NULL WHERE key = ?",
        [(key,) for key in keys],
    )


def _write_reports(
    connection: sqlite3.Connection, tick: int, rows: Sequence[TickRow], packed: Sequence[bytes | None]
) -> None:
    """Keep the raw tick, in the place of the one that is too old."""
    connection.execute("DELETE FROM reports WHERE tick <= ?", (tick - RAW_TICKS,))
    connection.executemany(
        "INSERT INTO reports (key, tick, received_at_ms, outcome, detail, probe_seconds, verdict, failure_class, codes,"
        " body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                row.probe.key,
                tick,
                row.probe.received_at_ms,
                row.probe.outcome.value,
                row.probe.detail,
                row.probe.duration_seconds,
                row.assessment.verdict.value,
                row.assessment.failure_class.value,
                _codes(row.assessment),
                body,
            )
            for row, body in zip(rows, packed, strict=True)
        ],
    )


def _write_assessments(
    connection: sqlite3.Connection, tick: int, rows: Sequence[TickRow], packed: Sequence[bytes | None]
) -> None:
    """Make each assessment the latest; a probe without a report leaves the last good one with its own age."""
    connection.executemany(
        "INSERT INTO assessments (key, tick, observed_at_ms, verdict, failure_class, codes, reasons, recommendations,"
        " since_ms, outcome, detail, probe_seconds, skew_seconds, connectivity, report, report_at_ms)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?3, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
        " ON CONFLICT (key) DO UPDATE SET tick = excluded.tick, observed_at_ms = excluded.observed_at_ms,"
        " verdict = excluded.verdict, failure_class = excluded.failure_class, codes = excluded.codes,"
        " reasons = excluded.reasons, recommendations = excluded.recommendations,"
        " since_ms = iif(verdict = excluded.verdict, since_ms, excluded.since_ms),"
        " outcome = excluded.outcome, detail = excluded.detail, probe_seconds = excluded.probe_seconds,"
        " skew_seconds = excluded.skew_seconds, connectivity = coalesce(excluded.connectivity, connectivity),"
        " report = coalesce(excluded.report, report), report_at_ms = coalesce(excluded.report_at_ms, report_at_ms)",
        [
            (
                row.probe.key,
                tick,
                row.assessment.observed_at_ms,
                row.assessment.verdict.value,
                row.assessment.failure_class.value,
                _codes(row.assessment),
                _text(row.assessment.reasons),
                _text(row.assessment.recommendations),
                row.probe.outcome.value,
                row.probe.detail,
                row.probe.duration_seconds,
                row.probe.skew_seconds,
                row.connectivity and _text(row.connectivity),
                body,
                None if body is None else row.probe.received_at_ms,
            )
            for row, body in zip(rows, packed, strict=True)
        ],
    )


def _write_incidents(connection: sqlite3.Connection, rows: Iterable[TickRow]) -> None:
    """Write incidents that opened, moved or closed, and what is to be told of them outside."""
    for row in rows:
        if row.change is not None:
            _write_change(connection, row.change, row.assessment.observed_at_ms)


def _write_change(connection: sqlite3.Connection, change: IncidentChange, at_ms: int) -> None:
    """Write one incident as it is after a change, and what is to be told of that."""
    _write_incident(connection, change.incident)
    if kind := _TOLD.get(change.kind):
        outbox.enqueue(connection, kind, change.incident, at_ms=at_ms, escalation=change.escalation)


def _write_incident(connection: sqlite3.Connection, incident: Incident) -> None:
    """Write one incident as it is now."""
    connection.execute(
        "INSERT INTO incidents (id, key, opened_at_ms, opened_tick, closed_at_ms, failure_class, verdict, codes,"
        " incident) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " closed_at_ms = excluded.closed_at_ms, failure_class = excluded.failure_class, verdict = excluded.verdict,"
        " codes = excluded.codes, incident = excluded.incident",
        (
            incident.id,
            incident.key,
            incident.opened_at_ms,
            incident.opened_tick,
            incident.closed_at_ms,
            incident.failure_class.value,
            incident.verdict.value,
            " ".join(incident.codes),
            _text(incident),
        ),
    )


def _write_changes(
    connection: sqlite3.Connection, tick: int, rows: Iterable[TickRow], known: Mapping[InstanceKey, _Known]
) -> None:
    """Keep each change of verdict, class or reasons with its evidence."""
    for row in rows:
        assessment = row.assessment
        before = known[assessment.key]
        told = (assessment.verdict.value, assessment.failure_class.value, _codes(assessment))
        if told == before.told:
            continue
        incident = row.change.incident.id if row.change else before.incident
        connection.execute(
            "INSERT INTO changes (key, tick, at_ms, verdict, failure_class, reasons, incident)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (assessment.key, tick, assessment.observed_at_ms, *told[:2], _text(assessment.reasons), incident),
        )


def bump_revision(connection: sqlite3.Connection) -> None:
    """Tell readers that something they can see has changed."""
    connection.execute("UPDATE totals SET value = value + 1 WHERE name = 'revision'")


def _codes(assessment: Assessment) -> str:
    """Return the reason codes as the store keeps them."""
    return " ".join([reason.code for reason in assessment.reasons])


def _text(value: object) -> str:
    """Return a value as JSON text."""
    return _json.encode(value).decode()
