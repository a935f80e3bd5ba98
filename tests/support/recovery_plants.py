"""Bugs to plant: each takes one promise's ground away, by swapping functions; the explorer has to notice."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from unittest.mock import patch

from recovery_world import World

from jobs.clock import Clock
from jobs.health.recovery import Attempt, AttemptState
from jobs.probe.actions import Challenge
from jobs.recovery import fence, launcher, recoverer
from jobs.recovery.launcher import Launcher
from jobs.store import ledger
from jobs.store.plans import due_plans

_begin = recoverer.Recoverer._begin
_clock = World.clock
_leave = recoverer.Recoverer._leave
_observe = Launcher.observe


@contextmanager
def no_uid_check() -> Iterator[None]:
    """Recover acts on whichever pod has the name now."""

    def leave(self: recoverer.Recoverer, attempt: Attempt, instance: object) -> object:
        found = _leave(self, replace(attempt, uid=None), instance)
        return found if isinstance(found, Challenge) else _leave(self, attempt, instance)

    with (
        patch.object(fence, "_another", lambda *_: None),
        patch.object(recoverer.Recoverer, "_leave", leave),
    ):
        yield


@contextmanager
def job_before_ledger() -> Iterator[None]:
    """Dispatch makes the Job and then books its attempt."""

    def observe(self: Launcher, connection: sqlite3.Connection) -> object:
        self.planted = connection
        return _observe(self, connection)

    def create_and_book(self: Launcher, found: object) -> Iterator[object]:
        for plan in due_plans(self.planted):
            order = launcher._order_of(plan, plan.action)
            attempt = Attempt(
                id=found.newest_id + 1,
                number=1,
                state=AttemptState.PLANNED,
                job=None,
                runner=None,
                booked_ms=0,
                acted_ms=None,
                spent_ms=0,
                booked_at_ms=0,
                acted_at_ms=None,
                ended_at_ms=None,
                outcome=None,
                detail="",
                session_seconds_lost=None,
                has_evidence=False,
                **{name: getattr(order, name) for name in order.__slots__},
            )
            public_id = found.public_ids[plan.key]
            self._try(partial(self._jobs.create, attempt, store=found.store, public_id=public_id))
            yield self._book

    with (
        patch.object(Launcher, "observe", observe),
        patch.object(Launcher, "_plans_to_book", create_and_book),
    ):
        yield


@contextmanager
def counted_by_wall_clock() -> Iterator[None]:
    """The ledger counts its hour on the clock that people set."""

    def clock(self: World) -> Clock:
        real = _clock(self)
        return replace(real, boottime=real.wall, boot_id="none")

    with patch.object(World, "clock", clock):
        yield


@contextmanager
def no_claim_fence() -> Iterator[None]:
    """Whoever comes gets the attempt."""

    def claim(connection: sqlite3.Connection, attempt_id: int, runner: str, *, now: object, **_: object) -> object:
        connection.execute("UPDATE attempts SET runner = ?2, state = 'running' WHERE id = ?1", (attempt_id, runner))
        return ledger.find(connection, attempt_id)

    with patch.object(ledger, "claim", claim):
        yield


@contextmanager
def no_begin_act() -> Iterator[None]:
    """Recover acts without a word to the ledger."""
    with patch.object(ledger, "begin_act", lambda *_, **__: True):
        yield


@contextmanager
def no_adoption() -> Iterator[None]:
    """A new store knows nothing of what was done before it."""
    adopt = ledger.adopt
    with patch.object(ledger, "adopt", lambda connection, _, *, now: adopt(connection, (), now=now)):
        yield


@contextmanager
def no_last_look_at_the_switches() -> Iterator[None]:
    """Recover reads the switches once, before it looks, collects evidence and asks for the challenge."""

    def begin(self: recoverer.Recoverer, *told: object) -> object:
        with patch.object(self._means.ground, "stop", lambda: None):
            return _begin(self, *told)

    with patch.object(recoverer.Recoverer, "_begin", begin):
        yield


@contextmanager
def lost_pods_climb() -> Iterator[None]:
    """An attempt whose pod died before its act counts as a rung climbed."""
    with patch.object(Attempt, "has_never_acted", new=False):
        yield


PLANTS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    plant.__name__: plant
    for plant in (
        no_uid_check,
        job_before_ledger,
        counted_by_wall_clock,
        no_claim_fence,
        no_begin_act,
        no_adoption,
        no_last_look_at_the_switches,
        lost_pods_climb,
    )
}
