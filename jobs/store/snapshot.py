"""The fleet's verdicts as one JSON text beside the store, for readers that can't open it.

`discover` keeps it in ConfigMap `loco-health` (jobs.cluster.snapshot); the API answers from it when the volume is gone.
Fields are left out where they hold their default. Times are Unix milliseconds.
"""

from __future__ import annotations

import sqlite3

import msgspec

from jobs.health.classify import unobserved
from jobs.health.incident import Incident
from jobs.health.model import (
    Assessment,
    Connectivity,
    FailureClass,
    Instance,
    InstanceKey,
    ProbeOutcome,
    Reason,
    Severity,
    Verdict,
)
from jobs.health.rules import BY_CODE
from jobs.health.staleness import is_stale, outdated
from jobs.store import fleet, reader
from jobs.store.discovery import Discovery, read_discovery
from jobs.store.reader import Run

VERSION = 1

# Kubernetes' limit of a ConfigMap; whatever is longer isn't one of ours.
MAX_BYTES = 1_048_576

# chosen: decisions/0009. A fleet that doesn't change is written again after this time, so that its age has a bound.
REFRESH_MS = 120_000

# chosen: the refresh, a kubelet's 90 s to bring it into a mounted volume, a failed try, and some slack.
SNAPSHOT_STALE_AFTER_MS = 300_000


class SnapshotInvalid(ValueError):
    """A text that isn't such a snapshot, as one clause."""


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One instance. key, id, verdict, failure_class, codes and the times are never trimmed.

    verdict, reasons: of the latest assessment; of what is to say before the first when observed_at_ms is None.
    outcome to connectivity: of the latest probes, as `reader.Latest` has them.
    codes: of `reasons` in the same order, also where those were trimmed. instance: None where it was trimmed.
    incident: the open one; its id alone stays where it was trimmed.
    """

    key: InstanceKey
    id: str
    verdict: Verdict
    failure_class: FailureClass
    discovered_at_ms: int
    codes: tuple[str, ...] = ()
    observed_at_ms: int | None = None
    since_ms: int | None = None
    tick: int = 0
    outcome: ProbeOutcome = ProbeOutcome.OK
    detail: str = ""
    probe_seconds: float = 0.0
    skew_seconds: float | None = None
    report_at_ms: int | None = None
    connectivity: Connectivity | None = None
    reasons: tuple[Reason, ...] = ()
    recommendations: tuple[str, ...] = ()
    instance: Instance | None = None
    incident: Incident | None = None
    incident_id: str | None = None

    @property
    def assessment(self) -> Assessment:
        """Return the assessment as it was made; of trimmed reasons, what the rules know of their codes."""
        made_at_ms = self.discovered_at_ms if self.observed_at_ms is None else self.observed_at_ms
        reasons = self.reasons or tuple(_bare(code) for code in self.codes)
        return Assessment(self.key, made_at_ms, self.verdict, self.failure_class, reasons, self.recommendations)


class FleetSnapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every instance, by key, as of `written_at_ms`. trimmed: one clause for each thing that was left out for room."""

    version: int
    written_at_ms: int
    revision: int
    instances: tuple[Told, ...]
    discovery: Discovery | None = None
    runs: tuple[Run, ...] = ()
    last_successes: dict[str, int] = {}
    trimmed: tuple[str, ...] = ()

    @property
    def observed_at_ms(self) -> int | None:
        """Return the newest observation of all."""
        return max((one.observed_at_ms for one in self.instances if one.observed_at_ms is not None), default=None)

    def is_old(self, one: Told) -> bool:
        """Tell whether an observation was stale already when this was written."""
        return one.observed_at_ms is not None and is_stale(one.observed_at_ms, self.written_at_ms)

    def told(self, one: Told) -> Assessment:
        """Return what could be told of an instance when this was written: unknown where its observation was stale."""
        return outdated(one.assessment, witness="discover") if self.is_old(one) else one.assessment


def _bare(code: str) -> Reason:
    """Return a reason without its evidence; one of a later version counts as a finding."""
    rule = BY_CODE.get(code)
    return (
        Reason(code, rule.failure_class, rule.severity) if rule else Reason(code, FailureClass.NONE, Severity.FINDING)
    )


