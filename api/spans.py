"""Which spans of time the past is cut into, as of some moment. Pure.

All are on the grid of the clock, so that a span that is over never changes its edges. The shortest period is told by
half hours, what longer ones have beyond it by days, as the store has it: minutes for two days, hours for a year.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from jobs.health.rollup import HOUR_MS, MINUTE_MS, start_of

HALF_HOUR_MS = HOUR_MS // 2
DAY_MS = 24 * HOUR_MS
MINUTES = 60
BEATS = 48

# Hours that each uptime reaches back, the one that isn't over included, by its name; the shortest first.
PERIODS = {"24h": 24, "7d": 7 * 24, "30d": 30 * 24}
PERIOD_NAMES = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}


class Span(NamedTuple):
    """A half-open span of time."""

    from_ms: int
    to_ms: int


def minute_spans(now_ms: int) -> list[Span]:
    """Return the last 60 minutes, oldest first, the one that isn't over included."""
    return _spans(start_of(now_ms, MINUTE_MS), MINUTE_MS, MINUTES)


def half_hour_spans(now_ms: int) -> list[Span]:
    """Return the half hours of the beats, oldest first, and the one before where they would begin in mid-hour."""
    newest_ms = start_of(now_ms, HALF_HOUR_MS)
    count = BEATS + (newest_ms % HOUR_MS == 0)
    return _spans(newest_ms, HALF_HOUR_MS, count)


def older_spans(now_ms: int) -> list[Span]:
    """Return what the longest period has before those half hours, oldest first, cut at midnights and at each period."""
    end_ms = half_hour_spans(now_ms)[0].from_ms
    cuts = {from_ms for period in PERIODS if (from_ms := begin_of(period, now_ms)) < end_ms}
    first_ms = min(cuts)
    cuts.update(range(start_of(first_ms, DAY_MS) + DAY_MS, end_ms, DAY_MS))
    edges = [*sorted(cuts), end_ms]
    return [Span(*pair) for pair in pairwise(edges)]


def begin_of(period: str, now_ms: int) -> int:
    """Return when a period begins: that of 24 h with the first beat, a longer one with a whole hour."""
    if period == "24h":
        return start_of(now_ms, HALF_HOUR_MS) - (BEATS - 1) * HALF_HOUR_MS
    return start_of(now_ms, HOUR_MS) - (PERIODS[period] - 1) * HOUR_MS


def _spans(newest_ms: int, long_ms: int, count: int) -> list[Span]:
    """Return `count` spans, oldest first, up to the one that starts at `newest_ms`."""
    return [Span(at, at + long_ms) for at in range(newest_ms - (count - 1) * long_ms, newest_ms + 1, long_ms)]
