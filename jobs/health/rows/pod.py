"""Rows about the pod: what Kubernetes says of it where nobody can ask its agent, and what its owner asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from jobs.health.model import Evidence, FailureClass, Pod, ProbeOutcome, Severity
from jobs.health.pods import is_opted_out
from jobs.health.rule import Rule, View

# Source: kubernetes 1.36, pkg/kubelet/images/types.go.
_IMAGE_WORDS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "ImageInspectError",
        "InvalidImageName",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
# The same, pkg/kubelet/container/sync_result.go.
_START_WORDS = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "CreatePodSandboxError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
        "RunContainerError",
        "StartError",
        "ContainerCannotRun",
    }
)
# What a container ended with, or waits after; ExitCode:N and Signal:N are kubectl's own.
_CRASH_WORDS = frozenset({"CrashLoopBackOff", "Error", "OOMKilled", "DeadlineExceeded", "Completed"})
_CRASH_PREFIXES = ("ExitCode:", "Signal:")

_NO_NODE_WORDS = frozenset({"Unschedulable", "SchedulingGated"})
_NO_ADDRESS_WORDS = frozenset({"AddressRefused", "NoAddress"})
_ENDED_PHASES = frozenset({"Failed", "Succeeded"})

# The pod's phase and the collector's tick come from two processes, on one clock.
_EARLY_MS = -60_000


def _word(pod: Pod) -> str:
    """Return the pod's word without kubectl's prefix for init containers."""
    return pod.reason.removeprefix("Init:")


def _on(holds: Callable[[Pod], bool]) -> Callable[[View], bool]:
    """Return a predicate of a view from one of a pod; an instance of a file has none."""
    return lambda view: view.instance.pod is not None and holds(view.instance.pod)


def _crashes(pod: Pod) -> bool:
    word = _word(pod)
    return pod.phase not in _ENDED_PHASES and (word in _CRASH_WORDS or word.startswith(_CRASH_PREFIXES))


def _is_in_trouble(pod: Pod) -> bool:
    """Tell whether the pod's word is that of a fault."""
    word = _word(pod)
    words = _IMAGE_WORDS | _START_WORDS | _NO_ADDRESS_WORDS
    return word in words or _crashes(pod) or pod.phase in _ENDED_PHASES


def _is_within(view: View, seconds: float) -> bool:
    """Tell whether the pod's phase began less than `seconds` ago; an age that isn't known is no excuse."""
    pod = view.instance.pod
    if pod is None or pod.since_ms is None:
        return False
    return _EARLY_MS <= view.at_ms - pod.since_ms < seconds * 1000


def _is_terminating(view: View) -> bool:
    return view.instance.pod is not None and view.instance.pod.reason == "Terminating"


def _is_missing(view: View) -> bool:
    """Tell whether the pod should be there; one that awaits earlier ones of its StatefulSet is still to come."""
    pod = view.instance.pod
    return pod is not None and pod.phase == "Missing" and pod.reason != "AwaitsEarlier"


def _is_without_node(view: View) -> bool:
    return view.instance.pod is not None and view.instance.pod.reason in _NO_NODE_WORDS


def _is_node_lost(view: View) -> bool:
    """Tell whether the node is gone and nobody answers; a pod whose agent answers is there, whatever its node says."""
    pod = view.instance.pod
    if pod is None or view.probe.outcome is ProbeOutcome.OK:
        return False
    return pod.reason == "NodeLost" or (pod.node_problem or "").startswith(("NotReady", "the node is gone"))


def _is_starting(view: View) -> bool:
    """Tell whether the pod is so young that nobody can expect an answer, or QEMU, yet."""
    pod, policy = view.instance.pod, view.policy
    if pod is None or _is_in_trouble(pod):
        return False
    if pod.reason == "AwaitsEarlier":
        return True
    if pod.phase == "Running":
        is_up = view.probe.outcome is ProbeOutcome.OK and view.report.qemu_healthy is True
        return not is_up and _is_within(view, policy.pod_start_seconds)
    is_coming = pod.phase in ("Pending", "Unknown")
    return is_coming and _is_within(
        view, policy.pod_start_seconds if _is_without_node(view) else policy.pod_pull_seconds
    )


