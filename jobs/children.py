"""Runs as child processes: they have no terminal and are ended in order.

A run of a schedule hears of its parent's death. A recovery outlives the run that started it, and then becomes a child
of the scheduler, which adopts what its own children leave behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jobs.holder import is_gone, name_of

# prctl(2); the numbers are those of linux/prctl.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Child:
    """One run of `python -m jobs`. name: as `jobs.holder` has it. started_at: on the monotonic clock."""

    process: subprocess.Popen[bytes]
    name: str
    started_at: float

    @property
    def exit_code(self) -> int | None:
        """The exit code, -N for an end by signal N, None while it runs."""
        return self.process.poll()

    @property
    def is_working(self) -> bool:
        """Whether it runs and nobody has stopped it with a signal."""
        return self.exit_code is None and not is_gone(self.name)


def start_child(arguments: tuple[str, ...]) -> Child:
    """Start `python -m jobs` with these arguments; it gets SIGTERM when this process dies.

    Raises: OSError when the machine has no room for one more process.
    """
    parent = os.getpid()

    def in_child() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if os.getppid() != parent:
            os._exit(0)

    process = subprocess.Popen(
        (sys.executable, "-m", "jobs", *arguments),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=in_child,  # noqa: PLW1509 - this process has one thread
    )
    return Child(process, name_of(process.pid), time.monotonic())


def start_lasting_child(arguments: tuple[str, ...], environment: Mapping[str, str]) -> Child:
    """Start `python -m jobs` with these arguments, to end by itself, whatever becomes of this process.

    Raises: OSError when the machine has no room for one more process.
    """
    process = subprocess.Popen(
        (sys.executable, "-m", "jobs", *arguments),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, **environment},
    )
    return Child(process, name_of(process.pid), time.monotonic())


def stop_children(children: Iterable[Child], patience_seconds: float) -> None:
    """Ask all to end, wake those that somebody stopped, and kill what is left when the patience is over."""
    children = list(children)
    for child in children:
        child.process.terminate()
        child.process.send_signal(signal.SIGCONT)
    ends_at = time.monotonic() + patience_seconds
    for child in children:
        try:
            child.process.wait(max(0, ends_at - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()


def adopt_orphans() -> None:
    """Become the parent of every process that a child of this one leaves behind."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap_orphans(children: Iterable[Child]) -> None:
    """Let go of adopted processes that have ended. children: those that this process started, which it asks itself."""
    own = {child.process.pid for child in children}
    with suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid not in own:
            os.waitpid(ended.si_pid, 0)


def stop_orphans(patience_seconds: float) -> None:
    """Ask every child that is left to end, wake those that somebody stopped, and kill what outlasts the patience."""
    for pid in _living_children():
        _send(pid, signal.SIGTERM)
        _send(pid, signal.SIGCONT)
    ends_at = time.monotonic() + patience_seconds
    while time.monotonic() < ends_at and _living_children():
        time.sleep(0.05)
    for pid in _living_children():
        _send(pid, signal.SIGKILL)


def _living_children() -> list[int]:
    """Return the pids of this process's children that haven't ended; proc_pid_stat(5), fields 1, 3 and 4."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid() and state not in "ZX":
                found.append(int(path.parent.name))
    return found


def _send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a child, which may have ended; its pid is nobody else's before it was waited for."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
