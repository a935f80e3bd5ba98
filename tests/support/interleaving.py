"""Real code of several processes in one, interleaved by a seed: paused, killed or overtaken at any statement or call.

Each actor has a thread, and one runs at a time. Time is the scheduler's: it moves when all wait, or when an actor is
slow. A seed decides everything, so a schedule can be run again.
"""

from __future__ import annotations

import heapq
import random
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

MINUTE_MS = 60_000

# From the blink in which another process is first, over half a challenge's life, to an hour of SIGSTOP.
PAUSES_MS = (50, 1000, 5000, 20_000, 31_000, 45_000, 5 * MINUTE_MS, 20 * MINUTE_MS, 61 * MINUTE_MS)

# While a process holds the write lock nobody else gets on; SQLite's busy timeout ends that after 5 s.
SLOW_MS = (1, 100, 3000)


class Killed(BaseException):
    """SIGKILL: nothing of the process's code runs any more that has an effect."""


@dataclass(frozen=True, slots=True)
class Chaos:
    """How likely what is at each statement and call."""

    kill: float = 0.0
    pause: float = 0.0
    overtake: float = 0.0
    slow: float = 0.0


class Actor:
    """One process."""

    def __init__(self, name: str, body: Callable[[], None], *, is_frozen: bool) -> None:
        self.name = name
        self.body = body
        self.is_frozen = is_frozen
        self.is_dead = False
        self.has_ended = False
        self.connection: Connection | None = None
        self.error: BaseException | None = None
        self.go = threading.Lock()
        self.go.acquire()


class Connection(sqlite3.Connection):
    """A connection whose every statement its process may be paused or killed before, and whose commits after."""

    scheduler: Scheduler
    owner: Actor

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        """Run one statement, unless the process is dead; a rollback is what SQLite does for a dead one."""
        if sql == "ROLLBACK":
            return super().execute(sql)
        self.scheduler.hook(sql)
        cursor = super().execute(sql, *values)
        if sql == "COMMIT":
            self.scheduler.hook("committed")
        return cursor


class Scheduler:
    """Runs actors in the order of their waking; what is random is drawn from `chance`."""

    def __init__(self, chance: random.Random, chaos: Chaos) -> None:
        self.chance = chance
        self.chaos = chaos
        self.now_ms = 0
        self.story: list[str] | None = None
        self.current: Actor | None = None
        self._waiting: list[tuple[int, int, Actor]] = []
        self._numbers = count()
        self._back = threading.Lock()
        self._back.acquire()

    def tell(self, what: str) -> None:
        """Put a line into the story, where one is kept."""
        if self.story is not None:
            who = self.current.name if self.current else "world"
            self.story.append(f"{self.now_ms / 1000:>9.3f} s  {who:<14} {what}")

    def spawn(self, name: str, body: Callable[[], None], *, after_ms: int = 0, is_frozen: bool = False) -> Actor:
        """Start a process later. is_frozen: it is on a node that no kill reaches."""
        actor = Actor(name, body, is_frozen=is_frozen)
        heapq.heappush(self._waiting, (self.now_ms + after_ms, next(self._numbers), actor))
        return actor

    def kill(self, actor: Actor) -> None:
        """End a process that isn't running now."""
        if not actor.has_ended:
            actor.is_dead = True

    def run(self, until_ms: int) -> None:
        """Let the actors run until then. Raises: what an actor raised."""
        while self._waiting and self._waiting[0][0] <= until_ms:
            at_ms, _, actor = heapq.heappop(self._waiting)
            self.now_ms = max(self.now_ms, at_ms)
            self._resume(actor)
        self.now_ms = max(self.now_ms, until_ms)

    def stop(self) -> None:
        """End everything that is left."""
        while self._waiting:
            _, _, actor = heapq.heappop(self._waiting)
            actor.is_dead = True
            self._resume(actor)

    def sleep(self, ms: int) -> None:
        """Let others run for so long; called by an actor."""
        actor = self._running()
        heapq.heappush(self._waiting, (self.now_ms + ms, next(self._numbers), actor))
        self._back.release()
        actor.go.acquire()
        if actor.is_dead:
            raise Killed

    def hook(self, what: str, *, longest_pause_ms: int = PAUSES_MS[-1]) -> None:
        """Stand at a statement or call: go on, wait, or die here."""
        actor = self._running()
        if actor.is_dead:
            raise Killed
        self.tell(what)
        roll = self.chance.random()
        if roll < self.chaos.kill:
            self.tell("KILLED")
            actor.is_dead = True
            raise Killed
        roll -= self.chaos.kill
        if actor.connection is not None and actor.connection.in_transaction:
            if roll < self.chaos.slow:
                self.now_ms += self.chance.choice(SLOW_MS)
        elif roll < self.chaos.pause:
            self.sleep(min(self.chance.choice(PAUSES_MS), longest_pause_ms))
        elif roll - self.chaos.pause < self.chaos.overtake:
            self.sleep(self.chance.randrange(50))

    def connect(self, path: str) -> Connection:
        """Open a store for the actor that runs; rows are safe from the actors' kills, not from a lost machine's."""
        actor = self._running()
        connection = sqlite3.connect(path, isolation_level=None, factory=Connection, check_same_thread=False)
        connection.scheduler, connection.owner = self, actor
        for setting in ("synchronous=OFF", "journal_mode=MEMORY", "foreign_keys=ON", "trusted_schema=OFF"):
            sqlite3.Connection.execute(connection, f"PRAGMA {setting}")
        actor.connection = connection
        return connection

    def _running(self) -> Actor:
        if self.current is None:
            raise AssertionError("only an actor waits")
        return self.current

    def _resume(self, actor: Actor) -> None:
        self.current = actor
        if actor.is_dead and actor.body is not None and not actor.has_ended and not _has_begun(actor):
            actor.has_ended = True
            self.current = None
            return
        if _has_begun(actor):
            actor.go.release()
        else:
            actor.thread = threading.Thread(target=self._live, args=(actor,), daemon=True)
            actor.thread.start()
        self._back.acquire()
        self.current = None
        if actor.error is not None:
            raise actor.error

    def _live(self, actor: Actor) -> None:
        try:
            actor.body()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - handed to the scheduler
            actor.error = error
        finally:
            if actor.connection is not None:
                with suppress(sqlite3.Error):
                    actor.connection.close()
            actor.has_ended = True
            self._back.release()


def _has_begun(actor: Actor) -> bool:
    return getattr(actor, "thread", None) is not None
