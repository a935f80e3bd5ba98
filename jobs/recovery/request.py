"""A recovery that a person asks for: planned, booked and claimed by the run itself, under the same ledger."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from jobs.clock import Clock
from jobs.errors import ConfigError
from jobs.health.model import Instance, InstanceKey
from jobs.health.recovery import Action, Attempt, AttemptOutcome, Held, Hold, Order, Origin, Plan
from jobs.health.situation import Wish
from jobs.planner import Recovery, plan_one
from jobs.recovery.naming import key_named, names_of
from jobs.recovery.recoverer import Result
from jobs.store import ledger, reader
from jobs.store.connection import reading, transaction
from jobs.template import instance_of_job

# chosen: what a sentence can name.
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody asks for. instance: public id or key, empty where the Job's name says it."""

    instance: str = ""
    action: Action | None = None
    is_forced: bool = False
    requested_by: str = ""
    job: str = ""


def instance_asked(connection: sqlite3.Connection, asked: Asked) -> Instance:
    """Return the instance that somebody means. Raises: ConfigError when there is no such one."""
    with reading(connection):
        instances = reader.inventory(connection)
    names = names_of({one.key: one.public_id for one in instances})
    key = key_named(asked.instance or instance_of_job(asked.job, names) or "", names)
    if key:
        return next(one for one in instances if one.key == key)
    known = ", ".join(sorted(one.public_id for one in instances)[:_SHOWN]) or "none"
    more = ", ..." if len(instances) > _SHOWN else ""
    what = f"instance {asked.instance}" if asked.instance else f"an instance for Job {asked.job or 'without a name'}"
    raise ConfigError(f"{what} isn't in the inventory; it has {known}{more}; nothing was done")


def book_asked(
    connection: sqlite3.Connection, recovery: Recovery, key: InstanceKey, asked: Asked, *, clock: Clock, runner: str
) -> Attempt | Result:
    """Write one attempt for what a person asks for, or say why none is made."""
    wish = Wish(asked.action, is_forced=asked.is_forced)
    with transaction(connection):
        now = clock.moment()
        plan = plan_one(connection, recovery, key, now=now, wish=wish)
        if plan is None:
            return Result(AttemptOutcome.SUPERSEDED, f"{key} isn't in the inventory any more")
        if not plan.is_due or plan.action is None:
            return nothing_done(plan.hold or Hold.NOT_ACTIONABLE, plan.detail)
        booked = ledger.book(
            connection, _order(plan, plan.action, asked), recovery.leave.policy.recovery.limits, now=now
        )
        if isinstance(booked, Held):
            return nothing_done(booked.hold, booked.detail)
        # In the same transaction, so that no dispatcher takes it for one that waits for its Job.
        ledger.name_job(connection, booked.id, asked.job or runner)
    return booked


def _order(plan: Plan, action: Action, asked: Asked) -> Order:
    return Order(
        key=plan.key,
        action=action,
        incident=plan.incident,
        uid=plan.uid,
        restarts=plan.restarts,
        codes=plan.codes,
        origin=Origin.REQUEST,
        requested_by=asked.requested_by,
        is_forced=asked.is_forced,
    )


def nothing_done(hold: Hold, detail: str) -> Result:
    """Return the result of a run that a hold kept from booking anything."""
    return Result(AttemptOutcome.STOOD_DOWN, f"{hold}: {detail}")
