"""Look at a VNC server as one more shared viewer for a second, and count what it paints."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from agent.rfb import Handshake, ServerInit, Updates, request_update, set_encodings

# architecture, faults 19: a server that is silent for 3 s is mute.
_HANDSHAKE_SECONDS = 3.0
# chosen: long enough to count 2 frames a second, short enough to be no viewer.
_BURST_SECONDS = 1.0

# chosen: read into the same memory again and again; a new buffer for each piece was half of a burst's cost.
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Burst:
    """What one burst saw.

    is_available: whether the handshake was completed. frames_per_second: None where the burst ended early.
    is_turned_away: the server hung up on a viewer who wants to share, as it does while another wants the screen alone.
    """

    is_available: bool
    error: str | None = None
    is_turned_away: bool = False
    width: int = 0
    height: int = 0
    frames_per_second: float | None = None


def count_frames(host: str, port: int, own_ports: set[int]) -> Burst:
    """Connect, complete the handshake, count updates for a second, hang up. Blocks for at most 4 s.

    own_ports: holds the port of our end for as long as we are connected.
    """
    deadline = time.monotonic() + _HANDSHAKE_SECONDS
    handshake = Handshake()
    try:
        with _connected(host, port, own_ports) as link:
            pieces = _Pieces(link)
            while not handshake.is_done:
                link.sendall(handshake.feed(bytes(pieces.receive(deadline))))
                if handshake.failure:
                    return Burst(is_available=False, error=f"VNC server: {handshake.detail}")
            assert handshake.server_init is not None  # noqa: S101 - that is what is_done says
            return _count(pieces, handshake.server_init, handshake.rest)
    except TimeoutError:
        return Burst(is_available=False, error=f"VNC server: no {handshake.waiting_for} in {_HANDSHAKE_SECONDS:g} s")
    except OSError as error:
        return Burst(
            is_available=False,
            error=f"VNC server: ended before {handshake.waiting_for}: {error.strerror or error}",
            is_turned_away=handshake.waiting_for == "server init",
        )


@contextmanager
def _connected(host: str, port: int, own_ports: set[int]) -> Iterator[socket.socket]:
    with socket.create_connection((host, port), timeout=_HANDSHAKE_SECONDS) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        own_port = link.getsockname()[1]
        own_ports.add(own_port)
        try:
            yield link
        finally:
            own_ports.discard(own_port)


def _count(pieces: _Pieces, screen: ServerInit, early: bytes) -> Burst:
    """Count until the burst is over; the first update is the whole picture, whether anything moved or not."""
    updates = Updates(screen)
    end = time.monotonic() + _BURST_SECONDS
    first_at = None
    data, error = memoryview(early), None
    try:
        pieces.link.sendall(set_encodings() + request_update(screen.width, screen.height))
        while not updates.detail:
            if updates.feed(data):
                first_at = first_at or time.monotonic()
                pieces.link.sendall(request_update(updates.width, updates.height))
            data = pieces.receive(end)
    except TimeoutError:
        pass
    except OSError:
        error = "VNC server: it hung up during the burst"
    if updates.detail:
        error = f"VNC server: {updates.detail}"
    seconds = time.monotonic() - (first_at or end - _BURST_SECONDS)
    rate = None if error else round(max(updates.count - 1, 0) / max(seconds, 0.1), 1)
    return Burst(is_available=True, error=error, width=updates.width, height=updates.height, frames_per_second=rate)


class _Pieces:
    """What comes in on a socket, each piece in the memory of the one before."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self._memory = memoryview(bytearray(_PIECE_BYTES))

    def receive(self, deadline: float) -> memoryview:
        """Return what has come, at least a byte, good until the next call.

        Raises: TimeoutError at the deadline, OSError when the peer has left.
        """
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        self.link.settimeout(seconds)
        length = self.link.recv_into(self._memory)
        if not length:
            raise ConnectionResetError("it hung up")
        return self._memory[:length]
