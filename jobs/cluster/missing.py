"""The pods of the fleet that aren't there; pure.

- A pod that its StatefulSet wants stays, phase Missing, until it is back or no longer wanted.
- Of pods that no StatefulSet wants, one that goes while others stay is gone: whoever wanted it has another in its
  place. When all of a namespace go at once, they stay as Missing for HOLD_SECONDS, because a wrong selector or label
  looks just like that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from jobs.cluster.owners import wanted_pods
from jobs.cluster.sight import Sight
from jobs.health.model import Pod
from jobs.store.discovery import StatefulSet

MISSING = "Missing"

# A StatefulSet makes its pods one after the other, each when those before it are ready (Kubernetes docs,
# "StatefulSets", Pod Management Policies); until then nothing is wrong with this one.
AWAITS_EARLIER = "AwaitsEarlier"

# chosen: long enough to see the alarm and to mend a label; not so long that a fleet taken down on purpose stays red.
HOLD_SECONDS = 600


def missing_pods(sight: Sight, earlier: Mapping[str, Pod], *, at_ms: int) -> Iterator[Pod]:
    """Yield what is to be said of each pod that isn't there. earlier: the pods of the last inventory, by name."""
    told: set[str] = set()
    for statefulset in _ours(sight, earlier):
        for pod in _of_statefulset(sight, statefulset):
            told.add(pod.name)
            yield _dated(pod, earlier.get(pod.name), at_ms)
    for name, pod in earlier.items():
        if name not in told and name not in (sight.pods or {}) and _is_held(sight, pod, at_ms):
            detail = "nobody can say whether it is wanted" if pod.statefulset else "its namespace shows no pod at all"
            yield _dated(_absent(pod.namespace, name, pod.statefulset, MISSING, detail), pod, at_ms)


def _ours(sight: Sight, earlier: Mapping[str, Pod]) -> Iterator[StatefulSet]:
    """Yield the StatefulSets whose pods are, or were, of the fleet."""
    names = {found.pod.statefulset for found in (sight.pods or {}).values()}
    names |= {pod.statefulset for pod in earlier.values()}
    yield from (one for one in sight.facts.statefulsets or () if one.name in names)


def _of_statefulset(sight: Sight, statefulset: StatefulSet) -> Iterator[Pod]:
    """Yield the pods that a StatefulSet wants and that aren't seen; it may know of some under other labels."""
    pods = sight.pods or {}
    wanted = wanted_pods(statefulset)
    seen = sum(name in pods for name in wanted)
    counted = f", and last counted {statefulset.ready} ready where {seen} carry the labels"
    doubt = counted if statefulset.ready > seen else ""
    is_next = True
    for name in wanted:
        if name in pods:
            is_next = is_next and bool(pods[name].pod.is_ready)
            continue
        awaits = statefulset.is_ordered and not is_next
        detail = f"StatefulSet {statefulset.name} wants it" + (
            " when the pods before it are ready" if awaits else doubt
        )
        yield _absent(sight.facts.name, name, statefulset.name, AWAITS_EARLIER if awaits else MISSING, detail)
        is_next = False


def _absent(namespace: str, name: str, statefulset: str | None, reason: str, detail: str) -> Pod:
    return Pod(namespace=namespace, name=name, phase=MISSING, reason=reason, detail=detail, statefulset=statefulset)


def _is_held(sight: Sight, pod: Pod, at_ms: int) -> bool:
    """Tell whether a pod that isn't known to be wanted stays nevertheless."""
    if pod.statefulset is not None:
        return sight.facts.statefulsets is None
    if sight.pods:
        return False
    is_over = pod.phase == MISSING and at_ms - (pod.since_ms or at_ms) > HOLD_SECONDS * 1000
    return sight.facts.problem is not None or not is_over


def _dated(pod: Pod, before: Pod | None, at_ms: int) -> Pod:
    """Return the pod with the moment since when that is so."""
    is_same = before is not None and (before.phase, before.reason) == (pod.phase, pod.reason)
    return replace(pod, since_ms=before.since_ms if before and is_same else at_ms)
