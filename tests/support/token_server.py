"""A small API server on 127.0.0.1 with TLS that knows tokens, decides by them, and keeps the Jobs that it is given."""

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import BinaryIO

BATCH = "/apis/batch/v1/namespaces/loco-health"
WHO_AM_I = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

GOOD, POWERLESS, BAD = "good-canary-7f3a", "powerless-canary-91cc", "bad-canary-03de"


def a_cronjob(name: str) -> dict:
    """Return a CronJob as the API server has it."""
    container = {"name": name, "image": "loco-health/jobs:dev", "args": [name]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": "loco-health", "uid": f"uid-of-{name}"},
        "spec": {
            "suspend": True,
            "jobTemplate": {
                "metadata": {"labels": {"app.kubernetes.io/component": name}},
                "spec": {"backoffLimit": 0, "template": template},
            },
        },
    }


@dataclass
class TokenServer:
    """What the server has and was asked.

    refusal: what to answer to a Job instead, as (status, message). is_mute: hang up instead of an answer to a Job.
    has_reviews: it can say who somebody is. asked: every request as (method, path, token).
    """

    port: int = 0
    jobs: dict[str, dict] = field(default_factory=dict)
    others: dict[str, dict] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    refusal: tuple[int, str] | None = None
    retry_after: str = ""
    is_mute: bool = False
    has_reviews: bool = True
    has_templates: bool = True

    def answer(self, method: str, path: str, token: str, body: dict) -> tuple[int, dict] | None:
        """Return status and object, None for no answer."""
        self.asked.append((method, path, token))
        path, _, query = path.partition("?")
        if token not in (GOOD, POWERLESS):
            return _status(401, "Unauthorized")
        if path == WHO_AM_I:
            who = f"system:serviceaccount:loco-health:{'loco-requester' if token == GOOD else 'nobody'}"
            return (201, {"status": {"userInfo": {"username": who}}}) if self.has_reviews else _status(404, "not found")
        if token == POWERLESS:
            return _status(403, f"cronjobs.batch is forbidden: User with {token} cannot get resource")
        if method == "GET":
            return self._found(path)
        if self.refusal:
            return _status(*self.refusal)
        if "dryRun" not in query:
            self.jobs[body["metadata"]["name"]] = body
        return None if self.is_mute else (201, body)

    def _found(self, path: str) -> tuple[int, dict]:
        name = path.removeprefix(f"{BATCH}/cronjobs/")
        if path in self.others:
            return 200, self.others[path]
        if name in ("recover", "discover") and self.has_templates:
            return 200, a_cronjob(name)
        return _status(404, f'"{path.rpartition("/")[2]}" not found')


def _status(code: int, message: str) -> tuple[int, dict]:
    reason = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}.get(code, "")
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason}
    return code, {**status, "message": message, "code": code}


def read_body(headers: Message, file: BinaryIO) -> bytes:
    """Return a request's body, which kubectl sends in chunks."""
    if headers.get("Transfer-Encoding") != "chunked":
        return file.read(int(headers.get("Content-Length") or 0))
    body = b""
    while size := int(file.readline(), 16):
        body += file.read(size)
        file.readline()
    file.readline()
    return body


@contextmanager
def a_token_server(folder: Path) -> Iterator[tuple[TokenServer, Path]]:
    """Yield the server and the file of its CA."""
    certificate, key = folder / "ca.crt", folder / "ca.key"
    make_certificate(certificate, key)
    state = TokenServer()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = read_body(self.headers, self.rfile)
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            found = state.answer(self.command, self.path, token, json.loads(body or b"{}"))
            if found is None:
                return
            data = json.dumps(found[1]).encode()
            self.send_response(found[0])
            self.send_header("Content-Type", "application/json")
            if found[0] == 301:
                self.send_header("Location", f"https://127.0.0.1:{state.port}/elsewhere")
            if state.retry_after:
                self.send_header("Retry-After", state.retry_after)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # a client that doesn't trust us is what a test wants
    state.port = server.server_port
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield state, certificate
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def make_certificate(certificate: Path, key: Path) -> None:
    """Make a CA of our own that is also the server's certificate."""
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    subject = ("-subj", "/CN=kubernetes", "-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run(
        ["openssl", "req", "-x509", *kind, *subject, "-days", "1", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
