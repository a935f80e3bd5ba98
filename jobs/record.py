"""One execution of one command as table `runs` and the log's closing line tell it."""

from __future__ import annotations

import logging
import secrets
import sqlite3
from contextlib import suppress
from enum import StrEnum

from jobs.clock import Clock
from jobs.errors import StoreError
from jobs.store.connection import transaction
from jobs.store.writer import end_run, start_run, tick_run

logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    SUPERSEDED = "superseded"
    FAILED = "failed"


class Record:
    """The row of one run, made when the run begins."""

    def __init__(self, connection: sqlite3.Connection, command: str, holder: str, clock: Clock) -> None:
        self._connection = connection
        self._command = command
        self._clock = clock
        self._began_at = clock.monotonic()
        self._id = secrets.token_hex(8)
        self._ticks = 0
        with transaction(connection):
            start_run(connection, self._id, command=command, holder=holder, at_ms=clock.wall_ms())

    @property
    def seconds(self) -> float:
        """How long the run has lived."""
        return self._clock.monotonic() - self._began_at

    def note_tick(self, *, instances: int | None, duration_seconds: float, problem: str | None) -> None:
        """Note one tick, inside its transaction."""
        tick_run(
            self._connection,
            self._id,
            at_ms=self._clock.wall_ms(),
            instances=instances,
            duration_seconds=duration_seconds,
            problem=problem,
        )
        self._ticks += 1

    def note_end(self, outcome: Outcome, problem: str | None) -> None:
        """Note how the run ended, unless the store refuses that too."""
        with suppress(StoreError), transaction(self._connection):
            end_run(self._connection, self._id, at_ms=self._clock.wall_ms(), outcome=outcome, problem=problem)

    def end(self, outcome: Outcome, problem: str | None, **counts: int) -> None:
        """Note how the run ended, and log it with what it counted."""
        self.note_end(outcome, problem)
        extra = {
            "command": self._command,
            "run": self._id,
            "outcome": outcome,
            "ticks": self._ticks,
            "seconds": round(self.seconds, 1),
            "problem": problem,
            **counts,
        }
        logger.log(logging.ERROR if outcome is Outcome.FAILED else logging.INFO, "run finished", extra=extra)
