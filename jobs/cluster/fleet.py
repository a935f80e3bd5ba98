"""From what the namespaces show, and the inventory before it, to the inventory; pure.

Nothing is taken away because it wasn't seen:
- a namespace that was never listed whole in this run keeps its instances as they were;
- a pod that its StatefulSet wants stays, phase Missing, until it is back or no longer wanted;
- of pods that no StatefulSet wants, one that goes while others stay is gone: whoever wanted it has another in its
  place. When all of a namespace go at once, they stay as Missing for HOLD_SECONDS, because a wrong selector or label
  looks just like that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

from jobs.cluster.owners import wanted_pods
from jobs.cluster.pods import KUBERNETES, Found, instance_of, ordinal_of
from jobs.cluster.sight import Sight
from jobs.health.model import Instance, Pod

MISSING = "Missing"

# chosen: long enough to see the alarm and to mend a label; not so long that a fleet taken down on purpose stays red.
HOLD_SECONDS = 600


def fleet_of(
    sights: Sequence[Sight], before: Iterable[Instance], *, nodes: Mapping[str, str] | None, at_ms: int
) -> tuple[Instance, ...]:
    """Return the inventory.

    before: the last one. nodes: what is wrong with each node, empty where nothing is; None where that isn't known.
    """
    known = {one.key: one for one in before if one.source == KUBERNETES}
    drafts: list[tuple[Instance, int | None]] = []
    for sight in sights:
        drafts.extend(_of_namespace(sight, [one for one in known.values() if _is_of(one, sight)], at_ms))
    return tuple(_named([(_with_node(draft, nodes), ordinal) for draft, ordinal in drafts]))


def _is_of(instance: Instance, sight: Sight) -> bool:
    return instance.pod is not None and instance.pod.namespace == sight.facts.name


def _of_namespace(sight: Sight, known: list[Instance], at_ms: int) -> Iterator[tuple[Instance, int | None]]:
    """Yield the instances of one namespace with their ordinals."""
    if sight.pods is None:
        yield from ((one, _ordinal(one)) for one in known)
        return
    earlier = {one.pod.name: one for one in known if one.pod}
    for name, found in sight.pods.items():
        yield _dated(found, earlier.get(name), is_first=not known, at_ms=at_ms), found.ordinal
    for name, statefulset in _absent(sight, earlier, at_ms).items():
        missing = _missing(sight.facts.name, name, statefulset, earlier.get(name), at_ms)
        yield missing, _ordinal(missing)


def _ordinal(instance: Instance) -> int | None:
    """Return the ordinal of an instance whose pod isn't seen now; its public id says whether it counted as one."""
    if instance.pod is None or not (instance.pod.statefulset or instance.public_id.startswith("instance-")):
        return None
    return ordinal_of(instance.pod.name)


def _dated(found: Found, before: Instance | None, *, is_first: bool, at_ms: int) -> Instance:
    """Return the instance with the moment its phase began.

    By our own clock where we saw it begin; only of a pod that was there before us, Kubernetes has to say.
    is_first: nothing was known of this namespace yet.
    """
    since_ms = at_ms
    if before and before.pod and _phase(before) == _phase(found.instance):
        since_ms = before.pod.since_ms if before.pod.since_ms is not None else at_ms
    elif is_first and found.began_ms is not None:
        since_ms = min(found.began_ms, at_ms)
    return replace(found.instance, pod=replace(found.pod, since_ms=since_ms))


def _phase(instance: Instance) -> tuple[object, ...]:
    pod = instance.pod
    return (instance.uid, pod.phase, pod.reason == "Terminating") if pod else ()


def _absent(sight: Sight, earlier: Mapping[str, Instance], at_ms: int) -> dict[str, str | None]:
    """Return the pods that belong to the fleet and aren't there, each with its StatefulSet."""
    pods = sight.pods or {}
    owners = {name: one.pod.statefulset for name, one in earlier.items() if one.pod}
    ours = {found.pod.statefulset for found in pods.values()} | set(owners.values())
    wanted = {name: one.name for one in sight.facts.statefulsets or () if one.name in ours for name in wanted_pods(one)}
    for name, owner in owners.items():
        is_unknown = owner is not None and sight.facts.statefulsets is None
        is_held = owner is None and not pods and (sight.facts.problem or not _is_held_out(earlier[name], at_ms))
        if is_unknown or is_held:
            wanted.setdefault(name, owner or "")
    return {name: owner or None for name, owner in wanted.items() if name not in pods}


def _is_held_out(instance: Instance, at_ms: int) -> bool:
    """Tell whether a pod that nobody is known to want has been away for long enough to let it go."""
    pod = instance.pod
    return bool(pod and pod.phase == MISSING and at_ms - (pod.since_ms or at_ms) > HOLD_SECONDS * 1000)


def _missing(namespace: str, name: str, statefulset: str | None, before: Instance | None, at_ms: int) -> Instance:
    """Return the instance of a pod that isn't there; what it expects when it is back stays known."""
    since_ms = before.pod.since_ms if before and before.pod and before.pod.phase == MISSING else at_ms
    detail = f"StatefulSet {statefulset} wants it" if statefulset else "its namespace shows no pod of the fleet at all"
    pod = Pod(
        namespace=namespace,
        name=name,
        phase=MISSING,
        reason=MISSING,
        detail=detail,
        since_ms=since_ms,
        statefulset=statefulset,
    )
    if before is None:
        return instance_of(pod)
    return instance_of(pod, expects=(before.expect_motion_seconds, before.expect_sound_seconds))


def _with_node(instance: Instance, nodes: Mapping[str, str] | None) -> Instance:
    pod = instance.pod
    if pod is None or pod.node is None or nodes is None:
        return instance
    return replace(instance, pod=replace(pod, node_problem=nodes.get(pod.node, "the node is gone")))


def _named(drafts: Iterable[tuple[Instance, int | None]]) -> Iterator[Instance]:
    """Yield the instances under their public ids: `instance-N`, else the pod's name, else with its namespace.

    Whatever pods are called, no two get the same.
    """
    ordered = sorted(drafts, key=lambda draft: draft[0].key)
    ordinals = Counter(ordinal for _, ordinal in ordered if ordinal is not None)
    names = Counter(instance.pod.name for instance, _ in ordered if instance.pod)
    taken: set[str] = set()
    # Those with an ordinal choose first, so that a pod called instance-0 can't take another one's id.
    for instance, ordinal in sorted(ordered, key=lambda draft: draft[1] is None or ordinals[draft[1]] != 1):
        public_id = next(one for one in _ids(instance, ordinal, ordinals, names) if one not in taken)
        taken.add(public_id)
        yield replace(instance, public_id=public_id, fields={**instance.fields, "id": public_id})


def _ids(
    instance: Instance, ordinal: int | None, ordinals: Mapping[int, int], names: Mapping[str, int]
) -> Iterator[str]:
    """Yield the public ids that an instance may have, the best first."""
    pod = instance.pod
    if pod is None:
        yield instance.public_id
        return
    if ordinal is not None and ordinals[ordinal] == 1:
        yield f"instance-{ordinal}"
    if names[pod.name] == 1:
        yield pod.name
    yield f"{pod.namespace}.{pod.name}"
    yield f"{pod.namespace}.{pod.name}-{blake2b(instance.key.encode(), digest_size=4).hexdigest()}"
