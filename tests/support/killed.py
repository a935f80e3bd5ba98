"""One hand-over with a SIGKILL in it, just before a chosen statement of the holder, the successor or both."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from handover import Tick, runs

# `local` starts a dead run again after half a second.
_RESTART_SECONDS = 0.5

_TICKS_AFTER = 2


class Killed(NamedTuple):
    """What came of it: how many processes died, and all ticks."""

    deaths: int
    ticks: list[Tick]


def hand_over_with_a_death(folder: Path, victim: str, statement: int, *, beat_seconds: float, scale: float) -> Killed:
    """Let a holder meet a successor; whoever is newest and dies is started again, as `local` does.

    victim: holder, successor or both.
    """
    holder_options = ("--die-late", "--die-at", str(statement)) if victim != "successor" else ()
    successor_options = ("--die-at", str(statement)) if victim != "holder" else ()
    with runs(folder, beat_seconds=beat_seconds, scale=scale) as fleet:
        holder = fleet.start(*holder_options)
        fleet.wait_ticks(1)
        # Half a beat before the tick at which the holder sees it, but for the time that a process takes to start.
        time.sleep(beat_seconds / 3)
        successor = fleet.start(*successor_options)
        newest, enough = successor, 1 + 2 + _TICKS_AFTER
        while len(fleet.ticks()) < enough:
            if newest.poll():
                time.sleep(_RESTART_SECONDS)
                newest = fleet.start()
            time.sleep(beat_seconds / 20)
        deaths = sum(process.poll() == -9 for process in (holder, successor))
        return Killed(deaths, fleet.ticks())
