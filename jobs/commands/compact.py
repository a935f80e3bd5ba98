"""The hourly upkeep of the store: a checked backup, hours out of minutes, and what is too old goes."""

from __future__ import annotations

import logging
import secrets
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import click

from agent.commandline import start_logging
from jobs.clock import Clock
from jobs.commands.options import log_level_option, store_option
from jobs.errors import StoreCorrupt, StoreError
from jobs.holder import own_name
from jobs.store.backup import back_up
from jobs.store.connection import open_store, transaction
from jobs.store.retention import apply_retention
from jobs.store.writer import end_run, start_run, tick_run

logger = logging.getLogger(__name__)


@click.command()
@store_option
@log_level_option
def compact(*, store: Path, log_level: str) -> None:
    """Back the store up, check it, roll minutes up into hours, delete what is too old.

    Kept: raw reports 2 h, minutes 48 h, hours, changes and closed incidents a year, runs a week. The copy is
    FILE.backup. A damaged store ends it with exit 75 before anything is deleted, and says what to restore.

    Example: loco-jobs compact --store loco.db
    """
    start_logging(log_level)
    clock = Clock()
    began_at = clock.monotonic()
    with closing(open_store(store)) as connection:
        run = _start(connection, clock)
        try:
            counts = _upkeep(connection, store, at_ms=clock.wall_ms())
        except StoreError as error:
            # The store that just failed may refuse this too; the error itself says enough.
            with suppress(StoreError), transaction(connection):
                end_run(connection, run, at_ms=clock.wall_ms(), outcome="failed", problem=str(error))
            raise
        seconds = clock.monotonic() - began_at
        with transaction(connection):
            tick_run(connection, run, at_ms=clock.wall_ms(), instances=None, duration_seconds=seconds, problem=None)
            end_run(connection, run, at_ms=clock.wall_ms(), outcome="done")
    fields = {"command": "compact", "run": run, "outcome": "done", "seconds": round(seconds, 1)}
    logger.info("run finished", extra={**fields, **counts})


def _start(connection: sqlite3.Connection, clock: Clock) -> str:
    """Note that a run began; return its id."""
    run = secrets.token_hex(8)
    with transaction(connection):
        start_run(connection, run, command="compact", holder=own_name(), at_ms=clock.wall_ms())
    return run


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
    return {"backup_bytes": backup_bytes, **counts}
