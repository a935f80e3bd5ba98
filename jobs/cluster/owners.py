"""The StatefulSets and Services of a namespace: who wants which pods, and how they are reached; pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from jobs.cluster.fields import at, number, objects, text
from jobs.store.discovery import Port, Service, StatefulSet

# chosen: more pods than any namespace holds (Kubernetes docs, "Considerations for large clusters": 3,000).
MAX_REPLICAS = 10_000


# chosen: more than anybody reads; whoever may make Services must not fill the store and the snapshot with them.
MAX_SERVICES = 50
MAX_PORTS = 16


def statefulset_in(value: object) -> StatefulSet:
    """Return what a StatefulSet's JSON says."""
    wanted = number(value, "spec", "replicas")
    return StatefulSet(
        name=text(value, "metadata", "name"),
        wanted=min(max(1 if wanted is None else wanted, 0), MAX_REPLICAS),
        ready=number(value, "status", "readyReplicas") or 0,
        first_ordinal=number(value, "spec", "ordinals", "start") or 0,
        service=text(value, "spec", "serviceName") or None,
        is_ordered=at(value, "spec", "podManagementPolicy") != "Parallel",
    )


def service_in(value: object) -> Service:
    """Return what a Service's JSON says."""
    ports = [
        Port(text(one, "name") or None, number(one, "port") or 0, _target(one))
        for one in objects(value, "spec", "ports")[:MAX_PORTS]
    ]
    return Service(text(value, "metadata", "name"), text(value, "spec", "clusterIP") or None, tuple(ports))


def wanted_pods(statefulset: StatefulSet) -> list[str]:
    """Return the names of the pods that a StatefulSet wants."""
    first = statefulset.first_ordinal
    return [f"{statefulset.name}-{ordinal}" for ordinal in range(first, first + statefulset.wanted)]


def services_of(services: Iterable[dict[str, Any]], labels: Iterable[dict[str, Any]]) -> tuple[Service, ...]:
    """Return the Services whose selector picks at least one of the pods with these labels, at most MAX_SERVICES."""
    known = list(labels)
    picking = (
        service_in(one)
        for one in services
        if (wanted := at(one, "spec", "selector")) and any(_picks(wanted, labels) for labels in known)
    )
    return tuple(islice(picking, MAX_SERVICES))


def _picks(selector: object, labels: dict[str, Any]) -> bool:
    return isinstance(selector, dict) and all(labels.get(name) == value for name, value in selector.items())


def _target(port: dict[str, Any]) -> str:
    target = port.get("targetPort")
    return str(target)[:64] if isinstance(target, str | int) else ""
