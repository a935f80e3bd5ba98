"""A copy beside the store: taken in steps, so that nobody waits, and checked in place of the store itself."""

from __future__ import annotations

import glob
import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

from jobs.errors import StoreCorrupt, StoreLocked
from jobs.store.connection import backup_path, refusals, restore_hint, transaction
from jobs.store.ledger import disown

# chosen: 1,000 pages of 4 KiB are copied in some 5 ms, during which a writer can't commit.
STEP_PAGES = 1000
PAUSE_SECONDS = 0.01

# chosen: every commit makes SQLite begin the copy anew (sqlite.org/backup.html); a copy of 200 MB takes about a second,
# and the jobs write every 5 s, so one that isn't done after a minute won't be.
DEADLINE_SECONDS = 60

# chosen: far more than a copy may take.
LEFTOVER_SECONDS = 3600


def back_up(connection: sqlite3.Connection, path: Path, *, deadline_seconds: float = DEADLINE_SECONDS) -> int:
    """Replace the backup of the store at `path` with a copy of now that passed `integrity_check`; return its bytes.

    Raises: StoreCorrupt when the copy, and so the store, is damaged; the last good backup stays.
    StoreLocked when writers gave no time to finish a copy, StoreFull when it doesn't fit beside the store.
    """
    backup = backup_path(path)
    _remove_leftovers(backup)
    handle, name = tempfile.mkstemp(prefix=f"{backup.name}.", suffix=".new", dir=backup.parent)
    copy = Path(name)
    try:
        with os.fdopen(handle) as file:
            with refusals(path, f"copying it to {copy}"):
                _copy(connection, copy, path, deadline_seconds)
                _check(copy, path)
                _disown(copy)
            os.fsync(file.fileno())
        shutil.copymode(path, copy)
        copy.replace(backup)
    finally:
        copy.unlink(missing_ok=True)
    return backup.stat().st_size


def _copy(connection: sqlite3.Connection, copy: Path, path: Path, deadline_seconds: float) -> None:
    """Copy all pages as of one moment, leaving writers a pause after each step."""
    ends_at = time.monotonic() + deadline_seconds

    def pause(_status: int, _remaining: int, _total: int) -> None:
        if time.monotonic() > ends_at:
            raise StoreLocked(
                f"store {path}: other connections wrote so often that no copy was done in {deadline_seconds:g} s; "
                "the last backup stays, the next run tries again"
            )
        time.sleep(PAUSE_SECONDS)

    with closing(sqlite3.connect(copy, isolation_level=None)) as target:
        target.execute("PRAGMA journal_mode=OFF")
        target.execute("PRAGMA synchronous=OFF")
        connection.backup(target, pages=STEP_PAGES, progress=pause)


def _check(copy: Path, path: Path) -> None:
    """Raise StoreCorrupt when SQLite finds fault with the copy."""
    with closing(sqlite3.connect(copy)) as target:
        (finding,) = target.execute("PRAGMA integrity_check(1)").fetchone()
    if finding != "ok":
        raise StoreCorrupt(f"store {path}: integrity_check found {' '.join(finding.split())}; {restore_hint(path)}")


def _disown(copy: Path) -> None:
    """Give the copy's ledger a name of its own: what was done since isn't in it, so it must ask before it acts."""
    with closing(sqlite3.connect(copy, isolation_level=None)) as target, transaction(target):
        disown(target)


def _remove_leftovers(backup: Path) -> None:
    """Remove what killed runs left; a young one may be another run's at work."""
    for leftover in backup.parent.glob(f"{glob.escape(backup.name)}.*.new"):
        with suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > LEFTOVER_SECONDS:
                leftover.unlink()
