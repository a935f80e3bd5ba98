"""Look at a VNC server as one more shared viewer for a second, and count what it paints."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from agent.rfb import Handshake, ServerInit, Updates, request_update, set_encodings

# architecture, faults 19: a server that is silent for 3 s is mute.
_HANDSHAKE_SECONDS = 3.0
# chosen: long enough to count 2 frames a second, short enough to be no viewer.
_BURST_SECONDS = 1.0

_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Burst:
    """What one burst saw.

    is_available: whether the handshake was completed. frames_per_second: None where the burst ended early.
    """

    is_available: bool
    error: str | None = None
    width: int = 0
    height: int = 0
    frames_per_second: float | None = None


def count_frames(host: str, port: int) -> Burst:
    """Connect, complete the handshake, count updates for a second, hang up. Blocks for at most 4 s."""
    deadline = time.monotonic() + _HANDSHAKE_SECONDS
    handshake = Handshake()
    try:
        with socket.create_connection((host, port), timeout=_HANDSHAKE_SECONDS) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while not handshake.is_done:
                link.sendall(handshake.feed(_receive(link, deadline)))
                if handshake.failure:
                    return Burst(is_available=False, error=f"VNC server: {handshake.detail}")
            assert handshake.server_init is not None  # noqa: S101 - that is what is_done says
            return _count(link, handshake.server_init, handshake.rest)
    except TimeoutError:
        return Burst(is_available=False, error=f"no {handshake.waiting_for} in {_HANDSHAKE_SECONDS:g} s")
    except OSError as error:
        return Burst(is_available=False, error=f"ended before {handshake.waiting_for}: {error.strerror or error}")


def _count(link: socket.socket, screen: ServerInit, early: bytes) -> Burst:
    """Count until the burst is over; the first update is the whole picture, whether anything moved or not."""
    updates = Updates(screen)
    link.sendall(set_encodings() + request_update(screen.width, screen.height))
    end = time.monotonic() + _BURST_SECONDS
    first_at = None
    data, error = early, None
    while not updates.detail:
        if updates.feed(data):
            first_at = first_at or time.monotonic()
            link.sendall(request_update(updates.width, updates.height))
        try:
            data = _receive(link, end)
        except TimeoutError:
            break
        except OSError:
            error = "the server hung up during the burst"
            break
    seconds = time.monotonic() - (first_at or end - _BURST_SECONDS)
    error = error or (f"burst ended: {updates.detail}" if updates.detail else None)
    rate = None if error else round(max(updates.count - 1, 0) / max(seconds, 0.1), 1)
    return Burst(is_available=True, error=error, width=updates.width, height=updates.height, frames_per_second=rate)


def _receive(link: socket.socket, deadline: float) -> bytes:
    """Return what has come, at least a byte. Raises: TimeoutError at the deadline, OSError when the peer has left."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    link.settimeout(seconds)
    data = link.recv(_PIECE_BYTES)
    if not data:
        raise ConnectionResetError("the server hung up")
    return data
