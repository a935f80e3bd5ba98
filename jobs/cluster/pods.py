"""A pod as an instance; pure, and total over every JSON object."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from jobs.cluster.annotations import wishes_of
from jobs.cluster.fields import at, flag, instant_ms, number, objects, text
from jobs.cluster.podstate import TERMINATING, State, state_of
from jobs.health.addresses import Address, parse_address, refusal_of
from jobs.health.model import Instance, InstanceKey, Pod

KUBERNETES = "kubernetes"

HEALTH_PORT = 8080
VNC_PORT = 5901

# chosen: what a person reads of a pod with very many containers.
_MAX_IMAGES = 8

# RFC 1123 labels: an API server makes no other names, and a slash in one would forge another instance's key.
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

_ORDINAL = re.compile(r".*-(0|[1-9]\d{0,5})")


@dataclass(frozen=True, slots=True)
class Found:
    """A pod's instance before the fleet is known: its public id is still its name.

    began_ms: when its phase began, as Kubernetes says.
    """

    instance: Instance
    pod: Pod
    began_ms: int | None


def found_in(pod: object) -> Found | None:
    """Return what a pod's JSON says, None where it doesn't even name a pod."""
    namespace, name = at(pod, "metadata", "namespace"), at(pod, "metadata", "name")
    if not _is_name(_NAMESPACE, namespace) or not _is_name(_NAME, name):
        return None
    kind, owner = _owner(pod)
    wishes = wishes_of(pod)
    address, state = _place(pod, state_of(pod))
    facts = Pod(
        namespace=namespace,
        name=name,
        phase=state.phase,
        reason=state.reason,
        detail=state.detail,
        is_ready=_is_ready(pod),
        restarts=_restarts(pod),
        node=text(pod, "spec", "nodeName") or None,
        images=tuple(text(one, "image") for one in objects(pod, "spec", "containers")[:_MAX_IMAGES]),
        statefulset=owner if kind == "StatefulSet" else None,
        off_reason=wishes.off_reason,
        off_until_ms=wishes.off_until_ms,
        is_recovery_off=wishes.is_recovery_off,
        maintenance_until_ms=wishes.maintenance_until_ms,
        notes=wishes.notes,
    )
    instance = instance_of(
        facts,
        uid=text(pod, "metadata", "uid") or None,
        address=address,
        ports=(_port(pod, "health", HEALTH_PORT), _port(pod, "vnc", VNC_PORT)),
        expects=(wishes.expect_motion_seconds, wishes.expect_sound_seconds),
        ordinal=ordinal_of(name) if kind in ("", "StatefulSet") else None,
    )
    return Found(instance, facts, _began_ms(pod, state))


def instance_of(
    pod: Pod,
    *,
    uid: str | None = None,
    address: Address | None = None,
    ports: tuple[int, int] = (HEALTH_PORT, VNC_PORT),
    expects: tuple[float | None, float | None] = (None, None),
    ordinal: int | None = None,
) -> Instance:
    """Return a pod's instance under its own name; without an address nothing of it can be dialled.

    ports: of the agent and of VNC. expects: longest normal stillness and silence in seconds.
    ordinal: of a pod of a StatefulSet, or of one that nobody owns and whose name ends in a number.
    """
    health_port, vnc_port = ports
    host = "" if address is None else f"[{address}]" if address.version == 6 else str(address)
    return Instance(
        key=InstanceKey(f"{pod.namespace}/{pod.name}"),
        public_id=pod.name,
        name=pod.name,
        health_url=f"http://{host}:{health_port}/health" if host else "",
        vnc_address=(str(address), vnc_port) if host else None,
        uid=uid,
        expect_motion_seconds=expects[0],
        expect_sound_seconds=expects[1],
        source=KUBERNETES,
        pod=pod,
        fields={
            "ordinal": ordinal,
            "podName": pod.name,
            "podIP": str(address) if address else None,
            "vncUrl": f"{host}:{vnc_port}" if host else "",
            "healthUrl": f"http://{host}:{health_port}" if host else None,
        },
    )


def ordinal_of(name: str) -> int | None:
    """Return the number that a pod's name ends in, None where it doesn't."""
    match = _ORDINAL.fullmatch(name)
    return int(match[1]) if match else None


def _is_name(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _owner(pod: object) -> tuple[str, str]:
    """Return kind and name of what controls the pod, empty where nothing does."""
    for owner in objects(pod, "metadata", "ownerReferences"):
        if flag(owner, "controller"):
            return text(owner, "kind"), text(owner, "name")
    return "", ""


def _place(pod: object, state: State) -> tuple[Address | None, State]:
    """Return the address of a pod that runs; where it may not be dialled, the state says so.

    A pod that is being ended keeps its address, so that what it last reported stays; it isn't asked any more.
    """
    if state.phase != "Running":
        return None, state
    line = text(pod, "status", "podIP")
    address = parse_address(line)
    refusal = _refusal(pod, address)
    if address is not None and not refusal:
        return address, state
    if state.reason:
        return None, state
    if refusal:
        return None, State(state.phase, "AddressRefused", f"{line}: {refusal}")
    return None, State(state.phase, "NoAddress", "the pod runs without an address")


def _refusal(pod: object, address: Address | None) -> str:
    """Say why a pod's address is never dialled: labels choose the pod, so they must not choose the node's ports."""
    if address is None:
        return ""
    if flag(pod, "spec", "hostNetwork"):
        return "the pod is on its node's network (hostNetwork), whose ports aren't the pod's alone"
    if address.is_loopback:
        return "a loopback address is this machine's own"
    if text(pod, "status", "hostIP") and address == parse_address(text(pod, "status", "hostIP")):
        return "that is the node's own address"
    return refusal_of(address)


def _port(pod: object, name: str, default: int) -> int:
    """Return the container port of that name, of a native sidecar too."""
    containers = objects(pod, "spec", "initContainers") + objects(pod, "spec", "containers")
    for port in (port for container in containers for port in objects(container, "ports")):
        value = number(port, "containerPort")
        if port.get("name") == name and value is not None and 0 < value < 65_536:
            return value
    return default


def _is_ready(pod: object) -> bool | None:
    for condition in objects(pod, "status", "conditions"):
        if condition.get("type") == "Ready":
            return bool(condition.get("status") == "True")
    return None


def _restarts(pod: object) -> int:
    return sum(number(one, "restartCount") or 0 for one in _statuses(pod))


def _statuses(pod: object) -> list[dict[str, Any]]:
    return objects(pod, "status", "initContainerStatuses") + objects(pod, "status", "containerStatuses")


def _began_ms(pod: object, state: State) -> int | None:
    """Return when the pod's phase began; of one that runs, when its last container did for the first time."""
    if state.reason == TERMINATING:
        return None  # deletionTimestamp is when the grace ends, not when it began
    if state.phase == "Running":
        began = [instant_ms(one, "state", "running", "startedAt") for one in _statuses(pod)]
        known = [at_ms for at_ms in began if at_ms is not None]
        if known and not _restarts(pod):
            return max(known)
        return instant_ms(pod, "status", "startTime")
    return instant_ms(pod, "metadata", "creationTimestamp")
