"""The agent's HTTP server: a thread a connection, bounded in threads, time and bytes."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from http import HTTPStatus

from agent.exchange import END_OF_HEAD, MAX_HEAD_BYTES, Answer, BadRequest, Request, parse_head, problem, write
from agent.routes import Routes

# chosen: one collector, one API, a browser for each of a handful of players, and room.
MAX_CONNECTIONS = 16
# chosen: the collector keeps its connections over four ticks of 15 s.
_IDLE_SECONDS = 61.0
# chosen: a request is one segment; who takes longer holds a place for nothing.
_REQUEST_SECONDS = 5.0
# chosen: a thread whose peer is hung up on was seen to end within a millisecond.
_ROOM_SECONDS = 0.2

_log = logging.getLogger(__name__)


class Server:
    """A listening socket and its connections.

    One beyond the sixteenth gets the place of the one silent for longest, so that nobody who merely stays connected
    can keep the collector out; while all are at work it is told so and closed.
    """

    def __init__(self, address: tuple[str, int], routes: Routes) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        is_dual = address[0] == "::" and socket.has_dualstack_ipv6()  # every address, as of a pod with either family
        self._listener = socket.create_server(address, family=family, backlog=64, dualstack_ipv6=is_dual)
        self._routes = routes
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._lock = threading.Lock()
        self._silent: dict[_Connection, None] = {}  # those between two requests, longest first

    @property
    def address(self) -> tuple[str, int]:
        """Return where it listens, with the port that the kernel chose for 0."""
        host, port = self._listener.getsockname()[:2]
        return host, port

    def serve(self) -> None:
        """Accept connections until it is closed."""
        while True:
            try:
                link, peer = self._listener.accept()
            except OSError as error:
                if self._listener.fileno() < 0:
                    return
                _log.warning("cannot accept a connection", extra={"reason": str(error)})
                time.sleep(0.1)  # out of descriptors: the open ones must end first
                continue
            if not self._make_room():
                self._turn_away(link, f"{MAX_CONNECTIONS} connections are open")
                continue
            try:
                threading.Thread(target=self._converse, args=(link, peer[0]), name="http", daemon=True).start()
            except RuntimeError as error:  # the container's limit of threads
                self._places.release()
                self._turn_away(link, str(error))

    def close(self) -> None:
        """Stop listening; the connections that are open go on."""
        self._listener.shutdown(socket.SHUT_RDWR)  # closing alone would leave `accept` to wait for one more
        self._listener.close()

    def _make_room(self) -> bool:
        """Take a place for one more connection and tell whether there was one."""
        if self._places.acquire(blocking=False):
            return True
        with self._lock:
            longest = next(iter(self._silent), None)
            if longest is None:
                return False
            del self._silent[longest]
            longest.hang_up()
        return self._places.acquire(timeout=_ROOM_SECONDS)

    def _turn_away(self, link: socket.socket, why: str) -> None:
        answer = problem(HTTPStatus.SERVICE_UNAVAILABLE, why, ("Retry-After", "1"))
        with link, contextlib.suppress(OSError):
            link.setblocking(False)  # noqa: FBT003 - the standard library's signature
            link.send(write(answer, is_head=False, is_kept_alive=False))

    def _converse(self, link: socket.socket, peer: str) -> None:
        """Answer requests on one connection until either side has had enough."""
        try:
            with link, contextlib.suppress(OSError):
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = _Connection(link, peer)
                while self._exchange(connection):
                    pass
        finally:
            self._places.release()

    def _exchange(self, connection: _Connection) -> bool:
        """Read a request, answer it, and tell whether the connection goes on. Raises: OSError."""
        if not self._wait(connection):
            return False
        try:
            request = connection.read_head()
            body = connection.read_body(request, limit=self._routes.body_limit(request))
        except BadRequest as error:
            connection.send(problem(error.status, str(error)), is_head=False, is_kept_alive=False)
            return False
        answer = self._routes.answer(request, body)
        connection.send(answer, is_head=request.method == "HEAD", is_kept_alive=request.is_kept_alive)
        return request.is_kept_alive

    def _wait(self, connection: _Connection) -> bool:
        """Wait for the next request, and tell whether it comes."""
        with self._lock:
            self._silent[connection] = None
        try:
            return connection.wait()
        finally:
            with self._lock:
                self._silent.pop(connection, None)


class _Connection:
    """Bytes of one peer, with a deadline for a whole request rather than for each piece of it."""

    def __init__(self, link: socket.socket, peer: str) -> None:
        self._link, self._peer = link, peer
        self._buffer = b""
        self._deadline = 0.0

    def hang_up(self) -> None:
        """End the connection from another thread."""
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)

    def wait(self) -> bool:
        """Wait for the next request's first byte; False when the peer has left. Raises: OSError."""
        if not self._buffer:
            self._link.settimeout(_IDLE_SECONDS)
            self._buffer = self._link.recv(65536)
        return bool(self._buffer)

    def read_head(self) -> Request:
        """Return the request that has begun. Raises: BadRequest, OSError."""
        self._deadline = time.monotonic() + _REQUEST_SECONDS
        while END_OF_HEAD not in self._buffer:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {MAX_HEAD_BYTES} bytes")
            self._read_on()
        head, _, self._buffer = self._buffer.partition(END_OF_HEAD)
        return parse_head(head, peer=self._peer)

    def read_body(self, request: Request, *, limit: int) -> bytes:
        """Return the request's body. Raises: BadRequest, OSError."""
        if request.body_bytes > limit:
            raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{request.body_bytes} bytes, at most {limit}")
        if request.body_bytes and request.headers.get("expect", "").lower() == "100-continue":
            self._link.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(self._buffer) < request.body_bytes:
            self._read_on()
        body, self._buffer = self._buffer[: request.body_bytes], self._buffer[request.body_bytes :]
        return body

    def send(self, answer: Answer, *, is_head: bool, is_kept_alive: bool) -> None:
        """Send an answer whole. Raises: OSError when the peer doesn't take it in time."""
        self._link.settimeout(_REQUEST_SECONDS)
        self._link.sendall(write(answer, is_head=is_head, is_kept_alive=is_kept_alive))

    def _read_on(self) -> None:
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        self._link.settimeout(seconds)
        data = self._link.recv(65536)
        if not data:
            raise ConnectionResetError
        self._buffer += data
