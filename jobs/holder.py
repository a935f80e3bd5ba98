"""Processes by a name that says whether they still live, where this machine can tell.

A name is `host:pid:start`, start being the process's, in the kernel's clock ticks since boot.
In Kubernetes the host is the pod, so another pod's process stays unknown and only its silence counts.
A wrong answer costs a hand-over and never a second tick: every write is fenced by the lease's token.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

# proc_pid_stat(5): zombie, dead; T: stopped by a signal. A stopped process may wake any time; the fence is for that.
_DEAD_STATES = frozenset("ZX")
_GONE_STATES = _DEAD_STATES | {"T"}

# What runs elsewhere has a name of another form: a pod's uid, a Job's name.
_NAME = re.compile(r"(.+):([0-9]{1,10}):([0-9]+)")


def own_name() -> str:
    """Return this process's name."""
    return name_of(os.getpid())


def name_of(pid: int) -> str:
    """Return the name of a process of this machine that hasn't been waited for."""
    return f"{socket.gethostname()}:{pid}:{_state_and_start(pid)[1]}"


def is_gone(name: str) -> bool:
    """Tell whether the process is known to be dead or stopped; False where that can't be known."""
    return _is_in(name, _GONE_STATES)


def is_dead(name: str) -> bool:
    """Tell whether the process is known to be dead; False where that can't be known."""
    return _is_in(name, _DEAD_STATES)


def _is_in(name: str, states: frozenset[str]) -> bool:
    match = _NAME.fullmatch(name)
    if match is None or match[1] != socket.gethostname():
        return False
    try:
        state, started = _state_and_start(int(match[2]))
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in states or started != match[3]


def _state_and_start(pid: int) -> tuple[str, str]:
    """Return fields 3 and 22 of /proc/PID/stat; the second field, a name in brackets, may hold anything."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], fields[19]
