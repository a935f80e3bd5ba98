"""An incident as a story: everything that happened in it, in the order of time. Pure.

Times are the wall-clock labels that each part carries; parts that carry the same one stand in the order of cause.
A change of findings alone is no part of it: a host gets busy and idle again all day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from jobs.health.incident import Incident
from jobs.health.model import Reason, Severity, Verdict
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
    """One thing that happened. attempt, plan: which this is about, None for none.

    verdict, reasons: of an opening or a change. told: codes of the faults that held right before a change.
    is_exact: the reasons were measured at this very moment.
    """

    at_ms: int
    step: Step
    verdict: Verdict | None = None
    reasons: tuple[Reason, ...] = ()
    told: frozenset[str] = frozenset()
    is_exact: bool = True
    attempt: Attempt | None = None
    plan: Plan | None = None


def story(
    incident: Incident, *, changes: Iterable[Change], attempts: Iterable[Attempt], plans: Iterable[Plan]
) -> list[Event]:
    """Return what happened from opening to end, or until now.

    changes: of its instance, others are left out; attempts, plans: its own.
    """
    events = _judged(incident, changes)
    events += [Event(one.decided_at_ms, Step.PLANNED if one.is_due else Step.HELD, plan=one) for one in plans]
    for attempt in attempts:
        events += _of_attempt(attempt)
    if incident.closed_at_ms is not None:
        events.append(Event(incident.closed_at_ms, Step.CLOSED, Verdict.HEALTHY))
    return sorted(events, key=lambda event: (event.at_ms, event.step))


def _judged(incident: Incident, changes: Iterable[Change]) -> list[Event]:
    """Return the opening with what was measured then, and each change of verdict or of faults after it.

    The incident's own reasons are those of a later tick: it opens only at the second bad one or so.
    """
    ended_ms = incident.closed_at_ms
    during = sorted(
        (one for one in changes if incident.opened_at_ms <= one.at_ms and (ended_ms is None or one.at_ms <= ended_ms)),
        key=lambda one: (one.at_ms, one.tick),
    )
    opening = Event(incident.opened_at_ms, Step.OPENED, incident.verdict, incident.reasons, is_exact=False)
    if during and during[0].at_ms == incident.opened_at_ms:
        first = during.pop(0)
        opening = Event(first.at_ms, Step.OPENED, first.verdict, first.reasons)
    events = [opening]
    before = (opening.verdict if opening.is_exact else None, _faults(opening.reasons))
    for one in during:
        now = (one.verdict, _faults(one.reasons))
        if now != before:
            events.append(Event(one.at_ms, Step.CHANGED, one.verdict, one.reasons, told=before[1]))
        before = now
    return events


def _faults(reasons: Iterable[Reason]) -> frozenset[str]:
    return frozenset(one.code for one in reasons if one.severity is not Severity.FINDING)


def _of_attempt(attempt: Attempt) -> list[Event]:
    moments = (
        (attempt.booked_at_ms, Step.BOOKED),
        (attempt.acted_at_ms, Step.ACTED),
        (attempt.ended_at_ms, Step.ENDED),
    )
    return [Event(at_ms, step, attempt=attempt) for at_ms, step in moments if at_ms is not None]
