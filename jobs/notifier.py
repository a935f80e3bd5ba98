"""The telling of people, as `dispatch` does it: each destination has its own queue in the store, and its own pace."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jobs.notify.carrier import Carrier
from jobs.notify.letter import letter_of
from jobs.notify.sending import Destination, Report, Task
from jobs.store import deliveries
from jobs.store.connection import reading
from jobs.store.fleet import public_ids
from jobs.store.plans import read_plans
from jobs.window import Observed

# chosen: with a round a second, and every other one to write down what arrived, a queue that grew is drained with about
# 10 messages a second.
_LETTERS = 20

# chosen: a letter that fails again and again is tried every four minutes.
_MAX_DOUBLINGS = 8


@dataclass
class _Queue:
    """What is known of one destination's queue without reading it.

    has_moved: look at it. refusal: what the receiver has against a letter, though it takes others.
    """

    carrier: Carrier
    has_moved: bool = True
    due_at_ms: int | None = None
    waiting: int = 0
    refusal: str | None = None

    @property
    def problem(self) -> str | None:
        """Return what keeps its letters from arriving."""
        to = self.carrier.destination
        cause = self.carrier.problem or (self.refusal and f"{to.name} {to.place}: {self.refusal}")
        return cause and f"{cause}; notifications that wait for it, each for a day: {self.waiting}"


class Notifier:
    """Send notifications, at least once each, in the order of their incident; no receiver ever fails a run.

    clock: Unix milliseconds.
    """

    def __init__(self, destinations: Sequence[Destination], *, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._queues = [_Queue(Carrier(one)) for one in destinations]
        self._data_version = -1
        self._is_known = False

    def resume(self) -> None:
        """Look anew at what waits, and for whom."""
        self._data_version = -1
        self._is_known = False

    def observe(self, connection: sqlite3.Connection, *, is_tick: bool) -> Observed:
        """Take what was sent since the last round, and send what is due; return what is to be written."""
        taken = [(queue, report) for queue in self._queues if (report := queue.carrier.take()) is not None]
        for queue, report in taken:
            queue.has_moved = True
            queue.refusal = next((one.problem for one in report.sent if one.problem), queue.refusal)
        self._look(connection, is_tick=is_tick)
        busy = [queue for queue, _ in taken]  # what they sent isn't written yet
        self._start(connection, [queue for queue in self._queues if queue not in busy and self._is_ready(queue)])
        return self._observed(connection, taken)

    def _look(self, connection: sqlite3.Connection, *, is_tick: bool) -> None:
        """Find out whether anybody has written since the last round."""
        if not self._queues:
            return
        with reading(connection):
            (data_version,) = connection.execute("PRAGMA data_version").fetchone()
        if is_tick or data_version != self._data_version:
            self._data_version = data_version
            for queue in self._queues:
                queue.has_moved = True

    def _is_ready(self, queue: _Queue) -> bool:
        is_due = queue.due_at_ms is not None and queue.due_at_ms <= self._clock()
        return queue.carrier.is_free and (queue.has_moved or is_due or queue.carrier.is_to_repeat)

    def _start(self, connection: sqlite3.Connection, ready: Sequence[_Queue]) -> None:
        """Give each carrier what is due, read at one moment."""
        if not ready:
            return
        with reading(connection):
            plans = {plan.incident: plan for plan in read_plans(connection).values()}
            ids = public_ids(connection)
            waiting = deliveries.queues(connection)
            tasks = []
            for queue in ready:
                carrier, name = queue.carrier, queue.carrier.destination.name
                due = deliveries.due(connection, name, now_ms=self._clock(), limit=_LETTERS)
                standing = deliveries.standing(connection) if carrier.is_to_repeat else []
                queue.due_at_ms = deliveries.next_due_ms(connection, name)
                queue.waiting = waiting[name].waiting if name in waiting else 0
                tasks.append(
                    Task(
                        tuple(letter_of(one, plans, ids) for one in due),
                        tuple(letter_of(one, plans, ids) for one in standing),
                    )
                )
        for queue, task in zip(ready, tasks, strict=True):
            queue.has_moved = False
            if not (queue.waiting or task.standing):
                queue.carrier.problem = queue.refusal = None
            queue.carrier.start(task)

    def _observed(self, connection: sqlite3.Connection, taken: Sequence[tuple[_Queue, Report]]) -> Observed:
        names = frozenset(queue.carrier.destination.name for queue in self._queues)
        if not self._is_known:
            with reading(connection):
                self._is_known = deliveries.destinations(connection) == names
        problems = [queue.problem for queue in self._queues if queue.problem]
        count = sum(len(report.sent) for _, report in taken)
        is_idle = self._is_known and not count

        def write(connection: sqlite3.Connection) -> None:
            if not self._is_known:
                deliveries.set_destinations(connection, names, at_ms=self._clock())
            for queue, report in taken:
                self._write(connection, queue.carrier.destination.name, report)

        return Observed(None if is_idle else write, count, "; ".join(problems) or None)

    def _write(self, connection: sqlite3.Connection, name: str, report: Report) -> None:
        at_ms = self._clock()
        for one in report.sent:
            notice = one.letter.notice
            if one.problem is None and one.wait_seconds is None:
                deliveries.end(connection, name, notice.id, at_ms=at_ms)
                continue
            pause_ms = 1000 * 2 ** min(notice.tries, _MAX_DOUBLINGS)
            if one.wait_seconds is not None:
                pause_ms = round(one.wait_seconds * 1000)
            deliveries.postpone(connection, name, notice.id, due_at_ms=at_ms + pause_ms, problem=one.problem)
