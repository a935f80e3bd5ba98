"""An incident: from the first of several bad ticks until enough good ones; flapping is one incident."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum

from jobs.health.history import History
from jobs.health.model import Assessment, FailureClass, InstanceKey, Reason, Verdict
from jobs.health.policy import Policy
from jobs.health.rules import BADNESS, FAULTS

# Who is at fault: nobody that is known, a viewer's own side, one layer of ours, several.
_CLASS_WEIGHT = {
    FailureClass.NONE: 0,
    FailureClass.CLIENT: 1,
    FailureClass.NETWORK: 2,
    FailureClass.QEMU: 2,
    FailureClass.MIXED: 3,
}


class ChangeKind(StrEnum):
    """What happened to an incident at one tick."""

    OPENED = "opened"
    UPDATED = "updated"
    ESCALATED = "escalated"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Incident:
    """One interval of bad ticks of one instance.

    id: the same for the same key and opening, whoever computes it. opened_*: the first bad tick of those that opened
    it. failure_class: of the latest bad tick that told one. verdict: the worst so far. codes: all faults so far.
    reasons: those of the tick that opened it, with their evidence. last_bad_tick: as of the latest change.
    members: instances with open incidents of their own that this one explains; only `jobs.health.brake` makes such.
    """

    id: str
    key: InstanceKey
    opened_at_ms: int
    opened_tick: int
    failure_class: FailureClass
    verdict: Verdict
    codes: tuple[str, ...]
    reasons: tuple[Reason, ...]
    last_bad_tick: int
    closed_at_ms: int | None = None
    members: tuple[InstanceKey, ...] = ()


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """An incident as it is after a change, and which change that was.

    escalation: what got worse, such as `VerdictUnreachable` or `ClassMixed`; empty for any other change.
    """

    kind: ChangeKind
    incident: Incident
    escalation: str = ""


def advance(
    incident: Incident | None,
    history: History,
    assessment: Assessment,
    *,
    tick: int,
    policy: Policy,
    is_acting: bool = False,
) -> IncidentChange | None:
    """Return what this tick does to the open incident (None: none is open), or None when it does nothing.

    history: with this tick already remembered. A planned state (paused, migrating) is neither bad nor good: it opens
    nothing and closes nothing. is_acting: an attempt of ours runs, and a restart looks like a death. So what would be
    worse waits; it is told at the first tick after the attempt, if it still holds.
    """
    if incident is not None:
        change = _updated(incident, assessment, tick)
        if change and change.escalation and is_acting:
            return None
        return change or _closed(incident, history, assessment, policy)
    if assessment.verdict is Verdict.HEALTHY:
        return None
    return _opened(history, assessment, tick, policy)


def is_bad(codes: tuple[str, ...]) -> bool:
    """Tell whether one of the reasons is a fault: no finding, and nothing that somebody planned."""
    return not FAULTS.isdisjoint(codes)


def _opened(history: History, assessment: Assessment, tick: int, policy: Policy) -> IncidentChange | None:
    """Return a new incident when this tick is bad, and enough of the last ones were."""
    recent = history.observations[-policy.incident_open_window :]
    bad = [one for one in recent if is_bad(one.codes)]
    if len(bad) < policy.incident_open_ticks or bad[-1].tick != tick:
        return None
    incident = Incident(
        id=incident_id(assessment.key, tick=bad[0].tick, at_ms=bad[0].received_at_ms),
        key=assessment.key,
        opened_at_ms=bad[0].received_at_ms,
        opened_tick=bad[0].tick,
        failure_class=assessment.failure_class,
        verdict=max((one.verdict for one in bad), key=BADNESS.__getitem__),
        codes=tuple(sorted(FAULTS.intersection(code for one in bad for code in one.codes))),
        reasons=assessment.reasons,
        last_bad_tick=tick,
    )
    return IncidentChange(ChangeKind.OPENED, incident)


def _updated(incident: Incident, assessment: Assessment, tick: int) -> IncidentChange | None:
    """Return the incident with what a bad tick adds to it, or None when it adds nothing."""
    codes = tuple(reason.code for reason in assessment.reasons)
    if not is_bad(codes):
        return None
    grown = replace(
        incident,
        codes=tuple(sorted({*incident.codes, *FAULTS.intersection(codes)})),
        verdict=max(incident.verdict, assessment.verdict, key=BADNESS.__getitem__),
        failure_class=_later(incident.failure_class, assessment.failure_class),
    )
    if grown == incident:
        return None
    escalation = _escalation(incident, grown)
    kind = ChangeKind.ESCALATED if escalation else ChangeKind.UPDATED
    return IncidentChange(kind, replace(grown, last_bad_tick=tick), escalation)


def _escalation(before: Incident, now: Incident) -> str:
    """Return what got worse, empty where nothing did: a class that comes back is not worse than at the opening."""
    if now.verdict is not before.verdict:
        return f"Verdict{now.verdict.capitalize()}"
    weighed = max(_CLASS_WEIGHT[before.failure_class], _opening_weight(before))
    return f"Class{now.failure_class.capitalize()}" if _CLASS_WEIGHT[now.failure_class] > weighed else ""


def _opening_weight(incident: Incident) -> int:
    """Return how much the layers weigh that were at fault when the incident opened."""
    layers = {reason.failure_class for reason in incident.reasons}
    if layers >= {FailureClass.NETWORK, FailureClass.QEMU}:
        return _CLASS_WEIGHT[FailureClass.MIXED]
    return max((_CLASS_WEIGHT[layer] for layer in layers), default=0)


def _closed(incident: Incident, history: History, assessment: Assessment, policy: Policy) -> IncidentChange | None:
    """Return the incident closed when this tick is healthy, enough of the last ones were, and none is held down."""
    seen = history.observations
    recent = [one.verdict for one in seen[-policy.incident_close_window :]]
    if assessment.verdict is not Verdict.HEALTHY or recent.count(Verdict.HEALTHY) < policy.incident_close_ticks:
        return None
    last_bad = max((one.tick for one in seen if is_bad(one.codes)), default=incident.last_bad_tick)
    quiet = sum(one.tick > last_bad for one in seen)
    if quiet < policy.incident_hold_down_ticks:
        return None
    closed = replace(incident, closed_at_ms=assessment.observed_at_ms, last_bad_tick=last_bad)
    return IncidentChange(ChangeKind.CLOSED, closed)


def _later(before: FailureClass, now: FailureClass) -> FailureClass:
    """Return the class of the latest tick, unless it tells none."""
    return before if now is FailureClass.NONE else now


def incident_id(key: InstanceKey, *, tick: int, at_ms: int) -> str:
    """Return a name that every run makes alike, and that no other incident of the store has.

    tick, at_ms: of its opening.
    """
    text = f"{key} {tick} {at_ms}"
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
