"""An incident: from the first of several bad ticks until enough good ones; flapping is one incident."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from jobs.health.history import History
from jobs.health.model import Assessment, FailureClass, InstanceKey, Reason, Verdict
from jobs.health.policy import Policy


class ChangeKind(StrEnum):
    """What happened to an incident at one tick."""

    OPENED = "opened"
    UPDATED = "updated"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Incident:
    """One interval of bad ticks of one instance.

    id: the same for the same key and opening, whoever computes it. opened_*: the first bad tick of those that opened
    it. failure_class: of the latest bad tick that told one. verdict: the worst so far. codes: all so far, sorted.
    reasons: those of the tick that opened it, with their evidence. last_bad_tick: as of the latest change.
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


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """An incident as it is after a change, and which change that was."""

    kind: ChangeKind
    incident: Incident


def advance(
    incident: Incident | None, history: History, assessment: Assessment, *, tick: int, policy: Policy
) -> IncidentChange | None:
    """Return what this tick does to the open incident (None: none is open), or None when it does nothing.

    history: with this tick already remembered.
    """
    raise NotImplementedError
