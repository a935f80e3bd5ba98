"""Rows about the node that a pod is on, as far as Kubernetes says something of it."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.health.model import Evidence, FailureClass, ProbeOutcome, Severity
from jobs.health.pods import NODE_GONE
from jobs.health.rule import Rule, View


def _is_node_lost(view: View) -> bool:
    """Tell whether the node is gone and nobody answers; a pod whose agent answers is there, whatever its node says."""
    pod = view.instance.pod
    if pod is None or view.probe.outcome is ProbeOutcome.OK:
        return False
    return pod.reason == "NodeLost" or (pod.node_problem or "").startswith(("NotReady", NODE_GONE))


def state(view: View) -> Iterator[Evidence]:
    """Show what Kubernetes says of the pod and its node."""
    pod = view.instance.pod
    if pod is None:
        return
    yield Evidence("pod.phase", pod.phase, witness="pod")
    if pod.reason:
        yield Evidence("pod.reason", pod.reason, witness="pod")
    if pod.detail:
        yield Evidence("pod.detail", pod.detail, witness="pod")
    if pod.restarts:
        yield Evidence("pod.restarts", pod.restarts, witness="pod")
    if pod.node_problem:
        yield Evidence("pod.node_problem", f"{pod.node}: {pod.node_problem}", witness="node")


def _node(view: View) -> Iterator[Evidence]:
    """Show what is wrong with the node."""
    pod = view.instance.pod
    if pod:
        yield Evidence("node", pod.node, witness="node")
        yield Evidence("node problem", pod.node_problem, witness="node")


ROWS = (
    Rule(
        "NodeTrouble",
        FailureClass.NONE,
        Severity.FINDING,
        lambda view: bool(view.instance.pod and view.instance.pod.node_problem) and not _is_node_lost(view),
        _node,
        "Kubernetes says that something is wrong with the pod's node, or that it is cordoned.",
        "Look at the node (kubectl describe node) before anything else.",
    ),
    # As a pod that doesn't serve: no act on its network or QEMU brings a node back.
    Rule(
        "NodeLost",
        FailureClass.NONE,
        Severity.UNREACHABLE,
        _is_node_lost,
        state,
        "The pod's node doesn't answer Kubernetes, and the pod doesn't answer the collector.",
        "Bring the node back or delete it; its pods are made elsewhere then.",
        is_final=True,
    ),
)
