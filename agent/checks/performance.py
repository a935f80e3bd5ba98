"""How loaded are the container (or host) and QEMU?"""

from __future__ import annotations

import os
import time
from typing import Any

import psutil

from agent.cgroup import GroupHidden, Usage, read_memory, read_pressure, read_usage
from agent.checks.process import QemuProcess
from agent.report import Performance


class PerformanceCheck:
    """Rates over the last round: of the container that QEMU runs in, or of the agent's own while there is no QEMU.

    What a container uses is null where QEMU's is another one that can't be seen, as a sidecar's neighbour can't.
    """

    def __init__(self, process: QemuProcess) -> None:
        self._process = process
        self._last: tuple[float, Usage] | None = None
        self._last_qemu: tuple[float, int, float] | None = None
        self._is_hidden = False
        self._host_bytes = read_memory()["MemTotal"]
        self._host_cores = os.cpu_count() or 1

    def measure(self) -> Performance:
        """Return the block; what needs two rounds is None in the first. Raises: OSError."""
        now = time.monotonic()
        pid, qemu_cpu, qemu_memory, reasons = self._qemu_facts(now)
        cpu_pressure, memory_pressure = read_pressure("cpu"), read_pressure("memory")
        if cpu_pressure is None:
            reasons.append("this kernel measures no pressure")
        facts = self._container_facts(now, pid, reasons)
        return Performance(
            load_average=round(os.getloadavg()[0], 2),
            qemu_cpu=qemu_cpu,
            qemu_memory=qemu_memory,
            qemu_pid=None if pid is None else str(pid),
            cpu_pressure_ratio=cpu_pressure,
            memory_pressure_ratio=memory_pressure,
            **facts,
            error="; ".join(reasons) or None,
        )

    def _container_facts(self, now: float, pid: int | None, reasons: list[str]) -> dict[str, Any]:
        """Return the fields about the container; why some are missing is appended to `reasons`."""
        usage = self._usage(pid)
        last, self._last = self._last, (now, usage) if usage else None
        if usage is None:
            reasons.append("cpu_usage and memory_usage: QEMU's container is not the agent's and can't be seen from it")
            return {}
        before = last[1] if last and last[1].scope == usage.scope else None
        if before is None or last is None:
            reasons.append("cpu_usage needs two rounds")
        return {
            "cpu_usage": self._cpu_percent(before, usage, now - last[0]) if before and last else None,
            "memory_usage": round(100 * usage.memory_bytes / (usage.memory_limit_bytes or self._host_bytes), 1),
            "scope": usage.scope,
            "cpu_limit_cores": usage.cpu_limit_cores,
            "memory_limit_bytes": usage.memory_limit_bytes,
            "throttled_ratio": throttled_ratio(before, usage) if before else None,
        }

    def _usage(self, pid: int | None) -> Usage | None:
        """Return a reading, None while QEMU's container is hidden or, with QEMU away, was hidden before."""
        if pid is None and self._is_hidden:
            return None
        try:
            usage = read_usage(pid)
        except GroupHidden:
            self._is_hidden = True
            return None
        self._is_hidden = False
        return usage

    def _cpu_percent(self, before: Usage, after: Usage, seconds: float) -> float | None:
        """Return use in percent of what may be used; None when the group was made anew."""
        used = after.cpu_seconds - before.cpu_seconds
        if used < 0 or seconds <= 0:
            return None
        return round(100 * used / seconds / (after.cpu_limit_cores or self._host_cores), 1)

    def _qemu_facts(self, now: float) -> tuple[int | None, float | None, float | None, list[str]]:
        """Return QEMU's pid, its use of one core and of the host's memory in percent, and what couldn't be seen."""
        process = self._process.current
        last, self._last_qemu = self._last_qemu, None
        if process is None:
            return None, None, None, [f"QEMU: {self._process.missing}"]
        try:
            with process.oneshot():
                times = process.cpu_times()
                memory = round(100 * process.memory_info().rss / self._host_bytes, 2)
        except psutil.Error:
            return None, None, None, ["QEMU: the process has just ended"]
        self._last_qemu = now, process.pid, times.user + times.system
        if last is None or last[1] != process.pid:
            return process.pid, None, memory, ["qemu_cpu needs two rounds"]
        cpu = 100 * (self._last_qemu[2] - last[2]) / (now - last[0])
        return process.pid, round(max(cpu, 0.0), 1), memory, []


def throttled_ratio(before: Usage, after: Usage) -> float:
    """Return the share of scheduling periods in which the group was held back; 0 without a CPU limit."""
    periods = after.periods - before.periods
    return round((after.throttled_periods - before.throttled_periods) / periods, 3) if periods > 0 else 0.0
