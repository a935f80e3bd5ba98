"""The provisioner of StorageClass `standard`: a claim gets a folder on the node that the scheduler chose for its pod.

Runs as a daemon of its own: volumes.py SERVER CREDENTIALS FOLDER. One watch on claims is all it needs: an added or
changed claim may need a volume, a deleted one gives its volume back.
"""

import http.client
import json
import shutil
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CLASS = "standard"
PROVISIONER = "localkind/folder"
RETRY_SECONDS = 1.0
WATCH_SECONDS = 600
CLAIMS = "/api/v1/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"

Json = dict[str, Any]


class ApiServer:
    """The few requests that this needs, with the client certificate of the provisioner."""

    def __init__(self, server: str, credentials: Path) -> None:
        self._address = urlsplit(server).netloc
        self._context = ssl.create_default_context(cafile=credentials / "ca.crt")
        self._context.load_cert_chain(credentials / "volumes.crt", credentials / "volumes.key")

    def ask(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        """Return status and document."""
        connection = self._connection(timeout_seconds=30)
        headers = {"Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        document = json.loads(answer.read() or b"{}")
        connection.close()
        return answer.status, document

    def list(self, path: str) -> Json:
        """Return all objects of a kind."""
        status, document = self.ask("GET", path)
        if status != 200:
            raise ValueError(f"the API server answered GET {path} with {status}: {document.get('message')}")
        return document

    def watch(self, path: str, version: str) -> Iterator[Json]:
        """Yield events after `version` until the server ends the watch."""
        connection = self._connection(timeout_seconds=WATCH_SECONDS + 30)
        connection.request("GET", f"{path}?watch=true&resourceVersion={version}&timeoutSeconds={WATCH_SECONDS}")
        answer = connection.getresponse()
        while line := answer.readline():
            yield json.loads(line)
        connection.close()

    def _connection(self, *, timeout_seconds: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._address, context=self._context, timeout=timeout_seconds)


def main(server: str, credentials: str, folder: str) -> None:
    """Serve claims for ever; an API server that is away is asked again."""
    api = ApiServer(server, Path(credentials))
    while True:
        try:
            follow(api, Path(folder))
        except (OSError, http.client.HTTPException, ValueError, KeyError) as problem:
            print(f"volumes: {problem!r}; lists again in {RETRY_SECONDS:.0f} s", file=sys.stderr, flush=True)
            time.sleep(RETRY_SECONDS)


def follow(api: ApiServer, folder: Path) -> None:
    """List claims and volumes, make good what happened meanwhile, then follow the claims."""
    claims, volumes = api.list(CLAIMS), api.list(VOLUMES)
    living = {volume_name(claim) for claim in claims["items"]}
    for volume in volumes["items"]:
        if is_ours(volume) and volume["metadata"]["name"] not in living:
            give_back(api, folder, volume["metadata"]["name"])
    for claim in claims["items"]:
        serve(api, folder, claim)
    for event in api.watch(CLAIMS, claims["metadata"]["resourceVersion"]):
        if event["type"] == "DELETED":
            give_back(api, folder, volume_name(event["object"]))
        elif event["type"] == "ERROR":
            return
        else:
            serve(api, folder, event["object"])


def serve(api: ApiServer, folder: Path, claim: Json) -> None:
    """Make the claim's volume if it waits for one and its node is known."""
    node = claim["metadata"].get("annotations", {}).get("volume.kubernetes.io/selected-node")
    if claim["spec"].get("storageClassName") != CLASS or claim["spec"].get("volumeName") or not node:
        return
    path = folder / volume_name(claim)
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o777)  # as kind's provisioner does, for pods without an fsGroup
    status, answer = api.ask("POST", VOLUMES, volume_for(claim, node=node, path=path))
    if status not in {201, 409}:  # 409: made before, the claim's event came again
        raise ValueError(f"the API server refused volume {path.name} with {status}: {answer.get('message')}")


def give_back(api: ApiServer, folder: Path, name: str) -> None:
    """Delete the volume and what is in it."""
    status, _ = api.ask("DELETE", f"{VOLUMES}/{name}")
    if status != 404:
        shutil.rmtree(folder / name, ignore_errors=True)


def is_ours(volume: Json) -> bool:
    """Tell whether this provisioner made the volume."""
    return bool(volume["metadata"].get("annotations", {}).get("pv.kubernetes.io/provisioned-by") == PROVISIONER)


def volume_name(claim: Json) -> str:
    """Return the name of the claim's volume; a claim that is made anew has a new uid and gets a new volume."""
    return f"pvc-{claim['metadata']['uid']}"


def volume_for(claim: Json, *, node: str, path: Path) -> Json:
    """Return the PersistentVolume for the claim, bound to it and to the node."""
    metadata, spec = claim["metadata"], claim["spec"]
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": volume_name(claim), "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "storageClassName": CLASS,
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                **{key: metadata[key] for key in ("namespace", "name", "uid", "resourceVersion")},
            },
            "local": {"path": str(path)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
        },
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
