"""One instance and the switches without an API server: the inventory in the store, files in a folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from jobs.errors import Forbidden, NotFound
from jobs.health.control import Stop
from jobs.health.model import Instance, InstanceKey
from jobs.store import reader
from jobs.store.connection import reading
from jobs.switches import stop_in


class LocalGround:
    """Reads the inventory. control: the folder of switches, None where there is none."""

    def __init__(
        self, connection: sqlite3.Connection, key: InstanceKey, *, control: Path | None, wall_ms: Callable[[], int]
    ) -> None:
        self._connection = connection
        self._key = key
        self._control = control
        self._wall_ms = wall_ms

    def stop(self) -> Stop | None:
        """Return what the switches in the folder forbid now."""
        return stop_in(self._control, self._wall_ms())

    def instance(self) -> Instance | None:
        """Return the instance as the inventory has it now, None when it names it no more."""
        with reading(self._connection):
            found = [one for one in reader.inventory(self._connection) if one.key == self._key]
        return found[0] if found else None

    def delete_pod(self, uid: str) -> None:
        """Refuse: here are no pods. Raises: Forbidden."""
        raise Forbidden(f"{self._key} has no pod of uid {uid} that could be deleted here")


class NoGround:
    """What there is to stand on for an instance that the inventory doesn't have: nothing, also if it comes back."""

    def stop(self) -> Stop | None:
        """Return None: there is nothing to forbid."""
        return None

    def instance(self) -> Instance | None:
        """Return None."""
        return None

    def delete_pod(self, uid: str) -> None:
        """Refuse. Raises: NotFound."""
        raise NotFound(f"the inventory has no instance with a pod of uid {uid}")
