"""Processes by pid and start time, so that a recycled pid is never signalled, and children that are started again."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

logger = logging.getLogger(__name__)

# chosen: QEMU and PulseAudio were seen to leave within 0.2 s of SIGTERM; a demo gives a whole decoy 10 s.
GRACE_SECONDS = 5.0

# A container that ends is started again at once the first time (Kubernetes docs, Pod Lifecycle); crashes repeat, a quit
# doesn't.
QUIT_RESTART_SECONDS = 1.0

# chosen: QEMU's complaints name a file and a reason.
_SAID_BYTES = 500


class Process(msgspec.Struct, frozen=True):
    """One process of this boot. start_ticks: clock ticks from boot to its start (proc(5), stat field 22)."""

    pid: int
    start_ticks: int

    @property
    def state(self) -> str | None:
        """Return the kernel's state letter (`R`, `S`, `T` stopped, `Z`, ...), or None when it is gone."""
        found = _stat(self.pid)
        return found[0] if found and found[1] == self.start_ticks else None

    @property
    def is_alive(self) -> bool:
        """Tell whether it is there and no zombie."""
        return self.state not in (None, "Z")

    def send(self, sent: signal.Signals) -> bool:
        """Send a signal, and tell whether the process was there to get it."""
        if not self.is_alive:
            return False
        try:
            os.kill(self.pid, sent)
        except ProcessLookupError:
            return False
        return True


def identify(pid: int) -> Process:
    """Return the process that has this pid now; the caller knows that it has not been reaped.

    Raises: ProcessLookupError when nobody has it.
    """
    found = _stat(pid)
    if found is None:
        raise ProcessLookupError(f"no process {pid}")
    return Process(pid, found[1])


def boot_id() -> str:
    """Return what tells this boot of the machine from every other (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def end(processes: Iterable[Process], *, grace_seconds: float = GRACE_SECONDS) -> None:
    """End processes: SIGTERM, then SIGKILL for those still there after the grace; SIGCONT lets a stopped one act."""
    remaining = list(processes)
    for sent in (signal.SIGTERM, signal.SIGKILL):
        for process in remaining:
            process.send(sent)
            process.send(signal.SIGCONT)
        deadline = time.monotonic() + grace_seconds
        while remaining and time.monotonic() < deadline:
            time.sleep(0.02)
            remaining = [process for process in remaining if process.is_alive]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program of a decoy: its arguments, environment, log, and how soon it starts again after it exits."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    restart_seconds: float


class Child:
    """A program that is started again some seconds after it exits, sooner when it was asked to."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._popen: subprocess.Popen[bytes] | None = None
        self._due = 0.0
        self.process: Process | None = None

    def tend(self, now: float) -> bool:
        """Notice an exit, start what is due, and tell whether `process` changed. now: monotonic seconds."""
        if self._popen is None:
            return now >= self._due and self._start()
        code = self._popen.poll()
        if code is None:
            return False
        seconds = min(self.program.restart_seconds, QUIT_RESTART_SECONDS) if code == 0 else self.program.restart_seconds
        logger.warning(
            "a program exited",
            extra={
                "program": self.program.name,
                "exit_code": code,
                "said_last": _last_line(self.program.log),
                "again_in_seconds": seconds,
            },
        )
        self._popen = self.process = None
        self._due = now + seconds
        return True

    def hurry(self) -> None:
        """Start it at the next `tend` if it is away."""
        self._due = 0.0

    def _start(self) -> bool:
        with self.program.log.open("ab") as log:
            self._popen = subprocess.Popen(
                self.program.arguments,
                env=dict(self.program.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal is for the decoy, which then stops its programs in order
            )
        self.process = identify(self._popen.pid)
        return True


def _last_line(log: Path) -> str:
    """Return the end of a log, where a program that can't start says why."""
    with log.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - _SAID_BYTES, 0))
        return file.read().decode(errors="replace").strip().rpartition("\n")[2]


def _stat(pid: int) -> tuple[str, int] | None:
    """Return a process's state letter and start in clock ticks since boot."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])
