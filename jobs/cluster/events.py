"""An incident's opening and end as Kubernetes Events on its pod; pure but for `send`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.report import rfc3339
from jobs.cluster.fields import printable
from jobs.errors import Conflict
from jobs.health.model import Pod
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

_ACTIONS = {Kind.INCIDENT_OPENED: "OpenIncident", Kind.INCIDENT_CLOSED: "CloseIncident"}
_SUFFIXES = {Kind.INCIDENT_OPENED: "opened", Kind.INCIDENT_CLOSED: "closed"}


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
    message = row.message
    stem = pod.name[:_MAX_POD_CHARACTERS].rstrip("-.")
    is_open = row.kind is Kind.INCIDENT_OPENED
    regarding = {"apiVersion": "v1", "kind": "Pod", "namespace": pod.namespace, "name": pod.name}
    if message.instance.uid:
        regarding["uid"] = message.instance.uid
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{stem}.{message.incident.id}.{_SUFFIXES[row.kind]}",
            "namespace": pod.namespace,
            "labels": {"app.kubernetes.io/name": "loco-health", "app.kubernetes.io/component": "dispatch"},
        },
        "eventTime": rfc3339(row.created_at_ms / 1000).replace("Z", "000Z"),  # a MicroTime has six decimals
        "type": "Warning" if is_open else "Normal",
        "action": _ACTIONS[row.kind],
        "reason": _reason(row.kind, message),
        "note": _cut(_note(row.kind, message)),
        "regarding": regarding,
        "reportingController": CONTROLLER,
        "reportingInstance": sender[:MAX_TEXT_CHARACTERS],
    }


def _reason(kind: Kind, message: Message) -> str:
    """Return the worst reason of the opening; at the end, why it ended."""
    if kind is Kind.INCIDENT_CLOSED:
        return "InstanceLeft" if message.has_left else "InstanceHealthy"
    reasons = message.incident.reasons
    return reasons[0].code[:MAX_TEXT_CHARACTERS] if reasons else "InstanceSick"


def _note(kind: Kind, message: Message) -> str:
    """Return what happened, as people read it in `kubectl describe pod`."""
    incident = message.incident
    name = f"incident {incident.id} of {message.instance.public_id}"
    if kind is Kind.INCIDENT_OPENED:
        told = "; ".join(sentence(reason) for reason in incident.reasons)
        return f"{incident.verdict}, class {incident.failure_class}: {told} ({name})"
    seconds = ((incident.closed_at_ms or incident.opened_at_ms) - incident.opened_at_ms) // 1000
    why = "the instance has left the inventory" if message.has_left else "healthy again"
    return (
        f"{why} after {seconds} s; it was {incident.verdict} at worst, class {incident.failure_class}: "
        f"{', '.join(incident.codes)} ({name})"
    )


def _cut(note: str) -> str:
    """Return a note that the API server takes: printable, and no longer than its limit in UTF-8."""
    note = printable(note, MAX_NOTE_BYTES)
    data = note.encode("utf-8", "replace")
    if len(data) <= MAX_NOTE_BYTES:
        return note
    return data[: MAX_NOTE_BYTES - 3].decode("utf-8", "ignore") + "…"
