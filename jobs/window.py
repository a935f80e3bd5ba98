"""The window: one life of a scheduled run, and the ticks inside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from jobs.schedule import WindowSettings


@dataclass(frozen=True, slots=True)
class Beat:
    """One rhythm inside a window. is_tick: the lease numbers it; any other beat only renews the lease."""

    name: str
    seconds: float
    is_tick: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """What one round found. write: called inside the fenced transaction, must not begin or end one.

    instances: how many were looked at. problem: one sentence when something is wrong though the run goes on.
    """

    write: Callable[[sqlite3.Connection], None]
    instances: int
    problem: str | None = None


class Rounds(Protocol):
    """What a command brings into its window."""

    @property
    def name(self) -> str:
        """The command's name, which is its lease's."""

    @property
    def beats(self) -> tuple[Beat, ...]:
        """The rhythms; exactly one is the tick."""

    def warm(self, connection: sqlite3.Connection) -> None:
        """Get ready before the run announces itself: imports done, connections open."""

    def resume(self, connection: sqlite3.Connection) -> None:
        """Load what is known as of the last committed tick; called each time this run gets the baton."""

    def observe(self, beat: Beat, tick: int) -> Observed:
        """Look, and compute what to write, outside of any transaction. tick: the number that a tick will have."""


def run_window(rounds: Rounds, settings: WindowSettings) -> int:
    """Live one window: get the baton, tick, hand it over. Returns the exit code."""
    raise NotImplementedError
