"""Pods of a cluster as values, and as the JSON that an API server sends; they default to one that runs well."""

from copy import deepcopy
from dataclasses import replace

from builders import an_instance

from jobs.health.model import Instance, InstanceKey, Pod

SELECTOR = {"app.kubernetes.io/component": "emulator", "app.kubernetes.io/part-of": "lego-loco-cluster"}

BEGAN_MS = 1_800_000_000_000


def a_pod(**fields) -> Pod:
    """Return what discovery says of a pod that has been running for a day."""
    defaults = {
        "namespace": "loco",
        "name": "loco-emulator-0",
        "phase": "Running",
        "since_ms": BEGAN_MS - 86_400_000,
        "node": "node-1",
        "statefulset": "loco-emulator",
    }
    return Pod(**{**defaults, **fields})


def a_pods_instance(pod: Pod | None = None, **fields) -> Instance:
    """Return the instance of a pod; where it doesn't run, without an address."""
    pod = pod or a_pod()
    runs = pod.phase == "Running" and pod.reason not in ("AddressRefused", "NoAddress")
    return replace(
        an_instance(
            key=InstanceKey(f"{pod.namespace}/{pod.name}"),
            source="kubernetes",
            health_url="http://10.9.0.2:8080/health" if runs else "",
            vnc_address=("10.9.0.2", 5901) if runs else None,
            pod=pod,
        ),
        **fields,
    )


def pod_json(name: str = "loco-emulator-0", *, namespace: str = "loco", **changes) -> dict:
    """Return a running pod of a StatefulSet as the API server sends it.

    changes: `metadata`, `spec` and `status` put over it, field by field; None takes a field away.
    """
    ordinal = name.rpartition("-")[2]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-of-{name}",
            "labels": dict(SELECTOR),
            "annotations": {},
            "creationTimestamp": "2026-11-25T20:00:00Z",
            "ownerReferences": [{"kind": "StatefulSet", "name": "loco-emulator", "controller": True}],
        },
        "spec": {
            "nodeName": "node-1",
            "initContainers": [
                {
                    "name": "agent",
                    "image": "loco-health/agent:dev",
                    "restartPolicy": "Always",
                    "ports": [{"name": "health", "containerPort": 8080}],
                }
            ],
            "containers": [
                {"name": "emulator", "image": "emulator:1", "ports": [{"name": "vnc", "containerPort": 5901}]}
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": f"10.9.0.{int(ordinal) + 2 if ordinal.isdecimal() else 200}",
            "hostIP": "192.0.2.10",
            "startTime": "2026-11-25T20:00:01Z",
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Initialized", "status": "True"},
                {"type": "Ready", "status": "True"},
            ],
            "initContainerStatuses": [
                {
                    "name": "agent",
                    "started": True,
                    "ready": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": "2026-11-25T20:00:02Z"}},
                }
            ],
            "containerStatuses": [
                {
                    "name": "emulator",
                    "started": True,
                    "ready": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": "2026-11-25T20:00:05Z"}},
                }
            ],
        },
    }
    for part, fields in deepcopy(changes).items():
        for field, value in fields.items():
            if value is None:
                pod[part].pop(field, None)
            else:
                pod[part][field] = value
    return pod


def waiting(reason: str, message: str = "", *, container: str = "emulator", last: dict | None = None) -> dict:
    """Return the status of a container that waits."""
    state = {"waiting": {"reason": reason, "message": message}}
    status = {"name": container, "ready": False, "started": False, "restartCount": 3 if last else 0, "state": state}
    return status | ({"lastState": {"terminated": last}} if last else {})


def ended(reason: str = "", *, exit_code: int = 1, signal: int | None = None, container: str = "emulator") -> dict:
    """Return the status of a container that has ended."""
    terminated = {"reason": reason, "exitCode": exit_code} | ({"signal": signal} if signal else {})
    return {"name": container, "ready": False, "restartCount": 1, "state": {"terminated": terminated}}
