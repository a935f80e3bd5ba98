"""How instances are found, in the seed's shapes with fields added and none lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.fleet import DISCOVERER, Fleet, source_of
from api.instants import rfc3339_or_none
from api.snapshot import Snapshot
from api.views.instances import instances
from jobs.store.discovery import Mode, Namespace, Service, StatefulSet

# Architecture section 3: `discover` lists every 30 s, which is what the seed calls the TTL of its cache.
DISCOVERY_SECONDS = 30


def live(fleet: Fleet, snapshot: Snapshot) -> dict[str, Any]:
    """Return the instances with how they were found."""
    return {"mode": _mode(snapshot), "instances": instances(fleet), **_state(fleet, snapshot)}


def discovery_info(fleet: Fleet, snapshot: Snapshot) -> dict[str, Any]:
    """Return how instances are found, and when they last were.

    A cluster that can't be asked now (mode kept) is still the one that the instances were discovered in.
    """
    namespaces = _namespaces(snapshot)
    mode = _mode(snapshot)
    detail = snapshot.discovery.detail if snapshot.discovery else None
    return {
        "mode": mode,
        "kubernetesDiscovery": bool(namespaces),
        "usingAutoDiscovery": mode in (Mode.KUBERNETES, Mode.KEPT),
        "fallbackToStatic": mode is Mode.STATIC,
        "namespace": ",".join(one.name for one in namespaces) or None,
        "services": _services(namespaces),
        "statefulsets": [_statefulset(one.name, each) for one in namespaces for each in one.statefulsets or ()],
        "selector": detail.selector if detail else None,
        "namespaces": [_namespace(one) for one in namespaces],
        "forbidden": [one.name for one in namespaces if one.is_forbidden],
        "listedAt": rfc3339_or_none(snapshot.discovery.listed_at_ms if snapshot.discovery else None),
        "nodeFactsProblem": detail.nodes_problem if detail else None,
        **_state(fleet, snapshot),
    }


def _mode(snapshot: Snapshot) -> Mode | None:
    """Return where the inventory comes from, None before discovery has said it."""
    return snapshot.discovery.mode if snapshot.discovery else None


def _namespaces(snapshot: Snapshot) -> Sequence[Namespace]:
    return snapshot.discovery.detail.namespaces if snapshot.discovery else ()


def _state(fleet: Fleet, snapshot: Snapshot) -> dict[str, Any]:
    """Return the state of discovery; `problem` says why the inventory is an older one."""
    return {
        "discoveredAt": rfc3339_or_none(snapshot.last_successes.get(DISCOVERER)),
        "problem": fleet.discovery_problem,
        "cache": {"ttlSeconds": DISCOVERY_SECONDS, "instances": len(snapshot.instances)},
        "observedAt": rfc3339_or_none(snapshot.observed_at_ms),
        "source": source_of(snapshot),
    }


def _services(namespaces: Sequence[Namespace]) -> dict[str, Any]:
    """Return the Services that select instances by name, with its namespace before it where several are watched."""
    has_several = len(namespaces) > 1
    return {
        f"{one.name}/{service.name}" if has_several else service.name: _service(one.name, service)
        for one in namespaces
        for service in one.services or ()
    }


def _service(namespace: str, service: Service) -> dict[str, Any]:
    ports = [{"name": port.name, "port": port.port, "targetPort": port.target} for port in service.ports]
    return {"name": service.name, "namespace": namespace, "clusterIP": service.cluster_ip, "ports": ports}


def _statefulset(namespace: str, one: StatefulSet) -> dict[str, Any]:
    return {
        "name": one.name,
        "namespace": namespace,
        "replicas": one.wanted,
        "readyReplicas": one.ready,
        "serviceName": one.service,
    }


def _namespace(one: Namespace) -> dict[str, Any]:
    return {
        "name": one.name,
        "listedAt": rfc3339_or_none(one.listed_at_ms),
        "pods": one.pods,
        "forbidden": one.is_forbidden,
        "problem": one.problem or one.owners_problem,
    }
