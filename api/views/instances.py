"""The seed's lists of instances and how they were found, with fields added and none lost."""

from __future__ import annotations

from typing import Any

from api.fleet import Fleet, Standing
from api.instants import rfc3339, rfc3339_or_none
from api.snapshot import Snapshot
from jobs.health.model import Verdict

# Architecture section 3: `discover` lists every 30 s, which is what the seed calls the TTL of its cache.
DISCOVERY_SECONDS = 30

KUBERNETES = "kubernetes"

BOOTING = "Booting"


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
    }


def live(fleet: Fleet, snapshot: Snapshot) -> dict[str, Any]:
    """Return the instances with how they were found."""
    return {"mode": _mode(snapshot), "instances": instances(fleet), **_discovery(snapshot)}


def discovery_info(snapshot: Snapshot) -> dict[str, Any]:
    """Return how instances are found, and when they last were."""
    is_kubernetes = _mode(snapshot) == KUBERNETES
    return {
        "kubernetesDiscovery": is_kubernetes,
        "usingAutoDiscovery": is_kubernetes,
        "fallbackToStatic": not is_kubernetes,
        "namespace": None,
        "services": {},
        **_discovery(snapshot),
    }


def kubernetes_of(standing: Standing) -> dict[str, Any]:
    """Return what Kubernetes says of the pod, empty for an instance that a file names."""
    found = standing.instance.fields.get(KUBERNETES)
    return found if isinstance(found, dict) else {}


def _status(standing: Standing) -> str:
    """Return the seed's word for the front end: ready, booting, error, unknown."""
    if any(reason.code == BOOTING for reason in standing.reasons):
        return "booting"
    if standing.verdict in (Verdict.HEALTHY, Verdict.DEGRADED):
        return "ready"
    return "unknown" if standing.verdict is Verdict.UNKNOWN else "error"


def _mode(snapshot: Snapshot) -> str:
    """Return where the inventory comes from."""
    sources = {instance.source for instance in snapshot.instances.values()}
    return KUBERNETES if KUBERNETES in sources else "static"


def _discovery(snapshot: Snapshot) -> dict[str, Any]:
    """Return the state of discovery; `problem` says why the inventory is an older one."""
    run = snapshot.runs.get("discover")
    return {
        "discoveredAt": rfc3339_or_none(snapshot.last_successes.get("discover")),
        "problem": run.problem if run else None,
        "cache": {"ttlSeconds": DISCOVERY_SECONDS, "instances": len(snapshot.instances)},
        "observedAt": rfc3339_or_none(snapshot.observed_at_ms),
    }
