"""Signals to one process, never to another that got its pid, and the wait for its end."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from agent.actions.act import ActFailed


@dataclass(frozen=True, slots=True)
class Handle:
    """A process held by a pidfd (pidfd_open(2)), which stays this process's whatever becomes of the pid."""

    pid: int
    fd: int

    def send(self, sent: signal.Signals) -> None:
        """Send a signal; to one that has ended it does nothing. Raises: ActFailed without the right."""
        try:
            signal.pidfd_send_signal(self.fd, sent)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise ActFailed(f"process {self.pid} may not be signalled from here (another user, no CAP_KILL)") from error

    def ends_within(self, seconds: float) -> bool:
        """Wait for the end of the process, and tell whether it came."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))


@contextmanager
def hold(process: psutil.Process) -> Iterator[Handle | None]:
    """Yield a handle on a process, None when it has ended. Raises: ActFailed where the kernel has no pidfds."""
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        yield None
        return
    except OSError as error:
        raise ActFailed(f"process {process.pid} can't be held: {error.strerror}") from error
    try:
        # Compared after it is held: from here on the pid can't be somebody else's.
        yield Handle(process.pid, fd) if process.is_running() else None
    finally:
        os.close(fd)
