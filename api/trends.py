"""What pages tell of each instance's past: the last hour by minutes, the last day by verdicts, uptimes.

Time is cut into spans. What a span that is over held is read once and kept; those that may still change are read anew
whenever the fleet moved: 1,000 instances have 720,000 hours a month, and a tick adds to 1,000 minutes.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import floor
from typing import Any, NamedTuple

from api.fleet import Fleet, Source
from jobs.errors import JobError
from jobs.health.model import InstanceKey, Verdict
from jobs.health.rollup import HOUR_MS, MINUTE_MS, Rollup, Shares, shares, start_of
from jobs.health.rules import BADNESS
from jobs.store import trends as store
from jobs.store.trends import Measured, Seen, Ticks

HALF_HOUR_MS = HOUR_MS // 2
DAY_MS = 24 * HOUR_MS
MINUTES = 60
BEATS = 48

# architecture section 3: a report each 15 s.
TICK_MS = 15_000

# chosen: a report is waited for 10 s and a commit for 5 s; after a minute nothing comes any more for a minute.
GRACE_MS = MINUTE_MS


@dataclass(frozen=True, slots=True)
class Beat:
    """One span of the heartbeat bar. verdict: the worst that was met, None where nothing was observed.

    codes: reasons that were met. healthy_share: of the ticks that should have been, 0-1; None where nothing was
    observed.
    """

    start_at_ms: int
    seconds: int
    verdict: Verdict | None
    codes: tuple[str, ...]
    healthy_share: float | None


@dataclass(frozen=True, slots=True)
class Trend:
    """One instance's past.

    frame_rates: per second; levels: peaks, 0-1; each of one minute of the last 60, oldest first, None unmeasured.
    beats: of the last 48 half hours, the one that isn't over included, oldest first.
    day: of the same 24 hours; week, month: of the newest 168 and 720 hours; each back to the instance's discovery at
    most. None where nothing was observed.
    """

    frame_rates: tuple[float | None, ...]
    levels: tuple[float | None, ...]
    beats: tuple[Beat, ...]
    day: float | None
    week: float | None
    month: float | None


def percent(share: float) -> str:
    """Return `99.98 %`; rounded down, so that nothing but the whole reads as 100 %."""
    return f"{floor(share * 10_000 + 1e-6) / 100:g} %"


class Trends:
    """The fleet's trends, kept from request to request; safe for threads."""

    def of(
        self, ask: Callable[[Callable[[sqlite3.Connection], Any]], Any], fleet: Fleet
    ) -> Mapping[InstanceKey, Trend]:
        """Return each instance's trend; empty while no store can be read."""
        return {}
