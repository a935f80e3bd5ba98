"""When the fleet is ill as a whole, and acts on one instance after the other would only do harm; pure.

Both kinds of brake are incidents with members, kept in the store, so that the next run of `collect` knows them:

- A **common cause**: enough instances that share it fell ill within a minute. Nothing is done to its members. It
  closes once fewer than enough of them are ill.
- The **fleet brake**: too large a share of the others is ill at once. Nothing is done to anybody. It closes after a
  quiet time below the limit.

An instance counts from its first bad tick on, before it has an incident: acts must not race the count. One of which
only its browsers complain counts for neither; too many of those hold acts on streams back, for as long as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil

from jobs.health.bounds import RecoveryBounds
from jobs.health.causes import FLEET, Cause, causes_of, name_of, new_images, within
from jobs.health.incident import ChangeKind, Incident, IncidentChange, incident_id
from jobs.health.model import Evidence, FailureClass, Instance, InstanceKey, Reason, Severity, Verdict
from jobs.health.recovery import Held, Hold
from jobs.health.rules import BADNESS, BY_WORD, FAULTS

COMMON_CAUSE = "CommonCause"
FLEET_BRAKE = "FleetBrake"

_WITNESS = "collector"


@dataclass(frozen=True, slots=True, kw_only=True)
class Illness:
    """One instance that has an open incident, is bad at its latest tick, or both. since_*: its first bad tick.

    codes: what was ever wrong since then. latest: what is, at its latest tick.
    """

    since_ms: int
    since_tick: int
    verdict: Verdict
    failure_class: FailureClass
    codes: tuple[str, ...]
    has_incident: bool
    is_bad: bool
    latest: tuple[str, ...] = ()

    @property
    def is_by_word(self) -> bool:
        """Tell whether only browsers say so: what anybody may post holds no act on a measured fault back.

        Nor does it keep an incident of a fault that was measured once, and is over, in the count.
        """
        return BY_WORD.issuperset(FAULTS.intersection(self.latest) or FAULTS.intersection(self.codes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The fleet at one tick. at_ms: the collector's clock."""

    instances: Mapping[InstanceKey, Instance]
    ill: Mapping[InstanceKey, Illness]
    tick: int
    at_ms: int


def advance_brakes(
    brakes: Mapping[InstanceKey, Incident], fleet: Fleet, bounds: RecoveryBounds
) -> tuple[IncidentChange, ...]:
    """Return what this tick does to the incidents of several instances. brakes: the open ones, by their keys."""
    shared = _shared(fleet, bounds)
    changes = [_known_cause(brakes[cause], shared, fleet, bounds) for cause in brakes.keys() - {FLEET}]
    members = {key for change in changes for key in change.incident.members if change.kind is not ChangeKind.CLOSED}
    for cause in [one for one in shared if one not in brakes]:
        opened = _new_cause(cause, shared[cause] - members, fleet, bounds)
        if opened:
            changes.append(opened)
            members.update(opened.incident.members)
    changes.extend(_fleet_brake(brakes.get(FLEET), members, fleet, bounds))
    return tuple(change for change in changes if change.incident != brakes.get(change.incident.key))


def after(brakes: Mapping[InstanceKey, Incident], changes: Iterable[IncidentChange]) -> dict[InstanceKey, Incident]:
    """Return the brakes that are open after these changes."""
    known = {**brakes, **{change.incident.key: change.incident for change in changes}}
    return {key: incident for key, incident in known.items() if incident.closed_at_ms is None}


def brake_on(key: InstanceKey, brakes: Mapping[InstanceKey, Incident]) -> Held | None:
    """Return what the open brakes hold an instance to."""
    if FLEET in brakes:
        ill = f"{len(brakes[FLEET].members)} instances were ill at once without a common cause"
        return Held(Hold.FLEET_BRAKE, f"{ill}, too many to act one by one")
    for incident in brakes.values():
        if key in incident.members:
            return Held(Hold.COMMON_CAUSE, f"{len(incident.members)} instances on {name_of(incident.key)} are ill")
    return None


def stream_brake(complaining: int, size: int, bounds: RecoveryBounds) -> Held | None:
    """Return what holds acts on streams back. complaining: how many are ill of nothing but what browsers say."""
    if complaining < _most(size, bounds):
        return None
    return Held(
        Hold.FLEET_BRAKE, f"the browsers of {complaining} instances complain at once, too many to act one by one"
    )


def _most(size: int, bounds: RecoveryBounds) -> int:
    """Return how many ill instances of a fleet are too many."""
    return max(bounds.brake_instances, ceil(bounds.brake_ratio * size))


def _shared(fleet: Fleet, bounds: RecoveryBounds) -> dict[Cause, set[InstanceKey]]:
    """Return the ill instances by what they share, nodes first: an image on one sick node is innocent."""
    images = new_images(fleet.instances.values(), at_ms=fleet.at_ms, seconds=bounds.common_cause_image_seconds)
    shared: dict[Cause, set[InstanceKey]] = {}
    for key in sorted(fleet.ill):
        for cause in causes_of(fleet.instances[key], images):
            shared.setdefault(cause, set()).add(key)
    return dict(sorted(shared.items(), reverse=True))


