"""Real runs as processes on one store file, and what their ticks say of the promise."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from jobs.store.connection import open_reader
from jobs.store.lease import Lease, read_lease

TICKER = Path(__file__).with_name("ticker.py")

# A test that waits longer than this has found a bug; a loaded machine of two cores takes a few seconds.
DEADLINE_SECONDS = 60


class Tick(NamedTuple):
    """One row of the ticker's table; at: seconds since boot."""

    number: int
    pid: int
    at: float


class Runs:
    """Ticker processes on one store. beat_seconds, scale: see ticker.py."""

    def __init__(self, folder: Path, *, beat_seconds: float, scale: float) -> None:
        self.store = folder / "loco.db"
        self._folder = folder
        self._arguments = ("--store", str(self.store), "--beat", str(beat_seconds), "--scale", str(scale))
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str, window: int = 60, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Start one run; its log is read by `closing_line`."""
        command = (*prefix, sys.executable, str(TICKER), *self._arguments, "--window", str(window), *options)
        with (self._folder / f"{len(self._processes)}.log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        self._processes.append(process)
        return process

    def closing_line(self, process: subprocess.Popen[bytes]) -> dict[str, object]:
        """Return the last line that a run logged."""
        log = self._folder / f"{self._processes.index(process)}.log"
        line: dict[str, object] = json.loads(log.read_text().splitlines()[-1])
        return line

    def ticks(self) -> list[Tick]:
        """Return all ticks so far; none before the store is there."""
        with contextlib.suppress(Exception), contextlib.closing(open_reader(self.store)) as connection:
            return [Tick(*row) for row in connection.execute("SELECT tick, pid, at FROM ticks ORDER BY at")]
        return []

    def lease(self) -> Lease:
        """Return the lease as it is now."""
        with contextlib.closing(open_reader(self.store)) as connection:
            return read_lease(connection, "collect")

    def wait_ticks(self, count: int) -> list[Tick]:
        """Wait until that many ticks are there, and return them."""
        ends_at = time.monotonic() + DEADLINE_SECONDS
        while len(ticks := self.ticks()) < count:
            assert time.monotonic() < ends_at, f"{len(ticks)} ticks of {count} after {DEADLINE_SECONDS} s"
            time.sleep(0.05)
        return ticks

    def tick_count(self, process: subprocess.Popen[bytes]) -> int:
        """Return how many ticks one run has made."""
        return sum(tick.pid == process.pid for tick in self.ticks())

    def wait_holder(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until a run has ticked."""
        ends_at = time.monotonic() + DEADLINE_SECONDS
        while not self.tick_count(process):
            assert time.monotonic() < ends_at, f"run {process.pid} made no tick in {DEADLINE_SECONDS} s"
            time.sleep(0.05)

    def wait_announced(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until a run is known as the next holder, or holds the baton already."""
        ends_at = time.monotonic() + DEADLINE_SECONDS
        while not any(name and f":{process.pid}:" in name for name in (self.lease().successor, self.lease().holder)):
            assert time.monotonic() < ends_at, f"run {process.pid} wasn't announced in {DEADLINE_SECONDS} s"
            time.sleep(0.05)

    def wait_held(self) -> None:
        """Wait until a run holds the baton, also before its first tick is written."""
        ends_at = time.monotonic() + DEADLINE_SECONDS
        holder = None
        while holder is None:
            assert time.monotonic() < ends_at, f"nobody took the baton in {DEADLINE_SECONDS} s"
            time.sleep(0.05)
            with contextlib.suppress(Exception):
                holder = self.lease().holder

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._processes:
            process.kill()
            process.wait()
            assert process.stdout
            process.stdout.close()


@contextlib.contextmanager
def runs(folder: Path, *, beat_seconds: float, scale: float = 0.1) -> Iterator[Runs]:
    """Yield runs that are killed at the end."""
    started = Runs(folder, beat_seconds=beat_seconds, scale=scale)
    try:
        yield started
    finally:
        started.end()


def largest_gap_seconds(ticks: list[Tick]) -> float:
    """Return the longest time between two ticks."""
    return max((later.at - earlier.at for earlier, later in pairwise(ticks)), default=0.0)


def runs_table(store: Path) -> list[sqlite3.Row]:
    """Return all rows of table `runs`, oldest first."""
    with contextlib.closing(open_reader(store)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute("SELECT * FROM runs ORDER BY started_at_ms").fetchall()
