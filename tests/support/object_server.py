"""A small API server on 127.0.0.1 that keeps what is created and applied, refuses as the real one does, or as told."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import parse_qs, urlsplit

from kubernetes.client.configuration import Configuration

from jobs.cluster.client import ClusterClient

_COLLECTIONS = frozenset({"jobs", "pods", "statefulsets"})


class Objects:
    """Objects by path. refusal: what to answer instead, as (status, message). lose_answers: do as asked, say nothing.

    refusals: by "METHOD path", for those requests alone. lost: such requests of which the next answer is lost.
    retry_after: what every answer says of when to ask again, empty for nothing.
    page_items: at most so many in one page of a list. admit: what is kept instead of an object that is created.
    asked: every request as (method, path).
    """

    def __init__(self) -> None:
        self.kept: dict[str, dict] = {}
        self.asked: list[tuple[str, str]] = []
        self.refusal: tuple[int, str] | None = None
        self.lose_answers = False
        self.retry_after = ""
        self.refusals: dict[str, tuple[int, str]] = {}
        self.lost: list[str] = []
        self.page_items = 500
        self.admit: Callable[[dict], dict] = lambda body: body
        self._lock = Lock()

    def answer(self, method: str, path: str, body: dict) -> tuple[int, dict]:
        """Return status and object."""
        url = urlsplit(path)
        path = url.path
        self.asked.append((method, path))
        refusal = self.refusal or self.refusals.get(f"{method} {path}")
        if refusal:
            return refusal[0], {"kind": "Status", "message": refusal[1]}
        if method == "GET" and (path in self.kept or path.rpartition("/")[2] not in _COLLECTIONS):
            return (200, self.kept[path]) if path in self.kept else (404, {"message": f"{path} not found"})
        if method == "GET":
            return 200, self._page(path, {name: values[0] for name, values in parse_qs(url.query).items()})
        with self._lock:
            if method in ("DELETE", "PUT"):
                return self._change(method, path, body)
            if method == "POST":
                path, body = f"{path}/{body['metadata']['name']}", self.admit(body)
                if path in self.kept:
                    return 409, {"message": "already exists"}
            self.kept[path] = body
        return 201, body

    def _change(self, method: str, path: str, body: dict) -> tuple[int, dict]:
        """Replace or delete an object, if it is still the one that is meant."""
        if path not in self.kept:
            return 404, {"message": f"{path} not found"}
        kept = self.kept[path]["metadata"]
        if method == "DELETE":
            wanted = body["preconditions"]["uid"]
            if wanted != kept.get("uid"):
                return 409, {"message": f"the UID in the precondition ({wanted}) does not match"}
            return 200, self.kept.pop(path)
        if body["metadata"].get("resourceVersion") != kept.get("resourceVersion"):
            return 409, {"message": "the object has been modified"}
        self.kept[path] = body
        return 200, body

    def loses(self, method: str, path: str) -> bool:
        """Tell whether the answer to a request is lost."""
        request = f"{method} {path.partition('?')[0]}"
        if request in self.lost:
            self.lost.remove(request)
            return True
        return self.lose_answers

    def _page(self, path: str, query: dict[str, str]) -> dict:
        """Return a page of the objects right below a path that carry the labels asked for."""
        wanted = dict(pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair)
        items = [
            one
            for at, one in self.kept.items()
            if at.rpartition("/")[0] == path and wanted.items() <= one["metadata"].get("labels", {}).items()
        ]
        begin = int(query.get("continue", "0"))
        end = begin + min(self.page_items, int(query["limit"]))
        metadata = {"continue": str(end)} if end < len(items) else {}
        return {"kind": "List", "metadata": metadata, "items": items[begin:end]}


@contextmanager
def an_object_server() -> Iterator[tuple[Objects, Callable[[], ClusterClient]]]:
    """Yield the objects and what makes a client of their server."""
    objects = Objects()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = objects.answer(self.command, self.path, json.loads(body or b"{}"))
            if objects.loses(self.command, self.path):
                return
            data = json.dumps(answer).encode()
            self.send_response(status)
            if objects.retry_after:
                self.send_header("Retry-After", objects.retry_after)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()

    def connect() -> ClusterClient:
        configuration = Configuration(host=f"http://127.0.0.1:{server.server_port}")
        configuration.retries = False
        return ClusterClient(configuration)

    try:
        yield objects, connect
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
