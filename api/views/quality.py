"""The seed's quality shapes: verdicts with their evidence, measured values, totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from agent.report import HealthReport
from api.fleet import Fleet, Source, Standing
from api.instants import rfc3339, rfc3339_or_none
from api.views.instances import kubernetes_of
from api.views.recovery import recovery
from jobs.health import measured
from jobs.health.model import Connectivity, Evidence, FailureClass, Reason, Severity, Verdict
from jobs.health.people import connected
from jobs.health.wording import sentence
from jobs.store.reader import Latest


def keyed(shape: Callable[[Standing], Any], fleet: Fleet) -> dict[str, Any]:
    """Return {instance id: shape}; nothing but instance ids is ever a key here."""
    return {public_id: shape(standing) for public_id, standing in fleet.standings.items()}


def deep_health(standing: Standing) -> dict[str, Any]:
    """Return verdict, class, reasons with their evidence, and the last good report as it was received."""
    latest = standing.latest
    return {
        "instanceId": standing.instance.public_id,
        "timestamp": rfc3339_or_none(standing.observed_at_ms),
        "overallStatus": standing.verdict,
        "deepHealth": standing.report.received if standing.report else None,
        "measured": _measured(standing.current_report),
        "failureType": standing.failure_class,
        "recoveryNeeded": is_recovery_needed(standing),
        "errors": errors(standing.reasons),
        "verdict": standing.verdict,
        "reasons": [reason_shape(reason) for reason in standing.reasons],
        "recommendations": standing.recommendations,
        "since": rfc3339_or_none(latest.since_ms if latest else None),
        "observedAt": rfc3339_or_none(standing.observed_at_ms),
        "reportedAt": rfc3339_or_none(latest.report_at_ms if latest else None),
        "stale": standing.is_stale,
        "lastAssessment": _last_assessment(latest) if latest and standing.is_stale else None,
        "probe": _probe(latest) if latest else None,
        "connectivity": _connectivity(latest.connectivity) if latest and latest.connectivity else None,
        "incident": standing.incident.id if standing.incident else None,
        "recovery": recovery(standing),
        "kubernetes": kubernetes_of(standing),
        "source": standing.source,
    }


def quality(standing: Standing) -> dict[str, Any]:
    """Return the seed's quality metrics: what the latest tick measured, null for everything else."""
    report = standing.current_report
    connectivity = standing.latest.connectivity if standing.latest and not standing.is_stale else None
    return {
        "instanceId": standing.instance.public_id,
        "timestamp": rfc3339_or_none(standing.observed_at_ms),
        "availability": {
            "vnc": measured.is_vnc_available(connectivity, report),
            "stream": measured.is_streaming(report),
            "audio": measured.is_audible(report),
            "controls": None,
        },
        "quality": {
            "connectionLatency": _milliseconds(connectivity.latency_seconds if connectivity else None),
            "videoFrameRate": measured.frame_rate(report),
            "audioQuality": None,
            "audioLevel": measured.audio_level(report),
            "controlsResponsive": None,
            "packetLoss": measured.worst(report, lambda client: client.packetLoss),
            "jitter": _milliseconds(measured.worst(report, lambda client: client.jitter)),
        },
        "errors": errors(standing.reasons),
        "slaScore": _sla_score(standing),
        "slaObservedMinutes": standing.uptime.observed_minutes if standing.uptime else 0,
        "observedAt": rfc3339_or_none(standing.observed_at_ms),
        "stale": standing.is_stale,
    }


def summary(fleet: Fleet) -> dict[str, Any]:
    """Return fleet totals, the seed's and counts by verdict and class."""
    standings = fleet.standings.values()
    metrics = [quality(standing) for standing in standings]
    vnc = [one["availability"]["vnc"] for one in metrics]
    latencies = [ms for one in metrics if (ms := one["quality"]["connectionLatency"]) is not None]
    # A ConfigMap that was trimmed tells of no handshakes: nothing measured isn't nothing available.
    is_told = fleet.source is Source.STORE or any(one is not None for one in vnc)
    verdicts = Counter(standing.verdict for standing in standings)
    classes = Counter(standing.failure_class for standing in standings)
    return {
        "total": len(vnc),
        "available": vnc.count(True) if is_told else None,
        "availabilityPercent": 100 * vnc.count(True) / len(vnc) if vnc and is_told else None,
        "averageLatency": sum(latencies) / len(latencies) if latencies else None,
        "qualityDistribution": {verdict: count for verdict, count in verdicts.items() if count},
        "byVerdict": {verdict: verdicts[verdict] for verdict in Verdict},
        "byFailureType": {failure_class: classes[failure_class] for failure_class in FailureClass},
        "stale": sum(standing.is_stale for standing in standings),
        "openIncidents": sum(standing.incident is not None for standing in standings),
        "observedAt": rfc3339_or_none(fleet.observed_at_ms),
        "source": fleet.source,
    }


def errors(reasons: Iterable[Reason]) -> list[str]:
    """Return one sentence a fault; findings are no errors."""
    return [sentence(reason) for reason in reasons if reason.severity is not Severity.FINDING]


def reason_shape(reason: Reason) -> dict[str, Any]:
    """Return a reason with its sentence and evidence."""
    return {
        "code": reason.code,
        "failureType": reason.failure_class,
        "severity": reason.severity,
        "text": sentence(reason),
        "evidence": [_evidence(one) for one in reason.evidence],
    }


def is_recovery_needed(standing: Standing) -> bool:
    """Tell whether an incident is open in a layer that an act could mend."""
    return standing.incident is not None and standing.incident.failure_class is not FailureClass.NONE


def _sla_score(standing: Standing) -> float | None:
    """Return the share of healthy ticks among those of the last hour, 0-1."""
    uptime = standing.uptime
    return uptime.healthy_ticks / uptime.ticks if uptime and uptime.ticks else None


def _milliseconds(seconds: float | None) -> float | None:
    """Return seconds as the seed's milliseconds."""
    return None if seconds is None else round(seconds * 1000, 3)


def _last_assessment(latest: Latest) -> dict[str, Any]:
    """Return the assessment as it was made, for when it is too old to be the verdict."""
    made = latest.assessment
    return {
        "verdict": made.verdict,
        "failureType": made.failure_class,
        "reasons": [reason_shape(reason) for reason in made.reasons],
        "observedAt": rfc3339(made.observed_at_ms),
        "since": rfc3339(latest.since_ms),
    }


def _measured(report: HealthReport | None) -> dict[str, Any] | None:
    """Return what the report of the latest tick measured, as far as it can be believed; None without one."""
    if report is None:
        return None
    return {
        "connected": connected(report),
        "frameRate": measured.frame_rate(report),
        "audioLevel": measured.audio_level(report),
    }


def _probe(latest: Latest) -> dict[str, Any]:
    """Return how the latest attempt to fetch a report ended."""
    return {
        "outcome": latest.outcome,
        "detail": latest.detail,
        "seconds": latest.probe_seconds,
        "skewSeconds": latest.skew_seconds,
        "tick": latest.tick,
    }


def _connectivity(connectivity: Connectivity) -> dict[str, Any]:
    """Return how the latest RFB handshake from outside ended."""
    return {
        "outcome": connectivity.outcome,
        "detail": connectivity.detail,
        "latencySeconds": connectivity.latency_seconds,
        "checkedAt": rfc3339(connectivity.checked_at_ms),
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    """Return one measured fact."""
    return {
        "fact": evidence.fact,
        "value": evidence.value,
        "limit": evidence.limit,
        "unit": evidence.unit,
        "witness": evidence.witness,
        "since": rfc3339_or_none(evidence.since_ms),
    }
