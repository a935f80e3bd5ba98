"""Whether an instance may be asked at all; pure."""

from __future__ import annotations

from jobs.health.model import Instance, Pod

# What is wrong with a node that Kubernetes listed before and doesn't list now.
NODE_GONE = "the node is gone"

_RUNNING = "Running"
_TERMINATING = "Terminating"


def is_opted_out(pod: Pod, at_ms: int) -> bool:
    """Tell whether monitoring is off for this pod at `at_ms`."""
    return pod.off_until_ms is not None and at_ms < pod.off_until_ms


def reason_not_to_ask(instance: Instance, at_ms: int) -> str:
    """Say why an instance isn't asked for its report, nor its VNC server dialled; empty where both may be."""
    pod = instance.pod
    if pod is None:
        return ""
    if is_opted_out(pod, at_ms):
        return f"monitoring is off: {pod.off_reason}"
    if pod.phase != _RUNNING or pod.reason == _TERMINATING:
        return f"the pod is {pod.reason or pod.phase}"
    return "" if instance.health_url else f"the pod runs without an address that may be dialled: {pod.reason}"
