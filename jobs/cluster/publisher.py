"""Keeping ConfigMap `loco-health` up to date, from a thread of its own: a silent API server holds nobody up."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from functools import partial

from jobs.cluster.client import ClusterClient, Object
from jobs.cluster.fields import at
from jobs.cluster.snapshot import JSON, NAME, TooLarge, essence, render
from jobs.errors import ClusterError, Forbidden, NotFound
from jobs.store import reader
from jobs.store.connection import reading
from jobs.store.snapshot import REFRESH_MS, FleetSnapshot, SnapshotInvalid, decode, read_snapshot

logger = logging.getLogger(__name__)

# issue: at most once a minute. A write that failed counts too.
SPACING_MS = 60_000

MANAGER = "loco-health"


class Publisher:
    """Write the snapshot when it says something else than before, and every two minutes. clock: Unix milliseconds.

    problem: why the last write failed, None when it didn't; it never fails a run.
    """

    def __init__(
        self, namespace: str, *, clock: Callable[[], int], connect: Callable[[], ClusterClient] = ClusterClient
    ) -> None:
        self.problem: str | None = None
        self._namespace = namespace
        self._clock = clock
        self._connect = connect
        self._client: ClusterClient | None = None
        self._thread: threading.Thread | None = None
        self._is_known = False
        self._tried_at_ms: int | None = None
        self._written: FleetSnapshot | None = None
        self._seen_revision: int | None = None

    def look(self, connection: sqlite3.Connection) -> None:
        """Begin to write the snapshot where that is due; return at once."""
        now_ms = self._clock()
        if (self._thread and self._thread.is_alive()) or not _is_over(self._tried_at_ms, SPACING_MS, now_ms):
            return
        if not self._is_known:
            self._start(self._know)
            return
        is_refresh = _is_over(self._written.written_at_ms if self._written else None, REFRESH_MS, now_ms)
        with reading(connection):
            revision = reader.revision(connection)
            if revision == self._seen_revision and not is_refresh:
                return
            snapshot = read_snapshot(connection, at_ms=now_ms)
        self._seen_revision = revision
        if is_refresh or self._written is None or essence(snapshot) != essence(self._written):
            self._start(partial(self._publish, snapshot))

    def wait(self) -> None:
        """Wait for the write that is under way."""
        if self._thread:
            self._thread.join()

    def _start(self, request: Callable[[], None]) -> None:
        """Make a request in a thread; what goes wrong with it, a bug too, is a problem until a minute later."""

        def run() -> None:
            problem: str | None = self._unwritable("the thread that does it has died, see its traceback")
            try:
                request()
                problem = None
            except Forbidden as error:
                problem = self._forbidden(error)
            except (ClusterError, TooLarge) as error:
                problem = self._unwritable(str(error))
            finally:
                self._end(problem)

        self._thread = threading.Thread(target=run, name="snapshot", daemon=True)
        self._thread.start()

    def _know(self) -> None:
        """Take over what the last run wrote, so that a hand-over adds no write.

        Raises: ClusterError.
        """
        try:
            text = at(self._opened().get(self._path), "data", JSON)
            self._written = decode(text) if isinstance(text, str) else None
        except (NotFound, SnapshotInvalid):
            self._written = None  # it is to be made, or made anew
        if self._written:
            self._tried_at_ms = self._written.written_at_ms
        self._is_known = True

    def _publish(self, snapshot: FleetSnapshot) -> None:
        """Raises: ClusterError, TooLarge."""
        self._tried_at_ms = snapshot.written_at_ms
        self._opened().apply(self._path, _config_map(self._namespace, render(snapshot)), manager=MANAGER)
        self._written = snapshot

    def _opened(self) -> ClusterClient:
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _end(self, problem: str | None) -> None:
        """Note how a request ended, and log what hasn't been said yet."""
        if problem:
            self._tried_at_ms = self._clock()
            if problem != self.problem:
                logger.warning("snapshot can't be published", extra={"problem": problem})
        self.problem = problem

    def _unwritable(self, why: str) -> str:
        return f"ConfigMap {self._namespace}/{NAME} can't be written: {why}; it is tried again in a minute"

    def _forbidden(self, error: Forbidden) -> str:
        return (
            f"discover may not write ConfigMap {NAME} in namespace {self._namespace}: "
            f"it needs create, and get and patch by that name ({error}); it is tried again in a minute"
        )

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self._namespace}/configmaps/{NAME}"


def _is_over(since_ms: int | None, pause_ms: int, now_ms: int) -> bool:
    """Tell whether a pause is over; a clock that was set back ends it."""
    return since_ms is None or not since_ms <= now_ms < since_ms + pause_ms


def _config_map(namespace: str, data: dict[str, str]) -> Object:
    """Return the object as server-side apply takes it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": NAME,
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/name": "loco-health",
                "app.kubernetes.io/component": "discover",
                "app.kubernetes.io/managed-by": "loco-health",
            },
        },
        "data": data,
    }
