"""The seed's lists of instances, with fields added and none lost."""

from __future__ import annotations

from typing import Any

from api.fleet import Fleet, Standing
from api.instants import rfc3339, rfc3339_or_none
from jobs.health.model import Verdict

# QEMU is young, or its whole pod is.
BOOTING = frozenset({"Booting", "PodStarting"})


def instances(fleet: Fleet) -> list[dict[str, Any]]:
    """Return every instance as the seed's front end lists it."""
    return [instance(standing) for standing in fleet.standings.values()]


def provisioned(fleet: Fleet) -> list[dict[str, Any]]:
    """Return the instances that the inventory calls provisioned."""
    return [entry for entry in instances(fleet) if entry["provisioned"]]


def instance(standing: Standing) -> dict[str, Any]:
    """Return one instance: the inventory's own entry, the seed's fields that it lacks, and its status."""
    known = standing.instance
    entry = {"podName": None, "podIP": None, "streamUrl": "", "vncUrl": "", "provisioned": True, **known.fields}
    status = _status(standing)
    return entry | {
        "id": known.public_id,
        "name": known.name,
        "description": known.description,
        "healthUrl": known.fields.get("healthUrl", known.health_url),
        "ready": status == "ready",
        "status": status,
        "discoveredAt": rfc3339(standing.discovered_at_ms),
        "kubernetes": kubernetes_of(standing),
        "verdict": standing.verdict,
        "observedAt": rfc3339_or_none(standing.observed_at_ms),
        "stale": standing.is_stale,
        "source": standing.source,
    }


def kubernetes_of(standing: Standing) -> dict[str, Any]:
    """Return what Kubernetes says of the pod, empty for an instance that a file names."""
    pod = standing.instance.pod
    if pod is None:
        found = standing.instance.fields.get("kubernetes")
        return found if isinstance(found, dict) else {}
    return {
        "namespace": pod.namespace,
        "podName": pod.name,
        "uid": standing.instance.uid,
        "phase": pod.phase,
        "reason": pod.reason,
        "detail": pod.detail,
        "since": rfc3339_or_none(pod.since_ms),
        "ready": pod.is_ready,
        "restarts": pod.restarts,
        "nodeName": pod.node,
        "nodeProblem": pod.node_problem,
        "images": pod.images,
        "statefulset": pod.statefulset,
        "monitoringOffUntil": rfc3339_or_none(pod.off_until_ms),
        "notes": pod.notes,
        "stale": pod.is_stale,
    }


def _status(standing: Standing) -> str:
    """Return the seed's word for the front end: ready, booting, error, unknown."""
    if any(reason.code in BOOTING for reason in standing.reasons):
        return "booting"
    if standing.verdict in (Verdict.HEALTHY, Verdict.DEGRADED):
        return "ready"
    return "unknown" if standing.verdict is Verdict.UNKNOWN else "error"
