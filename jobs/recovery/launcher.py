"""The recovery half of `dispatch`: due plans become attempts, attempts get Jobs, lost Jobs become outcomes.

The ledger comes first: an attempt is booked in one round and its Job made in a later one, so a dispatcher that dies,
sleeps or meets its double in between has at most asked for the same Job twice.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TypeVar

from jobs.clock import Clock
from jobs.errors import ClusterError
from jobs.health.control import Stop
from jobs.health.model import InstanceKey
from jobs.health.recovery import Action, Attempt, AttemptOutcome, AttemptState, Limits, Order, Origin, Plan
from jobs.recovery.adoption import is_strange, newest_of, orders_of, take_over
from jobs.recovery.endings import CREATE_MS, ending_of
from jobs.recovery.jobs import JobState, Look, RecoveryJobs
from jobs.store import ledger, plans
from jobs.store.connection import reading
from jobs.store.lease import read_lease
from jobs.store.ledger import Ending, Moment
from jobs.store.reader import inventory
from jobs.window import Observed

logger = logging.getLogger(__name__)

# Two ticks of collect, and a hand-over in between: a plan of an earlier one is nobody's opinion any more.
PLAN_MS = 35_000

# chosen: a Job's pod costs its node 0.9 s of CPU and 60 MiB; with more sick instances than this the brake decides.
MAX_OPEN = 8
MAX_BOOKED = 2

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 15.0

# chosen: how late the end of a Job that wrote nothing is noticed; asking costs 1.5 ms of CPU.
_LOOK_SECONDS = 5.0

# chosen: no call is begun later in a round, so that it ends before the 20 s after which it is taken to hang.
_ROUND_SECONDS = 2.0

_Answer = TypeVar("_Answer")

_Step = Callable[[sqlite3.Connection, Moment, int], None]
"""What a round writes about one thing; the number is the ledger's clock then."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What one look at the store found.

    is_unsure: there is something to do, and what Jobs tell wasn't compared with it yet. public_ids: of the inventory,
    where they are needed.
    """

    store: str
    witnessed_ms: int
    newest_id: int
    is_adopted: bool
    is_unsure: bool
    has_due_plan: bool
    attempts: list[Attempt]
    public_ids: dict[InstanceKey, str]


class Launcher:
    """See to it that each due plan is one attempt, and each attempt has one Job and an end.

    stop: what the fleet's switches forbid now.
    """

    def __init__(
        self, jobs: RecoveryJobs, *, clock: Clock, limits: Limits, stop: Callable[[], Stop | None] = lambda: None
    ) -> None:
        self._jobs = jobs
        self._clock = clock
        self._limits = limits
        self._stop = stop
        self.resume()

    def resume(self) -> None:
        """Look anew at everything."""
        self._data_version = -1
        self._wake_at = -inf
        self._look_at = -inf
        self._is_compared = False
        self._silent_until = -inf
        self._pauses: dict[int, tuple[float, float]] = {}  # attempt: seconds, and when it is over
        self._problems: list[str] = []
        self._problem: str | None = None

    def observe(self, connection: sqlite3.Connection) -> Observed:
        """Do what the store asks for, outside of any transaction; the answer's `write` puts down what came of it."""
        self._began_at = self._now()
        if self._began_at < self._silent_until or not self._is_due(connection):
            return Observed(None, 0, self._problem)
        self._wake_at = inf
        self._problems = []
        self._has_heard = False
        with reading(connection):
            found = self._read(connection)
        steps = [*self._compare(found)] if found.is_unsure else []
        if self._is_compared:
            steps += [*self._create_jobs(found), *self._look_at_jobs(found), *self._plans_to_book(found)]
        self._note_problem()
        return Observed(partial(self._write, steps) if steps else None, len(found.attempts), self._problem)

    def _is_due(self, connection: sqlite3.Connection) -> bool:
        """Tell whether another has written since the last look, or something's time has come."""
        with reading(connection):
            (data_version,) = connection.execute("PRAGMA data_version").fetchone()
        has_moved = data_version != self._data_version
        self._data_version = data_version
        return has_moved or self._began_at >= self._wake_at

    def _read(self, connection: sqlite3.Connection) -> _Found:
        now = self._clock.moment()
        attempts = ledger.open_attempts(connection)
        is_adopted = ledger.is_adopted(connection)
        has_due_plan = _plan_age_ms(connection, now) is not None and bool(plans.due_plans(connection))
        is_unsure = not is_adopted or (not self._is_compared and bool(attempts or has_due_plan))
        needs_names = is_unsure or any(map(_needs_job, attempts))
        return _Found(
            store=ledger.store_name(connection),
            witnessed_ms=ledger.witnessed(connection, now),
            newest_id=ledger.newest_id(connection),
            is_adopted=is_adopted,
            is_unsure=is_unsure,
            has_due_plan=has_due_plan,
            attempts=attempts,
            public_ids={one.key: one.public_id for one in inventory(connection)} if needs_names else {},
        )

    def _write(self, steps: list[_Step], connection: sqlite3.Connection) -> None:
        now = self._clock.moment()
        witnessed_ms = ledger.witness(connection, now)
        for step in steps:
            step(connection, now, witnessed_ms)

    def _compare(self, found: _Found) -> Iterator[_Step]:
        """Take over what another store did, or find that this one is an older state of itself."""
        seen = self._try(self._jobs.seen)
        orders = None if seen is None else orders_of(seen, found.public_ids)
        if seen is None or orders is None:
            self._wake(_LOOK_SECONDS)
            if seen is not None:
                self._problems.append("nothing acts before the inventory tells which instances earlier Jobs were for")
            return
        newest_id = newest_of(seen, found.store)
        self._is_compared = found.is_adopted and newest_id <= found.newest_id
        if not self._is_compared:
            self._wake(0)
        if not self._is_compared or any(is_strange(one, found.store) for one in seen):
            yield partial(take_over, orders, newest_id)
        # A Job that nobody has put down yet; in an older state of the ledger it may long have acted.
        made = {one.attempt_id: one.job for one in seen if one.store == found.store}
        for attempt in filter(_needs_job, found.attempts):
            if attempt.id in made:
                yield partial(_note_made, attempt.id, made[attempt.id])

    def _create_jobs(self, found: _Found) -> Iterator[_Step]:
        """Make the Jobs that attempts wait for; one that has waited too long gets none."""
        for attempt in filter(_needs_job, found.attempts):
            pause_seconds, over_at = self._pauses.get(attempt.id, (_FIRST_PAUSE_SECONDS, -inf))
            if _is_late(attempt, found.witnessed_ms):
                yield partial(_end_late, attempt.id, self._problem or "nobody made it in time")
            elif over_at > self._now() or not self._has_time():
                self._wake(max(over_at - self._now(), 0))
            else:
                public_id = found.public_ids.get(attempt.key, attempt.key)
                made = self._try(partial(self._jobs.create, attempt, store=found.store, public_id=public_id))
                self._wake(pause_seconds)
                if made is None:
                    longer_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
                    self._pauses[attempt.id] = (longer_seconds, self._now() + pause_seconds)
                else:
                    self._pauses.pop(attempt.id, None)
                    yield partial(_note_made, attempt.id, made)

    def _look_at_jobs(self, found: _Found) -> Iterator[_Step]:
        """Ask what has become of the Jobs whose attempts haven't ended."""
        attempts = [attempt for attempt in found.attempts if not _needs_job(attempt)]
        if attempts and self._began_at < self._look_at:
            self._wake(self._look_at - self._began_at)
            return
        for attempt in attempts:
            self._look_at = self._began_at + _LOOK_SECONDS
            self._wake(_LOOK_SECONDS)
            look = (self._try(partial(self._jobs.look, attempt)) if self._has_time() else None) or Look(JobState.ACTIVE)
            yield partial(_note_look, attempt.id, look)

    def _plans_to_book(self, found: _Found) -> Iterator[_Step]:
        """Have plans booked where there is room for them, nobody forbids it since, and their Jobs can be made."""
        if not found.has_due_plan or len(found.attempts) >= MAX_OPEN or not self._has_time() or self._stop():
            return
        refusal = self._try(lambda: self._jobs.refusal() or "")
        if refusal:
            self._problems.append(refusal)
        if refusal == "":
            yield self._book

    def _book(self, connection: sqlite3.Connection, now: Moment, witnessed_ms: int) -> None:
        """Book what is still due; a plan is good for one attempt."""
        age_ms = _plan_age_ms(connection, now)
        if age_ms is None:
            return
        room = min(MAX_BOOKED, MAX_OPEN - len(ledger.open_attempts(connection)))
        for plan in plans.due_plans(connection):
            if plan.action and room > 0 and not ledger.has_ended_since(connection, plan.key, witnessed_ms - age_ms):
                booked = ledger.book(connection, _order_of(plan, plan.action), self._limits, now=now)
                if isinstance(booked, Attempt):
                    room -= 1
                    self._wake(0)

    def _try(self, call: Callable[[], _Answer]) -> _Answer | None:
        """Return what a call answers, None when it couldn't be made; what stands in its way is a problem."""
        try:
            answer = call()
        except ClusterError as error:
            self._problems.append(str(error))
            self._silent_until = max(self._silent_until, self._now() + error.retry_seconds)
            return None
        self._has_heard = True
        return answer

    def _has_time(self) -> bool:
        """Tell whether another call may begin in this round."""
        now = self._now()
        return now < self._began_at + _ROUND_SECONDS and now >= self._silent_until

    def _wake(self, seconds: float) -> None:
        """Have a round made no later than in so many seconds, though nobody writes."""
        self._wake_at = min(self._wake_at, self._now() + seconds)

    def _now(self) -> float:
        return self._clock.monotonic()

    def _note_problem(self) -> None:
        """Keep what is wrong until something has gone well again, so that it is said once."""
        kept = None if self._has_heard else self._problem
        problem = self._problems[0] if self._problems else kept
        if problem and problem != self._problem:
            logger.warning("recovery is held up", extra={"problem": problem})
        self._problem = problem


