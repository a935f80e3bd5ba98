"""The fleet as it may be told now: a snapshot and the clock, with what is too old read as unknown. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from agent.report import HealthReport
from api.instants import rfc3339
from api.recovery import Recovering
from api.snapshot import Report, Snapshot
from jobs.health.classify import unobserved
from jobs.health.control import Stop
from jobs.health.incident import Incident
from jobs.health.model import FailureClass, Instance, ProbeOutcome, Reason, Verdict
from jobs.health.recovery import Hold
from jobs.health.staleness import STALE_AFTER_MS, is_stale, outdated
from jobs.store.fleet import Picture, Uptime
from jobs.store.reader import Latest
from jobs.store.snapshot import SNAPSHOT_STALE_AFTER_MS

COLLECTOR = "collect"
DISCOVERER = "discover"

# chosen: four of its ticks of 30 s; a hand-over costs one at most.
DISCOVERY_SILENT_AFTER_MS = 120_000

REPORT_STALE = "ReportStale"


class Source(StrEnum):
    """Where the answers come from. CONFIGMAP: the snapshot of jobs.store.snapshot, while the store can't be read."""

    STORE = "store"
    CONFIGMAP = "configmap"


@dataclass(frozen=True, slots=True)
class Standing:
    """One instance as of now.

    verdict, failure_class, reasons, recommendations: of the latest assessment; unknown with its own reason when that
    is stale or there is none. assessment: the latest one as it was made, however old.
    report: the last good one. recovery: None where a ConfigMap answers, which doesn't tell.
    """

    instance: Instance
    latest: Latest | None
    report: Report | None
    incident: Incident | None
    picture: Picture | None
    uptime: Uptime | None
    discovered_at_ms: int
    is_stale: bool
    verdict: Verdict
    failure_class: FailureClass
    reasons: tuple[Reason, ...]
    recommendations: tuple[str, ...]
    source: Source = Source.STORE
    recovery: Recovering | None = None

    @property
    def observed_at_ms(self) -> int | None:
        """Return when the latest assessment was made."""
        return self.latest.assessment.observed_at_ms if self.latest else None

    @property
    def is_well_again(self) -> bool:
        """Tell whether nothing is wrong at this tick, and nothing but the end of its incident is waited for."""
        hold = self.recovery.hold if self.recovery else None
        return self.verdict is Verdict.HEALTHY and hold is not None and hold.hold is Hold.NOT_ACTIONABLE

    @property
    def is_report_current(self) -> bool:
        """Tell whether the report was made for the latest tick: received then, and no repetition of an old one."""
        if self.latest is None or self.is_stale or self.latest.outcome is not ProbeOutcome.OK:
            return False
        return all(reason.code != REPORT_STALE for reason in self.reasons)

    @property
    def current_report(self) -> HealthReport | None:
        """Return the report of the latest tick, None where that brought none; an older one says nothing of now."""
        return self.report.fields if self.report and self.is_report_current else None


@dataclass(frozen=True, slots=True)
class Fleet:
    """Every instance as of now.

    snapshot: None before the store could be read once. problem: why it can't be read now, empty when it can.
    is_silent: the collector has committed no tick for too long, or never.
    discovery_problem: why the inventory may not be that of now, None when it is.
    stop: what the fleet's switches forbid, None when they forbid nothing.
    from_ms, until_ms: the instants between which the clock changes nothing here.
    """

    snapshot: Snapshot | None
    problem: str
    is_silent: bool
    standings: Mapping[str, Standing]
    from_ms: int
    until_ms: int
    discovery_problem: str | None = None
    stop: Stop | None = None

    def holds(self, snapshot: Snapshot | None, problem: str, now_ms: int, stop: Stop | None = None) -> bool:
        """Tell whether `see` would return the same again."""
        is_same = snapshot is self.snapshot and problem == self.problem and stop == self.stop
        return is_same and self.from_ms <= now_ms < self.until_ms

    @property
    def source(self) -> Source:
        """Return where the answers come from."""
        return source_of(self.snapshot)

    @property
    def observed_at_ms(self) -> int | None:
        """Return the newest observation of all."""
        return self.snapshot.observed_at_ms if self.snapshot else None


