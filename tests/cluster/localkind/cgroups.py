"""The cgroups of a cluster, and through them every process that it ever started.

A process can't leave its cgroup by forking, so this finds shims, containers and what `kubectl exec` began as surely as
daemons, with no list of pids to go stale.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from localkind.errors import LocalkindError

ROOT = Path("/sys/fs/cgroup")
END_TIMEOUT_SECONDS = 20.0
POLL_SECONDS = 0.02


def hierarchies() -> list[Path]:
    """Return the root of every hierarchy: one on cgroup v2; one a controller, and v2's own, on v1."""
    if _is_v2():
        return [ROOT]
    return sorted(path for path in ROOT.glob("*") if not path.is_symlink() and (path / "cgroup.procs").exists())


def make(group: str) -> None:
    """Make the cgroup in every hierarchy."""
    for root in hierarchies():
        (root / group).mkdir(parents=True, exist_ok=True)
    if _is_v2():
        _hand_controllers_down(group)


def entrances(group: str) -> list[Path]:
    """Return the files that a process writes its pid into to enter the cgroup.

    cpuset on v1 is left out: it takes no process before its CPUs are set; the kubelet sets those of the pods.
    """
    return [root / group / "cgroup.procs" for root in hierarchies() if root.name != "cpuset"]


def processes(group: str) -> set[int]:
    """Return the pids of all processes in the cgroup and below it."""
    return {pid for root in hierarchies() for pid in _below(root / group)}


def end(group: str) -> None:
    """Kill all processes in the cgroup, wait until they are gone, and remove it."""
    deadline = time.monotonic() + END_TIMEOUT_SECONDS
    while pids := processes(group):
        if time.monotonic() > deadline:
            raise LocalkindError(
                f"processes {sorted(pids)} of cgroup {group} did not end within {END_TIMEOUT_SECONDS:.0f} s"
            )
        for pid in pids:
            _kill(pid, group)
        time.sleep(POLL_SECONDS)
    for root in hierarchies():
        _remove(root / group, deadline=deadline)


def _is_v2() -> bool:
    return (ROOT / "cgroup.controllers").exists()


def _hand_controllers_down(group: str) -> None:
    """Give the cgroup all controllers, as a kubelet wants: on v2 it has those that each cgroup above hands down."""
    for parent in reversed(Path(group).parents):
        for controller in (ROOT / parent / "cgroup.controllers").read_text().split():
            with suppress(OSError):  # one that can't be had now; the kubelet says so if it needs it
                (ROOT / parent / "cgroup.subtree_control").write_text(f"+{controller}")


def _kill(pid: int, group: str) -> None:
    """Kill the process if it is still the one that was seen: a pid may be given to a stranger at any time."""
    try:
        handle = os.pidfd_open(pid)
    except (ProcessLookupError, FileNotFoundError):  # gone, or going: some kernels say ENOENT then
        return
    try:
        if pid in processes(group):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def _below(folder: Path) -> Iterator[int]:
    for path, _, _ in os.walk(folder):
        with suppress(OSError):  # the cgroup was removed while it was read
            yield from map(int, Path(path, "cgroup.procs").read_text().split())


def _remove(folder: Path, *, deadline: float) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        while Path(path).exists():
            try:
                Path(path).rmdir()
            except OSError:  # the kernel counts a process for a moment after it has gone
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)