def _needs_job(attempt: Attempt) -> bool:
    """Tell whether a Job is to be made for it; what a person asked for runs in the Job that asked."""
    return attempt.state is AttemptState.PLANNED and attempt.job is None and attempt.origin is Origin.POLICY


def _end_late(attempt_id: int, problem: str, connection: sqlite3.Connection, now: Moment, witnessed_ms: int) -> None:
    """End an attempt that has waited too long for its Job."""
    attempt = ledger.find(connection, attempt_id)
    if attempt and _needs_job(attempt) and _is_late(attempt, witnessed_ms):
        detail = f"it had no Job after {CREATE_MS // 1000} s: {problem}"
        ledger.end(connection, attempt_id, Ending(AttemptOutcome.NOT_CREATED, detail), now=now)


def _is_late(attempt: Attempt, witnessed_ms: int) -> bool:
    return witnessed_ms - attempt.booked_ms >= CREATE_MS


def _plan_age_ms(connection: sqlite3.Connection, now: Moment) -> int | None:
    """Return how old the plans are at most, None when nobody stands by them: since the tick that made them was due."""
    lease = read_lease(connection, "collect")
    if lease.slot_ms is None or lease.boot_id != now.boot_id or now.boottime_ms - lease.slot_ms > PLAN_MS:
        return None
    return max(now.boottime_ms - lease.slot_ms, 0)


def _order_of(plan: Plan, action: Action) -> Order:
    return Order(
        key=plan.key,
        action=action,
        incident=plan.incident,
        uid=plan.uid,
        restarts=plan.restarts,
        codes=plan.codes,
    )


def _note_made(attempt_id: int, made: str | Ending, connection: sqlite3.Connection, now: Moment, _: int) -> None:
    """Put down the Job's name, or that the attempt gets none."""
    if isinstance(made, Ending):
        ledger.end(connection, attempt_id, made, now=now)
    else:
        ledger.name_job(connection, attempt_id, made)


def _note_look(attempt_id: int, look: Look, connection: sqlite3.Connection, now: Moment, witnessed_ms: int) -> None:
    """End an attempt that its runner won't, as the ledger has it now."""
    attempt = ledger.find(connection, attempt_id)
    ending = attempt and ending_of(attempt, look, witnessed_ms)
    if ending:
        ledger.end(connection, attempt_id, ending, now=now)
