"""One read-only connection to whatever file a path names now; for one thread at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs.errors import StoreLocked
from jobs.store.connection import open_reader, reading


class Opened:
    """A connection that is made at the first use, and anew when another file took the path.

    serial: how many connections there were; what was read over an earlier one may be of another file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self.serial = 0

    @contextmanager
    def transaction(self, wait_ms: int) -> Iterator[sqlite3.Connection]:
        """Yield the connection for queries of one moment. wait_ms: for a writer that is committing.

        Raises: JobError.
        """
        try:
            connection = self._opened()
            connection.execute(f"PRAGMA busy_timeout={wait_ms}")
            with reading(connection):
                yield connection
        except StoreLocked as error:
            raise StoreLocked(f"store {self._path} was held by a writer for over {wait_ms} ms") from error

    def close(self) -> None:
        """Close the connection; the next use opens another one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._file = None

    def _opened(self) -> sqlite3.Connection:
        file = _identity(self._path)
        if self._connection is not None and file == self._file:
            return self._connection
        self.close()
        self._connection, self._file = open_reader(self._path), file
        self.serial += 1
        return self._connection


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells this file from another one of the same name, None when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