_decoder = msgspec.json.Decoder(FleetSnapshot)
_encoder = msgspec.json.Encoder()


def read_snapshot(connection: sqlite3.Connection, *, at_ms: int) -> FleetSnapshot:
    """Return what the store says now. at_ms: the clock. Cost: about 0.1 ms an instance."""
    known, incidents = _assessments(connection), reader.open_incidents(connection)
    discovered = fleet.discovered(connection)
    told = []
    for instance in reader.inventory(connection):
        key, incident = instance.key, incidents.get(instance.key)
        one = known.get(key) or _not_yet(instance, discovered_at_ms=discovered[key])
        told.append(
            msgspec.structs.replace(
                one, instance=instance, incident=incident, incident_id=incident.id if incident else None
            )
        )
    return FleetSnapshot(
        version=VERSION,
        written_at_ms=at_ms,
        revision=reader.revision(connection),
        instances=tuple(told),
        discovery=read_discovery(connection),
        runs=tuple(reader.last_runs(connection)),
        last_successes=fleet.last_successes(connection),
    )


def encode(snapshot: FleetSnapshot) -> str:
    """Return the JSON text, each instance on a line of its own: `kubectl get -o yaml` shows lines as lines."""
    instances = ",\n".join(_encoder.encode(one).decode() for one in snapshot.instances)
    head = _encoder.encode(msgspec.structs.replace(snapshot, instances=())).decode()
    return head.replace('"instances":[]', f'"instances":[\n{instances}\n]' if instances else '"instances":[]', 1) + "\n"


def decode(text: bytes | str) -> FleetSnapshot:
    """Return the snapshot that a text holds.

    Raises: SnapshotInvalid.
    """
    if len(text) > MAX_BYTES:
        raise SnapshotInvalid(f"it is over {MAX_BYTES} bytes long, the most that a ConfigMap holds")
    try:
        snapshot = _decoder.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise SnapshotInvalid(f"it is no snapshot of a fleet ({error})") from error
    if snapshot.version != VERSION:
        raise SnapshotInvalid(f"it has version {snapshot.version}, this program reads {VERSION}")
    if len({one.id for one in snapshot.instances}) < len(snapshot.instances):
        raise SnapshotInvalid("it names two instances alike")
    return snapshot


_reasons = msgspec.json.Decoder(tuple[Reason, ...])
_sentences = msgspec.json.Decoder(tuple[str, ...])
_connectivity = msgspec.json.Decoder(Connectivity)


def _assessments(connection: sqlite3.Connection) -> dict[str, Told]:
    """Return the newest assessment of each instance that has one; the reports stay where they are."""
    rows = connection.execute(
        "SELECT a.key, public_id, verdict, failure_class, discovered_at_ms, codes, observed_at_ms, since_ms, tick,"
        " outcome, detail, probe_seconds, skew_seconds, report_at_ms, reasons, recommendations, connectivity"
        " FROM assessments AS a JOIN instances AS i ON i.key = a.key"
    )
    return {
        row[0]: Told(
            key=InstanceKey(row[0]),
            id=row[1],
            verdict=Verdict(row[2]),
            failure_class=FailureClass(row[3]),
            discovered_at_ms=row[4],
            codes=tuple(row[5].split()),
            observed_at_ms=row[6],
            since_ms=row[7],
            tick=row[8],
            outcome=ProbeOutcome(row[9]),
            detail=row[10],
            probe_seconds=row[11],
            skew_seconds=row[12],
            report_at_ms=row[13],
            reasons=_reasons.decode(row[14]),
            recommendations=_sentences.decode(row[15]),
            connectivity=row[16] and _connectivity.decode(row[16]),
        )
        for row in rows
    }


def _not_yet(instance: Instance, *, discovered_at_ms: int) -> Told:
    """Return what is told of an instance before its first tick."""
    said = unobserved(instance, at_ms=discovered_at_ms)
    return Told(
        key=instance.key,
        id=instance.public_id,
        verdict=said.verdict,
        failure_class=said.failure_class,
        discovered_at_ms=discovered_at_ms,
        codes=tuple(reason.code for reason in said.reasons),
        reasons=said.reasons,
        recommendations=said.recommendations,
    )
