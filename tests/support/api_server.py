"""A small API server on 127.0.0.1 that lists and watches as the real one does, and fails as a test says."""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes.client.configuration import Configuration
from servers import http, read_request, serving

from jobs.cluster.client import ClusterClient

Fault = Callable[[socket.socket], None]

# A test that waits longer than this has found a bug.
DEADLINE_SECONDS = 20


def path_of(kind: str, namespace: str | None = "loco") -> str:
    """Return the path of a collection."""
    group = "/apis/apps/v1" if kind == "statefulsets" else "/api/v1"
    return f"{group}/{kind}" if namespace is None else f"{group}/namespaces/{namespace}/{kind}"


class ApiServer:
    """Collections of objects by path, and faults that stand before them.

    page_items: at most so many in a page. faults: by (path, "list", "continue" or "watch"); with True once.
    asked: every request as (path, its query).
    """

    def __init__(self) -> None:
        self.page_items = 500
        self.faults: dict[tuple[str, str], tuple[Fault, bool]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._collections: dict[str, dict[str, dict[str, Any]]] = {}
        self._watchers: dict[str, list[queue.Queue[dict[str, Any] | None]]] = {}
        self._version = 100
        self._lock = threading.Lock()
        self._is_closing = False

    def put(self, obj: dict[str, Any], kind: str = "pods", namespace: str | None = "loco") -> None:
        """Create or change an object."""
        path = path_of(kind, namespace)
        with self._lock:
            known = self._collections.setdefault(path, {})
            name = obj["metadata"]["name"]
            event = "MODIFIED" if name in known else "ADDED"
            known[name] = obj
            self._tell(path, event, obj)

    def delete(self, name: str, kind: str = "pods", namespace: str | None = "loco") -> None:
        """Delete an object."""
        path = path_of(kind, namespace)
        with self._lock:
            self._tell(path, "DELETED", self._collections[path].pop(name))

    def fail(
        self, verb: str, fault: Fault, *, kind: str = "pods", namespace: str | None = "loco", once: bool = False
    ) -> None:
        """Let requests fail from now on."""
        self.faults[path_of(kind, namespace), verb] = (fault, once)

    def heal(self) -> None:
        """Let no request fail."""
        self.faults.clear()

    def lists(self, kind: str = "pods", namespace: str | None = "loco") -> int:
        """Return how many lists were begun."""
        path = path_of(kind, namespace)
        return sum(asked == path and "watch" not in query and "continue" not in query for asked, query in self.asked)

    def watches(self, namespace: str = "loco") -> int:
        """Return how many watches are open."""
        with self._lock:
            return len(self._watchers.get(path_of("pods", namespace), []))

    def close(self) -> None:
        """End every watch."""
        with self._lock:
            self._is_closing = True
            for watchers in self._watchers.values():
                for watcher in watchers:
                    watcher.put(None)

    def serve(self, connection: socket.socket) -> None:
        """Answer one connection's requests."""
        while head := read_request(connection):
            url = urlsplit(head.split(b" ", 2)[1].decode())
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            verb = next((word for word in ("watch", "continue") if word in query), "list")
            self.asked.append((url.path, query))
            fault, is_once = self.faults.get((url.path, verb), (None, False))
            if is_once:
                del self.faults[url.path, verb]
            if fault:
                fault(connection)
            elif verb == "watch":
                self._watch(connection, url.path, float(query["timeoutSeconds"]))
            else:
                connection.sendall(http(self._page(url.path, query)))

    def _page(self, path: str, query: dict[str, str]) -> bytes:
        with self._lock:
            items = list(self._collections.get(path, {}).values())
            metadata = {"resourceVersion": str(self._version)}
        begin = int(query.get("continue", "0"))
        end = begin + min(self.page_items, int(query["limit"]))
        if end < len(items):
            metadata["continue"] = str(end)
        return json.dumps({"kind": "List", "metadata": metadata, "items": items[begin:end]}).encode()

    def _tell(self, path: str, event: str, obj: dict[str, Any]) -> None:
        self._version += 1
        for watcher in self._watchers.get(path, []):
            watcher.put({"type": event, "object": obj})

    def _watch(self, connection: socket.socket, path: str, seconds: float) -> None:
        events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        with self._lock:
            if self._is_closing:
                return
            self._watchers.setdefault(path, []).append(events)
        try:
            connection.sendall(STREAM)
            ends_at = time.monotonic() + seconds
            while event := self._next(events, ends_at - time.monotonic()):
                connection.sendall(chunk(event))
            connection.sendall(b"0\r\n\r\n")
        finally:
            with self._lock:
                self._watchers[path].remove(events)

    @staticmethod
    def _next(events: queue.Queue[dict[str, Any] | None], seconds: float) -> dict[str, Any] | None:
        try:
            return events.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            return None


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(event: dict[str, Any]) -> bytes:
    """Return one event as a chunk of the stream."""
    line = json.dumps(event).encode() + b"\n"
    return f"{len(line):x}\r\n".encode() + line + b"\r\n"


def refusing(code: int, message: str, *, head: str = "") -> Fault:
    """Return a fault that answers with a Status object."""
    body = json.dumps({"kind": "Status", "code": code, "message": message}).encode()
    answer = http(body, status=f"{code} Refused", head=head)
    return lambda connection: connection.sendall(answer)


@contextmanager
def an_api_server() -> Iterator[tuple[ApiServer, Callable[[], ClusterClient]]]:
    """Yield a server and what makes a client of it."""
    server = ApiServer()
    with serving(server.serve) as loopback:

        def connect() -> ClusterClient:
            configuration = Configuration(host=f"http://127.0.0.1:{loopback.port}")
            configuration.retries = False
            return ClusterClient(configuration)

        try:
            yield server, connect
        finally:
            server.close()


def wait_for(condition: Callable[[], object], *, seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until something is so."""
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, f"not so after {seconds} s"
        time.sleep(0.01)
