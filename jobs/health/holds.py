"""Every reason why nothing is done now, in the order in which a plan asks; pure data for people.

First comes what is to be done (up to NeedsHuman), then whether it may be done now: what somebody decided, what another
is doing, what the fleet forbids, whose agent it is, what the ledger allows, who would be cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.health.recovery import Hold


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a hold says, and what ends it."""

    means: str
    ends: str


HOLDS: Mapping[Hold, Meaning] = {
    Hold.BOOT_GRACE: Meaning("QEMU or its pod is just starting.", "once it has had its time to start"),
    Hold.NOT_ACTIONABLE: Meaning(
        "Nothing is wrong at this tick, no act answers what is, or it was seen only once.",
        "with a tick that says otherwise",
    ),
    Hold.SELF_HEALING: Meaning(
        "The fault mostly passes by itself, because the container is started again.", "after `self_heal_seconds`"
    ),
    Hold.NEEDS_HUMAN: Meaning(
        "Every rung was tried or can't be climbed here, one made it worse, or the fault came back after each cure.",
        "with the incident, or once a rung can be climbed",
    ),
    Hold.KILL_SWITCH: Meaning(
        "Recovery is off for the whole fleet, or its switches can't be read.", "when somebody lifts it"
    ),
    Hold.PAUSED: Meaning(
        "Somebody paused the fleet, the pod (annotation) or the guest.", "at the instant given, or when it is lifted"
    ),
    Hold.LEDGER_UNREAD: Meaning(
        "The store is new, and what was done under an earlier one isn't known yet.", "once `dispatch` has looked"
    ),
    Hold.ATTEMPT_RUNNING: Meaning("An attempt is under way.", "with its outcome"),
    Hold.FLEET_BRAKE: Meaning(
        "Too many instances are ill at once without a common cause.", "after `brake_quiet_ticks` below the limit"
    ),
    Hold.COMMON_CAUSE: Meaning(
        "Several instances that share a node or a new image fell ill together.",
        "once fewer than `common_cause_instances` of them are ill",
    ),
    Hold.IDENTITY_UNPROVEN: Meaning(
        "Nothing proves that the act would meet the pod it is meant for.", "with a report or a list that does"
    ),
    Hold.NO_KEY: Meaning("The agent does no acts, mostly because it has no key.", "with a report that says otherwise"),
    Hold.BUDGET_SPENT: Meaning(
        "The instance has had its attempts of the last 60 minutes.", "when the oldest of them is 60 minutes old"
    ),
    Hold.COOL_DOWN: Meaning(
        "The last attempt has only just ended, or nobody saw its end and it may still show.",
        "after `cool_down_seconds`, or `settle_seconds`",
    ),
    Hold.USER_CONNECTED: Meaning(
        "The act would cut off somebody who is connected, or nobody can tell whether anybody is.",
        "at the tick after they left, or after `user_wait_seconds`",
    ),
    Hold.DRY_RUN: Meaning("It would be done now, but this is a dry run.", "when `LOCO_DRY_RUN` is taken away"),
}