def _is_pending_too_long(view: View) -> bool:
    pod = view.instance.pod
    is_coming = pod is not None and pod.phase in ("Pending", "Unknown") and not _is_in_trouble(pod)
    return is_coming and not _is_without_node(view) and not _is_within(view, view.policy.pod_pull_seconds)


def _state(view: View) -> Iterator[Evidence]:
    """Show what Kubernetes says."""
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


def _opt_out(view: View) -> Iterator[Evidence]:
    """Show who asked for it, and until when."""
    pod = view.instance.pod
    if pod:
        yield Evidence("loco-health/monitoring-reason", pod.off_reason, witness="pod")
        yield Evidence("loco-health/monitoring-until", _rfc3339(pod.off_until_ms), witness="pod")


def _rfc3339(at_ms: int | None) -> str | None:
    return None if at_ms is None else f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _notes(view: View) -> Iterator[Evidence]:
    """Show every annotation that wasn't taken."""
    for note in view.instance.pod.notes if view.instance.pod else ():
        yield Evidence("annotation", note, witness="pod")


def _node(view: View) -> Iterator[Evidence]:
    """Show what is wrong with the node."""
    pod = view.instance.pod
    if pod:
        yield Evidence("node", pod.node, witness="node")
        yield Evidence("node problem", pod.node_problem, witness="node")


def _planned(code: str, holds: Callable[[View], bool], means: str, advice: str) -> Rule:
    """Return a row for what somebody wanted, or what comes by itself: shown, no incident, nothing judged beside it."""
    return Rule(
        code,
        FailureClass.NONE,
        Severity.UNKNOWN,
        holds,
        _state,
        means,
        advice,
        is_planned=True,
        is_final=True,
    )


def _fault(code: str, holds: Callable[[View], bool], means: str, advice: str) -> Rule:
    """Return a row for a pod that doesn't serve; no act on QEMU mends that, so its class is none."""
    return Rule(code, FailureClass.NONE, Severity.UNHEALTHY, holds, _state, means, advice)


