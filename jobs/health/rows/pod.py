"""Rows about the pod: what Kubernetes says of it where nobody can ask its agent."""

from __future__ import annotations

from collections.abc import Callable

from jobs.health.model import FailureClass, Pod, ProbeOutcome, Severity
from jobs.health.rows.node import state
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


def _planned(code: str, holds: Callable[[View], bool], means: str, advice: str) -> Rule:
    """Return a row for what somebody wanted, or what comes by itself: shown, no incident, nothing judged beside it."""
    return Rule(
        code,
        FailureClass.NONE,
        Severity.UNKNOWN,
        holds,
        state,
        means,
        advice,
        is_planned=True,
        is_final=True,
    )


def _fault(code: str, holds: Callable[[View], bool], means: str, advice: str) -> Rule:
    """Return a row for a pod that doesn't serve; no act on QEMU mends that, so its class is none."""
    return Rule(code, FailureClass.NONE, Severity.UNHEALTHY, holds, state, means, advice)


ROWS = (
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
        "The pod isn't seen any more, and no other came in its place.",
        "Look at its StatefulSet's events; when that counts more pods as ready or all went at once, at the labels.",
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
        state,
        "A container of the pod has ended and waits to be started again.",
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
        state,
        "The pod runs, but has no address that may be dialled.",
        "Take the pod off its node's network (hostNetwork), or see what its CNI plugin says.",
    ),
    Rule(
        "PodNotServing",
        FailureClass.NONE,
        Severity.UNKNOWN,
        lambda view: view.probe.outcome is ProbeOutcome.NOT_ASKED,
        state,
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
