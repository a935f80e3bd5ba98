"""The telling half of `dispatch`: what stands in the outbox becomes Events; a new row is noticed within a second."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from jobs.errors import ClusterError, Forbidden, NotFound
from jobs.health.model import Pod
from jobs.holder import own_name
from jobs.store import outbox
from jobs.store.connection import reading
from jobs.store.outbox import MAX_PAUSE_MS, Ending, Waiting
from jobs.window import Observed

if TYPE_CHECKING:
    from jobs.cluster.client import ClusterClient

logger = logging.getLogger(__name__)

# chosen: a round ends before the 20 s after which it is taken to hang, also when its last request takes the longest,
# 3 s to connect and READ_SECONDS to answer.
_ROUND_SECONDS = 5.0

READ_SECONDS = 4.0

_ROWS = 200

# chosen: a request that fails this late has waited for a server that is mute. It is left alone for four times as long,
# so that recovery and notifications, which share the rounds, have four fifths of their time.
_MUTE_SECONDS = 1.0
_REST_FACTOR = 4

# What is told of an instance that a file names, or of several at once.
NO_POD = "there is no pod that an Event could be about"


@dataclass(frozen=True, slots=True)
class _Sent:
    """How sending one row ended: with an ending, or with the time of the next try."""

    row: Waiting
    ending: Ending | None = None
    due_at_ms: int = 0
    problem: str | None = None


class Courier:
    """Send the outbox, best effort: what can't be sent waits, and never fails a run.

    clock: Unix milliseconds. connect: called when something is to be sent, as loading a client costs 130 ms.
    """

    def __init__(self, connect: Callable[[], ClusterClient], *, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._connect = connect
        self._data_version = -1
        self._due_at_ms: int | None = None
        self._silent_until = -inf
        self._problem: str | None = None

    def resume(self) -> None:
        """Look anew at what waits."""
        self._data_version = -1

    def observe(self, connection: sqlite3.Connection, *, is_tick: bool) -> Observed:
        """Send what is due, and return how each ended; between two ticks the store is read only when it has moved."""
        if time.monotonic() < self._silent_until or not (is_tick or self._is_due(connection)):
            return Observed(None, 0, self._problem)
        with reading(connection):
            rows = outbox.due(connection, now_ms=self._clock(), limit=_ROWS)
            self._due_at_ms = outbox.next_due_ms(connection)
        if not rows:
            if self._due_at_ms is None:
                self._problem = None
            return Observed(None, 0, self._problem)
        sent = self._send_all(rows)
        return Observed(lambda connection: self._write(connection, sent), len(sent), self._problem)

    def _is_due(self, connection: sqlite3.Connection) -> bool:
        """Tell whether another connection has written since the last look, or a row's time has come."""
        with reading(connection):
            (data_version,) = connection.execute("PRAGMA data_version").fetchone()
        if data_version != self._data_version:
            self._data_version = data_version
            return True
        return self._due_at_ms is not None and self._due_at_ms <= self._clock()

    def _send_all(self, rows: Sequence[Waiting]) -> list[_Sent]:
        """Send rows until the round's time is over, or the server wants to be left alone; the others stay due."""
        ends_at = time.monotonic() + _ROUND_SECONDS
        sent = []
        for row in rows:
            began_at = time.monotonic()
            sent.append(self._send(row))
            self._note_mute(sent[-1], time.monotonic() - began_at)
            if time.monotonic() > ends_at or time.monotonic() < self._silent_until:
                break
        problems = [one.problem for one in sent if one.ending is None]
        problem = problems[-1] if problems else None
        if problem and problem != self._problem:
            logger.warning("events can't be sent", extra={"problem": problem, "waiting": len(problems)})
        self._problem = problem
        return sent

    def _note_mute(self, one: _Sent, seconds: float) -> None:
        """Leave a server alone that kept us waiting for nothing."""
        if one.ending is None and seconds > _MUTE_SECONDS:
            self._silent_until = max(self._silent_until, time.monotonic() + _REST_FACTOR * seconds)

    def _send(self, row: Waiting) -> _Sent:
        """Send one row; whatever the API server says, the run goes on."""
        pod = row.message.instance.pod if row.message.instance else None
        if pod is None:
            return _Sent(row, Ending.NOT_APPLICABLE, problem=NO_POD)
        from jobs.cluster.events import send  # noqa: PLC0415 - with the client, 130 ms and 20 MiB, paid by the first

        try:
            send(self._connect(), pod, row, sender=own_name())
        except ClusterError as error:
            self._silent_until = time.monotonic() + error.retry_seconds
            pause_ms = min(1000 * 2**row.tries, MAX_PAUSE_MS)
            problem = f"{_why(error, pod)}; it is tried again for a day"
            return _Sent(row, due_at_ms=self._clock() + pause_ms, problem=problem)
        return _Sent(row, Ending.SENT)

    def _write(self, connection: sqlite3.Connection, sent: Sequence[_Sent]) -> None:
        at_ms = self._clock()
        for one in sent:
            if one.ending:
                outbox.end(connection, one.row.id, one.ending, at_ms=at_ms, problem=one.problem)
            else:
                outbox.postpone(connection, one.row.id, due_at_ms=one.due_at_ms, problem=one.problem or "")
        self._due_at_ms = outbox.next_due_ms(connection)


def _why(error: ClusterError, pod: Pod) -> str:
    """Return what keeps an Event from its pod, with what a person can do about it."""
    if isinstance(error, Forbidden):
        if "being terminated" in str(error):  # kubernetes, the admission plugin NamespaceLifecycle
            return f"namespace {pod.namespace} of pod {pod.name} is being deleted ({error})"
        return (
            f"dispatch may not create events.k8s.io in namespace {pod.namespace}: "
            f"apply component watch-namespace there ({error})"
        )
    if isinstance(error, NotFound):
        return f"namespace {pod.namespace} of pod {pod.name} isn't there ({error})"
    return f"the Event of pod {pod.namespace}/{pod.name} can't be created: {error}"
