"""Who hears of notifications: a receiver that may fail in every way there is, and a real Alertmanager."""

import json
import os
import signal
import ssl
import subprocess
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import yaml
from api_server import wait_for
from debian import UNPACKED, tool
from stack import free_port

from jobs.notify.secret import KEY_PREFIX

ROOT = Path(__file__).parents[2]

KEY = KEY_PREFIX + "bG9jby1oZWFsdGgtdGVzdC1rZXktMzItYnl0ZXMhISE="


@dataclass(frozen=True)
class Message:
    """One request; header names in lower case."""

    path: str
    headers: dict
    body: bytes

    @property
    def json(self):
        """Return what it says."""
        return json.loads(self.body)

    @property
    def id(self):
        """Return what a repetition is told by."""
        return self.headers["webhook-id"]


class Receiver:
    """A receiver on loopback. answer: a status, or `mute` (none for now), `dies` (none, after it has received).

    answers: what the next requests get instead, one each. headers: of every answer. got: every request that came.
    refuses: ids that get 400. taken: those that were answered 2xx.
    """

    def __init__(self, port: int = 0) -> None:
        self.answer: int | str = 200
        self.answers: list[int | str] = []
        self.headers: dict[str, str] = {}
        self.refuses: set[str] = set()
        self.got: list[Message] = []
        self.taken: list[Message] = []
        self.is_released = Event()
        self.port = port
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self):
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}/loco"

    def start(self) -> None:
        """Listen, at the same port as before."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 30

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                message = Message(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                receiver.got.append(message)
                answer = receiver.answers.pop(0) if receiver.answers else receiver.answer
                if message.headers.get("webhook-id") in receiver.refuses:
                    answer = 400
                if answer == "mute":
                    receiver.is_released.wait(30)
                if isinstance(answer, str):
                    self.close_connection = True
                    return
                if 200 <= answer < 300:
                    receiver.taken.append(message)
                self.send_response(answer)
                for name, value in {"Content-Length": "0", **receiver.headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def wrap(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # a client that doesn't trust us is what a test wants

    def stop(self) -> None:
        """Listen no more."""
        self.is_released.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def ids(self):
        """Return the ids of what was taken, each once, in the order of their first arrival."""
        return list(dict.fromkeys(message.id for message in self.taken))


@contextmanager
def a_receiver():
    """Yield a receiver that takes everything."""
    receiver = Receiver()
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()


def _with_templates() -> list[str]:
    """Return what runs a program that finds Debian's templates at /usr/share, where its package isn't installed."""
    unpacked = UNPACKED / "share"
    if Path("/usr/share/prometheus/alertmanager").exists() or not unpacked.exists():
        return []
    return ["unshare", "--mount", "sh", "-c", f'mount --bind {unpacked} /usr/share && exec "$0" "$@"']


class Alertmanager:
    """A real Alertmanager that tells a receiver of its own, started and killed at will; its data folder stays."""

    def __init__(self, folder: Path, *, tells: Receiver, group_wait: str = "200ms") -> None:
        self._folder, self._port = folder, free_port()
        self._process: subprocess.Popen | None = None
        folder.mkdir(parents=True, exist_ok=True)
        route = {
            "receiver": "people",
            "group_by": ["..."],
            "group_wait": group_wait,
            "group_interval": "500ms",
            "repeat_interval": "24h",
        }
        webhook = {"url": tells.url, "send_resolved": True, "http_config": {"follow_redirects": False}}
        config = {"route": route, "receivers": [{"name": "people", "webhook_configs": [webhook]}]}
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))

    @property
    def url(self):
        """Return its address."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *_with_templates(),
                    tool("prometheus-alertmanager"),
                    f"--config.file={self._folder / 'alertmanager.yml'}",
                    f"--storage.path={self._folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--cluster.listen-address=",
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "GOMAXPROCS": "1"},
            )
        wait_for(self._is_ready_or_dead, seconds=30)
        assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]

    def _is_ready_or_dead(self):
        if self._process is None or self._process.poll() is not None:
            return True
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    def kill(self) -> None:
        """Kill it as a machine does that loses power."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def alerts(self):
        """Return the alerts that are active."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=5) as answer:
            return json.load(answer)


@contextmanager
def an_alertmanager(folder: Path, *, group_wait: str = "200ms"):
    """Yield a running Alertmanager and the receiver that it tells."""
    with a_receiver() as people:
        alertmanager = Alertmanager(folder, tells=people, group_wait=group_wait)
        alertmanager.start()
        try:
            yield alertmanager, people
        finally:
            alertmanager.kill()


def told(people: Receiver):
    """Return what people behind an Alertmanager were told, as (alertname, escalation, incident, status), in order."""
    return [
        (
            alert["labels"]["alertname"],
            alert["labels"].get("escalation", ""),
            alert["labels"].get("incident"),
            alert["status"],
        )
        for message in people.taken
        for alert in message.json["alerts"]
    ]
