"""The values of recovery: what may be done, what is planned or why not, and what one attempt came to; pure.

`spent_ms` and `acted_ms` are on the ledger's own clock, `witnessed` time, which no wall clock moves; see
jobs.store.ledger. `*_at_ms` are wall-clock labels for people.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from jobs.health.model import InstanceKey


class Action(StrEnum):
    """Every act there is, from least to most disruptive within its class; the agent does all but the last."""

    RESET_INTERFACE = "reset-interface"
    REBUILD_BRIDGE = "rebuild-bridge"
    RESET_AUDIO = "reset-audio"
    RESET_DISPLAY = "reset-display"
    RESET_GUEST = "reset-guest"
    RESTART_QEMU = "restart-qemu"
    RESTART_STREAM = "restart-stream"
    LOWER_QUALITY = "lower-quality"
    DELETE_POD = "delete-pod"


class Hold(StrEnum):
    """Why nothing is done now."""

    BUDGET_SPENT = "BudgetSpent"
    COOL_DOWN = "CoolDown"
    USER_CONNECTED = "UserConnected"
    FLEET_BRAKE = "FleetBrake"
    COMMON_CAUSE = "CommonCause"
    PAUSED = "Paused"
    DRY_RUN = "DryRun"
    BOOT_GRACE = "BootGrace"
    NOT_ACTIONABLE = "NotActionable"
    IDENTITY_UNPROVEN = "IdentityUnproven"
    KILL_SWITCH = "KillSwitch"
    NEEDS_HUMAN = "NeedsHuman"
    SELF_HEALING = "SelfHealing"
    ATTEMPT_RUNNING = "AttemptRunning"
    LEDGER_UNREAD = "LedgerUnread"
    NO_KEY = "NoKey"


class Origin(StrEnum):
    """Who wanted an attempt; ADOPTED: it was made under an earlier store, which is lost."""

    POLICY = "policy"
    REQUEST = "request"
    ADOPTED = "adopted"


class AttemptState(StrEnum):
    """Where an attempt stands. PLANNED: in the ledger, its Job not yet at work. RUNNING: one pod has claimed it."""

    PLANNED = "planned"
    RUNNING = "running"
    ENDED = "ended"


class AttemptOutcome(StrEnum):
    """What an attempt came to.

    HEALED: done, and the instance was seen well. NO_EFFECT: done, and it wasn't by the deadline. WORSE: done, and new
    faults came. REFUSED: the agent can't do it here. SUPERSEDED: another pod or attempt was there first, the incident
    was over, or the pod is another one. STOOD_DOWN: a hold came up between plan and act. NOT_CREATED: Kubernetes took
    no Job. NAME_COLLISION: the Job of that name is somebody else's. UNKNOWN: its Job is gone and nobody saw the end.
    """

    HEALED = "healed"
    NO_EFFECT = "no-effect"
    WORSE = "worse"
    REFUSED = "refused"
    SUPERSEDED = "superseded"
    STOOD_DOWN = "stood-down"
    NOT_CREATED = "not-created"
    NAME_COLLISION = "name-collision"
    UNKNOWN = "unknown-outcome"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done next about one open incident, or why nothing is.

    action: the next rung, None where there is none. hold: None when it is due. detail: one clause for people.
    until_ms: wall-clock label of the earliest change of mind, None where no clock decides.
    uid, restarts: the pod that the plan is about. codes: the faults that it answers, worst first.
    is_cutting: the act ends a person's session. wanted_ms: witnessed time since which only people stand in its way.
    incident: None where a person asks and none is open. decided_at_ms: since when a plan that isn't due says the same.
    """

    incident: str | None
    key: InstanceKey
    decided_at_ms: int
    action: Action | None
    hold: Hold | None = None
    detail: str = ""
    until_ms: int | None = None
    uid: str | None = None
    restarts: int | None = None
    codes: tuple[str, ...] = ()
    is_cutting: bool = False
    wanted_ms: int | None = None

    @property
    def is_due(self) -> bool:
        """Tell whether it may become an attempt now."""
        return self.hold is None and self.action is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked of the ledger: one attempt. incident: None where a person asks and none is open."""

    key: InstanceKey
    action: Action
    incident: str | None = None
    uid: str | None = None
    restarts: int | None = None
    codes: tuple[str, ...] = ()
    origin: Origin = Origin.POLICY
    requested_by: str = ""
    is_forced: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What the ledger holds an instance to, in any 60 minutes of witnessed time.

    attempts: those that may have acted; the promise is 3 and a policy may only lower it.
    idle_attempts: those that ended before their act and so cost no budget.
    """

    attempts: int = 3
    idle_attempts: int = 6
    cool_down_seconds: float = 20.0

    @property
    def for_streams(self) -> Limits:
        """Return what acts on the stream are held to: anybody may post for one, so the last attempt isn't theirs."""
        return replace(self, attempts=_but_one(self.attempts), idle_attempts=_but_one(self.idle_attempts))


def _but_one(count: int) -> int:
    return count - 1 if count > 1 else count


@dataclass(frozen=True, slots=True)
class Held:
    """The ledger's no. wait_seconds: until it may say otherwise, None where no clock decides."""

    hold: Hold
    detail: str
    wait_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One row of the ledger.

    id: counts up within one store; name of the Job: `recover-<store>-<instance>-<id>`. number: within the incident.
    runner: uid of the pod, or name of the process, that claimed it. booked_ms, acted_ms, spent_ms, ended_ms: witnessed
    time; acted_ms is None while, or where, no act was begun; spent_ms: the last moment at which it may have acted.
    session_seconds_lost: of people who were cut off, None where that couldn't be measured.
    has_evidence: a bundle was kept.
    """

    id: int
    key: InstanceKey
    incident: str | None
    number: int
    action: Action
    uid: str | None
    restarts: int | None
    codes: tuple[str, ...]
    origin: Origin
    requested_by: str
    is_forced: bool
    state: AttemptState
    job: str | None
    runner: str | None
    booked_ms: int
    acted_ms: int | None
    spent_ms: int
    booked_at_ms: int
    acted_at_ms: int | None
    ended_at_ms: int | None
    outcome: AttemptOutcome | None
    detail: str
    session_seconds_lost: float | None
    has_evidence: bool
    ended_ms: int | None = None

    @property
    def has_never_acted(self) -> bool:
        """Tell whether it ended and is proven to have begun no act: of a store that was lost, later ones may have been.

        Its end is a fence; nothing that comes after it acts.
        """
        return self.acted_ms is None and self.ended_ms is not None and self.spent_ms <= self.ended_ms
