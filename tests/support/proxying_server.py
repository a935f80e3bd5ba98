"""A small API server on 127.0.0.1 for the real kubectl, which proxies to a real API and keeps ConfigMaps and pods."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from token_server import read_body

CORE = "/api/v1/namespaces/loco-health"
PROXY = f"{CORE}/services/http:loco-api:3000/proxy"
CONTROL = f"{CORE}/configmaps/loco-control"

# What kubectl wants to know before it patches.
_KINDS = [
    {
        "name": plural,
        "singularName": kind.lower(),
        "namespaced": True,
        "kind": kind,
        "verbs": ["get", "patch", "create"],
    }
    for plural, kind in (("configmaps", "ConfigMap"), ("pods", "Pod"))
]
_DISCOVERY = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": _KINDS},
}


class Cluster:
    """What the server has and was asked. port: its own. api: port of the API behind it, None while it has no endpoint.

    events: of every pod, None where they may not be listed. forbidden: paths that nobody may ask for.
    asked: every request as (method, path).
    """

    def __init__(self) -> None:
        self.port = 0
        self.api: int | None = None
        self.objects: dict[str, dict] = {}
        self.events: list[dict] | None = []
        self.forbidden: set[str] = set()
        self.asked: list[tuple[str, str]] = []

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Return status and body."""
        path, _, query = path.partition("?")
        if path in _DISCOVERY:
            return 200, json.dumps(_DISCOVERY[path]).encode()
        self.asked.append((method, path))
        if path in self.forbidden:
            return _status(403, "Forbidden", f'{path} is forbidden: User "u" cannot do that')
        if path.startswith(PROXY):
            return self._proxied(f"{path.removeprefix(PROXY)}?{query}" if query else path.removeprefix(PROXY))
        if "/services/" in path:
            return _status(404, "NotFound", 'services "loco-api" not found')
        if path.endswith("/events"):
            return _status(403, "Forbidden") if self.events is None else _found({"items": self.events})
        return self._object(method, path, body)

    def _object(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if method == "POST":
            made = json.loads(body)
            path = f"{path}/{made['metadata']['name']}"
            if path in self.objects:
                return _status(409, "AlreadyExists", f"{path} exists")
            self.objects[path] = made
        elif path not in self.objects:
            return _status(404, "NotFound", f'"{path.rpartition("/")[2]}" not found')
        if method == "PATCH":
            _merge(self.objects[path], json.loads(body))
        return _found(self.objects[path])

    def _proxied(self, path: str) -> tuple[int, bytes]:
        """Return what the API answers, as it answers it; where it has no endpoint, what the real API server says."""
        if self.api is None:
            return _status(503, "ServiceUnavailable", 'no endpoints available for service "http:loco-api:3000"')
        connection = http.client.HTTPConnection("127.0.0.1", self.api, timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def a_kubeconfig(port: int) -> str:
    """Return a kubeconfig of that server."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "here",
        }
    )


@contextmanager
def a_cluster() -> Iterator[Cluster]:
    """Yield the cluster, served."""
    cluster = Cluster()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = read_body(self.headers, self.rfile)
            status, data = cluster.answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = _serve  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cluster.port = server.server_port
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield cluster
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def _found(value: object) -> tuple[int, bytes]:
    return 200, json.dumps(value).encode()


def _status(code: int, reason: str, message: str = "") -> tuple[int, bytes]:
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason}
    return code, json.dumps({**status, "message": message or reason, "code": code}).encode()


def _merge(kept: dict, patch: dict) -> None:
    """Merge as RFC 7386 says."""
    for key, value in patch.items():
        if value is None:
            kept.pop(key, None)
        elif isinstance(value, dict):
            if not isinstance(kept.get(key), dict):
                kept[key] = {}
            _merge(kept[key], value)
        else:
            kept[key] = value
