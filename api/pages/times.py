"""Moments and spans as detail pages write them. Pure."""

from __future__ import annotations

from api.instants import rfc3339

_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"))


def when(at_ms: int) -> str:
    """Return `2026-11-24 20:07:43 UTC` as HTML; the script adds how long ago that is."""
    at = rfc3339(at_ms)
    return f'<span class="when">{at[:10]} {at[11:19]} UTC <time datetime="{at}" data-lead=""></time></span>'


def clock(at_ms: int) -> str:
    """Return `20:07:43`, for a row whose day is told elsewhere."""
    return rfc3339(at_ms)[11:19]


def lasted(ms: int) -> str:
    """Return `850 ms`, `12.3 s`, `4 min 10 s`, `2 h 5 min` or `3 d 4 h`."""
    if abs(ms) < 1000:
        return f"{ms} ms"
    if abs(ms) < 60_000:
        return f"{ms / 1000:.1f} s"
    smaller = 1000
    for unit_ms, unit in reversed(_UNITS):
        if ms < unit_ms * (60 if unit == "min" else 24 if unit == "h" else 10**6):
            whole, rest = divmod(ms, unit_ms)
            lesser = {"min": "s", "h": "min", "d": "h"}[unit]
            return f"{whole} {unit} {rest // smaller} {lesser}"
        smaller = unit_ms
    return f"{ms // _UNITS[0][0]} d"
