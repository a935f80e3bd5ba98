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
from dataclasses import dataclass
from itertools import count
from types import SimpleNamespace
from typing import Any

MINUTE_MS = 60_000

# From the blink in which another process is first, over half a challenge's life, to an hour of SIGSTOP.
PAUSES_MS = (50, 1000, 5000, 20_000, 31_000, 45_000, 5 * MINUTE_MS, 20 * MINUTE_MS, 61 * MINUTE_MS)

# While a process holds the write lock nobody else gets on; SQLite's busy timeout ends that after 5 s.
SLOW_MS = (1, 100, 3000)


_execute = sqlite3.Connection.execute


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
    """One process. is_frozen: it is on a node that no kill reaches."""

    def __init__(self, name: str, body: Callable[[], None], *, is_frozen: bool) -> None:
        self.name = name
        self.body = body
        self.is_frozen = is_frozen
        self.is_dead = False
        self.has_ended = False
        self.connection: Connection | None = None
        self.error: BaseException | None = None
        self.worker: Worker | None = None


class Worker:
    """A thread that lives actors, one after the other; starting one for each would cost more than what they do."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.actor: Actor | None = None
        self.go = threading.Lock()
        self.go.acquire()
        self._scheduler = scheduler
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        self.go.acquire()
        while self.actor is not None:
            self._scheduler.live(self.actor)
            self._scheduler.leave(self)


class Connection(sqlite3.Connection):
    """A connection whose every statement its process may be paused or killed before, and whose commits after."""

    scheduler: Scheduler
    path: str
    listed: Any

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        """Run one statement, unless the process is dead; a rollback is what SQLite does for a dead one.

        Reads stand inside of transactions and change nothing: to die before one is to die before what comes next.
        """
        if sql[0] in "IUDBC":  # INSERT, UPDATE, DELETE, BEGIN, COMMIT
            self.scheduler.hook(sql)
            cursor = _execute(self, sql, *values)
            if sql == "COMMIT":
                self.scheduler.hook("committed")
            return cursor
        if sql == "PRAGMA database_list":  # asked only to name the file in an error
            return self.listed
        return _execute(self, sql, *values)


class Scheduler:
    """Runs actors in the order of their waking; what is random is drawn from `chance`."""

    def __init__(self, chance: random.Random, chaos: Chaos) -> None:
        self.chance = chance
        self.set_chaos(chaos)
        self.now_ms = 0
        self.story: list[str] | None = None
        self.current: Actor | None = None
        self._waiting: list[tuple[int, int, Actor | Callable[[], None]]] = []
        self._numbers = count()
        self._back = threading.Lock()
        self._back.acquire()
        self._idle: list[Worker] = []
        self._until_ms = -1
        self._error: BaseException | None = None
        self._pool: dict[str, list[Connection]] = {}

    def set_chaos(self, chaos: Chaos) -> None:
        """Have this much go wrong from now on."""
        self.chaos = chaos
        self._anything = chaos.kill + max(chaos.slow, chaos.pause + chaos.overtake)

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

    def after(self, ms: int, act: Callable[[], None]) -> None:
        """Do something to the world later; it takes no time and nothing comes between."""
        heapq.heappush(self._waiting, (self.now_ms + ms, next(self._numbers), act))

    def kill(self, actor: Actor) -> None:
        """End a process that isn't running now."""
        if not actor.has_ended:
            actor.is_dead = True

    def run(self, until_ms: int) -> None:
        """Let the actors run until then. Raises: what an actor raised."""
        self._until_ms = until_ms
        self._hand_to(self._pick())
        self._back.acquire()
        if self._error is not None:
            raise self._error
        self.now_ms = max(self.now_ms, until_ms)

    def stop(self) -> None:
        """End everything that is left, threads and connections too."""
        self._until_ms = -1
        while self._waiting:
            _, _, one = heapq.heappop(self._waiting)
            if isinstance(one, Actor) and one.worker is not None:
                one.is_dead = True
                self._hand_to(one)
                self._back.acquire()
        for worker in self._idle:
            worker.actor = None
            worker.go.release()
        for connection in [one for several in self._pool.values() for one in several]:
            connection.close()

    def wakes_at(self, actor: Actor | None) -> int:
        """Return when an actor wakes, long after everything for one that doesn't."""
        return next((at_ms for at_ms, _, one in self._waiting if one is actor), 1 << 60)

    def sleep(self, ms: int) -> None:
        """Let others run for so long; called by an actor."""
        actor = self._running()
        heapq.heappush(self._waiting, (self.now_ms + ms, next(self._numbers), actor))
        successor = self._pick()
        if successor is actor:
            self.current = actor
        else:
            self._hand_to(successor)
            actor.worker.go.acquire()
        if actor.is_dead:
            raise Killed

    def hook(self, what: str, *, longest_pause_ms: int = PAUSES_MS[-1]) -> None:
        """Stand at a statement or call: go on, wait, or die here."""
        actor = self._running()
        if actor.is_dead:
            raise Killed
        if self.story is not None:
            self.tell(what)
        roll = self.chance.random()
        if roll < self._anything:
            self._strike(actor, roll, longest_pause_ms)

    def _strike(self, actor: Actor, roll: float, longest_pause_ms: int) -> None:
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
        """Return a connection for the actor that runs, as good as new.

        What it commits survives the actors' kills; no machine's power is cut here.
        """
        actor = self._running()
        pool = self._pool.setdefault(path, [])
        actor.connection = pool.pop() if pool else self._open(path)
        return actor.connection

    def _open(self, path: str) -> Connection:
        connection = sqlite3.connect(path, uri=True, isolation_level=None, factory=Connection, check_same_thread=False)
        connection.scheduler = self
        connection.path = path
        connection.listed = SimpleNamespace(fetchone=lambda: (0, "main", path))
        for setting in ("synchronous=OFF", "journal_mode=MEMORY", "foreign_keys=ON", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {setting}")
        return connection

    def _running(self) -> Actor:
        assert self.current is not None, "only an actor waits"
        return self.current

    def _pick(self) -> Actor | None:
        """Return who runs next, after what only concerns the world; None when the time is over, or on an error."""
        while self._waiting and self._waiting[0][0] <= self._until_ms and self._error is None:
            at_ms, _, one = heapq.heappop(self._waiting)
            self.now_ms = max(self.now_ms, at_ms)
            self.current = None
            if not isinstance(one, Actor):
                try:
                    one()
                except Exception as error:  # noqa: BLE001 - raised where the schedule was started
                    self._error = error
            elif one.is_dead and one.worker is None:
                one.has_ended = True
            else:
                return one
        return None

    def _hand_to(self, actor: Actor | None) -> None:
        """Let another run in place of who runs now; None: whoever started the schedule."""
        self.current = actor
        if actor is None:
            self._back.release()
            return
        if actor.worker is None:
            actor.worker = self._idle.pop() if self._idle else Worker(self)
            actor.worker.actor = actor
        actor.worker.go.release()

    def live(self, actor: Actor) -> None:
        """Be the actor until it ends; called by its worker."""
        try:
            actor.body()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - raised where the schedule was started
            self._error = error
        connection = actor.connection
        if connection is not None:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._pool[connection.path].append(connection)
        actor.has_ended = True

    def leave(self, worker: Worker) -> None:
        """Hand on after an actor's end, and wait for the next one; called by a worker."""
        successor = self._pick()
        if successor is not None and successor.worker is None:
            successor.worker, worker.actor, self.current = worker, successor, successor
            return
        self._idle.append(worker)
        self._hand_to(successor)
        worker.go.acquire()
