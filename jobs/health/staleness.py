"""When an observation is too old to say anything about now, and what may be said then. Pure."""

from __future__ import annotations

from agent.report import rfc3339
from jobs.health.model import Assessment, Evidence, FailureClass, Reason, Severity, Verdict

# Three ticks of 15 s: architecture section 3 promises a gap of at most 32 s.
STALE_AFTER_MS = 45_000

OBSERVATION_STALE = "ObservationStale"
STALE_MEANS = f"The latest observation is over {STALE_AFTER_MS // 1000} s old, so nothing is known of now."
STALE_ADVICE = "See at /api/runs whether the collector runs, and what it says of its last tick."


def is_stale(at_ms: int, now_ms: int, after_ms: int = STALE_AFTER_MS) -> bool:
    """Tell whether an observation says nothing about now; one from the future is as doubtful as an old one."""
    return not at_ms - after_ms <= now_ms <= at_ms + after_ms


def outdated(made: Assessment, *, witness: str) -> Assessment:
    """Return what may be said of an instance whose latest assessment is stale. witness: who looked at the clock."""
    evidence = Evidence("observed at", rfc3339(made.observed_at_ms / 1000), witness=witness)
    return Assessment(
        made.key,
        made.observed_at_ms,
        Verdict.UNKNOWN,
        FailureClass.NONE,
        (Reason(OBSERVATION_STALE, FailureClass.NONE, Severity.UNKNOWN, (evidence,)),),
        (STALE_ADVICE,),
    )
