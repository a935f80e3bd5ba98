"""What happens to an instance as Kubernetes Events on its pod; pure but for `send`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.report import rfc3339
from jobs.cluster.fields import printable
from jobs.errors import Conflict
from jobs.health.incident import Incident
from jobs.health.model import Instance, Pod
from jobs.health.recovery import Attempt, Plan
from jobs.health.wording import sentence
from jobs.store.outbox import Kind, Message, Waiting

if TYPE_CHECKING:
    from jobs.cluster.client import ClusterClient

CONTROLLER = "loco-health/dispatch"

# kubernetes pkg/apis/core/validation/events.go: NoteLengthLimit, and the limit of the other texts.
MAX_NOTE_BYTES = 1024
MAX_TEXT_CHARACTERS = 128

# A DNS subdomain has at most 253 characters; an incident's id and `.opened` come behind the pod's name.
_MAX_POD_CHARACTERS = 200

_WARNINGS = frozenset({Kind.INCIDENT_OPENED, Kind.INCIDENT_ESCALATED, Kind.RECOVERY_FAILED, Kind.RECOVERY_SUPPRESSED})


@dataclass(frozen=True, slots=True)
class _Text:
    """What is said. subject: ends the Event's name, the row's alone. uid: of the pod that it is about."""

    subject: str
    action: str
    reason: str
    note: str
    uid: str | None


def send(client: ClusterClient, pod: Pod, row: Waiting, *, sender: str) -> None:
    """Create the Event of a row on its pod; one that is there already was sent by a run that died before it said so.

    Raises: ClusterError.
    """
    path = f"/apis/events.k8s.io/v1/namespaces/{pod.namespace}/events"
    try:
        client.create(path, event(pod, row, sender=sender))
    except Conflict:
        return


def event(pod: Pod, row: Waiting, *, sender: str) -> dict[str, Any]:
    """Return the Event of a row. Its name is the row's alone, so that a repetition is a conflict."""
    said = _text(row.kind, row.message)
    stem = pod.name[:_MAX_POD_CHARACTERS].rstrip("-.")
    regarding = {"apiVersion": "v1", "kind": "Pod", "namespace": pod.namespace, "name": pod.name}
    if said.uid:
        regarding["uid"] = said.uid
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{stem}.{said.subject}",
            "namespace": pod.namespace,
            "labels": {"app.kubernetes.io/name": "loco-health", "app.kubernetes.io/component": "dispatch"},
        },
        "eventTime": rfc3339(row.created_at_ms / 1000).replace("Z", "000Z"),  # a MicroTime has six decimals
        "type": "Warning" if row.kind in _WARNINGS else "Normal",
        "action": said.action,
        "reason": said.reason[:MAX_TEXT_CHARACTERS],
        "note": _cut(said.note),
        "regarding": regarding,
        "reportingController": CONTROLLER,
        "reportingInstance": sender[:MAX_TEXT_CHARACTERS],
    }


def _text(kind: Kind, message: Message) -> _Text:
    """Return what a row says, as people read it in `kubectl describe pod`."""
    instance = message.instance
    if instance and message.attempt:
        return _of_attempt(kind, message.attempt, instance)
    if instance and message.plan:
        return _of_plan(kind, message.plan, instance)
    if instance and message.incident:
        if message.escalation:
            return _of_escalation(message, message.incident, instance)
        return _of_incident(kind, message.incident, instance, has_left=message.has_left)
    raise ValueError(f"a row of kind {kind} tells of no instance")


def _of_escalation(message: Message, incident: Incident, instance: Instance) -> _Text:
    told = "; ".join(sentence(reason) for reason in message.reasons)
    note = f"now {incident.verdict}, class {incident.failure_class}: {told} (incident {incident.id})"
    subject = f"{incident.id}.{message.escalation}".lower()
    return _Text(subject, "EscalateIncident", message.escalation, note, instance.uid)


def _of_incident(kind: Kind, incident: Incident, instance: Instance, *, has_left: bool) -> _Text:
    name = f"incident {incident.id} of {instance.public_id}"
    if kind is Kind.INCIDENT_OPENED:
        told = "; ".join(sentence(reason) for reason in incident.reasons)
        reason = incident.reasons[0].code if incident.reasons else "InstanceSick"
        note = f"{incident.verdict}, class {incident.failure_class}: {told} ({name})"
        return _Text(f"{incident.id}.opened", "OpenIncident", reason, note, instance.uid)
    seconds = ((incident.closed_at_ms or incident.opened_at_ms) - incident.opened_at_ms) // 1000
    why = "the instance has left the inventory" if has_left else "healthy again"
    note = (
        f"{why} after {seconds} s; it was {incident.verdict} at worst, class {incident.failure_class}: "
        f"{', '.join(incident.codes)} ({name})"
    )
    reason = "InstanceLeft" if has_left else "InstanceHealthy"
    return _Text(f"{incident.id}.closed", "CloseIncident", reason, note, instance.uid)


def _of_plan(kind: Kind, plan: Plan, instance: Instance) -> _Text:
    """Return what is next, or why nothing is; the name is the same whenever the same comes back."""
    subject = f"{plan.incident}.{plan.action or 'none'}.{plan.hold or 'due'}".lower()
    about = f"incident {plan.incident} of {instance.public_id}: {', '.join(plan.codes) or 'no fault now'}"
    what = f"{plan.action} is next" if plan.action else "nothing is next"
    note = " ".join(word for word in (f"{plan.hold}:" if plan.hold else "", plan.detail or what, f"({about})") if word)
    return _Text(subject, _camel(plan.action or "recover"), _camel(kind), note, plan.uid or instance.uid)


def _of_attempt(kind: Kind, attempt: Attempt, instance: Instance) -> _Text:
    """Return what an attempt does or came to; its time is in the name, for an earlier store gave the same ids."""
    subject = f"attempt-{attempt.id}-{attempt.booked_at_ms}.{kind.removeprefix('recovery-')}"
    about = f"attempt {attempt.id} of {f'incident {attempt.incident}' if attempt.incident else 'a request'}"
    if kind is Kind.RECOVERY_STARTED:
        note = (
            f"{attempt.action} of {instance.public_id} begins, for {', '.join(attempt.codes) or 'a request'} ({about})"
        )
    else:
        note = f"{attempt.action} of {instance.public_id}: {attempt.outcome}, {attempt.detail} ({about})"
    return _Text(subject, _camel(attempt.action), _camel(kind), note, attempt.uid or instance.uid)


def _camel(words: str) -> str:
    """Return `recovery-started` as `RecoveryStarted`."""
    return "".join(word.capitalize() for word in words.split("-"))


def _cut(note: str) -> str:
    """Return a note that the API server takes: printable, and no longer than its limit in UTF-8."""
    note = printable(note, MAX_NOTE_BYTES)
    data = note.encode("utf-8", "replace")
    if len(data) <= MAX_NOTE_BYTES:
        return note
    return data[: MAX_NOTE_BYTES - 3].decode("utf-8", "ignore") + "…"
