"""What the container may use and has used: from control groups of either version, else from the host."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC, _MOUNT = Path("/proc"), Path("/sys/fs/cgroup")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# cgroup v1 says "no limit" by a number near 2^63, rounded to a page (kernel doc: cgroup-v1/memory.rst).
_NO_LIMIT_BYTES = 1 << 60


class GroupHidden(Exception):
    """The process runs in another container, whose group isn't visible from this one."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One reading. Totals grow since the group was made; limits are None where there is none.

    memory_bytes leaves out what the kernel can drop at once (inactive file cache), as the kubelet does.
    """

    scope: str
    cpu_seconds: float
    cpu_limit_cores: float | None
    memory_bytes: int
    memory_limit_bytes: int | None
    periods: int
    throttled_periods: int


def read_usage(pid: int | None = None, *, proc: Path = _PROC, mount: Path = _MOUNT) -> Usage:
    """Return a reading of the group of a process (None: our own), or of the host where no group can be read.

    Raises: GroupHidden for a process of another container; OSError when not even the host's files can be read.
    """
    memberships = _memberships(proc, pid)
    if memberships != _memberships(proc, None) and not _shows(mount, memberships):
        raise GroupHidden
    for read in (_read_v2, _read_v1):
        try:
            return read(memberships, mount)
        except (OSError, KeyError, ValueError):
            continue
    return _read_host(proc)


def read_pressure(resource: str, *, proc: Path = _PROC) -> float | None:
    """Return the share of the last 10 s in which some task waited for a resource; None where the kernel doesn't say."""
    try:
        text = (proc / "pressure" / resource).read_text(encoding="ascii")
    except OSError:
        return None
    # kernel doc accounting/psi.rst: "some avg10=0.00 avg60=..."
    return round(float(text.split("avg10=")[1].split()[0]) / 100, 4)


def _read_v2(memberships: str, mount: Path) -> Usage:
    group = _group(mount, _path(memberships, ""))
    cpu = _table(group / "cpu.stat")
    quota, period = _words(group / "cpu.max")
    limit = _words(group / "memory.max")[0]
    cache = _table(group / "memory.stat").get("inactive_file", 0)
    return Usage(
        scope="cgroup-v2",
        cpu_seconds=cpu["usage_usec"] / 1e6,
        cpu_limit_cores=None if quota == "max" else int(quota) / int(period),
        memory_bytes=max(_number(group / "memory.current") - cache, 0),
        memory_limit_bytes=None if limit == "max" else int(limit),
        periods=cpu.get("nr_periods", 0),
        throttled_periods=cpu.get("nr_throttled", 0),
    )


def _read_v1(memberships: str, mount: Path) -> Usage:
    cpu_group = _group(mount / "cpu", _path(memberships, "cpu"))
    account_group = _group(mount / "cpuacct", _path(memberships, "cpuacct"))
    memory_group = _group(mount / "memory", _path(memberships, "memory"))
    quota = _number(cpu_group / "cpu.cfs_quota_us")
    limit = _number(memory_group / "memory.limit_in_bytes")
    cache = _table(memory_group / "memory.stat").get("total_inactive_file", 0)
    cpu = _table(cpu_group / "cpu.stat")
    return Usage(
        scope="cgroup-v1",
        cpu_seconds=_number(account_group / "cpuacct.usage") / 1e9,
        cpu_limit_cores=quota / _number(cpu_group / "cpu.cfs_period_us") if quota > 0 else None,
        memory_bytes=max(_number(memory_group / "memory.usage_in_bytes") - cache, 0),
        memory_limit_bytes=limit if limit < _NO_LIMIT_BYTES else None,
        periods=cpu["nr_periods"],
        throttled_periods=cpu["nr_throttled"],
    )


def _read_host(proc: Path) -> Usage:
    fields = [int(word) for word in _words(proc / "stat")[1:9]]
    memory = read_memory(proc=proc)
    idle = fields[3] + fields[4]  # proc(5): idle and iowait
    return Usage(
        scope="host",
        cpu_seconds=(sum(fields) - idle) / _TICKS_PER_SECOND,
        cpu_limit_cores=None,
        memory_bytes=memory["MemTotal"] - memory["MemAvailable"],
        memory_limit_bytes=None,
        periods=0,
        throttled_periods=0,
    )


def read_memory(*, proc: Path = _PROC) -> dict[str, int]:
    """Return /proc/meminfo in bytes."""
    lines = (proc / "meminfo").read_text(encoding="ascii").splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines[:3]}


def _memberships(proc: Path, pid: int | None) -> str:
    return (proc / str(pid or "self") / "cgroup").read_text(encoding="utf-8")


def _shows(mount: Path, memberships: str) -> bool:
    """Tell whether a group's folder is there: in version 1's hierarchy of memory, else in version 2's only one."""
    for controller in ("memory", ""):
        with suppress(KeyError):
            return (mount / controller / _path(memberships, controller).lstrip("/")).is_dir()
    return False


def _path(memberships: str, controller: str) -> str:
    """Return the group of one v1 controller, or of the unified hierarchy for "".

    Raises: KeyError where the process has none.
    """
    for line in memberships.splitlines():
        number, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") and (controller or number == "0"):
            return path
    raise KeyError(controller)


def _group(mount: Path, path: str) -> Path:
    """Return the folder of a group; a container whose own group is mounted at the root doesn't see the host's path."""
    group = mount / path.lstrip("/")
    return group if group.is_dir() else mount


def _table(path: Path) -> dict[str, int]:
    """Return a file of `name number` lines."""
    return {name: int(number) for name, number in (line.split() for line in path.read_text().splitlines())}


def _words(path: Path) -> list[str]:
    with path.open(encoding="ascii") as file:
        return file.readline().split()


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))
