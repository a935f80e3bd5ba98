"""Following one store file: its newest snapshot, and queries, for several threads over two read-only connections."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from api.fleet import Fleet, see
from api.instants import rfc3339
from api.mounted import Mounted
from api.opened import Opened
from api.recovery import Bounds
from api.snapshot import Snapshot, load
from jobs.errors import JobError, StoreLocked
from jobs.switches import stop_in

Found = TypeVar("Found")

# chosen: a commit holds readers off for milliseconds; a longer wait would only delay an answer that can say its age.
LOOK_WAIT_MS = 250

# chosen: a query has no older answer to give, so it outwaits a slow disk. Its turn among queries is waited for within
# it, and where a look found the store held, it waits no longer than that look did: else pages that follow a held store
# would take every thread, and the liveness probe would find none.
QUERY_WAIT_MS = 5000


class Follower:
    """Keep the newest snapshot of a store that may not be there yet, may be replaced, and may refuse for a while.

    A store that refuses leaves the last snapshot in place, unless `second` knows something newer; `Fleet.problem`
    says why. second: the mounted ConfigMap, None where there is none. bounds: what the jobs were told of recovery.
    """

    def __init__(
        self,
        path: Path,
        clock_ms: Callable[[], int],
        *,
        second: Mounted | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self.path = path
        self.bounds = bounds or Bounds()
        self._clock_ms = clock_ms
        self._second = second
        # One of its own for each, so that a long query keeps no tick from being seen.
        self._looking, self._querying = Opened(path), Opened(path)
        self._look_lock, self._query_lock = threading.Lock(), threading.Lock()
        # The connection and its count of other connections' commits, as of the last look.
        self._seen: tuple[int, int] | None = None
        self._snapshot: Snapshot | None = None
        self._fleet = see(None, "", clock_ms())

    @property
    def published(self) -> Path | None:
        """Return the second source's file, None where there is no second source."""
        return self._second.path if self._second else None

    def look(self) -> Fleet:
        """Return the fleet as of now; also when the store refuses. Cost: 50 us when nothing moved.

        While another thread takes a new tick over, the one before is told at once, as old as it is by now.
        """
        if not self._look_lock.acquire(blocking=self._fleet.snapshot is None):
            fleet = self._fleet
            return self._as_of_now(fleet, fleet.snapshot, fleet.problem)
        try:
            return self._refreshed()
        finally:
            self._look_lock.release()

    def query(self, ask: Callable[[sqlite3.Connection], Found]) -> Found:
        """Return what `ask` reads in one transaction.

        Raises: JobError when the store can't be read.
        """
        wait_ms = LOOK_WAIT_MS if self._fleet.problem else QUERY_WAIT_MS
        with self._turn(wait_ms) as left_ms, self._querying.transaction(left_ms) as connection:
            return ask(connection)

    def close(self) -> None:
        """Close the file; a later look opens it again."""
        with self._look_lock, self._query_lock:
            self._looking.close()
            self._querying.close()

    @contextmanager
    def _turn(self, wait_ms: int) -> Iterator[int]:
        """Hold the queries' connection for the block; yield what is left of the wait. Raises: StoreLocked."""
        until = time.monotonic() + wait_ms / 1000
        if not self._query_lock.acquire(timeout=wait_ms / 1000):
            raise StoreLocked(f"other queries of this API kept store {self.path} busy for over {wait_ms} ms")
        try:
            yield max(0, round(1000 * (until - time.monotonic())))
        finally:
            self._query_lock.release()

    def _refreshed(self) -> Fleet:
        """Return the fleet as of now, and keep it."""
        try:
            self._snapshot = self._newest()
        except JobError as error:
            snapshot, problem = self._without_store(str(error))
        else:
            snapshot, problem = self._snapshot, ""
        self._fleet = self._as_of_now(self._fleet, snapshot, problem)
        return self._fleet

    def _as_of_now(self, fleet: Fleet, snapshot: Snapshot | None, problem: str) -> Fleet:
        """Return the fleet as of now, the same one while nothing about it has changed."""
        now_ms = self._clock_ms()
        stop = stop_in(self.bounds.control, now_ms)
        return fleet if fleet.holds(snapshot, problem, now_ms, stop) else see(snapshot, problem, now_ms, stop)

    def _without_store(self, problem: str) -> tuple[Snapshot | None, str]:
        """Return the newest that is known, and what is wrong."""
        if self._second is None:
            return self._snapshot, problem
        second, trouble = self._second.look()
        if second and second.written_at_ms and _is_newer(second, self._snapshot):
            at = rfc3339(second.written_at_ms)
            return second, f"{problem}; ConfigMap loco-health of {at} answers in its place"
        return self._snapshot, f"{problem}; {trouble}" if trouble and self._snapshot is None else problem

    def _newest(self) -> Snapshot:
        """Return the snapshot of now, the same one when no other connection has committed since."""
        with self._looking.transaction(LOOK_WAIT_MS) as connection:
            (data_version,) = connection.execute("PRAGMA data_version").fetchone()
            seen = (self._looking.serial, data_version)
            if self._snapshot is not None and seen == self._seen:
                return self._snapshot
            # Another file may hold another fleet under the same revision.
            previous = self._snapshot if self._seen and self._seen[0] == self._looking.serial else None
            snapshot = load(connection, previous, self.bounds)
        self._seen = seen
        return snapshot


def _is_newer(snapshot: Snapshot, than: Snapshot | None) -> bool:
    return than is None or (snapshot.observed_at_ms or 0) > (than.observed_at_ms or 0)
