"""One instance between two ticks: what the next look at it needs to know, and what each look makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.report import HealthReport
from jobs.health.classify import classify
from jobs.health.history import EMPTY, History, remember
from jobs.health.incident import Incident, IncidentChange, advance
from jobs.health.model import Assessment, Connectivity, Instance, ProbeOutcome, ProbeResult
from jobs.health.policy import Policy


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of one instance.

    tick: the last one with a row for it, 0 before the first. before: the history without that tick's observation.
    probe, assessment: of the latest look of this run, None before it. report, report_at_ms: the last good one's.
    """

    instance: Instance
    tick: int = 0
    before: History = EMPTY
    history: History = EMPTY
    incident: Incident | None = None
    probe: ProbeResult | None = None
    assessment: Assessment | None = None
    report: HealthReport | None = None
    report_at_ms: int = 0
    connectivity: Connectivity | None = None


def follow(watched: Watched, instance: Instance) -> Watched:
    """Return what is known once the inventory says `instance`: at a new place nothing was seen yet."""
    if instance.place == watched.instance.place:
        return replace(watched, instance=instance)
    return replace(
        watched, instance=instance, probe=None, assessment=None, report=None, report_at_ms=0, connectivity=None
    )


def see_probe(
    watched: Watched, probe: ProbeResult, *, tick: int, policy: Policy, is_acting: bool = False
) -> tuple[Watched, Assessment, IncidentChange | None]:
    """Return what is known after one numbered tick's probe, its assessment, and what it did to an incident.

    is_acting: an attempt of ours runs on it now.
    """
    assessment = classify(watched.instance, probe, watched.connectivity, watched.history, policy)
    history = remember(watched.history, probe, assessment, tick=tick)
    change = advance(watched.incident, history, assessment, tick=tick, policy=policy, is_acting=is_acting)
    incident = watched.incident
    if change is not None:
        incident = None if change.incident.closed_at_ms is not None else change.incident
    # Where another pod answers, the word of the one that was there before is no leave to dial.
    earlier = replace(watched, report=None, report_at_ms=0) if probe.outcome is ProbeOutcome.WRONG_UID else watched
    seen = replace(
        watched,
        tick=tick,
        before=watched.history,
        history=history,
        incident=incident,
        probe=probe,
        assessment=assessment,
        report=probe.report or earlier.report,
        report_at_ms=probe.received_at_ms if probe.report else earlier.report_at_ms,
    )
    return seen, assessment, change


def see_connectivity(
    watched: Watched, connectivity: Connectivity, *, policy: Policy
) -> tuple[Watched, Assessment | None]:
    """Return what is known after a handshake between two ticks, and the new assessment where it says otherwise.

    The latest probe is judged again beside the new witness; history and incidents move with numbered ticks only.
    """
    seen = replace(watched, connectivity=connectivity)
    if watched.probe is None or watched.assessment is None:
        return seen, None
    assessment = classify(watched.instance, watched.probe, connectivity, watched.before, policy)
    if _told(assessment) == _told(watched.assessment):
        return seen, None
    assessment = replace(assessment, observed_at_ms=connectivity.checked_at_ms)
    return replace(seen, assessment=assessment), assessment


def _told(assessment: Assessment) -> tuple[object, ...]:
    """Return what a change of assessment is told by."""
    return assessment.verdict, assessment.failure_class, [reason.code for reason in assessment.reasons]
