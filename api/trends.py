"""What the wall tells of each instance's past: the last hour by minutes, the last day by verdicts, uptimes.

Kept from page to page and read anew where it can have changed, because 1,000 instances have 60,000 minutes an hour.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.health.model import Verdict


@dataclass(frozen=True, slots=True)
class Beat:
    """One span of the heartbeat bar. verdict: the worst that was met, None where nothing was observed."""

    start_at_ms: int
    seconds: int
    verdict: Verdict | None
    codes: tuple[str, ...]
    healthy_share: float | None


@dataclass(frozen=True, slots=True)
class Trend:
    """One instance's past.

    frame_rates: per second; levels: peaks, 0-1; each of one minute of the last 60, oldest first, None unmeasured.
    beats: of the last 24 hours, oldest first. day, week, month: share of healthy ticks of 24 h, 7 d, 30 d, 0-1, None
    where nothing was observed.
    """

    frame_rates: tuple[float | None, ...]
    levels: tuple[float | None, ...]
    beats: tuple[Beat, ...]
    day: float | None
    week: float | None
    month: float | None
