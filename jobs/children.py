"""Runs as child processes: they have no terminal, hear of their parent's death, and are ended in order."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.holder import is_gone, name_of

_PR_SET_PDEATHSIG = 1  # prctl(2), linux/prctl.h

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
