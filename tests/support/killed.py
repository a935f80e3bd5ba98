"""One hand-over with a SIGKILL in it, just before a chosen statement of the holder, the successor or both."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from handover import DEADLINE_SECONDS, Tick, runs

# `local` starts a dead run again after half a second.
_RESTART_SECONDS = 0.5

_TICKS_AFTER = 2


class Killed(NamedTuple):
    """What came of it: how many processes died, all ticks, and what this machine needed from a start to a tick."""

    deaths: int
    ticks: list[Tick]
    start_seconds: float


def hand_over_with_a_death(folder: Path, victim: str, statement: int, *, beat_seconds: float, scale: float) -> Killed:
    """Let a holder meet a successor; whoever is newest and dies is started again, as `local` does.

    victim: holder, successor or both.
    """
    holder_options = ("--die-late", "--die-at", str(statement)) if victim != "successor" else ()
    successor_options = ("--die-at", str(statement)) if victim != "holder" else ()
    with runs(folder, beat_seconds=beat_seconds, scale=scale) as fleet:
        began_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        holder = fleet.start(*holder_options)
        start_seconds = fleet.wait_ticks(1)[0].at - began_at
        # So that the successor announces itself between two ticks, but for the time that a process takes to start.
        time.sleep(beat_seconds / 3)
        newest = successor = fleet.start(*successor_options)
        first_victim = holder if victim == "holder" else successor
        ends_at = time.monotonic() + DEADLINE_SECONDS + 10 * beat_seconds
        while not (_has_ended(holder, first_victim) and fleet.tick_count(newest) >= _TICKS_AFTER):
            assert time.monotonic() < ends_at, f"{victim} at statement {statement}: {fleet.ticks()}"
            if newest.poll():
                time.sleep(_RESTART_SECONDS)
                newest = fleet.start()
            time.sleep(beat_seconds / 20)
        deaths = sum(process.poll() == -signal.SIGKILL for process in (holder, successor))
        return Killed(deaths, fleet.ticks(), start_seconds)


def _has_ended(*processes: subprocess.Popen[bytes]) -> bool:
    """Tell whether none of the processes runs any more."""
    return all(process.poll() is not None for process in processes)
