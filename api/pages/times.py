"""Moments and spans as detail pages write them. Pure."""

from __future__ import annotations

from api.instants import rfc3339

# Seconds and name of a unit, then of the one below it.
_UNITS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def when(at_ms: int, *, is_ahead: bool = False) -> str:
    """Return `2026-11-24 20:07:43 UTC` as HTML; the script adds how long ago that is, or of one ahead, in how long."""
    at, lead = rfc3339(at_ms), "in " if is_ahead else ""
    return f'<span class="when">{at[:10]} {at[11:19]} UTC <time datetime="{at}" data-lead="{lead}"></time></span>'


def lasted(ms: int) -> str:
    """Return `850 ms`, `12.3 s`, `4 min 10 s`, `2 h 5 min` or `3 d 4 h`."""
    if abs(ms) < 1000:
        return f"{ms} ms"
    seconds = ms // 1000
    for size, unit, smaller, name in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit} {seconds % size // smaller} {name}"
    return f"{ms / 1000:.3g} s"
