"""The hourly upkeep of the store: a checked backup, hours out of minutes, and what is too old goes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import click

from agent.commandline import log_level_option, start_logging
from jobs.clock import Clock
from jobs.commands.options import store_option
from jobs.errors import StoreCorrupt, StoreError
from jobs.holder import own_name
from jobs.record import Outcome, Record
from jobs.store.backup import back_up
from jobs.store.connection import open_store, transaction
from jobs.store.evidence import prune
from jobs.store.retention import apply_retention


@click.command()
@store_option
@log_level_option
def compact(*, store: Path, log_level: str) -> None:
    """Back the store up, check it, roll minutes up into hours, delete what is too old.

    Kept: raw reports 2 h, minutes 48 h, hours, changes and closed incidents a year, runs, sent Events and evidence a
    week.
    The copy is FILE.backup. A damaged store ends it with exit 75 before anything is deleted, and says what to restore.

    Example: loco-jobs compact --store loco.db
    """
    start_logging(log_level)
    clock = Clock()
    with closing(open_store(store)) as connection:
        record = Record(connection, "compact", own_name(), clock)
        try:
            counts = _upkeep(connection, store, at_ms=clock.wall_ms())
            with transaction(connection):
                record.note_tick(instances=None, duration_seconds=record.seconds, problem=None)
        except StoreError as error:
            record.note_end(Outcome.FAILED, str(error))  # and no closing line: the error itself says enough
            raise
        record.end(Outcome.DONE, None, **counts)


def _upkeep(connection: sqlite3.Connection, store: Path, *, at_ms: int) -> dict[str, int]:
    """Do the work; return what was done, in numbers."""
    refusal = None
    backup_bytes = 0
    try:
        backup_bytes = back_up(connection, store)
    except StoreCorrupt:
        raise
    except StoreError as error:
        # Without room for a copy it matters the more that the old makes room.
        refusal = error
    counts = apply_retention(connection, at_ms=at_ms)
    if refusal:
        raise refusal
    try:
        counts["evidence"] = prune(store, at_seconds=at_ms / 1000)
    except OSError as error:
        raise StoreError(f"evidence beside {store} can't be pruned: {error}; the next run tries again") from error
    return {"backup_bytes": backup_bytes, **counts}
