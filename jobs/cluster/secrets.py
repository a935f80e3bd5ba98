"""Secret `loco-master` beside the recovery Jobs, and Secret `loco-keys` beside the instances, one entry a pod.

An entry outlives its pod: the next pod of that name has the same key, and a set that grows again finds its keys.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Sequence

from jobs.cluster.client import ClusterClient, Object
from jobs.cluster.fields import at, number, text
from jobs.errors import ClusterError, ConfigError, Conflict, NotFound
from jobs.health.model import InstanceKey
from jobs.keys import instance_keys, new_master, parse_master, render, rotate

MASTER, MASTER_ENTRY = "loco-master", "key"
KEYS = "loco-keys"

# chosen: with as many writers at once as this, somebody is making keys in a loop.
_TRIES = 5

# chosen: a StatefulSet of more is a mistake, and 1 MiB of Secret holds 4,000 entries.
_MAX_REPLICAS = 4000

# chosen: a set that grows by so many finds its keys. A pod that starts before its entry is there has none for its life,
# because a subPath never changes (docs/kubernetes.md); an entry that nobody mounts opens nothing.
_SPARE_ORDINALS = 32

# Kubernetes docs, "Secrets": what a key of a Secret may be.
_ENTRY = re.compile(r"[-._a-zA-Z0-9]{1,253}")


def write_secrets(
    client: ClusterClient, *, namespace: str, watched: Sequence[str], selector: str, is_rotation: bool
) -> dict[str, int]:
    """Make the master key where there is none and every pod's out of it; return how many keys each Secret has.

    Raises: ClusterError, ConfigError.
    """
    master = _Secret(client, namespace, MASTER)
    text_before = master.get(MASTER_ENTRY)
    if text_before is None:
        text_before = master.merge(lambda known: {MASTER_ENTRY: known.get(MASTER_ENTRY) or new_master()})[MASTER_ENTRY]
        is_rotation = False
    text_now = _rotated(text_before, master.place) if is_rotation else text_before
    masters = parse_master(text_now, master.place)
    counts = {}
    # The instances first: a master whose keys nobody has opens nothing, and the one before it still does.
    for one in watched:
        names = _pod_names(client, one, selector)
        secret = _Secret(client, one, KEYS)
        counts[secret.place] = len(secret.merge(_entries_of(one, names, masters)))
    if is_rotation:
        master.merge(lambda _: {MASTER_ENTRY: text_now})
    return counts


def _rotated(text_before: str, place: str) -> str:
    parse_master(text_before, place)
    return rotate(text_before)


def _entries_of(
    namespace: str, names: Iterable[str], masters: tuple[bytes, ...]
) -> Callable[[dict[str, str]], dict[str, str]]:
    """Return what gives each pod, and each entry that is there already, its keys."""

    def entries(known: dict[str, str]) -> dict[str, str]:
        return {name: render(instance_keys(masters, InstanceKey(f"{namespace}/{name}"))) for name in {*known, *names}}

    return entries


def _pod_names(client: ClusterClient, namespace: str, selector: str) -> set[str]:
    """Return the names of the pods that there are, and of those that StatefulSets want or may soon want."""
    query = {"labelSelector": selector}
    names: set[str] = set()
    for page in client.pages(f"/api/v1/namespaces/{namespace}/pods", query):
        names.update(text(pod, "metadata", "name") for pod in page)
    for page in client.pages(f"/apis/apps/v1/namespaces/{namespace}/statefulsets", query):
        for one in page:
            first, count = number(one, "spec", "ordinals", "start") or 0, number(one, "spec", "replicas") or 0
            ordinals = range(first, first + min(count + _SPARE_ORDINALS, _MAX_REPLICAS))
            names.update(f"{text(one, 'metadata', 'name')}-{ordinal}" for ordinal in ordinals)
    return {name for name in names if _ENTRY.fullmatch(name)}


class _Secret:
    """One Secret, read and written as text."""

    def __init__(self, client: ClusterClient, namespace: str, name: str) -> None:
        self.place = f"{namespace}/{name}"
        self._client = client
        self._folder = f"/api/v1/namespaces/{namespace}/secrets"
        self._name = name
        self._namespace = namespace

    def get(self, entry: str) -> str | None:
        """Return one entry, None where it isn't there. Raises: ClusterError."""
        found = self._read()
        return self._decoded(found).get(entry) if found else None

    def merge(self, change: Callable[[dict[str, str]], dict[str, str]]) -> dict[str, str]:
        """Make the entries what `change` makes of those that are there; return them. Raises: ClusterError."""
        for _ in range(_TRIES):
            found = self._read()
            before = self._decoded(found) if found else {}
            wanted = change(before)
            if found and before == wanted:
                return wanted
            try:
                self._write(found, wanted)
            except Conflict:
                continue  # another writer was there between: see what it wrote
            return wanted
        raise ClusterError(
            f"Secret {self.place} was written by others {_TRIES} times at once; the next run tries again"
        )

    def _read(self) -> Object | None:
        try:
            return self._client.get(f"{self._folder}/{self._name}")
        except NotFound:
            return None

    def _write(self, found: Object | None, entries: dict[str, str]) -> None:
        data = {name: base64.b64encode(value.encode()).decode() for name, value in entries.items()}
        if found:
            self._client.replace(f"{self._folder}/{self._name}", {**found, "data": data})
            return
        metadata = {
            "name": self._name,
            "namespace": self._namespace,
            "labels": {
                "app.kubernetes.io/name": "loco-health",
                "app.kubernetes.io/component": "keys",
                "app.kubernetes.io/managed-by": "loco-health",
            },
        }
        body = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data}
        self._client.create(self._folder, body)

    def _decoded(self, found: Object) -> dict[str, str]:
        data = at(found, "data") or {}
        try:
            return {name: base64.b64decode(value, validate=True).decode() for name, value in data.items()}
        except (AttributeError, TypeError, binascii.Error, UnicodeDecodeError) as error:
            raise ConfigError(f"Secret {self.place} holds an entry that is no text; mend or delete it") from error
