"""The API server, through the official client's `ApiClient` alone; its models are never imported (decisions/0002)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Self, TypeAlias

import msgspec
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException, OpenApiException
from kubernetes.config import ConfigException
from kubernetes.config.incluster_config import load_incluster_config
from kubernetes.config.kube_config import load_kube_config
from urllib3.exceptions import HTTPError

from jobs.cluster.fields import number, printable, text
from jobs.errors import ClusterError, Conflict, Forbidden, Gone, NotFound

Object: TypeAlias = dict[str, Any]
"""One Kubernetes object, or a list of them, as its JSON says it."""

# chosen: an API server that is well answers a page of 500 pods within a second.
CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0

# Kubernetes docs, "Retrieving large results sets in chunks": kubectl's own page size.
PAGE_LIMIT = 500

# A continue token holds a key of etcd and a version, some hundred characters.
MAX_TOKEN_CHARACTERS = 65_536

# etcd docs, "System limits": an object has 1.5 MiB at most; JSON makes it longer.
MAX_EVENT_BYTES = 8 * 1024 * 1024

# chosen: a server that wants to be left alone for longer is asked anyway, and may say so again.
MAX_RETRY_SECONDS = 60.0

_ERRORS = {403: Forbidden, 404: NotFound, 409: Conflict, 410: Gone}


class _List(msgspec.Struct):
    metadata: dict[str, Any] = {}
    items: list[msgspec.Raw] | None = None


class Page:
    """One page of a list; its objects are decoded one by one, so that a page of 500 pods costs no more than its text.

    version: of the list. token: of the next page, empty at the last one.
    """

    def __init__(self, body: bytes, path: str) -> None:
        self._path = path
        with _refused(body, path):
            page = msgspec.json.decode(body, type=_List)
        self._items = page.items or []
        self.version = text(page.metadata, "resourceVersion")
        self.token = text(page.metadata, "continue", most=MAX_TOKEN_CHARACTERS)

    def __iter__(self) -> Iterator[Object]:
        """Yield the objects. Raises: ClusterError."""
        for item in self._items:
            yield _decode(bytes(item), self._path)


class ClusterClient:
    """One connection pool to one API server.

    Every call raises ClusterError, or its subclass for 403, 404, 409 and 410, as one sentence.
    read_seconds: how long an answer may take.
    """

    def __init__(self, configuration: Configuration | None = None, *, read_seconds: float = READ_SECONDS) -> None:
        self._api = ApiClient(configuration or _configuration())
        self._read_seconds = read_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections."""
        self._api.rest_client.close()

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Object:
        """Return one object. path: from the root, such as `/api/v1/namespaces/loco/pods/loco-emulator-0`."""
        return self._json("GET", path, query)

    def pages(self, path: str, query: Mapping[str, object] | None = None) -> Iterator[Page]:
        """Yield the pages of a list; a list that expires between two pages raises Gone."""
        asked: dict[str, object] = {**(query or {}), "limit": PAGE_LIMIT}
        while True:
            with _broken_off("GET", path):
                body = self._call("GET", path, asked).read()
            page = Page(body, path)
            yield page
            if not page.token:
                return
            asked["continue"] = page.token

    def create(self, path: str, body: Object) -> Object:
        """Create an object in the collection at `path`. Raises: Conflict when its name is taken."""
        return self._json("POST", path, body=body)

    def replace(self, path: str, body: Object) -> Object:
        """Write an object anew. Raises: Conflict when it has moved on from the resourceVersion in `body`."""
        return self._json("PUT", path, body=body)

    def delete(self, path: str, *, uid: str) -> None:
        """Delete the object of that uid and no other. Raises: Conflict when it is another one."""
        self._json("DELETE", path, body={"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}})

    def apply(self, path: str, body: Object, *, manager: str) -> Object:
        """Make the object at `path` say `body`, by server-side apply; fields of other managers are taken over."""
        return self._json(
            "PATCH",
            path,
            {"fieldManager": manager, "force": "true"},
            body=body,
            content_type="application/apply-patch+yaml",
        )

    def watch(self, path: str, query: Mapping[str, object], *, silence_seconds: float) -> Iterator[Object]:
        """Yield watch events until the server ends the stream.

        silence_seconds: the longest wait for an event; then ClusterError.
        An event of type ERROR is raised as the error that it carries; 410 is Gone.
        """
        response = self._call("GET", path, {**query, "watch": "true"}, read_seconds=silence_seconds)
        try:
            with _broken_off("watch", path):
                for line in _lines(response.response):
                    event = _decode(line, path)
                    if event.get("type") == "ERROR":
                        status = event.get("object")
                        raise _error(number(status, "code"), f"watch {path}", text(status, "message"))
                    yield event
        finally:
            with suppress(HTTPError, OSError):
                response.response.close()

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> Object:
        with _broken_off(method, path):
            answer = self._call(method, path, query, body=body, content_type=content_type).read()
        return _decode(answer, path)

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        *,
        body: Object | None = None,
        content_type: str = "application/json",
        read_seconds: float | None = None,
    ) -> Any:  # noqa: ANN401 - the client's own response
        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            request = self._api.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = self._api.call_api(
                *request, _request_timeout=(CONNECT_SECONDS, read_seconds or self._read_seconds)
            )
            if not 200 <= response.status < 300:
                answer, headers = response.read(), response.getheaders()  # type: ignore[no-untyped-call]
                raise _error(response.status, f"{method} {path}", _message(answer), headers)
        except ApiException as error:
            raise _error(error.status, f"{method} {path}", _message(error.body), error.headers) from error
        except (OpenApiException, ConfigException, HTTPError, OSError) as error:  # ConfigException: no token
            raise ClusterError(f"{method} {path} failed: {_cause(error)}") from error
        return response


def _configuration() -> Configuration:
    """Return the pod's service account, or outside of a pod the kubeconfig."""
    configuration = Configuration()
    try:
        try:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except ConfigException:
            load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as error:
        raise ClusterError(
            f"no way to the Kubernetes API: neither a service account nor a kubeconfig ({_cause(error)})"
        ) from error
    configuration.retries = False  # the next beat is our retry, and it says what happened
    return configuration


def _lines(response: Any) -> Iterator[bytes]:  # noqa: ANN401 - urllib3's response
    """Yield whole lines of a stream; a last one that was cut off is dropped, the next list makes up for it."""
    rest = b""
    for chunk in response.stream(None, decode_content=True):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_EVENT_BYTES:
            raise ClusterError(f"a watch event passed {MAX_EVENT_BYTES} bytes without an end")
        yield from (line for line in lines if line.strip())


def _decode(text: bytes, path: str) -> Object:
    with _refused(text, path):
        return msgspec.json.decode(text, type=dict[str, Any])


@contextmanager
def _refused(text: bytes, path: str) -> Iterator[None]:
    """Let what msgspec refuses leave the block as a ClusterError."""
    try:
        yield
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ClusterError(f"{path} answered no JSON object: {text[:80]!r}") from error


@contextmanager
def _broken_off(method: str, path: str) -> Iterator[None]:
    """Let a connection that ends in the middle of an answer leave the block as a ClusterError."""
    try:
        yield
    except (HTTPError, OSError) as error:
        raise ClusterError(f"{method} {path} broke off: {_cause(error)}") from error


def _error(status: int | None, request: str, message: str, headers: Mapping[str, str] | None = None) -> ClusterError:
    kind = _ERRORS.get(status or 0, ClusterError)
    return kind(f"{request} answered {status}: {message}", retry_seconds=_retry_seconds(headers or {}))


def _retry_seconds(headers: Mapping[str, str]) -> float:
    """Return what Retry-After says in seconds; the API server never says it as a date."""
    line = headers.get("Retry-After") or ""
    return min(float(line), MAX_RETRY_SECONDS) if line.isdecimal() else 0.0


def _message(body: object) -> str:
    """Return the sentence of a Status object, or the start of whatever it is."""
    said = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    with suppress(ValueError, RecursionError):
        said = text(json.loads(said), "message", most=300) or said
    return printable(said, 300)


def _cause(error: BaseException) -> str:
    return printable(f"{type(error).__name__}: {error}", 300)
