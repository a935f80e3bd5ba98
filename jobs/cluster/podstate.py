"""The word for a pod's state that `kubectl get pods` shows, and the sentence behind it; pure.

Source: kubernetes 1.36, pkg/printers/internalversion/printers.go, printPod; two things differ on purpose: a pod that
no node takes reads Unschedulable, not Pending, and one that simply runs has no word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobs.cluster.fields import MAX_SENTENCE_CHARACTERS, at, flag, number, objects, text

TERMINATING = "Terminating"

_FINAL_PHASES = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class State:
    """phase: as Kubernetes says it. reason: empty where the pod runs. detail: the sentence behind it."""

    phase: str
    reason: str
    detail: str = ""


def state_of(pod: object) -> State:
    """Return the state of any pod's JSON."""
    phase = text(pod, "status", "phase", most=40) or "Unknown"
    if at(pod, "metadata", "deletionTimestamp") and phase not in _FINAL_PHASES:
        lost = text(pod, "status", "reason") == "NodeLost"
        return State(phase, "NodeLost" if lost else TERMINATING, _message(at(pod, "status")))
    return _waiting_for_node(pod, phase) or _by_containers(pod, phase)


def _waiting_for_node(pod: object, phase: str) -> State | None:
    """Return why no node has the pod yet."""
    for condition in objects(pod, "status", "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return State(phase, text(condition, "reason") or "Unschedulable", _message(condition))
    return None


def _by_containers(pod: object, phase: str) -> State:
    state = State(phase, text(pod, "status", "reason") or phase, _message(at(pod, "status")))
    initial = _initial(pod)
    if initial and not _is_initialized(pod):
        return State(phase, *initial)
    running = 0
    for container in reversed(objects(pod, "status", "containerStatuses")):
        word = _word(container)
        if word:
            state = State(phase, *word)
        elif flag(container, "ready") and at(container, "state", "running") is not None:
            running += 1
    if state.reason == "Completed" and running:
        state = State(phase, "", state.detail)
    return State(phase, "", state.detail) if state.reason == "Running" else state


def _initial(pod: object) -> tuple[str, str] | None:
    """Return what the init containers wait for, None once they are through or, as sidecars, started."""
    declared = objects(pod, "spec", "initContainers")
    sidecars = {text(one, "name") for one in declared if one.get("restartPolicy") == "Always"}
    for index, container in enumerate(objects(pod, "status", "initContainerStatuses")):
        if at(container, "state", "terminated", "exitCode") == 0:
            continue
        if text(container, "name") in sidecars and flag(container, "started"):
            continue
        word = _word(container)
        if word and word[0] != "PodInitializing":
            return f"Init:{word[0]}", word[1]
        return f"Init:{index}/{len(declared)}", ""
    return None


def _is_initialized(pod: object) -> bool:
    return any(
        one.get("type") == "Initialized" and one.get("status") == "True" for one in objects(pod, "status", "conditions")
    )


def _word(container: dict[str, Any]) -> tuple[str, str] | None:
    """Return the word for a container that waits or has ended, and the sentence behind it; None where it runs."""
    waiting = text(container, "state", "waiting", "reason")
    if waiting:
        return waiting, "; ".join(_waiting_for(container))[:MAX_SENTENCE_CHARACTERS]
    ended = at(container, "state", "terminated")
    if not isinstance(ended, dict):
        return None
    return _end(ended), f"container {text(container, 'name')} ended, {_message(ended) or _end(ended)}"


def _waiting_for(container: dict[str, Any]) -> Iterator[str]:
    """Name what a container waits for and, where it ran before, how that ended."""
    yield f"container {text(container, 'name')}: {_message(at(container, 'state', 'waiting')) or 'no message'}"
    last = at(container, "lastState", "terminated")
    if isinstance(last, dict):
        yield f"it last ended with {_end(last)}, exit code {number(last, 'exitCode')}"


def _end(ended: dict[str, Any]) -> str:
    reason = text(ended, "reason")
    if reason:
        return reason
    signal = number(ended, "signal")
    return f"Signal:{signal}" if signal else f"ExitCode:{number(ended, 'exitCode')}"


def _message(value: object) -> str:
    return text(value, "message", most=MAX_SENTENCE_CHARACTERS)