def see(snapshot: Snapshot | None, problem: str, now_ms: int, stop: Stop | None = None) -> Fleet:
    """Return the fleet as of `now_ms`."""
    if snapshot is None:
        return Fleet(None, problem, True, {}, now_ms, now_ms + STALE_AFTER_MS, stop=stop)  # noqa: FBT003 - is_silent
    ticked_at_ms = snapshot.last_successes.get(COLLECTOR)
    return Fleet(
        snapshot,
        problem,
        ticked_at_ms is None or _is_stale(snapshot, ticked_at_ms, now_ms),
        {public_id: _standing(snapshot, instance, now_ms) for public_id, instance in snapshot.instances.items()},
        now_ms,
        _next_change_ms(snapshot, now_ms),
        _discovery_problem(snapshot, now_ms),
        stop,
    )


def source_of(snapshot: Snapshot | None) -> Source:
    """Return where a snapshot comes from."""
    return Source.CONFIGMAP if snapshot and snapshot.written_at_ms is not None else Source.STORE


def _is_stale(snapshot: Snapshot, at_ms: int, now_ms: int) -> bool:
    """Tell whether an observation says nothing about now.

    A ConfigMap comes late by design: what was fresh when it was written stays so until the ConfigMap itself is too old.
    """
    if snapshot.written_at_ms is None:
        return is_stale(at_ms, now_ms)
    return is_stale(at_ms, snapshot.written_at_ms) or is_stale(snapshot.written_at_ms, now_ms, SNAPSHOT_STALE_AFTER_MS)


def _discovery_problem(snapshot: Snapshot, now_ms: int) -> str | None:
    """Return what discovery says is wrong, or that it says nothing any more; a ConfigMap's own age tells the latter."""
    looked_at_ms = None if source_of(snapshot) is Source.CONFIGMAP else snapshot.last_successes.get(DISCOVERER)
    if looked_at_ms is not None and is_stale(looked_at_ms, now_ms, DISCOVERY_SILENT_AFTER_MS):
        last = f"discover's last look, {rfc3339(looked_at_ms)}, isn't of the last {DISCOVERY_SILENT_AFTER_MS // 1000} s"
        return f"{last}; new instances may be missing"
    run = snapshot.runs.get(DISCOVERER)
    return run.problem if run else None


def _next_change_ms(snapshot: Snapshot, now_ms: int) -> int:
    """Return the first instant after `now_ms` at which one of the snapshot's times begins or ceases to be too old."""
    if snapshot.written_at_ms is None:
        last = snapshot.last_successes
        times = [(row.assessment.observed_at_ms, STALE_AFTER_MS) for row in snapshot.latest.values()]
        limits = {COLLECTOR: STALE_AFTER_MS, DISCOVERER: DISCOVERY_SILENT_AFTER_MS}
        times += [(last[command], after_ms) for command, after_ms in limits.items() if command in last]
    else:
        times = [(snapshot.written_at_ms, SNAPSHOT_STALE_AFTER_MS)]
    turns = (turn for at_ms, after_ms in times for turn in (at_ms - after_ms, at_ms + after_ms + 1))
    return min((turn for turn in turns if turn > now_ms), default=now_ms + STALE_AFTER_MS)


def _standing(snapshot: Snapshot, instance: Instance, now_ms: int) -> Standing:
    """Return one instance as of `now_ms`."""
    key = instance.key
    latest = snapshot.latest.get(key)
    stale = latest is not None and _is_stale(snapshot, latest.assessment.observed_at_ms, now_ms)
    if latest is None:
        told = unobserved(instance, at_ms=snapshot.discovered[key])
    else:
        told = outdated(latest.assessment, witness="api") if stale else latest.assessment
    return Standing(
        instance=instance,
        latest=latest,
        report=snapshot.reports.get(key),
        incident=snapshot.incidents.get(key),
        picture=snapshot.pictures.get(key),
        uptime=snapshot.uptimes.get(key),
        discovered_at_ms=snapshot.discovered[key],
        is_stale=stale,
        verdict=told.verdict,
        failure_class=told.failure_class,
        reasons=told.reasons,
        recommendations=told.recommendations,
        source=source_of(snapshot),
        recovery=snapshot.recovery.of(key) if snapshot.recovery else None,
    )
