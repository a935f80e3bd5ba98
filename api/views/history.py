"""What was before: minutes, changes, incidents, runs, and why an instance is judged as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from api.fleet import Standing
from api.instants import rfc3339, rfc3339_or_none
from api.views.quality import deep_health, reason_shape
from api.views.recovery import attempt, plan
from jobs.health.incident import Incident
from jobs.health.model import InstanceKey, Verdict
from jobs.health.recovery import Attempt, Plan
from jobs.health.rollup import Rollup
from jobs.store.reader import Change, Run


def history(standing: Standing, resolution: str, rollups: Iterable[Rollup]) -> dict[str, Any]:
    """Return an instance's roll-ups, oldest first; a span without a row is one that nobody observed."""
    return {
        "instanceId": standing.instance.public_id,
        "resolution": resolution,
        "points": [_point(rollup) for rollup in rollups],
        "observedAt": rfc3339_or_none(standing.observed_at_ms),
    }


def why(standing: Standing, changes: Iterable[Change], attempts: Iterable[Attempt]) -> dict[str, Any]:
    """Return the verdict with all its witnesses, the open incident, what is next, and the last changes that led here.

    attempts: of the open incident.
    """
    told = deep_health(standing)
    ids = {standing.instance.key: standing.instance.public_id}
    planned = standing.recovery.plan if standing.recovery else None
    return {name: told[name] for name in _WHY_FIELDS} | {
        "incident": incident(standing.incident, ids, attempts=attempts, planned=planned) if standing.incident else None,
        "changes": [_change(change) for change in changes],
    }


def incident(
    one: Incident, ids: Mapping[InstanceKey, str], *, attempts: Iterable[Attempt], planned: Plan | None
) -> dict[str, Any]:
    """Return one incident with what was done about it and what is next; null for what isn't told.

    ids: public id of each instance; `instanceId` is null for one that has left the inventory, and for an incident of
    several members.
    """
    return {
        "id": one.id,
        "instanceId": ids.get(one.key),
        "key": one.key,
        "openedAt": rfc3339(one.opened_at_ms),
        "closedAt": rfc3339_or_none(one.closed_at_ms),
        "open": one.closed_at_ms is None,
        "failureType": one.failure_class,
        "worstVerdict": one.verdict,
        "codes": one.codes,
        "openingReasons": [reason_shape(reason) for reason in one.reasons],
        "members": [{"instanceId": ids.get(key), "key": key} for key in one.members],
        "plan": plan(planned) if planned and planned.incident == one.id else None,
        "attempts": [attempt(each) for each in attempts],
    }


def run(one: Run) -> dict[str, Any]:
    """Return one run; `outcome` is null while it goes on, and after it was killed."""
    return {
        "id": one.id,
        "command": one.command,
        "holder": one.holder,
        "startedAt": rfc3339(one.started_at_ms),
        "endedAt": rfc3339_or_none(one.ended_at_ms),
        "lastSuccessAt": rfc3339_or_none(one.last_success_at_ms),
        "ticks": one.ticks,
        "instances": one.instances,
        "durationSeconds": one.duration_seconds,
        "outcome": one.outcome,
        "problem": one.problem,
    }


_WHY_FIELDS = (
    "instanceId",
    "verdict",
    "failureType",
    "reasons",
    "recommendations",
    "since",
    "observedAt",
    "reportedAt",
    "stale",
    "lastAssessment",
    "probe",
    "connectivity",
    "recovery",
)


def _point(rollup: Rollup) -> dict[str, Any]:
    """Return one span: ticks by verdict, reasons seen, and means of what was measured."""
    return {
        "at": rfc3339(rollup.start_at_ms),
        "ticks": {verdict: getattr(rollup, verdict) for verdict in Verdict},
        "codes": rollup.codes,
        "frameRate": _mean(rollup.frame_rate_sum, rollup.frame_rate_count),
        "audioLevelMax": rollup.level_max,
        "qemuCpuPercent": _mean(rollup.qemu_cpu_sum, rollup.qemu_cpu_count),
        "connectionLatencySeconds": _mean(rollup.latency_sum, rollup.latency_count),
    }


def _change(change: Change) -> dict[str, Any]:
    """Return one change of verdict, class or reasons."""
    return {
        "at": rfc3339(change.at_ms),
        "tick": change.tick,
        "verdict": change.verdict,
        "failureType": change.failure_class,
        "reasons": [reason_shape(reason) for reason in change.reasons],
        "incident": change.incident,
    }


def _mean(total: float, count: int) -> float | None:
    """Return the mean, None of nothing."""
    return total / count if count else None
