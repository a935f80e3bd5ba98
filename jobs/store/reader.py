"""What the store knows, as values; plain SQL on any connection, a read-only one too.

Call within `connection.reading` where several answers must belong to one moment.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import reduce
from itertools import groupby
from typing import Any

import msgspec

from agent.report import HealthReport, ReportInvalid, decode
from jobs.health.history import StoredTick
from jobs.health.incident import Incident
from jobs.health.model import (
    Assessment,
    Connectivity,
    FailureClass,
    Instance,
    InstanceKey,
    ProbeOutcome,
    Reason,
    Verdict,
)
from jobs.health.rollup import HOUR_MS, Rollup, merge, start_of
from jobs.store.body import unpack
from jobs.store.rollups import of_instance

_instance = msgspec.json.Decoder(Instance)
_reasons = msgspec.json.Decoder(tuple[Reason, ...])
_sentences = msgspec.json.Decoder(tuple[str, ...])
_connectivity = msgspec.json.Decoder(Connectivity)
_incident = msgspec.json.Decoder(Incident)

# The greatest integer of SQLite.
_NEVER_MS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest assessment of one instance and what it rests on.

    since_ms: when this verdict began. outcome, detail, probe_seconds, skew_seconds: of the latest probe.
    report: JSON bytes of the last good report, however old; report_at_ms: when it was received.
    """

    assessment: Assessment
    tick: int
    since_ms: int
    outcome: ProbeOutcome
    detail: str
    probe_seconds: float
    skew_seconds: float | None
    connectivity: Connectivity | None
    report: bytes | None
    report_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """One change of verdict, class or reasons; incident: id of the one that was open."""

    at_ms: int
    tick: int
    verdict: Verdict
    failure_class: FailureClass
    reasons: tuple[Reason, ...]
    incident: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of one command; outcome: done, superseded, failed, None while it runs or after it was killed."""

    id: str
    command: str
    holder: str
    started_at_ms: int
    ended_at_ms: int | None
    last_success_at_ms: int | None
    ticks: int
    instances: int | None
    duration_seconds: float | None
    outcome: str | None
    problem: str | None

    @property
    def is_in_trouble(self) -> bool:
        """Tell whether it failed, or goes on though something is wrong; one that was superseded is neither."""
        return self.outcome == "failed" or (self.problem is not None and self.outcome != "superseded")


@dataclass(frozen=True, slots=True)
class Screen:
    """The latest picture of one instance; hash is the report's, by which a moved screen is told."""

    hash: str
    taken_at_ms: int
    png: bytes


def revision(connection: sqlite3.Connection) -> int:
    """Return the number that moves with every change a reader can see."""
    (value,) = connection.execute("SELECT value FROM totals WHERE name = 'revision'").fetchone()
    return int(value)


def inventory(connection: sqlite3.Connection) -> list[Instance]:
    """Return the instances of the last good inventory, by key."""
    rows = connection.execute("SELECT instance FROM instances ORDER BY key")
    return [_instance.decode(text) for (text,) in rows]


def latest(connection: sqlite3.Connection) -> dict[InstanceKey, Latest]:
    """Return the newest assessment of each instance that has one."""
    rows = connection.execute(
        "SELECT key, observed_at_ms, verdict, failure_class, reasons, recommendations, tick, since_ms, outcome, detail,"
        " probe_seconds, skew_seconds, connectivity, report, report_at_ms FROM assessments ORDER BY key"
    )
    return {InstanceKey(row[0]): _latest(row) for row in rows}


def recent(
    connection: sqlite3.Connection, count: int, *, only: InstanceKey | None = None
) -> dict[InstanceKey, list[StoredTick]]:
    """Return each instance's part of the last `count` ticks, oldest first; a History is rebuilt from it.

    only: the key of the one that is wanted, None for all.
    """
    rows = connection.execute(
        "SELECT key, tick, received_at_ms, outcome, verdict, codes, body FROM reports"
        " WHERE tick > (SELECT max(tick) FROM reports) - ?1 AND (?2 IS NULL OR key = ?2) ORDER BY tick",
        (count, only),
    )
    found: dict[InstanceKey, list[StoredTick]] = {}
    for key, tick, received_at_ms, outcome, verdict, codes, body in rows:
        stored = StoredTick(
            tick=tick,
            received_at_ms=received_at_ms,
            outcome=ProbeOutcome(outcome),
            verdict=Verdict(verdict),
            codes=tuple(codes.split()),
            report=body and report_of(unpack(body)),
        )
        found.setdefault(InstanceKey(key), []).append(stored)
    return found


def report_of(body: bytes) -> HealthReport | None:
    """Return a kept report, None where a program of another version took what this one refuses."""
    try:
        return decode(body)
    except ReportInvalid:
        return None


def open_incidents(connection: sqlite3.Connection) -> dict[InstanceKey, Incident]:
    """Return the open incident of each instance that has one."""
    rows = connection.execute("SELECT key, incident FROM incidents WHERE closed_at_ms IS NULL ORDER BY key")
    return {InstanceKey(key): _incident.decode(text) for key, text in rows}


