"""From what the namespaces show, and the inventory before it, to the inventory; pure.

Nothing is taken away because it wasn't seen: a namespace that was never listed whole in this run keeps its instances
as they were, and jobs.cluster.missing says which pods are only away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import count

from jobs.cluster.missing import missing_pods
from jobs.cluster.pods import KUBERNETES, Found, instance_of, ordinal_of
from jobs.cluster.sight import Sight
from jobs.health.model import Instance, Pod
from jobs.health.pods import NODE_GONE


def fleet_of(
    sights: Sequence[Sight], before: Iterable[Instance], *, nodes: Mapping[str, str] | None, at_ms: int
) -> tuple[Instance, ...]:
    """Return the inventory.

    before: the last one. nodes: what is wrong with each node, empty where nothing is; None where that isn't known.
    """
    known = {one.key: _begun(one, at_ms) for one in before if one.source == KUBERNETES}
    drafts: list[Instance] = []
    for sight in sights:
        found = _of_namespace(sight, [one for one in known.values() if _is_of(one, sight)], at_ms)
        drafts.extend(map(_staled, found) if sight.facts.problem else found)
    return tuple(_named([_with_node(draft, known.get(draft.key), nodes) for draft in drafts]))


def _begun(instance: Instance, at_ms: int) -> Instance:
    """Return an instance whose phase began no later than now: a clock that was set back must not make it endless."""
    pod = instance.pod
    if pod is None or pod.since_ms is None or pod.since_ms <= at_ms:
        return instance
    return replace(instance, pod=replace(pod, since_ms=at_ms))


def _is_of(instance: Instance, sight: Sight) -> bool:
    return instance.pod is not None and instance.pod.namespace == sight.facts.name


def _of_namespace(sight: Sight, known: list[Instance], at_ms: int) -> Iterator[Instance]:
    """Yield the instances of one namespace."""
    if sight.pods is None:
        yield from known
        return
    earlier = {one.pod.name: one for one in known if one.pod}
    for name, found in sight.pods.items():
        yield _dated(found, earlier.get(name), is_first=not known, at_ms=at_ms)
    pods = {name: one.pod for name, one in earlier.items() if one.pod}
    for pod in missing_pods(sight, pods, at_ms=at_ms):
        yield _missing(pod, earlier.get(pod.name))


def _ordinal(instance: Instance) -> int | None:
    ordinal = instance.fields.get("ordinal")
    return ordinal if isinstance(ordinal, int) else None


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


def _missing(pod: Pod, before: Instance | None) -> Instance:
    """Return the instance of a pod that isn't there; what it expects when it is back stays known."""
    if before is None:
        return instance_of(pod, ordinal=ordinal_of(pod.name))
    expects = (before.expect_motion_seconds, before.expect_sound_seconds)
    return instance_of(pod, expects=expects, ordinal=_ordinal(before))


def _staled(instance: Instance) -> Instance:
    """Return an instance whose namespace can't be listed now, so that nobody judges by how long it has been so."""
    return replace(instance, pod=replace(instance.pod, is_stale=True)) if instance.pod else instance


def _with_node(instance: Instance, before: Instance | None, nodes: Mapping[str, str] | None) -> Instance:
    """Return the instance with what is wrong with its node; one that isn't listed is gone only if it was listed once.

    A pod on a node that was made since the last list is seen before its node is.
    """
    pod = instance.pod
    if pod is None or pod.node is None or nodes is None:
        return instance
    earlier = before.pod if before else None
    was_listed = earlier is not None and earlier.node == pod.node and earlier.node_problem is not None
    return replace(instance, pod=replace(pod, node_problem=nodes.get(pod.node, NODE_GONE if was_listed else None)))


def _named(drafts: Iterable[Instance]) -> Iterator[Instance]:
    """Yield the instances under their public ids: `instance-N`, else the pod's name, else with its namespace.

    Whatever pods are called, no two get the same.
    """
    ordered = sorted(drafts, key=lambda draft: draft.key)
    ordinals = Counter(_ordinal(draft) for draft in ordered)
    names = Counter(draft.pod.name for draft in ordered if draft.pod)
    taken: set[str] = set()
    # Those with an ordinal choose first, so that a pod called instance-0 can't take another one's id.
    for draft in sorted(ordered, key=lambda draft: _ordinal(draft) is None):
        public_id = next(one for one in _ids(draft, ordinals, names) if one not in taken)
        taken.add(public_id)
        yield replace(draft, public_id=public_id, fields={**draft.fields, "id": public_id})


def _ids(instance: Instance, ordinals: Mapping[int | None, int], names: Mapping[str, int]) -> Iterator[str]:
    """Yield the public ids that an instance may have, the best first."""
    pod, ordinal = instance.pod, _ordinal(instance)
    if pod is None:
        yield instance.public_id
        return
    if ordinal is not None and ordinals[ordinal] == 1:
        yield f"instance-{ordinal}"
    if names[pod.name] == 1:
        yield pod.name
    yield f"{pod.namespace}.{pod.name}"
    digest = blake2b(instance.key.encode(), digest_size=4).hexdigest()
    yield f"{pod.namespace}.{pod.name}-{digest}"
    # Whoever may make pods may have called some by all of these.
    yield from (f"{pod.namespace}.{pod.name}-{digest}-{number}" for number in count(2))