def _known_cause(
    incident: Incident, shared: Mapping[Cause, set[InstanceKey]], fleet: Fleet, bounds: RecoveryBounds
) -> IncidentChange:
    """Return an open common cause as it is now; who falls ill later belongs to it too."""
    # An image that isn't new any more still is what its members have in common.
    ill = shared.get(incident.key, set()) | (fleet.ill.keys() & set(incident.members))
    if len(ill) < bounds.common_cause_instances:
        return IncidentChange(ChangeKind.CLOSED, replace(incident, closed_at_ms=fleet.at_ms))
    return IncidentChange(ChangeKind.UPDATED, _with_members(incident, ill, fleet))


def _new_cause(cause: Cause, ill: set[InstanceKey], fleet: Fleet, bounds: RecoveryBounds) -> IncidentChange | None:
    """Return a new common cause when enough instances that share it fell ill together and still are."""
    onsets_ms = {key: fleet.ill[key].since_ms for key in ill if fleet.ill[key].is_bad}
    count, seconds = bounds.common_cause_instances, bounds.common_cause_onset_seconds
    together = within(onsets_ms, count=count, seconds=seconds)
    if not together or not _has_incident(ill, fleet):
        return None
    evidence = (
        Evidence("in common", name_of(cause), witness=_WITNESS),
        Evidence("instances", len(together), count, witness=_WITNESS),
        Evidence("onset within", seconds, unit="s", witness=_WITNESS),
    )
    first = fleet.ill[together[0]]
    opened = (first.since_ms, first.since_tick)
    return IncidentChange(ChangeKind.OPENED, _opened(cause, COMMON_CAUSE, ill, evidence, fleet, opened=opened))


def _fleet_brake(
    brake: Incident | None, members: set[InstanceKey], fleet: Fleet, bounds: RecoveryBounds
) -> Iterable[IncidentChange]:
    """Return what becomes of the fleet brake. members: of common causes, who count neither as ill nor as fleet."""
    ill = {key for key in fleet.ill.keys() - members if fleet.ill[key].is_bad}
    size = len(fleet.instances.keys() - members)
    most = _most(size, bounds)
    if len(ill) >= most and (brake or _has_incident(ill, fleet)):
        evidence = (
            Evidence("ill instances", len(ill), most, witness=_WITNESS),
            Evidence("instances without a common cause", size, witness=_WITNESS),
        )
        if brake is None:
            # Who is ill may be so for long; the fleet is ill since they are too many.
            opened = (fleet.at_ms, fleet.tick)
            yield IncidentChange(ChangeKind.OPENED, _opened(FLEET, FLEET_BRAKE, ill, evidence, fleet, opened=opened))
        else:
            grown = replace(_with_members(brake, ill, fleet), last_bad_tick=fleet.tick)
            yield IncidentChange(ChangeKind.UPDATED, grown)
    elif brake and fleet.tick - brake.last_bad_tick >= bounds.brake_quiet_ticks:
        yield IncidentChange(ChangeKind.CLOSED, replace(brake, closed_at_ms=fleet.at_ms))


def _has_incident(ill: Iterable[InstanceKey], fleet: Fleet) -> bool:
    """Tell whether there is anything that a brake would hold back: one bad tick of many opens nothing."""
    return any(fleet.ill[key].has_incident for key in ill)


def _opened(
    key: InstanceKey,
    code: str,
    ill: set[InstanceKey],
    evidence: tuple[Evidence, ...],
    fleet: Fleet,
    *,
    opened: tuple[int, int],
) -> Incident:
    """Return a new brake. opened: instant and tick of its opening."""
    incident = Incident(
        id=incident_id(key, tick=fleet.tick, at_ms=fleet.at_ms),
        key=key,
        opened_at_ms=opened[0],
        opened_tick=opened[1],
        failure_class=FailureClass.NONE,
        verdict=Verdict.HEALTHY,
        codes=(code,),
        reasons=(Reason(code, FailureClass.NONE, Severity.UNHEALTHY, evidence),),
        last_bad_tick=fleet.tick,
    )
    return _with_members(incident, ill, fleet)


def _with_members(incident: Incident, ill: set[InstanceKey], fleet: Fleet) -> Incident:
    """Return a brake with its members as they are now, and what they were ill of since it is on."""
    illnesses = [fleet.ill[key] for key in ill]
    classes = {one.failure_class for one in illnesses} - {FailureClass.NONE}
    return replace(
        incident,
        members=tuple(sorted(ill)),
        codes=tuple(sorted({*incident.codes, *FAULTS.intersection(code for one in illnesses for code in one.latest)})),
        verdict=max((incident.verdict, *(one.verdict for one in illnesses)), key=BADNESS.__getitem__),
        failure_class=FailureClass.MIXED if len(classes) > 1 else classes.pop() if classes else FailureClass.NONE,
    )
