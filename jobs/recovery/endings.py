"""How an attempt ends whose runner won't say it; pure."""

from __future__ import annotations

from jobs.health.recovery import Attempt, AttemptOutcome
from jobs.recovery.jobs import JobState, Look
from jobs.store.ledger import Ending

# chosen: after so long without a Job an attempt is over, because what it was planned on is.
CREATE_MS = 60_000

# manifests/recover-cronjob.yaml: activeDeadlineSeconds, and terminationGracePeriodSeconds for its pod to end in.
LIFE_MS = 300_000 + 30_000

# chosen: for the request that makes the Job, which takes 13 s at most, and for Kubernetes to notice the deadline.
_LATE_MS = 30_000

# For how long after its booking something of an attempt may run.
JOB_MS = CREATE_MS + LIFE_MS + _LATE_MS


def ending_of(attempt: Attempt, look: Look, witnessed_ms: int) -> Ending | None:
    """Return how an attempt ends whose runner won't write it any more, None while it may.

    Ending is a fence: the ledger lets nobody begin the act of an attempt that has ended, and takes no end from here
    before the last moment at which a begun act can reach its instance.
    """
    may_run_on = look.state is JobState.ACTIVE or (look.state is JobState.GONE and attempt.acted_ms is not None)
    if may_run_on and witnessed_ms - attempt.booked_ms < JOB_MS:
        return None
    why = {JobState.FINISHED: "its Job has ended", JobState.GONE: "its Job isn't there any more"}.get(
        look.state, f"its Job isn't over {JOB_MS // 1000} s after it was booked"
    )
    act = "no act was begun" if attempt.acted_ms is None else "what its act did wasn't seen"
    return Ending(AttemptOutcome.UNKNOWN, f"{why}{look.detail and f' ({look.detail})'}, {act}")
