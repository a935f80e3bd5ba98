"""kubectl as a program: requests to the API server by path, with its kubeconfig, its rights and its sentences."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Any

import msgspec

from api.kubectl.errors import KubectlFailed

# chosen: an API server that is well answers within a second.
PATIENCE_SECONDS = 10

_WHO_AM_I = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One cluster and the namespace of the monitor in it. flags: which cluster and who, as kubectl takes them."""

    namespace: str
    flags: tuple[str, ...] = ()
    patience_seconds: float = PATIENCE_SECONDS

    @property
    def batch(self) -> str:
        """Return the path of the namespace's CronJobs and Jobs."""
        return f"/apis/batch/v1/namespaces/{self.namespace}"

    @property
    def core(self) -> str:
        """Return the path of the namespace's ConfigMaps and Services."""
        return f"/api/v1/namespaces/{self.namespace}"

    def fetch(self, path: str) -> bytes:
        """Return what the API server answers at a path. Raises: KubectlFailed."""
        return self._run(("get", "--raw", path))

    def get(self, path: str) -> dict[str, Any]:
        """Return one object. Raises: KubectlFailed."""
        return _object(self.fetch(path), path)

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object and return it as it was taken. Raises: KubectlFailed."""
        return _object(self._run(("create", "--raw", path, "-f", "-"), msgspec.json.encode(body)), path)

    def patch(self, kind: str, name: str, *, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        """Merge a body into an object and return it as it is then. Raises: KubectlFailed."""
        patch = f"--patch={msgspec.json.encode(body).decode()}"
        words = ("patch", kind, name, f"--namespace={namespace}", "--type=merge", patch, "--output=json")
        return _object(self._run(words), f"{kind} {name}")

    def who_am_i(self) -> str:
        """Return what the API server calls this user, empty where it won't say (before Kubernetes 1.28)."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            return str(self.create(_WHO_AM_I, review)["status"]["userInfo"]["username"])
        except (KubectlFailed, KeyError, TypeError):
            return ""

    def _run(self, words: tuple[str, ...], body: bytes = b"") -> bytes:
        patience = f"--request-timeout={self.patience_seconds:g}s"
        try:
            done = subprocess.run(
                ("kubectl", *self.flags, patience, *words), input=body, capture_output=True, check=False
            )
        except FileNotFoundError:
            raise KubectlFailed("kubectl isn't on PATH; nothing was asked", 2) from None
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines() or [
                f"kubectl ended with {done.returncode}"
            ]
            raise KubectlFailed(lines[-1].removeprefix("error: "), done.returncode)
        return done.stdout


def _object(answer: bytes, what: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise KubectlFailed(f"{what} answered no JSON object", 1) from None
