"""The thread beside the rounds: hears SIGTERM, renews the lease while a round is slow, ends a round that hangs."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from types import TracebackType
from typing import Self

from jobs.errors import StoreError, Superseded
from jobs.schedule import WindowSettings
from jobs.store.connection import open_store, transaction
from jobs.store.lease import Lease, renew

logger = logging.getLogger(__name__)

_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})

# chosen: at once by a person's measure, and five looks a second cost nothing.
_STEP_SECONDS = 0.2

# chosen: a renewal is due a fifth early, so that one that has to wait for the write lock is still in time.
_EARLY_RATIO = 0.8

# chosen: the thread waits no longer than this for the write lock, or it would be deaf to signals; it tries again.
_LOCK_MILLISECONDS = 400


class Watch:
    """Watches one run from a thread of its own, as a context manager around everything the run does.

    SIGTERM and SIGINT are blocked in all threads and looked for here: no handler interrupts a round, and a round that
    is stuck in C code can't hide them. leaving: set once somebody asked the run to end.
    """

    def __init__(self, settings: WindowSettings) -> None:
        self.leaving = threading.Event()
        self._settings = settings
        self._held: Lease | None = None
        self._renewed_at = 0.0
        self._leave_by: float | None = None
        self._steps_in_round: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._problem: str | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        while signal.sigpending() & _SIGNALS:
            signal.sigwait(_SIGNALS)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def holds(self, lease: Lease | None) -> None:
        """Say which lease the run holds as of its write just now, None when it holds none."""
        self._renewed_at = time.monotonic()
        self._held = lease

    @contextmanager
    def in_round(self) -> Iterator[None]:
        """Mark the block as one round, to be ended when it hangs."""
        self._steps_in_round = 0
        try:
            yield
        finally:
            self._steps_in_round = None

    def _run(self) -> None:
        with ExitStack() as opened:
            while not self._ended.wait(_STEP_SECONDS):
                # Not sigtimedwait(): CPython returns a signal that nobody sent when SIGCONT interrupts it at its end.
                if not self._leave_by and signal.sigpending() & _SIGNALS:
                    self._leave_by = time.monotonic() + self._settings.leave_seconds
                    self.leaving.set()
                self._end_late_leaver()
                self._end_hung_round()
                held = self._held
                if held and time.monotonic() - self._renewed_at > _EARLY_RATIO * self._settings.renew_seconds:
                    self._renew(held, opened)

    def _renew(self, held: Lease, opened: ExitStack) -> None:
        """Show in the store that the run lives; a failure is logged once and tried again at the next step."""
        try:
            if self._connection is None:
                self._connection = opened.enter_context(closing(open_store(self._settings.store)))
                self._connection.execute(f"PRAGMA busy_timeout={_LOCK_MILLISECONDS}")
            with transaction(self._connection):
                renew(self._connection, held)
        except Superseded:
            if self._held is held:
                self._held = None
        except StoreError as error:
            if self._problem != str(error):
                logger.warning("a renewal failed, it is tried again", extra={"problem": str(error)})
            self._problem = str(error)
        else:
            self._renewed_at = time.monotonic()
            self._problem = None

    def _end_late_leaver(self) -> None:
        """End the process when somebody asked it to long enough ago; what its round found is lost."""
        if self._leave_by and time.monotonic() > self._leave_by:
            logger.warning("left in the middle of a round", extra={"limit_seconds": self._settings.leave_seconds})
            os._exit(0)

    def _end_hung_round(self) -> None:
        """End the process when its round takes too long; another one takes over.

        Steps are counted, not seconds, so that a process that was stopped isn't taken for one that hangs.
        """
        if self._steps_in_round is None:
            return
        self._steps_in_round += 1
        if self._steps_in_round * _STEP_SECONDS > self._settings.round_seconds:
            logger.error("a round hangs, the process ends", extra={"limit_seconds": self._settings.round_seconds})
            os._exit(os.EX_TEMPFAIL)
