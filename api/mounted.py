"""The second source: ConfigMap `loco-health` as a folder, which the kubelet replaces by swapping a link."""

from __future__ import annotations

import stat
from pathlib import Path

from api.snapshot import Snapshot, by_public_id
from jobs.health.incident import Incident
from jobs.health.model import Instance
from jobs.store.reader import Latest
from jobs.store.snapshot import MAX_BYTES, FleetSnapshot, SnapshotInvalid, Told, decode

FILE = "snapshot.json"


class Mounted:
    """The newest snapshot that the folder held; one that can't be read leaves the last good one in place."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._seen: tuple[int, ...] | None = None
        self._snapshot: Snapshot | None = None
        self._problem = ""

    def look(self) -> tuple[Snapshot | None, str]:
        """Return the snapshot, None before the first, and what is wrong with the file, empty for nothing.

        Cost: one stat while the file is the same.
        """
        try:
            status = self.path.stat()
            seen = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                self._take(status.st_mode)
                self._seen = seen
        except OSError as error:
            self._seen = None
            self._fail("it isn't there yet" if isinstance(error, FileNotFoundError) else str(error))
        return self._snapshot, self._problem

    def _take(self, mode: int) -> None:
        """Take over what the file holds, unless it is no snapshot. Raises: OSError."""
        try:
            self._snapshot, self._problem = self._read(mode), ""
        except SnapshotInvalid as error:
            self._fail(str(error))

    def _fail(self, why: str) -> None:
        self._problem = f"the second source {self.path} can't be read either: {why}"

    def _read(self, mode: int) -> Snapshot:
        """Return what the file holds. Raises: OSError, SnapshotInvalid."""
        if not stat.S_ISREG(mode):
            raise SnapshotInvalid("it is no file")
        with self.path.open("rb") as file:
            return snapshot_of(decode(file.read(MAX_BYTES + 1)))


def snapshot_of(published: FleetSnapshot) -> Snapshot:
    """Return the snapshot that the store gave when this was written, without what was never published."""
    return Snapshot(
        revision=published.revision,
        instances=by_public_id([_instance(one) for one in published.instances]),
        latest={one.key: _latest(one, one.observed_at_ms) for one in published.instances if one.observed_at_ms},
        reports={},
        incidents={one.key: found for one in published.instances if (found := _incident(one))},
        discovered={one.key: one.discovered_at_ms for one in published.instances},
        pictures={},
        uptimes={},
        runs={run.command: run for run in published.runs},
        last_successes=published.last_successes,
        size_bytes=None,
        observed_at_ms=published.observed_at_ms,
        discovery=published.discovery,
        written_at_ms=published.written_at_ms,
    )


def _instance(one: Told) -> Instance:
    """Return the instance; of one that was trimmed, its names alone."""
    return one.instance or Instance(one.key, one.id, one.id, "", fields={"healthUrl": None})


def _incident(one: Told) -> Incident | None:
    """Return the open incident; of one that was trimmed its id counts, and what the instance says now."""
    if one.incident or one.incident_id is None:
        return one.incident
    opened_at_ms = one.since_ms or one.discovered_at_ms
    return Incident(
        one.incident_id, one.key, opened_at_ms, one.tick, one.failure_class, one.verdict, one.codes, (), one.tick
    )


def _latest(one: Told, observed_at_ms: int) -> Latest:
    return Latest(
        assessment=one.assessment,
        tick=one.tick,
        since_ms=observed_at_ms if one.since_ms is None else one.since_ms,
        outcome=one.outcome,
        detail=one.detail,
        probe_seconds=one.probe_seconds,
        skew_seconds=one.skew_seconds,
        connectivity=one.connectivity,
        report=None,
        report_at_ms=one.report_at_ms,
    )
