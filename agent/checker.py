"""One check in a thread of its own: what hangs is its own loss, and its block says so."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from agent.report import Block, rfc3339

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """One question: how it is measured, what stands for no answer, and how long an answer may take.

    measure: returns a block, with `checked_at` set only where its values are older than the call.
    blank: makes a block out of an `error` alone.
    """

    name: str
    measure: Callable[[], Block]
    blank: Callable[..., Block]
    deadline_seconds: float


@dataclass(slots=True)
class Tally:
    """What a check has cost."""

    runs: int = 0
    errors: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Checker:
    """Runs one check when told to, never twice at once."""

    check: Check
    tally: Tally = field(default_factory=Tally)
    _block: Block | None = None
    _started_at: float | None = None
    _go: threading.Event = field(default_factory=threading.Event)
    _done: threading.Event = field(default_factory=threading.Event)

    def open(self) -> None:
        """Start the thread; it ends with the process."""
        threading.Thread(target=self._serve, name=self.check.name, daemon=True).start()

    def start(self) -> None:
        """Begin a measurement unless one is under way."""
        if self._started_at is None:
            self._started_at = time.monotonic()
            self._done.clear()
            self._go.set()

    def wait(self, deadline: float) -> None:
        """Wait until the measurement has ended, or for the monotonic deadline."""
        self._done.wait(max(deadline - time.monotonic(), 0.0))

    def block(self) -> Block:
        """Return the latest answer, or why there is none; an answer overdue leaves no old values standing."""
        started_at = self._started_at
        if started_at is not None:
            seconds = time.monotonic() - started_at
            if seconds > self.check.deadline_seconds:
                return self.check.blank(
                    error=f"no answer for {seconds:.0f} s, due within {self.check.deadline_seconds:g}"
                )
        return self._block or self.check.blank(error="not measured yet")

    def _serve(self) -> None:
        while True:
            self._go.wait()
            self._go.clear()
            self._run()
            self._started_at = None
            self._done.set()

    def _run(self) -> None:
        started_at = time.monotonic()
        checked_at = rfc3339(time.time())
        try:
            block = self.check.measure()
        except Exception as error:  # noqa: BLE001 - one check's failure is data, whatever it is
            _log.debug("check failed", exc_info=True, extra={"check": self.check.name})
            self.tally.errors += 1
            block = self.check.blank(error=f"{type(error).__name__}: {error}"[:300])
        self._block = msgspec.structs.replace(block, checked_at=block.checked_at or checked_at)
        self.tally.runs += 1
        self.tally.seconds += time.monotonic() - started_at
