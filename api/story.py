"""An incident as a story: everything that happened in it, in the order of time. Pure.

Times are the wall-clock labels that each part carries; parts that carry the same one stand in the order of cause.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from jobs.health.incident import Incident
from jobs.health.model import Reason, Verdict
from jobs.health.recovery import Attempt, Plan
from jobs.store.reader import Change


class Step(IntEnum):
    """What happened; of the same moment, the lower comes first."""

    OPENED = 0
    CHANGED = 1
    PLANNED = 2
    HELD = 3
    BOOKED = 4
    ACTED = 5
    ENDED = 6
    CLOSED = 7


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. verdict, reasons: of a change; attempt, plan: which this is about, None for none."""

    at_ms: int
    step: Step
    verdict: Verdict | None = None
    reasons: tuple[Reason, ...] = ()
    attempt: Attempt | None = None
    plan: Plan | None = None


def story(
    incident: Incident, *, changes: Iterable[Change], attempts: Iterable[Attempt], plans: Iterable[Plan]
) -> list[Event]:
    """Return what happened from opening to end, or until now.

    changes: of its instance, others are left out; attempts, plans: its own.
    """
    events = [Event(incident.opened_at_ms, Step.OPENED, incident.verdict, incident.reasons)]
    events += [
        Event(one.at_ms, Step.CHANGED, one.verdict, one.reasons)
        for one in changes
        if incident.opened_at_ms < one.at_ms and (incident.closed_at_ms is None or one.at_ms <= incident.closed_at_ms)
    ]
    events += [Event(one.decided_at_ms, Step.PLANNED if one.is_due else Step.HELD, plan=one) for one in plans]
    for attempt in attempts:
        events += _of_attempt(attempt)
    if incident.closed_at_ms is not None:
        events.append(Event(incident.closed_at_ms, Step.CLOSED, Verdict.HEALTHY))
    return sorted(events, key=lambda event: (event.at_ms, event.step))


def _of_attempt(attempt: Attempt) -> list[Event]:
    moments = (
        (attempt.booked_at_ms, Step.BOOKED),
        (attempt.acted_at_ms, Step.ACTED),
        (attempt.ended_at_ms, Step.ENDED),
    )
    return [Event(at_ms, step, attempt=attempt) for at_ms, step in moments if at_ms is not None]
