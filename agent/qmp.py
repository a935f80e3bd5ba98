"""One persistent connection to QEMU's monitor (QMP): commands with deadlines, events kept aside.

QEMU serves one client a socket and queues one more, so a client that connects and gives up locks others out.
Therefore the connection is kept, a late reply is waited for instead of a new connection made,
and after a failure nothing is tried until `new_round`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

# chosen: QEMU's main loop was seen to answer in 0.3 ms and may be held for a second by a slow disk.
TIMEOUT_SECONDS = 2.0

# chosen: the largest reply that is asked for here is 2 KiB.
_MAX_LINE_BYTES = 1024 * 1024


class QmpError(Exception):
    """QEMU's monitor gave no answer; the text says why."""


class QmpTimeout(QmpError):
    """QEMU had accepted us and doesn't answer: it hangs."""


class QmpBusy(QmpError):
    """The socket is there and QEMU doesn't greet us: another client has it, or QEMU hangs."""


class QmpAbsent(QmpError):
    """Nobody listens on the socket."""


class QmpRefused(QmpError):
    """QEMU answered with an error."""


class Qmp:
    """The agent's own monitor connection, for all checks."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_greeted = False
        self._buffer = b""
        self._last_id = 0
        self._is_owed = False
        self._failure: QmpError | None = None
        self._events: deque[tuple[float, dict[str, Any]]] = deque(maxlen=200)
        self._watching: list[deque[dict[str, Any]]] = []
        self.connections = 0

    @property
    def is_open(self) -> bool:
        """Tell whether QEMU hasn't hung up, as far as the last command could tell."""
        return self._socket is not None

    def new_round(self) -> None:
        """Allow one more attempt after a failure."""
        self._failure = None

    def execute(self, command: str, arguments: dict[str, Any] | None = None, *, fds: Sequence[int] = ()) -> Any:  # noqa: ANN401 - JSON
        """Return QEMU's answer to one command; a file descriptor may go with it.

        Raises: QmpError; after one that isn't QmpRefused, at once until `new_round`. A command is never sent twice.
        """
        with self._lock:
            if self._failure:
                raise type(self._failure)(str(self._failure))
            try:
                return self._execute(command, arguments or {}, fds)
            except QmpRefused:
                raise
            except QmpError as error:
                self._failure = error
                raise

    def take_events(self) -> list[tuple[float, dict[str, Any]]]:
        """Return the events since the last call, each with the monotonic time of its arrival."""
        events = []
        while self._events:  # one by one: another thread's command may bring more meanwhile
            events.append(self._events.popleft())
        return events

    @contextlib.contextmanager
    def watch(self) -> Iterator[deque[dict[str, Any]]]:
        """Yield the events of the block's duration as they come; `take_events` returns them too."""
        seen: deque[dict[str, Any]] = deque(maxlen=200)
        self._watching.append(seen)
        try:
            yield seen
        finally:
            # By identity: two that have seen the same are equal.
            self._watching = [other for other in self._watching if other is not seen]

    def close(self) -> None:
        """Hang up."""
        if self._socket:
            self._socket.close()
        self._socket, self._is_greeted, self._is_owed, self._buffer = None, False, False, b""

    def _execute(self, command: str, arguments: dict[str, Any], fds: Sequence[int]) -> Any:  # noqa: ANN401 - JSON
        deadline = time.monotonic() + TIMEOUT_SECONDS
        self._read_arrived()
        if self._socket is None:
            self._connect()
        if not self._is_greeted:
            self._greet(deadline)
        if self._is_owed:
            self._reply(deadline)
        self._send(command, arguments, fds)
        reply = self._reply(deadline)
        if "error" in reply:
            raise QmpRefused(f"{command}: {reply['error'].get('desc', 'no description')}"[:200])
        return reply.get("return")

    def _connect(self) -> None:
        link = socket.socket(socket.AF_UNIX)
        try:
            link.setblocking(False)  # noqa: FBT003 - the standard library's signature
            link.connect(self._path)
        except BlockingIOError as error:
            link.close()
            raise QmpBusy(f"the queue of {self._path} is full") from error
        except OSError as error:
            link.close()
            raise QmpAbsent(f"nobody listens on {self._path} ({os.strerror(error.errno or 0)})") from error
        self._socket = link
        self.connections += 1

    def _greet(self, deadline: float) -> None:
        try:
            while "QMP" not in self._receive(deadline):
                pass
        except QmpTimeout as error:
            raise QmpBusy(f"no greeting on {self._path}: another client has it, or QEMU hangs") from error
        self._is_greeted = True
        self._send("qmp_capabilities", {}, ())
        self._reply(deadline)

    def _send(self, command: str, arguments: dict[str, Any], fds: Sequence[int]) -> None:
        self._last_id += 1
        message = msgspec.json.encode({"execute": command, "arguments": arguments, "id": self._last_id}) + b"\n"
        try:
            if fds:
                socket.send_fds(self._link, [message], list(fds))
            else:
                self._link.sendall(message)
        except OSError as error:
            raise self._lost() from error
        self._is_owed = True

    def _reply(self, deadline: float) -> dict[str, Any]:
        """Wait for the reply to the last command sent."""
        while True:
            message = self._receive(deadline)
            if message.get("id") == self._last_id:
                self._is_owed = False
                return message

    def _read_arrived(self) -> None:
        """Take the events that wait on an idle connection, and learn whether QEMU has hung up."""
        if self._socket and not self._is_owed and self._is_greeted:
            with contextlib.suppress(QmpTimeout, QmpAbsent):
                while True:
                    self._receive(time.monotonic())

    def _receive(self, deadline: float) -> dict[str, Any]:
        """Return the next message that isn't an event."""
        while True:
            line, newline, rest = self._buffer.partition(b"\n")
            if not newline:
                self._fill(deadline)
                continue
            self._buffer = rest
            try:
                message = msgspec.json.decode(line, type=dict[str, Any])
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise self._lost("what it sent is no QMP") from error
            if "event" not in message:
                return message
            self._events.append((time.monotonic(), message))
            for seen in self._watching:
                seen.append(message)

    def _fill(self, deadline: float) -> None:
        self._link.settimeout(max(deadline - time.monotonic(), 0.0001))
        try:
            data = self._link.recv(65536)
        except TimeoutError as error:
            raise QmpTimeout(f"timeout: no answer in {TIMEOUT_SECONDS:g} s") from error
        except OSError as error:
            raise self._lost() from error
        if not data:
            raise self._lost()
        self._buffer += data
        if len(self._buffer) > _MAX_LINE_BYTES:
            raise self._lost(f"a line of more than {_MAX_LINE_BYTES} bytes")

    @property
    def _link(self) -> socket.socket:
        assert self._socket is not None  # noqa: S101 - every caller has connected
        return self._socket

    def _lost(self, why: str = "QEMU hung up") -> QmpAbsent:
        self.close()
        return QmpAbsent(f"the connection to {self._path} ended: {why}")
