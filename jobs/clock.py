"""The clocks of a run, as parameters."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jobs.store.ledger import Moment


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True, slots=True)
class Clock:
    """What times a run.

    boottime: seconds since boot, counting sleep; nobody sets it, and all processes of a machine share it
    (clock_gettime(2), CLOCK_BOOTTIME). monotonic: seconds, for this process's patience.
    wall: Unix seconds; gives phase and labels, decides nothing. boot_id: whose boottime it is.
    """

    boottime: Callable[[], float] = _boottime
    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    boot_id: str = field(default_factory=_boot_id)

    def boottime_ms(self) -> int:
        """Return milliseconds since boot."""
        return round(self.boottime() * 1000)

    def wall_ms(self) -> int:
        """Return Unix milliseconds."""
        return round(self.wall() * 1000)

    def moment(self) -> Moment:
        """Return one reading of what the ledger counts in and what it shows."""
        return Moment(self.boot_id, self.boottime_ms(), self.wall_ms())
