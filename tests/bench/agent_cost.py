"""The cost of watching: CPU and memory of the agent, and of its decoy's QEMU, over 60 s."""

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import psutil
from stack import Stack

SECONDS = 60


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process so far."""
    times = process.cpu_times()
    return times.user + times.system


def main() -> None:
    """Print one row each for the agent and for QEMU."""
    with tempfile.TemporaryDirectory(prefix="loco") as folder, Stack(Path(folder), ["bench"]) as stack:
        stack.wait_healthy(60)
        processes = json.loads((stack.directory / "bench" / "decoy.json").read_text())["processes"]
        watched = {name: psutil.Process(processes[name]["pid"]) for name in ("agent", "qemu")}
        before, began = {name: cpu_seconds(process) for name, process in watched.items()}, time.monotonic()
        time.sleep(SECONDS)
        for name, process in watched.items():
            share = (cpu_seconds(process) - before[name]) / (time.monotonic() - began)
            resident = process.memory_info().rss / 2**20
            print(f"| {name} of a watched decoy | {share:.2%} of a core | {resident:.0f} MiB, over {SECONDS} s |")


if __name__ == "__main__":
    main()
