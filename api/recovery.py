"""What recovery has done and is about to do, as the store says it at one revision."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jobs.health.model import InstanceKey
from jobs.health.policy import Policy
from jobs.health.recovery import Attempt, AttemptOutcome, Held, Hold, Limits, Plan
from jobs.health.situation import Leave
from jobs.store import attempts, ledger, plans

# What the ledger says now, whatever the last tick planned.
_AT_ONCE = (Hold.LEDGER_UNREAD, Hold.ATTEMPT_RUNNING)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the jobs beside this API were told: how much may be done, and whether anything is.

    control: folder of the fleet's switches, None where there is none.
    """

    policy: Policy = field(default_factory=Policy)
    is_dry_run: bool = False
    control: Path | None = None
    may_delete_pod: bool = False

    @property
    def limits(self) -> Limits:
        """Return what the ledger holds an instance to."""
        return self.policy.recovery.limits

    @property
    def leave(self) -> Leave:
        """Return what recovery may do at all."""
        return Leave(self.policy, may_delete_pod=self.may_delete_pod, is_dry_run=self.is_dry_run)


@dataclass(frozen=True, slots=True)
class Recovering:
    """One instance's recovery.

    plan: None while no incident is open. attempts: the newest first, those of the last 60 minutes of witnessed time.
    spent: how many of them may have acted and so cost budget; max_attempts: how many may.
    held: the ledger's no to a further one.
    """

    plan: Plan | None
    attempts: tuple[Attempt, ...]
    spent: int
    max_attempts: int
    held: Held | None

    @property
    def hold(self) -> Held | None:
        """Return why nothing is begun now, None when the plan is due or there is none."""
        if self.plan is None:
            return None
        if self.held and (self.held.hold in _AT_ONCE or self.plan.is_due):
            return self.held
        return Held(self.plan.hold, self.plan.detail) if self.plan.hold else None


@dataclass(frozen=True, slots=True)
class Recovery:
    """Every instance's recovery. instances: those that have a plan or an attempt; of_others: what holds for the rest.

    totals: attempts that ended since the store was made, by action and outcome.
    """

    bounds: Bounds
    instances: Mapping[InstanceKey, Recovering]
    of_others: Recovering
    totals: Mapping[tuple[str, str], int]

    def of(self, key: InstanceKey) -> Recovering:
        """Return one instance's recovery."""
        return self.instances.get(key, self.of_others)


def load_recovery(connection: sqlite3.Connection, bounds: Bounds) -> Recovery:
    """Return what plans and ledger say; the budget is counted on the ledger's clock as it last stood."""
    now_ms = attempts.witnessed_ms(connection)
    most = min(bounds.limits.attempts, ledger.MOST_ATTEMPTS)
    planned = plans.read_plans(connection)
    rows: dict[InstanceKey, list[Attempt]] = {}
    for attempt in attempts.recent(connection, window_ms=ledger.BUDGET_MS):
        rows.setdefault(attempt.key, []).append(attempt)

    def recovering(key: InstanceKey) -> Recovering:
        found = tuple(rows.get(key, ()))
        held = ledger.refusal(connection, key, bounds.limits, witnessed_ms=now_ms, is_forced=False)
        return Recovering(planned.get(key), found, sum(map(_has_cost, found)), most, held)

    nobody = InstanceKey("")  # of whom the ledger knows nothing
    known = {key: recovering(key) for key in planned.keys() | rows.keys()}
    return Recovery(bounds, known, recovering(nobody), attempts.totals(connection))


def _has_cost(attempt: Attempt) -> bool:
    """Tell whether an attempt counts against the budget, as `ledger.refusal` counts."""
    return attempt.acted_ms is not None or attempt.outcome is AttemptOutcome.UNKNOWN
