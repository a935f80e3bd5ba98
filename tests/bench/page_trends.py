"""What the past of a whole fleet costs the API: the first time, then with each tick; how long a writer waits for it."""

import resource
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from store_load import TICK_MS, Load

from api.charts import heartbeat, spark
from api.follower import Follower
from api.trends import Trends
from jobs.health.rollup import HOUR_MS, MINUTE_MS
from jobs.store.connection import open_store

INSTANCES = 1000
TICKS = 20

# 2026-11-26T13:44:10Z.
NOW_MS = 1_795_700_650_000

# As the jobs write them, but made inside SQLite: Python would take minutes for the 3.6 million rows.
_FILL = """
WITH RECURSIVE span (at) AS (SELECT :start UNION ALL SELECT at + :long FROM span WHERE at + :long < :end)
INSERT INTO {table} (key, start_at_ms, healthy, unhealthy, codes, frame_rate_sum, frame_rate_count, level_max,
    qemu_cpu_sum, qemu_cpu_count, latency_sum, latency_count)
SELECT key, at, :ticks - (sick = 0), (sick = 0), iif(sick = 0, 'QemuDead VncUnavailable', ''),
    :ticks * (25 + value), :ticks, value, :ticks * 40 * value, :ticks, :ticks * value / 100, :ticks
FROM (SELECT key, at, abs(random()) % 100 AS sick, abs(random()) / 9223372036854775807.0 AS value
      FROM span CROSS JOIN instances ORDER BY at, key)
"""


def fill(connection: sqlite3.Connection) -> None:
    """Write a month of hours and two days of minutes of the whole fleet."""
    Load(INSTANCES).start(connection)
    hour_ms = NOW_MS - NOW_MS % HOUR_MS
    connection.execute("PRAGMA synchronous=OFF")
    for table, start_ms, long_ms, ticks in (
        ("hours", hour_ms - 30 * 24 * HOUR_MS, HOUR_MS, 240),
        ("minutes", hour_ms - 48 * HOUR_MS, MINUTE_MS, 4),
    ):
        end_ms = hour_ms if table == "hours" else NOW_MS
        span = {"start": start_ms, "end": end_ms, "long": long_ms, "ticks": ticks}
        connection.execute(_FILL.format(table=table), span)


class Asked:
    """Transactions on a store, and how long the longest took."""

    def __init__(self, follower: Follower) -> None:
        self.follower = follower
        self.longest = 0.0

    def __call__(self, question):
        """Answer one."""
        began = time.perf_counter()
        try:
            return self.follower.query(question)
        finally:
            self.longest = max(self.longest, time.perf_counter() - began)


def cpu_seconds() -> float:
    """Return the CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident_bytes() -> int:
    """Return the memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> None:
    """Print rows of a table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "loco.db")
        with closing(open_store(path)) as connection:
            fill(connection)
        size = path.stat().st_size / 1e6
        with closing(Follower(path, lambda: NOW_MS)) as follower:
            fleet, asked, trends = follower.look(), Asked(follower), Trends()
            before, cpu, began = resident_bytes(), cpu_seconds(), time.perf_counter()
            trends.of(asked, fleet)
            print(
                f"| first read of the past of {INSTANCES} instances, store of {size:.0f} MB |"
                f" {cpu_seconds() - cpu:.2f} s CPU, {time.perf_counter() - began:.2f} s |"
                f" longest transaction {asked.longest * 1000:.0f} ms |"
            )
            cpu, asked.longest = cpu_seconds(), 0.0
            for n in range(1, TICKS + 1):
                told = trends.of(asked, replace(fleet, from_ms=fleet.from_ms + n * TICK_MS)).by_key
            print(
                f"| the same a tick later | {(cpu_seconds() - cpu) / TICKS * 1000:.0f} ms CPU |"
                f" longest transaction {asked.longest * 1000:.0f} ms;"
                f" {(resident_bytes() - before) / INSTANCES / 1024:.0f} KiB kept an instance |"
            )
        cpu, size = cpu_seconds(), 0
        for trend in told.values():
            bar = heartbeat(trend.beats, label="Verdicts of the last 24 hours")
            size += len(bar) + len(spark(trend.frame_rates, label="Frames a second in the last hour"))
        print(
            f"| one instance's bar and line as SVG | {(cpu_seconds() - cpu) / INSTANCES * 1e6:.0f} us CPU |"
            f" {size / INSTANCES:.0f} bytes, a hundredth of its minutes sick |"
        )


if __name__ == "__main__":
    main()
