"""Would a viewer get a picture, and how many a second?"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import psutil

from agent.burst import count_frames
from agent.qmp import Qmp, QmpError
from agent.report import Video, rfc3339
from agent.settings import Settings

# chosen: a burst takes a viewer's share of QEMU for a second, so one in fifteen.
BURST_PAUSE_SECONDS = 15.0

# proc(5), /proc/net/tcp: socket state 0A is LISTEN.
_LISTEN = "0A"

# x11vnc(1): without -shared it serves one viewer, without -forever (or -many) it ends with its first.
_X11VNC_NEEDS = ({"-shared"}, {"-forever", "-many"})
_X11VNC_PASSWORDS = frozenset({"-passwd", "-passwdfile", "-rfbauth", "-usepw", "-unixpw", "-unixpw_nis", "-accept"})


@dataclass(frozen=True, slots=True)
class Sharing:
    """What one more shared viewer would do: throw nobody out and need no password (True), harm (False), unknown (None).

    is_alive: whether the server's own process has just answered for it. viewers: who is connected, where it says so.
    """

    is_shareable: bool | None
    reason: str = ""
    is_alive: bool | None = None
    viewers: frozenset[str] = frozenset()


# A viewer that asked not to share (shared=0, many programs' default) has the screen for itself: it works, and we wait.
_HELD = Sharing(is_shareable=False, reason="a viewer has the screen for itself alone", is_alive=True)


class VideoCheck:
    """The VNC server: listens, may be dialled, paints.

    vnc_available: the last burst's handshake held; where nobody may dial, the monitor's answer stands for it;
    where nobody answers either, it is unknown. A stopped QEMU still listens, so listening alone proves nothing.
    own_ports: those from which a burst is connected now.
    """

    def __init__(self, settings: Settings, qmp: Qmp | None, *, pause_seconds: float) -> None:
        self._host, self._port = settings.vnc_address
        self._qmp, self._pause_seconds = qmp, pause_seconds
        self._next_burst_at = self._next_search_at = 0.0
        display = f":{self._port - 5900}" if self._port >= 5900 else None
        self._place = Video(vnc_port=self._port, display=display)
        self._burst = self._place
        self._x11vnc = Sharing(is_shareable=None)
        self._in_the_way: frozenset[str] = frozenset()
        self.own_ports: set[int] = set()

    def measure(self) -> Video:
        """Return the block: who serves and whether it may be dialled now, and what the last burst saw."""
        sharing = self._sharing()
        if not sharing.is_alive and not is_listening(self._port):
            self._next_burst_at = 0.0
            error = f"nothing listens on port {self._port}"
            return msgspec.structs.replace(self._place, vnc_available=False, display_active=False, error=error)
        if not sharing.is_shareable:
            return self._left_alone(sharing)
        if self._in_the_way & sharing.viewers:
            return self._left_alone(_HELD)
        if self._in_the_way or time.monotonic() >= self._next_burst_at:
            self._burst = self._dial()
            self._next_burst_at = time.monotonic() + self._pause_seconds
        return self._burst

    def _left_alone(self, sharing: Sharing) -> Video:
        return msgspec.structs.replace(
            self._place,
            vnc_available=sharing.is_alive,
            shareable=sharing.is_shareable,
            error=f"not dialled: {sharing.reason}",
        )

    def _dial(self) -> Video:
        checked_at = rfc3339(time.time())
        burst = count_frames(self._host, self._port, self.own_ports)
        self._in_the_way = self._sharing().viewers if burst.is_turned_away else frozenset()
        if self._in_the_way:
            return self._left_alone(_HELD)
        return msgspec.structs.replace(
            self._place,
            vnc_available=burst.is_available,
            display_active=burst.width > 0 if burst.is_available else None,
            estimated_frame_rate=burst.frames_per_second,
            shareable=True,
            width=burst.width or None,
            height=burst.height or None,
            frame_rate_checked_at=checked_at,
            error=burst.error,
        )

    def _sharing(self) -> Sharing:
        """Ask QEMU's monitor whose port it is; one that isn't QEMU's may be x11vnc's."""
        try:
            servers = self._qmp.execute("query-vnc-servers") if self._qmp else []
        except QmpError as error:
            return Sharing(is_shareable=None, reason=f"QMP: {error}")
        for server in servers:
            places = [place for place in server["server"] if place["service"] == str(self._port)]
            if places:
                viewers = frozenset(f"{client['host']}:{client['service']}" for client in server["clients"])
                return replace(qemu_sharing({server["auth"], *(place["auth"] for place in places)}), viewers=viewers)
        if time.monotonic() >= self._next_search_at:
            self._x11vnc = x11vnc_sharing(_command_line("x11vnc"))
            self._next_search_at = time.monotonic() + self._pause_seconds
        return self._x11vnc


def qemu_sharing(authentications: set[str]) -> Sharing:
    """Return what QEMU does with a shared viewer.

    Every share policy lets one in beside others or, under an exclusive viewer, turns it away unharmed (QEMU, ui/vnc.c,
    protocol_client_init); so the password alone decides whether to ask.
    """
    needed = authentications - {"none"}
    if needed:
        return Sharing(
            is_shareable=False, reason=f"QEMU asks for authentication ({', '.join(sorted(needed))})", is_alive=True
        )
    return Sharing(is_shareable=True, is_alive=True)


def x11vnc_sharing(arguments: list[str] | None) -> Sharing:
    """Return what an x11vnc with this command line does with a shared viewer; None: no such process is seen."""
    if arguments is None:
        return Sharing(is_shareable=None, reason="neither QEMU's monitor nor a visible x11vnc knows this port")
    given = set(arguments)
    if given & _X11VNC_PASSWORDS:
        return Sharing(is_shareable=False, reason="x11vnc asks for a password or a person's consent")
    if not all(given & alternatives for alternatives in _X11VNC_NEEDS):
        return Sharing(is_shareable=False, reason="x11vnc runs without -shared and -forever")
    return Sharing(is_shareable=True)


def is_listening(port: int) -> bool:
    """Tell whether a TCP socket of this network namespace listens on the port, whatever the address.

    Cost: 5 ms, as the kernel walks all its sockets; so it is asked only where QEMU's monitor doesn't answer.
    """
    end = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            continue  # a kernel without IPv6
        if any(end in line and _is_listener(line.split(), end) for line in lines):
            return True
    return False


def _is_listener(fields: list[str], end: str) -> bool:
    return fields[1].endswith(end) and fields[3] == _LISTEN


def _command_line(name: str) -> list[str] | None:
    """Return the arguments of the first process with that executable, or None."""
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == name:
            try:
                return process.cmdline()
            except psutil.Error:
                break
    return None
