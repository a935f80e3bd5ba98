"""What one instance's tick costs in the store, and how long an upkeep keeps a tick waiting."""

import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from store_load import TICK_MS, Load

from jobs.health.rollup import HOUR_MS
from jobs.store.connection import open_store, transaction
from jobs.store.writer import record_tick

AT_MS = 1_795_550_400_000


def cpu_seconds() -> float:
    """Return the CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def ticks(path: Path, *, instances: int, count: int) -> None:
    """Print what a row of a tick costs."""
    load = Load(instances)
    cpu = wall = 0.0
    with closing(open_store(path)) as connection:
        load.start(connection)
        for tick in range(1, count + 1):
            rows = load.rows(AT_MS + tick * TICK_MS)
            cpu_began, wall_began = cpu_seconds(), time.perf_counter()
            with transaction(connection):
                record_tick(connection, tick, rows)
            cpu += cpu_seconds() - cpu_began
            wall += time.perf_counter() - wall_began
    micros = cpu / count / instances * 1e6
    print(f"| store one instance's tick, of {instances} | {micros:.0f} us CPU | {wall / count * 1000:.0f} ms a tick |")


def upkeep(path: Path, *, instances: int) -> None:
    """Print how long ticks wait while two days of minutes are compacted."""
    load = Load(instances)
    waits = []
    with closing(open_store(path)) as connection:
        load.start(connection)
        load.minutes(connection, AT_MS - 52 * HOUR_MS, AT_MS)
        command = [sys.executable, "-m", "jobs", "compact", "--store", path, "--log-level", "warning"]
        began = time.perf_counter()
        compaction = subprocess.Popen(command)
        while compaction.poll() is None:
            rows = load.rows(AT_MS)
            wall_began = time.perf_counter()
            with transaction(connection):
                record_tick(connection, len(waits) + 1, rows)
            waits.append(time.perf_counter() - wall_began)
            time.sleep(0.2)
        seconds = time.perf_counter() - began
    size = path.stat().st_size / 1e6
    print(f"| longest tick while a store of {size:.0f} MB is compacted | {max(waits) * 1000:.0f} ms |", end="")
    print(f" {len(waits)} ticks in {seconds:.1f} s, exit code {compaction.returncode} |")


def main() -> None:
    """Print rows of a table."""
    with tempfile.TemporaryDirectory() as folder:
        ticks(Path(folder, "ticks.db"), instances=1000, count=60)
        upkeep(Path(folder, "upkeep.db"), instances=200)


if __name__ == "__main__":
    main()
