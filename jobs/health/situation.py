"""What one instance's plan is made of; pure."""

from __future__ import annotations

from dataclasses import dataclass

from agent.report import HealthReport
from jobs.health.control import Stop
from jobs.health.model import Assessment, Instance
from jobs.health.policy import Policy
from jobs.health.recovery import Action, Attempt, Held, Plan


@dataclass(frozen=True, slots=True)
class Leave:
    """What recovery may do at all. may_delete_pod: the rung exists, because somebody gave it its right."""

    policy: Policy
    may_delete_pod: bool = False
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for. action: None leaves it to the ladder. is_forced: don't wait for cool-down and people."""

    action: Action | None = None
    is_forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One instance at one moment.

    assessment, report: of one look that is fresh enough to act on; None where there is none. incident: the open one's
    id; attempts: its own, oldest first. refusal: what the ledger says to another attempt now; stream_refusal: to one on
    the stream, which leaves the last of the budget to what was measured. stop: what the fleet's switches forbid.
    brake: what the rest of the fleet forbids; stream_brake: to acts on the stream. before: the plan of the tick before.
    witnessed_ms: the ledger's clock.
    """

    instance: Instance
    assessment: Assessment | None
    leave: Leave
    now_ms: int
    witnessed_ms: int
    report: HealthReport | None = None
    incident: str | None = None
    attempts: tuple[Attempt, ...] = ()
    refusal: Held | None = None
    stream_refusal: Held | None = None
    stop: Stop | None = None
    brake: Held | None = None
    stream_brake: Held | None = None
    before: Plan | None = None
    wish: Wish | None = None

    @property
    def is_forced(self) -> bool:
        """Tell whether a person wants no waiting."""
        return self.wish is not None and self.wish.is_forced
