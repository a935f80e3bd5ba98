"""Real servers on 127.0.0.1 that behave as their script says, however badly."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

JSON = "application/json"


class Loopback:
    """A TCP server; `serve` gets each connection, in a thread of its own. connections: how many were accepted."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self.connections = 0
        self._serve = serve
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Return the URL of this server's report."""
        return f"http://127.0.0.1:{self.port}/health"

    def close(self) -> None:
        """Close everything and wait for the threads."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._run, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._serve(connection)


@contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[Loopback]:
    """Run a server for the block."""
    server = Loopback(serve)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def full_backlog() -> Iterator[int]:
    """Give the port of a listener whose queue is full, so that the kernel drops every further SYN."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        try:
            for client in waiting:
                client.settimeout(0)
                client.connect_ex(address)
            yield address[1]
        finally:
            for client in waiting:
                client.close()


# No resolver asks anybody for a name of more than 253 letters (RFC 1035, 2.3.4), so a test needs no working DNS.
NO_NAME = ".".join(["no-such-host"] * 20)


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def read_request(connection: socket.socket) -> bytes:
    """Return the next request's head, empty when the peer has closed."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connection.recv(4096)
        if not piece:
            return b""
        head += piece
    return head


def http(body: bytes, *, status: str = "200 OK", content_type: str | None = JSON, head: str = "") -> bytes:
    """Return a whole HTTP answer; head: further header lines, each ended by CRLF."""
    kind = f"Content-Type: {content_type}\r\n" if content_type else ""
    return f"HTTP/1.1 {status}\r\n{kind}Content-Length: {len(body)}\r\n{head}\r\n".encode() + body


def answering(answer: bytes) -> Callable[[socket.socket], None]:
    """Return a script that gives every request the same answer and keeps the connection."""

    def serve(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(answer)

    return serve


def hang(connection: socket.socket) -> None:
    """Say nothing more until the peer or the test closes."""
    while connection.recv(65536):
        pass


def reset(connection: socket.socket) -> None:
    """Close with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
