"""The rounds of `discover` without a cluster: the instances file, read every 30 s."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

from jobs.errors import ConfigError
from jobs.inventory import parse_inventory, read_inventory
from jobs.store import reader
from jobs.store.asked import ask_tick
from jobs.store.connection import reading
from jobs.store.discovery import Detail, Discovery, Mode, record_discovery
from jobs.store.writer import record_inventory
from jobs.window import Beat, Observed

logger = logging.getLogger(__name__)

# architecture section 3
INVENTORY = Beat("inventory", 30, is_tick=True)


class FileRounds:
    """Keep the store's inventory as the file says it. clock: Unix milliseconds."""

    name = "discover"
    beats = (INVENTORY,)

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
            write, problem = None, f"{error}; {self._then()}"
        if problem and problem != self._problem:
            logger.warning("inventory refused", extra={"problem": problem})
        self._problem = problem
        return Observed(write, self._count, problem)

    def _then(self) -> str:
        """Say what a file that can't be read leaves."""
        return "the last good inventory stays" if self._count else "there is no inventory yet"

    def _read(self) -> Callable[[sqlite3.Connection], None] | None:
        """Return what is to be written, None for nothing. Raises: ConfigError when the file holds no inventory."""
        text = read_inventory(self._path)
        if text == self._recorded:
            return None
        instances = parse_inventory(text, str(self._path))
        self._count = len(instances)

        def write(connection: sqlite3.Connection) -> None:
            at_ms = self._clock()
            if record_inventory(connection, instances, at_ms=at_ms):
                ask_tick(connection, "collect", self.name, at_ms)
            record_discovery(connection, Discovery(Mode.STATIC, None, Detail()))
            self._recorded = text

        return write
