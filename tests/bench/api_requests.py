"""Requests a second of the API on one core with 1,000 instances, while a collector ticks; peers in the same sitting.

The client and the collector have another core to themselves.
"""

import multiprocessing
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from api_process import an_api
from store_load import TICK_MS, Load

from jobs.store.connection import open_store

INSTANCES = 1000
CONNECTIONS = 8
SECONDS = 20
SERVER_CORE, CLIENT_CORE = 0, 1
PATH = "/api/quality/deep-health"

# Peers: the least that each can do for such a request, without a fleet behind it.
HTTP_SERVER = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Unchanged(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(304)
        self.send_header("ETag", '"x"')
        self.end_headers()
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Unchanged)
print(server.server_port, flush=True)
server.serve_forever()
"""
# It closes the connection after a 304.
WAITRESS = """
from waitress.server import create_server
def nothing(environ, start_response):
    start_response("200 OK", [("ETag", '"x"'), ("Content-Length", "0")])
    return []
server = create_server(nothing, host="127.0.0.1", port=0, threads=4)
print(server.effective_port, flush=True)
server.run()
"""


class Server(NamedTuple):
    """A server that is measured."""

    pid: int
    port: int


def now_ms() -> int:
    """Return Unix milliseconds."""
    return time.time_ns() // 1_000_000


def tick_on(path: Path) -> None:
    """Write a tick of the whole fleet every 15 s, as a collector does."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    load = Load(INSTANCES)
    with closing(open_store(path)) as connection:
        for number in range(2, 1_000_000):
            load.tick(connection, number, now_ms())
            time.sleep(TICK_MS / 1000)


@contextmanager
def ticking(path: Path) -> Iterator[None]:
    """Run a collector beside the block."""
    collector = multiprocessing.get_context("spawn").Process(target=tick_on, args=(path,), daemon=True)
    collector.start()
    try:
        yield
    finally:
        collector.kill()
        collector.join()


@contextmanager
def a_peer(program: str) -> Iterator[Server]:
    """Yield a small server."""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            os.sched_setaffinity(process.pid, {SERVER_CORE})
            yield Server(process.pid, int(process.stdout.readline()))
        finally:
            process.kill()


class Link:
    """One kept connection with one request under way.

    header: sent with each request; None sends the tag of the last body as If-None-Match, as the page does.
    """

    def __init__(self, port: int, header: str | None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._header = header
        self._tag = ""
        self._answer = b""
        self._lacks = 0
        self.began = 0.0

    def ask(self) -> None:
        """Send the request."""
        self._answer, self._lacks = b"", 0
        header = self._header or f"If-None-Match: {self._tag}"
        self.began = time.perf_counter()
        self.socket.sendall(f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode())

    def took(self) -> bytes | None:
        """Read on; return the status once the answer is whole."""
        data = self.socket.recv(1 << 20)
        if not data:
            sys.exit("the server closed a connection")
        if self._lacks:
            self._lacks -= len(data)
        else:
            self._answer += data
            head, end, body = self._answer.partition(b"\r\n\r\n")
            if not end:
                return None
            self._lacks = int(field(head, b"Content-Length") or 0) - len(body)
            self._tag = field(head, b"Etag").decode()
        return None if self._lacks else self._answer[9:12]


def field(head: bytes, name: bytes) -> bytes:
    """Return the value of a header as waitress writes it, empty where there is none."""
    return head.partition(b"\r\n%b: " % name)[2].partition(b"\r\n")[0]


def load(port: int, header: str | None, *, seconds: float) -> tuple[list[float], Counter[bytes]]:
    """Keep one request under way on each connection; return the sorted latencies in ms, and the statuses."""
    latencies, statuses = [], Counter()
    with ExitStack() as kept, selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            link = Link(port, header)
            kept.enter_context(link.socket)
            selector.register(link.socket, selectors.EVENT_READ, link)
            link.ask()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for key, _ in selector.select(20):
                status = key.data.took()
                if status is not None:
                    latencies.append((time.perf_counter() - key.data.began) * 1000)
                    statuses[status] += 1
                    key.data.ask()
    return sorted(latencies), statuses


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def row(what: str, server: Server, header: str | None, *, seconds: float = SECONDS) -> None:
    """Load a server and print its row."""
    load(server.port, header, seconds=1)
    before = cpu_seconds(server.pid)
    latencies, statuses = load(server.port, header, seconds=seconds)
    micros = (cpu_seconds(server.pid) - before) / len(latencies) * 1e6
    p50, p99 = (latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
    counts = ", ".join(f"{count} x {status.decode()}" for status, count in statuses.items())
    print(
        f"| {what} | {len(latencies) / seconds:.0f} req/s | p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
        f"longest {latencies[-1]:.0f} ms, {micros:.0f} us CPU each; {CONNECTIONS} kept connections, {counts} |"
    )


def main() -> None:
    """Print rows of a table."""
    if len(os.sched_getaffinity(0)) < 2:
        print("| requests to the API | - | needs two cores, one for the client |")
        return
    os.sched_setaffinity(0, {CLIENT_CORE})
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "loco.db")
        fleet = Load(INSTANCES)
        with closing(open_store(store)) as connection:
            fleet.start(connection)
            fleet.tick(connection, 1, now_ms())
        with an_api(store) as api, ticking(store):
            server = Server(api.process.pid, api.port)
            for task in Path(f"/proc/{api.process.pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {SERVER_CORE})
            row(f"`{PATH}` with `If-None-Match`, {INSTANCES} instances", server, None)
            row(f"the same with its body, gzip, {INSTANCES} instances", server, "Accept-Encoding: gzip")
    peers = {"a bare 304 by `http.server`": HTTP_SERVER, "a bare 200 without a body by waitress": WAITRESS}
    for what, program in peers.items():
        with a_peer(program) as server:
            row(f"{what}, a peer", server, 'If-None-Match: "x"', seconds=5)


if __name__ == "__main__":
    main()
