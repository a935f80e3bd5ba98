"""The past of one instance in shares. Pure."""

from __future__ import annotations

from typing import Any

from api.fleet import Standing
from api.instants import rfc3339, rfc3339_or_none
from api.spans import PERIODS, begin_of
from api.trends import Beat, Trend
from jobs.health.rollup import Shares


def uptime(standing: Standing, trend: Trend, *, now_ms: int) -> dict[str, Any]:
    """Return an instance's uptimes and its last 48 half hours, oldest first."""
    return {
        "instanceId": standing.instance.public_id,
        "uptimes": [
            _uptime(period, trend.uptimes[period], from_ms=max(begin_of(period, now_ms), standing.discovered_at_ms))
            for period in PERIODS
        ],
        "beats": [_beat(beat) for beat in trend.beats],
        "observedAt": rfc3339_or_none(standing.observed_at_ms),
    }


def _uptime(period: str, shares: Shares, *, from_ms: int) -> dict[str, Any]:
    """Return the shares of one period; null where nothing was observed."""
    is_seen = shares.not_observed < 1
    return {
        "period": period,
        "from": rfc3339(from_ms),
        "healthy": shares.healthy if is_seen else None,
        "degraded": shares.degraded if is_seen else None,
        "unhealthy": shares.unhealthy if is_seen else None,
        "unreachable": shares.unreachable if is_seen else None,
        "unknown": shares.unknown if is_seen else None,
        "notObserved": shares.not_observed,
    }


def _beat(beat: Beat) -> dict[str, Any]:
    """Return one half hour."""
    return {
        "at": rfc3339(beat.start_at_ms),
        "seconds": beat.seconds,
        "verdict": beat.verdict,
        "codes": beat.codes,
        "healthyShare": beat.healthy_share,
    }
