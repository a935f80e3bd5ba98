"""What a recovery works with: the ground it stands on, the agent, eyes, a place for evidence, and its time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from jobs.clock import Clock
from jobs.health.control import Stop
from jobs.health.model import Instance
from jobs.health.recovery import Action, Attempt
from jobs.probe.actions import ActOrder, Challenge, Done, Refused, Silent
from jobs.probe.verify import Look


class Ground(Protocol):
    """The pod and the switches as they are at the moment of asking. Every call raises ClusterError."""

    def stop(self) -> Stop | None:
        """Return what the fleet's switches forbid now, None when they forbid nothing."""
        ...

    def instance(self) -> Instance | None:
        """Return the instance as the pod that it is now, None when there is none."""
        ...

    def delete_pod(self, uid: str) -> None:
        """Delete the pod of that uid and no other. Raises: Conflict when it is another one, NotFound."""
        ...


class Agent(Protocol):
    """The instance's agent. No call raises: what a stranger answers is a value."""

    def challenge(self, instance: Instance) -> Challenge | Refused | Silent:
        """Ask for leave to send one act within 30 s."""
        ...

    def act(self, instance: Instance, order: ActOrder, challenge: Challenge) -> Done | Refused | Silent:
        """Have one act done, once."""
        ...


class Eyes(Protocol):
    """Looks from outside."""

    def look(self, instance: Instance) -> Look:
        """Look once; a failed look is one too."""
        ...


class Keeper(Protocol):
    """Where evidence goes."""

    def keep(self, attempt: Attempt, look: Look) -> str:
        """Keep a bundle of what there is to see now; returns one clause about why not, empty when it was kept."""
        ...

    def add_after(self, attempt: Attempt, look: Look) -> str:
        """Add to the bundle what there is to see after the act; returns as `keep` does."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """Everything outside of the store."""

    ground: Ground
    agent: Agent
    eyes: Eyes
    keeper: Keeper


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The run's time. sleep: returns early once `is_leaving`, which says that the process was asked to end.

    rest: sleeps its time all the same.
    """

    clock: Clock
    sleep: Callable[[float], None]
    rest: Callable[[float], None]
    is_leaving: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long what may take.

    total_seconds: for everything; below the Job's activeDeadlineSeconds of 300, so that an attempt ends by itself.
    users_seconds: for how long people who are connected still hold up this attempt's act, if it would cut them off.
    verify_seconds: after the act, until the instance must be well. look_seconds: between two looks.
    """

    total_seconds: float = 240.0
    users_seconds: Callable[[Attempt], float] = lambda _: 300.0
    act_seconds: float = 20.0
    verify_seconds: Callable[[Action], float] = lambda _: 60.0
    # chosen: the agent's rounds are 3 s apart; looking a little more often misses none.
    look_seconds: float = 2.5
