"""Many RFB handshakes on one selector: non-blocking, each under its deadline, never two with one server."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from agent.rfb import Failure, Handshake
from jobs.health.model import ConnectivityOutcome

Address = tuple[str, int]
"""Host and port of a VNC server."""

# faults-and-security section 2, fault 19
HANDSHAKE_SECONDS = 3

# chosen: 16 handshakes at once against one QEMU were seen to stall some of them for seconds; a host has several.
MAX_OPEN_PER_HOST = 8
MAX_OPEN = 128

# chosen: a handshake takes a hundred bytes; RFC 6143 sets no limit for the desktop's name.
MAX_HANDSHAKE_BYTES = 64 * 1024

_FAILURES = {
    Failure.NOT_RFB: ConnectivityOutcome.NOT_RFB,
    Failure.DENIED: ConnectivityOutcome.DENIED,
    Failure.TOO_MANY: ConnectivityOutcome.TOO_MANY,
}

_ERRNO_OUTCOMES = {
    errno.ECONNREFUSED: ConnectivityOutcome.REFUSED,
    errno.ECONNRESET: ConnectivityOutcome.DISCONNECTED,
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How one handshake ended. latency_seconds: connect to ServerInit, with OK only."""

    outcome: ConnectivityOutcome
    detail: str = ""
    latency_seconds: float | None = None


class Handshakes:
    """One round of handshakes. places: the IP addresses of each server, tried in their order."""

    def __init__(self, places: Mapping[Address, tuple[str, ...]]) -> None:
        self._waiting: dict[str, deque[_Dial]] = {}
        for address, ips in places.items():
            self._waiting.setdefault(ips[0], deque()).append(_Dial(address, ips))
        self._selector = selectors.DefaultSelector()
        self._open: dict[_Dial, None] = {}  # in the order of their deadlines
        self._open_by_host: Counter[str] = Counter()
        self._busy: set[Address] = set()
        self._ended: dict[Address, Ended] = {}

    def run(self, *, seconds: float) -> dict[Address, Ended]:
        """Return how the handshakes ended; none begins after `seconds`, and one that never began is missing."""
        last_begin_at = time.monotonic() + seconds
        with self._selector:
            while True:
                if time.monotonic() < last_begin_at:
                    self._begin_waiting()
                if not self._open:
                    return self._ended
                self._expire()
                first = next(iter(self._open), None)
                patience = first.deadline - time.monotonic() if first else 0
                for key, _ in self._selector.select(max(0.0, patience)):
                    self._step(key.data)

    def _begin_waiting(self) -> None:
        """Begin as many as the limits allow."""
        for host in list(self._waiting):
            queue = self._waiting[host]
            while queue and self._open_by_host[host] < MAX_OPEN_PER_HOST:
                if len(self._open) >= MAX_OPEN:
                    return
                dial = queue.popleft()
                self._open[dial] = None
                self._open_by_host[host] += 1
                dial.begin()
                self._connect(dial)
            if not queue:
                del self._waiting[host]

    def _connect(self, dial: _Dial, error: int = 0) -> None:
        """Begin a connection to the next IP address; error: why the one before was left, for when none is left."""
        while dial.untried:
            endpoint = (dial.untried.popleft(), dial.address[1])
            if endpoint in self._busy:
                # Another name of a server that is being dialled now: its turn comes with the next round.
                self._close(dial)
                return
            try:
                dial.open(endpoint)
            except OSError as refusal:
                error = refusal.errno or error
                continue
            self._busy.add(endpoint)
            self._selector.register(dial.connection, selectors.EVENT_WRITE, dial)
            return
        self._end(dial, _ended_by(error))

    def _step(self, dial: _Dial) -> None:
        """Go on with a connection that the selector says is ready."""
        if not dial.is_connected:
            error = dial.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                self._hang_up(dial)
                self._connect(dial, error)
                return
            dial.is_connected = True
            self._selector.modify(dial.connection, selectors.EVENT_READ, dial)
            return
        ended = dial.talk()
        if ended:
            self._end(dial, ended)

    def _expire(self) -> None:
        now = time.monotonic()
        for dial in list(self._open):
            if dial.deadline > now:
                return
            self._end(dial, dial.timed_out())

    def _end(self, dial: _Dial, ended: Ended) -> None:
        self._ended[dial.address] = ended
        self._close(dial)

    def _close(self, dial: _Dial) -> None:
        self._hang_up(dial)
        del self._open[dial]
        self._open_by_host[dial.host] -= 1

    def _hang_up(self, dial: _Dial) -> None:
        if dial.endpoint:
            self._busy.discard(dial.endpoint)
            self._selector.unregister(dial.connection)
            dial.hang_up()


