"""CPU of one connectivity probe: whole handshakes with QEMU's own VNC server, one after the other."""

import resource
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter

from jobs.health.model import ConnectivityOutcome
from jobs.probe.vnc import VncProber

PROBES = 1000
DISPLAY = 77
ADDRESS = ("127.0.0.1", 5900 + DISPLAY)


def cpu_seconds() -> float:
    """Return the CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def wait_for_server() -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(ADDRESS) == 0:
                return
        time.sleep(0.1)
    sys.exit("QEMU opened no VNC server within 10 s")


def main() -> None:
    """Print one row."""
    if shutil.which("qemu-system-x86_64") is None:
        print("| one connectivity probe | - | QEMU isn't installed |")
        return
    words = ["-nodefaults", "-vga", "std", "-display", "none", "-S", "-vnc", f"127.0.0.1:{DISPLAY}"]
    qemu = subprocess.Popen(["qemu-system-x86_64", *words], stderr=subprocess.DEVNULL)
    try:
        wait_for_server()
        prober = VncProber(clock=lambda: time.time_ns() // 1_000_000)
        before, latencies, outcomes = cpu_seconds(), [], Counter()
        for _ in range(PROBES):
            said = prober.probe([ADDRESS], seconds=1)[ADDRESS]
            outcomes[said.outcome] += 1
            latencies.append(said.latency_seconds or float("inf"))
        micros = (cpu_seconds() - before) / PROBES * 1e6
        median = sorted(latencies)[PROBES // 2] * 1000
        good = outcomes[ConnectivityOutcome.OK]
        print(
            f"| one connectivity probe | {micros:.0f} us CPU | QEMU, median {median:.1f} ms, {good} of {PROBES} good |"
        )
    finally:
        qemu.terminate()
        qemu.wait(10)


if __name__ == "__main__":
    main()
