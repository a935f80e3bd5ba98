"""How much recovery may do, how long it waits, and when it does nothing at all; pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jobs.health.recovery import Action, Limits
from jobs.health.thresholds import Range, threshold

# How long an instance may take to be well after an act, before the act counts as one without effect. chosen:
# links, sound and display are seen within two rounds of checks; a guest has to boot and draw for its expected 20 s;
# a container restarts within seconds and then its guest boots; a pod is made anew within its 90 s.
VERIFY_SECONDS: Mapping[Action, float] = {
    Action.RESET_INTERFACE: 20.0,
    Action.REBUILD_BRIDGE: 20.0,
    Action.RESET_AUDIO: 30.0,
    Action.RESET_DISPLAY: 30.0,
    Action.RESET_GUEST: 60.0,
    Action.RESTART_QEMU: 90.0,
    Action.RESTART_STREAM: 30.0,
    Action.LOWER_QUALITY: 30.0,
    Action.DELETE_POD: 180.0,
}

# A recovery ends by itself after 240 s (jobs.recovery.means), and before its proof it looks, keeps evidence and acts.
VERIFY_RANGE = Range(5, 180, is_whole=False)


@dataclass(frozen=True, slots=True)
class RecoveryBounds:
    """Table `[recovery]` of a policy file."""

    # architecture section 6: at most 3 in any 60 minutes; 0 plans and never acts.
    attempts: int = threshold(3, 0, 3)
    # architecture section 6: attempts that ended before their act have a bound of their own.
    idle_attempts: int = threshold(6, 0, 6)
    # chosen: at least one report comes between an attempt's end and the next plan, so no rung is tried twice unseen.
    cool_down_seconds: float = threshold(20.0, 15.0, 3600.0)
    # chosen: long enough to end a round of a game by oneself, short enough that a sick guest isn't left for an hour.
    user_wait_seconds: float = threshold(300.0, 0.0, 86400.0)
    # chosen: two ticks look at an instance whose attempt nobody saw the end of, before anything else is done.
    settle_seconds: float = threshold(30.0, 0.0, 3600.0)
    # chosen: kubelet starts a container again at once, after 10 s, then after 20 s; QEMU boots in 10 s.
    self_heal_seconds: float = threshold(45.0, 0.0, 3600.0)

    # architecture section 6: onset within 60 s, at least 3 instances, an image that changed within the hour.
    common_cause_instances: int = threshold(3, 2, 1000)
    common_cause_onset_seconds: float = threshold(60.0, 1.0, 3600.0)
    common_cause_image_seconds: float = threshold(3600.0, 0.0, 86400.0)
    # architecture section 6: >= max(3, 20 %) without a common cause.
    brake_instances: int = threshold(3, 1, 1000)
    brake_ratio: float = threshold(0.2, 0.0, 1.0)
    # chosen: five minutes below the limit before acts go on, as long as the budget of one instance lets three of them.
    brake_quiet_ticks: int = threshold(20, 1, 240)

    verify_seconds: Mapping[Action, float] = field(default_factory=lambda: VERIFY_SECONDS)

    @property
    def limits(self) -> Limits:
        """Return what the ledger holds an instance to."""
        return Limits(self.attempts, self.idle_attempts, self.cool_down_seconds)
