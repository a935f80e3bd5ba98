"""What the dispatcher asks of the place where recoveries run: the cluster's Jobs, or this machine's processes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from jobs.health.recovery import Attempt, Order
from jobs.store.ledger import Ending


class JobState(StrEnum):
    """What is known of an attempt's Job.

    ACTIVE: it may be at work, now or later. FINISHED: none of its processes runs any more. GONE: it isn't to be found,
    which doesn't prove that nothing of it runs.
    """

    ACTIVE = "active"
    FINISHED = "finished"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a Job. detail: how it ended, one clause, as far as that is told."""

    state: JobState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """One Job of recovery, as its own words tell it, for a ledger that may not know it.

    public_id: where the order's key isn't told: what the Job says of its instance, perhaps with more behind it.
    store, attempt_id: of the ledger that booked it first, empty and 0 for a Job that a person made.
    """

    job: str
    order: Order
    public_id: str = ""
    store: str = ""
    attempt_id: int = 0


class RecoveryJobs(Protocol):
    """Every call may raise ClusterError: then it isn't known what came of it, and it is made again later."""

    def refusal(self) -> str | None:
        """Return one sentence why no Job can be made here, None when one can; asked before anything is booked."""

    def create(self, attempt: Attempt, *, store: str, public_id: str) -> str | Ending:
        """Make the attempt's Job, or find the one that was made before; return its name.

        An Ending is for an attempt that can't have one. store: the ledger's name. public_id: the instance's.
        """

    def look(self, attempt: Attempt) -> Look:
        """Return what has become of the attempt's Job, as far as it is known by a name."""

    def seen(self) -> list[Seen]:
        """Return every Job of recovery that is still to be found."""
