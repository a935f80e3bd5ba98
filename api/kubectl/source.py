"""Where answers come from: the API in the cluster, through the API server's service proxy, or another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from api.kubectl.errors import ApiFailed, KubectlFailed
from api.kubectl.program import Kubectl

# The way of the API server to the API, which needs the right to it; reading only, so it needs no token of its own.
PROXY = "/services/http:loco-api:3000/proxy"


class Source(Protocol):
    """What answers a GET."""

    def ask(self, path: str) -> bytes:
        """Return the body at a path of the API. Raises: AskFailed."""


@dataclass(frozen=True, slots=True)
class Proxied:
    """The API in a cluster."""

    kubectl: Kubectl

    def ask(self, path: str) -> bytes:
        """Return the body at a path of the API. Raises: KubectlFailed."""
        try:
            return self.kubectl.fetch(f"{self.kubectl.core}{PROXY}{path}")
        except KubectlFailed as error:
            if not (error.is_not_found and 'services "' in str(error)):
                raise
            hint = f"the monitor isn't in namespace {self.kubectl.namespace}; -n says where it is"
            raise KubectlFailed(f"{error}; {hint}", error.exit_code) from error


def ask_json(source: Source, path: str) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON at a path of the API. Raises: AskFailed."""
    body = source.ask(path)
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ApiFailed(f"{path} answered no JSON; is this the API of loco-health?") from None
