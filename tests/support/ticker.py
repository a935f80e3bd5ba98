"""A command with a window whose rounds only note when they were made: a process to be killed, stopped and stepped.

`python tests/support/ticker.py --store FILE --window 4 --beat 1 --scale 0.1`
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import sys
import time
from functools import partial
from pathlib import Path

from agent.commandline import start_logging
from jobs.clock import Clock
from jobs.schedule import WindowSettings
from jobs.store.lease import read_lease
from jobs.window import Beat, Observed, run_window

NAME = "collect"


class Ticker:
    """Rounds that write one row a tick: its number, the process, and the machine's own time."""

    name = NAME

    def __init__(self, options: argparse.Namespace) -> None:
        self.beats = (Beat("tick", options.beat, is_tick=True), Beat("between", options.beat / 3))
        self._options = options
        self._statements_left: int | None = None
        self._is_reading = self._was_reading = False

    def warm(self, connection: sqlite3.Connection) -> None:
        """Make the table and, if this process is to die at a statement, begin to count them."""
        connection.execute("CREATE TABLE IF NOT EXISTS ticks (tick INTEGER PRIMARY KEY, pid INTEGER, at REAL) STRICT")
        self._connection = connection
        if self._options.die_at and not self._options.die_late:
            self._statements_left = self._options.die_at
        connection.set_trace_callback(self._count)

    def resume(self, connection: sqlite3.Connection) -> None:
        """Nothing is carried over."""

    def observe(self, beat: Beat, tick: int) -> Observed:
        """Take as long as was asked for."""
        if not beat.is_tick:
            return Observed(_note_nothing, instances=1)
        time.sleep(self._options.round_seconds)
        is_late = self._options.die_late and read_lease(self._connection, NAME).successor is not None
        if is_late and self._statements_left is None:
            self._statements_left = self._options.die_at
        return Observed(partial(_note, tick), instances=1)

    def _count(self, statement: str) -> None:
        """Die at the chosen statement, just before SQLite runs it.

        Blocks that only read are passed over: a death in one is a death before the next write.
        """
        self._is_reading = statement == "BEGIN" or (self._is_reading and statement != "COMMIT")
        is_passed_over = self._is_reading or self._was_reading or statement.startswith("PRAGMA")
        self._was_reading = self._is_reading
        if self._statements_left is not None and not is_passed_over:
            self._statements_left -= 1
            if self._statements_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def _note_nothing(_: sqlite3.Connection) -> None:
    """Write nothing: a beat between ticks only renews the lease."""


def _note(tick: int, connection: sqlite3.Connection) -> None:
    """Write one tick down."""
    at = time.clock_gettime(time.CLOCK_BOOTTIME)
    connection.execute("INSERT INTO ticks VALUES (?, ?, ?)", (tick, os.getpid(), at))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--window", type=int, required=True)
    parser.add_argument("--beat", type=float, default=15)
    parser.add_argument("--scale", type=float, default=1, help="of every patience, so that a test needn't wait")
    parser.add_argument("--round-seconds", type=float, default=0, help="how long a tick's round takes")
    parser.add_argument("--die-at", type=int, default=0, help="the writing statement to die before, from 1")
    parser.add_argument("--die-late", action="store_true", help="count from the first tick that sees a successor")
    parser.add_argument("--wall-step", type=float, default=0, help="seconds that the wall clock jumps by")
    parser.add_argument("--wall-step-after", type=float, default=0, help="seconds until it jumps")
    return parser.parse_args()


def main() -> int:
    """Live one window."""
    options = _options()
    start_logging("info")
    steps_at = time.monotonic() + options.wall_step_after

    def wall() -> float:
        return time.time() + (options.wall_step if time.monotonic() > steps_at else 0)

    settings = WindowSettings(
        options.store,
        options.window,
        silence_seconds=12 * options.scale,
        renew_seconds=5 * options.scale,
        take_back_seconds=10 * options.scale,
        leave_seconds=8 * options.scale,
        round_seconds=20 * options.scale,
        clock=Clock(wall=wall),
    )
    return run_window(Ticker(options), settings)


if __name__ == "__main__":
    sys.exit(main())