def incidents(
    connection: sqlite3.Connection,
    *,
    key: InstanceKey | None = None,
    only_open: bool = False,
    only_closed: bool = False,
    limit: int = 100,
    before: str | None = None,
) -> list[Incident]:
    """Return incidents, the newest first; `before` is the id of the last one that the reader has seen."""
    rows = connection.execute(
        "SELECT incident FROM incidents WHERE (:key IS NULL OR key = :key)"
        " AND NOT (:only_open AND closed_at_ms IS NOT NULL) AND NOT (:only_closed AND closed_at_ms IS NULL)"
        " AND (:before IS NULL OR (opened_at_ms, id) < (SELECT opened_at_ms, id FROM incidents WHERE id = :before))"
        " ORDER BY opened_at_ms DESC, id DESC LIMIT :limit",
        {"key": key, "only_open": only_open, "only_closed": only_closed, "before": before, "limit": limit},
    )
    return [_incident.decode(text) for (text,) in rows]


def incident(connection: sqlite3.Connection, incident_id: str) -> Incident | None:
    """Return one incident, or None."""
    row = connection.execute("SELECT incident FROM incidents WHERE id = ?", (incident_id,)).fetchone()
    return row and _incident.decode(row[0])


def changes(
    connection: sqlite3.Connection, key: InstanceKey, *, since_ms: int, until_ms: int | None = None, limit: int
) -> list[Change]:
    """Return one instance's changes from `since_ms` to `until_ms`, both included, the newest first."""
    rows = connection.execute(
        "SELECT at_ms, tick, verdict, failure_class, reasons, incident FROM changes"
        " WHERE key = ? AND at_ms BETWEEN ? AND ? ORDER BY at_ms DESC, id DESC LIMIT ?",
        (key, since_ms, _NEVER_MS if until_ms is None else until_ms, limit),
    )
    return [
        Change(at_ms, tick, Verdict(verdict), FailureClass(failure_class), _reasons.decode(reasons), incident_id)
        for at_ms, tick, verdict, failure_class, reasons, incident_id in rows
    ]


def minutes(connection: sqlite3.Connection, key: InstanceKey, *, since_ms: int) -> list[Rollup]:
    """Return one instance's minutes that start at `since_ms` or later, oldest first."""
    return of_instance(connection, "minutes", key, since_ms)


def hours(connection: sqlite3.Connection, key: InstanceKey, *, since_ms: int) -> list[Rollup]:
    """Return one instance's hours that start at `since_ms` or later, oldest first; the newest may not be whole yet."""
    return of_instance(connection, "hours", key, since_ms)


def hours_so_far(connection: sqlite3.Connection, key: InstanceKey, *, since_ms: int) -> list[Rollup]:
    """Return the same hours, and those that aren't rolled up yet out of their minutes; the newest isn't over."""
    rolled = hours(connection, key, since_ms=since_ms)
    ended_ms = rolled[-1].start_at_ms + HOUR_MS if rolled else start_of(since_ms + HOUR_MS - 1, HOUR_MS)
    rest = minutes(connection, key, since_ms=ended_ms)
    return rolled + [
        reduce(merge, each, Rollup(start_ms))
        for start_ms, each in groupby(rest, lambda minute: start_of(minute.start_at_ms, HOUR_MS))
    ]


def last_runs(connection: sqlite3.Connection) -> list[Run]:
    """Return the newest run of each command, by command."""
    # SQLite takes the bare columns from the row that holds the maximum (sqlite.org/lang_select.html section 2.5).
    rows = connection.execute(f"{_RUN}, max(rowid) FROM runs GROUP BY command ORDER BY command")
    return [Run(*row[:-1]) for row in rows]


def runs(connection: sqlite3.Connection, limit: int, *, before: str | None = None) -> list[Run]:
    """Return runs, the newest first, in the order of their writing: clocks may be set back.

    before: the id of the last one that the reader has seen.
    """
    rows = connection.execute(
        f"{_RUN} FROM runs WHERE :before IS NULL OR rowid < (SELECT rowid FROM runs WHERE id = :before)"
        " ORDER BY rowid DESC LIMIT :limit",
        {"before": before, "limit": limit},
    )
    return [Run(*row) for row in rows]


def has_run(connection: sqlite3.Connection, run_id: str) -> bool:
    """Tell whether a run is kept."""
    return connection.execute("SELECT 1 FROM runs WHERE id = ?", (run_id,)).fetchone() is not None


def screen(connection: sqlite3.Connection, key: InstanceKey) -> Screen | None:
    """Return the latest picture of one instance, or None."""
    row = connection.execute("SELECT hash, taken_at_ms, png FROM screens WHERE key = ?", (key,)).fetchone()
    return row and Screen(*row)


_RUN = (
    "SELECT id, command, holder, started_at_ms, ended_at_ms, last_success_at_ms, ticks, instances, duration_seconds,"
    " outcome, problem"
)


def _latest(row: tuple[Any, ...]) -> Latest:
    """Return a row of `latest` as a value."""
    key, observed_at_ms, verdict, failure_class, reasons, recommendations, *rest = row
    tick, since_ms, outcome, detail, probe_seconds, skew_seconds, connectivity, report, report_at_ms = rest
    return Latest(
        assessment=Assessment(
            key=InstanceKey(key),
            observed_at_ms=observed_at_ms,
            verdict=Verdict(verdict),
            failure_class=FailureClass(failure_class),
            reasons=_reasons.decode(reasons),
            recommendations=_sentences.decode(recommendations),
        ),
        tick=tick,
        since_ms=since_ms,
        outcome=ProbeOutcome(outcome),
        detail=detail,
        probe_seconds=probe_seconds,
        skew_seconds=skew_seconds,
        connectivity=connectivity and _connectivity.decode(connectivity),
        report=report and unpack(report),
        report_at_ms=report_at_ms,
    )