ROWS = (
    Rule(
        "AnnotationRefused",
        FailureClass.NONE,
        Severity.FINDING,
        _on(lambda pod: bool(pod.notes)),
        _notes,
        "An annotation of the pod says something that can't be taken; the pod is watched as if it weren't there.",
        "Correct the annotation; docs/configuration.md lists them.",
    ),
    Rule(
        "OptOutExpired",
        FailureClass.NONE,
        Severity.FINDING,
        lambda view: (
            view.instance.pod is not None
            and view.instance.pod.off_until_ms is not None
            and not is_opted_out(view.instance.pod, view.at_ms)
        ),
        _opt_out,
        "The time for which monitoring was switched off has passed; the pod is watched again.",
        "Take the annotations away, or set a later instant.",
    ),
    Rule(
        "NodeTrouble",
        FailureClass.NONE,
        Severity.FINDING,
        lambda view: bool(view.instance.pod and view.instance.pod.node_problem) and not _is_node_lost(view),
        _node,
        "Kubernetes says that something is wrong with the pod's node, or that it is cordoned.",
        "Look at the node (kubectl describe node) before anything else.",
    ),
    Rule(
        "MonitoringOff",
        FailureClass.NONE,
        Severity.UNKNOWN,
        lambda view: view.instance.pod is not None and is_opted_out(view.instance.pod, view.at_ms),
        _opt_out,
        "Somebody switched monitoring off for this pod, with a reason and until an instant.",
        "Nothing; it is watched again by itself at that instant.",
        is_planned=True,
        is_final=True,
    ),
    _planned(
        "PodStateStale",
        lambda view: (
            view.instance.pod is not None
            and view.instance.pod.is_stale
            and view.probe.outcome is ProbeOutcome.NOT_ASKED
        ),
        "Kubernetes can't be asked about this pod now; when it last could, the pod didn't serve.",
        "See at /api/instances/discovery-info why its namespace can't be listed.",
    ),
    Rule(
        "NodeLost",
        FailureClass.NETWORK,
        Severity.UNREACHABLE,
        _is_node_lost,
        _state,
        "The pod's node doesn't answer Kubernetes, and the pod doesn't answer the collector.",
        "Bring the node back or delete it; its pods are made elsewhere then.",
        is_final=True,
    ),
    _planned(
        "PodTerminating",
        lambda view: _is_terminating(view) and _is_within(view, view.policy.pod_terminating_seconds),
        "The pod is being ended.",
        "Wait for the end of its grace period.",
    ),
    _fault(
        "PodStuckTerminating",
        lambda view: _is_terminating(view) and not _is_within(view, view.policy.pod_terminating_seconds),
        "The pod was to end long ago and is still there.",
        "See whether its node is alive and whether a finalizer holds it.",
    ),
    _planned(
        "PodReplacing",
        lambda view: _is_missing(view) and _is_within(view, view.policy.pod_missing_seconds),
        "The pod is gone, and another is expected in its place.",
        "Wait for the new pod.",
    ),
    _fault(
        "PodMissing",
        lambda view: _is_missing(view) and not _is_within(view, view.policy.pod_missing_seconds),
        "The pod is gone, and no other came in its place.",
        "Look at the StatefulSet's events (quota, admission), or at the labels when all pods are gone at once.",
    ),
    _planned(
        "PodStarting",
        _is_starting,
        "The pod is young and doesn't serve yet.",
        "Wait for it to start.",
    ),
    _fault(
        "PodImageError",
        _on(lambda pod: _word(pod) in _IMAGE_WORDS),
        "An image of the pod can't be pulled.",
        "Correct the image's name or the pull secret, or bring the registry back.",
    ),
    _fault(
        "PodCannotStart",
        _on(lambda pod: _word(pod) in _START_WORDS),
        "A container of the pod can't be started.",
        "Read the detail; mostly a Secret, ConfigMap, volume or command is missing.",
    ),
    Rule(
        "PodCrashLooping",
        FailureClass.QEMU,
        Severity.UNHEALTHY,
        _on(_crashes),
        _state,
        "A container of the pod ends again and again.",
        "Read the log of its last life (kubectl logs --previous); OOMKilled wants a larger memory limit.",
    ),
    _fault(
        "PodEnded",
        _on(lambda pod: pod.phase in _ENDED_PHASES),
        "The pod has ended and is not started again: evicted, failed, or completed.",
        "Delete it so that its owner makes another; when it was evicted, see what its node ran short of.",
    ),
    _fault(
        "PodUnschedulable",
        lambda view: _is_without_node(view) and not _is_within(view, view.policy.pod_start_seconds),
        "No node takes the pod.",
        "Read the detail: free resources, or mend its node selector, taints or volumes.",
    ),
    _fault(
        "PodPending",
        _is_pending_too_long,
        "The pod has been about to start for too long.",
        "Read its events (kubectl describe pod).",
    ),
    Rule(
        "PodAddressRefused",
        FailureClass.NONE,
        Severity.UNKNOWN,
        _on(lambda pod: pod.reason in _NO_ADDRESS_WORDS),
        _state,
        "The pod runs, but has no address that may be dialled.",
        "Take the pod off its node's network (hostNetwork), or see what its CNI plugin says.",
    ),
    Rule(
        "PodNotServing",
        FailureClass.NONE,
        Severity.UNKNOWN,
        lambda view: view.probe.outcome is ProbeOutcome.NOT_ASKED,
        _state,
        "The pod isn't asked for a report, as nothing of it can answer.",
        "See the other reasons; the pod's own word stands in the evidence.",
        follows=frozenset(
            {
                "PodStuckTerminating",
                "PodMissing",
                "PodImageError",
                "PodCannotStart",
                "PodCrashLooping",
                "PodEnded",
                "PodUnschedulable",
                "PodPending",
                "PodAddressRefused",
            }
        ),
        is_final=True,
    ),
)
