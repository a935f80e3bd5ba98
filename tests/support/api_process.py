"""The real API as a process on 127.0.0.1, and requests that nothing tidies up on the way."""

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    """One HTTP answer; header names in lower case."""

    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        """Return the body's JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Api:
    """A running API."""

    process: subprocess.Popen
    port: int

    def ask(self, path, *, method="GET", headers=None, body=None):
        """Return the answer to one request of a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def post(self, path, *, token=None, body=None, headers=None):
        """Return the answer to a POST; body: JSON, or bytes as they are."""
        made = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None and not isinstance(body, bytes):
            made["Content-Type"] = "application/json"
            body = json.dumps(body).encode()
        return self.ask(path, method="POST", headers={**made, **(headers or {})}, body=body)

    def wait_for(self, path, status, *, seconds=10):
        """Return the first answer with this status."""
        deadline = time.monotonic() + seconds
        while (reply := self.ask(path)).status != status:
            assert time.monotonic() < deadline, reply
            time.sleep(0.05)
        return reply

    def stop(self):
        """Send SIGTERM; return the exit code and the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20), time.monotonic() - started


# For tests that ask for more within a second than people do in an hour.
PATIENT = """
from api import asking
asking.OF_ONE = asking.OF_ALL = asking.OF_STRANGERS = asking.Rate(10_000, 1)
from api.__main__ import main
main()
"""


@contextmanager
def an_api(store, *, host="127.0.0.1", port=0, is_patient=False, words=(), **settings):
    """Yield an API that listens, on a port that the kernel chose unless one is given.

    is_patient: anything may be asked for as often as one likes. words: more of its command line. settings: of its
    environment.
    """
    program = ["-c", PATIENT] if is_patient else ["-m", "api"]
    process = subprocess.Popen(
        [sys.executable, *program, "--store", store, "--listen", f"{host}:{port}", *words],
        env={**os.environ, **settings},
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert select.select([process.stderr], [], [], 20)[0], "the API said nothing within 20 s"
        line = json.loads(process.stderr.readline())
        assert line["msg"] == "listening", line
        yield Api(process, line["port"])
    finally:
        process.kill()
        process.communicate()
