"""Everything that the store knows at one revision, as one value that threads may share."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from agent.report import HealthReport
from api.recovery import Bounds, Recovery, load_recovery
from jobs.health.incident import Incident
from jobs.health.model import Instance, InstanceKey
from jobs.store import deliveries, fleet, reader
from jobs.store.deliveries import Queue
from jobs.store.discovery import Discovery, read_discovery
from jobs.store.fleet import Picture, Uptime
from jobs.store.reader import Latest, Run

# architecture section 8 has the last hour; the seed's slaScore names no window.
UPTIME_WINDOW_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Report:
    """The last good report twice: as it was received, for programs, and by its fields, for our views."""

    received: Any
    fields: HealthReport


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One revision of the store; instances by public id, in the order that people read them.

    last_successes: when each command last committed a tick. discovery: how instances were found, None before that.
    uptimes: over the hour before the newest observation, so that they move with the revision only.
    written_at_ms: when the ConfigMap was written that it comes from, None where it comes from the store;
    a ConfigMap has no reports, pictures, uptimes, size, recovery and queues.
    queues: what waits to be told, by where it goes. notified: notifications that ended, by destination and outcome.
    """

    revision: int
    instances: Mapping[str, Instance]
    latest: Mapping[InstanceKey, Latest]
    reports: Mapping[InstanceKey, Report]
    incidents: Mapping[InstanceKey, Incident]
    discovered: Mapping[InstanceKey, int]
    pictures: Mapping[InstanceKey, Picture]
    uptimes: Mapping[InstanceKey, Uptime]
    runs: Mapping[str, Run]
    last_successes: Mapping[str, int]
    size_bytes: int | None
    observed_at_ms: int | None
    discovery: Discovery | None = None
    written_at_ms: int | None = None
    recovery: Recovery | None = None
    queues: Mapping[str, Queue] = field(default_factory=dict)
    notified: Mapping[tuple[str, str], int] = field(default_factory=dict)


def load(connection: sqlite3.Connection, previous: Snapshot | None, bounds: Bounds) -> Snapshot:
    """Return the snapshot of now; runs and discovery alone are read again when the revision hasn't moved.

    A lease renewal or a tick over an empty fleet changes no revision, yet its run is alive.
    """
    discovery = read_discovery(connection)
    runs = {run.command: run for run in reader.last_runs(connection)}
    last_successes = fleet.last_successes(connection)
    queues, notified = fleet.queues(connection), deliveries.totals(connection)
    revision = reader.revision(connection)
    if previous is not None and previous.revision == revision:
        return replace(
            previous, runs=runs, last_successes=last_successes, discovery=discovery, queues=queues, notified=notified
        )
    latest = reader.latest(connection)
    observed_at_ms = max((row.assessment.observed_at_ms for row in latest.values()), default=None)
    until_ms = observed_at_ms or 0
    return Snapshot(
        revision=revision,
        instances=by_public_id(reader.inventory(connection)),
        latest=latest,
        reports={key: report for key, row in latest.items() if (report := _report(row.report)) is not None},
        incidents=reader.open_incidents(connection),
        discovered=fleet.discovered(connection),
        pictures=fleet.pictures(connection),
        uptimes=fleet.uptimes(connection, since_ms=until_ms - UPTIME_WINDOW_MS, until_ms=until_ms),
        runs=runs,
        last_successes=last_successes,
        size_bytes=fleet.size_bytes(connection),
        observed_at_ms=observed_at_ms,
        discovery=discovery,
        recovery=load_recovery(connection, bounds),
        queues=queues,
        notified=notified,
    )


def by_public_id(instances: list[Instance]) -> dict[str, Instance]:
    """Return the instances by public id, `instance-2` before `instance-10`."""
    return {i.public_id: i for i in sorted(instances, key=lambda i: _natural(i.public_id))}


def _natural(text: str) -> tuple[str, int, str]:
    """Return a sort key that reads a trailing ordinal as a number."""
    stem = text.rstrip("0123456789")
    ordinal = text[len(stem) :]
    return stem, int(ordinal) if ordinal else -1, text


def _report(body: bytes | None) -> Report | None:
    """Return the report, or None where there is none.

    An unknown field may hold what the contract's decoder skips and JSON can't carry on (a lone surrogate, 1e999);
    then the known fields stand for the whole.
    """
    if body is None:
        return None
    fields = reader.report_of(body)
    if fields is None:
        return None
    try:
        received = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        received = msgspec.to_builtins(fields)
    return Report(received, fields)
