"""What several instances may have in common that made them ill at once; pure.

A bridge or a StatefulSet is no cause of its own here: each instance has its own bridge inside its pod, and one
StatefulSet is mostly the whole fleet, whose change is seen as a new image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jobs.health.model import Instance, InstanceKey

Cause = InstanceKey
"""`common/node/NAME` or `common/image/NAME`: with two slashes and more, so it is nobody's instance key."""

FLEET = InstanceKey("common/fleet/brake")
"""The key of the incident that stands for a fleet which is ill without a common cause."""

_PREFIX = "common/"


def is_common(key: InstanceKey) -> bool:
    """Tell whether a key is that of an incident of several instances."""
    return key.startswith(_PREFIX) and key.count("/") > 1


def name_of(cause: Cause) -> str:
    """Return `node NAME` or `image NAME`."""
    return cause.removeprefix(_PREFIX).replace("/", " ", 1)


def new_images(instances: Iterable[Instance], *, at_ms: int, seconds: float) -> frozenset[str]:
    """Return the images that no pod has run for longer than `seconds`, while other pods have run for longer.

    Where every pod is young nothing has changed that could be told: the fleet has only just been started. How long a
    pod has run where that isn't known: longer.
    """
    newest: set[str] = set()
    old: set[str] = set()
    has_old_pods = False
    for pod in (instance.pod for instance in instances):
        if pod is None:
            continue
        is_old = pod.since_ms is None or at_ms - pod.since_ms > seconds * 1000
        has_old_pods = has_old_pods or is_old
        (old if is_old else newest).update(pod.images)
    return frozenset(newest - old) if has_old_pods else frozenset()


def causes_of(instance: Instance, images: frozenset[str]) -> tuple[Cause, ...]:
    """Return what may be the cause of an instance's illness, its node first. images: the new ones."""
    pod = instance.pod
    if pod is None:
        return ()
    node = [InstanceKey(f"{_PREFIX}node/{pod.node}")] if pod.node else []
    return (*node, *(InstanceKey(f"{_PREFIX}image/{image}") for image in sorted(set(pod.images) & images)))


def within(onsets_ms: Mapping[InstanceKey, int], *, count: int, seconds: float) -> tuple[InstanceKey, ...]:
    """Return the first `count` or more that fell ill within `seconds` of each other, in the order in which they did."""
    ordered = sorted(onsets_ms, key=lambda key: (onsets_ms[key], key))
    for first, last in zip(ordered, ordered[count - 1 :], strict=False):
        until_ms = onsets_ms[first] + seconds * 1000
        if onsets_ms[last] <= until_ms:
            return tuple(key for key in ordered[ordered.index(first) :] if onsets_ms[key] <= until_ms)
    return ()
