"""Opening the file, transactions, and what SQLite's refusals mean to a command.

Every sqlite3 error that the world can cause leaves here as a StoreError of one sentence; a constraint or a wrong
statement is a bug of ours and passes as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec

from jobs.errors import (
    ConfigError,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreNewer,
    StoreNotLocal,
    StoreReadOnly,
)
from jobs.store.mounts import MOUNTINFO, filesystem_type, is_remote

SCHEMA_VERSION = 4
"""Migrations that a current file has seen; `PRAGMA user_version` holds it. A test ties it to jobs.store.schema."""

APPLICATION_ID = int.from_bytes(b"LOCO")
"""Told apart from other programs' files by it (sqlite.org/fileformat2.html section 1.3.13)."""

# architecture section 7
BUSY_TIMEOUT_SECONDS = 5

_CAUSES: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (StoreLocked, f"another connection held it for over {BUSY_TIMEOUT_SECONDS} s"),
    sqlite3.SQLITE_LOCKED: (StoreLocked, "another connection holds a table of it"),
    sqlite3.SQLITE_FULL: (StoreFull, "no space is left for it"),
    # SQLite tells ENOSPC apart (SQLITE_FULL) but neither EDQUOT nor EFBIG (os_unix.c, unixWrite).
    sqlite3.SQLITE_IOERR_WRITE: (StoreFull, "the file system took less than was written, as over a quota"),
    sqlite3.SQLITE_READONLY: (StoreReadOnly, "it can't be written"),
    sqlite3.SQLITE_READONLY_ROLLBACK: (StoreReadOnly, "a dead writer's journal waits for a job to roll it back"),
    sqlite3.SQLITE_PERM: (StoreReadOnly, "access is denied"),
    sqlite3.SQLITE_CANTOPEN: (StoreReadOnly, "it or its journal can't be opened"),
    sqlite3.SQLITE_CORRUPT: (StoreCorrupt, "its content is damaged"),
    sqlite3.SQLITE_NOTADB: (StoreCorrupt, "it is no SQLite file"),
    sqlite3.SQLITE_IOERR_SHORT_READ: (StoreCorrupt, "it ends too early"),
    sqlite3.SQLITE_IOERR: (StoreError, "reading or writing it failed"),
}
_NEXT_RUN = "nothing of it was kept, the next run tries again"


def open_store(path: Path) -> sqlite3.Connection:
    """Return a connection that may write; make the file, or bring it to this schema, when that is due.

    Reads once, which rolls back what a dead writer left in the journal.
    Raises: ConfigError for a place that can't hold a store, StoreError for one that can't be used now.
    """
    if not path.parent.is_dir():
        raise ConfigError(
            f"store {path}: folder {path.parent} doesn't exist; make it, or name another; nothing was written"
        )
    _refuse_remote(path)
    with refusals(path, "opening"):
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
    with _closed_on_error(connection):
        version = _version(connection, path)
        with refusals(path, "opening"):
            for setting in ("journal_mode=DELETE", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
                connection.execute(f"PRAGMA {setting}")
        if version < SCHEMA_VERSION:
            _migrate(connection, path)
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that can't write, from a read-only mount too; threads may share it one at a time.

    Raises: StoreError when the file isn't there yet, isn't readable, or its schema isn't this one.
    """
    if not path.is_file():
        raise StoreError(f"store {path} isn't there yet; a job makes it at its first run")
    _refuse_remote(path)
    with refusals(path, "opening"):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=BUSY_TIMEOUT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
    with _closed_on_error(connection):
        _refuse_older(_version(connection, path), path)
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the write lock for the block: commit at its end, roll back when it raises.

    Raises: StoreError when SQLite refuses; then nothing of the block was written.
    """
    with _block(connection, "BEGIN IMMEDIATE", "writing"):
        yield


@contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[None]:
    """Let the block's queries see one committed state, whatever a writer does meanwhile.

    Keep it short: a writer can't commit before it ends. Raises: StoreError when SQLite refuses, or for a row whose
    content isn't what was written, which SQLite doesn't notice.
    """
    with _block(connection, "BEGIN", "reading"):
        try:
            yield
        except (msgspec.MsgspecError, ValueError) as error:
            path = _path(connection)
            raise StoreCorrupt(f"store {path}: a row can't be read ({error}); {restore_hint(path)}") from error


def backup_path(path: Path) -> Path:
    """Return where the copy of a store stands that `compact` keeps."""
    return path.with_name(f"{path.name}.backup")


def restore_hint(path: Path) -> str:
    """Return what a person can do about a damaged store."""
    backup = backup_path(path)
    way = f"copy {backup} in its place" if backup.is_file() else "there is no backup, so a new one begins empty"
    return f"stop the jobs, move it and its -journal away, {way}"


@contextmanager
def _block(connection: sqlite3.Connection, begin: str, doing: str) -> Iterator[None]:
    """Run the block between `begin` and COMMIT."""
    with refusals(partial(_path, connection), doing):
        connection.execute(begin)
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            # A full disk or an I/O error may have rolled back already, or make this fail; the journal then does it.
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


@contextmanager
def refusals(place: Path | Callable[[], Path], doing: str) -> Iterator[None]:
    """Let what SQLite refuses inside the block leave it as a StoreError. place: the file, or what finds it then."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        cause = _CAUSES.get(code) or _CAUSES.get(code & 0xFF)
        if cause is None:
            raise
        kind, why = cause
        path = place() if callable(place) else place
        then = restore_hint(path) if kind is StoreCorrupt else _NEXT_RUN
        raise kind(f"store {path}: {why} (SQLite: {error}) while {doing}; {then}") from error


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    """Close the connection when the block raises."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the file's schema version, 0 for an empty file.

    Raises: StoreNewer for a later one, ConfigError for another program's file.
    """
    with refusals(path, "opening"):
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
    if tables and application != APPLICATION_ID:
        raise ConfigError(f"store {path} is a SQLite file of another program; name another file; nothing was written")
    if version > SCHEMA_VERSION:
        raise StoreNewer(
            f"store {path} has schema {version}, this program knows {SCHEMA_VERSION} at most; "
            "start the newer program again or name another file; nothing was written"
        )
    return int(version)


def _refuse_older(version: int, path: Path) -> None:
    """Raise StoreError for a schema that a reader can't bring up to date itself."""
    if version < SCHEMA_VERSION:
        raise StoreError(
            f"store {path} has schema {version}, this program reads {SCHEMA_VERSION}; "
            "the next job's start brings it there"
        )


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to SCHEMA_VERSION in one transaction; of two that start at once the second finds it done."""
    from jobs.store.schema import migrate  # noqa: PLC0415 - sqlite_utils costs 50 ms, paid only when due

    with transaction(connection):
        if _version(connection, path) < SCHEMA_VERSION:
            migrate(connection)
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")


def _refuse_remote(path: Path) -> None:
    """Raise StoreNotLocal where SQLite's locks don't hold."""
    folder = path.parent.resolve()
    filesystem = filesystem_type(folder, MOUNTINFO.read_text())
    if filesystem and is_remote(filesystem):
        raise StoreNotLocal(
            f"store {path}: {folder} is on {filesystem}, where SQLite's locks don't hold between processes; "
            "use a local disk or block storage; nothing was written"
        )


def _path(connection: sqlite3.Connection) -> Path:
    """Return the file behind a connection."""
    return Path(connection.execute("PRAGMA database_list").fetchone()[2])