class _Dial:
    """One handshake with one server. endpoint: the IP address and port that `connection` belongs to, if it is open."""

    __slots__ = (
        "_began",
        "_handshake",
        "_received",
        "address",
        "connection",
        "deadline",
        "endpoint",
        "host",
        "is_connected",
        "untried",
    )

    connection: socket.socket

    def __init__(self, address: Address, ips: tuple[str, ...]) -> None:
        self.address = address
        self.host = ips[0]
        self.untried = deque(ips)
        self.endpoint: Address | None = None
        self.deadline = 0.0
        self.is_connected = False
        self._began = 0.0
        self._handshake = Handshake()
        self._received = 0

    def begin(self) -> None:
        """Start the clocks."""
        self._began = time.monotonic()
        self.deadline = self._began + HANDSHAKE_SECONDS

    def open(self, endpoint: Address) -> None:
        """Begin a connection. Raises: OSError when the kernel says no at once."""
        connection = socket.socket(socket.AF_INET6 if ":" in endpoint[0] else socket.AF_INET)
        connection.settimeout(0)
        error = connection.connect_ex(endpoint)
        if error not in {0, errno.EINPROGRESS}:
            connection.close()
            raise OSError(error, os.strerror(error))
        self.connection, self.endpoint = connection, endpoint

    def hang_up(self) -> None:
        """Close the connection; nothing of it is kept."""
        self.connection.close()
        self.endpoint = None

    def talk(self) -> Ended | None:
        """Read what has come and answer it; return how it ended, None while the server owes more."""
        try:
            data = self.connection.recv(4096)
            answer = self._handshake.feed(data)
            if answer:
                self.connection.sendall(answer)
        except BlockingIOError:
            return None
        except ConnectionError:
            return self._verdict("reset")
        except OSError as error:
            return _ended_by(error.errno or 0)
        self._received += len(data)
        if not data or self._handshake.is_over or self._received > MAX_HANDSHAKE_BYTES:
            return self._verdict()
        return None

    def timed_out(self) -> Ended:
        """Return how it ended at its deadline."""
        if not self.is_connected:
            return Ended(ConnectivityOutcome.TIMEOUT, f"no connection within {HANDSHAKE_SECONDS} s")
        if self._received == 0:
            return Ended(ConnectivityOutcome.MUTE, f"connected, not a byte within {HANDSHAKE_SECONDS} s")
        if self._handshake.failure:
            return self._verdict()
        waited = f"no {self._handshake.waiting_for} within {HANDSHAKE_SECONDS} s"
        return Ended(ConnectivityOutcome.TIMEOUT, waited)

    def _verdict(self, end: str = "closed") -> Ended:
        """Return what the server said, or failed to say before the connection's end or the limit."""
        handshake = self._handshake
        if handshake.is_done:
            return Ended(ConnectivityOutcome.OK, latency_seconds=time.monotonic() - self._began)
        if handshake.failure:
            return Ended(_FAILURES[handshake.failure], handshake.detail)
        if self._received > MAX_HANDSHAKE_BYTES:
            detail = f"more than {MAX_HANDSHAKE_BYTES} bytes of {handshake.waiting_for}"
            return Ended(ConnectivityOutcome.NOT_RFB, detail)
        return Ended(ConnectivityOutcome.DISCONNECTED, f"{end} before its {handshake.waiting_for}")


def _ended_by(error: int) -> Ended:
    """Return what the kernel's word for a failed connection means; unroutable and its kin are silence."""
    outcome = _ERRNO_OUTCOMES.get(error, ConnectivityOutcome.TIMEOUT)
    return Ended(outcome, os.strerror(error).lower())
