"""One notification in words: what somebody needs who is woken by it; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from jobs.health.causes import FLEET, is_common, name_of
from jobs.health.incident import Incident
from jobs.health.model import Evidence, InstanceKey, Reason
from jobs.health.recovery import Hold, Plan
from jobs.health.wording import meaning, measure
from jobs.store.deliveries import Notice
from jobs.store.outbox import OF_STREAM, Kind

# chosen: as many names as a message on a small screen shows.
_NAMES = 10


class Transition(StrEnum):
    """What happened to the incident."""

    OPENED = "opened"
    ESCALATED = "escalated"
    CLOSED = "closed"


_HEADLINES = {
    Hold.NEEDS_HUMAN.value: "needs a person: recovery can do no more",
    Hold.BUDGET_SPENT.value: "has had all its recovery attempts of the last hour",
    f"{OF_STREAM}{Hold.NEEDS_HUMAN}": "needs a person: its browsers complain, and nothing is left to do to its stream",
    f"{OF_STREAM}{Hold.BUDGET_SPENT}": "has had the acts on its stream of the last hour, and its browsers complain",
}


@dataclass(frozen=True, slots=True)
class Letter:
    """One notification as it is sent now. incident: as it was then. plan: what recovery has in mind now, if anything.

    earlier: for the end of an incident, what was told of it before. ids: what people call each instance, by key.
    """

    notice: Notice
    incident: Incident
    plan: Plan | None = None
    earlier: tuple[Letter, ...] = ()
    ids: Mapping[InstanceKey, str] = field(default_factory=dict)

    @property
    def transition(self) -> Transition:
        """Return what happened."""
        if self.notice.message.escalation:
            return Transition.ESCALATED
        return Transition.CLOSED if self.notice.kind is Kind.INCIDENT_CLOSED else Transition.OPENED

    @property
    def about(self) -> str:
        """Return what people call the instance, or what several have in common."""
        instance = self.notice.message.instance
        return instance.public_id if instance else name_of(self.incident.key)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Return the reasons of that moment, else those of the opening."""
        return self.notice.message.reasons or self.incident.reasons

    @property
    def headline(self) -> str:
        """Return one short clause, such as `instance-0 is unreachable, class network`."""
        return f"{self.about} {self._predicate()}"

    @property
    def text(self) -> str:
        """Return what there is to know, in a few sentences."""
        return " ".join(part for part in (f"{self.headline}.", *self._why(), self._outlook()) if part)

    def _predicate(self) -> str:
        transition, incident = self.transition, self.incident
        if transition is Transition.CLOSED:
            return _ending(incident, has_left=self.notice.message.has_left)
        if incident.key == FLEET:
            return "is on: too many instances are ill at once without a common cause"
        if is_common(incident.key):
            return f"is a common cause: {len(incident.members)} instances are ill"
        stands = f"{incident.verdict}, class {incident.failure_class}"
        if transition is Transition.OPENED:
            return f"is {stands}"
        return _HEADLINES.get(self.notice.message.escalation, f"got worse: now {stands}")

    def _why(self) -> tuple[str, ...]:
        incident = self.incident
        if self.transition is Transition.CLOSED:
            return (f"It was {incident.verdict} at worst: {', '.join(incident.codes)}.",)
        if incident.key == FLEET:  # the headline says already what it means
            told = tuple(f"{facts[:1].upper()}{facts[1:]}." for one in self.reasons if (facts := _facts(one)))
        else:
            told = tuple(f"{in_words(reason)}." for reason in self.reasons)
        return (*told, f"Ill: {self._names()}.") if incident.members else told

    def _names(self) -> str:
        """Return who is ill; the key of one that has left the inventory stands for its name."""
        members = self.incident.members
        names = ", ".join(self.ids.get(key, key) for key in members[:_NAMES])
        return f"{names} and {len(members) - _NAMES} more" if len(members) > _NAMES else names

    def _outlook(self) -> str:
        """Return what recovery does about it next, or why nothing; empty once there is nothing to mend."""
        if self.transition is Transition.CLOSED:
            return ""
        if is_common(self.incident.key):
            whom = "any instance" if self.incident.key == FLEET else "them one by one"
            return f"Recovery: nothing is done to {whom} while it is so."
        return f"Recovery: {outlook(self.plan)}."


def letter_of(notice: Notice, plans: Mapping[str | None, Plan], ids: Mapping[InstanceKey, str]) -> Letter:
    """Return a notice as a letter. plans: by incident. ids: what people call each instance."""
    incident = notice.message.incident
    if incident is None:
        raise ValueError(f"notice {notice.name} is of no incident")
    earlier = tuple(letter_of(one, plans, ids) for one in notice.earlier)
    return Letter(notice, incident, plans.get(incident.id), earlier, ids)


def in_words(reason: Reason) -> str:
    """Return what a reason means and the facts that show it, as one reads it aloud; what nobody knows is left out."""
    means, facts = meaning(reason.code).removesuffix("."), _facts(reason)
    return f"{means}: {facts}" if facts else means


def outlook(plan: Plan | None) -> str:
    """Return what recovery has in mind, as a clause."""
    if plan is None:
        return "no plan is made, the incident is over or has only just begun"
    told = plan.detail or (f"{plan.action} is next" if plan.action else "nothing is next")
    return f"{plan.hold}, {told}" if plan.hold else told


def code_of(letter: Letter) -> str | None:
    """Return the reason whose runbook helps first."""
    return letter.reasons[0].code if letter.reasons else None


def _ending(incident: Incident, *, has_left: bool) -> str:
    seconds = ((incident.closed_at_ms or incident.opened_at_ms) - incident.opened_at_ms) // 1000
    lasted = f"after {seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"after {seconds} s"
    if has_left:
        return f"has left the inventory, {lasted}"
    return f"is over {lasted}" if is_common(incident.key) else f"is healthy again {lasted}"


def _facts(reason: Reason) -> str:
    known = (one for one in reason.evidence if one.value is not None or one.limit is not None)
    return ", ".join(_fact(one) for one in known)


def _fact(one: Evidence) -> str:
    """Return `screen still 46 s (limit 20 s)`, `screen verdict still (should be moving)`."""
    # A name of one word and its dots is a report's field; any other, such as a client's id, stays as it is.
    name = one.fact if " " in one.fact or "/" in one.fact else one.fact.replace(".", " ").replace("_", " ")
    told = f"{name} {measure(one.value, one.unit)}"
    if one.limit is None:
        return told
    if isinstance(one.limit, str):  # of a fact that nobody knows, it says why
        return f"{told} ({one.limit})" if one.value is None else f"{told} (should be {one.limit})"
    return f"{told} (limit {measure(one.limit, one.unit)})"
