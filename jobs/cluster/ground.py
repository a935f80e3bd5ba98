"""One instance's pod and the fleet's switches, read from the API server at the moment of asking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jobs.cluster.client import ClusterClient, Object
from jobs.cluster.fields import at
from jobs.cluster.pods import found_in
from jobs.errors import ClusterError, NotFound
from jobs.health.control import Stop, stop_of
from jobs.health.model import Instance, Pod

CONTROL = "loco-control"


class ClusterGround:
    """Reads an instance's pod. known: the instance as the inventory has it. namespace: where loco-control is.

    pod: the pod's JSON as it was read last, None before.
    """

    def __init__(self, client: ClusterClient, known: Instance, *, namespace: str, wall_ms: Callable[[], int]) -> None:
        self.pod: Object | None = None
        self._client = client
        self._known = known
        self._namespace = namespace
        self._wall_ms = wall_ms

    def stop(self) -> Stop | None:
        """Return what ConfigMap `loco-control` forbids now; one that isn't there forbids nothing.

        Raises: ClusterError.
        """
        try:
            found = self._client.get(f"/api/v1/namespaces/{self._namespace}/configmaps/{CONTROL}")
        except NotFound:
            return None
        said: dict[str, str] = {}
        for part in ("data", "binaryData"):  # what is no text stands in the second, in letters that no switch takes
            switches = at(found, part) or {}
            if not isinstance(switches, dict):
                raise ClusterError(f"ConfigMap {self._namespace}/{CONTROL} holds {part} that is no map")
            said.update({name: str(value) for name, value in switches.items()})
        return stop_of(said, self._wall_ms())

    def instance(self) -> Instance | None:
        """Return the instance as its pod is now, None when there is none; what a file names is as it was.

        Raises: ClusterError.
        """
        if self._known.pod is None:
            return self._known
        try:
            self.pod = self._client.get(self._path(self._known.pod))
        except NotFound:
            return None
        found = found_in(self.pod)
        if found is None or found.instance.key != self._known.key:
            raise ClusterError(f"GET {self._path(self._known.pod)} answered another object than that pod")
        self._known = _following(self._known, replace(found.instance, pod=found.pod), now_ms=self._wall_ms())
        return self._known

    def delete_pod(self, uid: str) -> None:
        """Delete the pod of that uid and no other. Raises: ClusterError."""
        if self._known.pod is None:
            raise ClusterError(f"{self._known.key} has no pod that could be deleted")
        self._client.delete(self._path(self._known.pod), uid=uid)

    @staticmethod
    def _path(pod: Pod) -> str:
        return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"


def _following(known: Instance, found: Instance, *, now_ms: int) -> Instance:
    """Return the pod as it is now under the instance's public id, with what only discovery knows of it."""
    before, pod = known.pod, found.pod
    if before is None or pod is None:
        return found
    is_as_before = (known.uid, before.phase) == (found.uid, pod.phase)
    pod = replace(
        pod,
        since_ms=before.since_ms if is_as_before else now_ms,
        node_problem=before.node_problem if before.node == pod.node else None,
    )
    return replace(found, public_id=known.public_id, pod=pod)
