"""Times as kubectl shows them to people: how long ago, in two units at most. Pure."""

from __future__ import annotations

from api.instants import parse_rfc3339

UNKNOWN = "<unknown>"

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86_400, 365 * 86_400

# chosen: as far as two clocks are apart that nobody would call wrong; kubectl has 1 s, which any laptop may be behind.
_SKEW_SECONDS = 10


def span(seconds: float) -> str:
    """Return 45s, 5m30s, 3h, 2d4h. Source: k8s.io/apimachinery, duration.HumanDuration."""
    whole = int(seconds)
    if whole < -_SKEW_SECONDS:
        return "<invalid>"
    if whole < 2 * _MINUTE:
        return f"{max(whole, 0)}s"
    for until, unit, unit_name, part, part_name in (
        (10 * _MINUTE, _MINUTE, "m", 1, "s"),
        (3 * _HOUR, _MINUTE, "m", 0, ""),
        (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
        (2 * _DAY, _HOUR, "h", 0, ""),
        (8 * _DAY, _DAY, "d", _HOUR, "h"),
        (2 * _YEAR, _DAY, "d", 0, ""),
        (8 * _YEAR, _YEAR, "y", _DAY, "d"),
    ):
        if whole < until:
            rest = whole % unit // part if part else 0
            return f"{whole // unit}{unit_name}" + (f"{rest}{part_name}" if rest else "")
    return f"{whole // _YEAR}y"


def age(instant: str | None, now_ms: int) -> str:
    """Return how long ago an instant of the API was."""
    return UNKNOWN if instant is None else span((now_ms - parse_rfc3339(instant)) / 1000)


def ago(instant: str | None, now_ms: int) -> str:
    """Return `2026-11-24T20:07:43Z (5m30s ago)`."""
    return UNKNOWN if instant is None else f"{instant} ({age(instant, now_ms)} ago)"


def until(instant: str, now_ms: int) -> str:
    """Return `2026-11-24T20:07:43Z (in 5m30s)`, or how long ago that is by now."""
    left_ms = parse_rfc3339(instant) - now_ms
    return f"{instant} (in {span(left_ms / 1000)})" if left_ms > 0 else ago(instant, now_ms)
