"""kubectl as a program: requests to the API server by path, with its kubeconfig, its rights and its sentences."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click
import msgspec

DEFAULT_NAMESPACE = "loco-health"

# chosen: an API server that is well answers within a second.
_PATIENCE = "--request-timeout=10s"

_WHO_AM_I = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

# RFC 1123 label
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

_Command = TypeVar("_Command", bound=Callable[..., Any])


class KubectlFailed(Exception):
    """kubectl's own sentence, and its exit code, which ends the plugin too."""

    def __init__(self, sentence: str, exit_code: int) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One cluster and the namespace of the monitor in it. flags: which cluster and who, as kubectl takes them."""

    namespace: str
    flags: tuple[str, ...] = ()

    @property
    def batch(self) -> str:
        """Return the path of the namespace's CronJobs and Jobs."""
        return f"/apis/batch/v1/namespaces/{self.namespace}"

    @property
    def core(self) -> str:
        """Return the path of the namespace's ConfigMaps and Services."""
        return f"/api/v1/namespaces/{self.namespace}"

    def get(self, path: str) -> dict[str, Any]:
        """Return one object. Raises: KubectlFailed."""
        return self._run(("get", "--raw", path))

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object and return it as it was taken. Raises: KubectlFailed."""
        return self._run(("create", "--raw", path, "-f", "-"), msgspec.json.encode(body))

    def who_am_i(self) -> str:
        """Return what the API server calls this user, empty where it won't say (before Kubernetes 1.28)."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            return str(self.create(_WHO_AM_I, review)["status"]["userInfo"]["username"])
        except (KubectlFailed, KeyError, TypeError):
            return ""

    def _run(self, words: tuple[str, ...], body: bytes = b"") -> dict[str, Any]:
        try:
            done = subprocess.run(
                ("kubectl", *self.flags, _PATIENCE, *words), input=body, capture_output=True, check=False
            )
        except FileNotFoundError:
            raise KubectlFailed("kubectl isn't on PATH; nothing was asked", 2) from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip() or f"kubectl ended with {done.returncode}"
            raise KubectlFailed(said.removeprefix("error: "), done.returncode)
        try:
            return msgspec.json.decode(done.stdout, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise KubectlFailed(f"{words[2]} answered no JSON object", 1) from None


def _namespace(_: click.Context, __: click.Parameter, name: str) -> str:
    if not _NAMESPACE.fullmatch(name):
        raise click.BadParameter(
            f"{name!r} is no name of a namespace, 1 to 63 of a-z 0-9 - are allowed; nothing was asked"
        )
    return name


def cluster_options(command: _Command) -> _Command:
    """Give a command --namespace, --context and --kubeconfig."""
    for option in (
        click.option("--kubeconfig", metavar="FILE", help="As kubectl takes it."),
        click.option("--context", metavar="NAME", help="As kubectl takes it."),
        click.option(
            "-n", "--namespace", default=DEFAULT_NAMESPACE, callback=_namespace, help="Namespace of the monitor."
        ),
    ):
        command = option(command)
    return command


def kubectl_of(namespace: str, context: str | None, kubeconfig: str | None) -> Kubectl:
    """Return kubectl with these options."""
    given = (("--context", context), ("--kubeconfig", kubeconfig))
    return Kubectl(namespace, tuple(f"{flag}={value}" for flag, value in given if value))
