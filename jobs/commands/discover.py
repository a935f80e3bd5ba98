"""`python -m jobs discover`: keep the store's inventory as the instances file says it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

import click

from jobs.commands.options import instances_option, window_options
from jobs.errors import ConfigError
from jobs.inventory import parse_inventory, read_inventory
from jobs.schedule import WindowSettings
from jobs.store import reader
from jobs.store.asked import ask_tick
from jobs.store.connection import reading
from jobs.store.writer import record_inventory
from jobs.window import Beat, Observed, run_window

logger = logging.getLogger(__name__)

# architecture section 3
_INVENTORY = Beat("inventory", 30, is_tick=True)


@click.command(short_help="Keep the inventory up to date.")
@instances_option
@window_options
def discover(*, instances: Path, settings: WindowSettings) -> int:
    """Read the instances file every 30 s into the store; a broken one leaves the last good inventory.

    Example: python -m jobs discover --instances instances.json --store loco.db --window 300
    """
    return run_window(Discovery(instances, clock=settings.clock.wall_ms), settings)


class Discovery:
    """The rounds of `discover`. clock: Unix milliseconds."""

    name = "discover"
    beats = (_INVENTORY,)

    def __init__(self, path: Path, *, clock: Callable[[], int]) -> None:
        self._path = path
        self._clock = clock
        self._recorded: bytes | None = None
        self._count = 0
        self._problem: str | None = None

    def warm(self, connection: sqlite3.Connection) -> None:
        """Nothing is to be got ready."""

    def resume(self, connection: sqlite3.Connection) -> None:
        """Take the stored inventory for unread: another run may have read another file."""
        self._recorded = None
        with reading(connection):
            self._count = len(reader.inventory(connection))

    def observe(self, beat: Beat, tick: int) -> Observed:  # noqa: ARG002 - the protocol's signature
        """Read the file; write it when it has changed, so that collect looks at once; say what is wrong with it."""
        try:
            write = self._read()
            problem = None
        except ConfigError as error:
            write, problem = _write_nothing, str(error)
        if problem and problem != self._problem:
            logger.warning("inventory refused", extra={"problem": problem})
        self._problem = problem
        return Observed(write, self._count, problem)

    def _read(self) -> Callable[[sqlite3.Connection], None]:
        """Return what is to be written. Raises: ConfigError when the file holds no inventory."""
        text = read_inventory(self._path)
        if text == self._recorded:
            return _write_nothing
        instances = parse_inventory(text, str(self._path))
        self._count = len(instances)

        def write(connection: sqlite3.Connection) -> None:
            at_ms = self._clock()
            if record_inventory(connection, instances, at_ms=at_ms):
                ask_tick(connection, "collect", self.name, at_ms)
            self._recorded = text

        return write


def _write_nothing(_connection: sqlite3.Connection) -> None:
    """Leave the inventory as it is."""
