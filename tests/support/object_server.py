"""A small API server on 127.0.0.1 that keeps what is created and applied, refuses as the real one does, or as told."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from kubernetes.client.configuration import Configuration

from jobs.cluster.client import ClusterClient


class Objects:
    """Objects by path. refusal: what to answer instead, as (status, message). lose_answers: do as asked, say nothing.

    retry_after: what every answer says of when to ask again, empty for nothing.
    asked: every request as (method, path).
    """

    def __init__(self) -> None:
        self.kept: dict[str, dict] = {}
        self.asked: list[tuple[str, str]] = []
        self.refusal: tuple[int, str] | None = None
        self.lose_answers = False
        self.retry_after = ""

    def answer(self, method: str, path: str, body: dict) -> tuple[int, dict]:
        """Return status and object."""
        path = path.partition("?")[0]
        self.asked.append((method, path))
        if self.refusal:
            return self.refusal[0], {"kind": "Status", "message": self.refusal[1]}
        if method == "GET":
            return (200, self.kept[path]) if path in self.kept else (404, {"message": f"{path} not found"})
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.kept:
                return 409, {"message": "already exists"}
        self.kept[path] = body
        return 201, body


@contextmanager
def an_object_server() -> Iterator[tuple[Objects, Callable[[], ClusterClient]]]:
    """Yield the objects and what makes a client of their server."""
    objects = Objects()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = objects.answer(self.command, self.path, json.loads(body or b"{}"))
            if objects.lose_answers:
                return
            data = json.dumps(answer).encode()
            self.send_response(status)
            if objects.retry_after:
                self.send_header("Retry-After", objects.retry_after)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = _serve  # noqa: N815 - http.server's names

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
