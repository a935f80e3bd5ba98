"""What a recovery that somebody asks for would do now: planned as the run itself plans, and nothing is written."""

from __future__ import annotations

import sqlite3

from api.fleet import Fleet, Standing
from api.follower import Follower
from api.problem import ProblemReason, unavailable
from api.recovery import Bounds
from jobs.clock import Clock
from jobs.errors import JobError
from jobs.health.brake import brake_on
from jobs.health.causes import is_common
from jobs.health.model import ProbeOutcome
from jobs.health.plan import plan_recovery
from jobs.health.recovery import Attempt, Held, Plan
from jobs.health.situation import Situation, Wish
from jobs.store import ledger


def foresee(fleet: Fleet, standing: Standing, follower: Follower, *, is_forced: bool) -> Plan:
    """Return the plan for one instance, as of now. Raises: Problem (503) where the store can't be read."""
    clock = Clock()

    def question(connection: sqlite3.Connection) -> tuple[int, Held | None, list[Attempt]]:
        witnessed_ms = ledger.witnessed(connection, clock.moment())
        refusal = ledger.refusal(
            connection,
            standing.instance.key,
            follower.bounds.limits,
            witnessed_ms=witnessed_ms,
            is_forced=is_forced,
        )
        incident = standing.incident
        return witnessed_ms, refusal, ledger.of_incident(connection, incident.id) if incident else []

    try:
        witnessed_ms, refusal, attempts = follower.query(question)
    except JobError as error:
        raise unavailable(ProblemReason.STORE_UNREADABLE, f"{error}; nothing was started") from error
    return plan_recovery(
        _situation(
            fleet,
            standing,
            follower.bounds,
            refusal=refusal,
            attempts=attempts,
            witnessed_ms=witnessed_ms,
            now_ms=clock.wall_ms(),
            wish=Wish(is_forced=is_forced),
        )
    )


def _situation(  # noqa: PLR0913 - one for each thing that a plan stands on
    fleet: Fleet,
    standing: Standing,
    bounds: Bounds,
    *,
    refusal: Held | None,
    attempts: list[Attempt],
    witnessed_ms: int,
    now_ms: int,
    wish: Wish,
) -> Situation:
    """Return what the run would find, as `jobs.planner.plan_one` makes it of the store."""
    latest = None if standing.is_stale else standing.latest
    has_report = latest is not None and latest.outcome is ProbeOutcome.OK
    incidents = fleet.snapshot.incidents if fleet.snapshot else {}
    brakes = {key: one for key, one in incidents.items() if is_common(key)}
    return Situation(
        instance=standing.instance,
        assessment=latest.assessment if latest else None,
        report=standing.report.fields if has_report and standing.report else None,
        incident=standing.incident.id if standing.incident else None,
        attempts=tuple(attempts),
        refusal=refusal,
        leave=bounds.leave,
        stop=fleet.stop,
        brake=brake_on(standing.instance.key, brakes),
        before=standing.recovery.plan if standing.recovery else None,
        now_ms=now_ms,
        witnessed_ms=witnessed_ms,
        wish=wish,
    )
