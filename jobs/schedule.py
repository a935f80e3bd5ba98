"""When a run ticks and how long it lives, as plain values: the window's length and the grid of due times; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from jobs.clock import Clock
from jobs.errors import ConfigError

DEFAULT_WINDOW_SECONDS = 300
"""architecture section 3: three windows of five minutes cost below 1 % of a core."""

# The controller names a Job `<cronjob>-<minutes since 1970>` (kubernetes, pkg/controller/cronjob/utils.go, getJobName):
# eight digits since 1989, nine from 2160 on; a name that a person types hardly ends so.
_SCHEDULED_JOB = re.compile(r".+-\d{8,9}")

_EVERY_MINUTES = re.compile(r"\*(?:/(\d+))? \* \* \* \*")
_EVERY_HOURS = re.compile(r"0 \*(?:/(\d+))? \* \* \*")


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """How long one run lives, and how patient it is with others; only tests scale the patience.

    window_seconds: 0 for a run by hand. silence_seconds: a holder that renews nothing for so long is taken for gone.
    renew_seconds: longest pause between two renewals. take_back_seconds: how late the successor's first tick may be.
    leave_seconds: from SIGTERM to the end. round_seconds: a round that takes longer hangs, and its process ends.
    ask_seconds: how long a run by hand waits for its tick while the holder lives.
    """

    store: Path
    window_seconds: int = DEFAULT_WINDOW_SECONDS
    silence_seconds: float = 12
    renew_seconds: float = 5
    take_back_seconds: float = 10
    leave_seconds: float = 8
    round_seconds: float = 20
    ask_seconds: float = 60
    clock: Clock = field(default_factory=Clock)

    @property
    def life_seconds(self) -> float:
        """How long a run may live: two windows and the slack of a slow start."""
        return 2 * self.window_seconds + 30


def window_seconds(window: int | None, schedule: str | None, job_name: str | None) -> int:
    """Return the length of a run's window, 0 for a run by hand.

    window: as given, wins. schedule: the CronJob's own, of an even period. job_name: the Kubernetes Job, if any;
    one that the CronJob controller didn't name was made by hand.
    Raises: ConfigError for a schedule whose starts aren't evenly apart.
    """
    if window is not None:
        return window
    if job_name and not _SCHEDULED_JOB.fullmatch(job_name):
        return 0
    return DEFAULT_WINDOW_SECONDS if schedule is None else period_seconds(schedule)


def period_seconds(schedule: str) -> int:
    """Return the time between two starts of a cron schedule.

    Raises: ConfigError unless the schedule is `*/M * * * *` with M dividing 60 or `0 */H * * *` with H dividing 24.
    """
    words = " ".join(schedule.split())
    for pattern, unit_seconds, units in ((_EVERY_MINUTES, 60, 60), (_EVERY_HOURS, 3600, 24)):
        if match := pattern.fullmatch(words):
            step = int(match[1] or 1)
            if 0 < step <= units and units % step == 0:
                return step * unit_seconds
    raise ConfigError(
        f"LOCO_SCHEDULE {schedule!r}: a window needs starts that are evenly apart; known are '*/M * * * *' with M "
        "dividing 60 and '0 */H * * *' with H dividing 24; nothing was started"
    )


def next_due_ms(slot_ms: int | None, period_seconds: float, *, now_ms: int, wall_ms: int) -> int:
    """Return when a beat is due after the one due at `slot_ms`; in the past when that moment was missed.

    slot_ms, now_ms and the answer: on one clock that nobody sets; slot_ms is None where no beat is known.
    wall_ms: what the wall clock shows now; the answer is drawn towards its grid, but never more than a thirtieth of
    a period later or a third earlier, so a wall clock that steps can't cause a gap.
    """
    if slot_ms is None or slot_ms > now_ms:
        return now_ms
    period_ms = round(period_seconds * 1000)
    to_grid_ms = (now_ms - slot_ms - wall_ms) % period_ms
    shift_ms = to_grid_ms if to_grid_ms <= period_ms // 2 else to_grid_ms - period_ms
    due_ms = slot_ms + period_ms + max(-(period_ms // 3), min(shift_ms, period_ms // 30))
    # Of several missed beats only one is made up for.
    return due_ms if due_ms > now_ms - period_ms else now_ms
